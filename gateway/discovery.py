"""Home Assistant's discovery of our own terminals: retained configurations, off by default.

Only says where to listen: Home Assistant then reads the terminals' own topics (docs/devices.md). It
must never stand before a message: what it publishes goes out with the routine lane, once a terminal
and firmware. Pure but for `Announcer.heard`, which hands the bytes on.
"""

import json
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, Protocol

from gateway import contract
from gateway.delivery import Received

PRESSES: Final = ("sos", "fall", "sos_cancel", "checkin", "test", "tamper")
SENSORS: Final[dict[str, dict[str, Any]]] = {
    "battery": {
        "component": "sensor", "name": "电池 Battery", "device_class": "battery",
        "unit_of_measurement": "%", "value_template": "{{ value_json.bat }}",
        "state_class": "measurement",
    },
    "rssi": {
        "component": "sensor", "name": "信号 Signal", "device_class": "signal_strength",
        "unit_of_measurement": "dBm", "value_template": "{{ value_json.rssi }}",
        "state_class": "measurement", "enabled_by_default": False,
    },
    "mains": {
        "component": "binary_sensor", "name": "插头 Mains", "device_class": "plug",
        "value_template": "{{ 'ON' if value_json.mains else 'OFF' }}",
    },
}  # fmt: skip


class Link(Protocol):
    """Something that publishes."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """At QoS 1."""


def configs(terminal: str, firmware: str, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Topic and payload of each configuration of one terminal, under Home Assistant's prefix."""
    base, name = f"{contract.TERMINAL_PREFIX}{terminal}", f"xunlou_{terminal}"
    about: dict[str, Any] = {
        "device": {
            "identifiers": [name], "name": f"巡楼 {terminal}", "manufacturer": "Xunlou",
            "sw_version": firmware,
        },
        "origin": {"name": "Xunlou"},
    }  # fmt: skip
    available = {
        # The terminal's own word, and its will's: both are retained.
        "availability": [
            {
                "topic": f"{base}/status",
                "value_template": "{{ 'online' if value_json.s == 'online' else 'offline' }}",
            }
        ]
    }
    for key, sensor in SENSORS.items():
        said = {k: v for k, v in sensor.items() if k != "component"}
        yield (
            f"{prefix}/{sensor['component']}/{name}/{key}/config",
            _json(
                {**about, **available, **said, "unique_id": f"{name}_{key}",
                 "state_topic": f"{base}/hb"}
            ),
        )  # fmt: skip
    for press in PRESSES:
        yield (
            f"{prefix}/device_automation/{name}/{press}/config",
            _json(
                {**about, "automation_type": "trigger", "topic": f"{base}/evt/{press}",
                 "type": "button_short_press", "subtype": press}
            ),
        )  # fmt: skip


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Announcer:
    """Announces each terminal when its status is heard: retained ones come at our start. `foreign`:
    terminals that stand for another maker's device, which are passed over."""

    def __init__(
        self, prefix: str, link: Callable[[], Link], foreign: Collection[str] = ()
    ) -> None:
        self._prefix = prefix
        self._foreign = frozenset(foreign)
        self._link = link
        self._told: dict[str, str] = {}

    def heard(self, received: Received) -> None:
        """A routine message; anything but a terminal's own status is passed over."""
        if not received.topic.endswith("/status"):
            return
        message = contract.parse(received.topic, received.payload, received.retain)
        if not isinstance(message, contract.Status) or message.s != "online":
            return
        if message.t in self._foreign:
            return  # its maker's bridge announces it, as what it is
        firmware = str(message.fields.get("fw", ""))
        if self._told.get(message.t) == firmware:
            return
        self._told[message.t] = firmware
        for topic, payload in configs(message.t, firmware, self._prefix):
            self._link().publish(topic, payload, retain=True)
