"""Which houses a scope means, and to which house a thing belongs."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    false,
    func,
    select,
)

from server import tables as t
from server.core.access import EVERYWHERE, Level, Scope
from server.core.houses import SPAN, Named, called, distinct, names, numbered, spoken
from server.core.numbers import number_in
from server.store.communities import WHOLE

COMMUNITY, BUILDING, RESIDENT = t.table(t.Community), t.table(t.Building), t.table(t.Resident)
_NAMES: Final[Mapping[str, ColumnElement[str]]] = {
    Level.STREET: COMMUNITY.c.street, Level.DISTRICT: COMMUNITY.c.district,
}  # fmt: skip
_KNOWN_BY: Final[Mapping[str, tuple[ColumnElement[Any], ...]]] = {
    Level.DISTRICT: (COMMUNITY.c.district,),
    Level.STREET: (COMMUNITY.c.district, COMMUNITY.c.street),
}  # fmt: skip
"""What makes one place: streets of two districts may have the same name."""
_WRITTEN: Final[Mapping[str, ColumnElement[str]]] = {
    **_NAMES, Level.STREET: COMMUNITY.c.district + COMMUNITY.c.street
}  # fmt: skip
"""A street with its district, as on an envelope: clear also where two streets have its name."""
TERMINAL, ASSIGNMENT, ALERT = t.table(t.Terminal), t.table(t.Assignment), t.table(t.Alert)
REQUEST, VISIT = t.table(t.HelpRequest), t.table(t.Visit)
HANDOVER, ENTRY = t.table(t.Handover), t.table(t.HoursEntry)
OF_A_COMMUNITY: Final = frozenset({"community", "community_id", "handover_id", "entry_id"})
"""What belongs to a community as a whole, and to no house of it."""
NUMBERED: Final = OF_A_COMMUNITY | {
    "alert_id", "resident_id", "person_id", "assignment_id", "request_id", "visit_id", "number",
    "building",
}  # fmt: skip
"""What is named by a number, and by nothing else."""
FIRST: Final = select(COMMUNITY.c.id).order_by(COMMUNITY.c.series).limit(1).scalar_subquery()
"""The first community's id: whose everything is that names none."""
Houses = Collection[int | None]


def scope(conn: Connection, level: str, place_id: int | None) -> Scope:
    """The houses of a level and a place, as they are now."""
    which = Level(level)
    match which:
        case Level.ALL:
            return EVERYWHERE
        case Level.BUILDING:
            query = select(BUILDING.c.id).where(BUILDING.c.id == place_id)
        case Level.COMMUNITY:
            query = select(BUILDING.c.id).where(BUILDING.c.community_id == place_id)
        case Level.STREET | Level.DISTRICT:
            query = _together(which, place_id)
    houses = frozenset(conn.execute(query).scalars())
    whole = frozenset(conn.execute(_whole(which, place_id)).scalars())
    there_are = conn.execute(_THERE_ARE).one()
    return Scope(which, houses, (len(houses), len(whole)) == tuple(there_are), whole)


def communities(conn: Connection, scope: Scope) -> Sequence[RowMapping]:
    """The communities that lie within a scope as a whole, in the order of their registration."""
    query = WHOLE
    if scope.buildings is not None:
        query = query.where(COMMUNITY.c.id.in_(scope.communities))
    return conn.execute(query).mappings().all()


def seen(conn: Connection, scope: Scope) -> Sequence[RowMapping]:
    """The communities of which a scope has a house at least, and those within it as a whole."""
    query = WHOLE
    if scope.buildings is not None:
        with_a_house = select(BUILDING.c.community_id).where(BUILDING.c.id.in_(scope.buildings))
        query = query.where(
            COMMUNITY.c.id.in_(scope.communities) | COMMUNITY.c.id.in_(with_a_house)
        )
    return conn.execute(query).mappings().all()


_THERE_ARE = select(
    select(func.count()).select_from(BUILDING).scalar_subquery(),
    select(func.count()).select_from(COMMUNITY).scalar_subquery(),
)


def _whole(level: Level, place_id: int | None) -> Select[Any]:
    """Communities that lie within a place as a whole, also those without a house yet."""
    if level is Level.BUILDING:
        return select(COMMUNITY.c.id).where(false())
    if level is Level.COMMUNITY:
        return select(COMMUNITY.c.id).where(COMMUNITY.c.id == place_id)
    here, there, same = _same_place(level, place_id)
    return select(there.c.id).join(here, same)


def _together(level: Level, community_id: int | None) -> Select[tuple[int]]:
    """The houses of every community that lies in the same street (or district) as this one."""
    here, there, same = _same_place(level, community_id)
    return (
        select(BUILDING.c.id)
        .join(there, there.c.id == BUILDING.c.community_id)
        .join(here, same)
    )


def _same_place(
    level: Level, community_id: int | None
) -> tuple[FromClause, FromClause, ColumnElement[bool]]:
    """This community, every one that lies in its street (or district), and what says so. The place
    is kept as one of its communities, not by its name: a new name takes nobody's sight, and a
    community without one lies in no street, so whoever is left with it sees nothing."""
    here, there = COMMUNITY.alias("here"), COMMUNITY.alias("there")
    same = (here.c.district == there.c.district) & (here.c.id == community_id)
    if level is Level.STREET:
        same &= (here.c.street == there.c.street) & (here.c.street != "")
    else:
        same &= here.c.district != ""
    return here, there, same


def place_name(conn: Connection, level: str, place_id: int | None) -> str:
    """How people call the place of a scope, so that `place_id` finds it again; empty for the whole
    installation. A house is named by the number on its wall, and by its community where there are
    several; a community by its name, and by its street too where another has the same."""
    if level in (Level.BUILDING, Level.COMMUNITY):
        every = {r["id"]: _named(r) for r in conn.execute(WHOLE).mappings()}
        all_named, number, community = list(every.values()), 0, place_id
        if level == Level.BUILDING:
            query = select(BUILDING.c.number, BUILDING.c.community_id)
            row = conn.execute(query.where(BUILDING.c.id == place_id)).first()
            number, community = (row[0], row[1]) if row is not None else (0, None)
        if community not in every:
            return "?"
        if level == Level.COMMUNITY:
            return distinct(every[community], all_named)
        own = distinct(every[community], all_named) if len(every) > 1 else ""
        return called(number, own)
    if level in _NAMES:
        name = conn.execute(select(_WRITTEN[level]).where(COMMUNITY.c.id == place_id)).scalar()
        return str(name) if name else "?"
    return ""


def place_id(conn: Connection, level: str, name: str) -> int | None:
    """The place that people call so: a building by its community and the number on its wall
    ("棠德 2"; "2" where there is one community); a community, street or district by its name (or,
    when there is only one, by nothing), the latter two as one of their communities. A community is
    also found with its street, or its district and street, before its name. None when there is no
    such place, or more than one: none is guessed."""
    if level == Level.BUILDING:
        return _house_called(conn, name)
    if level == Level.COMMUNITY:
        every = conn.execute(WHOLE).mappings().all()
        so_named = [int(r["id"]) for r in every if not name or names(name, _named(r))]
        return so_named[0] if len(so_named) == 1 else None
    if level in _NAMES:
        named = _NAMES[level]
        query = select(func.min(COMMUNITY.c.id)).where(named != "")
        if name:
            query = query.where((named == name) | (_WRITTEN[level] == "".join(name.split())))
        query = query.group_by(*_KNOWN_BY[level])
    else:
        return None
    found = list(conn.execute(query.limit(2)).scalars())
    return found[0] if len(found) == 1 else None


def _named(row: RowMapping) -> Named:
    return Named(row["name"], row["street"], row["district"])


def _house_called(conn: Connection, name: str) -> int | None:
    number = house_number(conn, name)
    if number is None:
        return None
    query = select(BUILDING.c.id).where(BUILDING.c.number == number)
    return conn.execute(query).scalar_one_or_none()


def house_number(conn: Connection, name: str) -> int | None:
    """The number in the installation of what people call a house ("棠德 2"; "2" where there is one
    community), whether it is registered or not; a number of an address is taken as it is. None
    where it is none, or where several are called so."""
    found = spoken(name)
    if found is None:
        return None
    words, sign = found
    every = conn.execute(WHOLE).mappings().all()
    if not words and sign >= SPAN:  # as an address names it
        numbers = [sign]
    else:
        numbers = [numbered(r["series"], sign) for r in every
                   if sign < SPAN and (not words or names(words, _named(r)))]
    return numbers[0] if len(numbers) == 1 else None


def _one(conn: Connection, query: object) -> list[int | None]:
    return list(conn.execute(query).scalars())  # type: ignore[call-overload]


def unreadable(kind: str, thing: str, houses: Houses | None) -> bool:
    """Whether something that is named by a number is written as `number_in` doesn't read it (a
    `resident`: nor is it a terminal that somebody has). An endpoint may read it all the same
    (`+5`, ` 5`, `5.0` and `1_0` are numbers to pydantic), so nobody can say that it lies within a
    scope."""
    if number_in(thing) is not None:
        return False
    return kind in NUMBERED or (kind == "resident" and houses is None)


def beyond(conn: Connection, scope: Scope, kind: str, thing: str) -> bool:
    """Whether something lies in no house of this scope, or can't be looked up as it is written.
    What does not exist is not for us to say. A contact is within when any house of theirs is, or
    any desk: whoever has the duty of a community belongs to the whole of it, and is for those who
    answer for the whole."""
    if scope.buildings is None:
        return False
    if kind in OF_A_COMMUNITY:
        return _of_another_community(conn, scope, kind, thing)
    houses = houses_of(conn, kind, thing)
    if unreadable(kind, thing, houses):
        return True
    if houses is None:
        # Whoever stands by no house (any more) was somebody's beyond, perhaps: only for those who
        # have no beyond.
        return kind == "person_id" and not scope.common
    at_home = any(h is not None and scope.shows(h) for h in houses)
    if kind not in ("person_id", "assignment_id"):
        return not (at_home or None in houses)  # of no house: of all
    if None not in houses:
        return not at_home
    if not scope.wide:
        return True
    return not (at_home or any(map(scope.answers_for, desks_of(conn, kind, thing))))


def _of_another_community(conn: Connection, scope: Scope, kind: str, thing: str) -> bool:
    """Of what belongs to a community as a whole: whether that is none of this scope's. A community
    itself is within where any house of it is; the rest is for whoever answers for the whole."""
    number = number_in(thing)
    if number is None:
        return True
    if kind in ("community", "community_id"):
        return not any(row["id"] == number for row in seen(conn, scope))
    if not scope.wide:
        return False  # one building has no part in any of these: the endpoint says so
    of = community_of_handover if kind == "handover_id" else community_of_entry
    found = of(conn, number)
    return found is not None and not scope.answers_for(found)


def community_of_handover(conn: Connection, handover_id: int) -> int | None:
    """Whose desk was handed over. From before there were several: the first one's."""
    whose = func.coalesce(HANDOVER.c.community_id, FIRST)
    return conn.execute(select(whose).where(HANDOVER.c.id == handover_id)).scalar()


def community_of_entry(conn: Connection, entry_id: int) -> int | None:
    """In which community hours were given or drawn, by the house where it was; of no house, the
    first."""
    query = (
        select(func.coalesce(BUILDING.c.community_id, FIRST))
        .select_from(ENTRY)
        .outerjoin(BUILDING, BUILDING.c.id == ENTRY.c.building_id)
        .where(ENTRY.c.id == entry_id)
    )
    return conn.execute(query).scalar()


def desks_of(conn: Connection, kind: str, thing: str | int) -> frozenset[int]:
    """The communities at whose desk (or office above it) somebody stands, by `person_id` or
    `assignment_id`."""
    column = ASSIGNMENT.c.person_id if kind == "person_id" else ASSIGNMENT.c.id
    query = select(ASSIGNMENT.c.community_id).where(
        column == int(thing), ASSIGNMENT.c.community_id.is_not(None)
    )
    return frozenset(conn.execute(query).scalars())


def houses_of(conn: Connection, kind: str, thing: str) -> Houses | None:
    """The buildings to which something belongs: an `alert_id`, `resident_id`, `terminal_id`,
    `person_id`, `assignment_id`, `request_id`, `visit_id`, or a building's `number`. None stands
    for "none of them" within the answer; the answer is None when there is no such thing, or no
    house can be said."""
    number = number_in(thing)
    if number is None and (kind not in ("terminal_id", "resident") or "\x00" in thing):
        return None  # no database of ours holds a NUL in a text, and PostgreSQL can't be asked
    of_resident = ASSIGNMENT.outerjoin(RESIDENT, RESIDENT.c.id == ASSIGNMENT.c.resident_id)
    own = select(
        ASSIGNMENT.c.building_id, RESIDENT.c.building_id.label("of_resident")
    ).select_from(of_resident)
    match kind:
        case "alert_id":
            found = _one(conn, select(ALERT.c.building_id).where(ALERT.c.id == number))
        case "resident_id":
            found = _one(conn, select(RESIDENT.c.building_id).where(RESIDENT.c.id == number))
        case "terminal_id":
            query = (
                select(RESIDENT.c.building_id)
                .join(TERMINAL, TERMINAL.c.resident_id == RESIDENT.c.id)
                .where(TERMINAL.c.id == thing)
            )
            found = _one(conn, query)
        case "person_id" | "assignment_id":
            column = ASSIGNMENT.c.person_id if kind == "person_id" else ASSIGNMENT.c.id
            rows = conn.execute(own.where(column == number)).all()
            # Nobody's building: one of the care centre, who belongs to everybody's community.
            found = [r[0] if r[0] is not None else r[1] for r in rows]
        case "request_id":
            found = _one(conn, select(REQUEST.c.building_id).where(REQUEST.c.id == number))
        case "visit_id":
            query = (
                select(RESIDENT.c.building_id)
                .join(VISIT, VISIT.c.resident_id == RESIDENT.c.id)
                .where(VISIT.c.id == number)
            )
            found = _one(conn, query)
        case "number" | "building":
            # The first of that number, as everything else that is asked for by number.
            query = select(BUILDING.c.id).where(BUILDING.c.number == number)
            found = _one(conn, query.order_by(BUILDING.c.id).limit(1))
        case "resident":
            return houses_of(conn, "resident_id" if number is not None else "terminal_id", thing)
        case _:
            return None
    return found or None
