"""The daily list of people who live alone and are rung to be greeted (Chaoyang). Pure.

A greeting is a kindness beside the rounds and no part of them: it is no sign of life, and it never
opens or closes an alarm. When nobody answers, staff decide what to do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class GreetingOutcome(StrEnum):
    """What came of one call."""

    WELL = "well"
    WANTS = "wants"
    """Wants something: it becomes a help request."""
    NO_ANSWER = "no_answer"


class Standing(StrEnum):
    """Where a person stands on today's list."""

    TO_CALL = "to_call"
    NO_ANSWER = "no_answer"
    GREETED = "greeted"


ALONE: Final = "alone"
_ORDER: Final = {Standing.TO_CALL: 0, Standing.NO_ANSWER: 1, Standing.GREETED: 2}


@dataclass(frozen=True, slots=True)
class Alone:
    """Somebody on the list. `today`: the outcomes of today's calls, oldest first."""

    resident_id: int
    risk_class: str
    heard_at: datetime | None
    """The last sign of life of their terminal."""
    greeted_at: datetime | None
    """The last call that was answered."""
    today: Sequence[GreetingOutcome] = ()


def standing(person: Alone) -> Standing:
    """Greeted once a call of today was answered; called in vain until then."""
    if any(o is not GreetingOutcome.NO_ANSWER for o in person.today):
        return Standing.GREETED
    return Standing.NO_ANSWER if person.today else Standing.TO_CALL


def in_order(people: Iterable[Alone]) -> list[Alone]:
    """Who is to be called first: those not called yet, then those called in vain; in each the
    frailest class, and in each of those whoever was not greeted for the longest time."""

    def place(person: Alone) -> tuple[int, str, float, int]:
        since = person.greeted_at.timestamp() if person.greeted_at else float("-inf")
        return _ORDER[standing(person)], person.risk_class, since, person.resident_id

    return sorted(people, key=place)
