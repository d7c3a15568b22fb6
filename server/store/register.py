"""The register in bulk: what an import or an export needs, a handful of statements for any number
of rows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, or_, select, update
from sqlalchemy import Table as SqlTable
from sqlalchemy.exc import IntegrityError

from server import tables as t
from server.core.houses import Named
from server.core.rounds import BUILT_IN
from server.core.words import TerminalState
from server.database import Stale
from server.store.communities import BUILT_IN_ZONE, WHOLE, plan_to_json

COMMUNITY, BUILDING, FLAT = t.table(t.Community), t.table(t.Building), t.table(t.Flat)
RESIDENT, PERSON, TERMINAL = t.table(t.Resident), t.table(t.Person), t.table(t.Terminal)
ASSIGNMENT, CHANGE = t.table(t.Assignment), t.table(t.RegisterChange)
LOT = 5_000
"""Values in one IN (...): SQLite takes 32,766, PostgreSQL 65,535."""


def lots(values: Iterable[Any], size: int = LOT) -> Iterable[list[Any]]:
    """The values in lists of at most `size`."""
    ahead = iter(values)
    while lot := list(islice(ahead, size)):
        yield lot


def _all(conn: Connection, query: Any, column: Any, values: Collection[Any]) -> list[RowMapping]:
    return [
        row
        for lot in lots(values)
        for row in conn.execute(query.where(column.in_(lot))).mappings()
    ]


def community(conn: Connection, community_id: int | None = None) -> RowMapping | None:
    """A community's row, of None the first's; None in an empty register."""
    query = WHOLE.limit(1)
    if community_id is not None:
        query = query.where(COMMUNITY.c.id == community_id)
    return conn.execute(query).mappings().first()


def communities(conn: Connection) -> Sequence[RowMapping]:
    """Every community's row, in the order of their registration."""
    return conn.execute(WHOLE).mappings().all()


def add_communities(conn: Connection, new: Iterable[tuple[int, Named]]) -> dict[int, int]:
    """Register communities, each with its series, the built-in zone and the built-in rounds; series
    → id. Raises Stale where another writer has given a series away since we looked."""
    rounds_ = [plan_to_json(p) for p in BUILT_IN]
    rows = [
        {"series": series, "name": named.name, "street": named.street,
         "district": named.district, "tz": BUILT_IN_ZONE, "rounds": rounds_}
        for series, named in new
    ]  # fmt: skip
    try:
        return {r["series"]: int(r["id"]) for r in add(conn, t.Community, rows, "id", "series")}
    except IntegrityError as error:
        raise Stale("another community was registered since we looked") from error


def communities_of(conn: Connection, building_ids: Collection[int]) -> frozenset[int]:
    """The ids of the communities in which these buildings stand."""
    query = select(BUILDING.c.community_id).distinct()
    return frozenset(
        row["community_id"] for row in _all(conn, query, BUILDING.c.id, building_ids)
    )


def buildings(conn: Connection, numbers: Collection[int]) -> list[RowMapping]:
    """These buildings."""
    return _all(conn, select(BUILDING), BUILDING.c.number, numbers)


def all_buildings(conn: Connection) -> Sequence[RowMapping]:
    """Every building by number, but for those of a rehearsal: nobody lives there."""
    query = select(BUILDING).where(BUILDING.c.rehearsal.is_(False)).order_by(BUILDING.c.number)
    return conn.execute(query).mappings().all()


def flats(conn: Connection, building_ids: Collection[int]) -> list[RowMapping]:
    """All doors of these buildings."""
    return _all(conn, select(FLAT), FLAT.c.building_id, building_ids)


def _residents() -> Any:
    return (
        select(RESIDENT, FLAT.c.label, FLAT.c.floor, FLAT.c.stairwell, BUILDING.c.number,
               BUILDING.c.community_id)
        .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
    )


def residents_of(conn: Connection, building_ids: Collection[int]) -> list[RowMapping]:
    """The residents of these buildings with their doors, those who are ended too."""
    return _all(conn, _residents(), RESIDENT.c.building_id, building_ids)


def residents_by_id(conn: Connection, ids: Collection[int]) -> list[RowMapping]:
    """These residents with their doors."""
    return _all(conn, _residents(), RESIDENT.c.id, ids)


def all_residents(conn: Connection) -> Sequence[RowMapping]:
    """Everybody who is watched, by address; nobody of a rehearsal."""
    query = _residents().where(RESIDENT.c.state != "ended", BUILDING.c.rehearsal.is_(False))
    query = query.order_by(
        BUILDING.c.number, FLAT.c.stairwell, FLAT.c.floor, FLAT.c.label, RESIDENT.c.id
    )
    found: Sequence[RowMapping] = conn.execute(query).mappings().all()
    return found


def newest_resident(conn: Connection, building: int, name: str) -> int:
    """The id of whoever of this name was registered last in the building of this number."""
    query = (
        select(func.max(RESIDENT.c.id))
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .where(BUILDING.c.number == building, RESIDENT.c.name == name)
    )
    return int(conn.execute(query).scalar_one())


def persons(conn: Connection, phones: Collection[str]) -> list[RowMapping]:
    """The contacts with these numbers."""
    return _all(conn, select(PERSON), PERSON.c.phone, phones)


def terminals(conn: Connection, ids: Collection[str]) -> list[RowMapping]:
    """These terminals."""
    return _all(conn, select(TERMINAL), TERMINAL.c.id, ids)


def terminals_of(conn: Connection, resident_ids: Collection[int]) -> list[RowMapping]:
    """The terminals of these residents, in order of their ids."""
    query = select(TERMINAL).order_by(TERMINAL.c.id)
    return _all(conn, query, TERMINAL.c.resident_id, resident_ids)


def terminals_in_stock(conn: Connection, most: int) -> list[str]:
    """Ids of terminals in service that are nobody's, in order."""
    query = select(TERMINAL.c.id).where(
        TERMINAL.c.resident_id.is_(None), TERMINAL.c.state == TerminalState.ACTIVE
    )
    return list(conn.execute(query.order_by(TERMINAL.c.id).limit(most)).scalars())


def _assignments() -> Any:
    return (
        select(ASSIGNMENT, PERSON.c.name, PERSON.c.phone, PERSON.c.lang)
        .join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
        .order_by(ASSIGNMENT.c.position, ASSIGNMENT.c.id)
    )


def behind_residents(conn: Connection, ids: Collection[int]) -> list[RowMapping]:
    """Who stands by these residents, with name and number."""
    return _all(conn, _assignments(), ASSIGNMENT.c.resident_id, ids)


def behind_buildings(conn: Connection, ids: Collection[int]) -> list[RowMapping]:
    """The stewards and substitutes of these buildings."""
    return _all(conn, _assignments(), ASSIGNMENT.c.building_id, ids)


def offices(conn: Connection, community_id: int | None = None) -> Sequence[RowMapping]:
    """The care centre's people and the offices above, of one community or (None) of all, in the
    order they were entered."""
    query = _assignments().where(
        ASSIGNMENT.c.community_id.is_not(None) if community_id is None
        else ASSIGNMENT.c.community_id == community_id
    )
    found: Sequence[RowMapping] = conn.execute(query).mappings().all()
    return found


def absences(conn: Connection, person_ids: Collection[int]) -> dict[int, Any]:
    """Until when these persons are passed over; who is not absent is not in it."""
    query = select(ASSIGNMENT.c.person_id, ASSIGNMENT.c.absent_until).where(
        ASSIGNMENT.c.absent_until.is_not(None)
    )
    found: dict[int, Any] = {}
    for row in _all(conn, query, ASSIGNMENT.c.person_id, person_ids):
        if row["absent_until"] is None:  # it can't be read
            continue
        known = found.get(row["person_id"])
        found[row["person_id"]] = max(known or row["absent_until"], row["absent_until"])
    return found


def add(
    conn: Connection, model: type, rows: Sequence[Mapping[str, Any]], *wanted: str
) -> list[RowMapping]:
    """Insert rows in bulk; returns the columns `wanted` of each, in no promised order."""
    if not rows:
        return []
    table: SqlTable = t.table(model)
    statement = insert(table)
    if not wanted:
        conn.execute(statement, list(rows))
        return []
    columns = [table.c[name] for name in wanted]
    return list(conn.execute(statement.returning(*columns), list(rows)).mappings())


def change(conn: Connection, model: type, changes: Mapping[Any, Mapping[str, Any]]) -> None:
    """Set columns of rows by their ids; one statement for all that change the same columns."""
    table: SqlTable = t.table(model)
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row_id, values in changes.items():
        if values:
            columns = tuple(sorted(values))
            alike.setdefault(columns, []).append(
                {"row": row_id, **{f"new_{name}": values[name] for name in columns}}
            )
    for columns, rows in alike.items():
        statement = (
            update(table)
            .where(table.c.id == bindparam("row"))
            .values({name: bindparam(f"new_{name}") for name in columns})
        )
        conn.execute(statement, rows)


def note_changes(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append to the history of changes."""
    if rows:
        conn.execute(insert(CHANGE), list(rows))


def changes_of(conn: Connection, subjects: Sequence[str], limit: int) -> Sequence[RowMapping]:
    """The newest changes of these subjects, the newest first."""
    query = (
        select(CHANGE)
        .where(or_(*(CHANGE.c.subject == s for s in subjects)))
        .order_by(CHANGE.c.id.desc())
        .limit(limit)
    )
    return conn.execute(query).mappings().all()
