"""Deadlines in the community's own time, at their exact boundary and on the nights of the clock."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.rounds import (
    Plan,
    after_sign_of_life,
    current,
    instant,
    next_deadline,
    occurrence,
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


def test_an_edited_plan_is_judged_by_the_new_one() -> None:
    """A deadline of a plan that no longer exists moves to the next one that does."""
    moved = after_sign_of_life(PLANS, GZ, gz("2026-03-14T07:00"), gz("2026-03-14T06:50"))
    assert moved == gz("2026-03-14T19:05")


def test_the_current_round_is_the_running_or_the_next() -> None:
    """Between two rounds the next one is meant; at its deadline the one after it."""
    assert current(PLANS, GZ, gz("2026-03-14T12:00")).name == "evening"
    assert current(PLANS, GZ, gz("2026-03-14T06:04")).name == "morning"
    assert next_deadline(PLANS, GZ, MORNING_DEADLINE) == gz("2026-03-14T19:05")


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
