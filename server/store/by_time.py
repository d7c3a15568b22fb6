"""Where in a table that only grows a time begins, without an index on the time.

Ids and times of appended rows grow together, so a binary search over the primary key finds the
place in some twenty look-ups; an index on the time would cost every write of the hot path.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

SLACK = timedelta(hours=1)
"""On PostgreSQL a lower id may commit later, and clocks get set: start this much earlier."""


def first_id(conn: Connection, table: Any, at_column: str, at: datetime) -> int:
    """An id at or before the first row of `table` whose `at_column` is not before `at`.

    The caller still compares the time: some rows from there on may be older.
    """
    key, when, wanted = table.c.id, table.c[at_column], at - SLACK
    low, high = conn.execute(select(func.min(key), func.max(key))).one()
    if low is None:
        return 0
    high += 1
    while low < high:
        middle = (low + high) // 2
        row = conn.execute(
            select(key, when).where(key >= middle).order_by(key).limit(1)
        ).first()
        if row is not None and row[1] < wanted:
            low = row[0] + 1
        else:
            high = middle
    return int(low)
