"""The small questions of an idle ring in one statement: each is one index look-up, and what costs
is the asking."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ScalarSelect,
    TextClause,
    func,
    literal,
    select,
    text,
    type_coerce,
)

from server import tables as t
from server.store import batteries, sight

TERMINAL, INTERVAL, CHORE = t.table(t.Terminal), t.table(t.BlindInterval), t.table(t.Chore)
RESIDENT, ALERT = t.table(t.Resident), t.table(t.Alert)


def _first(instant: Column[Any], of: TextClause | None = None) -> ScalarSelect[Any]:
    """The earliest, in milliseconds; by the words of a partial index, which SQLite would not take
    for a parameter."""
    found = select(func.min(type_coerce(instant, BigInteger)))
    return found.where(instant.is_not(None) if of is None else of).scalar_subquery()


_OUTAGE = select(INTERVAL.c.id).where(INTERVAL.c.current == sight.NOW)
_ONCE = select(literal(1).label("once")).subquery()
_ALL = select(
    _first(TERMINAL.c.mains_due_at), _first(ALERT.c.next_step_at),
    _first(RESIDENT.c.next_due_at, text("resident.state = 'active'")),
    _OUTAGE.scalar_subquery(), CHORE.c.name, CHORE.c.day, CHORE.c.after,
).select_from(_ONCE.outerjoin(CHORE, CHORE.c.name.startswith(batteries.NAME)))


class Idle(NamedTuple):
    """`mains`: a loss of mains is to be judged; `steps`: ladders are to be climbed; `residents`: a
    deadline has come; `outage`: one is not drained yet; `batteries`: how far each of their readings
    has come (`batteries.progress`). `next_at`: when the next step or deadline comes."""

    mains: bool
    steps: bool
    residents: bool
    outage: bool
    batteries: dict[str, batteries.Progress]
    next_at: datetime | None


def look(conn: Connection, now: datetime) -> Idle:
    """What there is to do beside the clock's rounds and heartbeats."""
    rows = conn.execute(_ALL).all()
    # What is no instant is mended by whoever meets the row. Here it must hinder nothing: what is
    # due is found beside it, and of what is coming it is nothing.
    instants = [ms if isinstance(ms, int) else None for ms in rows[0][:3]]
    mains, steps, residents = (ms is not None and ms <= t.to_ms(now) for ms in instants)
    coming = [ms for ms in instants[1:] if ms is not None and t.to_ms(now) < ms <= t.LATEST_MS]
    return Idle(
        mains, steps, residents, rows[0][3] is not None,
        {name: (day, after) for *_, name, day, after in rows if name is not None},
        t.from_ms(min(coming)) if coming else None,
    )  # fmt: skip
