"""When the bell rings: once a second, and when the next step or deadline comes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update
from town import a_town

from server import jobs
from server import tables as t
from server.clock import Clock
from server.store import idle

RESIDENT, ALERT = t.table(t.Resident), t.table(t.Alert)
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)


def clock(speed: float = 1.0) -> Clock:
    """One that stands at noon."""
    return Clock(NOON.timestamp(), NOON.timestamp(), speed, source=NOON.timestamp)


@pytest.mark.parametrize(
    ("due_in_ms", "speed", "rings_in_ms"),
    [
        (400, 1.0, 402),
        (400, 4.0, 102),  # the clock gets there sooner
        (10, 1.0, 50),  # never faster than that
        (-300, 1.0, 50),  # what came while the last ring worked
        (1500, 1.0, None),  # the next ring is sooner
        (None, 1.0, None),
    ],
)
def test_the_bell_rings_when_something_is_due_before_its_second_is_over(
    due_in_ms: int | None, speed: float, rings_in_ms: int | None
) -> None:
    """A little after the instant, never before it."""
    due = None if due_in_ms is None else NOON + due_in_ms * MS
    at = jobs._sooner(due, NOON + timedelta(seconds=1), clock(speed))
    assert at == (None if rings_in_ms is None else NOON + rings_in_ms * MS)


class Rung:
    """In the place of the sweeper."""

    def __init__(self, next_at: datetime) -> None:
        self.next_at = next_at

    async def ring(self) -> None:
        """Nothing is done."""


async def test_the_scheduler_is_told() -> None:
    """After a ring, for the instant that it saw coming; a second later it rings as ever."""
    time = Clock()
    due = time.now() + timedelta(seconds=0.5)
    scheduler = jobs.start(Rung(due), time)  # type: ignore[arg-type]
    try:
        job = scheduler.get_job(jobs.BELL)
        await job.func()
        at = scheduler.get_job(jobs.BELL).next_run_time
        assert at == due + jobs.JUST_AFTER
        assert job.trigger.get_next_fire_time(at, at) == at + timedelta(seconds=jobs.EVERY_S)
    finally:
        scheduler.shutdown(wait=False)


async def test_what_comes_next_is_seen_in_the_rows(tmp_path: Path) -> None:
    """The earliest deadline of who is watched and the earliest step of a ladder. What is no instant
    hinders nothing."""
    async with a_town(tmp_path) as town:
        now = town.runtime.clock.now()

        async def looked() -> idle.Idle:
            return await town.runtime.database.read(lambda c: idle.look(c, now))

        first = select(func.min(RESIDENT.c.next_due_at)).where(text("resident.state = 'active'"))
        deadline = await town.runtime.database.read(lambda c: c.execute(first).scalar_one())
        seen = await looked()
        assert (seen.residents, seen.steps, seen.next_at) == (False, False, deadline)
        await town.press()
        step = select(func.min(ALERT.c.next_step_at))
        at = await town.runtime.database.read(lambda c: c.execute(step).scalar_one())
        assert now < at < deadline
        assert (await looked()).next_at == at
        if town.runtime.database.sqlite:  # which takes anything into a column
            await town.sql(lambda c: c.execute(text("UPDATE alert SET next_step_at = 'soon'")))
            assert (await looked()).next_at == deadline
        never = "UPDATE {} SET {} = 9000000000000000000"
        spoilt = never.format("alert", "next_step_at"), never.format("resident", "next_due_at")
        for statement in spoilt:
            await town.sql(lambda c, s=statement: c.execute(text(s)))
        assert (await looked()).next_at is None
        past = update(RESIDENT).values(next_due_at=now - MS).where(RESIDENT.c.id == 1)
        await town.sql(lambda c: c.execute(past))
        seen = await looked()
        assert (seen.residents, seen.next_at) == (True, None)
