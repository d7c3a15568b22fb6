"""Visits that are owed: after a move, an illness, in hardship. Pure.

A debt of the community to a person, with a date; it is paid by somebody who goes, and by nothing
else. Whoever was named for a resident (the befriender) goes first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo


class Cause(StrEnum):
    """Why a visit is owed (Chuanhui's table)."""

    MOVE_IN = "move_in"
    ILLNESS = "illness"
    HARDSHIP = "hardship"
    OTHER = "other"


class VisitState(StrEnum):
    """Where a visit stands."""

    OWED = "owed"
    PAID = "paid"
    DROPPED = "dropped"
    """It will not take place, and it is said why."""


WITHIN: Final[Mapping[Cause, timedelta]] = {
    # This house's own measure; the practice that was looked at names the causes and no days.
    Cause.ILLNESS: timedelta(days=3),
    Cause.MOVE_IN: timedelta(days=7),
    Cause.HARDSHIP: timedelta(days=7),
    Cause.OTHER: timedelta(days=14),
}
MOST_NEW: Final = 20
"""So many new residents in one change of the register have moved in; more are a register that is
being filled, and the people in it have lived there for decades."""
STAY: Final = ("住院", "医院", "出院", "手术", "生病", "养病", "hospital", "surgery", "ill", "sick")
"""What the reason of an absence says when somebody was ill."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit as the rules see it."""

    cause: Cause
    opened_at: datetime
    due_at: datetime
    state: VisitState = VisitState.OWED
    closed_at: datetime | None = None
    note: str = ""

    def overdue(self, now: datetime) -> bool:
        """Still owed after the day that was named."""
        return self.state is VisitState.OWED and now >= self.due_at


class Reason(StrEnum):
    """Why a decision came out as it did."""

    PAID = "paid"
    DROPPED = "dropped"
    ALREADY = "already"
    CLOSED = "closed"
    NO_WHY = "no_why"


@dataclass(frozen=True, slots=True)
class Decision:
    """The reason, and the visit afterwards (the same one where it was refused)."""

    reason: Reason
    visit: Visit


def due_at(cause: Cause, opened_at: datetime, zone: ZoneInfo) -> datetime:
    """The end of the local day by which somebody has gone, as an instant."""
    day = opened_at.astimezone(zone).date() + WITHIN[cause]
    return datetime.combine(day + timedelta(days=1), time(0), zone)


def pay(visit: Visit, note: str, now: datetime) -> Decision:
    """Somebody went."""
    return _close(visit, VisitState.PAID, note, Reason.PAID, now)


def drop(visit: Visit, why: str, now: datetime) -> Decision:
    """Nobody will go: said with a reason, so that no debt is lost by a slip."""
    if visit.state is VisitState.OWED and not why:
        return Decision(Reason.NO_WHY, visit)
    return _close(visit, VisitState.DROPPED, why, Reason.DROPPED, now)


def _close(
    visit: Visit, state: VisitState, note: str, reason: Reason, now: datetime
) -> Decision:
    if visit.state is state:
        return Decision(Reason.ALREADY, visit)
    if visit.state is not VisitState.OWED:
        return Decision(Reason.CLOSED, visit)
    return Decision(reason, replace(visit, state=state, closed_at=now, note=note))


def who_goes(befrienders: Sequence[str], stewards: Sequence[str]) -> tuple[str, ...]:
    """Whose visit it is: the befriender's; where there is none, the stewards'."""
    return tuple(befrienders) or tuple(stewards)


def moved_in(new: int, before: int) -> bool:
    """Whether residents who are new in the register (`new` of them, in one change) have moved in.
    `before`: how many there were. The first file of a community fills the register."""
    return before > 0 and 0 < new <= MOST_NEW


def was_ill(why: str) -> bool:
    """Whether the reason of an absence tells of an illness."""
    words = set(why.lower().replace(",", " ").split())
    return any(
        stay in words if stay.isascii() else stay in why for stay in STAY
    )
