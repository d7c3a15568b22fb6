"""Events as they are stored, each once: its identity is (terminal, boot, seq). How that holds over
the partitions of PostgreSQL: partitions.py, docs/adr/0035."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, text

from server import tables as t
from server.store import bulk, signals

SIGNAL = t.table(t.Signal)
COLUMNS: bulk.Columns = (
    ("terminal_id", "text"), ("boot", "bigint"), ("seq", "bigint"), ("type", "text"),
    ("occurred_at", "bigint"), ("received_at", "bigint"), ("late", "boolean"),
    ("test", "boolean"),
)  # fmt: skip
SEQS = 2**31
"""A `seq` is below (docs/contract.md)."""


def place(boot: int, seq: int) -> int:
    """An event's place among its terminal's, as one number."""
    return boot * SEQS + seq


class NotStored(Exception):
    """Events were not stored, and it is no copies that they are."""


def is_stored(conn: Connection, terminal_id: str, boot: int, seq: int) -> bool:
    """Whether we have this event."""
    query = select(SIGNAL.c.id).where(
        SIGNAL.c.terminal_id == terminal_id, SIGNAL.c.boot == boot, SIGNAL.c.seq == seq
    )
    return conn.execute(query).first() is not None


def insert(
    conn: Connection, rows: Sequence[Sequence[Any]], known: Mapping[str, signals.Known]
) -> set[tuple[str, int, int]]:
    """Insert those not yet known (values as in COLUMNS); returns the identities that were
    new. `known`: their terminals, read since `partitions.hold`. Raises NotStored."""
    # In one order everywhere: two gateways may hand in the same events at the same moment.
    rows = sorted(rows, key=lambda r: (r[0], r[1], r[2]))
    if conn.dialect.name == "sqlite":
        return _inserted(conn, rows, "(terminal_id, boot, seq)")
    there = _stored(conn, [r for r in rows if not _surely_new(known[r[0]], r)])
    rows = [r for r in rows if (r[0], r[1], r[2]) not in there]
    # No index is unique over all partitions, so none can be named.
    fresh = _inserted(conn, rows, "")
    refused = [r for r in rows if (r[0], r[1], r[2]) not in fresh]
    if len(_stored(conn, refused)) < len(refused):
        raise NotStored("the database took events for known that are not there; an id given twice?")
    return fresh


def _surely_new(terminal: signals.Known, row: Sequence[Any]) -> bool:
    return terminal.newest_event is not None and place(row[1], row[2]) > terminal.newest_event


def _inserted(
    conn: Connection, rows: Sequence[Sequence[Any]], unique: str
) -> set[tuple[str, int, int]]:
    if not rows:
        return set()
    found: Sequence[Any] = bulk.insert(
        conn, "signal", COLUMNS, rows,
        conflict=f"{unique} DO NOTHING", returning="terminal_id, boot, seq",
    ).all()  # fmt: skip
    return {(row[0], row[1], row[2]) for row in found}


# A row at a time, each by the index: no plan may think of reading the whole table instead.
_STORED = text(
    "SELECT r.terminal_id, r.boot, r.seq FROM (SELECT CAST(value ->> 0 AS text) AS terminal_id,"
    " CAST(value ->> 1 AS bigint) AS boot, CAST(value ->> 2 AS bigint) AS seq"
    " FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS e(value)) AS r"
    " CROSS JOIN LATERAL (SELECT 1 FROM signal WHERE signal.terminal_id = r.terminal_id"
    " AND signal.boot = r.boot AND signal.seq = r.seq LIMIT 1) AS s"
)


def _stored(conn: Connection, rows: Sequence[Sequence[Any]]) -> set[tuple[str, int, int]]:
    """Which of these are there, in any partition (PostgreSQL)."""
    if not rows:
        return set()
    found = conn.execute(_STORED, bulk.listed([(r[0], r[1], r[2]) for r in rows])).all()
    return {(row[0], row[1], row[2]) for row in found}
