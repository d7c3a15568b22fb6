"""Risk classes: how closely somebody is watched, and when they are looked for by themselves.

Pure rules of three facts (age, company, health). A class is stored with the resident, because
staff may overrule it; it must never be read from a diagnosis, and no diagnosis is kept.
"""

from datetime import date
from enum import StrEnum
from typing import Literal

RiskClass = Literal["A", "B", "C"]
Living = Literal["alone", "couple", "family"]

APART_MOST_HIGH = 3
APART_MOST_MISSED = 5
"""More than these at once in one building is a pattern (power, network, a feast), not a person."""


def age_on(birth: date, day: date) -> int:
    """Full years on `day`; somebody born on 29 February is a year older on 1 March."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


class Because(StrEnum):
    """What the rule looked at."""

    AGE_90 = "age_90"
    AGE_80 = "age_80"
    ALONE = "alone"
    FRAIL = "frail"


def reasons(age: int, living: str, health_flag: bool) -> tuple[Because, ...]:
    """Which of the rule's facts hold for somebody: why their class is what it is."""
    return tuple(
        because
        for because, holds in (
            (Because.AGE_90, age >= 90),
            (Because.AGE_80, 80 <= age < 90),
            (Because.ALONE, living == "alone"),
            (Because.FRAIL, health_flag),
        )
        if holds
    )


def risk_class(age: int, living: str, health_flag: bool) -> RiskClass:
    """How closely somebody is watched, from age in years, company and health.

    A: 90 or more; or living alone and either 80 or more or frail. Nobody would notice in time.
    B: living alone, or 80 or more, or frail: one of the reasons, not two.
    C: everybody else.
    After the classes by age, health and living situation that communities with home-care
    information platforms use; the thresholds are ours.
    """
    alone = living == "alone"
    if age >= 90 or (alone and (age >= 80 or health_flag)):
        return "A"
    if alone or age >= 80 or health_flag:
        return "B"
    return "C"


def apart(high: int, missed: int) -> bool:
    """Whether a building's `high` residents of class A, among `missed` who owe this round a sign
    of life, each get an alert of their own (docs/adr/0010).

    Few are persons, and each climbs alone and fast. Many at once are one walk through the house:
    one worklist at an ordinary pace, so that nobody's telephone is flooded.
    """
    return 0 < high <= APART_MOST_HIGH and missed <= APART_MOST_MISSED
