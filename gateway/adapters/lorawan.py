"""LoRaWAN buttons behind a network server: ChirpStack v4 and The Things Stack.

Weak points: The Things Stack's MQTT is QoS 0 (a webhook is the safer way for an SOS); a downlink
takes until the next uplink, so these can't show that help is coming. The decoder's `msgid` is
random and no identity; the network's own time of the uplink is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.adapters.nouns import Alive, Habit, Press, Reading, Unknown
from gateway.adapters.reading import at, instant_ms, parsed, percent, signal_strength

LORA_S: Final = 24 * 3600
"""A WS101 reports of itself within a day, and an uplink may be lost: silent after 60 h."""
BUTTON: Final = {"short": "checkin", "double": "test", "long": "sos"}
"""`button_event.status` as Milesight's decoder for the WS101 writes it, there with " press" behind
it; its older one wrote the bare word as `press`."""
PRESS_CHANNEL: Final = b"\xff\x2e"
PRESS_CODES: Final = {1: "checkin", 2: "sos", 3: "test"}
"""The WS101's own bytes: channel ff, type 2e, then short, long, double."""


@dataclass(slots=True)
class ChirpStack:
    """`devices`: device EUI → terminal."""

    devices: Mapping[str, str]

    @property
    def topics(self) -> tuple[str, ...]:
        """Uplinks of every application."""
        return ("application/+/device/+/event/up",)

    @property
    def habits(self) -> Mapping[str, Habit]:
        """See `Adapter.habits`."""
        return {terminal: Habit(LORA_S) for terminal in self.devices.values()}

    def read(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> list[Reading]:
        """See `Adapter.read`. `time` is the network's, the same in each redelivery. Without a codec
        the device's own bytes are read."""
        up = parsed(payload)
        eui = topic.split("/")[3] if topic.count("/") == 5 else ""
        what = _button(at(up, "object")) or _raw(at(up, "data"))
        rssi = signal_strength(at(up, "rxInfo", 0, "rssi"))
        stamp_ms = instant_ms(at(up, "time")) or now_ms
        return _readings(
            self.devices.get(eui), eui, what, stamp_ms, percent(at(up, "object", "battery")), rssi,
            retained=retained,
        )  # fmt: skip


@dataclass(slots=True)
class TheThingsStack:
    """`devices`: device id → terminal."""

    devices: Mapping[str, str]

    @property
    def topics(self) -> tuple[str, ...]:
        """Uplinks of every application."""
        return ("v3/+/devices/+/up",)

    @property
    def habits(self) -> Mapping[str, Habit]:
        """See `Adapter.habits`."""
        return {terminal: Habit(LORA_S) for terminal in self.devices.values()}

    def read(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> list[Reading]:
        """See `Adapter.read`. Without a decoder the device's own bytes are read."""
        up = parsed(payload)
        name = topic.split("/")[3] if topic.count("/") == 4 else ""
        message = at(up, "uplink_message")
        what = _button(at(message, "decoded_payload")) or _raw(at(message, "frm_payload"))
        rssi = signal_strength(at(message, "rx_metadata", 0, "rssi"))
        stamp_ms = instant_ms(at(message, "received_at")) or now_ms
        battery = percent(at(message, "decoded_payload", "battery"))
        return _readings(
            self.devices.get(name), name, what, stamp_ms, battery, rssi, retained=retained
        )


def _button(decoded: Any) -> str | None:
    status = at(decoded, "button_event", "status") or at(decoded, "press")
    return BUTTON.get(status.lower().removesuffix(" press")) if isinstance(status, str) else None


def _raw(encoded: Any) -> str | None:
    import base64
    import binascii

    if not isinstance(encoded, str):
        return None
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    where = data.find(PRESS_CHANNEL)
    return PRESS_CODES.get(data[where + 2]) if 0 <= where < len(data) - 2 else None


def _readings(
    terminal: str | None,
    name: str,
    what: str | None,
    stamp_ms: int,
    battery: int | None,
    rssi: int | None,
    *,
    retained: bool,
) -> list[Reading]:
    if retained or not name:
        return []
    if terminal is None:
        return [Unknown(name, what == "sos", stamp_ms)] if what else []
    heard: list[Reading] = [Alive(terminal, battery, rssi)]
    return [*heard, Press(terminal, what, stamp_ms, battery, rssi)] if what else heard
