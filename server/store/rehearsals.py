"""Rows of a rehearsal: its building, its simulated terminals, its list."""

from datetime import date, datetime

from sqlalchemy import Connection, insert, select

from server import tables as t
from server.core.words import Role

BUILDING, FLAT, RESIDENT = t.table(t.Building), t.table(t.Flat), t.table(t.Resident)
TERMINAL, ASSIGNMENT = t.table(t.Terminal), t.table(t.Assignment)
A_FLOOR = 10


def has_list(conn: Connection) -> bool:
    """Whether anybody stands on the rehearsal list."""
    query = select(ASSIGNMENT.c.id).where(ASSIGNMENT.c.role == Role.REHEARSAL).limit(1)
    return conn.execute(query).first() is not None


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
