"""The only place in the server that reads the time.

A demo or a rehearsal may run faster than life: `XUNLOU_CLOCK` then holds
"<real epoch s>,<virtual epoch s>,<speed>", or "@<file>" with that line in a file, which a tester
changes while it runs. Everything that concerns people runs on this clock; what concerns our own
machinery (leases, time-outs, heartbeats of the feed) is in real seconds.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(slots=True)
class Clock:
    """Virtual time: `virtual_s + (real − real_s) · speed`. The default is real time.

    With a `file` the three figures follow it; a file that can't be read changes nothing.
    """

    real_s: float = 0.0
    virtual_s: float = 0.0
    speed: float = 1.0
    source: Callable[[], float] = time.time
    file: Path | None = None
    _written_ns: int = field(default=0, repr=False)

    def now(self) -> datetime:
        """The current instant, aware, UTC."""
        if self.file is not None:
            self._follow(self.file)
        return datetime.fromtimestamp(
            self.virtual_s + (self.source() - self.real_s) * self.speed, UTC
        )

    def real_at(self, at: datetime) -> datetime:
        """The instant of real time at which this clock shows `at`, as things stand."""
        return datetime.fromtimestamp(
            self.real_s + (at.timestamp() - self.virtual_s) / self.speed, UTC
        )

    @staticmethod
    def parse(text: str) -> "Clock":
        """The clock that `XUNLOU_CLOCK` asks for. Raises ValueError with the form expected."""
        if not text:
            return Clock()
        if text.startswith("@"):
            file = Path(text[1:])
            try:
                clock = Clock.parse(file.read_text("ascii").strip())
            except OSError as error:
                raise ValueError(f"XUNLOU_CLOCK={text!r}: {error.strerror}") from error
            clock.file = file
            return clock
        try:
            real_s, virtual_s, speed = (float(part) for part in text.split(","))
        except ValueError:
            raise ValueError(
                f"XUNLOU_CLOCK={text!r}: expected '<real epoch s>,<virtual epoch s>,<speed>'"
            ) from None
        if speed <= 0:
            raise ValueError(f"XUNLOU_CLOCK={text!r}: the speed must be above 0")
        return Clock(real_s, virtual_s, speed)

    def _follow(self, file: Path) -> None:
        """Take over what somebody has written since we last looked."""
        try:
            written_ns = file.stat().st_mtime_ns
            if written_ns == self._written_ns:
                return
            told = Clock.parse(file.read_text("ascii").strip())
        except (OSError, ValueError):
            return
        self._written_ns = written_ns
        self.real_s, self.virtual_s, self.speed = told.real_s, told.virtual_s, told.speed
