"""The file of foreign devices: what it makes, and what it says of a mistake."""

import json
from pathlib import Path

import pytest

from gateway.adapters import config
from gateway.adapters.nouns import Alive, Habit, Presence, Press, Unknown, identity
from gateway.adapters.translator import as_it_came, in_our_words, slug
from gateway.contract import Event, Heartbeat, Reject, Status, parse

EXAMPLE = "\n".join(
    line[4:] for line in (config.__doc__ or "").splitlines() if line.startswith("    ")
)


def test_the_example_of_the_docs_makes_one_adapter_a_family() -> None:
    """The form in the module's own words can be read."""
    adapters = config.read(EXAMPLE, "devices.yaml")
    assert len(adapters) == len(config.FAMILIES)
    assert all(a.topics for a in adapters)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "devices.yaml:1: the file is empty"),
        ("zigbee2mqt: {}", "devices.yaml:1: no family 'zigbee2mqt'; write zigbee2mqtt"),
        ("zigbee2mqtt: {}", "devices.yaml:1: zigbee2mqtt has no devices; add one"),
        ("shelly: [a]", "devices.yaml:1: shelly must be a mapping"),
        ("shelly:\n  a: GD_11", "devices.yaml:2: 'GD_11' is no terminal id"),
        ("shelly: {a: x, a: y}", "devices.yaml:1: 'a' stands twice in shelly"),
        (
            "zigbee2mqtt:\n  devices:\n    a: {terminal: t, model: HS1B}",
            "devices.yaml:3: no model 'HS1B'; write HS1EB",
        ),
        ("zigbee2mqtt:\n  devices:\n    a: {terminal: t}", "devices.yaml:3: a has no model"),
        ("zigbee2mqtt:\n  devices: {}", "devices.yaml:2: zigbee2mqtt has no bridge; add"),
        (
            "zigbee2mqtt:\n- {bridge: z1, devices: {a: {terminal: t, model: HS1EB}}}\n"
            "- {bridge: z2, devices: {b: {terminal: u, model: HS1EB}}}",
            "devices.yaml:3: base 'zigbee2mqtt' stands twice; each bridge has its own",
        ),
        ("zigbee2mqtt:\n  bas: x", "devices.yaml:2: unknown 'bas'; zigbee2mqtt has base"),
        ("esphome: {a: b}", "devices.yaml:1: esphome must be a list"),
        (
            "esphome:\n- {prefix: a, sensor: b, terminal: c, event: hug}",
            "devices.yaml:2: no event 'hug'",
        ),
        ("shelly: {a+b: x}", "devices.yaml:1: 'a+b' can't be a name in shelly: no +, no #"),
        ("tasmota: {/a: x}", "devices.yaml:1: '/a' can't be a name in tasmota"),
        ("shelly_button1: {a/b: x}", "devices.yaml:1: 'a/b' can't be a name in shelly_button1: it"),
        ("chirpstack: {24e1: x}", "devices.yaml:1: '24e1' is no device EUI; write its 16"),
        (
            "esphome:\n- {prefix: a, sensor: b/c, terminal: t, event: sos}",
            "devices.yaml:2: 'b/c' can't be a sensor",
        ),
        ("tasmota: {a: ''}", "devices.yaml:1: terminal must be a word"),
        ("shelly: [", "devices.yaml:1: not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, problem: str) -> None:
    """Whoever writes the file is sent to the line, and told what to write."""
    with pytest.raises(config.BadDevices) as caught:
        config.read(text, "devices.yaml")
    assert problem in str(caught.value)


def test_an_eui_in_capitals_is_the_same_device() -> None:
    """The label on the device has them; ChirpStack's topics have not."""
    (adapter,) = config.read("chirpstack: {24E124535B316056: gd-11-601}", "devices.yaml")
    up = b'{"object": {"press": "long"}}'
    topic = "application/3f9/device/24e124535b316056/event/up"
    found = adapter.read(topic, up, False, 1_773_439_200_000)
    assert [r.terminal for r in found if isinstance(r, Press)] == ["gd-11-601"]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """One look is enough to mend the file; a missing file says its name."""
    path = tmp_path / "devices.yaml"
    path.write_text("shelly: {a: B}\ntasmota: {c: D}\n")
    with pytest.raises(config.BadDevices) as caught:
        config.load(path)
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(config.BadDevices, match="give a readable"):
        config.load(tmp_path / "none.yaml")


def test_our_words_for_a_foreign_press_keep_the_contract() -> None:
    """What the translator publishes is what a terminal of ours would say."""
    now = 1_773_439_200_000
    press = parse(*in_our_words(Press("gd-11-301", "sos", now, 80, -60), now, {}), False)
    assert isinstance(press, Event)
    assert (press.t, press.type) == ("gd-11-301", "sos")
    assert (press.boot, press.seq) == identity("sos", now)
    assert press.fields["bat"] == 80
    alive = parse(*in_our_words(Alive("gd-11-301", None, -70), now, {}), False)
    assert alive == Heartbeat("gd-11-301", {"rssi": -70})
    gone = parse(*in_our_words(Presence("z2m-11", False), now, {"z2m-11": Habit(600)}), False)
    assert isinstance(gone, Status)
    assert (gone.s, gone.fields["hb_s"]) == ("lost", 600)
    stranger = parse(*in_our_words(Unknown("0x00158D_0001", True, now), now, {}), False)
    assert isinstance(stranger, Event)
    assert (stranger.t, stranger.type) == ("x-0x00158d-0001", "sos")


@pytest.mark.parametrize("name", ["", "房间的按钮", "A" * 80, "../../x", "a+b/#"])
def test_any_name_becomes_a_terminal_id(name: str) -> None:
    """Staff must see which device it was, and no name may break a topic."""
    topic, payload = in_our_words(Unknown(name, True, 1_773_439_200_000), 0, {})
    assert isinstance(parse(topic, payload, False), Event)
    assert slug(name).startswith("x-")


@pytest.mark.parametrize("payload", [b"ON", b"\xff\x00", b"x" * 9_000, "按".encode() * 200])
def test_what_a_stranger_said_is_kept_as_it_came_and_is_no_event(payload: bytes) -> None:
    """Staff see the maker's topic and the first bytes, whatever they are; nothing else comes of
    it."""
    topic, body = as_it_came("flat-599/cord", "flat-599/binary_sensor/cord/state", payload)
    kept = parse(topic, body, False)
    assert isinstance(kept, Reject)
    assert (kept.reason, kept.topic) == ("unknown_type", "xunlou/v1/t/x-flat-599-cord/evt/foreign")
    said = json.loads(kept.payload)
    assert said["topic"] == "flat-599/binary_sensor/cord/state"
    assert payload[:512].decode("utf-8", "replace") == said["payload"]
