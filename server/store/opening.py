"""New alerts: their ids and codes, and all of their rows at once.

An alert is written once, complete, and told of as it was written, without being read back
(tests/integration/test_alerts_as_stored.py compares the two).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, Integer, TextClause, func, select, text

from server import tables as t
from server.core import alerts as core
from server.core.words import Kind
from server.store import bulk
from server.store.alerts import ALERT, Stored, add_items, as_loaded, columns_of

CODE_REST = timedelta(days=30)
"""A code rests this long before another alert may carry it: an old SMS must open nothing new."""


def _numbers(conn: Connection, count: int) -> list[int]:
    """Ids for so many new alerts: an alert's code comes of its id, and both are written at once."""
    if conn.dialect.name == "sqlite":  # one writer, this one
        newest = int(conn.execute(_NEWEST).scalar_one())
        return list(range(newest + 1, newest + 1 + count))
    return list(conn.execute(_DRAW, {"count": count}).scalars())


_NEWEST = select(func.coalesce(func.max(ALERT.c.id), 0))
_DRAW = text(
    "SELECT nextval(pg_get_serial_sequence('alert', 'id')) FROM generate_series(1, :count)"
)


def _codes(conn: Connection, alert_ids: Sequence[int], now: datetime) -> dict[int, str]:
    """For each of these new alerts a code of four digits (more when busy) that none carries that is
    open, or was opened or closed in the last 30 days: somebody may still answer it."""
    left, given = list(alert_ids), dict[int, str]()
    rests_since = t.to_ms(now - CODE_REST)
    for digits in (4, 5, 6):
        if not left:
            return given
        base = 10 ** (digits - 1)
        # 7919 is prime: neighbours differ
        codes = {str(base + alert_id * 7919 % (9 * base)): alert_id for alert_id in left}
        asked = {**bulk.listed(codes), "rests_since": rests_since}
        for code in conn.execute(_codes_used(conn.dialect.name), asked).scalars():
            del codes[code]
        given |= {alert_id: code for code, alert_id in codes.items()}
        left = [alert_id for alert_id in left if alert_id not in given]
    if left:
        raise RuntimeError("all codes of 4 to 6 digits are taken: 900,000 alerts in 30 days")
    return given


@cache
def _codes_used(dialect: str) -> TextClause:
    rests = "(opened_at > :rests_since OR resolved_at > :rests_since OR state <> 'resolved')"
    if dialect == "sqlite":
        return text(
            f"SELECT DISTINCT code FROM alert WHERE code IN {bulk.among(dialect)} AND {rests}"  # noqa: S608
        )
    # Code by code, by the index: in a round the table grows faster than the planner hears of it,
    # which would read all of it.
    return text(
        "SELECT c.code FROM jsonb_array_elements_text(CAST(:rows AS jsonb)) AS c(code)"  # noqa: S608
        f" CROSS JOIN LATERAL (SELECT 1 FROM alert WHERE alert.code = c.code AND {rests} LIMIT 1)"
        " AS used"
    )


def create(
    conn: Connection, alert: core.Alert, now: datetime, **facts: Any
) -> Stored | None:
    """Insert a new alert with its items and code; None when one on this subject is open already
    (another writer was first; on PostgreSQL it may have been so after we looked)."""
    return create_many(conn, [(alert, facts)], now)[0]


_BLANK: Mapping[str, Any] = {
    **dict.fromkeys(ALERT.c.keys()), "code": "", "version": 0, "detail": "", "test": False,
    "late": False,
}  # fmt: skip
_KINDS: Sequence[tuple[type, bulk.Kind]] = (
    (t.Instant, "bigint"), (Integer, "bigint"), (Boolean, "boolean"), (JSON, "json"),
)  # fmt: skip


def _kind(name: str) -> bulk.Kind:
    type_ = ALERT.c[name].type
    return next((kind for known, kind in _KINDS if isinstance(type_, known)), "text")


_COLUMNS: bulk.Columns = tuple((column.name, _kind(column.name)) for column in ALERT.c)


def create_many(
    conn: Connection, wanted: Sequence[tuple[core.Alert, Mapping[str, Any]]], now: datetime
) -> list[Stored | None]:
    """`create` for many alerts at once, in order."""
    if not wanted:
        return []
    ids = _numbers(conn, len(wanted))
    answered = [n for n, (alert, _) in zip(ids, wanted, strict=True) if alert.kind != Kind.FAULT]
    codes = _codes(conn, answered, now)
    rows = [
        {**_BLANK, **facts, **columns_of(alert), "id": alert_id, "code": codes.get(alert_id, "")}
        for alert_id, (alert, facts) in zip(ids, wanted, strict=True)
    ]
    assert all(len(row) == len(_COLUMNS) for row in rows), "a fact that no column is for"
    made = bulk.insert_new(conn, "alert", _COLUMNS, [tuple(row.values()) for row in rows])
    add_items(conn, [
        (alert_id, item)
        for alert_id, (alert, _) in zip(ids, wanted, strict=True) if alert_id in made
        for item in alert.items
    ])  # fmt: skip
    return [
        Stored(row, as_loaded(alert)) if row["id"] in made else None
        for row, (alert, _) in zip(rows, wanted, strict=True)
    ]
