"""Carries foreign presses into our own lanes: reads them, says them again in the contract's words.

A translated press is published to the broker like a terminal's own, so that everything behind it
(the SOS lane, the receipt after the commit, the broker's memory) holds for it too. The foreign
message is acknowledged only after the broker has ours. It must never drop a press because the
broker is away: it waits, and the foreign broker connection waits with it.
"""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.adapters.nouns import (
    DAY_MS,
    Adapter,
    Alive,
    Habit,
    Presence,
    Press,
    Reading,
    Unknown,
    identity,
)
from gateway.adapters.roll import Roll
from gateway.contract import TERMINAL_PREFIX
from gateway.counters import Counters
from gateway.delivery import NotSent, Received
from gateway.log import say
from gateway.mqtt import MqttLink
from gateway.settings import GatewaySettings

HOLD_MAX: Final = 1_000
CONFIRM_S: Final = 5.0
AGAIN_S: Final = 0.5
ROLL_EVERY_S: Final = 15.0
KEPT_BYTES: Final = 512
"""Of what a stranger says: enough to see what it is and how to enter it."""
logger = logging.getLogger(__name__)


def in_our_words(
    reading: Reading, now_ms: int, habits: Mapping[str, Habit]
) -> tuple[str, bytes]:
    """Topic and payload of a reading (docs/contract.md). `habits`: of the terminals."""
    body: dict[str, object]
    match reading:
        case Press(terminal, what, battery=battery, rssi=rssi):
            boot, seq = reading.identity
            body = {"boot": boot, "seq": seq, "bat": battery, "rssi": rssi}
            topic = f"{terminal}/evt/{what}"
        case Alive(terminal, battery, rssi):
            body, topic = {"bat": battery, "rssi": rssi}, f"{terminal}/hb"
        case Presence(terminal, online):
            s = "online" if online else "lost"
            habit = habits[terminal]
            body = {
                "s": s, "boot": now_ms // DAY_MS, "hb_s": habit.heartbeat_s, "via": habit.via,
            }  # fmt: skip
            topic = f"{terminal}/status"
        case Unknown(name, _, stamp_ms):
            # The server quarantines what it does not know, and raises an alarm among it to staff.
            boot, seq = identity("sos", stamp_ms)
            body, topic = {"boot": boot, "seq": seq}, f"{slug(name)}/evt/sos"
    kept = {key: value for key, value in body.items() if value is not None}
    return f"{TERMINAL_PREFIX}{topic}", json.dumps(kept, separators=(",", ":")).encode()


def as_it_came(name: str, topic: str, payload: bytes) -> tuple[str, bytes]:
    """The message of a stranger, for the quarantine: on a topic of no event of ours, so that it is
    kept as it is and has no effect."""
    text = payload[:KEPT_BYTES].decode("utf-8", "replace")
    body = json.dumps({"topic": topic[:KEPT_BYTES], "payload": text}, ensure_ascii=False)
    return f"{TERMINAL_PREFIX}{slug(name)}/evt/foreign", body.encode("utf-8", "replace")


def slug(name: str) -> str:
    """A terminal id that tells staff which foreign device it was."""
    return f"x-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}"[:32]


class Translator:
    """One MQTT connection for all adapters. Run `run()` until it is cancelled."""

    def __init__(
        self,
        settings: GatewaySettings,
        adapters: Sequence[Adapter],
        counters: Counters,
        now_ms: Callable[[], int],
    ) -> None:
        self._adapters = tuple(adapters)
        self._now_ms = now_ms
        self._roll_at = 0.0
        self._habits = {t: habit for a in self._adapters for t, habit in a.habits.items()}
        self._roll = Roll(self._habits)
        self._waiting: asyncio.Queue[tuple[Received, int]] = asyncio.Queue()
        topics = tuple(dict.fromkeys(topic for a in self._adapters for topic in a.topics))
        self.link = MqttLink(
            settings, lane="devices", topics=topics, counters=counters, on_message=self._heard,
            foreign=True,
        )  # fmt: skip

    async def run(self) -> None:
        """Translate until cancelled; then say goodbye to the broker."""
        connection = asyncio.create_task(self.link.run(), name="devices-mqtt")
        try:
            while True:
                await self._carry(*await self._next())
                if self._waiting.qsize() < HOLD_MAX // 2:
                    self.link.resume()
        finally:
            await self.link.close()
            connection.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await connection

    def _heard(self, received: Received) -> None:
        # Its time is when it was heard: presses that waited here were no less apart for it.
        self._waiting.put_nowait((received, self._now_ms()))
        if self._waiting.qsize() >= HOLD_MAX:
            self.link.pause()

    async def _next(self) -> tuple[Received, int]:
        """The next message; the roll is called while it is awaited, and between two."""
        loop = asyncio.get_running_loop()
        while True:
            if loop.time() >= self._roll_at:
                self._roll_at = loop.time() + ROLL_EVERY_S
                self._call_roll(self._now_ms())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._roll_at):
                    return await self._waiting.get()

    def _call_roll(self, now_ms: int) -> None:
        if not self.link.subscribed.is_set():
            return  # whoever is gone may have been told of, and we have not heard it
        for reading in self._roll.due(now_ms):
            # Unconfirmed: no press may wait for it, and it is soon said again.
            self.link.publish(*in_our_words(reading, now_ms, self._habits))

    async def _carry(self, received: Received, now_ms: int) -> None:
        readings = [
            reading for adapter in self._adapters
            for reading in adapter.read(
                received.topic, received.payload, received.retain, now_ms
            )
        ]  # fmt: skip
        strangers = []
        for reading in self._roll.after(readings, now_ms):
            if isinstance(reading, Unknown):
                strangers.append(reading.name)
            if not isinstance(reading, Unknown) or reading.alarm:
                await self._publish(*in_our_words(reading, now_ms, self._habits))
        for name in strangers[:1]:  # one message is of one device
            await self._publish(*as_it_came(name, received.topic, received.payload))
        self.link.ack(received)

    async def _publish(self, topic: str, payload: bytes) -> None:
        while True:
            try:
                await self.link.publish_confirmed(topic, payload, timeout_s=CONFIRM_S)
                return
            except NotSent as error:
                say(logger, logging.WARNING, "device_not_translated_yet", error=error)
                await asyncio.sleep(AGAIN_S)
