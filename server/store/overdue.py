"""What should have been done by now and was not. Asked by the auditor, outside the sweep."""

from datetime import datetime

from sqlalchemy import Connection, select

from server import tables as t
from server.core.words import Fault, State
from server.store import alerts

ALERT, RESIDENT, MESSAGE = t.table(t.Alert), t.table(t.Resident), t.table(t.Message)
INTERVAL = t.table(t.BlindInterval)
SOS_LANE = 0
STEPS, ROUNDS, MESSAGES = "steps", "rounds", "messages"


def stuck(
    conn: Connection, before: datetime, before_rounds: datetime | None = None
) -> tuple[str, ...]:
    """Which kinds of work have something that was due before `before`; messages of the round lane,
    which wait for their sender's pace, before `before_rounds`."""
    looks = {
        STEPS: select(ALERT.c.id).where(ALERT.c.next_step_at < before),
        ROUNDS: select(RESIDENT.c.id).where(
            RESIDENT.c.next_due_at < before, RESIDENT.c.state == "active"
        ),
        MESSAGES: select(MESSAGE.c.id).where(
            (MESSAGE.c.due_at < (before_rounds or before))
            | ((MESSAGE.c.due_at < before) & (MESSAGE.c.lane == SOS_LANE))
        ),
    }
    return tuple(
        name for name, look in looks.items() if conn.execute(look.limit(1)).first() is not None
    )


def fault_open(conn: Connection, subject: str) -> bool:
    """Whether there is an unresolved fault on this subject."""
    query = select(ALERT.c.id).where(ALERT.c.subject == subject, ALERT.c.state != State.RESOLVED)
    return conn.execute(query).first() is not None


def blind(conn: Connection) -> bool:
    """Whether the chain is known to fail somewhere: no gateway sees, or what was queued is still
    coming in, or one gateway's canaries are lost."""
    return judging_waits(conn) or bool(
        alerts.open_faults(conn, [Fault.BLIND, Fault.CANARY_LOST])
    )


def judging_waits(conn: Connection) -> bool:
    """Whether rounds are late on purpose: nobody is judged while we are blind."""
    query = select(INTERVAL.c.id).where(INTERVAL.c.current.is_not(None))
    return conn.execute(query.limit(1)).first() is not None
