"""The canary: a terminal that lives in the gateway and goes the whole way a real one goes.

Its own MQTT session publishes on both lanes; the broker hands it to the lanes' sessions; they POST
it like any press; the server commits; the receipt comes back over the broker. Each step is the
ordinary one, so what stops a resident's press stops the canary.

It must never look like a resident: it has topics of its own, which no terminal may use, and the
server keeps of it only when it was sent. It must never be believed when it is another process's:
ages are taken from this process's monotonic clock.
"""

import asyncio
import json
import logging
import secrets
import time
from collections import OrderedDict
from typing import Final

from gateway.contract import CANARY_LANES, canary_command_topic, canary_topic, read_canary_receipt
from gateway.counters import Counters
from gateway.delivery import Received
from gateway.log import say
from gateway.mqtt import MqttLink
from gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)

AWAITED_MAX: Final = 64
"""Canaries whose receipt may still come; older ones are given up, the server knows by then."""
SLOW_MS: Final = 5_000
"""A press that takes longer to be answered makes the terminal's buzzer doubt us (10 s)."""
_BOOT_BITS: Final = 31


class Canary:
    """Give it to the bridge; run `link.run()` and `run()` until cancelled."""

    def __init__(self, settings: GatewaySettings, counters: Counters) -> None:
        self._gateway_id = settings.gateway_id
        self._every_s = settings.canary_every_s
        self._counters = counters
        self._boot = secrets.randbits(_BOOT_BITS)
        self._seq = 0
        self._awaited: OrderedDict[int, int] = OrderedDict()
        self._back: tuple[int, int] | None = None
        """When the newest one that returned was sent, and how long it took, in ms."""
        self.link = MqttLink(
            settings,
            lane="canary",
            topics=(canary_command_topic(settings.gateway_id),),
            counters=Counters(),  # its connection is none of the lanes'
            on_message=self._heard,
        )

    async def run(self) -> None:
        """Send one on each lane every `canary_every_s` seconds, while the broker is there."""
        while True:
            await self.link.subscribed.wait()
            for lane in CANARY_LANES:
                self._send(lane)
            await asyncio.sleep(self._every_s)

    def _send(self, lane: str) -> None:
        self._seq += 1
        at_ms = _now_ms()
        self._awaited[self._seq] = at_ms
        while len(self._awaited) > AWAITED_MAX:
            self._awaited.popitem(last=False)
        body = {"boot": self._boot, "seq": self._seq, "at_ms": at_ms}
        if self._back is not None:
            body["back_at_ms"], body["rtt_ms"] = self._back
        self.link.publish(
            canary_topic(self._gateway_id, lane), json.dumps(body, separators=(",", ":")).encode()
        )
        self._counters.canaries += 1

    def is_mine(self, boot: int) -> bool:
        """Whether a canary is this process's: only then its instants mean anything here."""
        return boot == self._boot

    def _heard(self, received: Received) -> None:
        self.link.ack(received)
        ref = read_canary_receipt(received.payload)
        if ref is None or ref[0] != self._boot:
            return
        at_ms = self._awaited.pop(ref[1], None)
        if at_ms is None:
            return
        rtt_ms = _now_ms() - at_ms
        if self._back is None or at_ms >= self._back[0]:
            self._back = (at_ms, rtt_ms)
        self._counters.canaries_back += 1
        if rtt_ms > max(SLOW_MS, self._every_s * 1000):
            say(logger, logging.WARNING, "canary_slow", rtt_ms=rtt_ms)


def _now_ms() -> int:
    return int(time.monotonic() * 1000)
