"""Commands downstream: lease from the server, publish, the broker's PUBACK, done.

It must never say done before the broker has the command; a lease that isn't confirmed comes back,
and the `cmd_id` makes a second copy harmless.
"""

import asyncio
import json
import logging
import time
from typing import Any, Final

from gateway.backoff import Backoff
from gateway.contract import MAX_PAYLOAD_BYTES, command_topic
from gateway.counters import Counters
from gateway.delivery import NotSent
from gateway.log import say
from gateway.mqtt import MqttLink
from gateway.settings import GatewaySettings
from gateway.upstream import ServerClient

logger = logging.getLogger(__name__)

URGENT: Final = frozenset({"help_coming", "resolved"})
"""Someone waits for these beside the terminal: they take the SOS lane's connection."""

CONFIRM_WITHIN_S = 5.0  # shorter than the server's lease of 8 s
_DONE_TRIES = 3
_EMPTY_PAUSE_S = 0.5


class CommandPump:
    """Moves commands from the server to the terminals until cancelled."""

    def __init__(
        self,
        settings: GatewaySettings,
        server: ServerClient,
        *,
        sos: MqttLink,
        bulk: MqttLink,
        counters: Counters,
    ) -> None:
        self._settings = settings
        self._server = server
        self._sos = sos
        self._bulk = bulk
        self._counters = counters
        self._backoff = Backoff(base_s=0.2, cap_s=settings.sos_backoff_max_s)

    async def run(self) -> None:
        """Lease and publish for ever."""
        while True:
            # Leasing what can't be published would only keep it from another gateway.
            await self._sos.subscribed.wait()
            await self._bulk.subscribed.wait()
            try:
                await self._once()
            except Exception:
                logger.exception("commands_failed")
                await asyncio.sleep(self._backoff.next_s())

    async def _once(self) -> None:
        asked_s = time.monotonic()
        leased = await self._server.lease(
            max_commands=self._settings.lease_max, wait_s=self._settings.lease_wait_s
        )
        if not isinstance(leased, list):
            say(logger, logging.WARNING, "lease_failed", answer=type(leased).__name__)
            await asyncio.sleep(self._backoff.next_s())
            return
        self._backoff.reset()
        if not leased:
            # A server that doesn't hold the question open must not be asked in a tight loop.
            if time.monotonic() - asked_s < _EMPTY_PAUSE_S:
                await asyncio.sleep(_EMPTY_PAUSE_S)
            return
        sent = await asyncio.gather(*(self._publish(command) for command in leased))
        confirmed = [cmd_id for cmd_id in sent if cmd_id is not None]
        self._counters.commands += len(confirmed)
        if confirmed:
            await self._report(confirmed)
        else:
            await asyncio.sleep(self._backoff.next_s())

    async def _publish(self, command: Any) -> str | None:
        """The `cmd_id` once the broker has it; None when it must be leased again."""
        try:
            cmd_id, payload = str(command["cmd_id"]), command["payload"]
            topic = command_topic(command["t"])
            if not isinstance(payload, dict):
                raise TypeError("a command's payload is an object")
            raw = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        except (KeyError, TypeError, ValueError) as exc:
            self._counters.commands_unsendable += 1
            say(logger, logging.ERROR, "command_unsendable", why=type(exc).__name__)
            return None
        if len(raw) > MAX_PAYLOAD_BYTES:
            # Sent all the same: a terminal may cope, and withholding it surely helps nobody.
            say(logger, logging.ERROR, "command_oversize", size=len(raw))
        link = self._sos if payload.get("cmd") in URGENT else self._bulk
        try:
            await link.publish_confirmed(topic, raw, timeout_s=CONFIRM_WITHIN_S)
        except NotSent as exc:
            say(logger, logging.WARNING, "command_not_sent", why=exc)
            return None
        return cmd_id

    async def _report(self, cmd_ids: list[str]) -> None:
        for _ in range(_DONE_TRIES):
            if await self._server.done(cmd_ids):
                return
            await asyncio.sleep(self._backoff.next_s())
        say(logger, logging.WARNING, "done_not_taken", commands=len(cmd_ids))
