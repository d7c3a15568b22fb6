"""Connections and transactions, and the bell that rings after a commit.

SQLite has one writer. Writers therefore queue here, in the process, where an SOS can be let past:
inside SQLite they would wait by polling, and a flood of check-ins could hold an SOS for seconds.
Readers have connections of their own and never wait (WAL). On PostgreSQL there is no gate: writers
run side by side, what two of them want at once is decided row by row (compare-and-set, SKIP LOCKED,
`Tx.alone`), and who loses runs again. What a commit wakes in this process, it also wakes in the
other servers on the same database (server/wakeups.py).

Use-cases are plain functions run in threads: SQLite's driver blocks anyway, and plain functions
are easier to read and to test than coroutines (docs/adr/0003).
"""

import asyncio
import logging
import random
import secrets
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar, get_args

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from server import metrics, wakeups
from server.clock import Clock
from server.locks import ALONE_SPACE
from server.vault import Vault
from server.wakeups import Wire

log = logging.getLogger(__name__)
T = TypeVar("T")
S = TypeVar("S")
Topic = Literal["feed", "outbox", "commands"]
MOST_RETRIES = 8
MOST_OVERTAKEN = 3
"""So often a transaction gives way to presses before it runs through."""
CONFLICTS = frozenset({"40001", "40P01"})
"""PostgreSQL undid the transaction for another one's sake: serialization failure, deadlock."""


def _never() -> bool:
    return False


class Stale(Exception):
    """Somebody else changed the row first (compare-and-set failed): decide again on fresh facts."""


class Overtaken(Exception):
    """A press waits for the write lock: this transaction undoes itself and runs again after it."""


class _Undone(Exception):
    """The database undid the transaction for another's sake; nothing of it happened."""

    def __init__(self, error: DBAPIError) -> None:
        super().__init__(str(error.orig))
        self.error = error


@dataclass(slots=True)
class Tx:
    """One transaction: its connection, its instant, and which waiters to wake once committed."""

    conn: Connection
    now: datetime
    speed: float = 1.0
    woken: set[Topic] = field(default_factory=set)
    up_since: datetime | None = None
    """Since when this process has worked: what was missed before that is our own absence."""
    after: list[Callable[[], None]] = field(default_factory=list)
    """Counted once it is true: run after the commit, never after a rollback. Must not fail."""
    entries: list[Mapping[str, Any]] = field(default_factory=list)
    """Journal entries not yet written: they go in together, last of all."""
    last: "dict[str, Callable[[Tx], None]]" = field(default_factory=dict)
    """What is still to be done in this transaction, right before its commit."""
    memo: dict[Any, Any] = field(default_factory=dict)
    """Facts read once that this transaction does not change."""
    lanes: set[int] | None = field(default_factory=set)
    """Lanes in which messages were queued; None: any."""
    takers: "list[Sender]" = field(default_factory=list)
    """Senders that lease what is due with this transaction, whether it queues anything or not."""
    vault: Vault = field(default_factory=Vault)
    """Seals and opens the notes that lead into homes; its keys are not in the database."""
    overtaken: Callable[[], bool] = _never
    """Whether something urgent waits for this transaction, which may still give way to it."""

    def give_way(self) -> None:
        """Let a press past that waits for this transaction to end. Called between the parts of a
        long one that costs little to do again. Raises Overtaken, which is nobody's to catch. Work
        whose parts each stand for themselves ends early instead, when `overtaken()`."""
        if self.overtaken():
            raise Overtaken

    def real(self, span: timedelta) -> timedelta:
        """A span of our machinery's real time as the clock counts it (a demo runs faster)."""
        return span * self.speed

    def alone(self, what: str) -> bool:
        """Whether this transaction may do `what` now: no other server's is doing it. The right
        ends with the transaction, however it ends; nobody waits for it."""
        if self.conn.dialect.name == "sqlite":
            return True  # one writer, one server
        keys = {"space": ALONE_SPACE, "what": zlib.crc32(what.encode()) & 0x7FFFFFFF}
        return bool(self.conn.execute(ALONE, keys).scalar_one())

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A part that may fail by itself: nothing of it remains, in the journal and the figures
        neither."""
        noted, counted = len(self.entries), len(self.after)
        # In plain SQL: SQLAlchemy compiles a savepoint anew each time, in the way of every SOS.
        self.conn.exec_driver_sql("SAVEPOINT part")
        try:
            yield
        except BaseException:
            del self.entries[noted:], self.after[counted:]
            if not self.conn.invalidated:
                self.conn.exec_driver_sql("ROLLBACK TO SAVEPOINT part")
                self.conn.exec_driver_sql("RELEASE SAVEPOINT part")
            raise
        self.conn.exec_driver_sql("RELEASE SAVEPOINT part")

    def finish(self) -> None:
        """Do what was left to the end. Whoever made this transaction calls it before the commit."""
        for step in self.last.values():
            step(self)

    def queued(self, *lanes: int) -> None:
        """Messages wait for the senders of these lanes; with none named, for every sender."""
        self.wake("outbox")
        if not lanes:
            self.lanes = None
        elif self.lanes is not None:
            self.lanes.update(lanes)

    def wake(self, topic: Topic) -> None:
        """Ring `topic`'s bell after the commit, and only then."""
        self.woken.add(topic)


ALONE = text("SELECT pg_try_advisory_xact_lock(:space, :what)")


class Leased(Protocol):
    """What a sender has leased within a transaction that is about to end."""

    @property
    def more(self) -> bool:
        """Whether messages may be waiting beside these."""
        ...

    def ended(self, *, committed: bool) -> None:
        """Send it, or forget it. Called from the writer's thread; must not block nor raise."""
        ...


class Sender(Protocol):
    """A running outbox worker: it leases what it has free hands for."""

    @property
    def lanes(self) -> Collection[int]:
        """The lanes that it sends."""
        ...

    def lease_here(self, tx: Tx) -> Leased:
        """Lease what is due within a transaction that has just queued something (any thread)."""
        ...


class NothingLeased:
    """A lease that failed by itself; somebody is to look again."""

    more = True

    def ended(self, *, committed: bool) -> None:
        """As Leased says."""


def _leased(tx: Tx, lease: Callable[[Tx], Leased]) -> Leased:
    """What a sender leases here. That it fails must never undo what it was to send."""
    try:
        with tx.attempt():
            return lease(tx)
    except DBAPIError as error:
        if _may_try_again(error):
            raise
        log.exception("nothing could be leased with what was queued; it will be looked for")
        return NothingLeased()


class Gate:
    """A lock for one writer at a time, in which the urgent overtake everybody who waits."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._busy = False
        self._urgent_waiting = 0

    def urgent_waits(self) -> bool:
        """Whether somebody urgent waits for whoever holds the gate."""
        return self._urgent_waiting > 0

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
        self._waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def listening(self, topic: Topic) -> Iterator[asyncio.Event]:
        """An event that is set on each ring; the listener clears it before it looks."""
        event_ = asyncio.Event()
        self._waiters[topic].add(event_)
        try:
            yield event_
        finally:
            self._waiters[topic].discard(event_)

    def ring(self, topic: str) -> None:
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
        hide_parameters=True,  # an error in the log must not carry somebody's number
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
            "secure_delete=ON",  # what is erased or sealed is not left in the file's free space
            f"query_only={'OFF' if writer else 'ON'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def begin(connection: Any) -> None:
        connection.execute("BEGIN IMMEDIATE" if writer else "BEGIN")

    # The dialect's own hook, not the event: where an engine has a listener, every statement of
    # every transaction runs past all the empty lists of the others.
    engine.dialect.do_begin = begin  # type: ignore[method-assign,assignment]
    return engine


def _may_try_again(error: DBAPIError) -> bool:
    """Whether the transaction was undone for the sake of another, or found a dead connection."""
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in CONFLICTS


class Database:
    """Runs use-cases and queries. One per process; `close()` it."""

    def __init__(self, url: str, clock: Clock, vault: Vault | None = None) -> None:
        """`url`: an SQLAlchemy URL, `sqlite:///file` or `postgresql+psycopg://…`. Without a `vault`
        no note can be written, nor a sealed one read."""
        self.clock = clock
        self.vault = vault or Vault()
        self.up_since = clock.now()
        self.bell = Bell()
        self.me = f"{secrets.randbits(31):08x}"
        """This server's name among those on the same database, new at every start."""
        parsed = make_url(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        self.wire: Wire | None = None
        if self.sqlite:
            self._gate: Gate | None = Gate()
            self.writer = _sqlite_engine(url, writer=True)
            self.reader = _sqlite_engine(url, writer=False)
            urgent, bulk, reads = 4, 2, 4
        else:
            self._gate = None
            urgent, bulk, reads = 8, 4, 4
            from server import postgresql  # its driver is nine MiB that SQLite has no use for

            self.writer = postgresql.engine(parsed, writer=True, pool=urgent + bulk)
            self.reader = postgresql.engine(parsed, writer=False, pool=reads)
            self.wire = Wire(parsed, self.me, self.bell.ring, get_args(Topic))
        self.senders: list[Sender] = []
        self._urgent = ThreadPoolExecutor(urgent, "urgent")
        self._bulk = ThreadPoolExecutor(bulk, "bulk")
        self._reads = ThreadPoolExecutor(reads, "read")

    def alive(self, conn: Connection) -> set[str]:
        """The servers that work on this database now; SQLite has one, this one."""
        return {self.me} | (wakeups.alive(conn) if self.wire is not None else set())

    async def listen(self, stop: asyncio.Event) -> None:
        """Hear what other servers on this database commit, until `stop`."""
        if self.wire is not None:
            await self.wire.run(stop)

    def transact(
        self, use_case: Callable[[Tx], T], *, urgent: bool = False
    ) -> tuple[T, set[Topic]]:
        """Run `use_case` in one transaction, again when another one was first (`Stale`, deadlock).
        Blocking; returns what to wake."""
        for attempt in range(MOST_RETRIES):
            last = attempt == MOST_RETRIES - 1
            lots: list[Leased] = []
            committed = False
            try:
                if self._gate is None:
                    ended = self._once(use_case, lots)
                else:
                    # Not for ever: in a storm of presses the others' signs of life have their turn.
                    gives_way = not urgent and attempt < MOST_OVERTAKEN
                    waits = self._gate.urgent_waits if gives_way else _never
                    with self._gate.held(urgent=urgent):
                        ended = self._once(use_case, lots, waits)
                committed = True
                return ended
            except Overtaken:
                continue
            except Stale:
                if last:
                    raise
            except _Undone as undone:
                if last:
                    raise undone.error from undone.error.orig
            finally:
                # The next writer need not wait until hundreds of messages are with their senders.
                for lot in lots:
                    lot.ended(committed=committed)
            if self._gate is None:
                # Not in step with whoever we met: two that run into each other would again.
                time.sleep(random.uniform(0, 0.002 * 2**attempt))  # noqa: S311
        raise AssertionError("unreachable")

    def _once(
        self, use_case: Callable[[Tx], T], lots: list[Leased],
        overtaken: Callable[[], bool] = _never,
    ) -> tuple[T, set[Topic]]:  # fmt: skip
        """Once, and what the senders leased in it into `lots`, also where it comes to nothing."""
        with self.writer.begin() as conn:
            tx = Tx(conn, self.clock.now(), self.clock.speed, up_since=self.up_since,
                    vault=self.vault, overtaken=overtaken)  # fmt: skip
            try:
                result = use_case(tx)
                tx.finish()
                # Leased in the very transaction that queued it, and handed over after it: what an
                # SOS says leaves after one commit, not after two.
                for sender in self._takers(tx):
                    lots.append(_leased(tx, sender.lease_here))
            except DBAPIError as error:
                # Only here, never at the commit: a commit that broke off may have happened.
                if _may_try_again(error):
                    raise _Undone(error) from error
                raise
        if lots and not any(lot.more for lot in lots):
            tx.woken.discard("outbox")  # nobody need look for what all have in hand
        for note in tx.after:
            note()
        return result, tx.woken

    def _takers(self, tx: Tx) -> Iterator[Sender]:
        queued = "outbox" in tx.woken
        for sender in tuple(self.senders):
            theirs = queued and (tx.lanes is None or not tx.lanes.isdisjoint(sender.lanes))
            if theirs or sender in tx.takers:
                yield sender

    async def write(self, use_case: Callable[[Tx], T], *, urgent: bool = False) -> T:
        """Run `use_case` in one transaction off the event loop, then ring what it woke."""
        loop = asyncio.get_running_loop()
        pool = self._urgent if urgent else self._bulk
        with metrics.write_under_way(urgent=urgent):
            result, woken = await loop.run_in_executor(
                pool, lambda: self.transact(use_case, urgent=urgent)
            )
        for topic in woken:
            self.bell.ring(topic)
        if self.wire is not None:
            self.wire.tell(woken)
        return result

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a read-only `query` off the event loop, in one consistent view."""
        loop = asyncio.get_running_loop()

        def run() -> T:
            with self.reader.begin() as conn:
                return query(conn)

        return await loop.run_in_executor(self._reads, run)

    async def read_after(
        self, first: Callable[[Connection], S], query: Callable[[Connection, S], T]
    ) -> T:
        """Run `first`, then `query` with its answer in a view that is surely taken later."""
        loop = asyncio.get_running_loop()

        def run() -> T:
            with self.reader.begin() as conn:
                found = first(conn)
            with self.reader.begin() as conn:
                return query(conn, found)

        return await loop.run_in_executor(self._reads, run)

    def close(self) -> None:
        """Finish what runs, then close every connection."""
        for pool in (self._urgent, self._bulk, self._reads):
            pool.shutdown(wait=True)
        self.writer.dispose()
        self.reader.dispose()
