"""Risk classes: how closely somebody is watched, and when they are looked for by themselves.

Pure rules of three facts (age, company, health). A class is stored with the resident, because
staff may overrule it; it must never be read from a diagnosis, and no diagnosis is kept.
"""

from datetime import date
from enum import StrEnum
from typing import Literal

RiskClass = Literal["A", "B", "C"]
Living = Literal["alone", "couple", "family"]

TEXTED_APART = 3
"""So many of class A in one building are each a text of their own; more are named in one."""


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


def apart(high: int, *, explained: bool) -> bool:
    """Whether a building's `high` residents of class A who owe this round a sign of life each get
    an alert of their own, however many doors are silent (docs/adr/0025).

    `explained`: a cause that staff see (the building or the area without power or network, or we
    without sight when the round was due) is why nothing was heard. Then it is one walk through the
    house: one worklist at an ordinary pace.
    """
    return high > 0 and not explained


def named_on_the_list(high: int) -> bool:
    """Whether those who have an alert of their own are so many that the stewards hear of them by
    the building's worklist, in one text; their own alerts begin with the step after the stewards.
    """
    return high > TEXTED_APART
