"""Many rows in one statement: they travel as one JSON parameter, and the database unpacks them.

For the paths where rows come in hundreds (check-ins, presence, the journal, a missed round). The
text of the statement stays the same whatever their number, so nothing is compiled twice, and no
value is bound one by one: 500 check-ins were 130 ms of CPU otherwise, nearly all of it binding.
It must never build SQL out of anything but names of our own tables and columns.
"""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Connection, CursorResult, TextClause, text

from server.tables import to_ms

Kind = Literal["text", "bigint", "integer", "boolean", "json"]
Columns = tuple[tuple[str, Kind], ...]
"""Name and type of each value of a row, in order."""


@lru_cache(maxsize=64)
def _source(dialect: str, columns: Columns) -> str:
    if dialect == "sqlite":
        fields = [
            f"json_extract(value, '$[{n}]') AS {name}" for n, (name, _) in enumerate(columns)
        ]
        return f"SELECT {', '.join(fields)} FROM json_each(:rows)"
    fields = [
        f"value -> {n} AS {name}" if kind == "json" else f"CAST(value ->> {n} AS {kind}) AS {name}"
        for n, (name, kind) in enumerate(columns)
    ]
    return f"SELECT {', '.join(fields)} FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS e(value)"


@lru_cache(maxsize=64)
def _insert(
    dialect: str, table: str, columns: Columns, conflict: str, returning: str
) -> TextClause:
    names, source = ", ".join(name for name, _ in columns), _source(dialect, columns)
    # WHERE true: without it SQLite reads ON CONFLICT as a join's ON.
    words = f"INSERT INTO {table} ({names}) SELECT {names} FROM ({source}) AS r WHERE true"
    if conflict:
        words += f" ON CONFLICT {conflict}"
    return text(words + (f" RETURNING {returning}" if returning else ""))


@lru_cache(maxsize=64)
def _update(dialect: str, table: str, columns: Columns, changes: str) -> TextClause:
    key = columns[0][0]
    return text(
        f"UPDATE {table} SET {changes} FROM ({_source(dialect, columns)}) AS r"
        f" WHERE {table}.id = r.{key}"
    )


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return to_ms(value)
    raise TypeError(f"{type(value).__name__} can't be stored in bulk")


NUL = "\\u0000"
_dumps = json.JSONEncoder(default=_plain, separators=(",", ":")).encode


def insert(
    conn: Connection,
    table: str,
    columns: Columns,
    rows: Sequence[Sequence[Any]],
    *,
    conflict: str = "",
    returning: str = "",
) -> CursorResult[Any]:
    """Insert `rows`, in order. `conflict`: what follows ON CONFLICT; `returning`: columns."""
    statement = _insert(conn.dialect.name, table, columns, conflict, returning)
    return conn.execute(statement, _parameter(conn, rows))


def insert_new(
    conn: Connection, table: str, columns: Columns, rows: Sequence[Sequence[Any]]
) -> set[int]:
    """Insert `rows`, whose first value is an `id` that no row has yet, but for those that a unique
    index forbids; returns the ids of those that are in. Of many columns, and not that many rows:
    there SQLite binds faster than it unpacks."""
    if conn.dialect.name != "sqlite":
        found = insert(conn, table, columns, rows, conflict="DO NOTHING", returning="id")
        return set(found.scalars())
    columns, bound = _bindable(columns, rows)
    done = conn.exec_driver_sql(_bound(table, columns), bound)
    ids = [row[0] for row in rows]
    if done.rowcount == len(rows):
        return set(ids)
    query = text(f"SELECT id FROM {table} WHERE id IN {among('sqlite')}")
    return set(conn.execute(query, listed(ids)).scalars())


@lru_cache(maxsize=16)
def _bound(table: str, columns: Columns) -> str:
    names, marks = ", ".join(name for name, _ in columns), ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"


def _bindable(
    columns: Columns, rows: Sequence[Sequence[Any]]
) -> tuple[Columns, list[tuple[Any, ...]]]:
    """The columns that have a value in any row, and these of each row; the others become NULL by
    themselves. To sqlite3 a NULL is more work than a value, and an alert is half NULL."""
    kept, found = [], []
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        if values.count(None) < len(values):
            kept.append(column)
            found.append(_written(column[1], values))
    return tuple(kept), list(zip(*found, strict=True))


def _written(kind: Kind, values: Sequence[Any]) -> Sequence[Any]:
    """As sqlite3 takes them. What is JSON is written once for all rows that have the very same: the
    alerts of a round have one ladder."""
    if kind == "bigint":
        return [to_ms(v) if type(v) is datetime else v for v in values]
    if kind != "json":
        return values
    known: dict[int, str | None] = {id(None): None}
    for value in values:
        if id(value) not in known:
            known[id(value)] = "[]" if value == [] else _dumps(value)
    return [known[id(value)] for value in values]


def update(
    conn: Connection, table: str, columns: Columns, rows: Sequence[Sequence[Any]], changes: str
) -> None:
    """Update the rows of `table` whose id is the first value of one of `rows`; `changes` is what
    follows SET, with the other values as `r.<name>`."""
    if rows:
        statement = _update(conn.dialect.name, table, columns, changes)
        conn.execute(statement, _parameter(conn, rows))


def _parameter(conn: Connection, rows: Sequence[Sequence[Any]]) -> dict[str, str]:
    words = _dumps(rows)
    if conn.dialect.name != "sqlite" and NUL in words:
        # PostgreSQL keeps no NUL in a text. A mark in its place is better than a lost message.
        words = words.replace(NUL, "\\ufffd")
    return {"rows": words}


@lru_cache(maxsize=2)
def among(dialect: str, kind: Kind = "text") -> str:
    """A subquery of the values of the JSON list `:rows`, for IN."""
    if dialect == "sqlite":
        return "(SELECT value FROM json_each(:rows))"
    return f"(SELECT CAST(value AS {kind}) FROM jsonb_array_elements_text(CAST(:rows AS jsonb)))"


def listed(values: Collection[Any]) -> dict[str, str]:
    """The parameter of `among`."""
    return {"rows": _dumps(list(values))}
