"""Moves a whole database from one place to another, SQLite or PostgreSQL, and proves it row by row.

An embedded community enters the network edition this way, or leaves it. The target must be empty,
and nothing is written to it before everything is: one transaction. It must never change the source.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    Table,
    create_engine,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from server import migrate, schema, tables, wakeups
from server.store import partitions
from server.tables import to_ms

assert tables  # the import fills the metadata
CHUNK = 1000
_WHOLE = 2**256


class CanNotMove(Exception):
    """Source or target is not fit for it; the words say what to do."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What a table holds: how many rows, and a sum over the hash of each."""

    rows: int
    digest: str


def shown(url: str) -> str:
    """A database's address as it may be printed."""
    return make_url(url).render_as_string(hide_password=True)


def copy(source: str, target: str, say: Callable[[str], None]) -> dict[str, Sum]:
    """Copy everything; `say` gets a line a table. Returns what was verified, by table.

    Raises CanNotMove: the source is missing, at another revision, in use or written to meanwhile;
    the target is not empty; or a table differs afterwards.
    """
    if make_url(source) == make_url(target):
        raise CanNotMove("source and target are the same database")
    _fit_as_source(source)
    _fit_as_target(target)
    if schema.current(target) is None:
        migrate.upgrade(target)
    with connected(source) as old, connected(target) as new:
        make_room(old, new)
        for table in SQLModel.metadata.sorted_tables:
            rows = _copy_table(old, new, table)
            if rows:
                say(f"{table.name}: {rows} rows copied")
        if new.dialect.name == "postgresql":
            for table in SQLModel.metadata.sorted_tables:
                set_sequence(new, table)
        new.commit()
    # Both anew, in views of their own: what was written to the source meanwhile must show.
    before, after = sums(source), sums(target)
    wrong = [name for name in before if before[name] != after[name]]
    if wrong:
        raise CanNotMove(
            f"{', '.join(wrong)}: source and target differ. Was a server still writing? Stop it,"
            " empty the target and copy again; do not use this target"
        )
    return after


def _fit_as_source(url: str) -> None:
    have, need = _revision(url), schema.newest()
    if have is None:
        raise CanNotMove(f"there is no Xunlou database at {shown(url)}: check --from")
    if have != need:
        raise CanNotMove(f"{shown(url)} is at revision {have}, this code needs {need}:"
                         " run `xunlou db upgrade` with XUNLOU_DATABASE_URL set to it")  # fmt: skip
    _nobody_works_on(url)


def _fit_as_target(url: str) -> None:
    have, need = _revision(url, make=True), schema.newest()
    if have not in (None, need):
        raise CanNotMove(f"{shown(url)} is at revision {have}, this code needs {need}:"
                         " take an empty database")  # fmt: skip
    with connected(url) as conn:
        there = set(inspect(conn).get_table_names())
        full = [
            f"{table.name} ({rows})"
            for table in SQLModel.metadata.sorted_tables
            if table.name in there and (rows := _count(conn, table))
        ]
        strange = there - {table.name for table in SQLModel.metadata.sorted_tables}
    if full or (have is None and there):
        what = ", ".join(full) or ", ".join(sorted(strange or there))
        raise CanNotMove(f"{shown(url)} is not empty ({what}): nothing was changed; take an"
                         " empty database")  # fmt: skip
    _nobody_works_on(url)


def _revision(url: str, *, make: bool = False) -> str | None:
    """The revision; with `make` a missing SQLite file is fine."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not make:
        from pathlib import Path

        if not Path(str(parsed.database)).is_file():
            return None
    try:
        return schema.current(url)
    except DBAPIError as error:
        raise CanNotMove(f"{shown(url)} can't be opened: {error.orig}") from error


def _nobody_works_on(url: str) -> None:
    if make_url(url).get_backend_name() == "sqlite":
        return  # a server leaves no mark there; what it writes shows when the tables are compared
    with connected(url) as conn:
        servers = wakeups.alive(conn)
    if servers:
        raise CanNotMove(f"{len(servers)} server(s) work on {shown(url)}: stop them first")


def _engine(url: str) -> Engine:
    return create_engine(url, poolclass=NullPool)


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection in one transaction: from its first look on it sees one state."""
    engine = _engine(url)
    with engine.connect() as conn:
        if conn.dialect.name == "sqlite":
            conn.exec_driver_sql("PRAGMA foreign_keys=ON")
            conn.exec_driver_sql("BEGIN")  # the driver would begin only at the first write
        else:
            conn.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            # The other side may be slow, and then this one waits (deploy/postgresql.conf: 30 s).
            conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield conn


def _count(conn: Connection, table: Table) -> int:
    return int(conn.execute(select(func.count()).select_from(table)).scalar_one())


def _rows(conn: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    query = select(table).order_by(*table.primary_key.columns)
    result = conn.execution_options(yield_per=CHUNK).execute(query)
    for part in result.mappings().partitions(CHUNK):
        yield [dict(row) for row in part]


def make_room(old: Connection, new: Connection) -> None:
    """Partitions for the events that are about to be copied, with the ids they have."""
    if new.dialect.name == "postgresql" and partitions.names(new):
        newest = old.execute(text("SELECT max(id) FROM signal")).scalar_one()
        partitions.make_up_to(new, newest or 0)


def _copy_table(old: Connection, new: Connection, table: Table) -> int:
    copied = 0
    for rows in _rows(old, table):
        new.execute(table.insert(), rows)
        copied += len(rows)
    return copied


def numbered(table: Table) -> str | None:
    """The column that the database numbers, if there is one."""
    columns = list(table.primary_key.columns)
    alone = len(columns) == 1 and isinstance(columns[0].type, Integer)
    return columns[0].name if alone else None


def set_sequence(conn: Connection, table: Table) -> None:
    """PostgreSQL goes on numbering after the highest number there is."""
    column = numbered(table)
    if column is None:
        return
    newest = conn.execute(select(func.max(table.c[column]))).scalar_one()
    if newest is not None:
        conn.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, :column), :newest)"),
            {"table": f'"{table.name}"', "column": column, "newest": newest},
        )


def _plain(value: Any) -> Any:
    """A value in the one form that is the same in both databases."""
    match value:
        case datetime():
            return to_ms(value)
        case date():
            return value.isoformat()
        case bytes() | memoryview():
            return bytes(value).hex()
        case _:
            return value


def digest_row(row: Mapping[str, Any]) -> int:
    """A number for what a row holds, the same in both databases."""
    plain = {name: _plain(value) for name, value in row.items()}
    written = json.dumps(plain, sort_keys=True, ensure_ascii=True).encode()
    return int.from_bytes(hashlib.sha256(written).digest())


def sums(url: str) -> dict[str, Sum]:
    """What each table holds. The order of rows does not matter: languages sort differently."""
    with connected(url) as conn:
        return {table.name: _sum(conn, table) for table in SQLModel.metadata.sorted_tables}


def _sum(conn: Connection, table: Table) -> Sum:
    rows = total = 0
    for part in _rows(conn, table):
        for row in part:
            total = (total + digest_row(row)) % _WHOLE
            rows += 1
    return Sum(rows, f"{total:064x}")


def check(url: str) -> tuple[dict[str, int], list[str]]:
    """Look a database through: rows by table, and what is wrong with it (empty: nothing)."""
    have, need = _revision(url), schema.newest()
    if have is None:
        return {}, [f"there is no Xunlou database at {shown(url)}; run `xunlou db upgrade`"]
    if have != need:
        return {}, [f"revision {have}, this code needs {need}: run `xunlou db upgrade`"]
    wrong = [f"differs from the code: {difference}" for difference in migrate.drift(url)]
    with connected(url) as conn:
        counts = {t.name: _count(conn, t) for t in SQLModel.metadata.sorted_tables}
        wrong += _sqlite_faults(conn) if conn.dialect.name == "sqlite" else _postgres_faults(conn)
    return counts, wrong


def _sqlite_faults(conn: Connection) -> list[str]:
    said = [row[0] for row in conn.exec_driver_sql("PRAGMA integrity_check")]
    faults = [f"the file is damaged: {line}; restore a backup" for line in said if line != "ok"]
    for name, row_id, other, _ in conn.exec_driver_sql("PRAGMA foreign_key_check"):
        faults.append(f"{name} row {row_id} points to a row of {other} that is not there")
    return faults


def _postgres_faults(conn: Connection) -> list[str]:
    faults = []
    for table in SQLModel.metadata.sorted_tables:
        column = numbered(table)
        if column is None:
            continue
        newest = conn.execute(select(func.max(table.c[column]))).scalar_one() or 0
        name = {"table": f'"{table.name}"', "column": column}
        sequence = conn.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"), name
        ).scalar_one()
        drawn = conn.exec_driver_sql(
            f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"  # noqa: S608 (a name the database gave)
        ).scalar_one()
        if drawn < newest:
            faults.append(f"{table.name}: its numbers stand at {drawn}, but {newest} is taken")
    if not conn.execute(
        text("SELECT 1 FROM pg_trigger WHERE tgname = 'journal_hold' AND tgenabled <> 'D'")
    ).first():
        faults.append("the journal's trigger is missing: the live feed could skip entries")
    for (index,) in conn.execute(
        text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
    ):
        faults.append(f"the index {index} is not valid: REINDEX INDEX {index}")
    return faults
