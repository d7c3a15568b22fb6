"""Home Assistant is told of our own terminals, retained, and only when somebody asked for it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from gateway_kit import BROKER_USERS, ServerDouble, gateway_running, make_settings
from paho.mqtt.enums import CallbackAPIVersion
from parts import require

from xunlou.broker import Broker
from xunlou.paho_thread import end

T = "gd-11-301"


def say_status(broker: Broker, s: str, fw: str, terminal: str = T) -> None:
    """The terminal's own retained status."""
    client = paho.Client(CallbackAPIVersion.VERSION2, f"{terminal}-says")
    client.username_pw_set(terminal, BROKER_USERS[terminal])
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    body = {"s": s, "boot": 1, "fw": fw, "hb_s": 900, "cfg_v": 0}
    said = client.publish(f"xunlou/v1/t/{terminal}/status", json.dumps(body), qos=1, retain=True)
    said.wait_for_publish(10)
    end(client)


class Late:
    """Somebody who subscribes afterwards, as Home Assistant does when it starts: sees what is
    retained."""

    def __init__(self, broker: Broker) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "home-assistant")
        self.client.username_pw_set("gateway", BROKER_USERS["gateway"])
        self.client.on_message = self._heard
        self.client.connect("127.0.0.1", broker.port)
        self.client.subscribe("homeassistant/#", qos=1)
        self.client.loop_start()

    def _heard(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self.found[message.topic] = json.loads(message.payload)

    def close(self) -> None:
        end(self.client)


async def test_nothing_is_announced_unless_asked_for(broker: Broker) -> None:
    """Off by default."""
    require("mosquitto")
    double = ServerDouble()
    say_status(broker, "online", "1.0")
    late = Late(broker)
    try:
        async with double.serving(), gateway_running(make_settings(double.url, broker.port)):
            await double.until(lambda: bool(double.statuses), "the status at the server")
    finally:
        late.close()
    assert late.found == {}


async def test_each_terminal_is_announced_with_its_availability(broker: Broker) -> None:
    """Three sensors and a trigger a press, retained, of one device; what they point to is what a
    terminal publishes. A status that says lost announces nothing; a new firmware is told."""
    require("mosquitto")
    double = ServerDouble()
    settings = {"homeassistant_prefix": "homeassistant"}
    say_status(broker, "online", "1.0")
    late = Late(broker)
    try:
        async with (
            double.serving(),
            gateway_running(make_settings(double.url, broker.port, **settings)),
        ):
            async with asyncio.timeout(15):
                while len(late.found) < 9:
                    await asyncio.sleep(0.02)
            say_status(broker, "online", "1.1")
            async with asyncio.timeout(15):
                while any(c["device"]["sw_version"] != "1.1" for c in late.found.values()):
                    await asyncio.sleep(0.02)
        again = Late(broker)  # the gateway is gone; what it said is retained
        try:
            async with asyncio.timeout(15):
                while again.found != late.found:
                    await asyncio.sleep(0.02)
        finally:
            again.close()
    finally:
        late.close()
    name = f"xunlou_{T}"
    battery = late.found[f"homeassistant/sensor/{name}/battery/config"]
    assert battery["state_topic"] == f"xunlou/v1/t/{T}/hb"
    assert battery["availability"][0]["topic"] == f"xunlou/v1/t/{T}/status"
    assert battery["unique_id"] == f"{name}_battery"
    sos = late.found[f"homeassistant/device_automation/{name}/sos/config"]
    assert (sos["automation_type"], sos["topic"]) == ("trigger", f"xunlou/v1/t/{T}/evt/sos")
    assert {json.dumps(c["device"]["identifiers"]) for c in late.found.values()} == {f'["{name}"]'}


async def test_a_device_of_another_maker_is_not_announced_as_ours(
    broker: Broker, tmp_path: Path
) -> None:
    """Its maker's bridge announces it, as what it is; two of one button would be pressed twice."""
    path = tmp_path / "devices.yaml"
    path.write_text(f"shelly: {{shelly-401: {T}}}\n")
    double = ServerDouble()
    settings = make_settings(
        double.url, broker.port, homeassistant_prefix="homeassistant", devices_file=str(path)
    )
    late = Late(broker)
    try:
        async with double.serving(), gateway_running(settings, connections=3):
            say_status(broker, "online", "1.0")
            say_status(broker, "online", "1.0", "gd-11-302")
            topic = "homeassistant/sensor/xunlou_gd-11-302/battery/config"
            await double.until(lambda: topic in late.found, "the announcement of our own")
    finally:
        late.close()
    assert [t for t in late.found if T in t] == []
