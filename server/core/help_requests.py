"""Help that is asked for and can wait: one register, one procedure, a date by which it is due.

Pure. A request is no alarm and never becomes one: whoever needs somebody *now* presses, or calls
120. Open → taken by a person → done with an ending, or withdrawn with a reason; every step has a
name beside it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final, assert_never
from zoneinfo import ZoneInfo


class Want(StrEnum):
    """What is asked for. Complaints and wishes stand in the same register (Chuanhui)."""

    ERRAND = "errand"
    REPAIR = "repair"
    HAIRCUT = "haircut"
    WISH = "wish"
    COMPLAINT = "complaint"
    OTHER = "other"


class Source(StrEnum):
    """By which door a request came."""

    DESK = "desk"
    PHONE = "phone"
    STEWARD = "steward"
    """A steward's word: an SMS, or told to the desk where they can't text us."""
    GREETING = "greeting"
    """Said in a greeting call."""
    TERMINAL = "terminal"
    """A key of the resident's own terminal."""


class Stage(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    TAKEN = "taken"
    DONE = "done"
    WITHDRAWN = "withdrawn"


class Ending(StrEnum):
    """How a request that was dealt with ended."""

    SOLVED = "solved"
    PASSED_ON = "passed_on"
    """Another office has it now, and the household knows which."""
    NOT_POSSIBLE = "not_possible"


WITHIN: Final[Mapping[Want, timedelta]] = {
    # Changsha: small problems are solved the same day. The others are this house's own measure.
    Want.REPAIR: timedelta(0),
    Want.ERRAND: timedelta(days=1),
    Want.OTHER: timedelta(days=3),
    Want.HAIRCUT: timedelta(days=7),
    Want.COMPLAINT: timedelta(days=7),
    Want.WISH: timedelta(days=30),
}
"""So many days after the day on which it was asked for; due at the end of that day."""
CLOSING: Final = time(16)
"""What is asked for later in the day (community's time) counts as asked for tomorrow."""


def due_at(want: Want, asked_at: datetime, zone: ZoneInfo) -> datetime:
    """The end of the local day on which it is due, as an instant."""
    local = asked_at.astimezone(zone)
    day = local.date() + WITHIN[want] + timedelta(days=1 if local.time() >= CLOSING else 0)
    return datetime.combine(day + timedelta(days=1), time(0), zone)


@dataclass(frozen=True, slots=True)
class Helper:
    """Whoever sees to a request; `person_id` where they are a contact of the register."""

    name: str
    person_id: int | None = None


@dataclass(frozen=True, slots=True)
class HelpRequest:
    """A request as the rules see it."""

    want: Want
    asked_at: datetime
    due_at: datetime
    stage: Stage = Stage.OPEN
    helper: Helper | None = None
    taken_at: datetime | None = None
    closed_at: datetime | None = None
    ending: Ending | None = None
    why: str = ""
    """What was done, or why it was withdrawn."""

    @property
    def closed(self) -> bool:
        """Nothing is left to do."""
        return self.stage in (Stage.DONE, Stage.WITHDRAWN)

    def overdue(self, now: datetime) -> bool:
        """Somebody still waits after the day that was named."""
        return not self.closed and now >= self.due_at

    @property
    def in_time(self) -> bool:
        """Done by the day that was named."""
        return (
            self.stage is Stage.DONE and self.closed_at is not None and self.closed_at < self.due_at
        )


# What can happen to a request.


@dataclass(frozen=True, slots=True)
class Take:
    """"I see to it." """

    helper: Helper


@dataclass(frozen=True, slots=True)
class HandOn:
    """Somebody else sees to it from now on, and it is said why."""

    helper: Helper
    why: str


@dataclass(frozen=True, slots=True)
class Finish:
    """It was dealt with."""

    ending: Ending
    why: str = ""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Nobody wants it any more, or it was a mistake."""

    why: str


Event = Take | HandOn | Finish | Withdraw


class Reason(StrEnum):
    """Why a decision came out as it did."""

    TAKEN = "taken"
    HANDED_ON = "handed_on"
    DONE = "done"
    WITHDRAWN = "withdrawn"
    ALREADY = "already"
    """The same once more: nothing changes, nobody is refused."""
    HAS_A_HELPER = "has_a_helper"
    NOBODY_HAS_IT = "nobody_has_it"
    NO_WHY = "no_why"
    CLOSED = "closed"


REFUSALS: Final = frozenset({
    Reason.HAS_A_HELPER, Reason.NOBODY_HAS_IT, Reason.NO_WHY, Reason.CLOSED,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """The reason, and the request afterwards (the same one where it was refused)."""

    reason: Reason
    request: HelpRequest


def decide(request: HelpRequest, event: Event, now: datetime) -> Decision:
    """The only place where a request changes."""
    match event:
        case Take(helper):
            return _take(request, helper, now)
        case HandOn(helper, why):
            return _hand_on(request, helper, why, now)
        case Finish(ending, why):
            if request.closed:
                same = request.stage is Stage.DONE and request.ending is ending
                return Decision(Reason.ALREADY if same else Reason.CLOSED, request)
            if ending is not Ending.SOLVED and not why:
                return Decision(Reason.NO_WHY, request)
            if request.helper is None:
                return Decision(Reason.NOBODY_HAS_IT, request)
            done = replace(request, stage=Stage.DONE, closed_at=now, ending=ending, why=why)
            return Decision(Reason.DONE, done)
        case Withdraw(why):
            if request.closed:
                same = request.stage is Stage.WITHDRAWN
                return Decision(Reason.ALREADY if same else Reason.CLOSED, request)
            if not why:
                return Decision(Reason.NO_WHY, request)
            gone = replace(request, stage=Stage.WITHDRAWN, closed_at=now, why=why)
            return Decision(Reason.WITHDRAWN, gone)
        case _:
            assert_never(event)


def _take(request: HelpRequest, helper: Helper, now: datetime) -> Decision:
    if request.closed:
        return Decision(Reason.CLOSED, request)
    if request.helper == helper:
        return Decision(Reason.ALREADY, request)
    if request.helper is not None:  # two at one door, and each believes the other went
        return Decision(Reason.HAS_A_HELPER, request)
    return Decision(Reason.TAKEN, _given(request, helper, now))


def _hand_on(request: HelpRequest, helper: Helper, why: str, now: datetime) -> Decision:
    if request.closed:
        return Decision(Reason.CLOSED, request)
    if request.helper == helper:
        return Decision(Reason.ALREADY, request)
    if request.helper is None:
        return Decision(Reason.NOBODY_HAS_IT, request)
    if not why:
        return Decision(Reason.NO_WHY, request)
    return Decision(Reason.HANDED_ON, _given(request, helper, now))


def _given(request: HelpRequest, helper: Helper, now: datetime) -> HelpRequest:
    return replace(request, stage=Stage.TAKEN, helper=helper, taken_at=now)


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of the requests of a period. `done` holds all endings; `in_time` of those."""

    asked: int = 0
    done: int = 0
    in_time: int = 0
    withdrawn: int = 0
    waiting: int = 0
    overdue: int = 0


def figures(requests: Iterable[HelpRequest], now: datetime) -> dict[Want, Figures]:
    """By kind, every kind. No figure of a person: those who help are volunteers."""
    found = dict.fromkeys(Want, Figures())
    for r in requests:
        f = found[r.want]
        found[r.want] = Figures(
            f.asked + 1,
            f.done + (r.stage is Stage.DONE),
            f.in_time + r.in_time,
            f.withdrawn + (r.stage is Stage.WITHDRAWN),
            f.waiting + (not r.closed),
            f.overdue + r.overdue(now),
        )
    return found
