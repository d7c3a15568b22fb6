"""Terminals as staff look for them: by id, by door, by what has become of them."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, select

from server import tables as t
from server.core.houses import SPAN
from server.core.words import TerminalState

TERMINAL, RESIDENT = t.table(t.Terminal), t.table(t.Resident)
FLAT, BUILDING = t.table(t.Flat), t.table(t.Building)


class Which(StrEnum):
    """What has become of a terminal. `stock`: in service, and nobody's yet."""

    STOCK = "stock"
    ACTIVE = "active"
    LOST = "lost"
    REVOKED = "revoked"


def which(row: RowMapping) -> Which:
    """Of one terminal's row."""
    if row["state"] == TerminalState.ACTIVE and row["resident_id"] is None:
        return Which.STOCK
    return Which(row["state"])


def _is(wanted: Which) -> ColumnElement[bool]:
    if wanted is Which.STOCK:
        return (TERMINAL.c.state == TerminalState.ACTIVE) & TERMINAL.c.resident_id.is_(None)
    if wanted is Which.ACTIVE:
        return (TERMINAL.c.state == TerminalState.ACTIVE) & TERMINAL.c.resident_id.is_not(None)
    return TERMINAL.c.state == wanted.value


def _within(query: Select[Any], buildings: Collection[int] | None) -> Select[Any]:
    """Those of these houses, and what is nobody's."""
    if buildings is None:
        return query
    return query.where(
        TERMINAL.c.resident_id.is_(None) | RESIDENT.c.building_id.in_(buildings)
    )


def _with_door(*columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(TERMINAL)
        .outerjoin(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
        .outerjoin(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
        .outerjoin(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
    )


_WHOLE = (
    TERMINAL, RESIDENT.c.name.label("resident"), RESIDENT.c.building_id, FLAT.c.label,
    BUILDING.c.number.label("building"),
)  # fmt: skip


def counts(conn: Connection, buildings: Collection[int] | None) -> dict[Which, int]:
    """How many there are of each kind."""
    found = {}
    for wanted in Which:
        query = _within(_with_door(func.count()).where(_is(wanted)), buildings)
        found[wanted] = int(conn.execute(query).scalar_one())
    return found


def listed(
    conn: Connection, buildings: Collection[int] | None, *, wanted: Which | None = None,
    sign: int | None = None, label: str = "", part: str = "", limit: int,
) -> Sequence[RowMapping]:
    """In order of their ids: of this kind; of the buildings with this number on the wall, and this
    flat; or with `part` in the id, or as a flat's label."""
    query = _within(_with_door(*_WHOLE), buildings).order_by(TERMINAL.c.id).limit(limit)
    if wanted is not None:
        query = query.where(_is(wanted))
    if sign is not None:
        query = query.where(BUILDING.c.number % SPAN == sign)
    if label:
        query = query.where(FLAT.c.label == label)
    if part:
        query = query.where(
            TERMINAL.c.id.contains(part.lower(), autoescape=True) | (FLAT.c.label == part.upper())
        )
    return conn.execute(query).mappings().all()


def one(conn: Connection, terminal_id: str) -> RowMapping | None:
    """One terminal with whose it is."""
    query = _with_door(*_WHOLE).where(TERMINAL.c.id == terminal_id)
    return conn.execute(query).mappings().first()
