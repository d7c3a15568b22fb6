"""The journal: append what happened, read it in order."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select

from server import tables as t
from server.database import Tx

JOURNAL = t.table(t.Journal)
COLUMNS = ("at", "kind", "building_id", "flat_id", "alert_id", "data")


def append(tx: Tx, entries: Sequence[Mapping[str, Any]]) -> None:
    """Write entries (`kind`, and optionally building_id, flat_id, alert_id, data) and wake the
    live feed once they are committed."""
    if not entries:
        return
    rows = [
        {
            "at": tx.now, "kind": e["kind"], "building_id": e.get("building_id"),
            "flat_id": e.get("flat_id"), "alert_id": e.get("alert_id"), "data": e.get("data", {}),
        }
        for e in entries
    ]  # fmt: skip
    tx.conn.execute(insert(JOURNAL), rows)
    tx.wake("feed")


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


NEWEST = 1000


def noted(conn: Connection, kind: str, since: datetime) -> bool:
    """Whether one of the newest entries is of this kind and not older than `since`."""
    newest = select(JOURNAL.c.at, JOURNAL.c.kind).order_by(JOURNAL.c.seq.desc()).limit(NEWEST)
    recent = newest.subquery()
    query = select(recent.c.at).where(recent.c.kind == kind, recent.c.at >= since).limit(1)
    return conn.execute(query).first() is not None


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
