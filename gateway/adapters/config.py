"""Which devices of other makers there are: a YAML file, read with the line of each mistake.

    zigbee2mqtt:
      base: zigbee2mqtt            # its MQTT base topic
      bridge: z2m-11               # terminal id of the bridge itself, enrolled as any other
      devices:
        sos-301: {terminal: gd-11-301, model: TS0215A_sos}
    shelly: {shelly-401: gd-11-401}
    shelly_button1: {shellybutton1-402: gd-11-402}
    tasmota: {flat-501: gd-11-501}
    esphome:
      - {prefix: flat-502, sensor: cord, terminal: gd-11-502, event: sos}
    chirpstack: {24e124535b316056: gd-11-601}
    the_things_stack: {ws101-602: gd-11-602}

It never guesses: a name that is not known is an error, and one error refuses the file.
"""

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from gateway.adapters.homemade import EspHome, Tasmota
from gateway.adapters.lorawan import ChirpStack, TheThingsStack
from gateway.adapters.nouns import Adapter
from gateway.adapters.shelly import ShellyButton1, ShellyGen2
from gateway.adapters.zigbee import ACTIONS, Zigbee2Mqtt
from gateway.contract import EVENT_TYPES, TERMINAL_ID

EUI: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)


class BadDevices(ValueError):
    """The file can't be used; one line for each thing that is wrong."""


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[str] = []

    def wrong(self, node: yaml.Node, what: str) -> None:
        self.problems.append(f"{self.name}:{node.start_mark.line + 1}: {what}")

    def mapping(self, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
        """Keys in their order; a key that stands twice is told."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"{what} must be a mapping of names")
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            word = str(key.value)
            if word in found:
                self.wrong(key, f"{word!r} stands twice in {what}; keep one of them")
            found[word] = value
        return found

    def word(self, node: yaml.Node | None, what: str, among: Any = None) -> str:
        """A scalar, and one of `among` if given."""
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            if node is not None:
                self.wrong(node, f"{what} must be a word")
            return ""
        if among is not None and node.value not in among:
            near = difflib.get_close_matches(node.value, among, 1) or sorted(among)
            self.wrong(node, f"no {what} {node.value!r}; write {' or '.join(near)}")
            return ""
        return str(node.value)

    def terminal(self, node: yaml.Node | None) -> str:
        """A terminal's id."""
        word = self.word(node, "terminal")
        if word and node is not None and TERMINAL_ID.fullmatch(word) is None:
            self.wrong(node, f"{word!r} is no terminal id; write a-z, 0-9 and -, at most 32")
        return word

    def fields(self, node: yaml.Node, what: str, names: tuple[str, ...]) -> dict[str, yaml.Node]:
        """A mapping with exactly these keys."""
        found = self.mapping(node, what)
        for name in names:
            if name not in found:
                self.wrong(node, f"{what} has no {name}; add it")
        for name in found.keys() - set(names):
            self.wrong(node, f"unknown {name!r} in {what}; it has {', '.join(names)}")
        return found

    def topic(self, node: yaml.Node, name: str, what: str, *, levels: bool = True) -> None:
        """A name that is part of a topic. The broker would refuse one with `+` or `#` in it, and
        with it everything that the adapters ask for."""
        parts = name.split("/")
        if any(c in name for c in "+#\0") or (name and "" in parts):
            self.wrong(node, f"{name!r} can't be {what}: no +, no #, no / at its ends or twice")
        elif not levels and len(parts) > 1:
            self.wrong(node, f"{name!r} can't be {what}: it has no / in it")

    def plain(self, node: yaml.Node, what: str, *, levels: bool = True) -> dict[str, str]:
        """name → terminal. `levels`: whether this family's names may have a / in them."""
        found = {}
        for name, value in self.mapping(node, what).items():
            self.topic(value, name, f"a name in {what}", levels=levels)
            found[name] = self.terminal(value)
        return found

    def chirpstack(self, node: yaml.Node) -> Adapter:
        """By device EUI, which ChirpStack writes in small letters."""
        found = self.plain(node, "chirpstack", levels=False)
        for name in found:
            if EUI.fullmatch(name.lower()) is None:
                self.wrong(node, f"{name!r} is no device EUI; write its 16 digits of 0-9 and a-f")
        return ChirpStack({name.lower(): terminal for name, terminal in found.items()})

    def bridges(self, node: yaml.Node) -> tuple[Adapter, ...]:
        """One zigbee2mqtt, or a list of them."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found = [self.zigbee(each) for each in nodes]
        of_each = {"base": [z.base for z in found], "bridge": [z.bridge for z in found]}
        for what, names in of_each.items():
            for n, name in enumerate(names):
                if name and name in names[:n]:
                    # Each would take the other's devices for strangers.
                    self.wrong(nodes[n], f"{what} {name!r} stands twice; each bridge has its own")
        return tuple(found)

    def zigbee(self, node: yaml.Node) -> Zigbee2Mqtt:
        """One zigbee2mqtt."""
        found = self.mapping(node, "zigbee2mqtt")
        for name in found.keys() - {"base", "bridge", "devices"}:
            self.wrong(found[name], f"unknown {name!r}; zigbee2mqtt has base, bridge, devices")
        devices = {}
        listed = self.mapping(found["devices"], "devices") if "devices" in found else {}
        for name, value in listed.items():
            self.topic(value, name, "a friendly name")
            facts = self.fields(value, name, ("terminal", "model"))
            model = self.word(facts.get("model"), "model", ACTIONS)
            devices[name] = (self.terminal(facts.get("terminal")), model)
        if not devices:
            self.wrong(node, "zigbee2mqtt has no devices; add one")
        base = self.word(found["base"], "base") if "base" in found else "zigbee2mqtt"
        self.topic(node, base, "the base")
        if "bridge" not in found:
            self.wrong(node, "zigbee2mqtt has no bridge; add the terminal id of the bridge itself")
        return Zigbee2Mqtt(devices, self.terminal(found.get("bridge")), base)

    def esphome(self, node: yaml.Node) -> EspHome:
        """A list, because a board has many sensors."""
        devices = {}
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(node, "esphome must be a list; write - {prefix, sensor, terminal, event}")
            return EspHome({})
        for item in node.value:
            facts = self.fields(item, "the sensor", ("prefix", "sensor", "terminal", "event"))
            prefix = self.word(facts.get("prefix"), "prefix")
            sensor = self.word(facts.get("sensor"), "sensor")
            event = self.word(facts.get("event"), "event", EVENT_TYPES)
            self.topic(item, prefix, "a prefix")
            self.topic(item, sensor, "a sensor", levels=False)
            devices[prefix, sensor] = (self.terminal(facts.get("terminal")), event)
        return EspHome(devices)


FAMILIES: Final[dict[str, Callable[[_Reader, yaml.Node], tuple[Adapter, ...]]]] = {
    "zigbee2mqtt": lambda r, n: r.bridges(n),
    "shelly": lambda r, n: (ShellyGen2(r.plain(n, "shelly")),),
    "shelly_button1": lambda r, n: (ShellyButton1(r.plain(n, "shelly_button1", levels=False)),),
    "tasmota": lambda r, n: (Tasmota(r.plain(n, "tasmota")),),
    "esphome": lambda r, n: (r.esphome(n),),
    "chirpstack": lambda r, n: (r.chirpstack(n),),
    "the_things_stack": lambda r, n: (
        TheThingsStack(r.plain(n, "the_things_stack", levels=False)),
    ),
}


def load(path: Path) -> tuple[Adapter, ...]:
    """The adapters that a file asks for. Raises BadDevices, also when it can't be read."""
    try:
        return read(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BadDevices(f"{path}: {error}; give a readable UTF-8 file") from error


def read(text: str, name: str) -> tuple[Adapter, ...]:
    """See `load`; `name` stands before each line number."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadDevices(f"{name}:{line}: not YAML ({error.problem})") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BadDevices(f"{name}:1: not YAML ({error})") from error
    if root is None:
        raise BadDevices(f"{name}:1: the file is empty; name a family of devices")
    reader = _Reader(name)
    adapters: list[Adapter] = []
    for family, node in reader.mapping(root, "the file").items():
        if family not in FAMILIES:
            near = difflib.get_close_matches(family, FAMILIES, 1) or list(FAMILIES)
            reader.wrong(node, f"no family {family!r}; write {' or '.join(near)}")
            continue
        adapters += FAMILIES[family](reader, node)
    if reader.problems:
        raise BadDevices("\n".join(reader.problems))
    return tuple(adapters)
