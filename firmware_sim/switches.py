"""What a tester may switch that belongs to no terminal: the common clock, and the broker.

The simulator owns neither. It leaves its wish in a directory, and who started it obeys
(`xunlou demo` does). Without a directory nothing of the kind can be switched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware_sim.clock import Clock, SharedClock

BROKER_OFF: Final = "broker-off"


class CantSwitch(RuntimeError):
    """This run can't do it; the message says what could."""


@dataclass(frozen=True, slots=True)
class Switches:
    """The clock everybody follows, and the directory of wishes."""

    clock: Clock
    folder: Path | None

    @property
    def clock_moves(self) -> bool:
        """Whether the common clock can be moved."""
        return isinstance(self.clock, SharedClock)

    @property
    def broker_off(self) -> bool:
        """Whether the broker is wished away."""
        return (
            self.folder is not None and self.clock_moves and (self.folder / BROKER_OFF).exists()
        )

    def move_clock(self, by_s: float, speed: float | None) -> None:
        """Jump forward and change the pace. Raises CantSwitch, and ValueError for a bad speed."""
        if not isinstance(self.clock, SharedClock):
            raise CantSwitch("this run follows the computer's clock; `xunlou demo` has its own")
        self.clock.move(by_s=by_s, speed=speed)

    def set_broker(self, on: bool) -> None:
        """Kill the broker and keep it down, or let it start again. Raises CantSwitch."""
        # A run that follows the computer's clock is beside a live system: nobody reads its wishes.
        if self.folder is None or not self.clock_moves:
            raise CantSwitch("this run does not own its broker; `xunlou demo` does")
        if on:
            (self.folder / BROKER_OFF).unlink(missing_ok=True)
        else:
            (self.folder / BROKER_OFF).touch()
