"""How a lane asks the server: again and again, until there is an answer that settles a batch.

It must never give up while the gateway runs, and never take an outage for the fault of one entry.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence

from gateway.backoff import Backoff
from gateway.batch import Entry
from gateway.counters import Counters
from gateway.log import say
from gateway.state import Health
from gateway.upstream import Answer, Answered, Failed, Refused, ServerClient, Unauthorized

logger = logging.getLogger(__name__)

FAILS_IN_A_ROW = 3
"""So often may the server break on a batch before we ask whether it breaks on everything."""


class Stopping(Exception):
    """The gateway stops; what isn't answered stays un-acked and comes back to the next one."""


class Asker:
    """One lane's way to the server."""

    def __init__(
        self,
        lane: str,
        server: ServerClient,
        health: Health,
        counters: Counters,
        stopping: asyncio.Event,
        *,
        backoff_max_s: float,
        auth_retry_s: float,
    ) -> None:
        """`stopping`: once it is set nothing is tried again."""
        self._lane = lane
        self._server = server
        self._health = health
        self._counters = counters
        self._stopping = stopping
        self._backoff_max_s = backoff_max_s
        self._auth_retry_s = auth_retry_s

    async def ask(self, batch: Sequence[Entry]) -> Answered | Refused | Failed:
        """The server's word on a batch. `Failed`: it breaks on this one, and is well otherwise."""
        failures, sound = 0, False  # sound: it has just answered an empty question
        backoff = Backoff(base_s=min(0.1, self._backoff_max_s), cap_s=self._backoff_max_s)
        while True:
            answer: Answer = await self._server.post_signals(batch)
            self._health.note(answer)
            if isinstance(answer, Answered):
                self._counters.posts += 1
                self._counters.sent += len(batch)
                return answer
            if isinstance(answer, Refused):
                return answer
            self._counters.retries += 1
            if isinstance(answer, Failed):
                if sound:
                    return answer
                failures += 1
                if failures >= FAILS_IN_A_ROW and (sound := await self._takes_nothing_well()):
                    continue  # an outage may have ended just now: once more, as it is
            else:
                failures, sound = 0, False
            if isinstance(answer, Unauthorized):
                say(
                    logger,
                    logging.ERROR,
                    "server_refused_token",
                    lane=self._lane,
                    status=answer.status,
                    fix="XUNLOU_GATEWAY_TOKEN must be the one the server has",
                )
                await self.pause_for(self._auth_retry_s * random.uniform(0.5, 1.0))  # noqa: S311
                continue
            say(
                logger,
                logging.WARNING,
                "server_unavailable",
                lane=self._lane,
                why=answer.why,
                entries=len(batch),
            )
            await self.pause_for(backoff.next_s())

    async def _takes_nothing_well(self) -> bool:
        """Whether the server answers an empty question, for which it asks its database too."""
        answer = await self._server.post_signals(())
        self._health.note(answer)
        return isinstance(answer, Answered)

    async def pause_for(self, delay_s: float) -> None:
        """Wait so long, unless the gateway stops: then Stopping."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        if self._stopping.is_set():
            raise Stopping
