"""The bell. APScheduler rings; what is due is in the database, so a lost ring loses nothing."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from server import metrics
from server.clock import Clock
from server.database import Database
from server.service import sweep
from server.service.house import House

log = logging.getLogger(__name__)
EVERY_S = 1.0
LEAST_S = 0.05
JUST_AFTER = timedelta(milliseconds=2)
"""A timer may come a little early, and would find nothing due."""
BELL = "bell"
JUMP = timedelta(seconds=60)
"""A clock that gains or loses so much between two rings has been set, not run."""
MOST_CHUNKS = 500
"""Bounds one ring's work: the rest is taken at the next ring, a second later."""
CHUNKS_IN_A_ROW, LONG_ONES = 10, 3
"""Of a judgement, before ladders that have become due meanwhile are climbed."""


STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's monotonic clock stands still while the machine is suspended: a laptop that slept over a
round would take its waking for a clock set forward, and judge nobody. This one counts the sleep."""


def steady_s() -> float:
    """Seconds that never jump and count every pause."""
    return time.clock_gettime(STEADY)


class Sweeper:
    """Asks at each ring what is due. A work that fails stops none of the others."""

    def __init__(
        self, database: Database, house: House, monotonic: Callable[[], float] = steady_s
    ) -> None:
        """`monotonic`: seconds that never jump, against which the clock is held."""
        self._database = database
        self._house = house
        self._monotonic = monotonic
        self._last_ring: tuple[datetime, float] | None = None
        self._running = asyncio.Lock()

    @property
    def next_at(self) -> datetime | None:
        """When the next step of a ladder or deadline of a round comes, by the clock."""
        return self._house.ring.next_at

    async def ring(self) -> None:
        """Do all that is due now, chunk by chunk."""
        if self._running.locked():
            return
        async with self._running:
            house = self._house
            try:
                ahead = self._clock_ran_ahead(self._database.clock.now())
                if ahead is not None and ahead > timedelta(0):
                    await self._database.write(lambda tx: sweep.clock_jumped(tx, house, ahead))
                elif ahead is not None and self._database.sqlite:
                    # With several servers this clock alone proves nothing: the others go on.
                    await self._database.write(lambda tx: sweep.clock_set_back(tx, house, -ahead))
                due = await self._what_is_due()
            except Exception:
                # Whatever it is that can't be asked: whoever pressed is waiting for the next step.
                log.exception("could not tell what is due; the ladders climb, nobody is judged")
                await self._always({work.__name__ for work in sweep.ALWAYS})
                return
            await self._always(due)
            try:
                judged = [w for w in sweep.WITH_SIGHT if w.__name__ in due]
                if not judged and sweep.blind.__name__ not in due:
                    return
                if await self._database.write(lambda tx: sweep.blind(tx, house)):
                    return
            except Exception:
                log.exception("could not tell whether we see; nobody is judged now")
                return
            for work in judged:
                await self._all_of(work, between=self._meanwhile)

    async def _what_is_due(self) -> Collection[str]:
        house, clock = self._house, self._database.clock
        now, real = clock.now(), timedelta(seconds=1) * clock.speed
        return await self._database.read(lambda c: sweep.what_is_due(c, now, real, house))

    async def _meanwhile(self) -> None:
        """What must not wait for the end of a city's round: somebody calls for help in it."""
        await self._always(await self._what_is_due())

    async def _always(self, due: Collection[str]) -> None:
        for work in sweep.ALWAYS:
            if work.__name__ in due:
                await self._all_of(work)

    def _clock_ran_ahead(self, now: datetime) -> timedelta | None:
        """By how much the clock has jumped since the last ring (negative: back), or None."""
        passed_s = self._monotonic()
        before, self._last_ring = self._last_ring, (now, passed_s)
        if before is None:
            return None
        speed = self._database.clock.speed
        ahead = (now - before[0]) - timedelta(seconds=passed_s - before[1]) * speed
        return ahead if abs(ahead) > JUMP * speed else None

    async def _all_of(
        self, work: sweep.Work, between: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Chunk by chunk; `between`: done after every few of them."""
        house = self._house
        try:
            for chunk in range(1, sweep.AT_ONCE.get(work, MOST_CHUNKS) + 1):
                done = await self._database.write(lambda tx: sweep.alone(tx, house, work))
                if not done:
                    return
                metrics.SWEPT.labels(work.__name__).inc(done)
                in_a_row = LONG_ONES if house.ring.long else CHUNKS_IN_A_ROW
                if between is not None and chunk % in_a_row == 0:
                    await between()
        except Exception:
            log.exception("%s failed; trying again at the next ring", work.__name__)
        finally:
            if between is not None and house.ring.long:
                house.ring.long = False
                self._database.bell.ring("outbox")


def start(sweeper: Sweeper, clock: Clock) -> AsyncIOScheduler:
    """Ring once a second of the clock's time (never faster than 20 times a real second), also when
    a tester changes its speed; and when the next step or deadline comes, if that is sooner."""
    scheduler = AsyncIOScheduler()
    speed = clock.speed
    timed = metrics.timed(sweeper.ring)

    async def ring() -> None:
        nonlocal speed
        await timed()
        if clock.speed != speed:
            speed = clock.speed
            scheduler.reschedule_job(BELL, trigger="interval", seconds=_every_s(speed))
        sooner = _sooner(sweeper.next_at, scheduler.get_job(BELL).next_run_time, clock)
        if sooner is not None:
            scheduler.modify_job(BELL, next_run_time=sooner)

    scheduler.add_job(
        ring,
        "interval",
        id=BELL,
        seconds=_every_s(speed),
        coalesce=True,
        max_instances=1,
        # The default of 1 s drops rings after a stall, just when most is due.
        misfire_grace_time=int(timedelta(hours=1).total_seconds()),
    )
    scheduler.start()
    return scheduler


def _every_s(speed: float) -> float:
    """Real seconds between two rings."""
    return max(LEAST_S, EVERY_S / speed)


def _sooner(due_at: datetime | None, next_ring: datetime, clock: Clock) -> datetime | None:
    """When to ring for what is due at `due_at`, if that is before the next ring (real time)."""
    if due_at is None:
        return None
    least = clock.real_at(clock.now()) + timedelta(seconds=LEAST_S)
    at = max(least, clock.real_at(due_at) + JUST_AFTER)
    return at if at < next_ring else None
