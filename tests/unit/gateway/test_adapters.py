"""Buttons of other makers say what they say, once: golden payloads and their weak points."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters import homemade, lorawan, nouns, shelly, zigbee
from gateway.contract import EVENT_TYPES

PAYLOADS = Path(__file__).parents[2] / "golden" / "devices" / "payloads.json"
GOLDEN = json.loads(PAYLOADS.read_text("utf-8"))
NOW = 1_773_439_260_000


def adapters() -> dict[str, nouns.Adapter]:
    """One of each family, with the devices of the golden payloads."""
    return {
        "zigbee2mqtt": zigbee.Zigbee2Mqtt(
            {
                "sos-301": ("gd-11-301", "TS0215A_sos"), "aqara-302": ("gd-11-302", "WXKG11LM"),
                "heiman-303": ("gd-11-303", "HS1EB"), "pull-304": ("gd-11-304", "SEB01ZB"),
                "floor3/flat-305": ("gd-11-305", "TS0215A_sos"),
                "tuya-306": ("gd-11-306", "TS0601_sos"), "hobeian-307": ("gd-11-307", "ZG-101Z"),
                "frient-308": ("gd-11-308", "SBTZB-110"),
            },
            bridge="z2m-11", bridge_online=True,
        ),
        "shelly": shelly.ShellyGen2(
            {"shelly-401": "gd-11-401", "house/11/shelly-403": "gd-11-403"}
        ),
        "shelly1": shelly.ShellyButton1({"shellybutton1-402": "gd-11-402"}),
        "tasmota": homemade.Tasmota(
            {"flat-501": "gd-11-501", "house/11/flat-503": "gd-11-503"}
        ),
        "esphome": homemade.EspHome(
            {("flat-502", "cord"): ("gd-11-502", "sos"),
             ("house/11/flat-504", "cord"): ("gd-11-504", "sos")}
        ),
        "chirpstack": lorawan.ChirpStack({"24e124535b316056": "gd-11-601"}),
        "tts": lorawan.TheThingsStack({"ws101-602": "gd-11-602"}),
    }  # fmt: skip


def in_words(reading: nouns.Reading) -> str:
    """A reading as the golden file writes it."""
    match reading:
        case nouns.Press(terminal, what):
            return f"{what} {terminal}"
        case nouns.Alive(terminal, battery):
            return f"alive {terminal}" + (f" bat {battery}" if battery is not None else "")
        case nouns.Presence(terminal, online):
            return f"{'online' if online else 'lost'} {terminal}"
        case nouns.Unknown(name, alarm):
            return f"unknown {name}" + (" alarm" if alarm else "")


def bytes_of(example: dict[str, Any]) -> bytes:
    return example["raw"].encode() if "raw" in example else json.dumps(example["payload"]).encode()


@pytest.mark.parametrize("example", GOLDEN, ids=lambda e: e["is"])
def test_a_golden_payload_says_what_it_says(example: dict[str, Any]) -> None:
    """Each maker's own form, to our words; and the topic is one that the adapter listens to."""
    adapter = adapters()[example["family"]]
    found = adapter.read(
        example["topic"], bytes_of(example), example.get("retained", False), NOW
    )
    assert [in_words(r) for r in found] == example["says"]
    assert any(_matches(pattern, example["topic"]) for pattern in adapter.topics)
    if "stamp_ms" in example:
        stamps = [r.stamp_ms for r in found if isinstance(r, nouns.Press)]
        assert stamps == [example["stamp_ms"]]


def words_of(example: dict[str, Any], adapter: nouns.Adapter) -> list[tuple[str, str]]:
    """Which entries of its adapter's tables an example puts to the test."""
    body = example.get("payload")
    if not isinstance(body, dict):
        return []
    match adapter:
        case zigbee.Zigbee2Mqtt():
            name = example["topic"].partition("/")[2]
            model = adapter.devices[name][1] if name in adapter.devices else ""
            risen = [("level", level) for level in zigbee.LEVELS if body.get(level) is True]
            return [(model, str(body.get("action"))), *risen]
        case shelly.ShellyGen2():
            return [("gen2", e["event"]) for e in body["params"].get("events", [])]
        case shelly.ShellyButton1():
            return [("gen1", body["event"])]
        case homemade.Tasmota():
            return [("tasmota", body.get("Button1", {}).get("Action", ""))]
        case lorawan.ChirpStack():
            decoded = body.get("object", {})
            return [("chirpstack", decoded.get("button_event", {}).get("status", "")),
                    ("older", decoded.get("press", ""))]  # fmt: skip
        case lorawan.TheThingsStack():
            message = body["uplink_message"]
            raw = base64.b64decode(message.get("frm_payload", ""))
            status = message.get("decoded_payload", {}).get("button_event", {}).get("status", "")
            return [("tts", status), ("raw", str(raw[-1]) if raw else "")]
    return []


def test_every_entry_of_every_table_has_a_golden_payload() -> None:
    """A press of each model in each of its ways has been read as its maker sends it: an entry that
    nothing has ever tried is a button that may be pressed in vain."""
    wanted = {
        **{(model, word): what for model, words in zigbee.ACTIONS.items()
           for word, what in words.items()},
        **{("level", level): what for level, what in zigbee.LEVELS.items()},
        **{("gen2", word): what for word, what in shelly.GEN2.items()},
        **{("gen1", word): what for word, what in shelly.GEN1.items()},
        **{("tasmota", word): what for word, what in homemade.TASMOTA.items()},
        **{(by, f"{word} press"): what for by in ("chirpstack", "tts")
           for word, what in lorawan.BUTTON.items()},
        **{("older", word): what for word, what in lorawan.BUTTON.items()},
        **{("raw", str(code)): what for code, what in lorawan.PRESS_CODES.items()},
    }  # fmt: skip
    tried: dict[tuple[str, str], set[str]] = {}
    models: set[str] = set()
    for example in GOLDEN:
        adapter = adapters()[example["family"]]
        if isinstance(adapter, zigbee.Zigbee2Mqtt):
            models |= {m for n, (_, m) in adapter.devices.items() if n in example["topic"]}
        for entry in words_of(example, adapter):
            tried.setdefault(entry, set()).update(line.split()[0] for line in example["says"])
    assert {e for e, what in wanted.items() if what not in tried.get(e, set())} == set()
    assert models == set(zigbee.ACTIONS)


def _matches(pattern: str, topic: str) -> bool:
    pairs = zip(pattern.split("/"), topic.split("/"), strict=False)
    return pattern.count("/") == topic.count("/") and all(a in ("+", b) for a, b in pairs)


@pytest.mark.parametrize("family", list(adapters()))
@given(payload=st.binary(max_size=300), topic=st.text(max_size=60))
def test_nothing_that_a_device_sends_raises(family: str, payload: bytes, topic: str) -> None:
    """Any bytes on any topic, on the adapter's own ones too."""
    adapter = adapters()[family]
    for where in (topic, *(t.replace("+", "x") for t in adapter.topics)):
        assert isinstance(adapter.read(where, payload, False, NOW), list)


@pytest.mark.parametrize("family", list(adapters()))
@given(value=st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=9),
                          lambda inner: st.lists(inner, max_size=3)
                          | st.dictionaries(st.sampled_from(
                              ["action", "sos", "params", "events", "event", "ts", "method",
                               "object", "button_event", "status", "uplink_message", "time",
                               "rxInfo", "frm_payload", "Button1", "event_cnt", "battery"]),
                              inner, max_size=4), max_leaves=12))  # fmt: skip
def test_no_json_of_the_wrong_shape_raises(family: str, value: Any) -> None:
    """Keys that exist, with values that don't belong there."""
    adapter = adapters()[family]
    payload = json.dumps(value).encode()
    for topic in adapter.topics:
        assert isinstance(adapter.read(topic.replace("+", "x"), payload, False, NOW), list)


def presses(adapter: nouns.Adapter, topic: str, value: Any, now_ms: int) -> list[nouns.Press]:
    """The presses in what an adapter reads."""
    readings = adapter.read(topic, json.dumps(value).encode(), False, now_ms)
    return [r for r in readings if isinstance(r, nouns.Press)]


def test_without_an_identity_a_repeat_within_three_seconds_is_the_same_press() -> None:
    """Two routers carry one press twice; a second press later is a second one."""
    button, topic = adapters()["zigbee2mqtt"], "zigbee2mqtt/sos-301"
    at = [0, 400, 2_999, 3_000, 10_000]
    found = [len(presses(button, topic, {"action": "emergency"}, NOW + ms)) for ms in at]
    assert found == [1, 0, 0, 1, 1]


def test_a_level_that_stays_high_is_one_press() -> None:
    """`sos: true` comes with every report until it is reset; only the rise is news."""
    cord, topic = adapters()["zigbee2mqtt"], "zigbee2mqtt/pull-304"
    levels = [True, True, False, True]
    found = [
        len(presses(cord, topic, {"sos": level}, NOW + n * 60_000))
        for n, level in enumerate(levels)
    ]
    assert found == [1, 0, 0, 1]


def test_a_cord_that_was_pulled_before_we_came_is_no_press_until_it_is_pulled_again() -> None:
    """A retained ON is a memory; the edge after an OFF is a press."""
    cord, topic = adapters()["esphome"], "flat-502/binary_sensor/cord/state"
    assert cord.read(topic, b"ON", True, NOW) == []
    assert presses_raw(cord, topic, b"ON", NOW + 9_000) == 0
    assert presses_raw(cord, topic, b"OFF", NOW + 18_000) == 0
    assert presses_raw(cord, topic, b"ON", NOW + 27_000) == 1


def test_a_zigbee_cord_that_was_pulled_before_we_came_is_no_press_either() -> None:
    """After a start of the gateway the retained state says where the level is; the next periodic
    report that says the same is no call for help, and the pull after its end is one."""
    cord, topic = adapters()["zigbee2mqtt"], "zigbee2mqtt/pull-304"
    retained = json.dumps({"sos": True, "action": "emergency"}).encode()
    assert cord.read(topic, retained, True, NOW) == []
    levels = [True, False, True]
    found = [
        len(presses(cord, topic, {"sos": level}, NOW + n * 60_000))
        for n, level in enumerate(levels)
    ]
    assert found == [0, 0, 1]
    assert len(presses(cord, topic, {"action": "emergency"}, NOW + 180_000)) == 1


def test_a_stranger_that_called_before_we_came_does_not_call_again() -> None:
    """Its level, too, was high before."""
    z2m, topic = adapters()["zigbee2mqtt"], "zigbee2mqtt/0x00158d0001"
    assert z2m.read(topic, b'{"sos": true}', True, NOW) == []
    assert z2m.read(topic, b'{"sos": true}', False, NOW) == []
    assert z2m.read(topic, b'{"sos": false}', False, NOW) == []
    assert [in_words(r) for r in z2m.read(topic, b'{"sos": true}', False, NOW)] == [
        "unknown 0x00158d0001 alarm"
    ]


def test_two_keys_pressed_by_turns_are_two_presses_and_no_four() -> None:
    """Two routers carry each twice, the one amid the other: each kind has its own window."""
    button, topic = adapters()["zigbee2mqtt"], "zigbee2mqtt/heiman-303"
    found = [
        len(presses(button, topic, {"action": action}, NOW + n * 200))
        for n, action in enumerate(["single", "hold", "single", "hold"])
    ]
    assert found == [1, 1, 0, 0]


def presses_raw(adapter: nouns.Adapter, topic: str, payload: bytes, now_ms: int) -> int:
    """How many presses a plain payload is."""
    return sum(isinstance(r, nouns.Press) for r in adapter.read(topic, payload, False, now_ms))


def test_a_redelivered_uplink_is_the_same_press() -> None:
    """The network's own time is its identity, whenever it arrives."""
    example = next(e for e in GOLDEN if e["is"].endswith("long press"))
    adapter = adapters()["chirpstack"]
    first = presses(adapter, example["topic"], example["payload"], NOW)
    again = presses(adapter, example["topic"], example["payload"], NOW + 900_000)
    assert [p.identity for p in first] == [p.identity for p in again]


def test_a_button1_counter_that_starts_anew_loses_no_press() -> None:
    """The same count within a minute is a repeat; after a change of battery it is a press."""
    button, topic = adapters()["shelly1"], "shellies/shellybutton1-402/input_event/0"
    event = {"event": "L", "event_cnt": 1}
    at = [0, 30_000, 90_000]
    assert [len(presses(button, topic, event, NOW + ms)) for ms in at] == [1, 0, 1]


def test_while_the_bridge_is_away_its_devices_are_not_called_lost() -> None:
    """One parent away is one matter; a press that still comes is a press."""
    z2m = adapters()["zigbee2mqtt"]
    z2m.read("zigbee2mqtt/bridge/state", b"offline", True, NOW)
    gone = z2m.read("zigbee2mqtt/sos-301/availability", b"offline", True, NOW)
    assert gone == []
    assert len(presses(z2m, "zigbee2mqtt/sos-301", {"action": "emergency"}, NOW)) == 1
    z2m.read("zigbee2mqtt/bridge/state", b"online", True, NOW)
    gone = z2m.read("zigbee2mqtt/sos-301/availability", b"offline", True, NOW)
    assert [in_words(r) for r in gone] == ["lost gd-11-301"]


def test_two_things_said_in_one_report_are_two_events() -> None:
    """A call for help with a low battery: an identity for each, or the server drops the second."""
    cord = adapters()["zigbee2mqtt"]
    said = {"sos": True, "battery_low": True, "tamper": True}
    found = presses(cord, "zigbee2mqtt/pull-304", said, NOW)
    assert [p.type for p in found] == ["sos", "tamper", "battery_low"]
    assert len({p.identity for p in found}) == 3


def test_at_the_start_nobody_is_called_lost_before_the_bridge_is_known() -> None:
    """Retained words come in the order of the subscriptions: the bridge's first."""
    z2m = zigbee.Zigbee2Mqtt({"sos-301": ("gd-11-301", "TS0215A_sos")}, "z2m-11")
    assert z2m.topics[0] == "zigbee2mqtt/bridge/state"
    gone = z2m.read("zigbee2mqtt/sos-301/availability", b"offline", True, NOW)
    assert gone == []


def test_a_name_with_levels_is_heard() -> None:
    """zigbee2mqtt lets a friendly name hold slashes: `+` does not match those."""
    z2m = adapters()["zigbee2mqtt"]
    topic = "zigbee2mqtt/floor3/flat-305"
    assert {topic, f"{topic}/availability"} <= set(z2m.topics)
    assert [p.terminal for p in presses(z2m, topic, {"action": "emergency"}, NOW)] == ["gd-11-305"]
    z2m.read("zigbee2mqtt/bridge/state", b"online", True, NOW)
    gone = z2m.read(f"{topic}/availability", b"offline", False, NOW)
    assert [in_words(r) for r in gone] == ["lost gd-11-305"]


@pytest.mark.parametrize("what", sorted(EVENT_TYPES))
def test_identities_fit_the_contract_and_grow(what: str) -> None:
    """Day, and millisecond with kind: both inside 31 bits to the day's last, in order of time."""
    midnight = NOW - NOW % nouns.DAY_MS
    early, late, tomorrow = (
        nouns.Press("t", what, midnight + ms).identity
        for ms in (nouns.DAY_MS - 2, nouns.DAY_MS - 1, nouns.DAY_MS)
    )
    assert early < late < tomorrow
    assert all(0 <= n < 2**31 for n in (*early, *late, *tomorrow))


def test_a_kind_keeps_its_number_for_ever() -> None:
    """What is delivered again after an upgrade must be the same press: these are the numbers that
    releases before `help` gave, and it came after them."""
    known = (
        "battery_low", "checkin", "fall", "mains_lost", "mains_restored", "sos", "sos_cancel",
        "tamper", "test",
    )  # fmt: skip
    for number, kind in enumerate((*known, "help")):
        assert nouns.identity(kind, NOW) == (NOW // nouns.DAY_MS, NOW % nouns.DAY_MS * 16 + number)
    numbers = {nouns.identity(kind, NOW)[1] for kind in EVENT_TYPES}
    assert len(numbers) == len(EVENT_TYPES) <= 16, "each kind has one, within its millisecond"
