"""Who stands behind which target: adding and taking off."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from server import tables as t
from server.core.ladder import Target
from server.core.words import Role
from server.store import rosters

PERSON, ASSIGNMENT = t.table(t.Person), t.table(t.Assignment)
BUILDING, RESIDENT = t.table(t.Building), t.table(t.Resident)
SHIFT = t.table(t.DutyShift)


def all_of(
    conn: Connection, *, building_id: int | None = None, person_id: int | None = None
) -> Sequence[RowMapping]:
    """Assignments with the person's name, phone and language, and the house they are about: all,
    of a building (its residents' too), or of one person."""
    query = (
        select(
            ASSIGNMENT, PERSON.c.name, PERSON.c.phone, PERSON.c.lang, PERSON.c.opted_out_at,
            PERSON.c.failing_since, BUILDING.c.number,
            func.coalesce(ASSIGNMENT.c.building_id, RESIDENT.c.building_id).label("house_id"),
        )
        .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
        .outerjoin(BUILDING, BUILDING.c.id == ASSIGNMENT.c.building_id)
        .outerjoin(RESIDENT, RESIDENT.c.id == ASSIGNMENT.c.resident_id)
        .order_by(ASSIGNMENT.c.role, ASSIGNMENT.c.building_id, ASSIGNMENT.c.position,
                  ASSIGNMENT.c.id)
    )  # fmt: skip
    if building_id is not None:
        theirs = select(RESIDENT.c.id).where(RESIDENT.c.building_id == building_id)
        query = query.where(
            (ASSIGNMENT.c.building_id == building_id) | ASSIGNMENT.c.resident_id.in_(theirs)
        )
    if person_id is not None:
        query = query.where(ASSIGNMENT.c.person_id == person_id)
    return conn.execute(query).mappings().all()


def short_of_stewards(conn: Connection, now: datetime) -> dict[int, int]:
    """Building's number → how many of its two stewards can be told now, where it is not both: one
    place is empty, or somebody is away, off shift or has opted out. No building of a rehearsal is
    in it."""
    there = (
        (ASSIGNMENT.c.building_id == BUILDING.c.id)
        & (ASSIGNMENT.c.role == Role.STEWARD)
        & (ASSIGNMENT.c.absent_until.is_(None) | (ASSIGNMENT.c.absent_until <= now))
        & ASSIGNMENT.c.person_id.in_(select(PERSON.c.id).where(PERSON.c.opted_out_at.is_(None)))
    )
    count = func.count(ASSIGNMENT.c.person_id.distinct())
    query = (
        select(BUILDING.c.number, count)
        .select_from(BUILDING)
        .outerjoin(ASSIGNMENT, there)
        .where(BUILDING.c.rehearsal.is_(False))
        .group_by(BUILDING.c.number, BUILDING.c.id)
        .having(count < 2)
        .order_by(BUILDING.c.number)
    )
    short = {int(row[0]): int(row[1]) for row in conn.execute(query)}
    return dict(sorted({**short, **_short_by_rota(conn, now)}.items()))


def _short_by_rota(conn: Connection, now: datetime) -> dict[int, int]:
    """The same of the houses one of whose stewards has shifts: as the ladder would have it."""
    theirs = select(SHIFT.c.person_id).where(SHIFT.c.person_id == ASSIGNMENT.c.person_id)
    query = (
        select(BUILDING.c.id, BUILDING.c.number)
        .join(ASSIGNMENT, ASSIGNMENT.c.building_id == BUILDING.c.id)
        .where(ASSIGNMENT.c.role == Role.STEWARD, theirs.exists(), BUILDING.c.rehearsal.is_(False))
        .distinct()
    )
    numbers = {int(row[0]): int(row[1]) for row in conn.execute(query)}
    found = {}
    for (house, _), roster in rosters.rosters(conn, [(h, None) for h in numbers], now).items():
        stewards = {p.id for p in roster.stewards}
        told = [p for p in roster.people((Target.STEWARDS,)) if p.id in stewards]
        if house is not None and len(told) < 2:
            found[numbers[house]] = len(told)
    return found


def by_id(conn: Connection, assignment_id: int) -> RowMapping | None:
    """One assignment."""
    query = select(ASSIGNMENT).where(ASSIGNMENT.c.id == assignment_id)
    return conn.execute(query).mappings().first()


def behind(conn: Connection, role: Role, place: dict[str, int]) -> Sequence[RowMapping]:
    """Who stands behind one target of one place (`building_id`, `resident_id`, `community_id`)."""
    ((column, value),) = place.items()
    query = select(ASSIGNMENT).where(ASSIGNMENT.c.role == role, ASSIGNMENT.c[column] == value)
    return conn.execute(query.order_by(ASSIGNMENT.c.position)).mappings().all()


def add(conn: Connection, **row: Any) -> int:
    """Put a person behind a target; returns the assignment's id."""
    statement = insert(ASSIGNMENT).values(**row).returning(ASSIGNMENT.c.id)
    return int(conn.execute(statement).scalar_one())


def replace(
    conn: Connection, assignment_id: int, person_id: int, absent_until: datetime | None
) -> None:
    """Another person takes this place, with an absence of their own."""
    statement = update(ASSIGNMENT).where(ASSIGNMENT.c.id == assignment_id)
    conn.execute(statement.values(person_id=person_id, absent_until=absent_until))


def set_key_place(conn: Connection, assignment_id: int, sealed: str) -> None:
    """Where the key is kept, as it is stored."""
    statement = update(ASSIGNMENT).where(ASSIGNMENT.c.id == assignment_id)
    conn.execute(statement.values(key_place=sealed))


def remove(conn: Connection, assignment_id: int) -> None:
    """Take a person off a target."""
    conn.execute(delete(ASSIGNMENT).where(ASSIGNMENT.c.id == assignment_id))


def add_person(conn: Connection, name: str, phone: str, lang: str) -> int:
    """A new contact's id."""
    statement = insert(PERSON).values(name=name, phone=phone, lang=lang).returning(PERSON.c.id)
    return int(conn.execute(statement).scalar_one())


def building_id_of(conn: Connection, number: int) -> int | None:
    """The building of this number."""
    query = select(BUILDING.c.id).where(BUILDING.c.number == number)
    return conn.execute(query).scalar_one_or_none()
