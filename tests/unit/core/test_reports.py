"""Claims about the figures of a report: defined, with their denominators, and without persons."""

from dataclasses import fields, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core import reports as core
from server.core.reports import Alarm, BadPeriod, Message, Miss, Offline, Sign, Why
from server.core.rounds import Plan
from server.core.strip import past

GZ = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
T0 = datetime(2026, 3, 9, tzinfo=GZ)
NOW = datetime(2026, 3, 20, 12, tzinfo=GZ)


def after(seconds: float) -> datetime:
    """So many seconds into the period."""
    return T0 + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([7.0], 50, 7.0),
        ([7.0], 95, 7.0),
        ([1.0, 2.0], 50, 1.0),  # half do not exceed 1
        ([1.0, 2.0, 3.0], 50, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),  # order does not matter
        ([float(n) for n in range(1, 21)], 95, 19.0),
        ([float(n) for n in range(1, 101)], 95, 95.0),
        ([5.0, 5.0, 5.0, 900.0], 95, 900.0),  # the worst case is never averaged away
        ([3.0, 9.0], 0, 3.0),
        ([3.0, 9.0], 100, 9.0),
    ],
)
def test_percentile_is_the_nearest_rank(
    values: list[float], percent: int, expected: float | None
) -> None:
    """Always a time that really was."""
    assert core.percentile(values, percent) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.integers(1, 100))
def test_at_least_so_many_percent_do_not_exceed_it(values: list[float], percent: int) -> None:
    """The definition, on anything: enough are at or below, and no smaller value would do."""
    found = core.percentile(values, percent)
    assert found in values
    assert 100 * sum(v <= found for v in values) >= percent * len(values)
    assert 100 * sum(v < found for v in values) < percent * len(values)


def test_what_never_happened_has_no_time_and_stays_in_the_denominator() -> None:
    """Two of three were accepted: the third is neither zero nor forgotten."""
    assert core.times([60.0, None, 20.0]) == core.Times(2, 3, 20.0, 60.0)
    assert core.times([]) == core.Times(0, 0, None, None)


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        (date(2026, 3, 10), date(2026, 3, 9), Why.BACKWARDS),
        (date(2026, 1, 1), date(2026, 4, 3), Why.TOO_LONG),
        (date(2026, 3, 21), date(2026, 3, 22), Why.FUTURE),
    ],
)
def test_a_period_that_cannot_be_is_refused_by_name(first: date, last: date, why: Why) -> None:
    """Backwards, longer than a quarter, or still to come."""
    with pytest.raises(BadPeriod) as refused:
        core.period(first, last, GZ, NOW)
    assert refused.value.why is why


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 3, 14), GZ, 24),
        (date(2026, 3, 29), BERLIN, 23),
        (date(2026, 10, 25), BERLIN, 25),
    ],
)
def test_a_day_is_a_local_day_of_its_own_length(day: date, zone: ZoneInfo, hours: int) -> None:
    """From midnight to midnight by the community's clock."""
    found = core.period(day, day, zone, datetime(2026, 12, 1, tzinfo=zone))
    assert found.start.astimezone(zone).time() == time(0)
    assert (found.end - found.start) == timedelta(hours=hours)


def test_today_and_a_whole_quarter_can_be_asked_for() -> None:
    """92 days are allowed, and a period may end in the future."""
    core.period(date(2026, 1, 1), date(2026, 4, 2), GZ, NOW)
    core.period(date(2026, 3, 20), date(2026, 3, 20), GZ, NOW)


def sos(**more: object) -> Alarm:
    """A call for help of building 1 at the period's beginning."""
    return Alarm(**({"building_id": 1, "opened_at": T0} | more))  # type: ignore[arg-type]


CALLS = [
    sos(told_at=after(5), accepted_at=after(60), arrived_at=after(300), resolved_at=after(900),
        outcome="safe"),
    sos(told_at=after(9), accepted_at=after(120), resolved_at=after(400), outcome="false_alarm"),
    sos(building_id=2),
    sos(test=True, told_at=after(1), resolved_at=after(2), outcome="false_alarm"),
]  # fmt: skip


def facts(**more: object) -> core.Facts:
    """Nothing happened, but for what is given."""
    nothing: dict[str, object] = {
        "alarms": [], "worklists": [], "messages": [], "over": [], "signs": [], "misses": [],
        "offline": [], "terminals": {},
    }  # fmt: skip
    return core.Facts(**(nothing | more))  # type: ignore[arg-type]


def test_calls_are_timed_from_their_opening_and_tests_are_left_out() -> None:
    """Three calls: two told and accepted, one at the door; a test is counted as a test alone."""
    found = core.figures(facts(alarms=CALLS), T0, NOW)
    assert (found.alarms, found.tests, found.closed, found.open) == (3, 1, 2, 1)
    assert found.told == core.Times(2, 3, 5.0, 9.0)
    assert found.accepted == core.Times(2, 3, 60.0, 120.0)
    assert found.door == core.Times(1, 3, 300.0, 300.0)
    assert found.outcomes == {"false_alarm": 1, "safe": 1}
    assert found.false_alarms == 1


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    """Zero at the least."""
    found = core.figures(facts(alarms=[sos(told_at=after(-3))]), T0, NOW)
    assert found.told.p50_s == 0.0


def test_messages_by_their_fate() -> None:
    """Cancelled ones never left; a delivered one of unknown time is delivered all the same."""
    found = core.sms(
        [
            Message(1, "delivered", T0, after(4)),
            Message(1, "delivered", T0, None),
            Message(1, "failed", T0, after(1)),
            Message(None, "undelivered", T0, after(1)),
            Message(1, "sent", T0, None),
            Message(1, "cancelled", T0, None),
        ]
    )
    assert found == core.Sms(of=5, delivered=2, failed=2, pending=1, p50_s=4.0, p95_s=4.0)


PLANS = (Plan("morning", time(4, 30), time(5, 45), time(6, 0)),)
OVER = past(PLANS, GZ, T0, T0 + timedelta(days=2))
DAY1, DAY2 = (o.deadline for o in OVER)
EARLY = timedelta(minutes=30)


def test_a_round_counts_each_resident_once_and_a_miss_stays_a_miss() -> None:
    """Two presses are one check-in; a stored press does not undo the walk it came too late for."""
    signs = [
        Sign(1, 1, DAY1 - EARLY),
        Sign(1, 1, DAY1 - EARLY / 2),
        Sign(2, 1, DAY1 - EARLY),
        Sign(3, 1, DAY1 - EARLY),  # stored in the terminal; its owner was looked for meanwhile
        Sign(1, 1, DAY2 - timedelta(hours=5)),  # before the window
        Sign(1, 1, DAY2),  # the deadline itself: belongs to no round of the period
    ]
    misses = [
        Miss(3, 1, DAY1, "safe"),
        Miss(4, 1, DAY1, "checked_in"),
        Miss(1, 1, DAY2, None),
        Miss(9, 1, DAY2 + timedelta(days=9), None),  # not of this period
    ]
    found = core.rounds(OVER, signs, misses)
    assert found == core.Rounds(held=2, owed=5, checked=2, late=1, found=1, open=1)


def test_no_rounds_no_figures() -> None:
    """Nothing owed is not zero percent of something."""
    assert core.rounds([], [Sign(1, 1, DAY1)], []) == core.Rounds(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("spans", "terminals", "offline_s", "share"),
    [
        ([], 0, 0.0, None),
        ([], 2, 0.0, 1.0),
        ([Offline(1, after(0), after(50))], 1, 50.0, 0.5),
        ([Offline(1, after(-80), after(25))], 1, 25.0, 0.75),  # began before the period
        ([Offline(1, after(90), None)], 1, 10.0, 0.9),  # still silent
        ([Offline(1, after(90), after(500))], 1, 10.0, 0.9),  # beyond its end
        ([Offline(1, after(200), None)], 1, 0.0, 1.0),  # afterwards
        ([Offline(1, after(0), None)] * 2, 1, 200.0, 0.0),  # one has left service since
    ],
)
def test_uptime_is_the_time_in_which_terminals_were_heard(
    spans: list[Offline], terminals: int, offline_s: float, share: float | None
) -> None:
    """Clipped to a period of 100 seconds; never below nothing."""
    assert core.uptime(spans, terminals, T0, after(100)) == core.Uptime(
        terminals, offline_s, share
    )


def test_a_building_has_its_own_part_and_nobody_elses() -> None:
    """Everything is split by building; together the parts are the whole."""
    whole = facts(
        alarms=CALLS,
        worklists=[sos(resolved_at=after(60))],
        messages=[Message(1, "sent", T0, None), Message(2, "sent", T0, None)],
        over=OVER,
        signs=[Sign(1, 1, DAY1 - EARLY), Sign(2, 2, DAY1 - EARLY)],
        misses=[Miss(3, 2, DAY1, None)],
        offline=[Offline(2, T0, None)],
        terminals={1: 3, 2: 4},
    )
    one, two, none = (core.figures(core.of_building(whole, b), T0, NOW) for b in (1, 2, 3))
    both = core.figures(whole, T0, NOW)
    assert (one.alarms, two.alarms, both.alarms) == (2, 1, 3)
    assert (one.worklists.of, two.worklists.of) == (1, 0)
    assert (one.rounds.owed, two.rounds.owed, both.rounds.owed) == (1, 2, 3)
    assert (one.uptime.terminals, two.uptime.terminals, both.uptime.terminals) == (3, 4, 7)
    assert one.uptime.share == 1.0
    assert two.uptime.share == 0.75
    assert none.uptime.share is None


def test_no_figure_knows_a_person() -> None:
    """Nothing that a report is made of, but for who was awaited in a round, has room for one."""
    names = {f.name for kind in (core.Alarm, core.Message, core.Offline, core.Figures)
             for f in fields(kind)}  # fmt: skip
    assert not {n for n in names if "person" in n or "responder" in n or "steward" in n}


def test_a_round_that_was_not_theirs_is_not_counted_as_owed() -> None:
    """A press of class C in the round that only A and B owe says nothing of the round."""
    (first, *_) = OVER
    of_ab = replace(first, classes=frozenset("AB"))
    at = first.deadline - timedelta(minutes=30)
    signs = [Sign(1, 1, at, "A"), Sign(2, 1, at, "C"), Sign(3, 1, at)]
    assert core.rounds([of_ab], signs, []).checked == 2
