"""Sends what the transactions queued: lease → send → record, the SOS lane on workers of its own.

A message is leased (state `sending`) in one transaction and recorded in another. Between the two
anything may die, so a message that comes back still `sending` is first looked up at the provider
that was asked. Duplicates beat silence: where that one is down and there is another, it is sent by
the other. What could not leave within its sending deadline has failed, and the ladder moves.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import RowMapping
from sqlalchemy.exc import SQLAlchemyError

from server.channels.base import Ambiguous, Busy, Refused, Sent
from server.channels.lines import Line, Lines
from server.channels.thread import SendersThread
from server.core import delivery
from server.core.words import Channel, Delivery
from server.database import Database, Tx
from server.hands import Hands, Lot, Pace
from server.records import Records
from server.service.house import PLACEHOLDER, House
from server.store import outbox

T = TypeVar("T")
log = logging.getLogger(__name__)
LEASE = timedelta(seconds=30)
"""Longer than the channel's own time-out and BEGUN_WITHIN_S together, so that a living sender is
never overtaken."""
BEGUN_WITHIN_S = 15.0
"""What has not been begun so soon after its lease (real time) goes back: behind a provider that
hangs it would be overtaken."""
AT_ONCE = 32
"""Sends under way in a lane: so many that a provider that hangs on some holds up no others."""
AHEAD = 256
"""Messages leased in a lane on SQLite: those that are under way and those that are begun next.
There each lease waits for the write lock, which a round holds for 50 to 100 ms. On PostgreSQL it
waits for nobody, and what one server holds back, another could send."""
TOGETHER_S = 0.005
CLOCKS_APART = timedelta(minutes=10)
"""How far the provider's clock may be from ours when we look a message up."""


class Late(Exception):
    """It was not begun, and surely has not left: its lease is too old, or its provider down."""


@dataclass(frozen=True, slots=True)
class Back:
    """A message that a sender's thread has done with."""

    message: RowMapping
    line: Line
    begin_by_s: float
    outcome: Future[Sent | Refused]


@dataclass(frozen=True, slots=True)
class Handed:
    """Messages leased within somebody else's transaction, on the way to their worker."""

    worker: "Worker"
    lot: Lot

    @property
    def more(self) -> bool:
        """As database.Leased says."""
        return self.lot.full

    def ended(self, *, committed: bool) -> None:
        """As database.Leased says."""
        self.worker.handed(self.lot, committed=committed)


class Worker:
    """Drains some lanes until stopped."""

    def __init__(
        self, database: Database, house: House, lines: Lines, lanes: Sequence[int],
        pace: Pace | None = None,
    ) -> None:
        """`pace`: shared with the other lanes of the same sender."""
        self._database = database
        self._house = house
        self._lines = lines
        self._pace = pace or Pace()
        self.lanes = tuple(lanes)
        self._thread = SendersThread(AT_ONCE, f"send-{lanes[0]}")
        self._under_way: set[asyncio.Task[None]] = set()
        self._probes: set[asyncio.Task[None]] = set()
        self._most = AHEAD if database.sqlite else AT_ONCE
        self._hands = Hands(self._most)
        self._rung = asyncio.Event()
        self._stirred = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._back: list[Back] = []
        self._lock = threading.Lock()
        self._records = Records(database, house, lines, lanes)
        self._done: list[tuple[tuple[int, Sent | Refused], asyncio.Future[None] | None]] = []
        self._recording: asyncio.Task[None] | None = None
        self._ending = False
        self._waiting = True
        """Whether more may be due than we had hands for. Only a hint: whoever queues something
        rings, and each second we look."""

    async def run(self, stop: asyncio.Event) -> None:
        """Send whatever is due until `stop`; what is under way is finished and recorded."""
        try:
            await self._run(stop)
        finally:
            self._thread.shutdown()

    async def _run(self, stop: asyncio.Event) -> None:
        self._loop = asyncio.get_running_loop()
        with self._database.bell.listening("outbox") as self._rung:
            self._database.senders.append(self)
            try:
                while not stop.is_set():
                    self._rung.clear()
                    try:
                        self._probe_aside()
                        if await self._begin():
                            continue
                    except Exception:
                        log.exception("the outbox could not be drained; trying again")
                    await self._rest(stop)
            finally:
                self._database.senders.remove(self)
                self._ending = True
        for probe in tuple(self._probes):
            probe.cancel()
        # What a transaction has leased for us meanwhile is on its way here.
        with contextlib.suppress(SQLAlchemyError):
            await self._database.write(lambda _tx: None, urgent=self._urgent)
        await asyncio.sleep(0)
        while self._hands.busy or self._under_way or self._recording is not None:
            self._stirred.clear()
            await self._stirred.wait()

    async def _begin(self) -> int:
        """Begin sending as many as there are free hands; returns how many. Nobody waits for the
        slowest of a lot: each send frees its own hand, and rings if more may be waiting."""
        if not self._waiting:  # looked up without the write lock: no SOS waits for an idle worker
            due_at = await self._database.read(lambda c: outbox.next_due(c, self.lanes))
            if due_at is None or due_at > self._database.clock.now():
                return 0
        free = self._hands.take(self._most)
        lot = Lot()
        try:
            lot = await self._lot(free)
        finally:
            self._waiting = lot.full
            self._hands.give(free - len(lot.messages))
        self._start(lot)
        return len(lot.messages)

    def lease_here(self, tx: Tx) -> Handed:
        """As database.Sender says."""
        free = self._hands.take(self._most)
        lot = Lot(full=True)
        try:
            if free:
                lot = self._lease(tx, free)
        finally:
            self._give(free - len(lot.messages))
        return Handed(self, lot)

    def _give(self, back: int) -> None:
        """Give hands back (any thread). A sender that is ending waits for them."""
        self._hands.give(back)
        if self._ending and self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stirred.set)

    def handed(self, lot: Lot, *, committed: bool) -> None:
        """Send what was leased for us, or nothing of it where that came to nothing (any thread)."""
        if not committed:
            self._give(len(lot.messages))
            return
        self._waiting = lot.full
        # Where threads or loop have ended meanwhile: the lease runs out, and whoever comes
        # next looks the message up. The commit that we follow has happened all the same.
        with contextlib.suppress(RuntimeError):
            self._start(lot)

    def _start(self, lot: Lot) -> None:
        """Begin sending (any thread). A message of which there is nothing to ask first is on its
        way at once: the loop may be busy with a flood of check-ins."""
        begin_by_s = time.monotonic() + BEGUN_WITHIN_S
        for message in lot.messages:
            channel = Channel(message["channel"])
            line = self._lines.of(channel, lot.providers.get(channel))
            if line is not None and self._asks_nothing_first(message):
                try:
                    outcome = self._thread.submit(self._hand_over, message, line, begin_by_s)
                except RuntimeError as error:
                    # Its lease runs out, and it is looked up; the hand is free for others at once.
                    log.warning("message %s could not be begun: %s", message["id"], error)
                    self._give(1)
                    continue
                outcome.add_done_callback(partial(self._came_back, message, line, begin_by_s))
            elif self._loop is not None:
                self._loop.call_soon_threadsafe(self._in_a_task, message, line, begin_by_s)

    async def _hand_over(
        self, message: RowMapping, line: Line, begin_by_s: float
    ) -> Sent | Refused:
        """In the sender's thread, where the message may have waited for others. Raises Late, and
        what the carrier raises."""
        instead = self._lines.is_down(line) and self._lines.other(line) is not None
        if self._ending or instead or time.monotonic() > begin_by_s:
            raise Late
        return await line.carrier.send(message["phone"], self._words(message), message["id"])

    def _came_back(
        self, message: RowMapping, line: Line, begin_by_s: float, outcome: Future[Sent | Refused]
    ) -> None:
        """In the same thread: tell the loop, once for all that come back before it looks."""
        with self._lock:
            self._back.append(Back(message, line, begin_by_s, outcome))
            told = len(self._back) > 1
        if not told and self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._take_back)

    def _take_back(self) -> None:
        """See what became of those that came back. Nearly all have simply left: they are recorded
        together, and have no task of their own."""
        with self._lock:
            back, self._back = self._back, []
        late, lines = [], dict[Line, None]()
        for one in back:
            error = one.outcome.exception()
            if isinstance(error, Late):
                late.append(one.message)
            elif error is None and isinstance(result := one.outcome.result(), Sent):
                self._done.append(((one.message["id"], result), None))
                lines[one.line] = None
            else:
                self._in_a_task(one.message, one.line, one.begin_by_s, one.outcome)
                continue
            self._hands.give(1)
        for line in lines:
            if (change := self._lines.worked(line)) is not None:
                self._aside(self._records.turned(line, change))
        if late:
            self._aside(self._records.not_begun(late))
        self._record_soon()
        self._stirred.set()

    def _in_a_task(
        self, message: RowMapping, line: Line | None, begin_by_s: float,
        begun: Future[Sent | Refused] | None = None,
    ) -> None:  # fmt: skip
        sending = self._aside(self._send(message, line, begin_by_s, begun))
        sending.add_done_callback(self._hand_free)

    def _hand_free(self, _task: asyncio.Task[None]) -> None:
        self._hands.give(1)
        if self._waiting and self._loop is not None:
            # In a moment, not at once: hands that come free together fetch one lot together.
            self._loop.call_later(TOGETHER_S, self._rung.set)

    def _aside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._stirred.set()
        if not task.cancelled() and task.exception() is not None:
            # The lease runs out and the message comes back, to be looked up.
            log.error("a message could not be recorded", exc_info=task.exception())

    @staticmethod
    def _asks_nothing_first(message: RowMapping) -> bool:
        """Whether it surely has not left yet, and nothing can have changed meanwhile: one that has
        waited for another try may be for somebody who has opted out since, or been heard of."""
        fresh = message["state"] != Delivery.SENDING.value and message["tries"] == 0
        return fresh and message["resident_id"] is None

    async def _lot(self, most: int) -> Lot:
        if self._allowed(most, self._database.clock.now()) < 1:
            return Lot(full=True)
        return await self._database.write(
            lambda tx: self._lease(tx, most), urgent=self._urgent
        )

    def _allowed(self, most: int, now: datetime) -> int:
        if self._house.ring.long and not self._urgent:
            return 0
        return self._pace.allowed(most, now, urgent=self._urgent)

    def _probe_aside(self) -> None:
        """Ask providers that are down whether they are back, with no message at stake. One may take
        its whole time-out to say nothing: no message that another could carry, or that is due to be
        tried again, waits for that."""
        if not self._urgent:
            return  # one lane asks for all
        for line in self._lines.to_probe(self._database.clock.now()):
            task = asyncio.create_task(self._probe(line))
            self._probes.add(task)
            task.add_done_callback(self._probes.discard)

    async def _probe(self, line: Line) -> None:
        try:
            if await self._in_thread(line.carrier.alive):
                await self._records.turned(line, self._lines.answered(line))
        except Exception:
            log.exception("%s could not be asked, or staff not told; trying again", line.about)

    async def _rest(self, stop: asyncio.Event) -> None:
        """Until somebody rings, or a second is over. (tests/simulation leaves out the seconds in
        which nothing becomes due.)"""
        await _either(self._rung, stop, timeout_s=1.0)

    async def _in_thread(self, call: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        return await asyncio.wrap_future(self._thread.submit(call, *args))

    @property
    def _urgent(self) -> bool:
        return self._records.urgent

    def _lease(self, tx: Tx, most: int) -> Lot:
        allowed = self._allowed(most, tx.now)
        if allowed < 1:
            return Lot(full=True)
        providers = self._lines.names()
        until = tx.now + tx.real(LEASE)
        messages = outbox.lease(
            tx.conn, self.lanes, tx.now, until, allowed, providers, self._database.me
        )
        self._pace.spent(len(messages))
        return Lot(messages, providers, full=len(messages) == allowed)

    async def _send(
        self, message: RowMapping, line: Line | None, begin_by_s: float,
        begun: Future[Sent | Refused] | None = None,
    ) -> None:  # fmt: skip
        """One message: look it up if it may have left, then send it, then record what became of
        it. `line`: as it was written down with the lease. `begun`: it has been on its way."""
        channel = Channel(message["channel"])
        try:
            result: Sent | Refused | None = None
            if message["state"] == Delivery.SENDING.value:
                line = self._lines.of(channel, message["provider"])
                result = await self._looked_up(message, line)
                if result is None:
                    line = self._lines.now(channel)
                    if await self._records.dropped(message, line):
                        return
            elif not self._asks_nothing_first(message) and (
                await self._records.dropped(message, line)
            ):
                return
            if result is None:
                result = await self._carried(message, line, begin_by_s, begun)
                if (other := self._instead(line, result)) is not None:
                    line = other  # what it does from here on is its own doing, and its blame
                    await self._records.asked(message, line)
                    result = await self._carried(message, line, begin_by_s)
        except Late:
            await self._records.not_begun([message])
        except Ambiguous as error:
            log.warning("message %s: %s; it will be looked up", message["id"], error)
            await self._records.not_now(message, line, state=Delivery.SENDING)
        except Busy as error:
            log.warning("message %s: %s; trying again", message["id"], error)
            if not await self._records.dropped(message, line):
                await self._records.not_now(message, line, state=Delivery(message["state"]))
        else:
            await self._record(message, result)

    async def _looked_up(self, message: RowMapping, line: Line | None) -> Sent | None:
        """The provider's copy of a message that may have left. Raises Busy when the provider that
        was asked can't tell, unless another can carry the message in its place."""
        if line is None:
            return None
        body = self._words(message)
        try:
            found = await self._in_thread(
                line.carrier.find, message["phone"], body, _since(message)
            )
        except Busy:
            if self._lines.is_down(line) and self._lines.other(line) is not None:
                return None  # duplicates beat silence
            raise
        return await self._records.ours(message, found)

    async def _carried(
        self, message: RowMapping, line: Line | None, begin_by_s: float,
        begun: Future[Sent | Refused] | None = None,
    ) -> Sent | Refused:  # fmt: skip
        """Hand the message to a provider, or hear what became of that."""
        if line is None:
            return Refused(delivery.NO_ACCOUNT)
        if begun is not None:
            result = await asyncio.wrap_future(begun)
        else:
            result = await self._in_thread(self._hand_over, message, line, begin_by_s)
        await self._records.turned(line, self._lines.worked(line))
        return result

    def _instead(self, line: Line | None, result: Sent | Refused) -> Line | None:
        """Who is asked after a refusal that is the account's own; None: nobody."""
        if line is None or isinstance(result, Sent) or not delivery.of_the_account(result.error):
            return None
        return self._lines.other(line)

    def _words(self, message: RowMapping) -> str:
        body: str = message["body"]
        if PLACEHOLDER in body:
            token = self._house.token(message["alert_id"], message["person_id"])
            body = body.replace(PLACEHOLDER, token)
        return body

    async def _record(self, message: RowMapping, result: Sent | Refused) -> None:
        """Write down what became of a message, in a transaction that it shares with others that
        ended meanwhile: a big round is thousands of them, and each transaction is a wait for the
        disk and for the write lock. One that fails is tried again by itself."""
        noted = asyncio.get_running_loop().create_future()
        self._done.append(((message["id"], result), noted))
        self._record_soon()
        await noted

    def _record_soon(self) -> None:
        if self._done and self._recording is None:
            self._recording = asyncio.create_task(self._record_all())

    async def _record_all(self) -> None:
        while self._done:
            lot, self._done = self._done, []
            failed = await self._written([ended for ended, _ in lot])
            for ended, noted in lot:
                alone = await self._written([ended]) if failed and len(lot) > 1 else failed
                if noted is None:
                    if alone is not None:  # the lease runs out, and it is looked up
                        log.error("a message could not be recorded", exc_info=alone)
                elif alone is None:
                    noted.set_result(None)
                else:
                    noted.set_exception(alone)
        self._recording = None
        self._stirred.set()

    async def _written(self, lot: Sequence[tuple[int, Sent | Refused]]) -> BaseException | None:
        """Record all in one transaction, which fetches what the free hands can take; returns what
        hindered it."""

        def record(tx: Tx) -> None:
            self._records.ended_so(tx, lot)
            if self._waiting and not self._ending:
                tx.takers.append(self)

        # A batch or a round that is under way would have to begin anew for it.
        urgent = self._urgent and self._waiting
        write = self._database.write(record, urgent=urgent)
        (result,) = await asyncio.gather(write, return_exceptions=True)
        return result

def _since(message: RowMapping) -> datetime:
    created: datetime = message["created_at"]
    return created - CLOCKS_APART


async def _either(*events: asyncio.Event, timeout_s: float | None) -> None:
    """Wait until one of the events is set, at most `timeout_s` seconds (None: for ever)."""
    waits = [asyncio.ensure_future(e.wait()) for e in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
