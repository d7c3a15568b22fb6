"""How many minutes a deed is worth: the rule that staff read out when somebody asks. Pure.

It is written out in docs/services.md; tests/unit/core/test_hours_rule.py is its table of cases.
Nobody's hours are compared with anybody else's, here or anywhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from server.core.words import Kind, Role

ROUND_MIN: Final = 30
"""A house of 20 to 40 flats, walked door by door (the house's own measure)."""
STEP_MIN: Final = 15
LEAST_MIN: Final = 30
MOST_MIN: Final = 240
"""Who goes with the ambulance has given an afternoon; what is forgotten to be closed has not."""
VOLUNTEERS: Final = frozenset({Role.STEWARD, Role.SUBSTITUTE, Role.KEY_HOLDER, Role.BEFRIENDER})
"""Desks are at work and families are at home: neither saves hours by it."""


@dataclass(frozen=True, slots=True)
class RoundWalked:
    """A building was reported as walked. `person_id` None: staff said so without a name."""

    person_id: int | None
    rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class Responded:
    """One person's part in an alert."""

    person_id: int | None
    role: Role
    kind: Kind
    accepted_at: datetime
    on_scene_at: datetime | None
    resolved_at: datetime | None
    closed_it: bool = False
    """They said themselves how it ended: then they were there, also without "at the door"."""
    test: bool = False
    rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class SawTo:
    """A help request that somebody saw to, with the minutes they say it took."""

    person_id: int | None
    minutes: int


Deed = RoundWalked | Responded | SawTo


class Why(StrEnum):
    """Why a deed is worth what it is."""

    WALKED = "walked"
    WENT = "went"
    HELPED = "helped"
    NO_NAME = "no_name"
    REHEARSAL = "rehearsal"
    TEST = "test"
    NO_VOLUNTEER = "no_volunteer"
    WORKLIST = "worklist"
    """Flats that missed a round are part of the round, which is credited by itself."""
    NOT_THERE = "not_there"
    """Said "I am going", and neither "at the door" nor how it ended."""
    NOT_OVER = "not_over"
    NO_TIME = "no_time"


@dataclass(frozen=True, slots=True)
class Worth:
    """Minutes, and why so many."""

    minutes: int
    why: Why


def worth(deed: Deed) -> Worth:
    """The rule. Never negative; 0 with the reason where a deed is worth nothing."""
    if deed.person_id is None:
        return Worth(0, Why.NO_NAME)
    match deed:
        case RoundWalked():
            return Worth(0, Why.REHEARSAL) if deed.rehearsal else Worth(ROUND_MIN, Why.WALKED)
        case Responded():
            return _responded(deed)
        case SawTo():
            if deed.minutes <= 0:
                return Worth(0, Why.NO_TIME)
            return Worth(min(_steps(timedelta(minutes=deed.minutes)), MOST_MIN), Why.HELPED)
        case _:
            assert_never(deed)


def _responded(deed: Responded) -> Worth:
    if deed.rehearsal:
        return Worth(0, Why.REHEARSAL)
    if deed.test:
        return Worth(0, Why.TEST)
    if deed.kind is not Kind.SOS:
        return Worth(0, Why.WORKLIST)
    if deed.role not in VOLUNTEERS:
        return Worth(0, Why.NO_VOLUNTEER)
    if deed.on_scene_at is None and not deed.closed_it:
        return Worth(0, Why.NOT_THERE)
    if deed.resolved_at is None:
        return Worth(0, Why.NOT_OVER)
    spent = _steps(deed.resolved_at - deed.accepted_at)
    return Worth(min(max(spent, LEAST_MIN), MOST_MIN), Why.WENT)


def _steps(span: timedelta) -> int:
    """Minutes, in whole quarters of an hour, the begun one counted."""
    quarters = -(-int(span.total_seconds()) // (STEP_MIN * 60))
    return quarters * STEP_MIN
