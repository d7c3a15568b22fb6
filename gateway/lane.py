"""A lane: messages from one MQTT connection to the server, receipts and PUBACKs back.

The order that keeps people safe: POST, the server's answer, receipts, then PUBACK. It must never
ack what the server has not answered for, and never give up while it runs.

What a lane holds is bounded: by the broker's receive maximum, and where a broker knows none, by
not reading on (but for a wait for the broker's confirmations: MOST_UNACKED). When a connection ends
its messages stay here (the server may get them before the broker is back) and are matched with
their redelivery, so an outage doesn't pile up copies.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Iterable, Sequence

from gateway.asking import Asker, Stopping
from gateway.batch import MAX_BATCH_BYTES, Entry, make_entry, turn_into_reject
from gateway.contract import Heartbeat, make_canary_receipt, make_receipt, parse
from gateway.counters import Counters
from gateway.delivery import Received
from gateway.log import say
from gateway.mqtt import MqttLink
from gateway.state import Health
from gateway.upstream import Answered, Failed, Refused, Result, ServerClient
from gateway.waiting import AsTheyCame, ByTurns, Waiting

logger = logging.getLogger(__name__)

MAX_HEARTBEATS = 20_000
"""Terminals whose newest heartbeat is kept while the server is away; QoS 0, nothing is owed."""


MOST_BACKLOG = 2_000
"""Receipts on their way to the broker beyond which no further batch is begun; far below the bound
of the outgoing queue, which drops."""
MOST_UNACKED = 65_535
"""While we wait for the broker's confirmations we read on past what a lane should hold, as they
come in behind messages: at most so many, one for each packet id of MQTT. Mosquitto 2.0 overruns the
receive maximum by any number while it is acknowledged in lumps."""
ROOM_WITHIN_S = 2.0
"""A broker that confirms nothing for so long must not keep presses from the server: receipts that
find no room are asked for again by the terminals."""
ASIDE_S, URGENT_ASIDE_S = 60.0, 5.0
"""How long an entry on which the server breaks by itself is laid aside. It is tried for ever, and
holds up nobody meanwhile."""
AT_A_TIME = 64
"""Entries settled in one go, about 2 ms: what waits for the loop meanwhile is a POST."""


class Lane:
    """Give it a link with `attach`, feed it with `offer`, run it with `run`."""

    def __init__(
        self,
        name: str,
        server: ServerClient,
        health: Health,
        counters: Counters,
        *,
        concurrency: int,
        batch_max: int,
        batch_wait_s: float,
        backoff_max_s: float,
        auth_retry_s: float,
        hold_max: int,
        gateway_id: str = "",
    ) -> None:
        self._name = name
        self._counters = counters
        self._concurrency = concurrency
        self._batch_max = batch_max
        self._batch_wait_s = batch_wait_s
        self._urgent = name == "sos"
        self._backoff_max_s = backoff_max_s
        self._hold_max = hold_max
        self._gateway_id = gateway_id
        self._link: MqttLink | None = None
        self._queue: Waiting = ByTurns() if self._urgent else AsTheyCame()
        self._heartbeats: dict[str, Entry] = {}
        self._held: set[Entry] = set()
        self._orphans: dict[tuple[str, bytes], list[Entry]] = {}
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._stopping = asyncio.Event()
        self._asker = Asker(
            name, server, health, counters, self._stopping,
            backoff_max_s=backoff_max_s, auth_retry_s=auth_retry_s,
        )  # fmt: skip
        self._paused = False
        self._making_room = 0  # workers that wait for it
        self._turn = asyncio.Semaphore(concurrency)
        self._one_by_one = asyncio.Lock()
        """Held while a batch is under way whose words are to stay in order."""

    def attach(self, link: MqttLink) -> None:
        """The connection that receipts and PUBACKs go to."""
        self._link = link

    @property
    def link(self) -> MqttLink:
        """The attached connection."""
        if self._link is None:
            raise RuntimeError("attach a link before using the lane")
        return self._link

    @property
    def holding(self) -> int:
        """Un-acked messages in our hands."""
        return len(self._held)

    # --- in -------------------------------------------------------------------------------

    def offer(self, received: Received) -> None:
        """Take a message from the broker. Never blocks, never raises for any content."""
        self._counters.received += 1
        if self._adopt(received):
            return
        message = parse(received.topic, received.payload, received.retain)
        entry = make_entry(message, received, time.monotonic())
        if isinstance(message, Heartbeat):
            self._keep_newest(message.t, entry)
        else:
            if entry.kind == "rejects":
                self._counters.rejects += 1
            self._queue.add(entry)
            self._held.add(entry)
        self._some.set()
        if len(self._queue) + len(self._heartbeats) >= self._batch_max:
            self._full.set()
        if (
            len(self._held) >= self._hold_max
            and not (self._making_room and len(self._held) < MOST_UNACKED)
            and self.link.pause()
        ):
            self._paused = True
            self._counters.pauses += 1
            say(logger, logging.WARNING, "lane_paused", lane=self._name, holding=len(self._held))

    def _adopt(self, received: Received) -> bool:
        """Whether this is the redelivery of a message we still hold from an ended connection."""
        if received.qos == 0 or not self._orphans:
            return False
        key = (received.topic, received.payload)
        waiting = self._orphans.get(key)
        if not waiting:
            return False
        waiting.pop().received = received
        if not waiting:
            del self._orphans[key]
        self._counters.readopted += 1
        return True

    def _keep_newest(self, t: str, entry: Entry) -> None:
        """Only the latest heartbeat of a terminal says anything; older ones are let go."""
        old = self._heartbeats.pop(t, None)
        if old is None and len(self._heartbeats) >= MAX_HEARTBEATS:
            old = self._heartbeats.pop(next(iter(self._heartbeats)))
        if old is not None:
            self._counters.coalesced += 1
            self.link.ack(old.received)  # a terminal that sends them with QoS 1 is owed this
        self._heartbeats[t] = entry

    def link_down(self) -> None:
        """The connection ended: what we hold will be delivered again, expect it."""
        self._paused = False
        self._orphans.clear()
        for entry in self._held:
            if entry.received.qos > 0:
                key = (entry.received.topic, entry.received.payload)
                self._orphans.setdefault(key, []).append(entry)

    # --- out ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send until stopped: each worker finishes the batch it has under way. One more of them
        than may ask at a time: it settles one batch while the server has the next."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(self._concurrency + 1):
                workers.create_task(self._work())

    def stop(self) -> None:
        """Take no new batch, try none again; `run` returns when the present tries have ended."""
        self._stopping.set()
        self._some.set()
        self._full.set()

    async def _work(self) -> None:
        with contextlib.suppress(Stopping):
            while True:
                batch: list[Entry] = []
                try:
                    async with self._turn:
                        await self._room()
                        batch = await self._next_batch()
                        async with self._order(batch):
                            answer = await self._asker.ask(batch)
                            if not isinstance(answer, Answered):
                                await self._apart(batch, answer)
                    if isinstance(answer, Answered):
                        await self._settle(batch, answer.results)
                except Stopping:
                    raise
                except Exception:
                    # A bug here must not end the lane. What isn't settled goes back to the head.
                    logger.exception("lane_failed lane=%s", self._name)
                    unsettled = [entry for entry in batch if entry in self._held]
                    self._queue.put_back(unsettled)
                    self._some.set()
                    await self._asker.pause_for(self._backoff_max_s)

    def _order(self, batch: Sequence[Entry]) -> contextlib.AbstractAsyncContextManager[object]:
        """Two batches with words whose order counts (`online` after `lost`, mains back after mains
        lost) are never under way together, and the lock is given in the order of asking."""
        if self._urgent or not any(entry.in_order for entry in batch):
            return contextlib.nullcontext()
        return self._one_by_one

    async def _room(self) -> None:
        """Wait while the broker has not confirmed the receipts of earlier batches: a server that
        is faster than the way to the terminals must not fill our outgoing queue until it drops."""
        if self._urgent or self.link.backlog <= MOST_BACKLOG:
            return  # a press goes to the server, whatever becomes of receipts
        self._making_room += 1
        # Its confirmations come in behind messages, so we have to read on.
        if self._paused:
            self._paused = False
            self.link.resume()
        end = time.monotonic() + ROOM_WITHIN_S
        try:
            while self.link.backlog > MOST_BACKLOG and time.monotonic() < end:
                if not self.link.subscribed.is_set() or self._stopping.is_set():
                    return
                await asyncio.sleep(0.002)
        finally:
            self._making_room -= 1

    async def _next_batch(self) -> list[Entry]:
        while True:
            await self._some.wait()
            if self._stopping.is_set():
                raise Stopping
            if self._batch_wait_s > 0 and not self._full.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._batch_wait_s):
                        await self._full.wait()
            batch = self._take()
            if batch:
                return batch

    def _take(self) -> list[Entry]:
        batch = self._queue.take(self._batch_max)
        weight = sum(entry.weight for entry in batch)
        while self._heartbeats and len(batch) < self._batch_max and weight < MAX_BATCH_BYTES:
            entry = self._heartbeats.pop(next(iter(self._heartbeats)))
            weight += entry.weight
            batch.append(entry)
        left = len(self._queue) + len(self._heartbeats)
        if not self._stopping.is_set():
            if not self._queue.ready and not self._heartbeats:
                self._some.clear()
            if left < self._batch_max:
                self._full.clear()
        return batch

    async def _deliver(self, batch: Sequence[Entry]) -> None:
        """Until every entry is settled."""
        answer = await self._asker.ask(batch)
        if isinstance(answer, Answered):
            await self._settle(batch, answer.results)
        else:
            await self._apart(batch, answer)

    async def _apart(self, batch: Sequence[Entry], answer: Refused | Failed) -> None:
        """Settle a batch that is refused, or on which the server breaks: halved, down to the one
        at fault."""
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._deliver(batch[:middle])
            await self._deliver(batch[middle:])
        elif isinstance(answer, Failed):
            self._lay_aside(batch[0])
        elif batch[0].kind != "rejects":
            say(logger, logging.ERROR, "server_refused_entry", lane=self._name, kind=batch[0].kind)
            self._counters.rejects += 1
            turn_into_reject(batch[0])
            await self._deliver(batch)
        else:
            # Even the bare report of it is refused. Holding on would block the lane for good.
            say(logger, logging.ERROR, "server_refused_reject", lane=self._name)
            self._counters.lost_rejects += 1
            await self._settle(batch, ())

    def _lay_aside(self, entry: Entry) -> None:
        """What the server can't take, though it takes others, waits by itself: no ack, no loss."""
        say(logger, logging.ERROR, "server_breaks_on_entry", lane=self._name, kind=entry.kind)
        self._counters.laid_aside += 1
        self._queue.done(entry)  # the terminal's others go on meanwhile
        self._go_on()

        def back() -> None:
            if entry in self._held and not self._stopping.is_set():
                self._queue.add(entry)
                self._some.set()

        wait_s = URGENT_ASIDE_S if self._urgent else ASIDE_S
        asyncio.get_running_loop().call_later(wait_s, back)

    def _go_on(self) -> None:
        """Something may be taken that had to wait its turn."""
        if self._queue.ready:
            self._some.set()

    async def _settle(self, batch: Sequence[Entry], results: tuple[Result, ...]) -> None:
        """Receipts and PUBACKs, a few at a time: the next batch is on its way to the server
        meanwhile."""
        nonce = secrets.token_hex(4)  # one a batch: the same event twice in it needs one receipt
        left = iter(results)
        for at in range(0, len(batch), AT_A_TIME):
            part = batch[at : at + AT_A_TIME]
            signals = [entry for entry in part if entry.kind == "signals"]
            self._settle_part(part, zip(signals, left, strict=False), nonce)
            await asyncio.sleep(0)
        self._go_on()
        if self._paused and len(self._held) <= self._hold_max // 2:
            self._paused = False
            self.link.resume()

    def _settle_part(
        self, part: Sequence[Entry], signals: Iterable[tuple[Entry, Result]], nonce: str
    ) -> None:
        """Receipts first, on the same connection, so that no ack can overtake them."""
        for entry, result in signals:
            if result == "quarantined":
                self._counters.quarantined += 1
                continue
            if result == "duplicate":
                self._counters.duplicates += 1
            body = entry.body
            topic, payload = make_receipt(body["t"], body["boot"], body["seq"], nonce)
            self.link.publish(topic, payload)
            self._counters.receipts += 1
        for entry in part:
            if entry.kind == "canaries":
                ref = entry.body["boot"], entry.body["seq"]
                self.link.publish(*make_canary_receipt(self._gateway_id, *ref))
        for entry in part:
            self.link.ack(entry.received)
            self._let_go(entry)

    def _let_go(self, entry: Entry) -> None:
        self._held.discard(entry)
        self._queue.done(entry)
        if self._orphans:
            key = (entry.received.topic, entry.received.payload)
            waiting = self._orphans.get(key, [])
            if entry in waiting:
                waiting.remove(entry)
                if not waiting:
                    del self._orphans[key]
