"""Devices of other makers in a town: the real adapters, the real wire contract, the real server;
only the broker between them is left out (test_gateway_devices.py has it)."""

import json
from typing import Any

from town import Town

from gateway import contract
from gateway.adapters import config
from gateway.adapters.roll import Roll
from gateway.adapters.translator import in_our_words
from gateway.batch import make_entry
from gateway.delivery import Received

FILE = """
zigbee2mqtt:
  bridge: z2m-11
  devices:
    sos-301: {terminal: gd-11-301, model: TS0215A_sos}
    sos-303: {terminal: gd-11-303, model: TS0215A_sos}
shelly: {shelly-401: gd-11-401}
shelly_button1: {shellybutton1-402: gd-11-402}
tasmota: {flat-501: gd-11-501}
esphome:
  - {prefix: flat-502, sensor: cord, terminal: gd-11-502, event: sos}
chirpstack: {24e124535b316056: gd-11-601}
the_things_stack: {ws101-602: gd-11-602}
"""


class Foreign:
    """Carries what devices say, as the gateway's translator does."""

    def __init__(self, town: Town, file: str = FILE) -> None:
        self.town = town
        self.adapters = config.read(file, "devices.yaml")
        self.habits = {t: habit for a in self.adapters for t, habit in a.habits.items()}
        self.roll = Roll(self.habits)

    @property
    def now_ms(self) -> int:
        """The town's clock."""
        return int(self.town.hand.at_s * 1000)

    async def says(self, topic: str, payload: Any, *, retained: bool = False) -> None:
        """A device or its broker says this."""
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        found = [r for a in self.adapters for r in a.read(topic, raw, retained, self.now_ms)]
        for reading in self.roll.after(found, self.now_ms):
            await self._posted(*in_our_words(reading, self.now_ms, self.habits))

    async def passes(self, hours: float, step_s: float = 600) -> None:
        """Time passes, in which no device says anything and the roll is called."""
        left = hours * 3600
        while left > 0:
            step = min(left, step_s)
            left -= step
            await self.town.watch(step)
            for reading in self.roll.due(self.now_ms):
                await self._posted(*in_our_words(reading, self.now_ms, self.habits))

    async def _posted(self, topic: str, payload: bytes) -> None:
        message = contract.parse(topic, payload, False)
        received = Received(topic, payload, False, 1, 1, 1)
        entry = make_entry(message, received, 0.0)
        if entry.kind == "signals":
            await self.town.signals(entry.body)
        else:
            await self.town.signals(**{entry.kind: [entry.body]})
