"""Rows of the register in which something can't be read: a disk's fault, a hand in the database.

Those who read the register go on without it (tables.ReadableInstant, rosters.rota_as_read); this
finds such rows, so that staff can enter anew what is lost.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import BigInteger, ColumnElement, Connection, RowMapping, case, select, type_coerce

from server import tables as t
from server.core.rounds import CLASSES

ASSIGNMENT, RESIDENT = t.table(t.Assignment), t.table(t.Resident)
BUILDING = t.table(t.Building)


def _no_instant(column: ColumnElement[object]) -> ColumnElement[bool]:
    ms = type_coerce(column, BigInteger)
    return (ms > t.LATEST_MS) | (ms < t.EARLIEST_MS)


_DESKS = (
    select(ASSIGNMENT.c.person_id)
    .where(ASSIGNMENT.c.community_id.is_not(None), _no_instant(ASSIGNMENT.c.absent_until))
    # In the order of the index: for another one SQLite goes through the stewards of every house.
    .order_by(ASSIGNMENT.c.community_id, ASSIGNMENT.c.id)
)
_PERSONS = (
    select(ASSIGNMENT.c.person_id)
    .where(ASSIGNMENT.c.community_id.is_(None), _no_instant(ASSIGNMENT.c.absent_until))
    .distinct()
    .order_by(ASSIGNMENT.c.person_id)
)
_WHAT = case(
    (RESIDENT.c.risk_class.not_in(CLASSES), "risk_class"),
    (_no_instant(RESIDENT.c.next_due_at), "next_due_at"),
    (_no_instant(RESIDENT.c.absent_until), "absent_until"),
    (_no_instant(RESIDENT.c.last_sign_at), "last_sign_at"),
    else_="",
)
_LOST = _no_instant(RESIDENT.c.next_due_at) & (RESIDENT.c.state == "active")
_RESIDENTS = (
    select(RESIDENT.c.id, RESIDENT.c.building_id, _WHAT.label("what"), _LOST.label("lost"))
    .where(RESIDENT.c.state != "ended", _WHAT != "")
    .order_by(RESIDENT.c.id)
)


def _of(community_id: int) -> ColumnElement[bool]:
    theirs = select(BUILDING.c.id).where(BUILDING.c.community_id == community_id)
    return RESIDENT.c.building_id.in_(theirs)


def absences_of_desks(conn: Connection) -> list[int]:
    """Persons of the care centre and the offices whose absence can't be read; one index look-up."""
    return list(conn.execute(_DESKS).scalars())


def absences(conn: Connection) -> list[int]:
    """Stewards, key holders … whose absence can't be read. Goes through all of them."""
    return list(conn.execute(_PERSONS).scalars())


def residents(conn: Connection, community_id: int) -> Sequence[RowMapping]:
    """Residents of a community of whose row the column `what` can't be read; `lost`: it is the
    deadline of somebody who is watched, so that nothing would ever find them overdue. Goes through
    all of its houses."""
    return conn.execute(_RESIDENTS.where(_of(community_id))).mappings().all()


def houses_of(conn: Connection, community_id: int, building_ids: Collection[int]) -> set[int]:
    """Those of these buildings that are the community's."""
    query = select(BUILDING.c.id).where(
        BUILDING.c.id.in_(building_ids), BUILDING.c.community_id == community_id
    )
    return set(conn.execute(query).scalars())
