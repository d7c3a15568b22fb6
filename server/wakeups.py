"""LISTEN and NOTIFY: a commit at one server rings the bells of all the others (PostgreSQL only).
The same connection shows them that this server lives.

Nothing depends on it: every waiter also looks once a second. So a word may get lost, and it must
never cost a commit anything. That is why it is said after the commit, on a connection of its own:
PostgreSQL makes transactions that notify commit one at a time (docs/adr/0012).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, text

from server.locks import ALIVE_SPACE

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)
CHANNEL = "xunlou"
AGAIN_S = 1.0
"""Pause before the next try while the database can't be reached."""
LOOK_S = 1.0
CONNECT_S = 5
ALIVE = text(
    "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
    " AND classid = :space"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def alive(conn: Connection) -> set[str]:
    """The servers that are connected to this database (PostgreSQL)."""
    return {f"{number:08x}" for number in conn.execute(ALIVE, {"space": ALIVE_SPACE}).scalars()}


class Wire:
    """One listening and one speaking connection; `run` until stopped."""

    def __init__(
        self, url: URL, me: str, ring: Callable[[str], None], topics: Iterable[str]
    ) -> None:
        """`me`: eight hexadecimal digits, below 2**31. `ring` is called in the event loop with
        each topic that another server woke; after a broken connection with all `topics`, because
        something may have been missed."""
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._ring = ring
        self._topics = frozenset(topics)
        self._me = me
        self._pending: set[str] = set()
        self._some = asyncio.Event()
        self.listening = asyncio.Event()
        """Set while the listening connection stands."""

    def tell(self, topics: Iterable[str]) -> None:
        """Let the other servers know, soon (event-loop thread only). What comes while the last
        word is still on its way goes with the next: a storm costs one word a round trip."""
        self._pending.update(topics)
        if self._pending:
            self._some.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Listen and speak until `stop`; whatever breaks is made anew."""
        parts = [
            asyncio.create_task(self._again(part, stop)) for part in (self._listen, self._speak)
        ]
        await stop.wait()
        for task in parts:
            task.cancel()
        await asyncio.gather(*parts, return_exceptions=True)

    async def _again(
        self, part: "Callable[[psycopg.AsyncConnection], object]", stop: asyncio.Event
    ) -> None:
        import psycopg  # where the database is SQLite it is never loaded

        while not stop.is_set():
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, connect_timeout=CONNECT_S,
                    keepalives_idle=5, keepalives_interval=2, keepalives_count=2,
                ) as conn:  # fmt: skip
                    await part(conn)  # type: ignore[misc]
            except (psycopg.Error, OSError) as error:
                # The words of libpq hold the address, never the password.
                log.warning("other servers can't be heard for now: %s", type(error).__name__)
            finally:
                self.listening.clear()
            await asyncio.sleep(AGAIN_S)

    async def _listen(self, conn: "psycopg.AsyncConnection") -> None:
        # Held as long as this connection stands: that is how the others know that we live.
        keys = (ALIVE_SPACE, int(self._me, 16))
        await conn.execute("SELECT pg_advisory_lock_shared(%s::int, %s::int)", keys)
        await conn.execute(f"LISTEN {CHANNEL}")
        self.listening.set()
        for topic in self._topics:
            self._ring(topic)
        while True:
            async for word in conn.notifies(timeout=LOOK_S):
                speaker, _, topics = word.payload.partition(" ")
                if speaker == self._me:
                    continue
                for topic in self._topics.intersection(topics.split(",")):
                    self._ring(topic)

    async def _speak(self, conn: "psycopg.AsyncConnection") -> None:
        # A word that a crash loses is no loss; so none of them waits for a disk.
        await conn.execute("SET synchronous_commit = off")
        while True:
            await self._some.wait()
            self._some.clear()
            topics, self._pending = self._pending, set()
            try:
                payload = f"{self._me} {','.join(sorted(topics))}"
                await conn.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
            except BaseException:
                with contextlib.suppress(RuntimeError):
                    self.tell(topics)  # the next connection says it
                raise
