"""The journal: append what happened, read it in order."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from server import tables as t
from server.database import Tx
from server.store import bulk

JOURNAL = t.table(t.Journal)
BULK: bulk.Columns = (
    ("at", "bigint"), ("kind", "text"), ("building_id", "bigint"), ("flat_id", "bigint"),
    ("alert_id", "bigint"), ("data", "json"),
)  # fmt: skip
COLUMNS = ("at", "kind", "building_id", "flat_id", "alert_id", "data")


def append(tx: Tx, entries: Sequence[Mapping[str, Any]]) -> None:
    """Note entries (`kind`, and optionally building_id, flat_id, alert_id, data) and wake the
    live feed once they are committed. All of a transaction's are written together at its end."""
    if not entries:
        return
    tx.entries.extend(entries)
    tx.last["journal"] = _write
    tx.wake("feed")


def _write(tx: Tx) -> None:
    rows = [
        (tx.now, e["kind"], e.get("building_id"), e.get("flat_id"), e.get("alert_id"),
         e.get("data", {}))
        for e in tx.entries
    ]  # fmt: skip
    bulk.insert(tx.conn, "journal", BULK, rows)
    tx.entries.clear()


def note(tx: Tx, kind: str, **entry: Any) -> None:
    """Append one entry; keywords beside the columns go into `data`."""
    columns = {name: entry.pop(name) for name in COLUMNS if name in entry}
    append(tx, [{"kind": kind, **columns, "data": {**columns.get("data", {}), **entry}}])


def after(conn: Connection, seq: int, limit: int) -> Sequence[RowMapping]:
    """Entries later than `seq`, in order."""
    query = select(JOURNAL).where(JOURNAL.c.seq > seq).order_by(JOURNAL.c.seq).limit(limit)
    return conn.execute(query).mappings().all()


def last(conn: Connection) -> int:
    """The newest entry's number; 0 when there is none."""
    return int(conn.execute(select(func.coalesce(func.max(JOURNAL.c.seq), 0))).scalar_one())


def for_alert(conn: Connection, alert_id: int) -> Sequence[RowMapping]:
    """One alert's entries, in order."""
    query = select(JOURNAL).where(JOURNAL.c.alert_id == alert_id).order_by(JOURNAL.c.seq)
    return conn.execute(query).mappings().all()


def since(conn: Connection, at: datetime) -> int:
    """How many entries there are since `at`."""
    return int(
        conn.execute(select(func.count()).select_from(JOURNAL).where(JOURNAL.c.at >= at))
        .scalar_one()
    )
