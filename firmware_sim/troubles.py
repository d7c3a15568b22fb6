"""What befalls terminals: power, lines, radio weather, clocks, batteries, a cut in mid-store.

Scenarios and testers act on a fleet through this; it never decides what a terminal does about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, get_args

from firmware_sim import outputs as out
from firmware_sim.chip import Chip, SectorFlash
from firmware_sim.fleet import Fleet
from firmware_sim.weather import Weather

What = Literal["mains", "power", "network", "half_open"]
WHAT: Final[tuple[What, ...]] = get_args(What)


@dataclass(frozen=True, slots=True)
class Troubles:
    """Acts on some terminals at once. Every method raises UnknownTerminalError."""

    fleet: Fleet

    def of_building(self, number: int) -> tuple[str, ...]:
        """The terminals of a building; none where it has no terminals."""
        return tuple(e.id for e in self.fleet.terminals if e.building == number)

    def switch(self, terminals: Iterable[str], what: What, on: bool) -> None:
        """Mains, power or network on or off; a line half-open, or hung up and made anew."""
        actions = {
            "mains": self.fleet.set_mains,
            "power": self.fleet.set_power,
            "network": self.fleet.set_network,
            "half_open": self._half_open,
        }
        for terminal in terminals:
            actions[what](terminal, on)

    def flap(self, terminals: Iterable[str], what: What, times: int, every_s: float) -> None:
        """Off and on `times` times; each state lasts `every_s` virtual seconds."""
        listed, start_ms = tuple(terminals), self.fleet.clock.now_ms()
        for number in range(2 * times):
            on = number % 2 == 1
            at_ms = start_ms + int(number * every_s * 1000)
            self.fleet.timers.at_ms(at_ms, partial(self.switch, listed, what, on))

    def weather(self, terminals: Iterable[str], weather: Weather) -> None:
        """What the radio does from now on."""
        for terminal in terminals:
            self.fleet.node(terminal).weather = weather

    def move_clock(self, terminals: Iterable[str], by_s: float | None) -> None:
        """The terminals' own clocks jump, or forget the time (None)."""
        for terminal in terminals:
            by_ms = None if by_s is None else int(by_s * 1000)
            self.fleet.apply(self.fleet.node(terminal), out.ClockMoved(by_ms))

    def set_battery(self, terminals: Iterable[str], level_pct: float) -> None:
        """The backup battery stands at so many per cent."""
        for terminal in terminals:
            self.fleet.apply(self.fleet.node(terminal), out.BatterySet(level_pct))

    def tear_next_store(self, terminal: str, after_bytes: int) -> None:
        """The power goes after so many bytes of the terminal's next store."""
        node = self.fleet.node(terminal)
        if not isinstance(node.flash, SectorFlash):
            image = node.flash.load()
            node.flash = SectorFlash(Chip(), image)
            node.flash.save(image)
        node.flash.chip.cut_after = after_bytes

    def _half_open(self, terminal: str, on: bool) -> None:
        node = self.fleet.node(terminal)
        if on and node.line is not None:
            node.line.freeze()
        elif not on:
            # A driver that has waited long enough hangs up and dials again.
            self.fleet.set_network(terminal, False)
            self.fleet.set_network(terminal, True)
