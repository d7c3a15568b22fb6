"""The history of the register's changes: read by what it is about, and by time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select

from server import tables as t

CHANGE, RESIDENT = t.table(t.RegisterChange), t.table(t.Resident)
COMMUNITY, BUILDING = t.table(t.Community), t.table(t.Building)
PERSON = t.table(t.Person)
_HELD = {"resident": RESIDENT, "building": BUILDING, "community": COMMUNITY, "person": PERSON}


def hold(conn: Connection, kind: str, number: int) -> None:
    """Nobody else changes this resident, building, community or person by a form until the end of
    this transaction. (SQLite has one writer anyway.)"""
    table = _HELD[kind]
    conn.execute(select(table.c.id).where(table.c.id == number).with_for_update())


def newest(conn: Connection, subjects: Sequence[str]) -> int:
    """The number of the newest change of these subjects; 0: there is none."""
    query = select(func.max(CHANGE.c.id)).where(CHANGE.c.subject.in_(subjects))
    return conn.execute(query).scalar() or 0


def after(conn: Connection, subjects: Sequence[str], seen: int) -> Sequence[RowMapping]:
    """What changed of these subjects since the change of number `seen`, in order."""
    query = select(CHANGE).where(CHANGE.c.subject.in_(subjects), CHANGE.c.id > seen)
    return conn.execute(query.order_by(CHANGE.c.id)).mappings().all()


def between(
    conn: Connection, subjects: Sequence[str], since: datetime | None, until: datetime | None,
    limit: int,
) -> Sequence[RowMapping]:
    """The changes of these subjects from `since` on and before `until`; the newest first."""
    query = select(CHANGE).where(CHANGE.c.subject.in_(subjects))
    if since is not None:
        query = query.where(CHANGE.c.at >= since)
    if until is not None:
        query = query.where(CHANGE.c.at < until)
    return conn.execute(query.order_by(CHANGE.c.id.desc()).limit(limit)).mappings().all()
