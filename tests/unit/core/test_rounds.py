"""Deadlines in the community's own time, at their exact boundary and on the nights of the clock."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.rounds import (
    BUILT_IN,
    CLASSES,
    Plan,
    after_sign_of_life,
    clash,
    clears,
    covering,
    current,
    due_anew,
    instant,
    last_deadline,
    next_deadline,
    next_to_open,
    occurrence,
    owed_by,
    running,
    seen_at,
)

GZ = ZoneInfo("Asia/Shanghai")
MORNING = Plan("morning", time(4, 30), time(5, 45), time(6, 0))
EVENING = Plan("evening", time(17, 30), time(18, 45), time(19, 0))
PLANS = (MORNING, EVENING)


def gz(text: str) -> datetime:
    """A local instant in Guangzhou."""
    return datetime.fromisoformat(text).replace(tzinfo=GZ).astimezone(UTC)


MORNING_DEADLINE = gz("2026-03-14T06:05")

SIGNS = [
    ("before the window opens", "2026-03-14T04:29:59", False),
    ("as it opens", "2026-03-14T04:30:00", True),
    ("in the window", "2026-03-14T05:00:00", True),
    ("late, in grace", "2026-03-14T06:04:59.999", True),
    ("at the very deadline", "2026-03-14T06:05:00", False),
    ("the evening before", "2026-03-13T18:00:00", False),
]


@pytest.mark.parametrize(("name", "at", "meets"), SIGNS, ids=[s[0] for s in SIGNS])
def test_a_sign_of_life_meets_only_the_round_it_falls_in(name: str, at: str, meets: bool) -> None:
    """Inside [opens, deadline) the next deadline moves to the evening; outside it stays."""
    moved = after_sign_of_life(PLANS, GZ, MORNING_DEADLINE, gz(at))
    assert moved == (gz("2026-03-14T19:05") if meets else MORNING_DEADLINE)


NOT_JUDGED = [
    ("late, and no word since", "2026-03-14T06:20", "2026-03-14T06:05"),
    ("a second before the evening opens", "2026-03-14T17:29:59", "2026-03-14T06:05"),
    ("in the evening's window", "2026-03-14T17:30", "2026-03-15T06:05"),
    ("at the evening's deadline", "2026-03-14T19:05", "2026-03-14T06:05"),
    ("in the window of the morning after", "2026-03-15T05:00", "2026-03-15T19:05"),
]


@pytest.mark.parametrize(("name", "at", "due"), NOT_JUDGED, ids=[n[0] for n in NOT_JUDGED])
def test_who_was_heard_in_a_later_round_is_not_missed_there(name: str, at: str, due: str) -> None:
    """We were blind over the morning's deadline and nobody was judged. Whoever checks in for the
    evening meanwhile has met it; nobody walks to them for a morning long past."""
    assert after_sign_of_life(PLANS, GZ, MORNING_DEADLINE, gz(at)) == gz(due)


CLEARS = [
    ("at the deadline", "2026-03-14T06:05", True),
    ("twenty minutes late", "2026-03-14T06:25", True),
    ("as the window opened, held back by a bad line", "2026-03-14T04:30", True),
    ("before the window opened", "2026-03-14T04:29:59", False),
    ("the evening before, handed in this morning", "2026-03-13T18:50", False),
]


@pytest.mark.parametrize(("name", "at", "true"), CLEARS, ids=[c[0] for c in CLEARS])
def test_only_a_sign_from_the_round_or_later_clears_its_item(
    name: str, at: str, true: bool
) -> None:
    """A steward who reads "no need to go" must not read it because of last night's press."""
    assert clears(PLANS, GZ, MORNING_DEADLINE, gz(at)) is true


@pytest.mark.parametrize(("at", "true"), [("2026-03-14T06:59", False), ("2026-03-14T07:00", True)])
def test_a_round_that_is_in_no_plan_is_cleared_by_what_comes_after_it(at: str, true: bool) -> None:
    """The plan was edited while its worklist was open."""
    assert clears(PLANS, GZ, gz("2026-03-14T07:00"), gz(at)) is true


def test_an_edited_plan_is_judged_by_the_new_one() -> None:
    """A deadline of a plan that no longer exists moves to the next one that does."""
    moved = after_sign_of_life(PLANS, GZ, gz("2026-03-14T07:00"), gz("2026-03-14T06:50"))
    assert moved == gz("2026-03-14T19:05")


def test_the_current_round_is_the_running_or_the_next() -> None:
    """Between two rounds the next one is meant; at its deadline the one after it."""
    assert current(PLANS, GZ, gz("2026-03-14T12:00")).name == "evening"
    assert current(PLANS, GZ, gz("2026-03-14T06:04")).name == "morning"
    assert next_deadline(PLANS, GZ, MORNING_DEADLINE) == gz("2026-03-14T19:05")


def test_somebody_new_is_awaited_from_the_round_that_has_yet_to_open() -> None:
    """Registered while a round runs, nobody is missed in it; a second before it opens, they are
    awaited in it."""
    running_now = next_to_open(PLANS, GZ, gz("2026-03-14 05:50"))
    assert (running_now.name, running_now.deadline) == ("evening", gz("2026-03-14 19:05"))
    assert next_to_open(PLANS, GZ, gz("2026-03-14 04:30")).name == "morning"
    assert next_to_open(PLANS, GZ, gz("2026-03-14 17:31")).deadline == gz("2026-03-15 06:05")


def test_a_half_hour_zone_is_no_special_case() -> None:
    """In Kolkata, half an hour off, six o'clock is 00:30 UTC."""
    zone = ZoneInfo("Asia/Kolkata")
    assert instant(gz("2026-03-14T12:00").date(), time(6), zone) == datetime(
        2026, 3, 14, 0, 30, tzinfo=UTC
    )


NIGHT = Plan("night", time(1, 0), time(2, 15), time(2, 30), grace_s=60)
BERLIN = ZoneInfo("Europe/Berlin")


def test_the_autumn_night_that_has_half_past_two_twice() -> None:
    """The first 02:30 (summer time) is the deadline; there is one round, not two."""
    due = occurrence(NIGHT, datetime(2026, 10, 25, tzinfo=UTC).date(), BERLIN).due_at
    assert due == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert next_deadline((NIGHT,), BERLIN, due + timedelta(minutes=1)) == datetime(
        2026, 10, 26, 1, 31, tzinfo=UTC
    )


def test_the_spring_night_that_has_no_half_past_two() -> None:
    """The round still happens once, at the instant half an hour into the missing hour."""
    due = occurrence(NIGHT, datetime(2026, 3, 29, tzinfo=UTC).date(), BERLIN).due_at
    assert due == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@given(st.integers(0, 3 * 365 * 86_400), st.sampled_from([GZ, BERLIN]))
def test_there_is_always_a_next_deadline_within_a_day(second: int, zone: ZoneInfo) -> None:
    """From any instant of three years the next deadline is later, and at most 25 hours away."""
    now = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    following = next_deadline((MORNING,), zone, now)
    assert now < following <= now + timedelta(hours=25)


def test_a_plan_must_run_within_a_day() -> None:
    """A window that ends before it opens is refused with its name."""
    with pytest.raises(ValueError, match="evening"):
        Plan("evening", time(19), time(18), time(20))


NOW = gz("2026-03-14T06:00")
DATES = [
    ("live: it happened when it came", -3600, True, False, 0),
    ("stored: dated by the device", -3600, True, True, -3600),
    ("stored, clock never set", -3600, False, True, 0),
    ("stored, clock ahead within reason", 30, True, True, 0),
    ("stored, clock far ahead", 3600, True, True, 0),
]


@pytest.mark.parametrize(("name", "offset_s", "ok", "buffered", "expected_s"), DATES,
                         ids=[d[0] for d in DATES])  # fmt: skip
def test_server_time_decides_and_device_time_explains(
    name: str, offset_s: int, ok: bool, buffered: bool, expected_s: int
) -> None:
    """Only a stored event with a believable clock is dated by the device."""
    device = NOW + timedelta(seconds=offset_s)
    seen = seen_at(NOW, device, clock_ok=ok, buffered=buffered)
    assert seen == NOW + timedelta(seconds=expected_s)
    assert seen_at(NOW, None, clock_ok=ok, buffered=buffered) == NOW


AB = frozenset("AB")
MORNING_FOR_ALL, EVENING_FOR_AB = MORNING, replace(EVENING, classes=AB)
BY_CLASS = (MORNING_FOR_ALL, EVENING_FOR_AB)
DUE_ANEW = [
    ("not heard of", "C", "2026-03-14T05:00", None, "2026-03-14T06:05"),
    ("heard of in this window", "C", "2026-03-14T05:00", "2026-03-14T04:40", "2026-03-15T06:05"),
    ("heard of, and owes two", "A", "2026-03-14T05:00", "2026-03-14T04:40", "2026-03-14T19:05"),
    ("heard of before it", "A", "2026-03-14T05:00", "2026-03-13T18:00", "2026-03-14T06:05"),
    ("in the evening, owes none", "C", "2026-03-14T18:00", None, "2026-03-15T06:05"),
    ("in the evening, owes it", "B", "2026-03-14T18:00", None, "2026-03-14T19:05"),
]


@pytest.mark.parametrize(
    ("name", "risk_class", "now", "seen", "due"), DUE_ANEW, ids=[c[0] for c in DUE_ANEW]
)
def test_each_class_owes_its_own_rounds(
    name: str, risk_class: str, now: str, seen: str | None, due: str
) -> None:
    """Class C owes the morning alone: its deadlines pass over the evening."""
    plans = owed_by(BY_CLASS, risk_class)
    assert due_anew(plans, GZ, gz(now), gz(seen) if seen else None) == gz(due)


def test_a_class_that_no_round_names_owes_all_of_them() -> None:
    """An edit that forgets somebody makes us watch them more closely, never not at all."""
    only_a = (replace(MORNING, classes=frozenset("A")), replace(EVENING, classes=AB))
    covered = covering(only_a)
    assert [sorted(p.classes) for p in covered] == [["A", "C"], ["A", "B", "C"]]
    assert [p.name for p in owed_by(covered, "C")] == ["morning", "evening"]
    assert covering(BUILT_IN) == BUILT_IN


def test_a_class_that_is_none_owes_all_rounds() -> None:
    """It stands in a row that can't be read: whoever lives there must not be forgotten for that."""
    assert owed_by(BY_CLASS, "Z") == owed_by(BY_CLASS, "") == BY_CLASS


def test_windows_of_two_classes_may_overlap() -> None:
    """Late risers of class C have a window of their own that opens while the first one runs."""
    late = Plan("late", time(5, 30), time(8, 0), time(9, 0), classes=frozenset("C"))
    plans = (replace(MORNING, classes=AB), late, EVENING_FOR_AB)
    assert [o.name for o in running(plans, GZ, gz("2026-03-14T05:45"))] == ["morning", "late"]
    assert [o.name for o in running(plans, GZ, gz("2026-03-14T06:05"))] == ["late"]
    assert running(plans, GZ, gz("2026-03-14T12:00")) == ()
    assert last_deadline(plans, GZ, gz("2026-03-14T09:05")) == gz("2026-03-14T09:05")
    assert last_deadline(owed_by(plans, "A"), GZ, gz("2026-03-14T12:00")) == MORNING_DEADLINE


def test_two_rounds_of_one_name_or_hour_clash() -> None:
    """A round is known by its name, and its worklist by its deadline."""
    assert clash((MORNING,), EVENING) is None
    assert "called 'morning'" in str(clash((MORNING,), replace(EVENING, name="morning")))
    assert "due at 06:00" in str(clash((MORNING,), replace(MORNING, name="dawn")))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": frozenset()}, "classes must be some of A, B, C"),
        ({"classes": frozenset("AX")}, "classes must be some of A, B, C"),
        ({"grace_s": -1}, "grace"),
    ],
)
def test_a_round_that_nobody_owes_is_refused(change: dict[str, Any], words: str) -> None:
    """Classes are A, B and C, and there is at least one."""
    with pytest.raises(ValueError, match=words):
        replace(MORNING, **change)
    assert MORNING.classes == CLASSES
