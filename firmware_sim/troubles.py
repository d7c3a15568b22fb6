"""What befalls terminals: power, lines, radio weather, clocks, batteries, a cut in mid-store.

Scenarios and testers act on a fleet through this; it never decides what a terminal does about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, get_args

from firmware_sim import outputs as out
from firmware_sim.chip import SectorFlash, TornStore
from firmware_sim.fleet import Fleet
from firmware_sim.keys import Button
from firmware_sim.node import Node
from firmware_sim.weather import CLEAR, PROFILES, Weather

What = Literal["mains", "battery", "power", "network", "half_open"]
WHAT: Final[tuple[What, ...]] = get_args(What)


@dataclass(frozen=True, slots=True)
class Troubles:
    """Acts on some terminals at once. Every method raises UnknownTerminalError."""

    fleet: Fleet

    def of_building(self, number: int) -> tuple[str, ...]:
        """The terminals of a building; none where it has no terminals."""
        return tuple(e.id for e in self.fleet.terminals if e.building == number)

    def switch(self, terminals: Iterable[str], what: What, on: bool) -> None:
        """Mains, battery, both (power) or network on or off; a line half-open, or hung up and made
        anew."""
        actions = {
            "mains": self.fleet.set_mains,
            "battery": self.fleet.set_battery,
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
        """What the radio does from now on, and how well it hears."""
        name = next((n for n, profile in PROFILES.items() if profile == weather), "")
        for terminal in terminals:
            node = self.fleet.node(terminal)
            # The same object where nothing happens to messages: then nobody rolls dice.
            node.weather = CLEAR if weather == CLEAR else weather
            node.link = name
            self.fleet.apply(node, out.RadioRead(weather.rssi, weather.rssi_spread))
            if weather.awake_s is None:
                self.fleet.let_through(node)

    def key(self, terminal: str, button: Button, held_ms: int, bounces: int = 0) -> None:
        """A finger on a key for `held_ms` virtual milliseconds; its contact bounces so often at
        both ends, 4 ms apart."""
        node, start_ms = self.fleet.node(terminal), self.fleet.clock.now_ms()
        edges = [(down, start_ms + 4 * n) for n, down in enumerate([True, False] * bounces)]
        edges.append((True, start_ms + 8 * bounces))
        end_ms = start_ms + 8 * bounces + held_ms
        edges += [(down, end_ms + 4 * n) for n, down in enumerate([False, True] * bounces)]
        edges.append((False, end_ms + 8 * bounces))
        for down, at_ms in edges:
            moved = out.KeyMoved(button, down, at_ms)
            self.fleet.timers.at_ms(at_ms, partial(self._apply, node, moved))

    def _apply(self, node: Node, event: out.Input) -> None:
        self.fleet.apply(node, event)

    def impact(self, terminal: str, peak_g: float, still: bool) -> None:
        """The pendant is hit; whether that is a fall, its firmware decides."""
        self.fleet.apply(self.fleet.node(terminal), out.Impact(peak_g, still))

    def hang(self, terminals: Iterable[str]) -> None:
        """The firmware loops, until its watchdog bites."""
        for terminal in terminals:
            self.fleet.apply(self.fleet.node(terminal), out.Hang())

    def temperature(self, terminals: Iterable[str], temp_c: float) -> None:
        """How warm it is in the flats."""
        for terminal in terminals:
            self.fleet.apply(self.fleet.node(terminal), out.TemperatureRead(temp_c))

    def drift(self, terminals: Iterable[str], ppm: int) -> None:
        """The terminals' own clocks run too fast, or slow, from now on."""
        for terminal in terminals:
            self.fleet.apply(self.fleet.node(terminal), out.ClockDrifts(ppm))

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
        """The power goes after so many bytes of the terminal's next store. A terminal whose flash
        is no chip has one for that; what outlives the cut goes back where its flash is kept."""
        node = self.fleet.node(terminal)
        if isinstance(node.flash, SectorFlash):
            node.flash.chip.cut_after = after_bytes
            return
        kept = node.flash.kept if isinstance(node.flash, TornStore) else node.flash
        node.flash = TornStore.before(kept, after_bytes)

    def _half_open(self, terminal: str, on: bool) -> None:
        node = self.fleet.node(terminal)
        if on and node.line is not None:
            node.line.freeze()
        elif not on and node.network_up:
            # A driver that has waited long enough hangs up and dials again. Not where a tester has
            # cut the line meanwhile: that stays cut.
            self.fleet.set_network(terminal, False)
            self.fleet.set_network(terminal, True)
