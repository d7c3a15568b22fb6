"""The small questions of an idle ring in one statement: each is one index look-up, and what costs
is the asking."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, func, select, type_coerce

from server import tables as t
from server.store import batteries, sight

TERMINAL, INTERVAL, CHORE = t.table(t.Terminal), t.table(t.BlindInterval), t.table(t.Chore)
_MAINS = select(func.min(type_coerce(TERMINAL.c.mains_due_at, BigInteger))).where(
    TERMINAL.c.mains_due_at.is_not(None)
)
_OUTAGE = select(INTERVAL.c.id).where(INTERVAL.c.current == sight.NOW)
_DAY = select(CHORE.c.day).where(CHORE.c.name == batteries.NAME)
_AFTER = select(CHORE.c.after).where(CHORE.c.name == batteries.NAME)
_ALL = select(
    _MAINS.scalar_subquery(), _OUTAGE.scalar_subquery(), _DAY.scalar_subquery(),
    _AFTER.scalar_subquery(),
)  # fmt: skip


class Idle(NamedTuple):
    """`mains`: a loss of mains is to be judged; `outage`: one is not drained yet; `batteries`: the
    day last begun, and the last terminal read (None: that day is finished), None: never."""

    mains: bool
    outage: bool
    batteries: tuple[int, str | None] | None


def look(conn: Connection, now: datetime) -> Idle:
    """What there is to do beside rounds, ladders and heartbeats."""
    mains_ms, outage, day, after = conn.execute(_ALL).one()
    return Idle(
        mains_ms is not None and mains_ms <= t.to_ms(now),
        outage is not None,
        None if day is None else (day, after),
    )
