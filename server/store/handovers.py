"""Handovers, and what a shift has to tell the next one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, or_, select

from server import tables as t
from server.core.words import Fault, Kind, State

HANDOVER, ALERT = t.table(t.Handover), t.table(t.Alert)
RESIDENT, FLAT, BUILDING = t.table(t.Resident), t.table(t.Flat), t.table(t.Building)
PERSON, ASSIGNMENT = t.table(t.Person), t.table(t.Assignment)


def add(conn: Connection, **columns: Any) -> int:
    """Write one down; returns its id."""
    statement = insert(HANDOVER).values(**columns).returning(HANDOVER.c.id)
    return int(conn.execute(statement).scalar_one())


def recent(conn: Connection, limit: int) -> Sequence[RowMapping]:
    """The last ones, newest first, without what they told."""
    columns = [c for c in HANDOVER.c if c.name != "picture"]
    query = select(*columns).order_by(HANDOVER.c.id.desc()).limit(limit)
    return conn.execute(query).mappings().all()


def one(conn: Connection, handover_id: int) -> RowMapping | None:
    """One with all that it told."""
    query = select(HANDOVER).where(HANDOVER.c.id == handover_id)
    return conn.execute(query).mappings().first()


def blind_since(
    conn: Connection, since: datetime, limit: int
) -> list[tuple[datetime, datetime | None]]:
    """Times in which no gateway was heard, from and to (None: still), that reach into the time
    after `since`, the newest first."""
    query = (
        select(ALERT.c.opened_at, ALERT.c.resolved_at, ALERT.c.detail)
        .where(
            ALERT.c.kind == Kind.FAULT,
            ALERT.c.fault == Fault.BLIND,
            or_(ALERT.c.resolved_at.is_(None), ALERT.c.resolved_at > since),
        )
        .order_by(ALERT.c.opened_at.desc())
        .limit(limit)
    )
    return [(_began(r[2], r[0]), r[1]) for r in conn.execute(query)]


def _began(detail: str, opened_at: datetime) -> datetime:
    """Since when nothing was heard: the fault says so; it opened a little later."""
    try:
        began = datetime.fromisoformat(detail)
    except ValueError:
        return opened_at
    return min(began, opened_at) if began.tzinfo else opened_at


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
