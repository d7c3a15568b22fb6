"""The small questions of an idle ring in one statement: each is one index look-up, and what costs
is the asking."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, func, literal, select, type_coerce

from server import tables as t
from server.store import batteries, sight

TERMINAL, INTERVAL, CHORE = t.table(t.Terminal), t.table(t.BlindInterval), t.table(t.Chore)
_MAINS = select(func.min(type_coerce(TERMINAL.c.mains_due_at, BigInteger))).where(
    TERMINAL.c.mains_due_at.is_not(None)
)
_OUTAGE = select(INTERVAL.c.id).where(INTERVAL.c.current == sight.NOW)
_ONCE = select(literal(1).label("once")).subquery()
_ALL = select(
    _MAINS.scalar_subquery(), _OUTAGE.scalar_subquery(), CHORE.c.name, CHORE.c.day, CHORE.c.after
).select_from(_ONCE.outerjoin(CHORE, CHORE.c.name.startswith(batteries.NAME)))


class Idle(NamedTuple):
    """`mains`: a loss of mains is to be judged; `outage`: one is not drained yet; `batteries`: how
    far each of their readings has come (`batteries.progress`)."""

    mains: bool
    outage: bool
    batteries: dict[str, batteries.Progress]


def look(conn: Connection, now: datetime) -> Idle:
    """What there is to do beside rounds, ladders and heartbeats."""
    rows = conn.execute(_ALL).all()
    mains_ms, outage = rows[0][:2]
    return Idle(
        mains_ms is not None and mains_ms <= t.to_ms(now),
        outage is not None,
        {name: (day, after) for _, _, name, day, after in rows if name is not None},
    )
