"""The small questions of an idle ring in one statement: each is one index look-up, and what costs
is the asking."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, func, select, type_coerce

from server import tables as t
from server.store import sight

TERMINAL, INTERVAL = t.table(t.Terminal), t.table(t.BlindInterval)
_MAINS = select(func.min(type_coerce(TERMINAL.c.mains_due_at, BigInteger))).where(
    TERMINAL.c.mains_due_at.is_not(None)
)
_OUTAGE = select(INTERVAL.c.id).where(INTERVAL.c.current == sight.NOW)
_ALL = select(_MAINS.scalar_subquery(), _OUTAGE.scalar_subquery())


class Idle(NamedTuple):
    """`mains`: a loss of mains is to be judged; `outage`: one is not drained yet."""

    mains: bool
    outage: bool


def look(conn: Connection, now: datetime) -> Idle:
    """What there is to do beside rounds, ladders and heartbeats."""
    mains_ms, outage = conn.execute(_ALL).one()
    return Idle(mains_ms is not None and mains_ms <= t.to_ms(now), outage is not None)
