"""Who lives where, and who stands behind each target of a ladder."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping, bindparam, or_, select, text, update

from server import tables as t
from server.core import ladder
from server.core.rounds import Plan
from server.core.words import Role

PERSON, ASSIGNMENT = t.table(t.Person), t.table(t.Assignment)
RESIDENT, FLAT, BUILDING = t.table(t.Resident), t.table(t.Flat), t.table(t.Building)
COMMUNITY, TERMINAL = t.table(t.Community), t.table(t.Terminal)


OFFICES = frozenset({Role.DUTY, Role.STREET, Role.DISTRICT})
"""Roles that stand behind the whole community."""
OF_A_RESIDENT = frozenset({Role.KEY_HOLDER, Role.BEFRIENDER, Role.FAMILY})


def plan_from_json(data: dict[str, Any]) -> Plan:
    """A round's plan as the community's row holds it: times "HH:MM", grace in seconds."""
    return Plan(
        data["name"],
        time.fromisoformat(data["opens"]),
        time.fromisoformat(data["prompt"]),
        time.fromisoformat(data["due"]),
        int(data.get("grace_s", 300)),
    )


class CommunityFacts:
    """The community's name, zone and rounds."""

    def __init__(self, row: RowMapping) -> None:
        self.id: int = row["id"]
        self.name: str = row["name"]
        self.zone = ZoneInfo(row["tz"])
        self.plans = tuple(plan_from_json(p) for p in row["rounds"])


_COMMUNITY = select(COMMUNITY).order_by(COMMUNITY.c.id).limit(1)


def community(conn: Connection) -> CommunityFacts | None:
    """The community this server watches; None while the register is empty."""
    row = conn.execute(_COMMUNITY).mappings().first()
    return CommunityFacts(row) if row else None


def _person(row: RowMapping, at: datetime) -> ladder.Person:
    absent = row["absent_until"] is not None and row["absent_until"] > at
    return ladder.Person(
        id=row["person_id"],
        name=row["name"],
        phone=row["phone"],
        lang=row["lang"],
        role=Role(row["role"]),
        reachable=row["opted_out_at"] is None and not absent,
        absent_until=row["absent_until"] if absent else None,
    )


_BEHIND = (
    select(ASSIGNMENT, PERSON.c.name, PERSON.c.phone, PERSON.c.lang, PERSON.c.opted_out_at)
    .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
    .where(
        ASSIGNMENT.c.building_id.in_(bindparam("buildings", expanding=True))
        | ASSIGNMENT.c.resident_id.in_(bindparam("residents", expanding=True))
        | ASSIGNMENT.c.community_id.is_not(None)  # the desks; the form its index has
    )
    .order_by(ASSIGNMENT.c.position, ASSIGNMENT.c.id)
)


def rosters(
    conn: Connection, wanted: Iterable[tuple[int, int | None]], at: datetime
) -> dict[tuple[int, int | None], ladder.Roster]:
    """The roster for each (building id, resident id or None) as of `at`, in one query."""
    wanted = set(wanted)
    buildings = {b for b, _ in wanted}
    residents = {r for _, r in wanted if r is not None}
    rows = conn.execute(
        _BEHIND, {"buildings": list(buildings), "residents": list(residents)}
    ).mappings()
    behind: defaultdict[tuple[str, int | None], list[ladder.Person]] = defaultdict(list)
    for row in rows:
        role = row["role"]
        door = row["resident_id"] if role in OF_A_RESIDENT else row["building_id"]
        behind[role, None if role in OFFICES else door].append(_person(row, at))

    def stands(role: Role, door: int | None = None) -> tuple[ladder.Person, ...]:
        return tuple(behind[role, door]) if door is not None or role in OFFICES else ()

    return {
        (b, r): ladder.Roster(
            stewards=stands(Role.STEWARD, b),
            substitutes=stands(Role.SUBSTITUTE, b),
            key_holders=stands(Role.KEY_HOLDER, r),
            befrienders=stands(Role.BEFRIENDER, r),
            family=stands(Role.FAMILY, r),
            duty=stands(Role.DUTY),
            street=stands(Role.STREET),
            district=stands(Role.DISTRICT),
        )
        for b, r in wanted
    }


def person_by_phone(conn: Connection, phone: str) -> RowMapping | None:
    """The contact with this number, if it is one of ours."""
    return conn.execute(select(PERSON).where(PERSON.c.phone == phone)).mappings().first()


def person(conn: Connection, person_id: int) -> RowMapping:
    """A contact by id (which must exist)."""
    return conn.execute(select(PERSON).where(PERSON.c.id == person_id)).mappings().one()


def roles_of(conn: Connection, person_id: int) -> Sequence[RowMapping]:
    """A person's assignments."""
    return (
        conn.execute(select(ASSIGNMENT).where(ASSIGNMENT.c.person_id == person_id))
        .mappings()
        .all()
    )


_MANNED = (
    select(ASSIGNMENT.c.id)
    .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
    .where(
        ASSIGNMENT.c.community_id == bindparam("community"),
        ASSIGNMENT.c.role == Role.DUTY,
        or_(ASSIGNMENT.c.absent_until.is_(None), ASSIGNMENT.c.absent_until <= bindparam("now")),
        PERSON.c.opted_out_at.is_(None),
    )
    .limit(1)
)


def duty_is_manned(conn: Connection, community_id: int, now: datetime) -> bool:
    """Whether anybody who is not absent and has not opted out stands on duty."""
    asked = {"community": community_id, "now": now}
    return conn.execute(_MANNED, asked).first() is not None


def set_absent(conn: Connection, person_id: int, until: datetime | None) -> int:
    """Pass a person over until then, in every role; returns in how many."""
    statement = update(ASSIGNMENT).where(ASSIGNMENT.c.person_id == person_id)
    return int(conn.execute(statement.values(absent_until=until)).rowcount)


def set_person(conn: Connection, person_id: int, **values: Any) -> None:
    """Change a contact's row."""
    conn.execute(update(PERSON).where(PERSON.c.id == person_id).values(**values))


_RESIDENT_AT_DOOR = (
    select(
        RESIDENT, FLAT.c.label, FLAT.c.floor, FLAT.c.stairwell,
        BUILDING.c.number.label("building_number"),
    )
    .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
    .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
    .where(RESIDENT.c.id == bindparam("resident_id"))
)  # fmt: skip
_BUILDING_NUMBER = select(BUILDING.c.number).where(BUILDING.c.id == bindparam("building_id"))


def resident(conn: Connection, resident_id: int) -> RowMapping | None:
    """A resident with their door."""
    return conn.execute(_RESIDENT_AT_DOOR, {"resident_id": resident_id}).mappings().first()


def building_number(conn: Connection, building_id: int) -> int:
    """A building's number on its wall."""
    return int(conn.execute(_BUILDING_NUMBER, {"building_id": building_id}).scalar_one())


def resident_id_of(conn: Connection, given: str) -> int | None:
    """The resident with this id, or behind the terminal of this name."""
    if given.isdecimal() and len(given) < 16:
        query = select(RESIDENT.c.id).where(RESIDENT.c.id == int(given))
    else:
        query = select(TERMINAL.c.resident_id).where(TERMINAL.c.id == given)
    return conn.execute(query).scalar_one_or_none()


def set_resident(conn: Connection, resident_id: int, **values: Any) -> None:
    """Change a resident's row."""
    conn.execute(update(RESIDENT).where(RESIDENT.c.id == resident_id).values(**values))


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
            RESIDENT.c.absent_until, RESIDENT.c.risks,
            FLAT.c.label, FLAT.c.floor, BUILDING.c.number.label("building_number"),
            TERMINAL.c.id.label("terminal_id"),
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


def duty_phones(conn: Connection) -> list[str]:
    """The care centre's telephones that can be texted."""
    query = (
        select(PERSON.c.phone)
        .join(ASSIGNMENT, ASSIGNMENT.c.person_id == PERSON.c.id)
        .where(ASSIGNMENT.c.role == Role.DUTY, PERSON.c.opted_out_at.is_(None))
        .order_by(ASSIGNMENT.c.id)
    )
    return list(conn.execute(query).scalars())


def key_holders(conn: Connection, resident_id: int) -> Sequence[RowMapping]:
    """Who holds a key to a resident's door, and where it is."""
    return (
        conn.execute(
            select(PERSON.c.name, PERSON.c.phone, ASSIGNMENT.c.key_place)
            .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
            .where(ASSIGNMENT.c.resident_id == resident_id)
            .where(ASSIGNMENT.c.role == Role.KEY_HOLDER)
            .order_by(ASSIGNMENT.c.id)
        )
        .mappings()
        .all()
    )


def terminals(conn: Connection) -> Sequence[RowMapping]:
    """Every terminal as it last spoke."""
    return conn.execute(select(TERMINAL).order_by(TERMINAL.c.id)).mappings().all()
