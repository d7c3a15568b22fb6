"""Who stands behind each target of a ladder: roles, absences, shifts, the care centre's desk."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    String,
    any_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
)

from server import tables as t
from server.core import ladder, rota
from server.core.words import Role
from server.store import communities

PERSON = t.table(t.Person)
ASSIGNMENT = t.table(t.Assignment)
BUILDING = t.table(t.Building)
SHIFT = t.table(t.DutyShift)
log = logging.getLogger(__name__)
OFFICES = frozenset({Role.DUTY, Role.STREET, Role.DISTRICT, Role.REHEARSAL})
"""Roles that stand behind the whole community."""
OF_THE_HOUSE = frozenset({Role.STEWARD, Role.SUBSTITUTE})
WITH_A_ROTA = OF_THE_HOUSE | {Role.DUTY}
OF_A_RESIDENT = frozenset({Role.KEY_HOLDER, Role.BEFRIENDER, Role.FAMILY})
ROLES = frozenset(Role)


class _Stands(NamedTuple):
    """Somebody's place, as `rosters` reads it: a round reads a hundred thousand."""

    id: int
    person_id: int
    role: str
    building_id: int | None
    resident_id: int | None
    community_id: int | None
    absent_until: datetime | None
    name: str
    phone: str
    lang: str
    opted_out_at: datetime | None


def _person(row: _Stands, at: datetime) -> ladder.Person:
    """Whose absence can't be read is there: to tell one too many is better than silence."""
    absent = row.absent_until is not None and row.absent_until > at
    return ladder.Person(
        id=row.person_id,
        name=row.name,
        phone=row.phone,
        lang=row.lang,
        role=Role(row.role),
        reachable=row.opted_out_at is None and not absent,
        absent_until=row.absent_until if absent else None,
    )


def _listed(what: ColumnElement[str], *where: ColumnElement[bool]) -> ColumnElement[str]:
    """Something of the buildings asked for, as one text beside each row: with the people, in one
    statement. (Asked for nobody, no roster has anybody either.)"""
    return (
        select(func.aggregate_strings(what, ","))
        .where(BUILDING.c.id.in_(bindparam("buildings", expanding=True)), *where)
        .scalar_subquery()
    )


_REHEARSING = _listed(cast(BUILDING.c.id, String), BUILDING.c.rehearsal).label("rehearsing")
_WHOSE = _listed(
    cast(BUILDING.c.id, String) + ":" + cast(BUILDING.c.community_id, String)
).label("whose")
_THEIRS = select(BUILDING.c.community_id).where(
    BUILDING.c.id.in_(bindparam("buildings", expanding=True))
)
_OF_HOUSES = select(_REHEARSING, _WHOSE)
MANY = 20
"""Houses from which on what is to be known of them is asked by itself."""
_BEHIND_BARE = (
    select(*((ASSIGNMENT if n in ASSIGNMENT.c else PERSON).c[n] for n in _Stands._fields))
    .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
    .order_by(ASSIGNMENT.c.position, ASSIGNMENT.c.id)
)
_BEHIND = _BEHIND_BARE.add_columns(_REHEARSING, _WHOSE)
_BY_THE_DOOR = ASSIGNMENT.c.building_id.in_(
    bindparam("buildings", expanding=True)
) | ASSIGNMENT.c.resident_id.in_(bindparam("residents", expanding=True))
_BEHIND_HOUSES, _BEHIND_MANY = (
    {
        dialect: query.where(_BY_THE_DOOR | theirs)
        for dialect, theirs in (
            ("sqlite", ASSIGNMENT.c.community_id.in_(_THEIRS)),
            # With IN and a subquery beside an OR it reads all there are, at each press of a city.
            ("postgresql", ASSIGNMENT.c.community_id
             == any_(func.array(_THEIRS.scalar_subquery()))),
        )
    }
    for query in (_BEHIND, _BEHIND_BARE)
)  # fmt: skip
_BEHIND_ALL = _BEHIND.where(_BY_THE_DOOR | ASSIGNMENT.c.community_id.is_not(None))
"""Where something is about no house: the desks of every community (the form that its index has)."""


def rosters(
    conn: Connection, wanted: Iterable[tuple[int | None, int | None]], at: datetime
) -> dict[tuple[int | None, int | None], ladder.Roster]:
    """The roster for each (building id, resident id or None) as of `at`: who stands by the house,
    by the resident, and at the desks of the house's community. A building of a rehearsal has the
    rehearsal list and nobody else; every other building everybody but that list. Without a building
    there are the desks alone, those of every community: what is about no house is about all."""
    wanted = set(wanted)
    buildings = {b for b, _ in wanted if b}
    residents = {r for _, r in wanted if r is not None}
    behind_all = any(not b for b, _ in wanted)
    many = len(buildings) > MANY and not behind_all
    asked = {"buildings": list(buildings), "residents": list(residents)}
    by_house = _BEHIND_MANY if many else _BEHIND_HOUSES
    query = _BEHIND_ALL if behind_all else by_house[conn.dialect.name]
    found = conn.execute(query, asked).all()
    # Of few houses, what is to be known of them stands beside each row; of many that would be all
    # of them a thousand times.
    of_them = conn.execute(_OF_HOUSES, asked).one() if many else next(iter(found), None)
    rows = [_Stands(*row[: len(_Stands._fields)]) for row in found]
    whose = _pairs(of_them.whose) if of_them is not None else {}
    on_rota = _turns(conn, at, rows, whose)
    behind: defaultdict[tuple[str, int | None], list[ladder.Person]] = defaultdict(list)
    desks: defaultdict[str, list[tuple[int, ladder.Person]]] = defaultdict(list)
    for row in rows:
        role = row.role
        if role not in ROLES:
            log.error("assignment %s has no role of ours and stands on no step", row.id)
            continue
        person = _person(row, at)
        if (turn := on_rota.get(row.id)) is not None:
            person = replace(person, on_shift=turn[0], shift_changes_at=turn[1])
        if role in OFFICES:
            desks[role].append((row.community_id or 0, person))
            behind[role, row.community_id].append(person)
        else:
            door = row.resident_id if role in OF_A_RESIDENT else row.building_id
            behind[role, door].append(person)

    def stands(role: Role, door: int | None) -> tuple[ladder.Person, ...]:
        return tuple(behind[role, door]) if door is not None else ()

    def office(role: Role, building_id: int | None) -> tuple[ladder.Person, ...]:
        if not building_id:
            return _everywhere(desks[role])
        return tuple(behind[role, whose.get(building_id)])

    listed = of_them.rehearsing if of_them is not None else None
    rehearsing = {int(b) for b in listed.split(",")} if listed else set()
    return {
        (b, r): ladder.Roster.rehearsed(office(Role.REHEARSAL, b)) if b in rehearsing
        else ladder.Roster(
            stewards=stands(Role.STEWARD, b),
            substitutes=stands(Role.SUBSTITUTE, b),
            key_holders=stands(Role.KEY_HOLDER, r),
            befrienders=stands(Role.BEFRIENDER, r),
            family=stands(Role.FAMILY, r),
            duty=office(Role.DUTY, b),
            street=office(Role.STREET, b),
            district=office(Role.DISTRICT, b),
        )
        for b, r in wanted
    }


def _everywhere(desks: Sequence[tuple[int, ladder.Person]]) -> tuple[ladder.Person, ...]:
    """The desks of all communities as one. Whoever stands at two is told once. A desk at which
    nobody is on shift is all of it, though another's is manned: each community must hear of it."""
    manned = {community for community, p in desks if p.on_shift and p.reachable}
    several = len({community for community, _ in desks}) > 1
    found: dict[int, ladder.Person] = {}
    for community, person in desks:
        stands = replace(person, on_shift=True) if several and community not in manned else person
        if person.id not in found or (stands.on_shift and not found[person.id].on_shift):
            found[person.id] = stands
    return tuple(found.values())


def _pairs(text: str | None) -> dict[int, int]:
    """Building id → community id, as `_WHOSE` lists them."""
    pairs = (pair.split(":") for pair in text.split(",")) if text else ()
    return {int(building): int(community) for building, community in pairs}


def rehearsals(conn: Connection, building_ids: Collection[int]) -> set[int]:
    """Which of these buildings are a rehearsal's."""
    query = select(BUILDING.c.id).where(BUILDING.c.id.in_(building_ids), BUILDING.c.rehearsal)
    return set(conn.execute(query).scalars())


def _turns(
    conn: Connection, at: datetime, rows: Sequence[_Stands], whose: Mapping[int, int]
) -> dict[int, tuple[bool, datetime | None]]:
    """Assignment → whether its holder is on shift at `at`, and when that changes, by the clock of
    its community. Only of those with shifts."""
    found = shifts(conn, {row.person_id for row in rows})
    if not found:
        return {}
    # Who has the duty as well as a house has the desk's shifts: at home they stay a steward.
    desk = {row.person_id for row in rows if row.role == Role.DUTY}
    asked = [
        row for row in rows
        if row.role == Role.DUTY
        or (row.role in OF_THE_HOUSE and row.person_id not in desk)
    ]
    zones = {facts.id: facts.zone for facts in communities.every(conn)}
    turns = {}
    for row in asked:
        own = found.get(row.person_id)
        zone = zones.get(row.community_id or whose.get(row.building_id or 0, 0))
        if own is not None and zone is not None:
            turns[row.id] = rota.turn(own, zone, at)
    return turns


_SHIFTS = select(SHIFT).order_by(SHIFT.c.id)
_SHIFTS_OF = _SHIFTS.where(SHIFT.c.person_id.in_(bindparam("people", expanding=True)))
MOST_NAMED = 200
"""Of more people than this all shifts are read: an SOS asks for a handful, a round for a town."""


def _shift(row: RowMapping) -> rota.Shift:
    return rota.Shift(
        frozenset(int(d) for d in row["days"]),
        time.fromisoformat(row["starts"]), time.fromisoformat(row["ends"]),
    )  # fmt: skip


def rota_as_read(
    conn: Connection, of: Collection[int] | None = None
) -> tuple[dict[int, tuple[rota.Shift, ...]], tuple[int, ...]]:
    """Every person's shifts, or those of these, and those of whom one can't be read: they are in
    the first without any, which means always on duty. To call one too many is better than nobody.
    """
    found: defaultdict[int, list[rota.Shift]] = defaultdict(list)
    spoilt: dict[int, None] = {}
    few = of is not None and len(of) <= MOST_NAMED
    rows = conn.execute(_SHIFTS_OF, {"people": list(of or ())}) if few else conn.execute(_SHIFTS)
    for row in rows.mappings():
        try:
            found[row["person_id"]].append(_shift(row))
        except (TypeError, ValueError):
            spoilt[row["person_id"]] = None
    own = {person: tuple(each) for person, each in found.items() if person not in spoilt}
    return own, tuple(spoilt)


def shifts(
    conn: Connection, of: Collection[int] | None = None
) -> dict[int, tuple[rota.Shift, ...]]:
    """Every person's shifts, or those of these; who has none, or one that can't be read, is not in
    it."""
    return rota_as_read(conn, of)[0]


def set_shifts(conn: Connection, person_id: int, own: Sequence[rota.Shift]) -> None:
    """Replace a person's shifts."""
    conn.execute(delete(SHIFT).where(SHIFT.c.person_id == person_id))
    if own:
        conn.execute(
            insert(SHIFT),
            [
                {"person_id": person_id, "days": "".join(str(d) for d in sorted(s.days)),
                 "starts": f"{s.starts:%H:%M}", "ends": f"{s.ends:%H:%M}"}
                for s in own
            ],
        )  # fmt: skip


_DUTY = (
    select(
        ASSIGNMENT.c.person_id, ASSIGNMENT.c.absent_until, ASSIGNMENT.c.community_id,
        PERSON.c.name, PERSON.c.phone, PERSON.c.opted_out_at,
    )
    .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
    .where(ASSIGNMENT.c.role == Role.DUTY, ASSIGNMENT.c.community_id.is_not(None))
    .order_by(ASSIGNMENT.c.id)
)  # fmt: skip
_DUTY_OF = _DUTY.where(ASSIGNMENT.c.community_id.in_(bindparam("communities", expanding=True)))


def duty(
    conn: Connection, community_ids: Collection[int] | None = None
) -> Sequence[RowMapping]:
    """The care centre's people; of these communities, or of all."""
    if community_ids is None:
        return conn.execute(_DUTY).mappings().all()
    return conn.execute(_DUTY_OF, {"communities": list(community_ids)}).mappings().all()


def desk(conn: Connection) -> Sequence[RowMapping]:
    """Whoever ever has the duty, of any community, and can be texted: id, telephone and language,
    each once. Neither rota nor absences are asked, so that nothing in them can spoil it."""
    query = (
        select(PERSON.c.id, PERSON.c.phone, PERSON.c.lang)
        .join(ASSIGNMENT, ASSIGNMENT.c.person_id == PERSON.c.id)
        .where(ASSIGNMENT.c.role == Role.DUTY, PERSON.c.opted_out_at.is_(None))
        .order_by(ASSIGNMENT.c.id)
    )
    rows = conn.execute(query).mappings().all()
    return list({row["id"]: row for row in reversed(rows)}.values())[::-1]


def duty_phones(conn: Connection) -> list[str]:
    """The care centre's telephones that can be texted."""
    return [row["phone"] for row in desk(conn)]


def phones_on_duty(conn: Connection, at: datetime) -> list[str]:
    """Whom to text of the care centre at `at`: those on shift; all where nobody of it can be."""
    return [p.phone for p in on_duty(conn, at)] or duty_phones(conn)


def on_duty(conn: Connection, at: datetime) -> tuple[ladder.Person, ...]:
    """Whoever has the duty at `at` and can be told: those on shift, or all where nobody is."""
    nowhere = (0, None)
    return rosters(conn, [nowhere], at)[nowhere].people((ladder.Target.DUTY,))
