"""zigbee2mqtt: buttons that say `action`, or a level that rises.

Weak points: no identity (a window of 3 s), QoS 0 unless set, presses while the bridge is off the
broker are lost, availability is off by default and slow for battery devices (25 h). The bridge is
the parent: while it is away its devices are not called silent.

From version 2 on the bridge tells of its health every ten minutes; before, only its last will and
the roll (roll.py) say that it is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.adapters.nouns import (
    BATTERY_S,
    Alive,
    Edges,
    Habit,
    Presence,
    Press,
    Reading,
    Unknown,
    Window,
)
from gateway.adapters.reading import at, parsed, percent

BRIDGE_S: Final = 600
"""Its `health.interval`, ten minutes unless it is changed."""

ACTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "TS0215A_sos": {"emergency": "sos"},
    "TS0601_sos": {"emergency": "sos"},
    "ZG-101Z": {"sos": "sos", "emergency": "sos"},
    # One soft press says "I am well", a long one calls: a hand in need holds on.
    "HS1EB": {"single": "checkin", "double": "test", "hold": "sos"},
    # Its converter knows three commands, though zigbee2mqtt promises `single` alone for it.
    "SBTZB-110": {"single": "checkin", "double": "test", "long": "sos"},
    "WXKG11LM": {"single": "checkin", "double": "test", "triple": "sos", "quadruple": "sos",
                 "hold": "sos"},
    "SEB01ZB": {},
}  # fmt: skip
LEVELS: Final[Mapping[str, str]] = {"sos": "sos", "tamper": "tamper", "battery_low": "battery_low"}
"""Booleans that are sent again with every report: only the rising edge is news."""
ALARM_WORDS: Final = frozenset({"emergency", "sos", "panic"})
"""Calls for help whatever is known of the model: a firmware or a converter may be newer than us."""


@dataclass(slots=True)
class Zigbee2Mqtt:
    """One bridge. `devices`: friendly name → (terminal, model)."""

    devices: Mapping[str, tuple[str, str]]
    bridge: str
    """Terminal id of the bridge itself: when it is away nobody behind it can be heard."""
    base: str = "zigbee2mqtt"
    window: Window = field(default_factory=Window)
    edges: Edges = field(default_factory=Edges)
    bridge_online: bool = False
    """Its retained word comes first, and until then nobody's absence means anything."""

    @property
    def topics(self) -> tuple[str, ...]:
        """The bridge, then devices and their availability; brokers send what they retain in this
        order. A device whose name has levels (`flat/301`) is asked for by its name."""
        deep = [name for name in self.devices if "/" in name]
        return (
            f"{self.base}/bridge/state", f"{self.base}/bridge/health",
            f"{self.base}/+", f"{self.base}/+/availability",
            *(f"{self.base}/{name}{tail}" for name in deep for tail in ("", "/availability")),
        )  # fmt: skip

    @property
    def habits(self) -> Mapping[str, Habit]:
        """See `Adapter.habits`."""
        hanging = Habit(BATTERY_S, via=self.bridge)
        children = {terminal: hanging for terminal, _ in self.devices.values()}
        return children | {self.bridge: Habit(BRIDGE_S, guarded=True)}

    def read(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> list[Reading]:
        """See `Adapter.read`. A retained state is a memory, not a press."""
        if not topic.startswith(f"{self.base}/"):
            return []
        rest = topic.removeprefix(f"{self.base}/")
        if rest == "bridge/state":
            return self._bridge(payload)
        if rest == "bridge/health":
            return [] if retained else [Alive(self.bridge)]
        if rest.endswith("/availability"):
            return self._availability(rest.removesuffix("/availability"), payload)
        if rest == "bridge" or ("/" in rest and rest not in self.devices):
            return []
        return self._state(rest, payload, now_ms, retained=retained)

    def _bridge(self, payload: bytes) -> list[Reading]:
        self.bridge_online = _online(payload)
        return [Presence(self.bridge, self.bridge_online)]

    def _availability(self, name: str, payload: bytes) -> list[Reading]:
        if name not in self.devices:
            return []
        online = _online(payload)
        if not online and not self.bridge_online:
            return []  # the parent is away: this says nothing about the device
        return [Presence(self.devices[name][0], online)]

    def _state(
        self, name: str, payload: bytes, now_ms: int, *, retained: bool
    ) -> list[Reading]:
        state = parsed(payload)
        if not isinstance(state, dict):
            return []
        action = at(state, "action")
        action = action if isinstance(action, str) else ""  # "" and null are nothing
        if name not in self.devices:
            alarm = action in ALARM_WORDS or self.edges.rises(name, "sos", at(state, "sos") is True)
            return [Unknown(name, alarm, now_ms)] if (action or alarm) and not retained else []
        terminal, model = self.devices[name]
        battery = percent(at(state, "battery"))
        found = [
            what for key, what in LEVELS.items()
            if key in state and self.edges.rises(name, key, state[key] is True)
        ]  # fmt: skip
        pressed = ACTIONS[model].get(action) or ("sos" if action in ALARM_WORDS else None)
        if pressed is not None:
            found.insert(0, pressed)
        if retained:
            return []  # where the edges start: what was high before we came has not risen
        readings: list[Reading] = [Alive(terminal, battery)]
        for what in found:
            stamp_ms = self.window.stamp(name, what, now_ms)
            if stamp_ms is not None:
                readings.append(Press(terminal, what, stamp_ms, battery))
        return readings


def _online(payload: bytes) -> bool:
    """Both forms: `online`, and `{"state": "online"}`."""
    value = parsed(payload)
    state = at(value, "state") if isinstance(value, dict) else payload.decode("utf-8", "replace")
    return str(state).strip().strip('"') == "online"
