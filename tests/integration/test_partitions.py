"""Events in partitions (PostgreSQL): a copy is known in whichever its original stands, whatever
goes on beside it; nothing is refused; what is past its time goes as a whole."""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import postgres
import pytest
from servers_kit import a_cell
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from town import GRANNY, HEAD, MARCH_14, Town, a_town

from server import as_is, migrate, moving, partitioning, retention
from server.clock import Clock
from server.core.words import SignalType
from server.database import Database, Tx
from server.service.ingest import Batch, SignalIn
from server.service.ingest import ingest as take_in
from server.store import events, partitions

pytestmark = pytest.mark.sqlite_only("it opens PostgreSQL by itself")
DAY_S = 86_400
BLOCK = partitions.BLOCK


@pytest.fixture(autouse=True)
def on_postgres() -> Iterator[None]:
    """SQLite has no partitions."""
    with postgres.for_this_test():
        yield


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A town on PostgreSQL."""
    async with a_town(tmp_path) as running:
        yield running


def asked(url: str, query: str) -> list[tuple[Any, ...]]:
    """What the database says."""
    engine = create_engine(url)
    try:
        with engine.begin() as conn:
            done = conn.execute(text(query))
            return [tuple(row) for row in done] if done.returns_rows else []
    finally:
        engine.dispose()


def where(url: str) -> dict[str, int]:
    """Partition -> how many events stand in it."""
    rows = asked(url, "SELECT tableoid::regclass::text, count(*) FROM signal GROUP BY 1 ORDER BY 1")
    return {str(name): int(count) for name, count in rows}


def there(url: str) -> list[partitions.Partition]:
    """The partitions there are."""
    engine = create_engine(url)
    try:
        with engine.connect() as conn:
            return partitions.there(conn)
    finally:
        engine.dispose()


def url_of(town: Town) -> str:
    """The town's database."""
    return str(town.runtime.settings.database_url)


async def go_on(town: Town) -> None:
    """The next event stands in the next partition."""
    assert await partitioning.begin_next(town.runtime.database, full=1)


async def test_a_copy_is_known_in_whatever_partition_the_event_stands(town: Town) -> None:
    """The same press again after the partition was changed twice: no new alert, no second SMS. An
    earlier event that comes late is none of the copies and counts."""
    first = town.event("sos")
    assert await town.signals(first) == ["stored"]
    await town.expect_sms(HEAD, "求助")
    await town.settled()
    messages = asked(url_of(town), "SELECT count(*) FROM message")
    await go_on(town)
    later = town.event("checkin", boot=1, seq=40)
    assert await town.signals(first, later) == ["duplicate", "stored"]
    await go_on(town)
    between = town.event("checkin", boot=1, seq=20)
    assert await town.signals(later, between, first) == ["duplicate", "stored", "duplicate"]
    assert await town.signals(between) == ["duplicate"]
    assert where(url_of(town)) == {"signal_0": 1, "signal_1": 1, "signal_2": 1}
    assert (await town.sos())["presses"] == 1
    await town.settled()
    assert asked(url_of(town), "SELECT count(*) FROM message") == messages


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_each_event_counts_once_whatever_comes_when(town: Town, seed: int) -> None:
    """Copies, late ones, terminals set up anew, in batches by chance, while partitions change: what
    is stored and what is called a copy is just what a set would say."""
    rng = random.Random(seed)
    rows = asked(url_of(town), "SELECT id FROM terminal WHERE resident_id IS NOT NULL ORDER BY id")
    terminals = [row[0] for row in rows[:4]]
    known: set[tuple[str, int, int]] = set()
    for _ in range(60):
        if rng.random() < 0.2:
            await partitioning.begin_next(town.runtime.database, full=1)
        batch, expected = [], []
        for _ in range(rng.randint(1, 8)):
            identity = (rng.choice(terminals), rng.choice([0, 1, 1, 7]), rng.randint(0, 30))
            kind = rng.choice(["checkin", "checkin", "mains_lost", "mains_restored"])
            batch.append({"t": identity[0], "type": kind, "boot": identity[1], "seq": identity[2]})
            expected.append("duplicate" if identity in known else "stored")
            known.add(identity)
        assert await town.signals(*batch) == expected
    found = asked(url_of(town), "SELECT terminal_id, boot, seq FROM signal")
    assert sorted(found) == sorted(known)
    assert len(where(url_of(town))) > 3
    newest = {
        terminal: max(events.place(boot, seq) for t_, boot, seq in known if t_ == terminal)
        for terminal in terminals
    }
    kept = asked(url_of(town), "SELECT id, newest_event FROM terminal WHERE newest_event > 0")
    assert dict(kept) == newest


async def test_nobody_goes_over_while_an_event_is_being_stored(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One server is about to commit a press, its copy comes in at another, and the partition is to
    be changed between the two: it is not, and the copy is known."""
    db = town.runtime.database
    house, spare = town.runtime.house, "gd-spare-1"
    asked(url_of(town), "INSERT INTO terminal (id, state, simulated, status, boot, firmware,"
          f" heartbeat_s, key_v, via) VALUES ('{spare}', 'active', false, 'unknown', 0, '', 900,"
          " 0, '')")  # fmt: skip
    event = SignalIn(spare, SignalType.CHECKIN, 1, 1)
    await db.write(lambda tx: partitions.make(tx.conn, 1))  # only to go over is left
    stored, commit = threading.Event(), threading.Event()

    def slowly(tx: Tx) -> str:
        (receipt,) = take_in(tx, house, Batch("gw-1", [event]))
        stored.set()
        assert commit.wait(20)
        return receipt.result

    def copy(tx: Tx) -> str:
        return take_in(tx, house, Batch("gw-2", [event]))[0].result

    loop = asyncio.get_running_loop()
    slow = loop.run_in_executor(None, lambda: db.transact(slowly)[0])
    await loop.run_in_executor(None, stored.wait, 20)
    try:
        assert await db.read(db.alive) == {db.me}, "no lock of ours is taken for another server"
        with monkeypatch.context() as m:
            m.setattr(partitioning, "TRIES", 2)
            m.setattr(partitioning, "REST_S", 0.0)
            with pytest.raises(OperationalError, match="lock timeout"):
                await partitioning.begin_next(db, full=0)
        again = loop.run_in_executor(None, lambda: db.transact(copy)[0])
    finally:
        commit.set()
    assert (await slow, await again) == ("stored", "duplicate")
    assert await partitioning.begin_next(db, full=1)
    assert db.transact(copy)[0] == "duplicate"
    assert where(url_of(town)) == {"signal_0": 1}


async def test_two_servers_keep_the_partitions_at_the_same_hour(town: Town) -> None:
    """Both see that one is full, and that one is past: it is done once, and neither fails."""
    url = url_of(town)
    with contextlib.closing(Database(url, Clock(source=town.hand))) as second:
        servers = [town.runtime.database, second] * 2
        await town.press("checkin")
        await asyncio.gather(*(partitioning.begin_next(db, full=1) for db in servers))
        assert [p.number for p in there(url)] == [0, 1]
        await town.press("checkin")
        past = town.runtime.clock.now() + timedelta(days=1)
        await asyncio.gather(*(partitioning.drop_past(db, past) for db in servers))
        assert [p.number for p in there(url)] == [1]
        assert where(url) == {"signal_1": 1}


async def test_an_id_given_twice_is_no_copy(town: Town) -> None:
    """Somebody has set the numbers back: what the database then refuses is no event we have, and
    must not be receipted as one."""
    await town.press("checkin")
    asked(url_of(town), "SELECT setval('signal_id_seq', 1, false)")
    body = {"gateway": "gw-1", "signals": [town.event("sos")]}
    answer = await town.gateway.post("/api/v1/signals", json=body)
    assert answer.status_code >= 500
    assert "receipts" not in answer.text
    assert await town.signals(*body["signals"]) == ["stored"], "the number was used up"


async def test_an_event_has_a_place_where_no_partition_was_made(town: Town) -> None:
    """The job has failed for a year: events go on, copies are known, and when the job works again
    it goes on behind them. The check-up finds nothing wrong."""
    url = url_of(town)
    asked(url, f"SELECT setval('signal_id_seq', {5 * BLOCK + 3})")
    event = town.event("checkin")
    assert await town.signals(event) == ["stored"]
    assert where(url) == {partitions.DEFAULT: 1}
    assert await partitioning.begin_next(town.runtime.database)
    assert await town.signals(event, town.event("checkin")) == ["duplicate", "stored"]
    assert where(url) == {partitions.DEFAULT: 1, "signal_6": 1}
    assert moving.check(url)[1] == []


async def test_past_events_go_as_a_whole(town: Town) -> None:
    """Of four partitions: the one whose events are all past goes, the one that soon will be is not
    emptied in chunks before, and the present one stays even when all in it is past."""
    url = url_of(town)
    kept_s = town.runtime.settings.keep_signals_days * DAY_S
    job = retention.Retention(town.runtime.database, town.runtime.settings)
    stop = asyncio.Event()
    begun_s = town.hand.at_s
    for day, last in ((0, True), (2, False), (12, True), (70, True)):
        town.hand.at_s = begun_s + day * DAY_S
        assert await town.signals(town.event("checkin")) == ["stored"]
        if last:
            await go_on(town)
    assert where(url) == {"signal_0": 1, "signal_1": 2, "signal_2": 1}
    town.hand.at_s = begun_s + kept_s + 5 * DAY_S
    gone = await job.clear(stop)
    assert gone["partitions of events"] == 1
    assert "signal" not in gone, "the event of the second day goes with that of the twelfth"
    assert where(url) == {"signal_1": 2, "signal_2": 1}
    town.hand.at_s += 300 * DAY_S
    assert (await job.clear(stop))["partitions of events"] == 2
    assert await town.signals(town.event("checkin")) == ["stored"]
    town.hand.at_s += 2 * kept_s
    assert (await job.clear(stop))["signal"] == 1, "in chunks: it is the one in use"
    assert {p.number for p in there(url)} == {3}
    assert migrate.drift(url) == []


async def test_a_long_partition_is_emptied_in_chunks(town: Town) -> None:
    """A small town's holds years: what is past in it does not wait until all is."""
    url = url_of(town)
    kept_s = town.runtime.settings.keep_signals_days * DAY_S
    await town.press("checkin")
    town.hand.at_s += 200 * DAY_S
    await town.press("checkin")
    await go_on(town)
    town.hand.at_s += kept_s - 100 * DAY_S
    job = retention.Retention(town.runtime.database, town.runtime.settings)
    assert (await job.clear(asyncio.Event()))["signal"] == 1
    assert where(url) == {"signal_0": 1}


async def test_a_press_does_not_wait_for_a_partition_to_go(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A report reads the events for long, so the partition can't be dropped: presses wait for that
    no longer than a tenth of a second, and everything else that is past is cleared."""
    url = url_of(town)
    await town.press("checkin")
    await go_on(town)
    town.hand.at_s += 2 * town.runtime.settings.keep_signals_days * DAY_S
    monkeypatch.setattr(partitioning, "REST_S", 0.01)
    engine = create_engine(url)
    with engine.connect() as report:
        report.execute(text("SELECT count(*) FROM signal"))
        job = retention.Retention(town.runtime.database, town.runtime.settings)
        clearing = asyncio.create_task(job.clear(asyncio.Event()))
        pressed, begun = 0, time.monotonic()
        while not clearing.done():
            assert await town.signals(town.event("checkin")) == ["stored"]
            pressed += 1
        assert pressed >= partitioning.TRIES / 2, f"in {time.monotonic() - begun:.1f} s"
        gone = await clearing
    engine.dispose()
    assert gone["signal"] == 1, "in chunks"
    assert "tomorrow again" in caplog.text
    assert await job.clear(asyncio.Event()) == {"partitions of events": 1}


async def test_a_partition_without_its_index_is_found(town: Town) -> None:
    """The check-up says where a copy would count anew."""
    url = url_of(town)
    await town.press("checkin")
    await go_on(town)
    assert moving.check(url)[1] == []
    asked(url, "ALTER TABLE signal_1 DROP CONSTRAINT signal_1_terminal_id_boot_seq_key")
    (wrong,) = moving.check(url)[1]
    assert "signal_1 lacks UNIQUE (terminal_id, boot, seq)" in wrong


async def test_partitions_move_and_come_back_from_a_backup(tmp_path: Path) -> None:
    """Copied to SQLite, to another PostgreSQL and back from a backup of rows: each event once, in
    the partition of its number, and copies are known."""
    async with a_town(tmp_path) as town:
        url = url_of(town)
        event = town.event("checkin")
        assert await town.signals(event) == ["stored"]
        await go_on(town)
        await town.press()
        await town.settled()
    before = moving.sums(url)
    file, other = f"sqlite:///{tmp_path / 'moved' / 'xunlou.db'}", postgres.new_url()
    assert moving.copy(url, file, lambda _line: None) == before
    assert moving.copy(file, other, lambda _line: None) == before
    assert where(other) == where(url) == {"signal_0": 1, "signal_1": 1}
    kept = f"sqlite:///{tmp_path / 'kept.db'}"
    as_is.snapshot(url, kept)
    engine = create_engine(other)
    with engine.begin() as conn:
        as_is.replace(kept, conn)
    engine.dispose()
    assert moving.sums(other) == before
    assert moving.check(other)[1] == []
    assert where(other) == {"signal_0": 1, "signal_1": 1}
    db = Database(other, Clock())
    try:
        async with a_town(tmp_path, MARCH_14) as town:
            again = SignalIn(GRANNY, SignalType.CHECKIN, event["boot"], event["seq"])
            copied = db.transact(lambda tx: take_in(tx, town.runtime.house, Batch("g", [again])))
        assert [r.result for r in copied[0]] == ["duplicate"]
    finally:
        db.close()


async def test_the_table_becomes_the_first_partition_and_back(tmp_path: Path) -> None:
    """Migrated with ids that are high: nothing is copied on the way up; on the way down the
    partitions become one table, with each event once."""
    async with a_town(tmp_path) as town:
        url = url_of(town)
        await town.press("checkin")
        await go_on(town)
        await town.press()
        await go_on(town)
        await town.settled()
    before = moving.sums(url)["signal"]
    migrate.downgrade(url, "0025")
    assert asked(url, "SELECT count(*) FROM pg_class WHERE relispartition") == [(0,)]
    node = "SELECT pg_relation_filenode('{}')"
    whole = asked(url, node.format("signal"))
    migrate.upgrade(url)
    assert asked(url, node.format("signal_2")) == whole, "the same file"
    assert where(url) == {"signal_2": 2}
    assert (moving.sums(url)["signal"], moving.check(url)[1]) == (before, [])
    (newest,) = asked(url, f"SELECT newest_event FROM terminal WHERE id = '{GRANNY}'")
    assert newest == (events.place(1, 2),)
    async with a_town(tmp_path) as town:
        town.seq = 1
        assert await town.signals(town.event("sos"), town.event("sos")) == ["duplicate", "stored"]
        await go_on(town)
        await town.press("checkin")
        assert where(url) == {"signal_2": 3, "signal_3": 1}


async def test_two_servers_and_two_gateways_while_partitions_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same check-ins at both servers at once, again and again, while the partition changes:
    each is stored at one of them and known at the other."""
    monkeypatch.setattr(partitioning, "REST_S", 0.01)  # many changes in little time
    monkeypatch.setattr(partitioning, "TRIES", 1000)
    async with a_cell(tmp_path, buildings=3) as cell:
        one, two = cell.servers
        terminals = cell.terminals()[:20]
        done = asyncio.Event()

        async def changing() -> int:
            changed = 0
            with contextlib.closing(Database(cell.database_url, Clock())) as db:
                while not done.is_set():
                    changed += await partitioning.begin_next(db, full=1)
            return changed

        task = asyncio.create_task(changing())
        for seq in range(1, 31):
            both = await asyncio.gather(
                one.press(*terminals, seq=seq, kind="checkin"),
                two.press(*reversed(terminals), seq=seq, kind="checkin"),
            )
            found = zip(both[0], reversed(both[1]), strict=True)
            assert {tuple(sorted(pair)) for pair in found} == {("duplicate", "stored")}
        done.set()
        assert await task > 3
        ((rows, distinct),) = cell.sql(
            "SELECT count(*), count(DISTINCT (terminal_id, boot, seq)) FROM signal"
        )
        assert rows == distinct == 30 * len(terminals)
        assert len(cell.sql("SELECT DISTINCT tableoid FROM signal")) > 3
