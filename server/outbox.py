"""Sends what the transactions queued: lease → send → record, the SOS lane on workers of its own.

A message is leased (state `sending`) in one transaction and recorded in another. Between the two
anything may die, so a message that comes back still `sending` is first looked up at the provider.
Duplicates beat silence: what can't be looked up within the deadline is sent again.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from server.channels.base import Ambiguous, Busy, Channel, Refused, Sent
from server.core.words import Delivery
from server.database import Database, Tx
from server.service import answering
from server.service.house import PLACEHOLDER, House
from server.store import outbox

T = TypeVar("T")
log = logging.getLogger(__name__)
LEASE = timedelta(seconds=30)
"""Longer than the channel's own time-out, so that a living sender is never overtaken."""
BACKOFF_S = (1, 2, 4, 8, 15)
AT_ONCE, URGENT_AT_ONCE = 16, 32
"""Sends under way in a lane. The SOS lane has more, so that a provider that hangs on some holds up
none of the others."""
TOGETHER_S = 0.005
CLOCKS_APART = timedelta(minutes=10)
"""How far the provider's clock may be from ours when we look a message up."""


@dataclass(slots=True)
class Handed:
    """Messages leased within somebody else's transaction, on the way to their worker."""

    worker: "Worker"
    messages: Sequence[RowMapping]
    more: bool

    def ended(self, *, committed: bool) -> None:
        """As database.Lot says."""
        self.worker.handed(self.messages if committed else (), len(self.messages))


class Hands:
    """How many sends a worker may still begin. Taken from any thread."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._lock = threading.Lock()

    def take(self, most: int) -> int:
        """Take up to `most`; returns how many there were."""
        with self._lock:
            taken = min(most, self._free)
            self._free -= taken
            return taken

    def give(self, back: int) -> None:
        """Give some back."""
        with self._lock:
            self._free += back


class Worker:
    """Drains some lanes until stopped."""

    def __init__(
        self, database: Database, house: House, channel: Channel, lanes: Sequence[int]
    ) -> None:
        self._database = database
        self._house = house
        self._channel = channel
        self._lanes = tuple(lanes)
        self._slots = URGENT_AT_ONCE if 0 in lanes else AT_ONCE
        self._threads = ThreadPoolExecutor(self._slots, f"send-{lanes[0]}")
        self._under_way: set[asyncio.Task[None]] = set()
        self._hands = Hands(self._slots)
        self._rung = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._records: list[tuple[Callable[[Tx], None], asyncio.Future[None]]] = []
        self._recording: asyncio.Task[None] | None = None
        self._waiting = True
        """Whether more may be due than we had hands for."""

    async def run(self, stop: asyncio.Event) -> None:
        """Send whatever is due until `stop`; what is under way is finished and recorded."""
        self._loop = asyncio.get_running_loop()
        with self._database.bell.listening("outbox") as self._rung:
            self._database.senders.append(self._lease_here)
            try:
                while not stop.is_set():
                    self._rung.clear()
                    try:
                        if await self._begin():
                            continue
                    except Exception:
                        log.exception("the outbox could not be drained; trying again")
                    await _either(self._rung, stop, timeout_s=1.0)
            finally:
                self._database.senders.remove(self._lease_here)
        # What a transaction has leased for us meanwhile is on its way here.
        with contextlib.suppress(SQLAlchemyError):
            await self._database.write(lambda _tx: None, urgent=self._urgent)
        await asyncio.sleep(0)
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._threads.shutdown(wait=False)

    async def _begin(self) -> int:
        """Begin sending as many as there are free hands; returns how many. Nobody waits for the
        slowest of a lot: each send frees its own hand, and rings if more may be waiting."""
        due_at = await self._database.read(lambda c: outbox.next_due(c, self._lanes))
        if due_at is None or due_at > self._database.clock.now():
            self._waiting = False
            return 0  # looked up without the write lock: an SOS must not wait for an idle worker
        free = self._hands.take(self._slots)
        lot: Sequence[RowMapping] = ()
        try:
            lot = await self._lot(free)
        finally:
            self._waiting = len(lot) == free
            self._hands.give(free - len(lot))
        self._start(lot)
        return len(lot)

    def _start(self, lot: Sequence[RowMapping]) -> None:
        for message in lot:
            task = asyncio.create_task(self._send(message))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._hands.give(1)
        if not task.cancelled() and task.exception() is not None:
            # The lease runs out and the message comes back, to be looked up.
            log.error("a message could not be recorded", exc_info=task.exception())
        if self._waiting and self._loop is not None:
            # In a moment, not at once: hands that come free together fetch one lot together.
            self._loop.call_later(TOGETHER_S, self._rung.set)

    def _lease_here(self, tx: Tx) -> Handed:
        """Lease what is due within a transaction that has just queued something (any thread)."""
        free = self._hands.take(self._slots)
        lot: Sequence[RowMapping] = ()
        try:
            lot = self._lease(tx, free) if free else ()
        finally:
            self._hands.give(free - len(lot))
        return Handed(self, lot, more=len(lot) == free)

    def handed(self, lot: Sequence[RowMapping], taken: int) -> None:
        """Send what was leased for us with `taken` hands, or nothing of it (any thread)."""
        self._hands.give(taken - len(lot))
        if lot and self._loop is not None:
            # A loop that has ended meanwhile sends nothing: the lease runs out, and whoever comes
            # next looks the message up. The commit that we follow has happened all the same.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._start, lot)

    async def drain(self) -> int:
        """Send one lot and wait for all of it; returns how many there were."""
        lot = await self._lot(self._slots)
        await self._together([self._send(message) for message in lot])
        return len(lot)

    async def _lot(self, most: int) -> Sequence[RowMapping]:
        if most < 1:
            return []
        return await self._database.write(lambda tx: self._lease(tx, most), urgent=self._urgent)

    # The two places that need an event loop; tests/simulation drives this class without one.

    async def _together(self, sends: Sequence[Coroutine[Any, Any, None]]) -> None:
        await asyncio.gather(*sends)

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    @property
    def _urgent(self) -> bool:
        return 0 in self._lanes

    def _lease(self, tx: Tx, most: int) -> Sequence[RowMapping]:
        if outbox.next_due(tx.conn, self._lanes) is None:
            return []
        return outbox.lease(tx.conn, self._lanes, tx.now, tx.now + tx.real(LEASE), most)

    async def _send(self, message: RowMapping) -> None:
        body = self._words(message)
        try:
            result: Sent | Refused | None = None
            if message["state"] == Delivery.SENDING.value:
                found = await self._in_thread(
                    self._channel.find, message["phone"], body, _since(message)
                )
                result = await self._ours(message, found)
                if result is None and await self._dropped(message):
                    return
            if result is None:
                result = await self._in_thread(
                    self._channel.send, message["phone"], body, message["id"]
                )
        except Ambiguous as error:
            log.warning("message %s: %s; it will be looked up", message["id"], error)
            await self._again(message, state=Delivery.SENDING)
        except Busy as error:
            log.warning("message %s: %s; trying again", message["id"], error)
            if not await self._dropped(message):
                await self._again(message, state=Delivery(message["state"]))
        else:
            await self._record(message, result)

    async def _ours(self, message: RowMapping, found: Sequence[Sent]) -> Sent | None:
        """The one of the provider's copies that is this message's: the same words may have gone
        to this phone before, as another message with an id of its own."""

        def unclaimed(conn: Connection) -> Sent | None:
            claimed = outbox.claimed(conn, [s.provider_id for s in found], message["id"])
            return next((s for s in found if s.provider_id not in claimed), None)

        return await self._database.read(unclaimed) if found else None

    async def _dropped(self, message: RowMapping) -> bool:
        """Whether a message that surely has not left is no longer to leave: it may have waited
        for minutes, and cancelling cannot touch what is leased."""

        def drop(tx: Tx) -> bool:
            end = outbox.unwanted(tx.conn, message["id"])
            if end is Delivery.FAILED:
                answering.take_delivery(tx, self._house, message["id"], end, "opted_out")
            elif end is not None:
                outbox.put_back(tx.conn, message, end, None)
            return end is not None

        return await self._database.write(drop, urgent=self._urgent)

    def _words(self, message: RowMapping) -> str:
        body: str = message["body"]
        if PLACEHOLDER in body:
            token = self._house.token(message["alert_id"], message["person_id"])
            body = body.replace(PLACEHOLDER, token)
        return body

    async def _again(self, message: RowMapping, state: Delivery) -> None:
        wait_s = BACKOFF_S[min(message["tries"], len(BACKOFF_S) - 1)]

        def put_back(tx: Tx) -> None:
            due_at = tx.now + tx.real(timedelta(seconds=wait_s))
            outbox.put_back(tx.conn, message, state, due_at)

        await self._database.write(put_back, urgent=self._urgent)

    async def _record(self, message: RowMapping, result: Sent | Refused) -> None:
        def record(tx: Tx) -> None:
            if isinstance(result, Refused):
                answering.take_delivery(
                    tx, self._house, message["id"], Delivery.FAILED, result.error
                )
                return
            # The status webhook may have been faster than this: then `delivered` stands.
            values: dict[str, Any] = {"provider_id": result.provider_id, "due_at": None}
            outbox.set_message(tx.conn, message["id"], **values)
            answering.take_delivery(tx, self._house, message["id"], Delivery.SENT)

        await self._note(record)

    async def _note(self, record: Callable[[Tx], None]) -> None:
        """Run `record` in a transaction that it shares with those of other messages that ended
        meanwhile: a big round is thousands of records, and each transaction is a wait for the
        disk and for the write lock. One that fails is tried again by itself."""
        if self._loop is None:
            await self._database.write(record, urgent=self._urgent)
            return
        noted = self._loop.create_future()
        self._records.append((record, noted))
        if self._recording is None:
            self._recording = asyncio.create_task(self._note_all())
        await noted

    async def _note_all(self) -> None:
        while self._records:
            lot, self._records = self._records, []

            failed = await self._written([record for record, _ in lot])
            for record, noted in lot:
                alone = await self._written([record]) if failed and len(lot) > 1 else failed
                if alone is None:
                    noted.set_result(None)
                else:
                    noted.set_exception(alone)
        self._recording = None

    async def _written(self, records: Sequence[Callable[[Tx], None]]) -> BaseException | None:
        """Run all in one transaction; returns what hindered it."""

        def together(tx: Tx) -> None:
            for record in records:
                record(tx)

        write = self._database.write(together, urgent=self._urgent)
        (result,) = await asyncio.gather(write, return_exceptions=True)
        return result


def _since(message: RowMapping) -> datetime:
    created: datetime = message["created_at"]
    return created - CLOCKS_APART


async def _either(*events: asyncio.Event, timeout_s: float) -> None:
    """Wait until one of the events is set, at most `timeout_s` seconds."""
    waits = [asyncio.ensure_future(e.wait()) for e in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
