"""The simulator's clock: real time, or the demo's virtual time.

Everything a terminal or a resident does is timed in virtual epoch milliseconds; the drivers turn
a virtual wait into a real one here. This is the only file of the package that reads the
computer's clock; nothing else may.

`XUNLOU_CLOCK="<real_epoch_s>,<virtual_epoch_s>,<speed>"` gives
`virtual_now = virtual + (real_now - real) * speed`; unset or empty means real time. With
"@<file>" that line stands in a file, which the tester's page rewrites to move the clock of every
process that follows it.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

CLOCK_VARIABLE = "XUNLOU_CLOCK"
FASTEST: Final = 600.0
"""Beyond this a machine can't keep its promises, which are in real seconds."""


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


class SharedClock:
    """The clock in a file: whoever writes it moves the time of every process that reads it.

    Raises ClockSettingError when the file holds no clock; afterwards an unreadable file changes
    nothing. Stretches of real time are computed with the speed of the moment: who waits long must
    look again.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._written_ns = 0
        try:
            self._clock = from_text(file.read_text("ascii"))
        except OSError as error:
            raise ClockSettingError(f"{CLOCK_VARIABLE}=@{file}: {error.strerror}") from error

    @property
    def speed(self) -> float:
        """Virtual seconds per real second, > 0."""
        return self._now().speed

    def now_ms(self) -> int:
        """The virtual time now, epoch milliseconds."""
        return self._now().now_ms()

    def real_delay_s(self, until_ms: int) -> float:
        """Real seconds until the virtual instant `until_ms`; 0 when it has passed."""
        return self._now().real_delay_s(until_ms)

    def move(self, *, by_s: float = 0.0, speed: float | None = None) -> None:
        """Jump by so many virtual seconds, run at another speed from here, or both.

        Raises ValueError for a speed that can't be.
        """
        before = self._now()
        wanted = before.speed if speed is None else speed
        if not 0 < wanted <= FASTEST:
            raise ValueError(f"the speed is above 0 and at most {FASTEST:g}")
        virtual_s = before.now_ms() / 1000 + by_s
        line = f"{before.real_now_s():.3f},{virtual_s:.3f},{wanted}"
        # Replaced as a whole: nobody must read half a time.
        fresh = self._file.with_suffix(".new")
        fresh.write_text(line, "ascii")
        os.replace(fresh, self._file)

    def _now(self) -> ScaledClock:
        try:
            written_ns = self._file.stat().st_mtime_ns
            if written_ns != self._written_ns:
                self._clock = from_text(self._file.read_text("ascii"))
                self._written_ns = written_ns
        except (OSError, ClockSettingError):
            pass
        return self._clock


def from_text(text: str) -> ScaledClock:
    """The clock that three numbers ask for.

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


def from_env(env: Mapping[str, str]) -> ScaledClock | SharedClock:
    """The clock of this process, from its environment. Raises ClockSettingError."""
    text = env.get(CLOCK_VARIABLE, "")
    return SharedClock(Path(text[1:])) if text.startswith("@") else from_text(text)
