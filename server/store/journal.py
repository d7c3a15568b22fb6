"""The journal: append what happened, read it in order.

On PostgreSQL a lower number may be committed after a higher one. Every transaction that appends
therefore holds a shared advisory lock, whose key is a number below all that it will draw (a trigger
of migration 0009 sees to it). `settled` tells up to where nothing can be missing any more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, text

from server import tables as t
from server.database import Tx
from server.store import audit, bulk
from server.tables import to_ms

JOURNAL = t.table(t.Journal)
BULK: bulk.Columns = (
    ("at", "bigint"), ("kind", "text"), ("building_id", "bigint"), ("flat_id", "bigint"),
    ("alert_id", "bigint"), ("data", "json"),
)  # fmt: skip
ABOUT = ("building_id", "flat_id", "alert_id")


def append(tx: Tx, entries: Sequence[Mapping[str, Any]]) -> None:
    """Note entries (`kind`, and optionally building_id, flat_id, alert_id, data) and wake the
    live feed once they are committed. All of a transaction's are written together at its end, but
    for those that are written before it by `flush`."""
    if not entries:
        return
    tx.entries.extend(entries)
    tx.last["journal"] = flush
    tx.wake("feed")


def flush(tx: Tx, since: int = 0) -> None:
    """Write all entries but the first `since` now. A long transaction does so with its own, part by
    part: when a press waits for it to end, the less is left to do."""
    entries = tx.entries[since:]
    if not entries:
        return
    now_ms = to_ms(tx.now)
    rows = [
        (now_ms, e["kind"], e.get("building_id"), e.get("flat_id"), e.get("alert_id"),
         e.get("data", {}))
        for e in entries
    ]  # fmt: skip
    bulk.insert(tx.conn, "journal", BULK, rows)
    acts = [_act(e) for e in entries if e.get("data", {}).get("by")]
    if acts:  # what machines say is no act of a person, and must cost no more than before
        audit.add(tx.conn, tx.now, acts)
    del tx.entries[since:]


def _act(entry: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """A person's entry for the audit: who, what, and all else that it says but the door. The audit
    is kept for good, and a door leads to whoever lived there after they were erased."""
    about = {
        name: entry[name] for name in ("building_id", "alert_id") if entry.get(name) is not None
    }
    about |= {name: value for name, value in entry["data"].items() if name != "by"}
    return str(entry["data"]["by"]), str(entry["kind"]), about


def note(tx: Tx, kind: str, **entry: Any) -> None:
    """Append one entry; keywords beside the columns go into `data`."""
    columns = {name: entry.pop(name, None) for name in ABOUT}
    if (data := entry.pop("data", None)) is not None:
        entry = {**data, **entry}
    append(tx, [{"kind": kind, **columns, "data": entry}])


def after(conn: Connection, seq: int, limit: int, upto: int) -> Sequence[RowMapping]:
    """Entries later than `seq`, in order, none later than `upto` (see `settled`)."""
    query = (
        select(JOURNAL)
        .where(JOURNAL.c.seq > seq, JOURNAL.c.seq <= upto)
        .order_by(JOURNAL.c.seq)
        .limit(limit)
    )
    return conn.execute(query).mappings().all()


DRAWN = text(
    "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM journal_seq_seq"
)
HELD = text(
    # Keys of one 64-bit number, which nothing but the journal's trigger takes.
    "SELECT min(classid::bigint << 32 | objid::bigint) FROM pg_locks"
    " WHERE locktype = 'advisory' AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def settled(conn: Connection) -> int:
    """The number up to which every entry is committed or never will be. Read entries in a
    transaction that begins after this answer; on PostgreSQL an older view may still miss some.

    The order of the two looks is what makes it true: whoever drew a number up to `drawn` held its
    lock before, so if it is still at work the second look sees the lock.
    """
    if conn.dialect.name == "sqlite":  # one writer: what is drawn is committed in order
        newest = select(func.coalesce(func.max(JOURNAL.c.seq), 0))
        return int(conn.execute(newest).scalar_one())
    drawn = int(conn.execute(DRAWN).scalar_one())
    held = conn.execute(HELD).scalar_one_or_none()
    return drawn if held is None else min(drawn, int(held))


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
