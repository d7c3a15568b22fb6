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
RESIDENT, ALERT, ROUND = t.table(t.Resident), t.table(t.Alert), t.table(t.Round)


def _first(instant: Column[Any], of: TextClause | None = None) -> ScalarSelect[Any]:
    """The earliest, in milliseconds; by the words of a partial index, which SQLite would not take
    for a parameter."""
    found = select(func.min(type_coerce(instant, BigInteger)))
    return found.where(instant.is_not(None) if of is None else of).scalar_subquery()


_OUTAGE = select(INTERVAL.c.id).where(INTERVAL.c.current == sight.NOW)
_ONCE = select(literal(1).label("once")).subquery()
_INSTANTS = (
    _first(ALERT.c.next_step_at),
    _first(RESIDENT.c.next_due_at, text("resident.state = 'active'")),
    _first(TERMINAL.c.mains_due_at),
    _first(TERMINAL.c.heartbeat_due_at, text("terminal.state = 'active'")),
    _first(RESIDENT.c.absent_until, text("resident.state = 'paused'")),
    _first(ALERT.c.emergency_look_at),
    _first(ROUND.c.next_at),
)
_ALL = select(
    *_INSTANTS, _OUTAGE.scalar_subquery(), CHORE.c.name, CHORE.c.day, CHORE.c.after
).select_from(_ONCE.outerjoin(CHORE, CHORE.c.name.startswith(batteries.NAME)))


class Idle(NamedTuple):
    """`steps`: ladders are to be climbed; `residents`: a deadline has come; `mains`: a loss is to
    be judged; `devices`: a heartbeat did not come; `absences`: one is over; `emergencies`: a clock
    of 120 is to be looked at; `rounds`: one is to be counted or asked about; `outage`: one is not
    drained yet; `batteries`: how far each of their readings has come (`batteries.progress`).
    `next_at`: when the next step or deadline comes."""

    steps: bool
    residents: bool
    mains: bool
    devices: bool
    absences: bool
    emergencies: bool
    rounds: bool
    outage: bool
    batteries: dict[str, batteries.Progress]
    next_at: datetime | None


def look(conn: Connection, now: datetime) -> Idle:
    """What there is to do beside what the clock alone tells."""
    rows = conn.execute(_ALL).all()
    # What is no instant is mended by whoever meets the row. Here it must hinder nothing: what is
    # due is found beside it, and of what is coming it is nothing.
    many = len(_INSTANTS)
    instants = [ms if isinstance(ms, int) else None for ms in rows[0][:many]]
    steps, residents, mains, devices, absences, emergencies, rounds = (
        ms is not None and ms <= t.to_ms(now) for ms in instants
    )
    coming = [ms for ms in instants[:2] if ms is not None and t.to_ms(now) < ms <= t.LATEST_MS]
    return Idle(
        steps, residents, mains, devices, absences, emergencies, rounds,
        outage=rows[0][many] is not None,
        batteries={name: (day, after) for *_, name, day, after in rows if name is not None},
        next_at=t.from_ms(min(coming)) if coming else None,
    )  # fmt: skip
