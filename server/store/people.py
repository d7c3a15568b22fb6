"""Who lives where, and the contacts."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    case,
    delete,
    func,
    null,
    select,
    text,
    update,
)

from server import tables as t
from server.core import rounds
from server.core.numbers import number_in
from server.core.words import Role

PERSON = t.table(t.Person)
ASSIGNMENT = t.table(t.Assignment)
RESIDENT = t.table(t.Resident)
FLAT = t.table(t.Flat)
BUILDING = t.table(t.Building)
COMMUNITY = t.table(t.Community)
TERMINAL = t.table(t.Terminal)


def _lives_in(community_id: int) -> ColumnElement[bool]:
    """Of a resident: in a house of this community."""
    theirs = select(BUILDING.c.id).where(BUILDING.c.community_id == community_id)
    return RESIDENT.c.building_id.in_(theirs)


def buildings(conn: Connection) -> Sequence[RowMapping]:
    """All buildings by number."""
    return conn.execute(select(BUILDING).order_by(BUILDING.c.number)).mappings().all()


def person_by_phone(conn: Connection, phone: str) -> RowMapping | None:
    """The contact with this number, if it is one of ours."""
    return conn.execute(select(PERSON).where(PERSON.c.phone == phone)).mappings().first()


def person(conn: Connection, person_id: int) -> RowMapping:
    """A contact by id (which must exist)."""
    return conn.execute(select(PERSON).where(PERSON.c.id == person_id)).mappings().one()


def has_person(conn: Connection, person_id: int) -> bool:
    """Whether there is a contact with this id."""
    return conn.execute(select(PERSON.c.id).where(PERSON.c.id == person_id)).first() is not None


def roles_of(conn: Connection, person_id: int) -> Sequence[RowMapping]:
    """A person's assignments."""
    return (
        conn.execute(select(ASSIGNMENT).where(ASSIGNMENT.c.person_id == person_id))
        .mappings()
        .all()
    )


def set_absent(conn: Connection, person_id: int, until: datetime | None) -> int:
    """Pass a person over until then, in every role; returns in how many."""
    statement = update(ASSIGNMENT).where(ASSIGNMENT.c.person_id == person_id)
    return int(conn.execute(statement.values(absent_until=until)).rowcount)


def set_person(conn: Connection, person_id: int, **values: Any) -> None:
    """Change a contact's row."""
    conn.execute(update(PERSON).where(PERSON.c.id == person_id).values(**values))


_HOW_MANY = select(func.count()).select_from(COMMUNITY).scalar_subquery().label("communities")
"""Beside a house: whether anybody has to be told in which community it is."""
_RESIDENT_AT_DOOR = (
    select(
        RESIDENT, FLAT.c.label, FLAT.c.floor, FLAT.c.stairwell,
        BUILDING.c.number.label("building_number"), _HOW_MANY,
    )
    .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
    .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
    .where(RESIDENT.c.id == bindparam("resident_id"))
)  # fmt: skip
_BUILDING_NUMBER = select(BUILDING.c.number, _HOW_MANY).where(
    BUILDING.c.id == bindparam("building_id")
)


def resident(conn: Connection, resident_id: int) -> RowMapping | None:
    """A resident with their door."""
    return conn.execute(_RESIDENT_AT_DOOR, {"resident_id": resident_id}).mappings().first()


def door_of(conn: Connection, resident_id: int) -> RowMapping | None:
    """As `resident`, without what no call for help needs: of somebody whose row is spoilt."""
    query = (
        select(
            RESIDENT.c.id, RESIDENT.c.flat_id, RESIDENT.c.living, RESIDENT.c.state,
            null().label("birth_date"), FLAT.c.label, FLAT.c.floor, FLAT.c.stairwell,
            BUILDING.c.number.label("building_number"),
        )
        .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .where(RESIDENT.c.id == resident_id)
    )  # fmt: skip
    return conn.execute(query).mappings().first()


def behind_doors(conn: Connection, ids: Collection[int]) -> dict[int, RowMapping]:
    """Resident id → age, living situation and last sign of life."""
    if not ids:
        return {}
    query = select(
        RESIDENT.c.id, RESIDENT.c.birth_date, RESIDENT.c.living, RESIDENT.c.last_sign_at
    ).where(RESIDENT.c.id.in_(ids))
    return {row["id"]: row for row in conn.execute(query).mappings()}


def building_number(conn: Connection, building_id: int) -> int:
    """A building's number in the installation."""
    return number_beside(conn, building_id)[0]


def number_beside(conn: Connection, building_id: int) -> tuple[int, int]:
    """A building's number in the installation, and how many communities that watches."""
    row = conn.execute(_BUILDING_NUMBER, {"building_id": building_id}).one()
    return int(row[0]), int(row[1])


def resident_id_of(conn: Connection, given: str) -> int | None:
    """The resident with this id, or behind the terminal of this name."""
    number = number_in(given)
    if number is not None:
        query = select(RESIDENT.c.id).where(RESIDENT.c.id == number)
    else:
        query = select(TERMINAL.c.resident_id).where(TERMINAL.c.id == given)
    return conn.execute(query).scalar_one_or_none()


def set_resident(conn: Connection, resident_id: int, **values: Any) -> None:
    """Change a resident's row."""
    conn.execute(update(RESIDENT).where(RESIDENT.c.id == resident_id).values(**values))


def grown_older(conn: Connection, community_id: int, day: date) -> Sequence[RowMapping]:
    """Watched residents of a community whose age may give them a higher class on `day`, where the
    rule decides."""
    eighty, ninety = day.replace(day=1, year=day.year - 80), day.replace(day=1, year=day.year - 90)
    month = timedelta(days=31)
    query = select(RESIDENT).where(
        RESIDENT.c.state != "ended",
        RESIDENT.c.class_by.is_(None),
        _lives_in(community_id),
        ((RESIDENT.c.birth_date < eighty + month) & (RESIDENT.c.risk_class == "C"))
        | ((RESIDENT.c.birth_date < eighty + month) & (RESIDENT.c.living == "alone")
           & (RESIDENT.c.risk_class == "B"))
        | ((RESIDENT.c.birth_date < ninety + month) & (RESIDENT.c.risk_class != "A")),
    )  # fmt: skip
    return conn.execute(query).mappings().all()


def plan_anew(
    conn: Connection, community_id: int, risk_class: str, now: datetime,
    next_: rounds.Occurrence, following: datetime,
) -> None:
    """Give everybody of a community's class who is not overdue the `next_` round's deadline; the
    `following` one where they have checked in for it already."""
    seen = RESIDENT.c.last_sign_at
    met = (seen >= next_.opens_at) & (seen < next_.deadline)
    conn.execute(
        update(RESIDENT)
        .where(
            RESIDENT.c.state == "active", RESIDENT.c.risk_class == risk_class,
            RESIDENT.c.next_due_at > now, _lives_in(community_id),
        )
        .values(next_due_at=case((met, _at(following)), else_=_at(next_.deadline)))
    )  # fmt: skip


def _at(at: datetime) -> BindParameter[datetime]:
    """An instant as a value inside an expression, stored as everywhere else."""
    return bindparam(None, at, type_=t.Instant())


def flat_at(conn: Connection, building: int, label: str) -> RowMapping | None:
    """The door with this label in the building of this number."""
    query = (
        select(FLAT)
        .join(BUILDING, BUILDING.c.id == FLAT.c.building_id)
        .where(BUILDING.c.number == building, FLAT.c.label == label)
    )
    return conn.execute(query).mappings().first()


def terminal(conn: Connection, terminal_id: str) -> RowMapping | None:
    """One terminal."""
    query = select(TERMINAL).where(TERMINAL.c.id == terminal_id)
    return conn.execute(query).mappings().first()


def set_terminal(conn: Connection, terminal_id: str, **values: Any) -> None:
    """Change a terminal's row."""
    conn.execute(update(TERMINAL).where(TERMINAL.c.id == terminal_id).values(**values))


def terminals_of(conn: Connection, resident_id: int) -> list[str]:
    """Ids of a resident's terminals in service."""
    query = select(TERMINAL.c.id).where(
        TERMINAL.c.resident_id == resident_id, TERMINAL.c.state == "active"
    )
    return list(conn.execute(query.order_by(TERMINAL.c.id)).scalars())


def remove_key_holders(conn: Connection, resident_id: int) -> int:
    """Take a resident's key holders off; returns how many."""
    statement = delete(ASSIGNMENT).where(
        ASSIGNMENT.c.resident_id == resident_id, ASSIGNMENT.c.role == Role.KEY_HOLDER
    )
    return int(conn.execute(statement).rowcount)


_BACK = (
    select(RESIDENT)
    # The words of the partial index, as SQLite wants them.
    .where(RESIDENT.c.absent_until <= bindparam("now"), text("resident.state = 'paused'"))
    .order_by(RESIDENT.c.absent_until, RESIDENT.c.id)
    .limit(bindparam("most"))
)


def residents_back(conn: Connection, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Paused residents whose absence is over."""
    return conn.execute(_BACK, {"now": now, "most": limit}).mappings().all()


def residents(
    conn: Connection, building: int | None = None, *, resident_id: int | None = None
) -> Sequence[RowMapping]:
    """Residents with door and terminal, by building and label: all, a building's, or one."""
    query = (
        select(
            RESIDENT.c.id, RESIDENT.c.name, RESIDENT.c.birth_date, RESIDENT.c.living,
            RESIDENT.c.risk_class, RESIDENT.c.state, RESIDENT.c.next_due_at,
            RESIDENT.c.last_sign_at, RESIDENT.c.flat_id, RESIDENT.c.building_id,
            RESIDENT.c.absent_until, RESIDENT.c.risks, RESIDENT.c.class_by,
            RESIDENT.c.class_why, RESIDENT.c.class_at, RESIDENT.c.ended_at,
            RESIDENT.c.ended_how, FLAT.c.label, FLAT.c.floor,
            BUILDING.c.number.label("building_number"), TERMINAL.c.id.label("terminal_id"),
        )
        .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .outerjoin(TERMINAL, TERMINAL.c.resident_id == RESIDENT.c.id)
        .order_by(BUILDING.c.number, FLAT.c.floor, FLAT.c.label, RESIDENT.c.id)
    )  # fmt: skip
    if building is not None:
        query = query.where(BUILDING.c.number == building)
    if resident_id is not None:
        query = query.where(RESIDENT.c.id == resident_id)
    return conn.execute(query).mappings().all()


def key_holders(conn: Connection, resident_id: int) -> Sequence[RowMapping]:
    """Who holds a key to a resident's door, and where it is."""
    return (
        conn.execute(
            select(ASSIGNMENT.c.id, PERSON.c.name, PERSON.c.phone, ASSIGNMENT.c.key_place)
            .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
            .where(ASSIGNMENT.c.resident_id == resident_id)
            .where(ASSIGNMENT.c.role == Role.KEY_HOLDER)
            .order_by(ASSIGNMENT.c.id)
        )
        .mappings()
        .all()
    )


def terminals(conn: Connection) -> Sequence[RowMapping]:
    """Every terminal as it last spoke, with the building of whoever it watches."""
    query = (
        select(TERMINAL, RESIDENT.c.building_id)
        .outerjoin(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
        .order_by(TERMINAL.c.id)
    )
    return conn.execute(query).mappings().all()
