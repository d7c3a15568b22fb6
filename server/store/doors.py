"""Who lives behind which door, for the staff's pages. Never reads access notes; of the note on
risks only whether there is one."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, select

from server import tables as t
from server.core import houses
from server.core.words import Role

PERSON, ASSIGNMENT = t.table(t.Person), t.table(t.Assignment)
RESIDENT, FLAT, BUILDING = t.table(t.Resident), t.table(t.Flat), t.table(t.Building)
TERMINAL = t.table(t.Terminal)


def _residents() -> Select[Any]:
    return (
        select(
            RESIDENT.c.id, RESIDENT.c.flat_id, RESIDENT.c.building_id, RESIDENT.c.name,
            RESIDENT.c.birth_date, RESIDENT.c.sex, RESIDENT.c.living, RESIDENT.c.risk_class,
            RESIDENT.c.state, RESIDENT.c.next_due_at, RESIDENT.c.last_sign_at,
            RESIDENT.c.absent_until, (RESIDENT.c.risks != "").label("noted"),
            FLAT.c.label, FLAT.c.floor, FLAT.c.stairwell,
            BUILDING.c.number.label("building_number"),
            TERMINAL.c.id.label("terminal_id"), TERMINAL.c.status, TERMINAL.c.battery,
            TERMINAL.c.mains, TERMINAL.c.rssi, TERMINAL.c.last_seen_at, TERMINAL.c.firmware,
        )
        .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .outerjoin(TERMINAL, (TERMINAL.c.resident_id == RESIDENT.c.id)
                   & (TERMINAL.c.state == "active"))
        .where(RESIDENT.c.state != "ended")
        .order_by(BUILDING.c.number, FLAT.c.stairwell, FLAT.c.floor, FLAT.c.label, RESIDENT.c.id)
    )  # fmt: skip


def building(conn: Connection, number: int) -> RowMapping | None:
    """The building with this number."""
    query = select(BUILDING).where(BUILDING.c.number == number).order_by(BUILDING.c.id).limit(1)
    return conn.execute(query).mappings().first()


def community_id(conn: Connection, building_id: int) -> int:
    """The community in which a building (which must exist) stands."""
    query = select(BUILDING.c.community_id).where(BUILDING.c.id == building_id)
    return int(conn.execute(query).scalar_one())


def residents_of(conn: Connection, building_id: int) -> Sequence[RowMapping]:
    """The residents of a building with door and terminal, by stairwell, floor and label."""
    query = _residents().where(RESIDENT.c.building_id == building_id)
    return conn.execute(query).mappings().all()


def resident(conn: Connection, resident_id: int) -> RowMapping | None:
    """One resident with door and terminal."""
    query = _residents().where(RESIDENT.c.id == resident_id).limit(1)
    return conn.execute(query).mappings().first()


def search(
    conn: Connection, *, label: str, name: str, limit: int, building_number: int | None = None,
    sign: int | None = None, community_id: int | None = None,
    buildings: Collection[int] | None = None,
) -> Sequence[RowMapping]:
    """Residents whose flat is `label` (in `building_number`, or in the houses with this `sign`, if
    given) or whose name has `name` in it or sounds like it from its beginning on (pinyin,
    initials); with a building alone, all of its residents. `community_id`: of this one alone."""
    query = _residents().limit(limit)
    if building_number is not None:
        query = query.where(BUILDING.c.number == building_number)
    if sign is not None:
        query = query.where(BUILDING.c.number % houses.SPAN == sign)
    if community_id is not None:
        query = query.where(BUILDING.c.community_id == community_id)
    if buildings is not None:
        query = query.where(BUILDING.c.id.in_(buildings))
    if label:
        query = query.where(FLAT.c.label == label)
    if name:
        heard = "".join(name.split()).casefold()
        query = query.where(
            RESIDENT.c.name.contains(name, autoescape=True)
            | RESIDENT.c.sounds.startswith(heard, autoescape=True)
            | RESIDENT.c.sounds.contains(f" {heard}", autoescape=True)
        )
    return conn.execute(query).mappings().all()


_CONTACT = (
    PERSON.c.id, PERSON.c.name, PERSON.c.phone, PERSON.c.lang, PERSON.c.opted_out_at,
    PERSON.c.failing_since, ASSIGNMENT.c.role, ASSIGNMENT.c.position, ASSIGNMENT.c.absent_until,
    ASSIGNMENT.c.resident_id,
)  # fmt: skip


def behind(
    conn: Connection, building_id: int, resident_ids: Collection[int] = ()
) -> Sequence[RowMapping]:
    """The contacts of a building and of these residents, in the order of their steps. Where a key
    lies is not among it: that is part of the way in."""
    query = (
        select(*_CONTACT)
        .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
        .where(
            (ASSIGNMENT.c.building_id == building_id)
            | ASSIGNMENT.c.resident_id.in_(resident_ids)
        )
        .order_by(ASSIGNMENT.c.position, ASSIGNMENT.c.id)
    )
    return conn.execute(query).mappings().all()


def duty(conn: Connection, community_id: int, limit: int = 2) -> Sequence[RowMapping]:
    """The telephones of a community's care centre, in order."""
    query = (
        select(*_CONTACT)
        .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
        .where(ASSIGNMENT.c.role == Role.DUTY, ASSIGNMENT.c.community_id == community_id)
        .order_by(ASSIGNMENT.c.position, ASSIGNMENT.c.id)
        .limit(limit)
    )
    return conn.execute(query).mappings().all()
