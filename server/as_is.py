"""Copies a database as it is, at whatever revision, by what its tables are and not by what this
code thinks of them: for a backup before a migration, and its way back.

Between SQLite and PostgreSQL, either way; JSON as the text it is. It must never change the source,
nor call anything copied that it has not read again.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    MetaData,
    Table,
    Text,
    bindparam,
    cast,
    select,
    text,
    type_coerce,
)

from server import migrate
from server.moving import CHUNK, Sum, connected, digest_row, make_room, set_sequence
from server.store import partitions

VERSION = "alembic_version"
_WHOLE = 2**256


class NotTheSame(Exception):
    """What was written differs from what was read."""


def revision_in(conn: Connection) -> str:
    """The schema's revision, in this transaction's view."""
    return str(conn.execute(text(f"SELECT version_num FROM {VERSION}")).scalar_one())  # noqa: S608


def snapshot(source: str, target: str) -> str:
    """Copy the database at `source`, as it is at one instant, while it runs, into a new SQLite file
    at the URL `target`; its revision. Raises NotTheSame, or what the databases raise."""
    with connected(source) as old:
        revision = revision_in(old)  # the first look: from here on it is one view
        migrate.upgrade(target, to=revision)
        with connected(target) as new:
            read = _fill(old, new)
            new.commit()
    with connected(target) as new:
        _same(read, sums(new))
    return revision


def replace(source: str, conn: Connection) -> None:
    """Replace everything in the PostgreSQL database of `conn` by what is in the SQLite file, in the
    caller's transaction. Raises NotTheSame; then roll back."""
    with connected(source) as old:
        revision = revision_in(old)
        conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        conn.execute(text("DROP SCHEMA public CASCADE"))
        conn.execute(text("CREATE SCHEMA public"))
        migrate.upgrade_on(conn, revision)
        make_room(old, conn)
        read = _fill(old, conn)
        for table in _tables(conn):
            set_sequence(conn, table)
        _same(read, sums(conn))


def sums(conn: Connection) -> dict[str, Sum]:
    """What each table holds, in this transaction's view."""
    found = {}
    for table in _tables(conn):
        counted = _Counted()
        for rows in _rows(conn, table):
            counted.add(rows)
        found[table.name] = counted.sum
    return found


class _Counted:
    """Rows that go by, counted and hashed; their order does not matter."""

    def __init__(self) -> None:
        self._rows = self._total = 0

    def add(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            self._total = (self._total + digest_row(row)) % _WHOLE
            self._rows += 1

    @property
    def sum(self) -> Sum:
        return Sum(self._rows, f"{self._total:064x}")


def _same(read: dict[str, Sum], written: dict[str, Sum]) -> None:
    wrong = sorted(n for n in read.keys() | written.keys() if read.get(n) != written.get(n))
    if wrong:
        raise NotTheSame(f"what was copied of {', '.join(wrong)} is not what was there")


def _tables(conn: Connection) -> list[Table]:
    """Those that others point to first."""
    found, parts = MetaData(), partitions.names(conn)  # these are read with what they are part of
    found.reflect(bind=conn, only=lambda name, _: name not in parts)
    return [table for table in found.sorted_tables if table.name != VERSION]


def _fill(old: Connection, new: Connection) -> dict[str, Sum]:
    there = {table.name: table for table in _tables(new)}
    for table in reversed(there.values()):
        new.execute(table.delete())  # what a migration itself puts in
    read = {}
    for table in _tables(old):
        counted = _Counted()
        target = there[table.name]
        insert = target.insert().values({c.name: _given(c, new) for c in target.columns})
        for rows in _rows(old, table):
            counted.add(rows)
            new.execute(insert, [{f"v_{k}": v for k, v in row.items()} for row in rows])
        read[table.name] = counted.sum
    return read


def _given(column: Column[Any], conn: Connection) -> Any:
    if not isinstance(column.type, JSON):
        return bindparam(f"v_{column.name}", type_=column.type)
    value = bindparam(f"v_{column.name}", type_=Text())
    return cast(value, JSON()) if conn.dialect.name == "postgresql" else value


def _taken(column: Column[Any], conn: Connection) -> Any:
    if not isinstance(column.type, JSON):
        return column
    words = cast if conn.dialect.name == "postgresql" else type_coerce
    return words(column, Text()).label(column.name)


def _rows(conn: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    query = select(*(_taken(c, conn) for c in table.columns))
    query = query.order_by(*table.primary_key.columns)
    result = conn.execution_options(yield_per=CHUNK).execute(query)
    for part in result.mappings().partitions(CHUNK):
        yield [dict(row) for row in part]
