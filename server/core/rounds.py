"""Rounds: when a resident is expected to give a sign of life, and until when.

Times of day are the community's own; deadlines are absolute UTC instants. A round is *missed* when
its deadline (`due` plus a grace for slow networks) has come and no sign of life has. The deadline
itself is already too late: `seen_at < deadline` counts, `seen_at == deadline` does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import get_args
from zoneinfo import ZoneInfo

from server.core.risk import RiskClass

CLASSES: frozenset[str] = frozenset(get_args(RiskClass))

PLAUSIBLE_AHEAD = timedelta(seconds=60)
"""How far a device's clock may run ahead of ours before we stop believing it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One round of the day, in the community's local time. Guangdan walks at 06:00 and 19:00.

    `classes`: the risk classes whose residents owe this round a sign of life.
    """

    name: str
    opens: time
    prompt: time
    due: time
    grace_s: int = 300
    classes: frozenset[str] = CLASSES
    call_at: time | None = None
    """When those still awaited are rung ("press 1 if you are well"); None: nobody is."""

    def __post_init__(self) -> None:
        if not self.classes or not self.classes <= CLASSES:
            raise ValueError(
                f"round {self.name!r}: classes must be some of {', '.join(sorted(CLASSES))}"
            )
        if self.grace_s < 0:
            raise ValueError(f"round {self.name!r}: the grace is in seconds and not below 0")
        if not self.opens < self.prompt < self.due:
            raise ValueError(
                f"round {self.name!r}: opens < prompt < due must hold within one day"
            )
        if self.call_at is not None and not self.opens < self.call_at < self.due:
            raise ValueError(f"round {self.name!r}: call_at must lie between opens and due")


BUILT_IN = (
    Plan("morning", time(4, 30), time(5, 45), time(6, 0)),
    Plan("evening", time(17, 30), time(18, 45), time(19, 0)),
)
"""Guangdan's rounds: in force where a community's own can't be read at all. A mistyped hour must
never mean that nobody is watched."""


def clash(plans: tuple[Plan, ...], another: Plan) -> str | None:
    """Why `another` can't stand beside `plans`, or None: a round is known by its name, and its
    worklist by its deadline."""
    if any(p.name == another.name for p in plans):
        return f"two rounds are called {another.name!r}; give each a name of its own"
    if any(p.due == another.due for p in plans):
        return f"two rounds are due at {another.due:%H:%M}; make them one and list both's classes"
    return None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One round on one day, as UTC instants."""

    name: str
    opens_at: datetime
    prompt_at: datetime
    due_at: datetime
    deadline: datetime
    classes: frozenset[str] = CLASSES
    call_at: datetime | None = None


def covering(plans: tuple[Plan, ...]) -> tuple[Plan, ...]:
    """The same rounds, where a class that none of them names owes all of them: an edit that
    forgets somebody must make us watch them more closely, never not at all."""
    forgotten = CLASSES.difference(*(p.classes for p in plans))
    return tuple(replace(p, classes=p.classes | forgotten) for p in plans)


def owed_by(plans: tuple[Plan, ...], risk_class: str) -> tuple[Plan, ...]:
    """The rounds that a resident of this class owes a sign of life. A class that is none of ours (a
    row that can't be read) owes all of them: better asked for too often than never."""
    return tuple(p for p in plans if risk_class in p.classes) or plans


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
        plan.classes,
        instant(day, plan.call_at, zone) if plan.call_at is not None else None,
    )


def occurrences(plans: tuple[Plan, ...], zone: ZoneInfo, around: datetime) -> Iterator[Occurrence]:
    """The rounds from the day before `around` to two days after it, in order of deadline."""
    yield from _around(plans, zone, around.astimezone(zone).date())


@lru_cache(maxsize=2048)  # asked every second for every plan that is in use
def _around(plans: tuple[Plan, ...], zone: ZoneInfo, today: date) -> tuple[Occurrence, ...]:
    found = [
        occurrence(plan, today + timedelta(days=offset), zone)
        for offset in (-1, 0, 1, 2)
        for plan in plans
    ]
    return tuple(sorted(found, key=lambda o: o.deadline))


def current(plans: tuple[Plan, ...], zone: ZoneInfo, now: datetime) -> Occurrence:
    """The round that is running, or else the next one."""
    return next(o for o in occurrences(plans, zone, now) if o.deadline > now)


def next_to_open(plans: tuple[Plan, ...], zone: ZoneInfo, now: datetime) -> Occurrence:
    """The first round that has yet to open: from it on somebody new is awaited. Nobody is missed
    in a round that was already running when they came to us."""
    return next(o for o in occurrences(plans, zone, now) if o.opens_at >= now)


def running(plans: tuple[Plan, ...], zone: ZoneInfo, now: datetime) -> tuple[Occurrence, ...]:
    """The rounds whose window is open, the first to end first. Windows of two classes may
    overlap."""
    return tuple(o for o in occurrences(plans, zone, now) if o.opens_at <= now < o.deadline)


def last_deadline(plans: tuple[Plan, ...], zone: ZoneInfo, now: datetime) -> datetime:
    """The latest deadline that has come by `now`."""
    return max(o.deadline for o in occurrences(plans, zone, now) if o.deadline <= now)


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
    following_opens_at: datetime

    def after_sign_of_life(self, seen_at: datetime) -> datetime | None:
        """The next deadline of a resident who was seen at `seen_at`; None when it stays.

        Only a sign from inside the awaited round's window meets it: a press at ten in the morning
        says nothing about the evening. But nobody may have been judged since (we were blind, or
        stood still): a sign from a later round's window meets that one, and whoever was heard there
        is looked for no more.
        """
        if self.round is None:  # judge by the new plan from here on
            return next_deadline(self.plans, self.zone, max(self.next_due_at, seen_at))
        if seen_at < self.round.deadline:
            return self.following if self.round.opens_at <= seen_at else None
        if seen_at < self.following_opens_at:
            return None
        later = current(self.plans, self.zone, seen_at)
        if later.opens_at <= seen_at:
            return next_deadline(self.plans, self.zone, later.deadline)
        return None


def awaited(plans: tuple[Plan, ...], zone: ZoneInfo, next_due_at: datetime) -> Awaited:
    """What a resident with this deadline owes."""
    found = next(
        (o for o in occurrences(plans, zone, next_due_at) if o.deadline == next_due_at), None
    )
    following = current(plans, zone, next_due_at)
    return Awaited(plans, zone, next_due_at, found, following.deadline, following.opens_at)


def after_sign_of_life(
    plans: tuple[Plan, ...], zone: ZoneInfo, next_due_at: datetime, seen_at: datetime
) -> datetime:
    """The resident's next deadline once they were seen at `seen_at`."""
    return awaited(plans, zone, next_due_at).after_sign_of_life(seen_at) or next_due_at


def clears(
    plans: tuple[Plan, ...], zone: ZoneInfo, deadline: datetime, seen_at: datetime
) -> bool:
    """Whether a sign of life from `seen_at` clears the item of the round with this deadline.

    From the opening of its window on, however late. One from before says nothing about the round,
    also when it comes in after it: a terminal that was off the network all night hands in the
    evening's check-in in the morning. Of a round that is in no plan any more, only signs from after
    its deadline count.
    """
    found = next((o for o in occurrences(plans, zone, deadline) if o.deadline == deadline), None)
    return seen_at >= (deadline if found is None else found.opens_at)


def due_anew(
    plans: tuple[Plan, ...], zone: ZoneInfo, now: datetime, last_sign_at: datetime | None
) -> datetime:
    """The deadline of somebody who is watched from `now` on, or by other rounds from now on: the
    next one, unless they have checked in for that round already."""
    due = next_deadline(plans, zone, now)
    return due if last_sign_at is None else after_sign_of_life(plans, zone, due, last_sign_at)


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
