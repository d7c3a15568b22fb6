"""The simulator's clock: real time, or the demo's virtual time.

Everything a terminal or a resident does is timed in virtual epoch milliseconds; the drivers turn
a virtual wait into a real one here. This is the only file of the package that reads the
computer's clock; nothing else may.

`XUNLOU_CLOCK="<real_epoch_s>,<virtual_epoch_s>,<speed>"` gives
`virtual_now = virtual + (real_now - real) * speed`; unset or empty means real time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

CLOCK_VARIABLE = "XUNLOU_CLOCK"


class ClockSettingError(ValueError):
    """XUNLOU_CLOCK can't be read; the message says what it should look like."""


class Clock(Protocol):
    """What the drivers need of time."""

    @property
    def speed(self) -> float:
        """Virtual seconds per real second, > 0."""

    def now_ms(self) -> int:
        """The virtual time now, epoch milliseconds."""

    def real_delay_s(self, until_ms: int) -> float:
        """Real seconds until the virtual instant `until_ms`; 0 when it has passed."""


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """Virtual time that runs `speed` times as fast as real time, from a shared anchor.

    The anchor is in epoch seconds so that every process of a demo agrees; `real_now_s` is
    replaced in tests only.
    """

    real_s: float = 0.0
    virtual_s: float = 0.0
    speed: float = 1.0
    real_now_s: Callable[[], float] = field(default=time.time, repr=False)

    def now_ms(self) -> int:
        """The virtual time now, epoch milliseconds."""
        virtual_s = self.virtual_s + (self.real_now_s() - self.real_s) * self.speed
        return int(virtual_s * 1000)

    def real_delay_s(self, until_ms: int) -> float:
        """Real seconds until the virtual instant `until_ms`; 0 when it has passed."""
        return max(0.0, (until_ms - self.now_ms()) / 1000 / self.speed)


def from_text(text: str) -> ScaledClock:
    """The clock that a value of XUNLOU_CLOCK asks for.

    Raises ClockSettingError when it is not three numbers or the speed is not above 0.
    """
    if not text.strip():
        return ScaledClock()
    wanted = f'{CLOCK_VARIABLE} must be "<real_epoch_s>,<virtual_epoch_s>,<speed>", not {text!r}'
    try:
        real_s, virtual_s, speed = (float(part) for part in text.split(","))
    except ValueError:
        raise ClockSettingError(wanted) from None
    if not all(map(math.isfinite, (real_s, virtual_s, speed))) or speed <= 0:
        raise ClockSettingError(f"{wanted}: finite numbers, and a speed above 0")
    return ScaledClock(real_s, virtual_s, speed)


def from_env(env: Mapping[str, str]) -> ScaledClock:
    """The clock of this process, from its environment; see `from_text`."""
    return from_text(env.get(CLOCK_VARIABLE, ""))
