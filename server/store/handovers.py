"""Handovers, and what a shift has to tell the next one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    func,
    insert,
    or_,
    select,
    true,
)

from server import tables as t
from server.core.access import EVERYWHERE, Scope
from server.core.words import Kind, State
from server.store.scopes import FIRST

HANDOVER, ALERT = t.table(t.Handover), t.table(t.Alert)
RESIDENT, FLAT, BUILDING = t.table(t.Resident), t.table(t.Flat), t.table(t.Building)
PERSON, ASSIGNMENT, BLIND = t.table(t.Person), t.table(t.Assignment), t.table(t.BlindInterval)


def add(conn: Connection, **columns: Any) -> int:
    """Write one down; returns its id."""
    statement = insert(HANDOVER).values(**columns).returning(HANDOVER.c.id)
    return int(conn.execute(statement).scalar_one())


def _of_desk(community_id: int | None) -> ColumnElement[bool]:
    """Of a handover: of this community's desk; those of before there were several are the first
    community's. None: of before there was any."""
    if community_id is None:
        return HANDOVER.c.community_id.is_(None)
    return func.coalesce(HANDOVER.c.community_id, FIRST) == community_id


def recent(conn: Connection, limit: int, community_id: int | None) -> Sequence[RowMapping]:
    """The last ones of a community's desk, newest first, without what they told."""
    columns = [c for c in HANDOVER.c if c.name != "picture"]
    query = select(*columns).where(_of_desk(community_id)).order_by(HANDOVER.c.id.desc())
    return conn.execute(query.limit(limit)).mappings().all()


def newest_at(conn: Connection, scope: Scope = EVERYWHERE) -> datetime | None:
    """When a shift was last handed over at a desk of whoever asks: of the communities whose houses
    they have. None before the first time."""
    query = select(HANDOVER.c.at).order_by(HANDOVER.c.id.desc()).limit(1)
    if scope.buildings is not None:
        theirs = select(BUILDING.c.community_id).where(BUILDING.c.id.in_(scope.buildings))
        query = query.where(func.coalesce(HANDOVER.c.community_id, FIRST).in_(theirs))
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


def _concerns(column: ColumnElement[Any], community_id: int | None) -> ColumnElement[bool]:
    """Of something about a building or about none: it concerns this community. What is about no
    house is about all."""
    if community_id is None:
        return true()
    theirs = select(BUILDING.c.id).where(BUILDING.c.community_id == community_id)
    return column.is_(None) | column.in_(theirs)


def opened_since(
    conn: Connection, since: datetime, limit: int, community_id: int | None
) -> list[int]:
    """Ids of the alerts of the shift that concern a community, the newest `limit`; tests and faults
    aside."""
    query = (
        select(ALERT.c.id)
        .where(
            ALERT.c.opened_at > since, ALERT.c.test.is_(False), ALERT.c.kind != Kind.FAULT,
            _concerns(ALERT.c.building_id, community_id),
        )
        .order_by(ALERT.c.opened_at.desc())
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def closed_with_a_note(
    conn: Connection, since: datetime, limit: int, community_id: int | None
) -> list[int]:
    """Ids of the alerts that ended after `since`, that concern a community and about which somebody
    wrote something."""
    query = (
        select(ALERT.c.id)
        .where(
            ALERT.c.state == State.RESOLVED, ALERT.c.opened_at > since, ALERT.c.note != "",
            _concerns(ALERT.c.building_id, community_id),
        )
        .order_by(ALERT.c.opened_at.desc())
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def homes_away(
    conn: Connection, limit: int, community_id: int | None
) -> Sequence[RowMapping]:
    """A community's doors behind which nobody is awaited for now, the first to be back first."""
    query = (
        select(BUILDING.c.number, FLAT.c.floor, FLAT.c.label, RESIDENT.c.absent_until)
        .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .where(
            RESIDENT.c.state == "paused", RESIDENT.c.absent_until.is_not(None),
            BUILDING.c.community_id == community_id,
        )
        .order_by(RESIDENT.c.absent_until, RESIDENT.c.id)
        .limit(limit)
    )
    return conn.execute(query).mappings().all()


def people_away(
    conn: Connection, now: datetime, limit: int, community_id: int | None
) -> Sequence[RowMapping]:
    """A community's stewards, and people of its desk and offices, who are passed over for now."""
    query = (
        select(PERSON.c.name, ASSIGNMENT.c.role, BUILDING.c.number, ASSIGNMENT.c.absent_until)
        .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
        .outerjoin(BUILDING, BUILDING.c.id == ASSIGNMENT.c.building_id)
        .where(
            ASSIGNMENT.c.absent_until > now, ASSIGNMENT.c.resident_id.is_(None),
            func.coalesce(ASSIGNMENT.c.community_id, BUILDING.c.community_id) == community_id,
        )
        .order_by(BUILDING.c.number, ASSIGNMENT.c.id)
        .limit(limit)
    )
    return conn.execute(query).mappings().all()
