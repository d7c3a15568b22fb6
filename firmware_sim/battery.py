"""The backup battery as a pure function of time: it drains without mains and charges with it.

Drains faster while the terminal works (radio, lamp, buzzer) and in the cold; charges quickly to
80 % and slowly from there, as lithium cells are charged, and not at all above 45 °C or below 0 °C.
Figures are typical of home terminals with a 24 h backup; none is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

DRAIN_PER_H: Final = 100 / 24
CHARGE_PER_H: Final = 100 / 6
SLOW_FROM: Final = 80.0
SLOW_CHARGE_PER_H: Final = CHARGE_PER_H / 3
LOW_AT: Final = 20.0
# Above this the next fall to LOW_AT is news again; the gap keeps a level at the edge quiet.
LOW_CLEARED_AT: Final = 30.0
ROOM_C: Final = 20.0
CHARGES_FROM_C: Final = 0.0
CHARGES_TO_C: Final = 45.0
_HOUR_MS: Final = 3_600_000


def cold_factor(temp_c: float) -> float:
    """How much faster a cell is empty than at room temperature: a tenth for each 10 °C below, at
    most twice as fast."""
    return min(2.0, 1.0 + max(0.0, ROOM_C - temp_c) / 100)


@dataclass(frozen=True, slots=True)
class Battery:
    """A level in per cent at an instant, and which way it goes since. `load` multiplies the idle
    current; `temp_c` is the flat's temperature; one that is not `fitted` was taken out: it gives
    nothing, and keeps its charge."""

    level_pct: float = 100.0
    since_ms: int = 0
    mains: bool = True
    low_told: bool = False
    load: float = 1.0
    temp_c: float = ROOM_C
    fitted: bool = True

    @property
    def drain_per_h(self) -> float:
        """Per cent an hour without mains, as things stand."""
        return DRAIN_PER_H * self.load * cold_factor(self.temp_c)

    def at(self, now_ms: int) -> float:
        """The level that a terminal reads at `now_ms`, 0 to 100; without a battery it reads 0."""
        return self._charge_at(now_ms) if self.fitted else 0.0

    def _charge_at(self, now_ms: int) -> float:
        if not self.fitted:
            return self.level_pct
        hours = max(0, now_ms - self.since_ms) / _HOUR_MS
        if not self.mains:
            return max(0.0, self.level_pct - self.drain_per_h * hours)
        if not CHARGES_FROM_C <= self.temp_c <= CHARGES_TO_C:
            return self.level_pct
        quick_h = max(0.0, SLOW_FROM - self.level_pct) / CHARGE_PER_H
        level = self.level_pct + CHARGE_PER_H * min(hours, quick_h)
        return min(100.0, level + SLOW_CHARGE_PER_H * max(0.0, hours - quick_h))

    def switched(self, mains: bool, now_ms: int) -> Battery:
        """The battery after the mains came or went."""
        return replace(self, level_pct=self._charge_at(now_ms), since_ms=now_ms, mains=mains)

    def put_in(self, fitted: bool, now_ms: int) -> Battery:
        """The battery when it is taken out, or put back."""
        return replace(self, level_pct=self._charge_at(now_ms), since_ms=now_ms, fitted=fitted)

    def working(self, load: float, now_ms: int) -> Battery:
        """The battery when the terminal begins to work harder, or rests."""
        return replace(self, level_pct=self._charge_at(now_ms), since_ms=now_ms, load=load)

    def at_temperature(self, temp_c: float, now_ms: int) -> Battery:
        """The battery in a flat that is warmer or colder from now on."""
        return replace(self, level_pct=self._charge_at(now_ms), since_ms=now_ms, temp_c=temp_c)

    def reaches_ms(self, level_pct: float) -> int | None:
        """When a draining battery reaches `level_pct`; None while it charges or is below."""
        if self.mains or not self.fitted or self.level_pct < level_pct:
            return None
        # One millisecond late, so that the level read then is at or under the mark.
        hours = (self.level_pct - level_pct) / self.drain_per_h
        return self.since_ms + int(hours * _HOUR_MS) + 1
