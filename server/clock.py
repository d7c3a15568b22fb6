"""The only place in the server that reads the time.

A demo or a rehearsal may run faster than life: `XUNLOU_CLOCK` then holds
"<real epoch s>,<virtual epoch s>,<speed>". Everything that concerns people runs on this clock;
what concerns our own machinery (leases, time-outs, heartbeats of the feed) is in real seconds.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """Virtual time: `virtual_s + (real − real_s) · speed`. The default is real time."""

    real_s: float = 0.0
    virtual_s: float = 0.0
    speed: float = 1.0
    source: Callable[[], float] = time.time

    def now(self) -> datetime:
        """The current instant, aware, UTC."""
        return datetime.fromtimestamp(
            self.virtual_s + (self.source() - self.real_s) * self.speed, UTC
        )

    @staticmethod
    def parse(text: str) -> "Clock":
        """The clock that `XUNLOU_CLOCK` asks for. Raises ValueError with the form expected."""
        if not text:
            return Clock()
        try:
            real_s, virtual_s, speed = (float(part) for part in text.split(","))
        except ValueError:
            raise ValueError(
                f"XUNLOU_CLOCK={text!r}: expected '<real epoch s>,<virtual epoch s>,<speed>'"
            ) from None
        if speed <= 0:
            raise ValueError(f"XUNLOU_CLOCK={text!r}: the speed must be above 0")
        return Clock(real_s, virtual_s, speed)
