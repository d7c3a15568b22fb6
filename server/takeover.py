"""Takes over what a dead server had in its hands: the messages it was just sending. Tells how many
servers there are, too: they share one sender's pace.

A lease alone would free them after 30 s, too long for an SOS. A server that lives is seen to live:
on PostgreSQL by a lock that its connection holds, on SQLite because there is no other. A message
taken over is looked up at the provider first, as after any lease that ran out.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from sqlalchemy import Connection

from server.database import Database, Tx
from server.store import outbox

log = logging.getLogger(__name__)
LOOK_S = 1.0
PATIENCE_S = 3.0
"""So long may a server be out of sight until it counts as dead: connections break and come back."""


class Takeover:
    """Looks once a second whose messages nobody is sending any more."""

    def __init__(
        self, database: Database, told: Callable[[int], None] = lambda _servers: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`told`: how many servers work on this database, after each look."""
        self._database = database
        self._told = told
        self._monotonic = monotonic
        self._patience_s = 0.0 if database.sqlite else PATIENCE_S
        self._unseen_since: dict[str, float] = {}
        self._seen_at: dict[str, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`; a look that fails is repeated."""
        while not stop.is_set():
            try:
                await self.look()
            except Exception:
                log.exception("could not look after dead servers' messages; trying again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_S)

    async def look(self) -> int:
        """Release what the dead held; returns how many messages."""
        now = self._database.clock.now()

        def company(conn: Connection) -> tuple[set[str], set[str]]:
            alive = self._database.alive(conn)
            return alive, outbox.senders(conn, now) - {self._database.me} - alive

        (alive, gone), at = await self._database.read(company), self._monotonic()
        self._seen_at |= dict.fromkeys(alive, at)
        self._seen_at = {
            who: seen for who, seen in self._seen_at.items() if at - seen <= self._patience_s
        }
        self._told(len(self._seen_at))
        self._unseen_since = {who: self._unseen_since.get(who, at) for who in gone}
        dead = [
            who for who, since in self._unseen_since.items() if at - since >= self._patience_s
        ]
        if not dead:
            return 0

        def release(tx: Tx) -> int:
            tx.queued()
            return outbox.release(tx.conn, dead, tx.now)

        released = await self._database.write(release, urgent=True)
        log.warning("%s messages of servers that are gone are taken over", released)
        return released
