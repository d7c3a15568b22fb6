"""What the wall is drawn from: doors, the facts behind each window, and today's counts."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select

from server import tables as t
from server.core.words import Kind, State

BUILDING, FLAT = t.table(t.Building), t.table(t.Flat)
RESIDENT, TERMINAL = t.table(t.Resident), t.table(t.Terminal)
ALERT, ITEM = t.table(t.Alert), t.table(t.AlertItem)
JOURNAL = t.table(t.Journal)


def buildings(conn: Connection) -> Sequence[RowMapping]:
    """All buildings by number."""
    return conn.execute(select(BUILDING).order_by(BUILDING.c.number)).mappings().all()


def standing(conn: Connection) -> Sequence[RowMapping]:
    """The buildings that a wall shows, by number: all but those of a rehearsal that has ended."""
    lived_in = select(RESIDENT.c.building_id).where(RESIDENT.c.state != "ended")
    query = select(BUILDING).where(BUILDING.c.rehearsal.is_(False) | BUILDING.c.id.in_(lived_in))
    return conn.execute(query.order_by(BUILDING.c.number)).mappings().all()


def flats(conn: Connection, ids: Collection[int] | None = None) -> Sequence[RowMapping]:
    """Flats in their fixed places: stairwell, floor from the top, label."""
    query = select(FLAT).order_by(
        FLAT.c.building_id, FLAT.c.stairwell, FLAT.c.floor.desc(), FLAT.c.label
    )
    if ids is not None:
        query = query.where(FLAT.c.id.in_(ids))
    return conn.execute(query).mappings().all()


def flats_of_buildings(conn: Connection, building_ids: Collection[int]) -> list[int]:
    """Ids of all flats of these buildings."""
    query = select(FLAT.c.id).where(FLAT.c.building_id.in_(building_ids))
    return list(conn.execute(query).scalars())


def residents(conn: Connection, flat_ids: Collection[int] | None = None) -> Sequence[RowMapping]:
    """The residents behind the windows with what their terminals last said."""
    query = select(
        RESIDENT.c.id, RESIDENT.c.flat_id, RESIDENT.c.building_id, RESIDENT.c.state,
        RESIDENT.c.next_due_at, RESIDENT.c.risk_class, BUILDING.c.community_id,
        TERMINAL.c.id.label("terminal_id"), TERMINAL.c.status,
    ).join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id).outerjoin(
        TERMINAL, (TERMINAL.c.resident_id == RESIDENT.c.id) & (TERMINAL.c.state == "active")
    ).where(RESIDENT.c.state != "ended")  # fmt: skip
    if flat_ids is not None:
        query = query.where(RESIDENT.c.flat_id.in_(flat_ids))
    return conn.execute(query).mappings().all()


def sos_states(conn: Connection) -> dict[int, State]:
    """Resident id → state of their open SOS."""
    query = select(ALERT.c.resident_id, ALERT.c.state).where(
        ALERT.c.kind == Kind.SOS,
        ALERT.c.state != State.RESOLVED,
        ALERT.c.resident_id.is_not(None),
    )
    return {r[0]: State(r[1]) for r in conn.execute(query)}


def missed_residents(conn: Connection) -> set[int]:
    """Residents with an unsettled item in an open worklist."""
    query = (
        select(ITEM.c.resident_id)
        .join(ALERT, ALERT.c.id == ITEM.c.alert_id)
        .where(ITEM.c.outcome.is_(None), ALERT.c.state != State.RESOLVED)
    )
    return set(conn.execute(query).scalars())


def open_counts(
    conn: Connection, buildings: Collection[int] | None = None
) -> dict[tuple[str, str], int]:
    """(kind, state) → how many alerts are not resolved. None of a rehearsal: it calls nobody."""
    query = (
        select(ALERT.c.kind, ALERT.c.state, func.count())
        .where(
            ALERT.c.state != State.RESOLVED,
            ALERT.c.building_id.is_(None)
            | ALERT.c.building_id.not_in(select(BUILDING.c.id).where(BUILDING.c.rehearsal)),
        )
        .group_by(ALERT.c.kind, ALERT.c.state)
    )
    if buildings is not None:
        query = query.where(ALERT.c.building_id.in_(buildings) | ALERT.c.building_id.is_(None))
    return {(r[0], r[1]): r[2] for r in conn.execute(query)}


def homes_missed(conn: Connection, buildings: Collection[int] | None = None) -> int:
    """How many doors the open worklists still hold: a couple behind one door is one home, a door
    that was seen to is none. None of a rehearsal."""
    query = (
        select(func.count(RESIDENT.c.flat_id.distinct()))
        .select_from(ITEM)
        .join(ALERT, ALERT.c.id == ITEM.c.alert_id)
        .join(RESIDENT, RESIDENT.c.id == ITEM.c.resident_id)
        .where(
            ITEM.c.outcome.is_(None), ALERT.c.state != State.RESOLVED,
            ALERT.c.building_id.not_in(select(BUILDING.c.id).where(BUILDING.c.rehearsal)),
        )
    )  # fmt: skip
    if buildings is not None:
        query = query.where(ALERT.c.building_id.in_(buildings))
    return int(conn.execute(query).scalar_one())


def opened_since(
    conn: Connection, at: datetime, buildings: Collection[int] | None = None
) -> int:
    """How often a desk was called on since `at`: each SOS and fault; the worklists of a round,
    which come up together with one chime, are one. Tests aside."""
    query = (
        select(ALERT.c.kind, func.count())
        .where(ALERT.c.opened_at > at, ALERT.c.test.is_(False))
        .group_by(ALERT.c.kind)
    )
    if buildings is not None:
        query = query.where(ALERT.c.building_id.in_(buildings) | ALERT.c.building_id.is_(None))
    return sum(min(n, 1) if kind == Kind.MISSED else n for kind, n in conn.execute(query))


def began(conn: Connection) -> datetime | None:
    """When the oldest thing we remember happened; None before anything has."""
    query = select(JOURNAL.c.at).order_by(JOURNAL.c.seq).limit(1)
    found: datetime | None = conn.execute(query).scalar_one_or_none()
    return found


def round_progress(
    conn: Connection, deadline: datetime, classes: Collection[str],
    buildings: Collection[int] | None = None,
) -> tuple[int, int]:
    """(expected, checked): how many owe the round of this deadline a sign of life (by their
    class), and how many of them have given it (their own deadline is a later one). Nobody of a
    rehearsal is among them."""
    watched = (RESIDENT.c.state == "active") & RESIDENT.c.next_due_at.is_not(None)
    watched &= RESIDENT.c.risk_class.in_(classes)
    watched &= RESIDENT.c.building_id.not_in(select(BUILDING.c.id).where(BUILDING.c.rehearsal))
    if buildings is not None:
        watched &= RESIDENT.c.building_id.in_(buildings)
    row = conn.execute(
        select(
            func.count(), func.count().filter(RESIDENT.c.next_due_at > deadline)
        ).where(watched)
    ).one()
    return int(row[0]), int(row[1])
