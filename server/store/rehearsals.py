"""Rows of a rehearsal: its building, its simulated terminals, its list."""

from datetime import date, datetime

from sqlalchemy import Connection, RowMapping, func, insert, select

from server import tables as t
from server.core.houses import numbered
from server.core.words import Role, State, TerminalState

BUILDING, FLAT, RESIDENT = t.table(t.Building), t.table(t.Flat), t.table(t.Resident)
TERMINAL, ASSIGNMENT = t.table(t.Terminal), t.table(t.Assignment)
ALERT = t.table(t.Alert)
A_FLOOR = 10
MOST_ALERTS = 10_000


def listed(conn: Connection) -> list[int]:
    """The assignments of those who stand on the rehearsal list."""
    query = select(ASSIGNMENT.c.id).where(ASSIGNMENT.c.role == Role.REHEARSAL)
    return list(conn.execute(query.order_by(ASSIGNMENT.c.id)).scalars())


def running(conn: Connection) -> dict[int, int]:
    """Number → id of the buildings whose rehearsal has not ended."""
    lived_in = select(RESIDENT.c.building_id).where(RESIDENT.c.state != "ended")
    query = select(BUILDING.c.number, BUILDING.c.id).where(
        BUILDING.c.rehearsal, BUILDING.c.id.in_(lived_in)
    )
    return {row.number: row.id for row in conn.execute(query)}


def next_number(conn: Connection, least: int, series: int = 0) -> int:
    """The first number from `least` on, in the community of this series, after all that were ever
    used there."""
    least = numbered(series, least)
    query = select(func.max(BUILDING.c.number)).where(
        BUILDING.c.number >= least, BUILDING.c.number < numbered(series + 1, 0)
    )
    newest: int | None = conn.execute(query).scalar_one()
    return least if newest is None else newest + 1


def open_alerts(conn: Connection, building_id: int) -> list[int]:
    """Every unresolved alert about this building, of whatever kind."""
    query = select(ALERT.c.id).where(
        ALERT.c.building_id == building_id, ALERT.c.state != State.RESOLVED
    )
    return list(conn.execute(query.order_by(ALERT.c.id).limit(MOST_ALERTS)).scalars())


def residents(conn: Connection, building_id: int) -> list[int]:
    """Those of this building who are not ended."""
    query = select(RESIDENT.c.id).where(
        RESIDENT.c.building_id == building_id, RESIDENT.c.state != "ended"
    )
    return list(conn.execute(query.order_by(RESIDENT.c.id)).scalars())


def terminals(conn: Connection, building_id: int, number: int) -> list[RowMapping]:
    """`id`, `simulated` of what stands in this building, and of what was made for it and stands
    elsewhere by mistake; not what is revoked."""
    query = (
        select(TERMINAL.c.id, TERMINAL.c.simulated)
        .outerjoin(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
        .where(
            TERMINAL.c.state != TerminalState.REVOKED,
            (RESIDENT.c.building_id == building_id)
            | (TERMINAL.c.simulated & TERMINAL.c.id.startswith(f"sim-{number}-")),
        )
    )
    return list(conn.execute(query.order_by(TERMINAL.c.id)).mappings())


def add_building(
    conn: Connection,
    community_id: int,
    number: int,
    flats: int,
    due_at: datetime | None,
    *,
    birth_date: date,
    risk_class: str,
) -> list[str]:
    """A building of a rehearsal, a simulated terminal in each flat; their ids. None of it where
    the number is taken."""
    if conn.execute(select(BUILDING.c.id).where(BUILDING.c.number == number)).first() is not None:
        return []
    building_id = conn.execute(
        insert(BUILDING)
        .values(
            community_id=community_id, number=number, rehearsal=True, address="", address_en=""
        )
        .returning(BUILDING.c.id)
    ).scalar_one()
    ids = []
    for n in range(flats):
        floor, door = n // A_FLOOR + 1, n % A_FLOOR + 1
        label = f"{floor}{door:02}"
        flat_id = conn.execute(
            insert(FLAT)
            .values(building_id=building_id, stairwell="", floor=floor, label=label)
            .returning(FLAT.c.id)
        ).scalar_one()
        resident_id = conn.execute(
            insert(RESIDENT)
            .values(
                flat_id=flat_id, building_id=building_id, name=f"演练{label}",
                birth_date=birth_date, sex="", living="alone", risk_class=risk_class,
                state="active", phone="", access_notes="", risks="", next_due_at=due_at,
            )
            .returning(RESIDENT.c.id)
        ).scalar_one()  # fmt: skip
        ids.append(f"sim-{number}-{label}")
        conn.execute(
            insert(TERMINAL).values(
                id=ids[-1], resident_id=resident_id, state="active", simulated=True,
                status="unknown", boot=0, firmware="", heartbeat_s=900,
            )
        )  # fmt: skip
    return ids
