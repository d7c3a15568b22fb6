"""Visits that are owed: rows ↔ core, and lists of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select, update

from server import tables as t
from server.core.visits import Cause, Visit, VisitState
from server.database import Stale
from server.store.signals import insert

VISIT, BUILDING = t.table(t.Visit), t.table(t.Building)
RESIDENT, FLAT = t.table(t.Resident), t.table(t.Flat)


def add(conn: Connection, **columns: Any) -> int | None:
    """Write one down; None when its `visit_key` is there already."""
    statement = insert(conn, VISIT).values(**columns).on_conflict_do_nothing()
    return conn.execute(statement.returning(VISIT.c.id)).scalar_one_or_none()


def _with_door() -> Select[Any]:
    return (
        select(
            VISIT, BUILDING.c.number.label("building_number"), FLAT.c.label,
            RESIDENT.c.name.label("resident"),
        )
        .join(RESIDENT, RESIDENT.c.id == VISIT.c.resident_id)
        .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
    )  # fmt: skip


def one(conn: Connection, visit_id: int) -> RowMapping | None:
    """One visit with its door."""
    return conn.execute(_with_door().where(VISIT.c.id == visit_id)).mappings().first()


def core_of(row: RowMapping) -> Visit:
    """A row as the rules see it."""
    return Visit(
        Cause(row["cause"]), row["opened_at"], row["due_at"], VisitState(row["state"]),
        row["closed_at"], row["note"],
    )


def save(conn: Connection, row: RowMapping, visit: Visit, **more: Any) -> None:
    """Write a decision down. Raises Stale when somebody else was first."""
    done = conn.execute(
        update(VISIT)
        .where(VISIT.c.id == row["id"], VISIT.c.version == row["version"])
        .values(
            state=visit.state.value, closed_at=visit.closed_at, note=visit.note,
            version=row["version"] + 1, **more,
        )
    )  # fmt: skip
    if done.rowcount != 1:
        raise Stale


def listed(
    conn: Connection, limit: int, *, owed: bool, buildings: Collection[int] | None = None,
    resident_id: int | None = None,
) -> Sequence[RowMapping]:
    """Those owed, the longest overdue first; or (not `owed`) those closed, newest first."""
    query = _with_door().limit(limit)
    if owed:
        query = query.where(VISIT.c.closed_at.is_(None)).order_by(VISIT.c.due_at, VISIT.c.id)
    else:
        query = query.where(VISIT.c.closed_at.is_not(None)).order_by(VISIT.c.id.desc())
    if buildings is not None:
        query = query.where(RESIDENT.c.building_id.in_(buildings))
    if resident_id is not None:
        query = query.where(VISIT.c.resident_id == resident_id)
    return conn.execute(query).mappings().all()


def owed(
    conn: Connection, now: datetime, buildings: Collection[int] | None = None
) -> tuple[int, int]:
    """How many are owed, and how many of those overdue."""
    query = (
        select(func.count(), func.count().filter(VISIT.c.due_at <= now))
        .join(RESIDENT, RESIDENT.c.id == VISIT.c.resident_id)
        .where(VISIT.c.closed_at.is_(None))
    )
    if buildings is not None:
        query = query.where(RESIDENT.c.building_id.in_(buildings))
    row = conn.execute(query).one()
    return int(row[0]), int(row[1])


def residents_watched(conn: Connection) -> int:
    """How many residents the register has who are not ended."""
    query = select(func.count()).select_from(RESIDENT).where(RESIDENT.c.state != "ended")
    return int(conn.execute(query).scalar_one())
