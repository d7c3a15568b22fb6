"""The watchman is watched: stuck work is repaired, or people hear of it past the outbox."""

import asyncio
import itertools
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, update

from server import tables as t
from server.app import lines_of
from server.auditor import EVERY_S, NAMED, SEGMENT, Auditor, words
from server.jobs import Sweeper
from server.runtime import WriteProbe
from server.store import rosters
from tests.town import HEAD, SECOND, Town, a_town, bound, serving

DUTY = tuple(f"+861000000010{n}" for n in range(1, 7))
"""The care centre's telephones: early, late and night shift, two each."""
EARLY, OTHERS = DUTY[:2], DUTY[2:]


async def nobody_rings() -> None:
    """A sweep that is dead."""


def auditor(town: Town, ring: object = nobody_rings, **more: object) -> Auditor:
    """An auditor of this town with its real lines."""
    runtime = town.runtime
    lines = lines_of(runtime.settings)
    return Auditor(runtime.database, runtime.house, lines, ring, **more)  # type: ignore[arg-type]


async def test_all_is_well_while_nothing_is_overdue(tmp_path: Path) -> None:
    """A step that is not yet due, or due a moment ago, worries nobody."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.settled()
        for seconds in (50, 50, 50, 20):  # due at 120 s: overdue by 50, under a minute
            town.hand.at_s += seconds
            await town.gateway_lives()
        verdict = await auditor(town).audit()
        assert (verdict.stuck, verdict.well) == ((), True)


async def test_a_dead_sweep_is_told_to_those_on_shift_past_the_outbox(tmp_path: Path) -> None:
    """A step a minute overdue that the bell does not mend: a fault on the wall, one SMS to each
    who has the shift and none to a sleeper, none again for ten minutes. When nobody of the shift
    can be told, everybody of the duty is."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.expect_sms(HEAD, "求助")
        await town.expect_sms(SECOND, "SOS")
        watch = auditor(town)
        town.hand.at_s += 181
        assert (await watch.audit()).stuck == ("steps",)
        for phone in EARLY:
            await town.expect_sms(phone, "求助", "卡住")
        await town.no_more_sms()
        assert await town.faults() == ["stuck"]
        town.hand.at_s += 300
        await watch.audit()
        await town.no_more_sms()
        town.hand.at_s += 301
        await watch.audit()
        for phone in EARLY:
            await town.expect_sms(phone, "求助")
        await town.sql(leave)
        town.hand.at_s += 601
        await watch.audit()
        for phone in OTHERS:
            await town.expect_sms(phone, "求助")
        await town.no_more_sms()


def leave(conn: Connection) -> None:
    """The whole early shift sends STOP."""
    person = t.table(t.Person)
    statement = update(person).where(person.c.phone.in_(EARLY))
    conn.execute(statement.values(opted_out_at=datetime(2026, 3, 14, tzinfo=UTC)))


async def test_a_lost_ring_is_rung_again(tmp_path: Path) -> None:
    """The auditor's own ring takes the overdue step; no duty phone is bothered, no fault stays."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.forget_sms()
        for seconds in (0, 50, 50, 50, 31):
            town.hand.at_s += seconds
            await town.gateway_lives()
        sweeper = Sweeper(town.runtime.database, town.runtime.house)
        verdict = await auditor(town, sweeper.ring).audit()
        assert (verdict.repaired, verdict.well) == (True, True)
        await town.expect_sms(HEAD, "求助")
        assert await town.faults() == []
        assert await town.phone(DUTY[0]) == []


async def test_what_was_stuck_and_moves_again_is_closed_as_restored(tmp_path: Path) -> None:
    """The fault goes when the work is done."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.settled()
        town.hand.at_s += 181
        await auditor(town).audit()
        assert await town.faults() == ["stuck"]
        await town.gateway_lives()
        await town.ring()
        assert not (await auditor(town).audit()).well, "we were blind; the queue is coming in"
        assert await town.faults() == []
        await town.move(16)
        assert (await auditor(town).audit()).well


async def test_an_auditor_that_can_not_look_says_so(tmp_path: Path) -> None:
    """With the database out of reach those who were on shift are texted; after half an hour
    nobody knows whose shift it is, so everybody of the duty is."""
    async with a_town(tmp_path) as town:
        watch = auditor(town)
        await watch.audit()

        async def broken(_query: object) -> None:
            raise OSError("disk gone")

        watch.database.read = broken  # type: ignore[method-assign,assignment]
        try:
            assert (await watch.audit()).stuck == ("audit",)
            early = [await bodies(town, phone) for phone in EARLY]
            late = [await bodies(town, phone) for phone in OTHERS]
            town.hand.at_s += 1801
            await watch.audit()
        finally:
            del watch.database.read
        assert [len(found) for found in early + late] == [1, 1, 0, 0, 0, 0]
        assert "自检" in early[0][0]
        assert [len(await bodies(town, phone)) for phone in DUTY] == [2, 2, 1, 1, 1, 1]


async def test_the_outside_is_pinged_only_while_all_is_well(tmp_path: Path) -> None:
    """Pings come while nothing is overdue, stop when something is stuck or we are blind."""
    pings = 0
    heard = asyncio.Event()
    outside = FastAPI()

    @outside.get("/alive")
    async def alive() -> str:
        nonlocal pings
        pings += 1
        heard.set()
        return "thanks"

    sock, url = bound()
    async with serving(outside, sock), a_town(tmp_path) as town:
        stop = asyncio.Event()
        watch = auditor(town, deadman_url=f"{url}/alive", every_s=0.01)
        task = asyncio.create_task(watch.run(stop))
        await asyncio.wait_for(heard.wait(), 5)
        await town.press()
        await town.settled()
        town.hand.at_s += timedelta(minutes=4).total_seconds()
        async with asyncio.timeout(5):
            while await town.faults() != ["stuck"]:
                await asyncio.sleep(0.01)
        before = pings
        audits = len(await town.phone(DUTY[0]))
        assert audits == 1
        heard.clear()
        for _ in range(10):
            await watch.audit()
        assert pings - before <= 1  # one may have been on its way
        stop.set()
        await asyncio.wait_for(task, 5)


async def test_a_text_to_the_duty_that_did_not_leave_is_tried_at_the_next_audit(
    tmp_path: Path,
) -> None:
    """The ten minutes of quiet begin with a text that left, not with one that failed."""
    async with a_town(tmp_path) as town:
        watch = auditor(town)
        await watch.audit()
        await town.press()
        await town.forget_sms()
        town.hand.at_s += 181
        text, tries = watch.lines.text, []
        watch.lines.text = lambda *to: tries.append(to) is not None  # type: ignore[method-assign]
        await watch.audit()
        assert len(tries) == 2, "both on duty were tried"
        watch.lines.text = text  # type: ignore[method-assign]
        await watch.audit()
        assert len(await bodies(town, DUTY[0])) == 1
        await watch.audit()
        assert len(await bodies(town, DUTY[0])) == 1, "and now it is quiet"


def test_the_duty_reads_one_segment_whatever_is_stuck() -> None:
    """A second segment may come late or never."""
    names = list(NAMED)
    for count in range(1, len(names) + 1):
        for stuck in itertools.combinations(names, count):
            assert len(words(stuck)) <= SEGMENT, words(stuck)


@pytest.mark.sqlite_only(reason="only SQLite has one lock for all that is written")
async def test_a_locked_database_is_told_past_it(tmp_path: Path) -> None:
    """Somebody holds the database's only write lock while a step is overdue: neither the sweep nor
    a fault can be written. The audit does not wait for it; the duty phones are texted."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.forget_sms()
        watch = auditor(town, within_s=1.0)
        watch.ring = Sweeper(town.runtime.database, town.runtime.house).ring
        await watch.audit()
        town.hand.at_s += 181
        holder = sqlite3.connect(tmp_path / "town.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        try:
            verdict = await watch.audit()
            assert (verdict.stuck, verdict.well) == (("steps",), False)
            async with asyncio.timeout(20):
                while not await bodies(town, DUTY[0]):
                    await asyncio.sleep(0.05)
        finally:
            holder.execute("ROLLBACK")
            holder.close()
        assert "求助" in (await bodies(town, DUTY[0]))[-1]


@pytest.mark.sqlite_only(reason="only SQLite has one lock for all that is written")
async def test_a_locked_and_idle_database_is_not_well(tmp_path: Path) -> None:
    """Somebody holds the write lock for an hour in which nothing falls due: no press can be stored,
    and nothing that is stored tells of it. The pings stop, the duty is texted past the database,
    and when it is free again all is well."""
    async with a_town(tmp_path) as town:
        await town.gateway_lives()
        probe = WriteProbe(good_for_s=0.0, patience_s=0.5)
        watch = auditor(town, probe=probe)
        assert (await watch.audit()).well
        holder = sqlite3.connect(tmp_path / "town.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        try:
            verdict = await watch.audit()
            assert (verdict.stuck, verdict.well) == (("database",), False)
            assert "数据库" in (await bodies(town, DUTY[0]))[-1]
            town.hand.at_s += 3600
            verdict = await watch.audit()
            assert (verdict.stuck, verdict.blind) == (("database",), True)
        finally:
            holder.execute("ROLLBACK")
            holder.close()
        probe.patience_s = 60.0
        await town.gateway_lives()
        await town.ring()
        await town.move(16)
        assert (await watch.audit()).well


async def test_a_silent_gateway_is_not_well_before_anybody_wrote_it_down(tmp_path: Path) -> None:
    """The sweep, which writes down that we are blind, is dead as well: the pings stop all the
    same."""
    async with a_town(tmp_path) as town:
        await town.gateway_lives()
        watch = auditor(town)
        assert (await watch.audit()).well
        town.hand.at_s += 61
        verdict = await watch.audit()
        assert (verdict.well, verdict.blind, verdict.stuck) == (False, True, ())
        assert await town.faults() == []


async def test_a_rota_that_can_not_be_read_leaves_nobody_untold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just started, and whose shift it is can't be told: what is stuck is told to all of the
    duty."""

    def broken(*_: object) -> None:
        raise ValueError("a shift that can't be read")

    async with a_town(tmp_path) as town:
        await town.press()
        await town.forget_sms()
        town.hand.at_s += 181
        monkeypatch.setattr(rosters, "phones_on_duty", broken)
        assert (await auditor(town).audit()).stuck == ("steps",)
        assert [len(await bodies(town, phone)) for phone in DUTY] == [1] * 6


async def bodies(town: Town, phone: str) -> list[str]:
    """What lies on a phone, asked of the phone alone (the database may be locked)."""
    found = (await town.phones.get(f"/phones/{phone}/messages")).json()["messages"]
    return [m["body"] for m in found]


async def test_an_auditor_that_is_dead_is_heard_outside(tmp_path: Path) -> None:
    """Pings come at their pace; then the auditor dies without a word. Whoever listens outside
    notices by the silence alone, within a minute at the real pace (three pings of 20 s)."""
    beats: list[float] = []
    outside = FastAPI()

    @outside.get("/alive")
    async def alive() -> str:
        beats.append(time.monotonic())
        return "thanks"

    sock, url = bound()
    every_s = 0.2
    async with serving(outside, sock), a_town(tmp_path) as town:
        await town.gateway_lives()
        watch = auditor(town, deadman_url=f"{url}/alive", every_s=every_s)
        task = asyncio.create_task(watch.run(asyncio.Event()))
        async with asyncio.timeout(30):
            while len(beats) < 3:
                await asyncio.sleep(0.01)
        task.cancel()
        died = time.monotonic()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(30):
            while time.monotonic() - max(beats) < 3 * every_s:
                await asyncio.sleep(0.01)
        assert max(beats) - died < every_s, "nothing pings in its place"
        assert 3 * EVERY_S <= 60


async def test_a_stale_canary_stops_the_pings(tmp_path: Path) -> None:
    """The gateway talks, but its canary no longer comes through: that is not well."""
    async with a_town(tmp_path) as town:
        said = {"gateway": "gw-1", "canary_every_s": 20}
        both = [{"lane": lane, "age_ms": 0, "returned_age_ms": 0, "rtt_ms": 9}
                for lane in ("sos", "bulk")]  # fmt: skip
        await town.gateway.post("/api/v1/signals", json={**said, "canaries": both})
        await town.ring()
        watch = auditor(town)
        assert (await watch.audit()).well
        for _ in range(5):
            town.hand.at_s += 15
            await town.gateway.post("/api/v1/signals", json=said)
        await town.ring()
        verdict = await watch.audit()
        assert (verdict.well, verdict.blind, verdict.stuck) == (False, True, ())
