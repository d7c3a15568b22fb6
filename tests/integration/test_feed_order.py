"""The live feed can't skip a late commit, and one server's commit wakes the others (PostgreSQL)."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import postgres
import pytest
from servers_kit import until
from sqlalchemy import create_engine, text
from town import MARCH_14, Hand, lay_out, settings_for

from server import app, feed
from server.clock import Clock
from server.database import Database, Tx
from server.feed import FeedEvent
from server.runtime import Runtime
from server.store import journal

pytestmark = pytest.mark.sqlite_only(reason="chosen below: only PostgreSQL can commit out of order")


@dataclass
class Two:
    """Two servers in one process, each with its own database connections."""

    one: Runtime
    two: Runtime

    def __iter__(self) -> object:
        return iter((self.one, self.two))


@pytest.fixture
async def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Two]:
    """Both run their feeds and wires. Nobody looks by himself: what arrives was rung for."""
    monkeypatch.setattr(feed, "LOOK_S", 60.0)
    with postgres.for_this_test():
        hand = Hand(MARCH_14)
        url, _ = lay_out(tmp_path, hand)
        clock = Clock(source=hand)
        runtimes = [app.build(settings_for(url, "http://x"), clock) for _ in range(2)]
        tasks = [
            asyncio.create_task(part)
            for r in runtimes
            for part in (r.database.listen(r.stop), r.feed.run())
        ]
        for r in runtimes:
            assert r.database.wire is not None
            await asyncio.wait_for(r.database.wire.listening.wait(), 20)
        yield Two(*runtimes)
        for r in runtimes:
            r.stop.set()
            r.database.bell.ring("feed")
        await asyncio.gather(*tasks)
        for r in runtimes:
            r.database.close()


async def entries(events: AsyncIterator[FeedEvent], enough: int) -> list[str]:
    """The names of the next `enough` entries on a stream."""
    found: list[str] = []
    async with asyncio.timeout(20):
        async for event in events:
            if event.kind == "change":
                found += [e["data"]["name"] for e in event.data["entries"]]
            if len(found) >= enough:
                break
    return found


def note(name: str) -> object:
    """A use-case that writes one entry."""
    return lambda tx: journal.note(tx, "test", name=name)


def note_now(tx: Tx, name: str) -> None:
    """Write an entry at once, not at the transaction's end."""
    journal.note(tx, "test", name=name)
    tx.finish()


class Held:
    """A transaction that has written an entry and stays open until it is told to end."""

    def __init__(self, database: Database, name: str) -> None:
        self.conn = database.writer.connect()
        self.conn.begin()
        note_now(Tx(self.conn, database.clock.now()), name)

    def commit(self) -> None:
        self.conn.commit()
        self.conn.close()

    def rollback(self) -> None:
        self.conn.rollback()
        self.conn.close()


async def test_a_lower_number_that_commits_later_is_not_skipped(two: Two) -> None:
    """One transaction holds number n open while n+1 commits. A client that resumes in between is
    given neither; once n is committed it gets both, in order. A snapshot taken in between sends
    its reader back to before n."""
    one, other = two
    start = await one.database.read(journal.settled)
    held = await asyncio.to_thread(Held, one.database, "early")
    await other.database.write(note("late"))
    assert await one.database.read(journal.settled) == start
    assert (await one.feed.snapshot())["seq"] == start
    assert await other.feed.entries(start, 100) == []
    stream = other.feed.events(start)
    assert (await anext(stream)).kind == "heartbeat"
    reading = asyncio.create_task(entries(stream, 2))
    held.commit()
    one.database.bell.ring("feed")
    other.database.bell.ring("feed")  # (a commit by hand rings nothing by itself)
    assert await reading == ["early", "late"]


async def test_an_undone_transaction_holds_nobody_up(two: Two) -> None:
    """A number that was drawn and never committed is passed over, as soon as that is certain."""
    one, other = two
    start = await one.database.read(journal.settled)
    held = await asyncio.to_thread(Held, one.database, "never")
    await other.database.write(note("stays"))
    held.rollback()
    assert [e["data"]["name"] for e in await one.feed.entries(start, 100)] == ["stays"]


async def test_a_savepoint_that_was_undone_leaves_the_lock_to_the_next_entry(two: Two) -> None:
    """The first entry of a transaction is rolled back to a savepoint, and its lock with it. The
    next entry takes a lock again, or it could be skipped."""
    one, other = two
    start = await one.database.read(journal.settled)
    conn = one.database.writer.connect()
    conn.begin()
    tx = Tx(conn, one.clock.now())
    inner = conn.begin_nested()
    note_now(tx, "undone")
    inner.rollback()
    note_now(tx, "kept")
    await other.database.write(note("late"))
    assert await other.feed.entries(start, 100) == []
    conn.commit()
    conn.close()
    names = [e["data"]["name"] for e in await other.feed.entries(start, 100)]
    assert names == ["kept", "late"]


async def test_many_writers_and_a_reader_that_never_goes_back(two: Two) -> None:
    """Eight threads write at once, some roll back. A reader that only ever asks for what is after
    the last number it saw has every committed entry, in order."""
    one, other = two
    cursor = await one.database.read(journal.settled)
    begun, seen, writing = cursor, [], True

    async def read() -> None:
        nonlocal cursor
        while True:
            done = not writing
            for entry in await other.feed.entries(cursor, 50):
                cursor = entry["seq"]
                seen.append(entry["data"]["name"])
            if done:
                return
            await asyncio.sleep(0)

    def write(thread: int) -> list[str]:
        kept = []
        for n in range(40):
            with one.database.writer.connect() as conn, conn.begin() as tx:
                name = f"{thread}-{n}"
                note_now(Tx(conn, one.clock.now()), name)
                time.sleep(0.001 * (thread % 4))
                if n % 7 == 3:
                    tx.rollback()
                else:
                    kept.append(name)
        return kept

    reading = asyncio.create_task(read())
    kept = await asyncio.gather(*(asyncio.to_thread(write, thread) for thread in range(8)))
    writing = False
    await reading
    assert sorted(seen) == sorted(name for names in kept for name in names)
    assert cursor > begun


@pytest.mark.parametrize("topic", ["outbox", "commands", "feed"])
async def test_a_commit_here_rings_the_bell_there(two: Two, topic: str) -> None:
    """What one server wakes, it wakes in the other; nobody there was looking."""
    one, other = two
    with other.database.bell.listening(topic) as rung:  # type: ignore[arg-type]
        rung.clear()
        await one.database.write(lambda tx: tx.wake(topic))  # type: ignore[arg-type]
        await asyncio.wait_for(rung.wait(), 10)


async def test_a_stream_there_shows_what_was_committed_here(two: Two) -> None:
    """A wall on the other server: the entry is on its stream, though its feed never looks."""
    one, other = two
    stream = other.feed.events(None)
    assert (await anext(stream)).kind == "heartbeat"
    reading = asyncio.create_task(entries(stream, 1))
    await asyncio.sleep(0)
    await one.database.write(note("here"))
    assert await reading == ["here"]


async def test_a_broken_wire_is_made_anew(two: Two) -> None:
    """The listening connection is cut. It comes back, whatever may have been missed is looked up,
    and the next word is heard again."""
    one, other = two
    wire = other.database.wire
    assert wire is not None
    engine = create_engine(one.settings.database_url)
    with other.database.bell.listening("outbox") as rung, engine.connect() as conn:
        rung.clear()
        conn.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
        )
        await asyncio.wait_for(rung.wait(), 15)
        await until("it listens again", wire.listening.is_set, 15)
        rung.clear()
        await asyncio.sleep(0)
        async with asyncio.timeout(15):
            while not rung.is_set():
                await one.database.write(lambda tx: tx.wake("outbox"))
                await asyncio.sleep(0.2)
    engine.dispose()
