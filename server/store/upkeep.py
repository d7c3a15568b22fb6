"""Proofs that the database takes what we write, and repairs of what a crash or a clock left."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Connection, func, literal, select, text, update

from server import tables as t
from server.core.words import Delivery

MESSAGE, ALERT = t.table(t.Message), t.table(t.Alert)
COMMAND, GATEWAY = t.table(t.Command), t.table(t.Gateway)


def touch(conn: Connection) -> None:
    """Write one row as it is: a full disk, a read-only file or somebody's lock shows here."""
    conn.execute(text("UPDATE alembic_version SET version_num = version_num"))


def orphans_due(conn: Connection, now: datetime) -> int:
    """Make every leased message due; returns how many. Only for a process that has just started
    and is the only one to send: whoever leased them is dead. They are still `sending`, so each is
    looked up at the provider before it is sent again."""
    return conn.execute(
        update(MESSAGE)
        .where(
            MESSAGE.c.state == Delivery.SENDING.value, MESSAGE.c.due_at > now,
        )
        .values(due_at=now)
    ).rowcount  # fmt: skip


def last_instant(conn: Connection) -> datetime | None:
    """The latest instant at which we surely ran: a gateway was heard. None before the first."""
    last: datetime | None = conn.execute(select(func.max(GATEWAY.c.last_heard_at))).scalar_one()
    return last


def set_back(conn: Connection, by: timedelta, now: datetime) -> None:
    """Bring every deadline of ours along with a clock that was set back `by`: else a ladder's next
    step or a message's next try would wait that much longer. Rounds are times of day and stay."""
    ms = literal(round(by.total_seconds() * 1000), BigInteger)
    for column in (
        ALERT.c.next_step_at, ALERT.c.lease_until, ALERT.c.news_at, MESSAGE.c.due_at,
        COMMAND.c.due_at, COMMAND.c.expires_at,
    ):  # fmt: skip
        table = column.table
        conn.execute(
            update(table).where(column.is_not(None)).values({column.name: column - ms})
        )
    # A gateway that was heard "in the future" would look heard until then.
    for column in (GATEWAY.c.last_heard_at, GATEWAY.c.resumed_at):
        conn.execute(update(GATEWAY).where(column > now).values({column.name: now}))
