"""The backup battery as a pure function of time: it drains without mains and charges with it.

Figures are typical of home terminals with a 24 h backup; none is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

DRAIN_PER_H: Final = 100 / 24
CHARGE_PER_H: Final = 100 / 6
LOW_AT: Final = 20.0
# Above this the next fall to LOW_AT is news again; the gap keeps a level at the edge quiet.
LOW_CLEARED_AT: Final = 30.0
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Battery:
    """A level in per cent at an instant, and which way it goes since."""

    level_pct: float = 100.0
    since_ms: int = 0
    mains: bool = True
    low_told: bool = False

    def at(self, now_ms: int) -> float:
        """The level at `now_ms`, 0 to 100."""
        hours = max(0, now_ms - self.since_ms) / _HOUR_MS
        rate = CHARGE_PER_H if self.mains else -DRAIN_PER_H
        return min(100.0, max(0.0, self.level_pct + rate * hours))

    def switched(self, mains: bool, now_ms: int) -> Battery:
        """The battery after the mains came or went."""
        return replace(self, level_pct=self.at(now_ms), since_ms=now_ms, mains=mains)

    def reaches_ms(self, level_pct: float) -> int | None:
        """When a draining battery reaches `level_pct`; None while it charges or is below."""
        if self.mains or self.level_pct < level_pct:
            return None
        # One millisecond late, so that the level read then is at or under the mark.
        return self.since_ms + int((self.level_pct - level_pct) / DRAIN_PER_H * _HOUR_MS) + 1
