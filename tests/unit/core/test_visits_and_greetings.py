"""Claims about visits that are owed, and about the daily list of greetings."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from server.core.greetings import Alone, GreetingOutcome, Standing, in_order, standing
from server.core.visits import (
    MOST_NEW,
    WITHIN,
    Cause,
    Reason,
    Visit,
    VisitState,
    drop,
    due_at,
    moved_in,
    pay,
    was_ill,
    who_goes,
)

GZ = ZoneInfo("Asia/Shanghai")
T0 = datetime(2026, 3, 14, 9, 0, tzinfo=GZ)
OWED = Visit(Cause.ILLNESS, T0, due_at(Cause.ILLNESS, T0, GZ))


def test_when_a_visit_is_due() -> None:
    """At the end of a local day; every cause has its days."""
    assert due_at(Cause.ILLNESS, T0.astimezone(UTC), GZ) == datetime(2026, 3, 18, tzinfo=GZ)
    assert set(WITHIN) == set(Cause)
    assert not OWED.overdue(OWED.due_at - timedelta(milliseconds=1))
    assert OWED.overdue(OWED.due_at)


def test_a_visit_is_paid_once_and_dropped_only_with_a_reason() -> None:
    """What is paid can't be dropped, nor the other way round; twice changes nothing."""
    paid = pay(OWED, "she is up again", T0)
    assert (paid.reason, paid.visit.state, paid.visit.closed_at) == (
        Reason.PAID, VisitState.PAID, T0,
    )  # fmt: skip
    assert not paid.visit.overdue(OWED.due_at)
    assert pay(paid.visit, "again", T0).reason is Reason.ALREADY
    assert drop(paid.visit, "too late", T0).reason is Reason.CLOSED
    assert drop(OWED, "", T0).reason is Reason.NO_WHY
    dropped = drop(OWED, "moved to her son", T0)
    assert (dropped.reason, dropped.visit.note) == (Reason.DROPPED, "moved to her son")
    assert pay(dropped.visit, "", T0).reason is Reason.CLOSED
    assert drop(dropped.visit, "", T0).reason is Reason.ALREADY


def test_the_befriender_goes_first() -> None:
    """The stewards where nobody was named."""
    assert who_goes(["吴秀兰"], ["梁玉珍"]) == ("吴秀兰",)
    assert who_goes([], ["梁玉珍", "陈国栋"]) == ("梁玉珍", "陈国栋")


@pytest.mark.parametrize(
    ("new", "before", "moved"),
    [(1, 300, True), (MOST_NEW, 1, True), (MOST_NEW + 1, 300, False), (1, 0, False),
     (0, 300, False)],
)  # fmt: skip
def test_who_has_moved_in(new: int, before: int, moved: bool) -> None:
    """A few new names in a register that was there; not a register that is being filled."""
    assert moved_in(new, before) is moved


@pytest.mark.parametrize(
    ("why", "ill"),
    [("住院", True), ("在省医院做手术", True), ("hospital", True), ("He is ill, at home", True),
     ("回乡", False), ("still at her village", False), ("", False)],
)  # fmt: skip
def test_who_was_ill(why: str, ill: bool) -> None:
    """By the reason of the absence, as staff write it."""
    assert was_ill(why) is ill


WELL, WANTS, NONE = GreetingOutcome.WELL, GreetingOutcome.WANTS, GreetingOutcome.NO_ANSWER


@pytest.mark.parametrize(
    ("today", "stands"),
    [((), Standing.TO_CALL), ((NONE,), Standing.NO_ANSWER), ((NONE, NONE), Standing.NO_ANSWER),
     ((NONE, WELL), Standing.GREETED), ((WANTS,), Standing.GREETED),
     ((WELL, NONE), Standing.GREETED)],
)  # fmt: skip
def test_where_a_person_stands_today(
    today: tuple[GreetingOutcome, ...], stands: Standing
) -> None:
    """One answered call greets; a vain one does not."""
    assert standing(Alone(1, "A", None, None, today)) is stands


def test_who_is_called_first() -> None:
    """Not called yet before called in vain before greeted; the frail first; then the longest ago,
    and never before that."""
    people = [
        Alone(1, "A", None, T0, (WELL,)),
        Alone(2, "B", None, T0),
        Alone(3, "B", None, T0 - timedelta(days=2)),
        Alone(4, "B", None, None),
        Alone(5, "A", T0, T0),
        Alone(6, "A", None, None, (NONE,)),
    ]
    assert [p.resident_id for p in in_order(people)] == [5, 4, 3, 2, 6, 1]
