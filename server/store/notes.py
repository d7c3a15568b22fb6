"""The notes that are kept sealed, wherever they stand. Never opens one: the vault does."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, func, select, update

from server import tables as t
from server.vault import prefix

RESIDENT, ASSIGNMENT = t.table(t.Resident), t.table(t.Assignment)
SEALED: Mapping[str, Column[Any]] = {
    "resident.access_notes": RESIDENT.c.access_notes,
    "resident.risks": RESIDENT.c.risks,
    "assignment.key_place": ASSIGNMENT.c.key_place,
}
"""Every column that is sealed, by the name that a note is bound to."""


def not_under(
    conn: Connection, what: str, key_id: str, after: int, limit: int
) -> Sequence[tuple[int, str]]:
    """The next notes of a column, after row `after`, that are not sealed under this key."""
    column = SEALED[what]
    row_id = column.table.c.id
    query = (
        select(row_id, column)
        .where(row_id > after, column != "", ~column.startswith(prefix(key_id), autoescape=True))
        .order_by(row_id)
        .limit(limit)
    )
    return [(int(row[0]), str(row[1])) for row in conn.execute(query)]


def some(conn: Connection, what: str, after: int, limit: int) -> Sequence[tuple[int, str]]:
    """The next notes of a column after row `after`, as they are stored."""
    column = SEALED[what]
    row_id = column.table.c.id
    query = select(row_id, column).where(row_id > after, column != "")
    return [(int(row[0]), str(row[1]))
            for row in conn.execute(query.order_by(row_id).limit(limit))]  # fmt: skip


def put(conn: Connection, what: str, row_id: int, stored: str, was: str) -> bool:
    """Store a note anew, unless somebody else has changed it meanwhile; whether it was."""
    column = SEALED[what]
    own: Any = column.table
    statement = update(own).where(own.c.id == row_id, column == was).values({column.name: stored})
    return bool(conn.execute(statement).rowcount)


def count(conn: Connection) -> int:
    """How many notes there are."""
    return sum(
        int(conn.execute(select(func.count()).where(column != "")).scalar_one())
        for column in SEALED.values()
    )
