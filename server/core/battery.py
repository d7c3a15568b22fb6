"""When will this battery be flat? Foreseen from one sample a day, so that it can be replaced before
it is. Pure.

The slope is the median of the slopes between all pairs of days (Theil, 1950; Sen, 1968): a wrong
reading now and then, up to nearly a third of them, does not move it. It must never promise days
from too little: it then says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from statistics import median
from typing import assert_never

FLAT_PERCENT = 10
"""At this level a terminal's radio begins to fail; a battery counts as flat."""
LEAST_SAMPLES = 5
LEAST_DAYS = 7
"""Under a week the slope says more of one cold night than of the battery."""
STEADY = 0.2
"""Percent a day. A battery that loses less lasts longer than its guarantee."""
JUMP_PERCENT = 20
"""A battery that gains so much from one sample to the next was replaced or charged."""
NEWEST = 3
"""The level now is the median of so many samples: the last reading alone may be wrong."""
WINDOW_DAYS = 30
SOON_DAYS = 14
"""Two weeks: time for an order and a visit."""
CLEAR_DAYS = 21
"""A warning ends only above this, so that it does not come and go with the noise."""


class Outlook(StrEnum):
    """What the samples say."""

    TOO_LITTLE = "too_little"
    STEADY = "steady"
    FALLING = "falling"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class Sample:
    """One day's reading. `day`: a day number; `level`: percent; `mains`: on mains power, None when
    the terminal does not say."""

    day: int
    level: int
    mains: bool | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """`days_left` until flat, for FALLING; `replaced`: the newest samples are of another battery
    than the ones before."""

    outlook: Outlook
    level: float | None = None
    days_left: int | None = None
    replaced: bool = False

    @property
    def soon(self) -> bool:
        """Whether somebody should bring a new battery."""
        return self.outlook is Outlook.FALLING and (self.days_left or 0) <= SOON_DAYS

    @property
    def clear(self) -> bool:
        """Whether a warning given earlier is over."""
        match self.outlook:
            case Outlook.STEADY:
                return True
            case Outlook.FALLING:
                return (self.days_left or 0) > CLEAR_DAYS
            case Outlook.TOO_LITTLE:
                return self.replaced
            case Outlook.FLAT:
                return False
            case _:
                assert_never(self.outlook)


def _of_this_battery(samples: Sequence[Sample]) -> tuple[list[Sample], bool]:
    """The samples since the last replacement, and whether there was one. One high reading among
    low ones is a wrong one; two in a row are a new battery."""
    levels, start = [s.level for s in samples], 0
    for i in range(1, len(levels) - 1):
        before = median(levels[max(start, i - NEWEST) : i])
        if min(levels[i], levels[i + 1]) - before >= JUMP_PERCENT:
            start = i
    return list(samples[start:]), start > 0


def _doubtful(mine: Sequence[Sample]) -> bool:
    """Whether the last reading alone speaks of a new battery: tomorrow's will tell."""
    before = [s.level for s in mine[-NEWEST - 1 : -1]]
    return bool(before) and mine[-1].level - median(before) >= JUMP_PERCENT


def foresee(samples: Sequence[Sample], today: int) -> Forecast:
    """The forecast from samples in any order; those older than 30 days do not count.

    A terminal that lives on mains is judged by its days on mains alone: a power cut empties its
    battery within hours, and the power cut is the trouble then, not the battery.
    """
    recent = sorted((s for s in samples if today - s.day <= WINDOW_DAYS), key=lambda s: s.day)
    if any(s.mains for s in recent):
        recent = [s for s in recent if s.mains]
    mine, replaced = _of_this_battery(recent)
    if not mine or _doubtful(mine):
        return Forecast(Outlook.TOO_LITTLE)
    level = float(median(s.level for s in mine[-NEWEST:]))
    if len(mine) >= NEWEST and level <= FLAT_PERCENT:
        return Forecast(Outlook.FLAT, level, 0, replaced)
    if len(mine) < LEAST_SAMPLES or mine[-1].day - mine[0].day < LEAST_DAYS:
        return Forecast(Outlook.TOO_LITTLE, level, None, replaced)
    slope = median((b.level - a.level) / (b.day - a.day) for a, b in combinations(mine, 2))
    if slope > -STEADY:
        return Forecast(Outlook.STEADY, level, None, replaced)
    # From the middle of the newest samples, which is where their median stands.
    since = today - mine[-((min(NEWEST, len(mine)) + 1) // 2)].day
    days_left = max(0, int((level - FLAT_PERCENT) / -slope - since))
    return Forecast(Outlook.FALLING, level, days_left, replaced)
