"""Who has the duty at an instant, over midnight and over the nights of the clock; and the holes."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.rota import (
    WEEK,
    Duty,
    Shift,
    Span,
    changes_at,
    gaps_ahead,
    minute_of,
    on_shift,
    turn,
)

GZ, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
ALL_DAYS = frozenset(range(1, 8))
WEEKDAYS = frozenset(range(1, 6))
EARLY = Shift(ALL_DAYS, time(6), time(14))
LATE = Shift(ALL_DAYS, time(14), time(22))
NIGHT = Shift(ALL_DAYS, time(22), time(6))
OFFICE = Shift(WEEKDAYS, time(8), time(17))
FRIDAY_NIGHT = Shift(frozenset({5}), time(22), time(6))
WHOLE_DAY = Shift(frozenset({6}), time(8), time(8))


def at(text: str, zone: ZoneInfo = GZ, fold: int = 0) -> datetime:
    """A local instant, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


CASES = [
    ("as the shift begins", EARLY, "2026-03-14T06:00", True),
    ("a moment before", EARLY, "2026-03-14T05:59:59.999", False),
    ("as the shift ends, the next one has it", EARLY, "2026-03-14T14:00", False),
    ("before midnight", NIGHT, "2026-03-14T23:59", True),
    ("after midnight", NIGHT, "2026-03-15T00:01", True),
    ("the end of the night", NIGHT, "2026-03-15T06:00", False),
    ("an office on a Friday", OFFICE, "2026-03-13T12:00", True),
    ("an office on a Saturday", OFFICE, "2026-03-14T12:00", False),
    ("Friday's night lasts into Saturday", FRIDAY_NIGHT, "2026-03-14T05:59", True),
    ("and is not Saturday's", FRIDAY_NIGHT, "2026-03-14T22:00", False),
    ("from eight to eight is a whole day", WHOLE_DAY, "2026-03-15T07:59", True),
    ("and no more", WHOLE_DAY, "2026-03-15T08:00", False),
]


@pytest.mark.parametrize(("name", "shift", "when", "on"), CASES, ids=[c[0] for c in CASES])
def test_who_is_on_shift(name: str, shift: Shift, when: str, on: bool) -> None:
    """A shift holds from its begin up to, not including, its end; its day is the one it begins."""
    assert on_shift((shift,), GZ, at(when)) is on


def test_a_desk_without_shifts_is_always_manned() -> None:
    """Who has no shifts is a desk, not a person: on duty, and nothing changes that."""
    assert on_shift((), GZ, at("2026-03-14T03:00"))
    assert changes_at((), GZ, at("2026-03-14T03:00")) is None


@pytest.mark.parametrize(
    ("shifts", "when", "then"),
    [
        ((NIGHT,), "2026-03-14T23:00", "2026-03-15T06:00"),
        ((NIGHT,), "2026-03-14T12:00", "2026-03-14T22:00"),
        ((EARLY, LATE), "2026-03-14T07:00", "2026-03-14T22:00"),
        ((OFFICE,), "2026-03-13T18:00", "2026-03-16T08:00"),
    ],
    ids=["goes off", "comes on", "two shifts on end are one turn", "over the weekend"],
)
def test_when_a_turn_changes(shifts: tuple[Shift, ...], when: str, then: str) -> None:
    """Who is on goes off then, and who is off comes on."""
    assert changes_at(shifts, GZ, at(when)) == at(then)
    within = at(when) + timedelta(seconds=59)
    assert turn(shifts, GZ, within) == (on_shift(shifts, GZ, at(when)), at(then))


def test_three_shifts_around_the_clock_never_go_off() -> None:
    """Somebody with every hour of the week has no change ahead of them."""
    assert changes_at((EARLY, LATE, NIGHT), GZ, at("2026-03-14T07:00")) is None


@pytest.mark.parametrize("day", ["2026-10-25", "2026-03-29"], ids=["25 hours", "23 hours"])
def test_the_nights_of_the_clock_have_no_hole_and_no_double_duty(day: str) -> None:
    """One hands over to the next at half past two, in the night that has it twice and in the one
    that lacks it: at every minute just one of them has the duty."""
    until = Shift(ALL_DAYS, time(22), time(2, 30))
    since = Shift(ALL_DAYS, time(2, 30), time(22))
    start = at(f"{day}T00:00", BERLIN)
    for minute in range(5 * 60):
        when = start + timedelta(minutes=minute)
        assert on_shift((until,), BERLIN, when) != on_shift((since,), BERLIN, when), when
    duty = (Duty((until,)), Duty((since,)))
    assert gaps_ahead(duty, BERLIN, start - timedelta(hours=6)) == ()


def test_a_shift_that_lies_in_the_missing_hour_is_nobodys() -> None:
    """From 02:15 to 02:45 of the night that has neither there is half an hour all the same."""
    lost = Shift(ALL_DAYS, time(2, 15), time(2, 45))
    assert on_shift((lost,), BERLIN, at("2026-03-29T02:20", BERLIN))


NOON = at("2026-03-14T12:00")  # a Saturday
HOLES = [
    ("three shifts", (Duty((EARLY,)), Duty((LATE,)), Duty((NIGHT,))), ()),
    ("a desk that is always there", (Duty(()),), ()),
    ("nobody has the night", (Duty((EARLY,)), Duty((LATE,))),
     (Span(at("2026-03-14T22:00"), at("2026-03-15T06:00")),)),
    ("the night's guard is away until Monday", (
        Duty((EARLY,)), Duty((LATE,)), Duty((NIGHT,), at("2026-03-16T12:00"))),
     (Span(at("2026-03-14T22:00"), at("2026-03-15T06:00")),)),
    ("back before the shift begins", (
        Duty((EARLY,)), Duty((LATE,)), Duty((NIGHT,), at("2026-03-14T20:00"))), ()),
    ("back in the middle of it", (
        Duty((EARLY,)), Duty((LATE,)), Duty((NIGHT,), at("2026-03-15T01:00"))),
     (Span(at("2026-03-14T22:00"), at("2026-03-15T01:00")),)),
    ("a weekend, now", (Duty((OFFICE,)),),
     (Span(at("2026-03-13T17:00"), at("2026-03-16T08:00")),)),
    ("nobody at all", (), (Span(None, None),)),
    ("a hole further away than a day is told tomorrow", (
        Duty((Shift(frozenset({6, 7}), time(0), time(0)),)),), ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "duty", "holes"), HOLES, ids=[h[0] for h in HOLES])
def test_a_hole_in_the_rota_is_seen_a_day_ahead(
    name: str, duty: tuple[Duty, ...], holes: tuple[Span, ...]
) -> None:
    """Whole holes that touch the next 24 hours, with absences applied."""
    assert gaps_ahead(duty, GZ, NOON) == holes


def test_the_hole_is_told_in_the_same_words_while_it_lasts() -> None:
    """Minute after minute it is one and the same hole, so it is one entry and not a hundred."""
    duty = (Duty((EARLY,)), Duty((LATE,)))
    found = {gaps_ahead(duty, GZ, NOON + timedelta(minutes=m))[0] for m in range(0, 18 * 60, 7)}
    assert len(found) == 1
    after = gaps_ahead(duty, GZ, at("2026-03-15T06:00"))
    assert after == (Span(at("2026-03-15T22:00"), at("2026-03-16T06:00")),)


@given(
    st.lists(
        st.builds(Shift, st.frozensets(st.integers(1, 7), min_size=1), st.times(), st.times()),
        max_size=4,
    ),
    st.integers(0, 365 * 24 * 60),
)
def test_the_holes_are_just_where_nobody_is_on_shift(shifts: list[Shift], minutes: int) -> None:
    """Whatever the rota: in a hole nobody has the duty, outside of holes somebody has."""
    now = minute_of(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes, seconds=7))
    duty = tuple(Duty((s,)) for s in shifts)
    holes = gaps_ahead(duty, BERLIN, now)
    for hours in (0, 1, 5, 8, 14, 23):
        when = now + timedelta(hours=hours)
        in_hole = any(
            (h.start is None or h.start <= when) and (h.end is None or when < h.end) for h in holes
        )
        assert in_hole != any(on_shift((s,), BERLIN, when) for s in shifts)


@pytest.mark.parametrize("days", [frozenset(), frozenset({0}), frozenset({8})])
def test_a_shift_on_no_day_is_refused(days: frozenset[int]) -> None:
    """Weekdays are 1 to 7, and there is at least one."""
    with pytest.raises(ValueError, match="weekdays from 1"):
        Shift(days, time(6), time(14))


def test_whoever_plans_a_week_sees_the_holes_of_a_week() -> None:
    """Offices that close on Friday leave the weekend open: seen on Wednesday by the week's table
    and not by the day's fault. A hole that begins after the week is not shown."""
    wednesday = at("2026-03-11T09:00")
    days, nights = Shift(frozenset(range(1, 6)), time(8), time(20)), Shift(
        frozenset(range(1, 6)), time(20), time(8))  # fmt: skip
    duty = (Duty((days, nights)),)
    weekend = Span(at("2026-03-14T08:00"), at("2026-03-16T08:00"))
    assert gaps_ahead(duty, GZ, wednesday) == ()
    assert gaps_ahead(duty, GZ, wednesday, WEEK) == (weekend,)
    assert gaps_ahead(duty, GZ, at("2026-03-06T09:00"), WEEK) == (
        Span(at("2026-03-07T08:00"), at("2026-03-09T08:00")),
    )
