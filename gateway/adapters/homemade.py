"""Tasmota and ESPHome: boards that people flash themselves.

Weak points: no identity (a window), QoS 0 for ESPHome states, presses while off the air are lost,
and neither shows that help is coming.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.adapters.nouns import (
    Alive,
    Edges,
    Habit,
    Presence,
    Press,
    Reading,
    Unknown,
    Window,
)
from gateway.adapters.reading import at, parsed

TASMOTA_S: Final = 300
"""Tasmota's TelePeriod, at which it reports unasked."""
ESPHOME_S: Final = 900
ALARM_NAMES: Final = frozenset({"sos", "emergency", "panic", "help", "cord"})
"""A sensor that nobody entered says only ON; by its name it may be a call for help."""
TASMOTA: Final = {
    "SINGLE": "checkin", "DOUBLE": "test", "TRIPLE": "sos", "QUAD": "sos", "PENTA": "sos",
    "HOLD": "sos",
}  # fmt: skip


@dataclass(slots=True)
class Tasmota:
    """`devices`: topic name → terminal. Buttons need SetOption73."""

    devices: Mapping[str, str]
    window: Window = field(default_factory=Window)

    @property
    def topics(self) -> tuple[str, ...]:
        """Results, last wills, and what it reports unasked; of a topic with levels by its name."""
        return tuple(
            f"{kind}/{name}/{tail}"
            for name in ("+", *(n for n in self.devices if "/" in n))
            for kind, tail in (("stat", "RESULT"), ("tele", "LWT"), ("tele", "STATE"))
        )

    @property
    def habits(self) -> Mapping[str, Habit]:
        """See `Adapter.habits`."""
        return {terminal: Habit(TASMOTA_S, guarded=True) for terminal in self.devices.values()}

    def read(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> list[Reading]:
        """See `Adapter.read`."""
        _, _, rest = topic.partition("/")
        name, _, kind = rest.rpartition("/")
        terminal = self.devices.get(name)
        if kind == "LWT":
            online = payload.strip() == b"Online"
            return [Presence(terminal, online)] if terminal else []
        if kind == "STATE":
            return [Alive(terminal)] if terminal and not retained else []
        what = TASMOTA.get(str(at(parsed(payload), "Button1", "Action")))
        if retained or what is None:
            return []
        if terminal is None:
            return [Unknown(name, what == "sos", now_ms)]
        stamp_ms = self.window.stamp(name, what, now_ms)
        heard: list[Reading] = [Alive(terminal)]
        return heard if stamp_ms is None else [*heard, Press(terminal, what, stamp_ms)]


@dataclass(slots=True)
class EspHome:
    """`devices`: (prefix, sensor) → (terminal, event type)."""

    devices: Mapping[tuple[str, str], tuple[str, str]]
    window: Window = field(default_factory=Window)
    edges: Edges = field(default_factory=Edges)

    @property
    def topics(self) -> tuple[str, ...]:
        """Any board's sensors (one that is not entered must be heard too), and our boards. A prefix
        with levels is asked for by its name."""
        prefixes = sorted({prefix for prefix, _ in self.devices})
        deep = (f"{p}/binary_sensor/{n}/state" for p, n in self.devices if "/" in p)
        return ("+/binary_sensor/+/state", *deep, *(f"{prefix}/status" for prefix in prefixes))

    @property
    def habits(self) -> Mapping[str, Habit]:
        """See `Adapter.habits`. A cord says nothing until it is pulled; its board has a will."""
        return {t: Habit(ESPHOME_S, guarded=True) for t, _ in self.devices.values()}

    def read(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> list[Reading]:
        """See `Adapter.read`. ESPHome retains its states: a retained ON is where the edge starts,
        not a press."""
        if topic.endswith("/status"):
            online = payload.strip() == b"online"
            prefix = topic.removesuffix("/status")
            terminals = {t for (p, _), (t, _) in self.devices.items() if p == prefix}
            return [Presence(t, online) for t in sorted(terminals)]
        prefix, there, name = topic.removesuffix("/state").partition("/binary_sensor/")
        on = payload.strip() == b"ON"
        if (prefix, name) not in self.devices:
            if retained or not on or not there:
                return []
            alarm = not ALARM_NAMES.isdisjoint(re.split("[^a-z]+", name.lower()))
            return [Unknown(f"{prefix}/{name}", alarm, now_ms)]
        rose = self.edges.rises(topic, "state", on)
        terminal, what = self.devices[prefix, name]
        if retained:
            return []
        readings: list[Reading] = [Alive(terminal)]
        stamp_ms = self.window.stamp(topic, what, now_ms) if rose else None
        return readings if stamp_ms is None else [*readings, Press(terminal, what, stamp_ms)]
