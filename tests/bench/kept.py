"""What a round costs where half a year of events is kept: PostgreSQL, a city at one eightieth.

20,000 terminals, 360 rounds of each kept, in partitions of ten days as the server makes them, with
buffers as much smaller than a small machine's. Then three rounds more, in batches of 500 that come
as people get up, after a checkpoint each: by turns into the partitions, into one table with all of
it (as it was before docs/adr/0035), and into one table with nothing in it, which is the ceiling.
Last, batches of 500 copies of old events, which are looked for in all partitions.

    python -m tests.bench.kept
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text

from server import migrate
from server.store import bulk, events, partitions, signals
from tests.bench.kit import DURABLE, emit
from tests.postgres import Cluster

TERMINALS = 20_000
ROUNDS, EACH_PART = 360, 20
BATCH, TURNS = 500, 3
START_MS, ROUND_MS = 1_790_000_000_000, 43_200_000
FILL = """
INSERT INTO {table} (id, terminal_id, boot, seq, type, received_at, late, test)
SELECT {first} + r * {terminals} + i, 'b-' || lpad(((i * 7919 + r * 10477) % {terminals})::text,
 7, '0'), 3, r, 'checkin', {start} + r * {round}::bigint + i, false, false
FROM generate_series({low}, {high}) r, generate_series(0, {terminals} - 1) i
"""
Insert = Callable[[Connection, Sequence[Sequence[Any]]], int]


def fill(conn: Connection, table: str, first: int, low: int, high: int) -> None:
    """So many rounds; `first` is the id of the very first event."""
    numbers = {"terminals": TERMINALS, "start": START_MS, "round": ROUND_MS}
    conn.execute(text(FILL.format(table=table, first=first, low=low, high=high, **numbers)))


def laid_out(engine: Engine) -> None:
    """The partitions, and the same in one table; and one with nothing in it."""
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))  # the rows are right
        conn.execute(text(
            "INSERT INTO terminal (id, state, simulated, status, boot, firmware, heartbeat_s,"
            " newest_event) SELECT 'b-' || lpad(i::text, 7, '0'), 'active', false, 'online', 3, '',"
            f" 900, {events.place(3, ROUNDS - 1)} FROM generate_series(0, {TERMINALS - 1}) i"
        ))  # fmt: skip
        for number, low in enumerate(range(0, ROUNDS, EACH_PART)):
            if number:
                partitions.make(conn, number)
            first = number * partitions.BLOCK + 1 - low * TERMINALS
            # The last one half full, as it is on average.
            high = low + (EACH_PART if low + EACH_PART < ROUNDS else EACH_PART // 2)
            fill(conn, "signal", first, low, high - 1)
        newest = "(SELECT max(id) FROM signal)"
        conn.execute(text(f"SELECT setval('signal_id_seq', {newest})"))
        one_table(conn, "bare", 0)
        one_table(conn, "whole", ROUNDS)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))


def one_table(conn: Connection, name: str, rounds: int) -> None:
    """As the events stood before they were partitioned, with so many rounds in it."""
    for words in (
        f"CREATE TABLE {name} (LIKE signal)",
        f"CREATE SEQUENCE {name}_seq START {rounds * TERMINALS + 1}",
        f"ALTER TABLE {name} ALTER id SET DEFAULT nextval('{name}_seq')",
    ):
        conn.execute(text(words))
    fill(conn, name, 1, 0, rounds - 1)
    for key in (
        "PRIMARY KEY (id)", f"UNIQUE {partitions.IDENTITY}",
        "FOREIGN KEY (terminal_id) REFERENCES terminal (id)",
    ):  # fmt: skip
        conn.execute(text(f"ALTER TABLE {name} ADD {key}"))


def as_the_server(conn: Connection, rows: Sequence[Sequence[Any]]) -> int:
    """Into the partitions."""
    partitions.hold(conn)
    known = signals.terminals(conn, {row[0] for row in rows})
    return len(events.insert(conn, rows, known))


def into(table: str) -> Insert:
    """Into one table, whose index says what is new."""

    def insert(conn: Connection, rows: Sequence[Sequence[Any]]) -> int:
        signals.terminals(conn, {row[0] for row in rows})
        found = bulk.insert(
            conn, table, events.COLUMNS, sorted(rows),
            conflict=f"{partitions.IDENTITY} DO NOTHING", returning="seq",
        )  # fmt: skip
        return len(found.all())

    return insert


def a_round(
    engine: Engine, insert: Insert, number: int, new: int = BATCH
) -> tuple[list[float], float]:
    """Milliseconds of each batch, and bytes of the write-ahead log an event. `new`: how many of a
    batch are to be."""
    ids = [f"b-{n:07d}" for n in range(TERMINALS)]
    random.Random(number).shuffle(ids)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("CHECKPOINT"))
        before = conn.execute(text("SELECT pg_current_wal_insert_lsn()")).scalar_one()
    took = []
    for start in range(0, TERMINALS, BATCH):
        rows = [
            (i, 3, number, "checkin", None, START_MS + number * ROUND_MS, False, False)
            for i in ids[start : start + BATCH]
        ]
        begun = time.perf_counter()
        with engine.begin() as conn:
            assert insert(conn, rows) == new
        took.append((time.perf_counter() - begun) * 1000)
    with engine.connect() as conn:
        diff = text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :before)")
        wal = float(conn.execute(diff, {"before": before}).scalar_one())
    return took, wal / TERMINALS


def main() -> None:
    """One line: milliseconds a batch, and bytes of log an event."""
    cluster = Cluster()
    cluster.start(**{**DURABLE, "shared_buffers": "32MB", "autovacuum": "off"})
    try:
        with cluster.database() as url:
            migrate.upgrade(url)
            engine = create_engine(url)
            laid_out(engine)
            ways = {"parts": as_the_server, "whole": into("whole"), "bare": into("bare")}
            took: dict[str, list[float]] = {name: [] for name in ways}
            wal: dict[str, list[float]] = {name: [] for name in ways}
            for turn in range(TURNS):
                for name, insert in ways.items():
                    ms, log = a_round(engine, insert, ROUNDS + turn)
                    took[name] += ms
                    wal[name].append(log)
            copies, _ = a_round(engine, as_the_server, EACH_PART // 2, new=0)
            engine.dispose()
    finally:
        cluster.stop()
    p50 = {name: statistics.median(ms) for name, ms in took.items()}
    emit(
        bench="round_beside_half_a_year",
        kept=ROUNDS * TERMINALS,
        batch_ms=p50["parts"],
        one_table_ms=p50["whole"],
        empty_table_ms=p50["bare"],
        copies_ms=statistics.median(copies),
        ratio=p50["bare"] / p50["parts"],
        wal_bytes={name: min(each) for name, each in wal.items()},
    )


if __name__ == "__main__":
    main()
