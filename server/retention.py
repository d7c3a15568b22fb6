"""Forgets what is past its time (docs/operations.md): once a day, in small chunks, with pauses.

It must never hold the write lock from an SOS: what may go is looked up by readers, and each chunk
is a short transaction of its own, after which it rests four times as long as the chunk took.
"""

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError

from server import partitioning
from server.database import Database, Tx
from server.service import past
from server.settings import Settings
from server.store import retention

log = logging.getLogger(__name__)
CHUNK = 200
MOST_CHUNKS = 20_000
"""A table and day: four million rows. What is left waits for tomorrow."""
FIRST_S, EVERY_S = 300.0, 86_400.0
REST = 4.0
ENDED = timedelta(days=30)
"""So long are sessions and links kept after their end: whoever comes late reads why."""


class Retention:
    """Clears each table once a day until stopped."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        signals, messages = settings.keep_signals_days, settings.keep_messages_days
        services = timedelta(days=settings.keep_services_days)
        self._ended = timedelta(days=settings.keep_ended_days)
        self._kept: tuple[tuple[retention.Kept, timedelta], ...] = (
            (retention.SIGNALS, timedelta(days=signals)),
            (retention.COMMANDS, timedelta(days=signals)),
            (retention.ENTRIES, timedelta(days=settings.keep_journal_days)),
            (retention.MESSAGES, timedelta(days=messages)),
            (retention.REPLIES, timedelta(days=messages)),
            (retention.QUARANTINED, timedelta(days=settings.keep_quarantine_days)),
            (retention.GREETINGS, services),
            (retention.VISITS, services),
            (retention.REQUESTS, services),
            (retention.SESSIONS, ENDED),
            (retention.LINKS, ENDED),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Clear some minutes after the start, then daily."""
        wait_s = FIRST_S
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait_s)
                return
            wait_s = EVERY_S
            try:
                gone = await self.clear(stop)
            except Exception:
                log.exception("what is past its time could not be cleared; tomorrow again")
            else:
                if gone:
                    log.info("cleared: %s", ", ".join(f"{n} {what}" for what, n in gone.items()))

    async def clear(self, stop: asyncio.Event) -> dict[str, int]:
        """Clear every table once; returns how many rows went, by table, and how many people."""
        gone, whole = await self._partitions()
        for kept, life in self._kept:
            if kept is retention.SIGNALS and whole:
                continue
            if count := await self._clear(kept, life, stop):
                gone[kept.name] = count
        if self._ended and not stop.is_set():
            gone |= {what: n for what, n in (await self._past(stop)).items() if n}
        return gone

    async def _partitions(self) -> tuple[dict[str, int], bool]:
        """Those of the events: how many were dropped, and whether the next is soon to be."""
        life = next(life for kept, life in self._kept if kept is retention.SIGNALS)
        try:
            await partitioning.begin_next(self._database)
            dropped, whole = await partitioning.drop_past(
                self._database, self._database.clock.now() - life
            )
        except DBAPIError:
            # Everything else is cleared all the same, and events as well, in chunks.
            log.exception("the events' partitions could not be kept in order; tomorrow again")
            return {}, False
        return {"partitions of events": dropped} if dropped else {}, whole

    async def _past(self, stop: asyncio.Event) -> dict[str, int]:
        """Those who are watched no more, and contacts without a role."""
        loop = asyncio.get_running_loop()
        begun = loop.time()

        async def rest() -> bool:
            nonlocal begun
            await asyncio.sleep(REST * (loop.time() - begun))
            begun = loop.time()
            return stop.is_set()

        return await past.clear(self._database, self._ended, rest)

    async def _clear(self, kept: retention.Kept, life: timedelta, stop: asyncio.Event) -> int:
        before, loop = self._database.clock.now() - life, asyncio.get_running_loop()
        after: Any = None
        gone = 0
        for _ in range(MOST_CHUNKS):
            if stop.is_set():
                break
            begun, start = loop.time(), after
            keys, after = await self._database.read(
                lambda c: retention.look(c, kept, before, start, CHUNK)  # noqa: B023
            )
            if keys:
                gone += await self._database.write(self._chunk(kept, before, keys))
            if after is None:
                break
            await asyncio.sleep(REST * (loop.time() - begun))
        return gone

    def _chunk(self, kept: retention.Kept, before: Any, keys: Any) -> Any:
        def forget(tx: Tx) -> int:
            # Two servers clear at the same hour; one is enough, and they'd wait for each other.
            if not tx.alone("retention"):
                return 0
            return retention.forget(tx.conn, kept, before, keys)

        return forget
