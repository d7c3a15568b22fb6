"""What the running server's parts share. Built in app.py, found by the endpoints."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from server.clock import Clock
from server.core.looks import Looks, look
from server.database import Database, Tx
from server.feed import Broadcaster
from server.service import auditing
from server.service.house import House
from server.service.locks import Locks
from server.settings import Settings
from server.store.upkeep import touch

log = logging.getLogger(__name__)


@dataclass(slots=True)
class WriteProbe:
    """Whether the database can be written, asked at most every few seconds: anybody may ask for
    `/readyz`, and each question costs a transaction."""

    good_for_s: float = 5.0
    patience_s: float = 3.0
    asked_at_s: float = float("-inf")
    trouble: str | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _write: asyncio.Task[None] | None = None
    """A write that got stuck is waited for, never followed by another."""

    async def look(self, database: Database) -> str | None:
        """What keeps the database from being written; None when nothing does."""
        async with self._asking:
            if time.monotonic() - self.asked_at_s >= self.good_for_s:
                self.trouble = await self._ask(database)
                self.asked_at_s = time.monotonic()
        return self.trouble

    async def _ask(self, database: Database) -> str | None:
        if self._write is None:
            self._write = asyncio.create_task(database.write(lambda tx: touch(tx.conn)))
        await asyncio.wait({self._write}, timeout=self.patience_s)
        if not self._write.done():
            return f"not written within {self.patience_s:g} s"
        error, self._write = self._write.exception(), None
        if error is None:
            return None
        # Whatever it is, a press would not be stored.
        log.error("the database can't be written", exc_info=error)
        return type(error).__name__


@dataclass(slots=True)
class Runtime:
    """One process's worth of server."""

    settings: Settings
    clock: Clock
    database: Database
    house: House
    locks: Locks
    stop: asyncio.Event
    feed: Broadcaster
    probe: WriteProbe = field(default_factory=WriteProbe)
    looks: Looks = field(default_factory=Looks)
    _later: set[asyncio.Task[None]] = field(default_factory=set)

    async def settle(self) -> None:
        """Wait for all that was to be written later."""
        await asyncio.gather(*self._later)

    def saw(self, who: str, what: str, **about: Any) -> None:
        """Somebody looks at personal data: into the audit, once an opening and not each time that
        an open page asks again. Holds up nobody, whatever becomes of the database."""
        one = look(who, what, about)
        if self.looks.opened(one, time.monotonic()):
            self.later(
                lambda tx: auditing.saw(tx, who, what, **about), lambda: self.looks.forget(one)
            )

    def later(
        self, work: Callable[[Tx], None], lost: Callable[[], None] = lambda: None
    ) -> None:
        """Write something that nobody waits for and that may be lost, such as when a session was
        last used: a database that takes no writes must not close the wall. `lost`: it was."""

        async def run() -> None:
            try:
                await self.database.write(work)
            except Exception:
                log.debug("a note was lost", exc_info=True)
                lost()

        task = asyncio.create_task(run())
        self._later.add(task)
        task.add_done_callback(self._later.discard)
