"""Buttons of other makers through a real broker: pressed, carried, never lost, never doubled."""

import base64
import json
from pathlib import Path

import pytest
from gateway_kit import BROKER_USERS, ServerDouble, Terminal, gateway_running, make_settings

from gateway import app
from gateway.adapters import translator
from xunlou.broker import Broker

DEVICES = """
zigbee2mqtt:
  bridge: z2m-11
  devices:
    sos-301: {terminal: gd-11-301, model: TS0215A_sos}
"""
TOPIC = "zigbee2mqtt/sos-301"
SOS = json.dumps({"action": "emergency", "battery": 87, "linkquality": 112}).encode()


def devices_file(folder: Path) -> str:
    """The file that `DEVICES` is in."""
    path = folder / "devices.yaml"
    path.write_text(DEVICES)
    return str(path)


def stored_sos(double: ServerDouble) -> list[str]:
    """Terminals of the SOS that the server has, each identity once."""
    return [t for (t, _, _), entry in double.stored.items() if entry["type"] == "sos"]


async def test_a_zigbee_button_is_an_sos_of_its_flat(broker: Broker, tmp_path: Path) -> None:
    """A press reaches the server as the flat's own SOS, once though it was carried twice."""
    double = ServerDouble()
    settings = make_settings(double.url, broker.port, devices_file=devices_file(tmp_path))
    async with (
        double.serving(),
        gateway_running(settings, connections=3),
        Terminal("any", broker.port, user="devices") as bridge,
    ):
        await bridge.send(TOPIC, SOS)
        await bridge.send(TOPIC, SOS)
        await double.until(lambda: stored_sos(double) == ["gd-11-301"], "the SOS")
        await bridge.send("zigbee2mqtt/unknown-button", SOS)
        await double.until(
            lambda: stored_sos(double) == ["gd-11-301", "x-unknown-button"], "the stranger's SOS"
        )
        await double.until(lambda: len(double.rejects) == 1, "what the stranger said")
        (kept,) = double.rejects
        assert (kept["topic"], kept["reason"]) == (
            "xunlou/v1/t/x-unknown-button/evt/foreign", "unknown_type"
        )  # fmt: skip
        said = json.loads(base64.b64decode(kept["payload_b64"]))
        assert said == {"topic": "zigbee2mqtt/unknown-button", "payload": SOS.decode()}


async def test_a_press_while_the_gateway_is_away_waits_for_it(
    broker: Broker, tmp_path: Path
) -> None:
    """The bridge's broker session keeps it (QoS 1), and the gateway finds it when it is back."""
    double = ServerDouble()
    settings = make_settings(double.url, broker.port, devices_file=devices_file(tmp_path))
    async with double.serving():
        async with gateway_running(settings, connections=3):
            pass
        async with Terminal("any", broker.port, user="devices") as bridge:
            await bridge.send(TOPIC, SOS)
        assert stored_sos(double) == []
        async with gateway_running(settings, connections=3):
            await double.until(lambda: stored_sos(double) == ["gd-11-301"], "the SOS")


async def test_a_bridge_can_say_nothing_in_a_terminals_name(broker: Broker, tmp_path: Path) -> None:
    """The account of other makers' bridges may use any topic but ours."""
    double = ServerDouble()
    settings = make_settings(double.url, broker.port, devices_file=devices_file(tmp_path))
    async with (
        double.serving(),
        gateway_running(settings, connections=3),
        Terminal("any", broker.port, user="devices") as bridge,
    ):
        forged = json.dumps({"boot": 1, "seq": 1}).encode()
        await bridge.send("xunlou/v1/t/gd-11-302/evt/sos", forged)
        await bridge.send(TOPIC, SOS)  # behind it on the same connection
        await double.until(lambda: stored_sos(double) == ["gd-11-301"], "the SOS")
        assert bridge.receipts() == []


def test_the_accounts_of_the_tests_hold_the_bridges_own() -> None:
    """Or the tests above would be refused for the wrong reason."""
    assert "devices" in BROKER_USERS


CORD = """
esphome:
  - {prefix: flat-502, sensor: cord, terminal: gd-11-301, event: sos}
"""
CORD_TOPIC = "flat-502/binary_sensor/cord/state"


async def test_a_state_that_its_maker_retains_is_new_when_it_is_new(
    broker: Broker, tmp_path: Path
) -> None:
    """ESPHome asks the broker to keep each state, so a pull has that flag from the first; what the
    broker gives out of its memory, also to a session that it knows, is no pull."""
    double = ServerDouble()
    path = tmp_path / "devices.yaml"
    path.write_text(CORD)
    settings = make_settings(double.url, broker.port, devices_file=str(path))
    async with double.serving(), Terminal("any", broker.port, user="devices") as board:
        async with gateway_running(settings, connections=3):
            await board.send(CORD_TOPIC, b"ON", retain=True)
            await double.until(lambda: stored_sos(double) == ["gd-11-301"], "the pull")
        async with gateway_running(settings, connections=3):
            await board.send(CORD_TOPIC, b"ON", retain=True)  # it says so again and again
            await board.send(CORD_TOPIC, b"OFF", retain=True)
            await board.send(CORD_TOPIC, b"ON", retain=True)
            await double.until(lambda: len(stored_sos(double)) == 2, "the second pull")
        assert stored_sos(double) == ["gd-11-301", "gd-11-301"]


BOARD = "tasmota: {flat-501: gd-11-301}\n"
LWT = "tele/flat-501/LWT"


def said(double: ServerDouble) -> list[str]:
    """What the server has heard of the board's being there, in order."""
    return [status["s"] for status in double.statuses if status["t"] == "gd-11-301"]


async def test_one_that_a_will_guards_is_spoken_for_until_its_will(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says once that it is there. At its interval the gateway says so again, and how often it is
    to be heard; after its will no more. A will that the broker spoke while the gateway was away is
    told when it is back, although the broker knows its session."""
    hand = [1_773_439_260_000]
    monkeypatch.setattr(app, "_now_ms", lambda: hand[0])
    monkeypatch.setattr(translator, "ROLL_EVERY_S", 0.02)
    double = ServerDouble()
    path = tmp_path / "devices.yaml"
    path.write_text(BOARD)
    settings = make_settings(double.url, broker.port, devices_file=str(path))
    async with double.serving(), Terminal("any", broker.port, user="devices") as board:
        async with gateway_running(settings, connections=3):
            await board.send(LWT, b"Online", retain=True)
            await double.until(lambda: said(double) == ["online"], "its word")
            assert double.statuses[0]["hb_s"] == 300
            hand[0] += 299_000
            await board.send("stat/flat-501/RESULT", b'{"Button1": {"Action": "SINGLE"}}')
            await double.until(lambda: len(double.stored) == 1, "a press meanwhile")
            assert said(double).count("online") <= 2, "the promise that goes with the press"
            before = len(said(double))
            hand[0] += 301_000
            await double.until(lambda: len(said(double)) > before, "the roll")
        await board.send(LWT, b"Offline", retain=True)
        async with gateway_running(settings, connections=3):
            await double.until(lambda: said(double)[-1] == "lost", "the will of meanwhile")
            heard = len(said(double))
            hand[0] += 3_600_000
            await board.send("stat/flat-501/RESULT", b'{"Button1": {"Action": "HOLD"}}')
            await double.until(lambda: stored_sos(double) == ["gd-11-301"], "a press all the same")
            assert len(said(double)) <= heard + 1, "no roll is called for it"
