"""Handovers, and what a shift has to tell the next one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, or_, select

from server import tables as t
from server.core.words import Kind, State

HANDOVER, ALERT = t.table(t.Handover), t.table(t.Alert)
RESIDENT, FLAT, BUILDING = t.table(t.Resident), t.table(t.Flat), t.table(t.Building)
PERSON, ASSIGNMENT, BLIND = t.table(t.Person), t.table(t.Assignment), t.table(t.BlindInterval)


def add(conn: Connection, **columns: Any) -> int:
    """Write one down; returns its id."""
    statement = insert(HANDOVER).values(**columns).returning(HANDOVER.c.id)
    return int(conn.execute(statement).scalar_one())


def recent(conn: Connection, limit: int) -> Sequence[RowMapping]:
    """The last ones, newest first, without what they told."""
    columns = [c for c in HANDOVER.c if c.name != "picture"]
    query = select(*columns).order_by(HANDOVER.c.id.desc()).limit(limit)
    return conn.execute(query).mappings().all()


def newest_at(conn: Connection) -> datetime | None:
    """When a shift was last handed over; None before the first time."""
    query = select(HANDOVER.c.at).order_by(HANDOVER.c.id.desc()).limit(1)
    found: datetime | None = conn.execute(query).scalar_one_or_none()
    return found


def one(conn: Connection, handover_id: int) -> RowMapping | None:
    """One with all that it told."""
    query = select(HANDOVER).where(HANDOVER.c.id == handover_id)
    return conn.execute(query).mappings().first()


def blind_since(
    conn: Connection, since: datetime, limit: int
) -> list[tuple[datetime, datetime | None]]:
    """Times in which we could not hear the terminals, from and to (None: still), that reach past
    `since`, the newest first."""
    query = (
        select(BLIND.c.started_at, BLIND.c.ended_at)
        .where(or_(BLIND.c.ended_at.is_(None), BLIND.c.ended_at > since))
        .order_by(BLIND.c.id.desc())
        .limit(limit)
    )
    return [(r[0], r[1]) for r in conn.execute(query)]


def opened_since(conn: Connection, since: datetime, limit: int) -> list[int]:
    """Ids of the alerts of the shift, the newest `limit`; tests and faults aside."""
    query = (
        select(ALERT.c.id)
        .where(ALERT.c.opened_at > since, ALERT.c.test.is_(False), ALERT.c.kind != Kind.FAULT)
        .order_by(ALERT.c.opened_at.desc())
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def closed_with_a_note(conn: Connection, since: datetime, limit: int) -> list[int]:
    """Ids of the alerts that ended after `since` and about which somebody wrote something."""
    query = (
        select(ALERT.c.id)
        .where(
            ALERT.c.state == State.RESOLVED, ALERT.c.opened_at > since, ALERT.c.note != ""
        )
        .order_by(ALERT.c.opened_at.desc())
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def homes_away(conn: Connection, limit: int) -> Sequence[RowMapping]:
    """Doors behind which nobody is awaited for now, the first to be back first."""
    query = (
        select(BUILDING.c.number, FLAT.c.floor, FLAT.c.label, RESIDENT.c.absent_until)
        .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .where(RESIDENT.c.state == "paused", RESIDENT.c.absent_until.is_not(None))
        .order_by(RESIDENT.c.absent_until, RESIDENT.c.id)
        .limit(limit)
    )
    return conn.execute(query).mappings().all()


def people_away(conn: Connection, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Stewards and others who are passed over for now."""
    query = (
        select(PERSON.c.name, ASSIGNMENT.c.role, BUILDING.c.number, ASSIGNMENT.c.absent_until)
        .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
        .outerjoin(BUILDING, BUILDING.c.id == ASSIGNMENT.c.building_id)
        .where(ASSIGNMENT.c.absent_until > now, ASSIGNMENT.c.resident_id.is_(None))
        .order_by(BUILDING.c.number, ASSIGNMENT.c.id)
        .limit(limit)
    )
    return conn.execute(query).mappings().all()
