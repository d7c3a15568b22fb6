"""Who saw and did what: written down at once, sealed into a chain a little later."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from server import tables as t
from server.store import bulk

AUDIT = t.table(t.Audit)
LOT = 1000
COLUMNS: bulk.Columns = (("at", "bigint"), ("who", "text"), ("what", "text"), ("about", "json"))


def add(conn: Connection, at: datetime, rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
    """Write down (who, what, about)."""
    bulk.insert(conn, "audit", COLUMNS, [(at, who, what, dict(about)) for who, what, about in rows])


def unsealed(conn: Connection, limit: int) -> Sequence[RowMapping]:
    """What no digest covers yet, oldest first."""
    query = select(AUDIT).where(AUDIT.c.position.is_(None)).order_by(AUDIT.c.id).limit(limit)
    return conn.execute(query).mappings().all()


def end(conn: Connection) -> RowMapping | None:
    """The last sealed entry."""
    query = select(AUDIT).where(AUDIT.c.position.is_not(None)).order_by(AUDIT.c.position.desc())
    return conn.execute(query.limit(1)).mappings().first()


def seal(conn: Connection, entry_id: int, position: int, digest: str) -> None:
    """Give an entry its place. Its position is unique: of two sealers one fails whole."""
    statement = update(AUDIT).where(AUDIT.c.id == entry_id, AUDIT.c.position.is_(None))
    conn.execute(statement.values(position=position, digest=digest))


def sealed(conn: Connection) -> Iterator[RowMapping]:
    """The whole chain in order, read in lots."""
    after = 0
    while True:
        query = select(AUDIT).where(AUDIT.c.position > after).order_by(AUDIT.c.position)
        rows = conn.execute(query.limit(LOT)).mappings().all()
        yield from rows
        if len(rows) < LOT:
            return
        after = rows[-1]["position"]


def newest(conn: Connection, limit: int) -> Sequence[RowMapping]:
    """The last entries, newest first, sealed or not."""
    return conn.execute(select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)).mappings().all()
