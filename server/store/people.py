"""Who lives where, and who stands behind each target of a ladder."""

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    RowMapping,
    String,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    null,
    select,
    text,
    update,
)

from server import tables as t
from server.core import ladder, rota, rounds
from server.core.numbers import number_in
from server.core.rounds import CLASSES, Plan
from server.core.words import Role

PERSON, ASSIGNMENT = t.table(t.Person), t.table(t.Assignment)
RESIDENT, FLAT, BUILDING = t.table(t.Resident), t.table(t.Flat), t.table(t.Building)
COMMUNITY, TERMINAL = t.table(t.Community), t.table(t.Terminal)
SHIFT = t.table(t.DutyShift)
log = logging.getLogger(__name__)
BUILT_IN_ZONE = "Asia/Shanghai"


OFFICES = frozenset({Role.DUTY, Role.STREET, Role.DISTRICT, Role.REHEARSAL})
"""Roles that stand behind the whole community."""
OF_THE_HOUSE = frozenset({Role.STEWARD, Role.SUBSTITUTE})
WITH_A_ROTA = OF_THE_HOUSE | {Role.DUTY}
OF_A_RESIDENT = frozenset({Role.KEY_HOLDER, Role.BEFRIENDER, Role.FAMILY})


def plan_from_json(data: dict[str, Any]) -> Plan:
    """A round's plan as the community's row holds it: times "HH:MM", grace in seconds, and the
    classes that owe it (all, where none are named). Raises ValueError, KeyError or TypeError."""
    return Plan(
        data["name"],
        time.fromisoformat(data["opens"]),
        time.fromisoformat(data["prompt"]),
        time.fromisoformat(data["due"]),
        int(data.get("grace_s", 300)),
        frozenset(data["classes"]) if data.get("classes") is not None else CLASSES,
        time.fromisoformat(data["call_at"]) if data.get("call_at") else None,
    )


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The inverse of `plan_from_json`."""
    return {
        "name": plan.name, "opens": f"{plan.opens:%H:%M}", "prompt": f"{plan.prompt:%H:%M}",
        "due": f"{plan.due:%H:%M}", "grace_s": plan.grace_s, "classes": sorted(plan.classes),
        "call_at": f"{plan.call_at:%H:%M}" if plan.call_at is not None else None,
    }  # fmt: skip


class Clock:
    """A zone and the rounds by it. A round or zone that can't be read is left out and told in
    `problems`; with none left the built-in ones hold: somebody is always watched."""

    def __init__(self, tz: str, written: str) -> None:
        """`written`: the rounds as JSON."""
        self.problems: tuple[str, ...] = ()
        try:
            self.zone = ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.zone = ZoneInfo(BUILT_IN_ZONE)
            self.problems = (f"no zone is called {tz!r}; {BUILT_IN_ZONE} holds",)
        try:
            found = json.loads(written)
        except ValueError:
            found = written  # a round that can't be read, as any other
        self.plans = rounds.covering(self._plans(found) or rounds.BUILT_IN)

    def _plans(self, found: Any) -> tuple[Plan, ...]:
        plans: tuple[Plan, ...] = ()
        for data in found if isinstance(found, list) else [found]:
            try:
                plan = plan_from_json(data)
                problem = rounds.clash(plans, plan)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                problem = f"a round can't be read: {error}"
            if problem is None:
                plans = (*plans, plan)
            else:
                self.problems = (*self.problems, problem)
        return plans

    def classes_of(self, round_name: str) -> frozenset[str]:
        """The classes that owe the round of this name; all, where it is no longer in the plan."""
        return next((p.classes for p in self.plans if p.name == round_name), CLASSES)

    def plans_of(self, risk_class: str) -> tuple[Plan, ...]:
        """The rounds that residents of this class owe."""
        return rounds.owed_by(self.plans, risk_class)


class CommunityFacts(Clock):
    """The community's name, zone and rounds."""

    def __init__(self, row: RowMapping) -> None:
        self.id: int = row["id"]
        self.series: int = row["series"]
        self.name: str = row["name"]
        super().__init__(row["tz"], row["rounds"])


WRITTEN = cast(COMMUNITY.c.rounds, String).label("rounds")
"""The rounds as they stand in the row: read by `Clock`, so that what can't be read in one community
costs no other its own. (PostgreSQL compares no JSON, but this.)"""
FACTS = select(
    COMMUNITY.c.id, COMMUNITY.c.series, COMMUNITY.c.name, COMMUNITY.c.tz, WRITTEN
)
"""What `CommunityFacts` is made of."""
WHOLE = FACTS.add_columns(
    COMMUNITY.c.street, COMMUNITY.c.district, COMMUNITY.c.address, COMMUNITY.c.address_en
).order_by(COMMUNITY.c.series)
"""All there is of a community; its rounds as they stand, so that a row with spoilt ones is read."""
_COMMUNITIES = FACTS.order_by(COMMUNITY.c.series)
_COMMUNITY = _COMMUNITIES.limit(1)
_COMMUNITY_OF = (
    FACTS
    .join(BUILDING, BUILDING.c.community_id == COMMUNITY.c.id)
    .where(BUILDING.c.id == bindparam("building"))
)


def community(conn: Connection) -> CommunityFacts | None:
    """The first community, which in most installations is the only one; None while the register is
    empty. For what belongs to no house: the day on which the installation does its chores. Whatever
    a house is about asks `community_of`."""
    row = conn.execute(_COMMUNITY).mappings().first()
    return CommunityFacts(row) if row else None


def community_of(conn: Connection, building_id: int | None) -> CommunityFacts | None:
    """The community of a building; of None the first. None where there is no such building."""
    if building_id is None:
        return community(conn)
    row = conn.execute(_COMMUNITY_OF, {"building": building_id}).mappings().first()
    return CommunityFacts(row) if row else None


def community_by_id(conn: Connection, community_id: int) -> CommunityFacts | None:
    """The community with this id."""
    query = FACTS.where(COMMUNITY.c.id == community_id)
    row = conn.execute(query).mappings().first()
    return CommunityFacts(row) if row else None


def communities(conn: Connection) -> tuple[CommunityFacts, ...]:
    """Every community, in the order in which they were registered."""
    return tuple(CommunityFacts(row) for row in conn.execute(_COMMUNITIES).mappings())


def communities_of(
    conn: Connection, ids: Collection[int]
) -> dict[int, CommunityFacts]:
    """The communities with these ids, in one statement."""
    query = FACTS.where(COMMUNITY.c.id.in_(ids))
    return {row["id"]: CommunityFacts(row) for row in conn.execute(query).mappings()}


def community_of_person(conn: Connection, person_id: int) -> CommunityFacts | None:
    """The community of somebody's first place: of a desk, a house or a resident's door; of who has
    none the first."""
    query = (
        select(
            ASSIGNMENT.c.community_id, ASSIGNMENT.c.building_id,
            RESIDENT.c.building_id.label("of_resident"),
        )
        .outerjoin(RESIDENT, RESIDENT.c.id == ASSIGNMENT.c.resident_id)
        .where(ASSIGNMENT.c.person_id == person_id)
        .order_by(ASSIGNMENT.c.id)
        .limit(1)
    )
    row = conn.execute(query).first()
    if row is not None and row[0] is not None:
        return community_by_id(conn, row[0])
    return community_of(conn, (row[1] or row[2]) if row is not None else None)


def local_day(conn: Connection, now: datetime, building_id: int | None = None) -> date:
    """The date in the community of this building (of None, the first), by which people are a year
    older."""
    facts = community_of(conn, building_id)
    return now.astimezone(facts.zone if facts else UTC).date()


def _lives_in(community_id: int) -> ColumnElement[bool]:
    """Of a resident: in a house of this community."""
    theirs = select(BUILDING.c.id).where(BUILDING.c.community_id == community_id)
    return RESIDENT.c.building_id.in_(theirs)


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
_OF_THEIRS = _BY_THE_DOOR | ASSIGNMENT.c.community_id.in_(_THEIRS)
_BEHIND_HOUSES, _BEHIND_MANY = _BEHIND.where(_OF_THEIRS), _BEHIND_BARE.where(_OF_THEIRS)
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
    query = _BEHIND_ALL if behind_all else _BEHIND_MANY if many else _BEHIND_HOUSES
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
    zones = {facts.id: facts.zone for facts in communities(conn)}
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


def set_plans(conn: Connection, community_id: int, plans: Sequence[Plan]) -> None:
    """Replace the community's rounds."""
    statement = update(COMMUNITY).where(COMMUNITY.c.id == community_id)
    conn.execute(statement.values(rounds=[plan_to_json(p) for p in plans]))


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
