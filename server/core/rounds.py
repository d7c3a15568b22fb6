"""Rounds: when a resident is expected to give a sign of life, and until when.

Times of day are the community's own; deadlines are absolute UTC instants. A round is *missed* when
its deadline (`due` plus a grace for slow networks) has come and no sign of life has. The deadline
itself is already too late: `seen_at < deadline` counts, `seen_at == deadline` does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

PLAUSIBLE_AHEAD = timedelta(seconds=60)
"""How far a device's clock may run ahead of ours before we stop believing it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One round of the day, in the community's local time. Guangdan walks at 06:00 and 19:00."""

    name: str
    opens: time
    prompt: time
    due: time
    grace_s: int = 300

    def __post_init__(self) -> None:
        if not self.opens < self.prompt < self.due:
            raise ValueError(
                f"round {self.name!r}: opens < prompt < due must hold within one day"
            )


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One round on one day, as UTC instants."""

    name: str
    opens_at: datetime
    prompt_at: datetime
    due_at: datetime
    deadline: datetime


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC instant of a local wall time.

    In the autumn night that has 02:30 twice the first one counts (`fold=0`); in the spring night
    that has none, the instant is as far after the gap as the wall time was inside it (PEP 495).
    """
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def occurrence(plan: Plan, day: date, zone: ZoneInfo) -> Occurrence:
    """`plan` on the local `day`."""
    due_at = instant(day, plan.due, zone)
    return Occurrence(
        plan.name,
        instant(day, plan.opens, zone),
        instant(day, plan.prompt, zone),
        due_at,
        due_at + timedelta(seconds=plan.grace_s),
    )


def occurrences(plans: tuple[Plan, ...], zone: ZoneInfo, around: datetime) -> Iterator[Occurrence]:
    """The rounds from the day before `around` to two days after it, in order of deadline."""
    today = around.astimezone(zone).date()
    found = [
        occurrence(plan, today + timedelta(days=offset), zone)
        for offset in (-1, 0, 1, 2)
        for plan in plans
    ]
    yield from sorted(found, key=lambda o: o.deadline)


def current(plans: tuple[Plan, ...], zone: ZoneInfo, now: datetime) -> Occurrence:
    """The round that is running, or else the next one."""
    return next(o for o in occurrences(plans, zone, now) if o.deadline > now)


def next_deadline(plans: tuple[Plan, ...], zone: ZoneInfo, after: datetime) -> datetime:
    """The first deadline strictly later than `after`."""
    return current(plans, zone, after).deadline


@dataclass(frozen=True, slots=True)
class Awaited:
    """The round in which everybody with this deadline owes a sign of life, worked out once for
    all of them. `round` is None when the plan was edited since the deadline was set."""

    plans: tuple[Plan, ...]
    zone: ZoneInfo
    next_due_at: datetime
    round: Occurrence | None
    following: datetime

    def after_sign_of_life(self, seen_at: datetime) -> datetime | None:
        """The next deadline of a resident who was seen at `seen_at`; None when it stays.

        Only a sign from inside the awaited round's window meets it: a press at ten in the morning
        says nothing about the evening.
        """
        if self.round is None:  # judge by the new plan from here on
            return next_deadline(self.plans, self.zone, max(self.next_due_at, seen_at))
        if self.round.opens_at <= seen_at < self.round.deadline:
            return self.following
        return None


def awaited(plans: tuple[Plan, ...], zone: ZoneInfo, next_due_at: datetime) -> Awaited:
    """What a resident with this deadline owes."""
    found = next(
        (o for o in occurrences(plans, zone, next_due_at) if o.deadline == next_due_at), None
    )
    following = next_deadline(plans, zone, next_due_at)
    return Awaited(plans, zone, next_due_at, found, following)


def after_sign_of_life(
    plans: tuple[Plan, ...], zone: ZoneInfo, next_due_at: datetime, seen_at: datetime
) -> datetime:
    """The resident's next deadline once they were seen at `seen_at`."""
    return awaited(plans, zone, next_due_at).after_sign_of_life(seen_at) or next_due_at


def seen_at(
    received_at: datetime, occurred_at: datetime | None, *, clock_ok: bool, buffered: bool
) -> datetime:
    """When the person was really there: server time decides, device time explains.

    A live event happened when it arrived. Only a stored one is dated by the device, and only while
    the device's clock can be believed.
    """
    if not buffered or occurred_at is None or not clock_ok:
        return received_at
    if occurred_at > received_at + PLAUSIBLE_AHEAD:
        return received_at
    return min(occurred_at, received_at)
