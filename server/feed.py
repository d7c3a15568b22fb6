"""The live feed: one broadcaster a process reads the journal once and serves every listener.

It is woken by commits, here and at other servers, and looks once a second by itself. A listener
that is too slow is told to load the snapshot again; nobody is ever shown a gap as if it were calm.
Nothing is read past the number up to which the journal is settled: on PostgreSQL a lower number may
be committed later, and a client that has seen the higher one would never ask for it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from server import alert_detail, views
from server.core.access import EVERYWHERE, Scope
from server.database import Database
from server.store import handovers, journal
from server.tables import to_ms

log = logging.getLogger(__name__)
HEARTBEAT_S = 5.0
LOOK_S = 1.0
PAUSE_S = 0.03
"""Least time between two pushes: a storm of check-ins becomes a few frames, not thousands."""
MOST_BEHIND = 2000
LOT = 500
QUEUE = 64


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One server-sent event."""

    kind: Literal["change", "heartbeat", "reset"]
    data: dict[str, Any]
    seq: int | None = None


async def _always() -> bool:
    return True


@dataclass(slots=True, eq=False)
class Listener:
    """One open stream."""

    queue: "asyncio.Queue[FeedEvent]" = field(
        default_factory=lambda: asyncio.Queue(maxsize=QUEUE)
    )
    lost: bool = False
    scope: Scope = EVERYWHERE

    def give(self, event: FeedEvent) -> None:
        """Queue an event, or note that this listener must start over."""
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.lost = True


@contextlib.contextmanager
def _also_at(event: asyncio.Event, rung: asyncio.Event) -> Iterator[None]:
    """Sets `rung` when `event` is set, so that one wait sees both."""
    waits = asyncio.ensure_future(event.wait())
    waits.add_done_callback(lambda _: rung.set())
    try:
        yield
    finally:
        waits.cancel()


class Broadcaster:
    """Reads changes from the journal and hands them to all listeners."""

    def __init__(self, database: Database, stop: asyncio.Event) -> None:
        self._database = database
        self._stop = stop
        self._listeners: set[Listener] = set()
        self._seq = 0

    @property
    def listening(self) -> int:
        """Open streams."""
        return len(self._listeners)

    async def run(self) -> None:
        """Broadcast until the stop event; must be running before anybody subscribes."""
        self._seq = await self._database.read(journal.settled)
        loop = asyncio.get_running_loop()
        next_heartbeat = loop.time() + HEARTBEAT_S
        with self._database.bell.listening("feed") as rung, _also_at(self._stop, rung):
            while not self._stop.is_set():
                rung.clear()
                try:
                    while self._listeners and await self._push():
                        await asyncio.sleep(PAUSE_S)
                    if not self._listeners:
                        self._seq = await self._database.read(journal.settled)
                    if loop.time() >= next_heartbeat:
                        next_heartbeat = loop.time() + HEARTBEAT_S
                        for scope in {listener.scope for listener in self._listeners}:
                            self._give(await self.heartbeat(scope), scope)
                except Exception:
                    log.exception("the feed could not be read; trying again")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(rung.wait(), LOOK_S)

    async def _push(self) -> bool:
        found = await self._changes(self._seq, {listener.scope for listener in self._listeners})
        changes = {scope: change for scope, change in found.items() if change is not None}
        if not changes:
            return False
        self._seq = max(change["seq"] for change in changes.values())
        for scope, change in changes.items():
            if change["entries"]:
                self._give(FeedEvent("change", change, change["seq"]), scope)
        return True

    async def _changes(
        self, after: int, scopes: Collection[Scope]
    ) -> dict[Scope, dict[str, Any] | None]:
        """What changed, as it is told to those who answer for each of these scopes."""
        now = self._database.clock.now()
        return await self._database.read_after(
            journal.settled,
            lambda c, upto: {s: views.changes(c, now, after, LOT, upto, s) for s in scopes},
        )

    async def snapshot(self, scope: Scope = EVERYWHERE) -> dict[str, Any]:
        """The whole picture of these houses, with the number after which `events` goes on."""
        clock = self._database.clock
        now = clock.now()
        return await self._database.read_after(
            journal.settled, lambda c, seq: views.snapshot(c, now, clock.speed, seq, scope)
        )

    async def alert(
        self, alert_id: int, *, numbers: bool, scope: Scope = EVERYWHERE
    ) -> dict[str, Any] | None:
        """Everything about one alert, with the number after which `events` goes on; None when
        there is no such alert. `numbers`: with whole telephone numbers; `scope`: as those who
        answer for these houses read it."""
        now = self._database.clock.now()
        return await self._database.read_after(
            journal.settled,
            lambda c, seq: alert_detail.detail(
                c, alert_id, now, seq, numbers=numbers, scope=scope
            ),
        )

    async def entries(self, after: int, limit: int) -> list[dict[str, Any]]:
        """The journal's entries after a number: `after` = the last one seen skips nothing."""
        rows = await self._database.read_after(
            journal.settled, lambda c, upto: journal.after(c, after, limit, upto)
        )
        return [views.entry(row) for row in rows]

    def _give(self, event: FeedEvent, scope: Scope) -> None:
        for listener in self._listeners:
            if listener.scope == scope:
                listener.give(event)

    async def heartbeat(self, scope: Scope = EVERYWHERE) -> FeedEvent:
        """We live; what time it is; how long ago the terminals' side was last heard, by a
        gateway's word and by a canary's way through the whole chain; when the shift began."""
        clock = self._database.clock
        now = clock.now()
        lag_ms, alarms, sight, handed_over = await self._database.read(
            lambda c: (
                views.ingest_lag_ms(c, now), views.alarms_10min(c, now, scope),
                views.sight(c, now, clock.speed), handovers.newest_at(c, scope),
            )
        )  # fmt: skip
        return FeedEvent(
            "heartbeat",
            {
                "now_ms": to_ms(now),
                "speed": clock.speed,
                "seq": self._seq,
                "alarms_10min": alarms,
                "handed_over_ms": None if handed_over is None else to_ms(handed_over),
                "ingest_lag_ms": None if lag_ms is None else int(lag_ms / clock.speed),
                **sight,
            },
        )

    @contextlib.contextmanager
    def _subscribed(self, scope: Scope) -> Iterator[Listener]:
        listener = Listener(scope=scope)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def events(
        self, after: int | None, scope: Scope = EVERYWHERE,
        still_in: Callable[[], Awaitable[bool]] = _always,
    ) -> AsyncIterator[FeedEvent]:  # fmt: skip
        """Everything after journal number `after` in the houses of `scope`, then what comes, until
        the server stops, or until `still_in`, asked at each heartbeat, says no.

        Subscribes first and catches up second, so that nothing falls between the two.
        """
        with self._subscribed(scope) as listener:
            sent = await self._database.read(journal.settled) if after is None else after
            yield await self.heartbeat(scope)
            last = await self._database.read(journal.settled)
            if last - sent > MOST_BEHIND or sent > last:
                yield FeedEvent("reset", {})
                sent = last
            while sent < last:
                change = (await self._changes(sent, {scope}))[scope]
                if change is None:
                    break
                sent = change["seq"]
                if change["entries"]:
                    yield FeedEvent("change", change, sent)
            while not self._stop.is_set():
                if listener.lost:
                    yield FeedEvent("reset", {})
                    return
                event = await self._next(listener)
                if event is None or (event.seq is not None and event.seq <= sent):
                    continue
                if event.kind == "heartbeat" and not await still_in():
                    return
                yield event

    async def _next(self, listener: Listener) -> FeedEvent | None:
        """The next event; None now and then, so that a stop is noticed while all is calm."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(listener.queue.get(), 0.25)
        return None
