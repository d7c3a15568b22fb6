"""The figures of a report: times, outcomes, rounds, messages, uptime. Pure.

Every figure comes with how many cases it is made of. Nothing here knows a person: stewards are
volunteers, and there must never be a figure by which one could be ranked.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from server.core.rounds import Occurrence, instant

LONGEST_DAYS = 92
"""A quarter. Longer periods are read off several reports, so that none can hold up the server."""


class BadPeriod(ValueError):
    """The period can't be reported on."""

    def __init__(self, why: "Why") -> None:
        super().__init__(why.value)
        self.why = why


class Why(StrEnum):
    """What is wrong with a period."""

    BACKWARDS = "backwards"
    TOO_LONG = "too_long"
    FUTURE = "future"
    TOO_MUCH = "too_much"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole local days, `first` to `last` inclusive, as the instants [start, end)."""

    first: date
    last: date
    start: datetime
    end: datetime


def period(first: date, last: date, zone: ZoneInfo, now: datetime) -> Period:
    """The period of these local days, a day of 23 or 25 hours included. Raises BadPeriod."""
    if last < first:
        raise BadPeriod(Why.BACKWARDS)
    if (last - first).days >= LONGEST_DAYS:
        raise BadPeriod(Why.TOO_LONG)
    if first > now.astimezone(zone).date():
        raise BadPeriod(Why.FUTURE)
    midnight = time(0)
    end = instant(last + timedelta(days=1), midnight, zone)
    return Period(first, last, instant(first, midnight, zone), end)


def percentile(values: Collection[float], percent: int) -> float | None:
    """The nearest-rank percentile: the smallest value that at least `percent` % of `values` do not
    exceed. Always a value that really occurred; None when there is none."""
    if not values:
        return None
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in seconds, in the `n` of `of` cases in which it happened."""

    n: int
    of: int
    p50_s: float | None
    p95_s: float | None


def times(spans_s: Sequence[float | None]) -> Times:
    """One entry a case; None where it never happened. A case that never happened has no time, so
    `n` of `of` must be read together with the percentiles."""
    took = [s for s in spans_s if s is not None]
    return Times(len(took), len(spans_s), percentile(took, 50), percentile(took, 95))


@dataclass(frozen=True, slots=True)
class Alarm:
    """An SOS or fall, or a worklist, with the first time each thing happened."""

    building_id: int | None
    opened_at: datetime
    told_at: datetime | None = None
    accepted_at: datetime | None = None
    arrived_at: datetime | None = None
    resolved_at: datetime | None = None
    outcome: str | None = None
    test: bool = False


def _after_s(alarm: Alarm, at: datetime | None) -> float | None:
    return None if at is None else max(0.0, (at - alarm.opened_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Message:
    """One SMS: `state` as the provider last said, `known_at` when it said so."""

    building_id: int | None
    state: str
    created_at: datetime
    known_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sms:
    """What became of the messages. Those cancelled before they left are not among `of`."""

    of: int
    delivered: int
    failed: int
    pending: int
    p50_s: float | None
    p95_s: float | None


def sms(messages: Sequence[Message]) -> Sms:
    """Messages by their fate, and how long delivery took."""
    sent = [m for m in messages if m.state != "cancelled"]
    came = [m for m in sent if m.state == "delivered"]
    failed = sum(m.state in ("failed", "undelivered") for m in sent)
    took = times([(m.known_at - m.created_at).total_seconds() for m in came if m.known_at])
    return Sms(len(sent), len(came), failed, len(sent) - len(came) - failed, took.p50_s,
               took.p95_s)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign of life, dated to when the person was there."""

    resident_id: int
    building_id: int
    at: datetime
    risk_class: str | None = None
    """The resident's, as of today: it says which rounds were theirs to owe. None: all."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A resident on a worklist: `outcome` None while nobody has settled it."""

    resident_id: int
    building_id: int
    deadline: datetime
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Rounds:
    """`held`: rounds in which anybody was awaited. `owed` = checked + late + found + open."""

    held: int
    owed: int
    checked: int
    late: int
    found: int
    open: int


def rounds(
    over: Sequence[Occurrence], signs: Sequence[Sign], misses: Sequence[Miss]
) -> Rounds:
    """How complete the rounds in `over` (oldest first) were. Somebody who missed a round is
    counted as missed, also when a stored press of theirs came in afterwards."""
    deadlines = [o.deadline for o in over]
    known = set(deadlines)
    missed = {(m.resident_id, m.deadline): m.outcome for m in misses if m.deadline in known}
    checked: set[tuple[int, datetime]] = set()
    for sign in signs:
        index = bisect_right(deadlines, sign.at)
        if index == len(over) or sign.at < over[index].opens_at:
            continue
        if sign.risk_class in (None, *over[index].classes):  # or the round was not theirs to owe
            checked.add((sign.resident_id, deadlines[index]))
    on_time = {who for who in checked if who not in missed}
    late = sum(outcome == "checked_in" for outcome in missed.values())
    unsettled = sum(outcome is None for outcome in missed.values())
    held = {deadline for _, deadline in on_time | set(missed)}
    return Rounds(
        held=len(held),
        owed=len(on_time) + len(missed),
        checked=len(on_time),
        late=late,
        found=len(missed) - late - unsettled,
        open=unsettled,
    )


def together(each: Sequence[Rounds]) -> Rounds:
    """The rounds of several communities, each of which holds its own."""
    return Rounds(
        held=sum(r.held for r in each), owed=sum(r.owed for r in each),
        checked=sum(r.checked for r in each), late=sum(r.late for r in each),
        found=sum(r.found for r in each), open=sum(r.open for r in each),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Offline:
    """A terminal was silent from `start` until `end` (None: still)."""

    building_id: int | None
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Uptime:
    """`share`: 0 to 1 of the terminals' time in which they were heard; None without any."""

    terminals: int
    offline_s: float
    share: float | None


def uptime(spans: Sequence[Offline], terminals: int, start: datetime, end: datetime) -> Uptime:
    """Terminal time heard, of all terminal time in [start, end)."""
    offline_s = sum(
        max(0.0, (min(s.end or end, end) - max(s.start, start)).total_seconds()) for s in spans
    )
    whole_s = terminals * max(0.0, (end - start).total_seconds())
    share = max(0.0, 1 - offline_s / whole_s) if whole_s else None
    return Uptime(terminals, offline_s, share)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a report is made of. `terminals`: building → how many are in service today."""

    alarms: Sequence[Alarm]
    worklists: Sequence[Alarm]
    messages: Sequence[Message]
    over: Sequence[Occurrence]
    signs: Sequence[Sign]
    misses: Sequence[Miss]
    offline: Sequence[Offline]
    terminals: dict[int, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """One building's report, or the community's."""

    alarms: int
    tests: int
    told: Times
    accepted: Times
    door: Times
    outcomes: dict[str, int]
    open: int
    closed: int
    false_alarms: int
    rounds: Rounds
    worklists: Times
    sms: Sms
    uptime: Uptime


def figures(facts: Facts, start: datetime, end: datetime) -> Figures:
    """All figures of the period [start, end), where `end` is not after now."""
    real = [a for a in facts.alarms if not a.test]
    outcomes = Counter(a.outcome for a in real if a.outcome)
    return Figures(
        alarms=len(real),
        tests=len(facts.alarms) - len(real),
        told=times([_after_s(a, a.told_at) for a in real]),
        accepted=times([_after_s(a, a.accepted_at) for a in real]),
        door=times([_after_s(a, a.arrived_at) for a in real]),
        outcomes=dict(sorted(outcomes.items())),
        open=sum(a.resolved_at is None for a in real),
        closed=sum(a.resolved_at is not None for a in real),
        false_alarms=outcomes["false_alarm"],
        rounds=rounds(facts.over, facts.signs, facts.misses),
        worklists=times([_after_s(w, w.resolved_at) for w in facts.worklists]),
        sms=sms(facts.messages),
        uptime=uptime(facts.offline, sum(facts.terminals.values()), start, end),
    )


def of_building(facts: Facts, building_id: int) -> Facts:
    """The part of the facts that is about one building."""
    return of_buildings(facts, {building_id})


def of_buildings(facts: Facts, ids: Collection[int]) -> Facts:
    """The part of the facts that is about these buildings."""
    return Facts(
        alarms=[a for a in facts.alarms if a.building_id in ids],
        worklists=[w for w in facts.worklists if w.building_id in ids],
        messages=[m for m in facts.messages if m.building_id in ids],
        over=facts.over,
        signs=[s for s in facts.signs if s.building_id in ids],
        misses=[m for m in facts.misses if m.building_id in ids],
        offline=[o for o in facts.offline if o.building_id in ids],
        terminals={b: facts.terminals.get(b, 0) for b in ids},
    )
