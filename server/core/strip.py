"""The last rounds of a resident, a building or the façade: which they were, what was owed, and what
came. Pure, and the one place where that is decided.

A mark is only given for what is known. Where nothing is (not watched yet, the server stood still,
nobody was judged after a clock jump) it says `unknown`, and is counted as neither good nor bad.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from server.core.rounds import Occurrence, Plan, occurrence

SHOWN = 14
"""A week of two rounds a day: enough to see a habit break."""


class Mark(StrEnum):
    """What became of one round for one resident."""

    CHECKED = "checked"
    """A sign of life in the round's window."""
    LATE = "late"
    """Missed, and the resident checked in afterwards."""
    MISSED = "missed"
    """Missed; somebody had to look, or still has."""
    AWAY = "away"
    """Not awaited: a planned absence."""
    NOT_OWED = "not_owed"
    """A round that this resident's class does not owe; a press in it is welcome all the same."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` until `end` (None: still)."""

    start: datetime
    end: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether `at` lies inside."""
        return self.start <= at and (self.end is None or at < self.end)


def past(
    plans: tuple[Plan, ...], zone: ZoneInfo, since: datetime, until: datetime
) -> tuple[Occurrence, ...]:
    """The rounds whose deadline lies in (`since`, `until`], oldest first."""
    first = since.astimezone(zone).date() - timedelta(days=1)
    days = (until.astimezone(zone).date() - first).days + 2
    found = (occurrence(p, first + timedelta(days=n), zone) for n in range(days) for p in plans)
    return tuple(sorted((o for o in found if since < o.deadline <= until),
                        key=lambda o: o.deadline))  # fmt: skip


def last(
    plans: tuple[Plan, ...], zone: ZoneInfo, now: datetime, count: int = SHOWN,
    held: Sequence[Occurrence] = (),
) -> tuple[Occurrence, ...]:
    """The last `count` rounds that are over, oldest first. `held`: rounds as they were written down
    when they opened; they stand in the place of what the plan says today of that name and day (it
    may have been edited since). What stands in the plan alone fell into a time we stood still."""
    if not plans:
        return ()
    days = -(-count // len(plans)) + 1
    written = {_name_and_day(o, zone) for o in held}
    planned = past(plans, zone, now - timedelta(days=days), now)
    found = [o for o in planned if _name_and_day(o, zone) not in written]
    found += [o for o in held if o.deadline <= now]
    return tuple(sorted(found, key=lambda o: o.deadline))[-count:]


def _name_and_day(o: Occurrence, zone: ZoneInfo) -> tuple[str, date]:
    return o.name, o.due_at.astimezone(zone).date()


def mark(
    round_: Occurrence,
    signs: Sequence[datetime],
    missed: Mapping[datetime, str | None],
    away: Sequence[Span],
    risk_class: str | None = None,
) -> Mark:
    """What became of `round_`. `missed`: deadline → how the flat's item was settled (None: not
    yet). A worklist outranks a sign: a press that reached us after the judgement came too late to
    spare anybody the walk. `risk_class`: the resident's, as of today; None: all rounds are owed."""
    if round_.deadline in missed:
        return Mark.LATE if missed[round_.deadline] == "checked_in" else Mark.MISSED
    if risk_class is not None and risk_class not in round_.classes:
        return Mark.NOT_OWED
    if any(round_.opens_at <= at < round_.deadline for at in signs):
        return Mark.CHECKED
    return Mark.AWAY if any(a.holds(round_.deadline) for a in away) else Mark.UNKNOWN


class Letter(StrEnum):
    """One round of a whole building under its façade."""

    ALL_IN = "o"
    MISSED = "m"
    BLIND = "b"
    UNKNOWN = "-"
    """Before our time."""


def letter(
    deadline: datetime, missed: int, blind: Sequence[Span], began: datetime | None
) -> Letter:
    """What became of a building's round. `missed`: residents on its worklist; `blind`: when nobody
    could be judged; `began`: the first thing we remember."""
    if missed:
        return Letter.MISSED
    if began is None or deadline < began:
        return Letter.UNKNOWN
    return Letter.BLIND if any(b.holds(deadline) for b in blind) else Letter.ALL_IN


@dataclass(frozen=True, slots=True)
class Tally:
    """One round of a whole building. `owed` is what was awaited: checked, late and missed."""

    owed: int
    checked: int
    late: int
    missed: int
    away: int
    unknown: int


def tally(marks: Sequence[Mark]) -> Tally:
    """All residents' marks of one round together."""
    n = {m: marks.count(m) for m in Mark}
    owed = n[Mark.CHECKED] + n[Mark.LATE] + n[Mark.MISSED]
    return Tally(owed, n[Mark.CHECKED], n[Mark.LATE], n[Mark.MISSED], n[Mark.AWAY],
                 n[Mark.UNKNOWN])  # fmt: skip


def absences(begun: Sequence[tuple[datetime, datetime]],
             ended: Sequence[datetime]) -> tuple[Span, ...]:  # fmt: skip
    """Spans of absence from the journal: (noted at, planned end) of each that began, and when each
    was over. An absence that was prolonged is two spans that overlap."""
    spans = []
    for at, until in begun:
        over = min((e for e in ended if e >= at), default=until)
        spans.append(Span(at, min(over, until)))
    return tuple(spans)
