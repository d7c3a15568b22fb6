"""The rota: who of the care centre is on duty at an instant, and where nobody is. Pure.

Shifts are written as people say them (weekdays, from, to, in the community's own time) and judged
as instants. Where one shift ends at the wall time at which the next begins, both are the same
instant, also in the night that has an hour twice or lacks one: `rounds.instant` decides for both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from server.core.rounds import instant

DAYS = frozenset(range(1, 8))
WEEK = timedelta(days=7)
HORIZON = timedelta(hours=24)
"""A hole in the rota is told so long before it comes: time enough to ring somebody up."""
AROUND = timedelta(days=8)
"""A week repeats itself, so every hole that ends begins and ends within so many days."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One shift of one person. `days`: ISO weekdays (Monday 1) on which it *begins*; one that ends
    at or before its begin ends on the following day."""

    days: frozenset[int]
    starts: time
    ends: time

    def __post_init__(self) -> None:
        if not self.days or not self.days <= DAYS:
            raise ValueError("a shift needs weekdays from 1 (Monday) to 7 (Sunday)")


@dataclass(frozen=True, slots=True)
class Span:
    """From the first instant up to, not including, the second. None: for as long as we look."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Duty:
    """One person's part of the rota. No shifts at all: always on duty (a desk, not a person)."""

    shifts: tuple[Shift, ...]
    absent_until: datetime | None = None


def _turns(
    shifts: Iterable[Shift], zone: ZoneInfo, since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Every turn that touches [since, until), as instants, in no order."""
    first = since.astimezone(zone).date() - timedelta(days=1)  # one from yesterday over midnight
    last = until.astimezone(zone).date()
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        for shift in shifts:
            if day.isoweekday() not in shift.days:
                continue
            over_midnight = shift.ends <= shift.starts
            end_day = day + timedelta(days=1) if over_midnight else day
            start, end = instant(day, shift.starts, zone), instant(end_day, shift.ends, zone)
            if start < end and start < until and since < end:
                yield start, end


def on_shift(shifts: Sequence[Shift], zone: ZoneInfo, at: datetime) -> bool:
    """Whether somebody with these shifts is on duty at `at`."""
    moment = at + timedelta(microseconds=1)
    return not shifts or any(True for _ in _turns(shifts, zone, at, moment))


def changes_at(shifts: Sequence[Shift], zone: ZoneInfo, at: datetime) -> datetime | None:
    """When whoever is on duty at `at` goes off, or whoever is off comes on; None: never."""
    if not shifts:
        return None
    merged = _merged(_turns(shifts, zone, at - AROUND, at + AROUND))
    edges = (edge for turn in merged for edge in turn if edge > at)
    found = min(edges, default=None)
    return found if found is not None and found < at + AROUND else None


def turn(shifts: Sequence[Shift], zone: ZoneInfo, at: datetime) -> tuple[bool, datetime | None]:
    """`on_shift` and `changes_at` together, remembered for the minute: every look at a roster asks
    for them, also in the transaction of an SOS. Shifts begin and end on whole minutes."""
    return _turn(tuple(shifts), zone, minute_of(at))


@lru_cache(maxsize=1024)
def _turn(
    shifts: tuple[Shift, ...], zone: ZoneInfo, minute: datetime
) -> tuple[bool, datetime | None]:
    return on_shift(shifts, zone, minute), changes_at(shifts, zone, minute)


def _merged(turns: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Turns in order, those that touch or overlap joined."""
    joined: list[tuple[datetime, datetime]] = []
    for start, end in sorted(turns):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


@lru_cache(maxsize=64)  # asked every second, and the answer holds for a minute
def gaps_ahead(
    duty: tuple[Duty, ...], zone: ZoneInfo, minute: datetime, ahead: timedelta = HORIZON
) -> tuple[Span, ...]:
    """When nobody stands on duty from `minute` on for so long `ahead` (less than AROUND), as whole
    spans.

    `duty`: those who can be reached at all. An absence counts as from now. A span without a start
    (or end) began (or ends) further away than a week.
    """
    since, until = minute - AROUND, minute + AROUND
    turns: list[tuple[datetime, datetime]] = []
    for one in duty:
        back = max(one.absent_until or since, since)
        own = _turns(one.shifts, zone, since, until) if one.shifts else [(since, until)]
        turns += [(max(start, back), end) for start, end in own if end > back]
    found, free_from = [], since
    for start, end in [*_merged(turns), (until, until)]:
        if free_from < start and free_from < minute + ahead and start > minute:
            found.append(
                Span(free_from if free_from > since else None, start if start < until else None)
            )
        free_from = max(free_from, end)
    return tuple(found)


def minute_of(at: datetime) -> datetime:
    """`at` without its seconds, in UTC."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)
