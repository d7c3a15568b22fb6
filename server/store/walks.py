"""Rounds that were walked: who owed them, who was missed, and which steward reported."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, literal, select, update

from server import tables as t
from server.core.words import Role
from server.store.signals import insert

ROUND, TALLY, REPORT = t.table(t.Round), t.table(t.RoundTally), t.table(t.RoundReport)
RESIDENT, BUILDING, ASSIGNMENT = t.table(t.Resident), t.table(t.Building), t.table(t.Assignment)
ALERT, ITEM = t.table(t.Alert), t.table(t.AlertItem)
SIGNAL, TERMINAL = t.table(t.Signal), t.table(t.Terminal)
WALKERS = (Role.STEWARD.value, Role.SUBSTITUTE.value)


def _lived_in(community_id: int | None) -> Select[tuple[int]]:
    """Buildings in which somebody lives, of a community or of all."""
    query = select(BUILDING.c.id).where(BUILDING.c.rehearsal.is_(False))
    return query if community_id is None else query.where(BUILDING.c.community_id == community_id)


_DUE = (
    select(ROUND)
    .where(ROUND.c.next_at <= bindparam("now"))
    .order_by(ROUND.c.next_at)
    .limit(bindparam("most"))
)


def due(conn: Connection, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Rounds that are to be looked at: their deadline has come, or their reports should have."""
    return conn.execute(_DUE, {"now": now, "most": limit}).mappings().all()


def look_at(conn: Connection, round_id: int, next_at: datetime | None) -> None:
    """When a round, now tallied, is to be looked at again; None: never."""
    conn.execute(
        update(ROUND).where(ROUND.c.id == round_id).values(next_at=next_at, tallied=True)
    )


def tally(
    conn: Connection, round_id: int, community_id: int, classes: Collection[str]
) -> None:
    """Count once, in the database, how many residents of each building of the community owed this
    round. Nobody lives in a rehearsal's."""
    owing = (
        select(literal(round_id), RESIDENT.c.building_id, func.count())
        .where(
            RESIDENT.c.state == "active", RESIDENT.c.risk_class.in_(classes),
            RESIDENT.c.building_id.in_(_lived_in(community_id)),
        )
        .group_by(RESIDENT.c.building_id)
    )
    conn.execute(
        insert(conn, TALLY)
        .from_select(["round_id", "building_id", "owing"], owing)
        .on_conflict_do_nothing()
    )


def round_at(conn: Connection, community_id: int, now: datetime) -> RowMapping | None:
    """The round a word of now about a house of the community is about: the last one of its that
    has opened."""
    query = (
        select(ROUND)
        .where(ROUND.c.community_id == community_id, ROUND.c.opens_at <= now)
        .order_by(ROUND.c.due_at.desc())
        .limit(1)
    )
    return conn.execute(query).mappings().first()


def round_of(conn: Connection, community_id: int, deadline: datetime) -> RowMapping | None:
    """The community's round with this deadline."""
    query = (
        select(ROUND)
        .where(ROUND.c.community_id == community_id, ROUND.c.deadline == deadline)
        .limit(1)
    )
    return conn.execute(query).mappings().first()


def houses_of(conn: Connection, person_id: int) -> Sequence[RowMapping]:
    """The buildings this person walks: `id`, `number`, `community_id`, `role`; their own before
    others'."""
    query = (
        select(BUILDING.c.id, BUILDING.c.number, BUILDING.c.community_id, ASSIGNMENT.c.role)
        .join(ASSIGNMENT, ASSIGNMENT.c.building_id == BUILDING.c.id)
        .where(ASSIGNMENT.c.person_id == person_id, ASSIGNMENT.c.role.in_(WALKERS))
        .order_by(ASSIGNMENT.c.role, BUILDING.c.number)
    )
    return conn.execute(query).mappings().all()


def report(conn: Connection, **row: Any) -> bool:
    """Record that a building was walked; False when the same person had said so."""
    statement = insert(conn, REPORT).values(**row).on_conflict_do_nothing().returning(REPORT.c.id)
    return conn.execute(statement).first() is not None


def unreported(conn: Connection, round_id: int) -> list[int]:
    """Numbers of the buildings that owed this round and that nobody has reported."""
    said = select(REPORT.c.building_id).where(REPORT.c.round_id == round_id)
    query = (
        select(BUILDING.c.number)
        .join(TALLY, TALLY.c.building_id == BUILDING.c.id)
        .where(
            TALLY.c.round_id == round_id, BUILDING.c.id.not_in(said),
            BUILDING.c.rehearsal.is_(False),  # nobody walks where nobody lives
        )
        .order_by(BUILDING.c.number)
    )
    return list(conn.execute(query).scalars())


def last_rounds(
    conn: Connection, now: datetime, limit: int, *, community_id: int
) -> Sequence[RowMapping]:
    """A community's newest `limit` rounds that have opened, oldest first."""
    query = (
        select(ROUND)
        .where(ROUND.c.opens_at <= now, ROUND.c.community_id == community_id)
        .order_by(ROUND.c.due_at.desc())
    )
    return list(conn.execute(query.limit(limit)).mappings())[::-1]


def tallies(
    conn: Connection, round_ids: Collection[int], building_id: int | None = None
) -> Sequence[RowMapping]:
    """`round_id`, `building_id`, `owing` of these rounds."""
    query = select(TALLY).where(TALLY.c.round_id.in_(round_ids))
    if building_id is not None:
        query = query.where(TALLY.c.building_id == building_id)
    return conn.execute(query).mappings().all()


def owing_now(
    conn: Connection, classes: Collection[str], deadline: datetime, building_id: int | None,
    community_id: int | None = None,
) -> dict[int, tuple[int, int]]:
    """Of a round that still runs, of a community or of all: building → (owing, of whom checked
    in)."""
    query = (
        select(
            RESIDENT.c.building_id, func.count(),
            func.count().filter(RESIDENT.c.next_due_at > deadline),
        )
        .where(
            RESIDENT.c.state == "active", RESIDENT.c.risk_class.in_(classes),
            RESIDENT.c.building_id.in_(_lived_in(community_id)),
        )
        .group_by(RESIDENT.c.building_id)
    )  # fmt: skip
    if building_id is not None:
        query = query.where(RESIDENT.c.building_id == building_id)
    return {row[0]: (row[1], row[2]) for row in conn.execute(query)}


def reports(
    conn: Connection, round_ids: Collection[int], building_id: int | None = None
) -> Sequence[RowMapping]:
    """Who reported these rounds, first word first."""
    query = select(REPORT).where(REPORT.c.round_id.in_(round_ids)).order_by(REPORT.c.id)
    if building_id is not None:
        query = query.where(REPORT.c.building_id == building_id)
    return conn.execute(query).mappings().all()
