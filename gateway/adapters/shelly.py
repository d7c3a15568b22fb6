"""Shelly buttons: Gen2 and later by RPC events, the Gen1 Button1 by its counter.

Weak points: Gen1 publishes with QoS 0, and its counter starts anew at a reboot, so arrival time
takes part in the identity. Neither can show that help is coming.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.adapters.nouns import DAY_MS, Alive, Habit, Presence, Press, Reading, Unknown
from gateway.adapters.reading import at, parsed, percent, whole

GEN2_S: Final = 900
BUTTON1_S: Final = 7 * 24 * 3600
"""A Button1 sleeps until it is pressed, so its silence says next to nothing; this is the longest
that the contract takes."""
SAME_COUNT_MS: Final = 60_000
NOTICES: Final = frozenset({"NotifyEvent", "NotifyStatus", "NotifyFullStatus"})
GEN2: Final = {
    "single_push": "checkin", "double_push": "test", "triple_push": "sos", "long_push": "sos",
}  # fmt: skip
GEN1: Final = {"S": "checkin", "SS": "test", "SSS": "sos", "L": "sos"}


@dataclass(slots=True)
class ShellyGen2:
    """`devices`: MQTT prefix → terminal."""

    devices: Mapping[str, str]

    @property
    def topics(self) -> tuple[str, ...]:
        """Events of any device (an unknown one must be heard too), presence of ours. A prefix with
        levels (`house/11`) is asked for by its name: `+` does not match those."""
        deep = (f"{prefix}/events/rpc" for prefix in self.devices if "/" in prefix)
        return ("+/events/rpc", *deep, *(f"{prefix}/online" for prefix in self.devices))

    @property
    def habits(self) -> Mapping[str, Habit]:
        """See `Adapter.habits`. Its `online` is a last will."""
        return {terminal: Habit(GEN2_S, guarded=True) for terminal in self.devices.values()}

    def read(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> list[Reading]:
        """See `Adapter.read`. The key of a press is its own time stamp and its input."""
        if topic.endswith("/online"):
            online = payload.strip() == b"true"
            terminal = self.devices.get(topic.removesuffix("/online"))
            return [Presence(terminal, online)] if terminal else []
        prefix = topic.removesuffix("/events/rpc")
        if prefix == topic:
            return []
        message = parsed(payload)
        events, method = at(message, "params", "events"), at(message, "method")
        if retained or not isinstance(method, str) or method not in NOTICES:
            return []
        readings: list[Reading] = []
        if prefix in self.devices:
            readings.append(Alive(self.devices[prefix]))
        if method != "NotifyEvent" or not isinstance(events, list):
            return readings
        for event in events[:16]:
            what = GEN2.get(str(at(event, "event")))
            if what is None:
                continue  # a button that goes down, before it is known how
            stamp_ms = _stamp(event, now_ms)
            if prefix not in self.devices:
                readings.append(Unknown(prefix, what == "sos", stamp_ms))
            else:
                readings.append(Press(self.devices[prefix], what, stamp_ms))
        return readings


def _stamp(event: Any, now_ms: int) -> int:
    """The device's own time of the press, to the millisecond, with its input's number added: two
    inputs may be pressed at once. A clock that is not set tells nothing, and after each start it
    would tell the same."""
    stamp_s = at(event, "ts")
    seconds = stamp_s if isinstance(stamp_s, int | float) else 0
    stamp_ms = whole(seconds * 1000, now_ms - DAY_MS, now_ms + DAY_MS)
    return now_ms if stamp_ms is None else stamp_ms + (whole(at(event, "id"), 0, 9) or 0)


@dataclass(slots=True)
class ShellyButton1:
    """`devices`: device id → terminal."""

    devices: Mapping[str, str]
    counters: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def topics(self) -> tuple[str, ...]:
        """Presses and batteries."""
        return ("shellies/+/input_event/0", "shellies/+/sensor/battery")

    @property
    def habits(self) -> Mapping[str, Habit]:
        """See `Adapter.habits`."""
        return {terminal: Habit(BUTTON1_S) for terminal in self.devices.values()}

    def read(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> list[Reading]:
        """See `Adapter.read`. The same `event_cnt` again is the same press."""
        _, name, kind, *_ = (*topic.split("/"), "", "")
        terminal = self.devices.get(name)
        value = parsed(payload)
        if kind == "sensor":
            level = percent(value)
            return [Alive(terminal, level)] if terminal and level is not None else []
        what = GEN1.get(str(at(value, "event")))
        count = whole(at(value, "event_cnt"), 0, 2**31)
        if retained or what is None:
            return []
        if terminal is None:
            return [Unknown(name, what == "sos", now_ms)]
        before, at_ms = self.counters.get(name, (None, 0))
        # After a change of battery the counter starts anew: long after, equal means nothing.
        if count is not None and count == before and now_ms - at_ms < SAME_COUNT_MS:
            return []
        if count is not None:
            self.counters[name] = (count, now_ms)
        return [Alive(terminal), Press(terminal, what, now_ms)]
