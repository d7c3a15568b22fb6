"""Proofs that the database takes what we write, and repairs at a start."""

from datetime import datetime

from sqlalchemy import Connection, text, update

from server import tables as t
from server.core.words import Delivery

MESSAGE = t.table(t.Message)


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
