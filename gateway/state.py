"""What terminals are told about us: `xunlou/v1/srv/state`, retained.

`online` means that a press sent now would be stored: the server answers our POSTs and the SOS lane
has its broker connection. Anything else is `lost`, so that a terminal can warn by its own buzzer
rather than show a hope. It must never say `online` on the broker's word alone.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable

from gateway.contract import STATE_TOPIC
from gateway.delivery import Received, Will
from gateway.log import say
from gateway.mqtt import MqttLink
from gateway.upstream import Answer, Answered, Refused, ServerClient, ServerClock

logger = logging.getLogger(__name__)

LOST_AFTER_S = 3.0
"""Failures for this long before terminals hear of it: a server's restart is not an outage."""


class Health:
    """Whether the server answers, judged from every answer both lanes get."""

    def __init__(self, on_change: Callable[[], None], now: Callable[[], float]) -> None:
        self._on_change = on_change
        self._now = now
        self._failing_since_s: float | None = None
        self.answering = False
        self.last_ok_s = -1e9

    def note(self, answer: Answer) -> None:
        """Count one answer. A refusal is an answer: the server lives and knows us."""
        now_s = self._now()
        if isinstance(answer, Answered | Refused):
            self._failing_since_s = None
            self.last_ok_s = now_s
            self._set(True)
            return
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if now_s - self._failing_since_s >= LOST_AFTER_S:
            self._set(False)

    def _set(self, answering: bool) -> None:
        if answering != self.answering:
            self.answering = answering
            if answering:
                say(logger, logging.INFO, "server_answers")
            else:
                say(logger, logging.WARNING, "server_lost")
            self._on_change()


class StateAnnouncer:
    """Publishes the state when it changes and when somebody else's word overwrote it."""

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock
        self._said: str | None = None
        self._since_ms = 0
        self._link: MqttLink | None = None
        self.health = Health(self.announce, time.monotonic)

    def attach(self, link: MqttLink) -> None:
        """The SOS lane's connection, whose will says `lost`."""
        self._link = link

    def make_will(self) -> Will:
        """`since` is the moment of connecting: the broker can't fill in the moment of loss."""
        return Will(STATE_TOPIC, _payload("lost", self._clock.now_ms()))

    def connected(self) -> None:
        """Say it again: our will may have spoken meanwhile."""
        self._said = None
        self.announce()

    def announce(self) -> None:
        """Publish the present state, if it isn't what was last said."""
        self._say("online" if self.health.answering else "lost")

    def leave(self) -> None:
        """A clean stop: nobody will answer from here on."""
        self._say("lost")

    def heard(self, message: Received) -> None:
        """Another gateway's will, or an old one of ours, said `lost` while we are well."""
        if not self.health.answering or b'"lost"' not in message.payload:
            return
        self._said = None
        self.announce()

    def _say(self, s: str) -> None:
        if self._link is None or not self._link.subscribed.is_set() or s == self._said:
            return
        self._said = s
        self._since_ms = self._clock.now_ms()
        self._link.publish(STATE_TOPIC, _payload(s, self._since_ms), retain=True)

    async def probe(self, server: ServerClient, every_s: float) -> None:
        """Ask with an empty batch whenever nothing else has asked. Runs until cancelled."""
        while True:
            idle_s = time.monotonic() - self.health.last_ok_s
            if idle_s >= every_s or not self.health.answering:
                self.health.note(await server.post_signals([]))
                idle_s = 0.0
            pause_s = every_s - idle_s if self.health.answering else min(1.0, every_s)
            await asyncio.sleep(max(0.05, pause_s))


def _payload(s: str, since_ms: int) -> bytes:
    return json.dumps({"s": s, "since": since_ms}, separators=(",", ":")).encode()
