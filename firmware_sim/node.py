"""One terminal as its driver holds it: entry, flash, state, line, and what was heard there.

Plain records; they do nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from firmware_sim import outputs as out
from firmware_sim.chip import ENDURANCE, SECTORS, SectorFlash
from firmware_sim.flash import Flash
from firmware_sim.hardware import Hardware
from firmware_sim.ledger import Figures
from firmware_sim.line import Line
from firmware_sim.manifest import TerminalEntry
from firmware_sim.state import State, Traits
from firmware_sim.weather import CLEAR, Weather

HEARD_LINES: Final = 20
ASLEEP_MOST: Final = 32


class UnknownTerminalError(KeyError):
    """No terminal of that id is in this fleet."""


@dataclass(slots=True)
class Node:
    """One terminal and what the driver knows about it. `state` is None while it is dark."""

    entry: TerminalEntry
    traits: Traits
    flash: Flash
    state: State | None = None
    hardware: Hardware | None = None
    """Its parts while it is dark; None before it was first switched on. Else `state` has them."""
    restart_ms: int | None = None
    """When it is up again by itself, between a restart and its end."""
    line: Line | None = None
    network_up: bool = True
    weather: Weather = CLEAR
    link: str = ""
    """The name of the weather, where it has one."""
    stores: int = 0
    """How often it wrote its flash in this run."""
    awake_until_ms: int = 0
    asleep: deque[tuple[str, bytes]] = field(default_factory=lambda: deque(maxlen=ASLEEP_MOST))
    """Messages that wait in the network for a modem that sleeps."""
    reset: str = "power"
    """Why it started last, as its chip's reset register tells: power, asked or watchdog."""
    refusals: int = 0
    """How often in a row the broker did not want its password."""
    due_ms: int | None = None
    heard: deque[tuple[int, out.Say]] = field(default_factory=lambda: deque(maxlen=HEARD_LINES))

    @property
    def tries_coming(self) -> bool:
        """Whether its next line is dialled with the coming password: by turns with the old one."""
        coming = self.state is not None and bool(self.state.keys.coming)
        return coming and self.refusals % 2 == 0

    @property
    def password(self) -> str:
        """What its next line is dialled with."""
        if self.state is None:
            return self.entry.password
        keys = self.state.keys
        return keys.coming if self.tries_coming else keys.key or self.entry.password


    @property
    def flash_wear(self) -> float:
        """How much of its flash's life is behind it, 1.0 being the maker's promise: of its chip, or
        in a store without one, what its writes of this run would have cost a chip."""
        if isinstance(self.flash, SectorFlash):
            return self.flash.wear
        return self.stores / (SECTORS * ENDURANCE)


@dataclass(frozen=True, slots=True)
class Summary:
    """A fleet at one moment; `figures` from the ledger."""

    terminals: int
    connected: int
    dark: int
    figures: Figures
    faults: dict[str, int]
