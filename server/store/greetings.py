"""Greeting calls, and who is on the list for them."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from server import tables as t
from server.core.greetings import ALONE, GreetingOutcome
from server.store.signals import insert

GREETING, BUILDING = t.table(t.Greeting), t.table(t.Building)
RESIDENT, FLAT = t.table(t.Resident), t.table(t.Flat)


def add(conn: Connection, **columns: Any) -> int | None:
    """Write a call down; None when that turn of the day is there already."""
    statement = insert(conn, GREETING).values(**columns).on_conflict_do_nothing()
    return conn.execute(statement.returning(GREETING.c.id)).scalar_one_or_none()


def alone(
    conn: Connection, buildings: Collection[int] | None = None
) -> Sequence[RowMapping]:
    """Watched residents who live alone and are not away, with their door. Not of a rehearsal."""
    query = (
        select(
            RESIDENT.c.id, RESIDENT.c.name, RESIDENT.c.sex, RESIDENT.c.phone,
            RESIDENT.c.risk_class, RESIDENT.c.last_sign_at, FLAT.c.label,
            BUILDING.c.number.label("building_number"),
        )
        .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .where(
            RESIDENT.c.state == "active", RESIDENT.c.living == ALONE,
            BUILDING.c.rehearsal.is_(False),
        )
    )  # fmt: skip
    if buildings is not None:
        query = query.where(RESIDENT.c.building_id.in_(buildings))
    return conn.execute(query).mappings().all()


def of_day(conn: Connection, day: date) -> Sequence[RowMapping]:
    """All calls of a day, oldest first."""
    query = select(GREETING).where(GREETING.c.day == day).order_by(GREETING.c.id)
    return conn.execute(query).mappings().all()


def of_resident(conn: Connection, resident_id: int, limit: int) -> Sequence[RowMapping]:
    """The last calls to one resident, newest first."""
    query = select(GREETING).where(GREETING.c.resident_id == resident_id)
    return conn.execute(query.order_by(GREETING.c.id.desc()).limit(limit)).mappings().all()


def turns(conn: Connection, resident_id: int, day: date) -> Sequence[RowMapping]:
    """The calls of one day to one resident, by turn."""
    query = select(GREETING).where(GREETING.c.resident_id == resident_id, GREETING.c.day == day)
    return conn.execute(query.order_by(GREETING.c.turn)).mappings().all()


def last_greeted(conn: Connection, since: date) -> dict[int, datetime]:
    """Resident → their last call that was answered, since a day."""
    query = (
        select(GREETING.c.resident_id, func.max(GREETING.c.at))
        .where(GREETING.c.outcome != GreetingOutcome.NO_ANSWER, GREETING.c.day >= since)
        .group_by(GREETING.c.resident_id)
    )
    return {row[0]: row[1] for row in conn.execute(query)}


def set_request(conn: Connection, greeting_id: int, **values: Any) -> None:
    """Note what became of a call."""
    conn.execute(GREETING.update().where(GREETING.c.id == greeting_id).values(**values))
