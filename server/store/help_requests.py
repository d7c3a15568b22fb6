"""The register of help requests: rows ↔ core, and lists of them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, Select, func, select, update

from server import tables as t
from server.core.help_requests import Ending, Helper, HelpRequest, Source, Stage, Want
from server.database import Stale
from server.store.signals import held, insert

REQUEST, BUILDING = t.table(t.HelpRequest), t.table(t.Building)
RESIDENT, FLAT = t.table(t.Resident), t.table(t.Flat)
Which = Literal["waiting", "closed", "all"]


def add(conn: Connection, **columns: Any) -> int | None:
    """Write one down; None when its `request_key` is there already."""
    statement = insert(conn, REQUEST).values(**columns).on_conflict_do_nothing()
    return conn.execute(statement.returning(REQUEST.c.id)).scalar_one_or_none()


def by_key(conn: Connection, key: str) -> int | None:
    """The request that came by this."""
    query = select(REQUEST.c.id).where(REQUEST.c.request_key == key)
    return conn.execute(query).scalar_one_or_none()


def waiting_of_terminal(conn: Connection, resident_id: int, kind: str) -> RowMapping | None:
    """What this resident asked for by their terminal and still waits for; held, so that a desk
    which acts on it at the same moment comes after us."""
    query = select(REQUEST).where(
        REQUEST.c.resident_id == resident_id, REQUEST.c.kind == kind,
        REQUEST.c.source == Source.TERMINAL.value, REQUEST.c.closed_at.is_(None),
    )  # fmt: skip
    return conn.execute(held(conn, query.limit(1))).mappings().first()


def _with_door() -> Select[Any]:
    return (
        select(
            REQUEST, BUILDING.c.number.label("building_number"), FLAT.c.label,
            RESIDENT.c.name.label("resident"),
        )
        .join(BUILDING, BUILDING.c.id == REQUEST.c.building_id)
        .outerjoin(RESIDENT, RESIDENT.c.id == REQUEST.c.resident_id)
        .outerjoin(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
    )  # fmt: skip


def one(conn: Connection, request_id: int) -> RowMapping | None:
    """One request with its door."""
    query = _with_door().where(REQUEST.c.id == request_id)
    return conn.execute(query).mappings().first()


def core_of(row: RowMapping) -> HelpRequest:
    """A row as the rules see it."""
    return HelpRequest(
        Want(row["kind"]), row["asked_at"], row["due_at"], Stage(row["stage"]),
        Helper(row["helper"], row["helper_id"]) if row["helper"] is not None else None,
        row["taken_at"], row["closed_at"], Ending(row["ending"]) if row["ending"] else None,
        row["why"],
    )  # fmt: skip


def save(
    conn: Connection, row: RowMapping, request: HelpRequest, step: Mapping[str, Any], **more: Any
) -> None:
    """Write a decision down with its step. Raises Stale when somebody else was first."""
    helper = request.helper
    done = conn.execute(
        update(REQUEST)
        .where(REQUEST.c.id == row["id"], REQUEST.c.version == row["version"])
        .values(
            stage=request.stage.value, helper=helper.name if helper else None,
            helper_id=helper.person_id if helper else None, taken_at=request.taken_at,
            closed_at=request.closed_at, ending=request.ending.value if request.ending else None,
            why=request.why, steps=[*row["steps"], dict(step)], version=row["version"] + 1, **more,
        )
    )  # fmt: skip
    if done.rowcount != 1:
        raise Stale


def set_facts(conn: Connection, row: RowMapping, step: Mapping[str, Any], **values: Any) -> None:
    """Change what is asked for or for whom. Raises Stale when somebody else was first."""
    done = conn.execute(
        update(REQUEST)
        .where(REQUEST.c.id == row["id"], REQUEST.c.version == row["version"])
        .values(steps=[*row["steps"], dict(step)], version=row["version"] + 1, **values)
    )
    if done.rowcount != 1:
        raise Stale


def _within(query: Select[Any], buildings: Collection[int] | None) -> Select[Any]:
    return query if buildings is None else query.where(REQUEST.c.building_id.in_(buildings))


def listed(
    conn: Connection, which: Which, limit: int, *, buildings: Collection[int] | None = None,
    building_id: int | None = None, resident_id: int | None = None, before: int | None = None,
) -> Sequence[RowMapping]:
    """Those still waiting by their due date, the longest overdue first; closed ones newest first.
    `before`: only ids below this one (closed, all)."""
    query = _within(_with_door(), buildings).limit(limit)
    if which == "waiting":
        query = query.where(REQUEST.c.closed_at.is_(None))
        query = query.order_by(REQUEST.c.due_at, REQUEST.c.id)
    else:
        query = query.order_by(REQUEST.c.id.desc())
    if which == "closed":
        query = query.where(REQUEST.c.closed_at.is_not(None))
    if building_id is not None:
        query = query.where(REQUEST.c.building_id == building_id)
    if resident_id is not None:
        query = query.where(REQUEST.c.resident_id == resident_id)
    if before is not None:
        query = query.where(REQUEST.c.id < before)
    return conn.execute(query).mappings().all()


def waiting(
    conn: Connection, now: datetime, buildings: Collection[int] | None = None
) -> tuple[int, int]:
    """How many wait, and how many of those are overdue."""
    query = select(
        func.count(), func.count().filter(REQUEST.c.due_at <= now)
    ).where(REQUEST.c.closed_at.is_(None))
    if buildings is not None:
        query = query.where(REQUEST.c.building_id.in_(buildings))
    row = conn.execute(query).one()
    return int(row[0]), int(row[1])


def asked_between(
    conn: Connection, start: datetime, end: datetime, buildings: Collection[int] | None = None
) -> list[HelpRequest]:
    """All requests that were asked for in this time (`end` not included)."""
    query = select(REQUEST).where(REQUEST.c.asked_at >= start, REQUEST.c.asked_at < end)
    return [core_of(row) for row in conn.execute(_within(query, buildings)).mappings()]
