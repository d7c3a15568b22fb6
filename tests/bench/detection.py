"""Detection: what it costs to ask what is due, and how soon those who are due are dealt with.

1. An idle ring of the bell with 1,000 to 1.6 million residents (growth curve). The ceiling is a
   bare look-up of one row by its key in the same database, as many times as the ring has queries.
2. 1,000 residents overdue at once, each of class A in a building of their own, so each alarmed by
   themselves: until the last message is at the provider.
3. A city's round: 1.6 million residents, 80,000 of whom miss it: until all are on worklists with
   their messages queued, with SOS pressed in the middle of it.

The database is seeded by bulk SQL; the server is the real one, a process of its own.

    python -m tests.bench.detection [residents in the city, 1600000 by default
        [communities they live in, 1 by default [postgres] [idle: the first only]]]

SQLite by default; `postgres`: one of its own, durable, as it is deployed.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from server import migrate, moving
from server.channels.thread import SendersThread
from server.channels.twilio import TwilioSms
from server.channels.twilio_account import Account, Credentials
from server.clock import Clock
from server.core.houses import SPAN
from server.database import Database
from server.outbox import AT_ONCE
from server.service import sweep
from server.service.house import House
from tests.bench.kit import DURABLE, Elsewhere, Sink, emit, percentile
from tests.postgres import Cluster
from xunlou.embedded import command
from xunlou.keys import Keys
from xunlou.ports import free_port
from xunlou.supervise import ChildSpec, Supervisor

New = Callable[[Path], str]
"""Makes an empty database and says its URL."""
CITY = 1_600_000
MISSED_PART = 20
"""One in so many misses the city's round."""
IN_A_BUILDING = 30
RINGS = 200
QUERIES = 8
WITHIN_S = 300.0
SOON_S = 6
ROUNDS = (
    '[{"name":"morning","opens":"06:00","prompt":"07:00","due":"07:30","grace_s":300},'
    '{"name":"evening","opens":"18:30","prompt":"19:30","due":"20:00","grace_s":300}]'
)


@contextlib.contextmanager
def databases(*, postgres: bool) -> Iterator[New]:
    """What makes an empty database, in this folder or in a PostgreSQL, and says its URL."""

    def made(url: str) -> str:
        migrate.upgrade(url)
        return url

    if not postgres:
        yield lambda folder: made(f"sqlite:///{folder / 'xunlou.db'}")
        return
    cluster = Cluster()
    cluster.start(**DURABLE)
    try:
        yield lambda _folder: made(cluster.url(cluster.create()))
    finally:
        cluster.stop()


def seed(
    url: str, residents: int, *, in_a_building: int, risk_class: str = "B", communities: int = 1,
) -> None:
    """`residents`, each due tomorrow, two stewards a building, in communities of one size with
    somebody on duty at each desk."""
    buildings = -(-residents // in_a_building)
    each = -(-buildings // communities)
    tomorrow = int((time.time() + 86_400) * 1000)
    engine = create_engine(url, poolclass=NullPool)
    sqlite = engine.dialect.name == "sqlite"
    rounds = f"'{ROUNDS}'" if sqlite else f"CAST('{ROUNDS}' AS json)"
    born = "'1940-01-01'" if sqlite else "DATE '1940-01-01'"
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
    with engine.connect() as conn:
        for statement in (
            *(("PRAGMA synchronous=OFF", "PRAGMA cache_size=-200000") if sqlite else ()),
            f"{count % communities} INSERT INTO community (id, series, name, tz, rounds)"
            f" SELECT i, i - 1, 'City ' || i, 'Asia/Shanghai', {rounds} FROM n",
            f"{count % buildings} INSERT INTO building (id, community_id, number)"
            f" SELECT i, (i - 1) / {each} + 1, (i - 1) / {each} * {SPAN} + (i - 1) % {each} + 1"
            " FROM n",
            f"{count % residents} INSERT INTO flat (id, building_id, stairwell, floor, label)"
            f" SELECT i, (i - 1) / {in_a_building} + 1, '1', 1, 'f' || i FROM n",
            f"{count % residents} INSERT INTO resident (id, flat_id, building_id, name,"
            " birth_date, sex, living, risk_class, class_why, state, phone, access_notes, risks,"
            " sounds, next_due_at)"
            f" SELECT i, i, (i - 1) / {in_a_building} + 1, 'R', {born}, '', 'alone',"
            f" '{risk_class}', '', 'active', '', '', '', '', {tomorrow} FROM n",
            f"{count % (2 * buildings + communities)} INSERT INTO person (id, name, phone, lang)"
            " SELECT i, 'P', '+86' || (10000000000 + i), 'zh' FROM n",
            f"{count % (2 * buildings)} INSERT INTO assignment (person_id, role, position,"
            " building_id, key_place)"
            " SELECT i, 'steward', i % 2 + 1, (i - 1) / 2 + 1, '' FROM n",
            f"{count % communities} INSERT INTO assignment (person_id, role, position,"
            f" community_id, key_place) SELECT {2 * buildings} + i, 'duty', 1, i, '' FROM n",
            f"{count % min(residents, 100)} INSERT INTO terminal (id, resident_id, state, status,"
            " boot, firmware, heartbeat_s)"
            " SELECT 't-' || i, i, 'active', 'online', 0, '', 900 FROM n",
        ):
            conn.exec_driver_sql(statement.replace("%", "%%") if not sqlite else statement)
        if not sqlite:
            for table in SQLModel.metadata.sorted_tables:
                moving.set_sequence(conn, table)
        conn.commit()
    if not sqlite:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("VACUUM ANALYZE")


def asked(url: str, statement: str, **values: int) -> int:
    """Run a statement by itself; the one number that it answers, or how many rows it changed."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as conn:
        done = conn.execute(text(statement), values)
        return int(done.scalar_one() if done.returns_rows else done.rowcount)


def idle(url: str) -> tuple[float, float]:
    """Milliseconds of an idle question "what is due", and of as many bare look-ups."""
    database = Database(url, Clock())
    house, now = House("http://127.0.0.1", b"k" * 32), database.clock.now()
    second = timedelta(seconds=1)
    ours, bare = [], []
    with database.reader.connect() as conn:
        for _ in range(RINGS):
            began = time.perf_counter()
            sweep.what_is_due(conn, now, second, house)
            ours.append((time.perf_counter() - began) * 1000)
            began = time.perf_counter()
            for n in range(QUERIES):
                conn.execute(text("SELECT id FROM resident WHERE id = :n"), {"n": n}).first()
            bare.append((time.perf_counter() - began) * 1000)
    database.close()
    return percentile(ours, 0.5), percentile(bare, 0.5)


@contextlib.asynccontextmanager
async def a_city(
    new: New, residents: int, **shape: Any
) -> AsyncIterator[tuple[str, Sink, httpx.AsyncClient]]:
    """The real server on a seeded database, whose URL it is, and a gateway that is heard."""
    sink = Sink()
    with tempfile.TemporaryDirectory(prefix="xunlou-bench-") as folder:
        async with sink.serving() as url:
            keys = Keys.fresh()
            sms = {
                "TWILIO_ACCOUNT_SID": keys.sms_account, "TWILIO_AUTH_TOKEN": keys.sms_token,
                "TWILIO_FROM_NUMBER": "+8610000000001", "TWILIO_API_BASE_URL": url,
                # What is measured is ours; a sender's rate is the provider's.
                "XUNLOU_SMS_PER_S": "0",
                # At night a press is a call as well: how many there are would hang on the hour.
                "XUNLOU_NIGHT": "00:00-00:00",
            }  # fmt: skip
            place = Elsewhere(Path(folder), free_port(), free_port(), keys, sms=sms)
            database_url = new(Path(folder))
            place.url_of_database.append(database_url)
            await asyncio.to_thread(seed, database_url, residents, **shape)
            async with Supervisor(Path(folder) / "log") as supervisor:
                supervisor.start(ChildSpec("server", command("serve"), place.environment()))
                headers = {"authorization": f"Bearer {keys.gateway_token}"}
                async with httpx.AsyncClient(
                    base_url=place.url, headers=headers, timeout=60
                ) as gateway:
                    await _answers(gateway)
                    beating = asyncio.create_task(_beat(gateway))
                    await asyncio.sleep(20)  # after blindness we look for 15 s before judging
                    yield database_url, sink, gateway
                    beating.cancel()


async def _answers(gateway: httpx.AsyncClient) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            if (await gateway.get("/readyz")).status_code == httpx.codes.OK:
                return
        await asyncio.sleep(0.1)
    raise TimeoutError("the server does not answer")


async def _press(gateway: httpx.AsyncClient, terminal: str, seq: int) -> None:
    sos = {"t": terminal, "type": "sos", "boot": 1, "seq": seq}
    await gateway.post("/api/v1/signals", json={"gateway": "bench", "signals": [sos]})


async def _beat(gateway: httpx.AsyncClient) -> None:
    while True:
        await gateway.post("/api/v1/signals", json={"gateway": "bench", "signals": []})
        await asyncio.sleep(2)


async def overdue(new: New, residents: int) -> None:
    """1,000 at once, each by themselves, at a server that has sent something since it started:
    another resident's press."""
    shape = {"in_a_building": 1, "risk_class": "A"}
    async with a_city(new, residents + 1, **shape) as (url, sink, gateway):
        await _press(gateway, "t-1", 1)
        await sink.until(2, WITHIN_S)
        due, before = int((time.time() + SOON_S) * 1000), sink.count
        asked(url, "UPDATE resident SET next_due_at = :due WHERE id > 1", due=due)
        await sink.until(before + 2 * residents, WITHIN_S)
        due_at = time.perf_counter() - (time.time() - due / 1000)
        took = [at for times in sink.arrived.values() for at in times if at > due_at]
        last = max(took) - due_at
        assert sink.count - before == 2 * residents, "each steward is told once"
        bare = await bare_messages(2 * residents)
        emit(bench="overdue_at_once_s", database=kind(url), residents=residents,
             messages=2 * residents,
             first=min(took) - due_at, last=last, bare_s=bare, ratio=last / bare)  # fmt: skip


async def bare_messages(count: int) -> float:
    """Seconds in which as many messages reach the provider through the official client with 32 at a
    time, when they come from nowhere and are recorded nowhere."""
    sink = Sink()
    async with sink.serving() as url:
        account = Account(Credentials("AC" + "0" * 32, "t", "+8610000000001", url, url))
        sms, began = TwilioSms(account), time.perf_counter()
        thread = SendersThread(AT_ONCE, "bare")
        sent = [thread.submit(sms.send, "+8610000000002", "bare", 0) for _ in range(count)]
        await asyncio.gather(*map(asyncio.wrap_future, sent))
        thread.shutdown()
        return max(at for times in sink.arrived.values() for at in times) - began


async def city_round(new: New, residents: int, communities: int) -> None:
    """A city's round, with SOS in the middle of it."""
    shape = {"in_a_building": IN_A_BUILDING, "communities": communities}
    async with a_city(new, residents, **shape) as (url, sink, gateway):
        due = int((time.time() + SOON_S) * 1000)
        asked(
            url, f"UPDATE resident SET next_due_at = :due WHERE id % {MISSED_PART} = 0", due=due
        )
        missed = residents // MISSED_PART
        due_at = time.perf_counter() - (time.time() - due / 1000)
        await asyncio.sleep(max(0.0, due_at + 1.5 - time.perf_counter()))
        presses, seq = [], 0
        left = "SELECT count(*) FROM resident WHERE state = 'active' AND next_due_at <= :due"
        while time.perf_counter() < due_at + WITHIN_S:
            if not asked(url, left, due=due):
                break
            seq += 1
            began = time.perf_counter()
            await _press(gateway, f"t-{seq % 100 + 1}", seq)
            presses.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.2)
        took = time.perf_counter() - due_at
        lists = asked(url, "SELECT count(*) FROM alert WHERE kind = 'missed'")
        queued = asked(url, "SELECT count(*) FROM message")
        emit(bench="city_round_s", database=kind(url), residents=residents,
             communities=communities, missed=missed, worklists=lists,
             outbox_rows=queued, last_row=took, sent_meanwhile=sink.count,
             sos_stored_p50_ms=percentile(presses, 0.5), sos_stored_worst_ms=max(presses),
             presses=len(presses))  # fmt: skip


def kind(url: str) -> str:
    """Which database it is."""
    return url.split(":", maxsplit=1)[0]


async def main(city: int = CITY, communities: int = 1, *words: str) -> None:
    """One line for each."""
    with databases(postgres="postgres" in words) as new:
        curve = {}
        for residents in sorted({n for n in (1_000, 10_000, 100_000, city) if n <= city}):
            with tempfile.TemporaryDirectory(prefix="xunlou-bench-") as folder:
                url = new(Path(folder))
                buildings = -(-residents // IN_A_BUILDING)
                await asyncio.to_thread(
                    seed, url, residents, in_a_building=IN_A_BUILDING,
                    communities=min(communities, buildings),
                )
                curve[residents] = idle(url)
        emit(bench="idle_sweep_ms", database=kind(url), communities=communities,
             ms={n: ours for n, (ours, _) in curve.items()},
             look_ups_ms={n: bare for n, (_, bare) in curve.items()},
             ratio=curve[city][0] / curve[city][1])  # fmt: skip
        if "idle" not in words:
            await overdue(new, 1_000)
            await city_round(new, city, communities)


if __name__ == "__main__":
    os.environ.setdefault("XUNLOU_LOG_LEVEL", "warning")
    asyncio.run(main(*map(int, sys.argv[1:3]), *sys.argv[3:]))
