"""Connections and transactions, and the bell that rings after a commit.

SQLite has one writer. Writers therefore queue here, in the process, where an SOS can be let past:
inside SQLite they would wait by polling, and a flood of check-ins could hold an SOS for seconds.
Readers have connections of their own and never wait (WAL). On PostgreSQL there is no gate.

Use-cases are plain functions run in threads: SQLite's driver blocks anyway, and plain functions
are easier to read and to test than coroutines (docs/adr/0003).
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import QueuePool

from server.clock import Clock

T = TypeVar("T")
Topic = Literal["feed", "outbox", "commands"]
MOST_RETRIES = 5


class Stale(Exception):
    """Somebody else changed the row first (compare-and-set failed): decide again on fresh facts."""


@dataclass(slots=True)
class Tx:
    """One transaction: its connection, its instant, and which waiters to wake once committed."""

    conn: Connection
    now: datetime
    speed: float = 1.0
    woken: set[Topic] = field(default_factory=set)
    entries: list[Mapping[str, Any]] = field(default_factory=list)
    """Journal entries not yet written: they go in together, last of all."""
    last: "dict[str, Callable[[Tx], None]]" = field(default_factory=dict)
    """What is still to be done in this transaction, right before its commit."""
    memo: dict[Any, Any] = field(default_factory=dict)
    """Facts read once that this transaction does not change."""

    def real(self, span: timedelta) -> timedelta:
        """A span of our machinery's real time as the clock counts it (a demo runs faster)."""
        return span * self.speed

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A part that may fail by itself: nothing of it remains, in the journal neither."""
        noted = len(self.entries)
        try:
            with self.conn.begin_nested():
                yield
        except BaseException:
            del self.entries[noted:]
            raise

    def wake(self, topic: Topic) -> None:
        """Ring `topic`'s bell after the commit, and only then."""
        self.woken.add(topic)


class Lot(Protocol):
    """What a sender has leased within a transaction that is about to end."""

    @property
    def more(self) -> bool:
        """Whether messages may be waiting beside these."""
        ...

    def ended(self, *, committed: bool) -> None:
        """Send it, or forget it. Called from the writer's thread; must not block nor raise."""
        ...


class Gate:
    """A lock for one writer at a time, in which the urgent overtake everybody who waits."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._busy = False
        self._urgent_waiting = 0

    @contextmanager
    def held(self, *, urgent: bool) -> Iterator[None]:
        """Hold the gate for the body."""
        with self._free:
            if urgent:
                self._urgent_waiting += 1
                self._free.wait_for(lambda: not self._busy)
                self._urgent_waiting -= 1
            else:
                self._free.wait_for(lambda: not self._busy and not self._urgent_waiting)
            self._busy = True
        try:
            yield
        finally:
            with self._free:
                self._busy = False
                self._free.notify_all()


class Bell:
    """Wakes whoever waits for a topic. A ring while nobody waits is kept for the next waiter."""

    def __init__(self) -> None:
        self._waiters: defaultdict[Topic, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def listening(self, topic: Topic) -> Iterator[asyncio.Event]:
        """An event that is set on each ring; the listener clears it before it looks."""
        event_ = asyncio.Event()
        self._waiters[topic].add(event_)
        try:
            yield event_
        finally:
            self._waiters[topic].discard(event_)

    def ring(self, topic: Topic) -> None:
        """Wake all of the topic's listeners (event-loop thread only)."""
        for event_ in self._waiters[topic]:
            event_.set()


def _sqlite_engine(url: str, *, writer: bool) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=4,
        connect_args={"timeout": 30, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # an acknowledged SOS survives a power cut
            "foreign_keys=ON",
            "busy_timeout=30000",
            "temp_store=MEMORY",
            "cache_size=-32000",
            f"query_only={'OFF' if writer else 'ON'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


class Database:
    """Runs use-cases and queries. One per process; `close()` it."""

    def __init__(self, url: str, clock: Clock) -> None:
        """`url`: an SQLAlchemy URL, `sqlite:///file` or `postgresql+psycopg://…`."""
        self.clock = clock
        self.bell = Bell()
        self.sqlite = make_url(url).get_backend_name() == "sqlite"
        if self.sqlite:
            self._gate: Gate | None = Gate()
            self.writer = _sqlite_engine(url, writer=True)
            self.reader = _sqlite_engine(url, writer=False)
        else:
            self._gate = None
            self.writer = self.reader = create_engine(url, pool_size=10, max_overflow=10)
        self.senders: list[Callable[[Tx], Lot]] = []
        """Running outbox workers: each leases what it has free hands for."""
        self._urgent = ThreadPoolExecutor(4, "urgent")
        self._bulk = ThreadPoolExecutor(2, "bulk")
        self._reads = ThreadPoolExecutor(4, "read")

    def transact(
        self, use_case: Callable[[Tx], T], *, urgent: bool = False
    ) -> tuple[T, set[Topic]]:
        """Run `use_case` in one transaction, again on `Stale`. Blocking; returns what to wake."""
        for attempt in range(MOST_RETRIES):
            try:
                if self._gate is None:
                    return self._once(use_case)
                with self._gate.held(urgent=urgent):
                    return self._once(use_case)
            except Stale:
                if attempt == MOST_RETRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _once(self, use_case: Callable[[Tx], T]) -> tuple[T, set[Topic]]:
        lots: list[Lot] = []
        try:
            with self.writer.begin() as conn:
                tx = Tx(conn, self.clock.now(), self.clock.speed)
                result = use_case(tx)
                for step in tx.last.values():
                    step(tx)
                if "outbox" in tx.woken:
                    # Leased in the very transaction that queued it, and handed over after it: what
                    # an SOS says leaves after one commit, not after two.
                    lots.extend(lease(tx) for lease in tuple(self.senders))
        except BaseException:
            for lot in lots:
                lot.ended(committed=False)
            raise
        for lot in lots:
            lot.ended(committed=True)
        if lots and not any(lot.more for lot in lots):
            tx.woken.discard("outbox")  # nobody need look for what all have in hand
        return result, tx.woken

    async def write(self, use_case: Callable[[Tx], T], *, urgent: bool = False) -> T:
        """Run `use_case` in one transaction off the event loop, then ring what it woke."""
        loop = asyncio.get_running_loop()
        pool = self._urgent if urgent else self._bulk
        result, woken = await loop.run_in_executor(
            pool, lambda: self.transact(use_case, urgent=urgent)
        )
        for topic in woken:
            self.bell.ring(topic)
        return result

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a read-only `query` off the event loop, in one consistent view."""
        loop = asyncio.get_running_loop()

        def run() -> T:
            with self.reader.begin() as conn:
                return query(conn)

        return await loop.run_in_executor(self._reads, run)

    def close(self) -> None:
        """Finish what runs, then close every connection."""
        for pool in (self._urgent, self._bulk, self._reads):
            pool.shutdown(wait=True)
        self.writer.dispose()
        self.reader.dispose()
