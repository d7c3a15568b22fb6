"""Claims about the last rounds: a mark is given for what is known, and for nothing else."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from server.core.rounds import Plan, occurrence
from server.core.strip import (
    Letter,
    Mark,
    Span,
    Tally,
    absences,
    last,
    letter,
    mark,
    past,
    tally,
)

GZ = ZoneInfo("Asia/Shanghai")
MORNING = Plan("morning", time(4, 30), time(5, 45), time(6, 0))
EVENING = Plan("evening", time(17, 30), time(18, 45), time(19, 0))
PLANS = (MORNING, EVENING)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """An instant of March 2026 by the community's clock."""
    return datetime(2026, 3, day, hour, minute, tzinfo=GZ)


(ROUND,) = past((MORNING,), GZ, at(13, 12), at(14, 12))


@pytest.mark.parametrize(
    ("signs", "missed", "away", "expected"),
    [
        ([at(14, 5)], {}, (), Mark.CHECKED),
        ([at(14, 4, 30)], {}, (), Mark.CHECKED),  # the window's first instant counts
        ([at(14, 4, 29)], {}, (), Mark.UNKNOWN),  # a press before it says nothing of this round
        ([at(14, 6, 5)], {}, (), Mark.UNKNOWN),  # the deadline itself is too late
        ([], {at(14, 6, 5): None}, (), Mark.MISSED),
        ([], {at(14, 6, 5): "safe"}, (), Mark.MISSED),
        ([], {at(14, 6, 5): "checked_in"}, (), Mark.LATE),
        ([at(14, 5)], {at(14, 6, 5): "checked_in"}, (), Mark.LATE),  # stored, came in too late
        ([], {at(13, 19, 5): None}, (), Mark.UNKNOWN),  # another round's list
        ([], {}, (Span(at(13, 8), at(20, 8)),), Mark.AWAY),
        ([], {}, (Span(at(13, 8), None),), Mark.AWAY),
        ([], {}, (Span(at(13, 8), at(14, 6, 5)),), Mark.UNKNOWN),  # back at the deadline
        ([at(14, 5)], {}, (Span(at(13, 8), None),), Mark.CHECKED),  # away, and pressed anyway
        ([], {}, (), Mark.UNKNOWN),
    ],
)
def test_a_mark_says_what_is_known(
    signs: list[datetime],
    missed: dict[datetime, str | None],
    away: tuple[Span, ...],
    expected: Mark,
) -> None:
    """A worklist outranks a press, a press outranks an absence, and silence of ours is no mark."""
    assert mark(ROUND, signs, missed, away) is expected


def test_fourteen_rounds_are_a_week_and_end_with_the_last_that_is_over() -> None:
    """At noon the morning's round is over and the evening's is not; one instant decides."""
    rounds = last(PLANS, GZ, at(14, 12))
    assert len(rounds) == 14
    assert rounds[-1].deadline == at(14, 6, 5)
    assert rounds[0].deadline == at(7, 19, 5)
    assert last(PLANS, GZ, at(14, 19, 5))[-1].name == "evening"
    assert last(PLANS, GZ, at(14, 19, 4))[-1].name == "morning"
    assert last((), GZ, at(14, 12)) == ()
    assert len(last((MORNING,), GZ, at(14, 12))) == 14


def test_a_round_is_shown_as_it_was_held_not_as_the_plan_is_today() -> None:
    """The evening was at seven until yesterday and is at eight now: yesterday's stays at seven. The
    morning that nobody opened (we stood still) is there all the same; what is not over yet is
    not."""
    late = Plan("evening", time(18, 30), time(19, 45), time(20, 0))
    held = [occurrence(EVENING, date(2026, 3, 13), GZ), occurrence(late, date(2026, 3, 14), GZ)]
    found = last((MORNING, late), GZ, at(14, 12), 3, held)
    assert [(o.name, o.deadline) for o in found] == [
        ("morning", at(13, 6, 5)), ("evening", at(13, 19, 5)), ("morning", at(14, 6, 5)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("missed", "blind", "began", "expected"),
    [
        (0, [], at(1, 0), Letter.ALL_IN),
        (2, [], at(1, 0), Letter.MISSED),
        (2, [Span(at(14, 6), None)], None, Letter.MISSED),  # what is known outranks what is not
        (0, [Span(at(14, 6), at(14, 7))], at(1, 0), Letter.BLIND),
        (0, [Span(at(14, 6), None)], at(1, 0), Letter.BLIND),
        (0, [Span(at(14, 5), at(14, 6, 5))], at(1, 0), Letter.ALL_IN),  # over just in time
        (0, [Span(at(14, 6), None)], at(14, 6, 6), Letter.UNKNOWN),
        (0, [], None, Letter.UNKNOWN),
    ],
)
def test_a_round_of_a_house_is_one_letter(
    missed: int, blind: list[Span], began: datetime | None, expected: Letter
) -> None:
    """Everybody in, somebody missed, nobody could be judged, or before our time."""
    assert letter(at(14, 6, 5), missed, blind, began) is expected


def test_past_rounds_are_those_with_a_deadline_in_the_span() -> None:
    """Open at the beginning, closed at the end; every one once."""
    found = past(PLANS, GZ, at(13, 6, 5), at(14, 6, 5))
    assert [o.deadline for o in found] == [at(13, 19, 5), at(14, 6, 5)]


def test_the_night_the_clocks_change_has_its_rounds() -> None:
    """Berlin's day of 23 hours: two rounds, the first at its wall time."""
    berlin = ZoneInfo("Europe/Berlin")
    day = datetime(2026, 3, 29, tzinfo=berlin)
    found = past(PLANS, berlin, day, day + timedelta(days=1))
    assert [o.due_at.astimezone(berlin).hour for o in found] == [6, 19]


def test_a_building_is_counted_together() -> None:
    """Those away or unknown are not owed."""
    marks = [Mark.CHECKED, Mark.CHECKED, Mark.LATE, Mark.MISSED, Mark.AWAY, Mark.UNKNOWN]
    assert tally(marks) == Tally(owed=4, checked=2, late=1, missed=1, away=1, unknown=1)
    assert tally([]) == Tally(0, 0, 0, 0, 0, 0)


def test_an_absence_ends_when_it_was_ended_or_planned_to() -> None:
    """The earlier of the two; an end before it began is another absence's."""
    begun = [(at(10, 8), at(20, 8)), (at(3, 8), at(5, 8))]
    assert absences(begun, [at(5, 8), at(12, 9)]) == (
        Span(at(10, 8), at(12, 9)),
        Span(at(3, 8), at(5, 8)),
    )
    assert absences([(at(10, 8), at(20, 8))], []) == (Span(at(10, 8), at(20, 8)),)
    assert absences([(at(10, 8), at(11, 8))], [at(20, 8)]) == (Span(at(10, 8), at(11, 8)),)


@pytest.mark.parametrize(
    ("risk_class", "signs", "expected"),
    [
        ("A", [], Mark.UNKNOWN),
        ("C", [], Mark.NOT_OWED),
        ("C", [at(14, 5)], Mark.NOT_OWED),  # a press that nobody asked for is no duty done
        (None, [at(14, 5)], Mark.CHECKED),
    ],
)
def test_a_round_that_a_class_does_not_owe_is_no_mark_against_anybody(
    risk_class: str | None, signs: list[datetime], expected: Mark
) -> None:
    """Class C owes one round a day; the other one is shown as such."""
    plan = Plan("morning", time(4, 30), time(5, 45), time(6, 0), classes=frozenset("AB"))
    (round_,) = past((plan,), GZ, at(13, 12), at(14, 12))
    assert mark(round_, signs, {}, (), risk_class) is expected
    assert mark(round_, signs, {round_.deadline: None}, (), risk_class) is Mark.MISSED
