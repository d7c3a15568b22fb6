"""Signals, presence and quarantine: the batch path in. Core statements only, a few per batch."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    RowMapping,
    Select,
    bindparam,
    case,
    cast,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from server import tables as t
from server.core.rounds import Occurrence

SIGNAL, TERMINAL, RESIDENT = t.table(t.Signal), t.table(t.Terminal), t.table(t.Resident)
FLAT, BUILDING = t.table(t.Flat), t.table(t.Building)
QUARANTINE, GATEWAY = t.table(t.Quarantine), t.table(t.Gateway)
ROUND = t.table(t.Round)
KEPT_BYTES = 4096
CHUNK = 500


def insert(conn: Connection, table: Any) -> Any:
    """An INSERT that knows ON CONFLICT, in the dialect of this connection."""
    return (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(table)


def held(conn: Connection, query: Select[Any], *, skip: bool = False) -> Select[Any]:
    """`query` with its rows held until the transaction ends; `skip` leaves out those that another
    transaction holds. On SQLite, where the writer is alone, the query as it is (SKIP LOCKED would
    be ignored there without a word)."""
    if conn.dialect.name == "sqlite":
        return query
    return query.with_for_update(skip_locked=skip, key_share=True)


def hold_residents(conn: Connection, terminal_ids: Collection[str]) -> None:
    """Let nobody judge or change the residents of these terminals meanwhile: a check-in and the
    sweep that would call it missing must see each other. By id, so that two batches can't lock
    each other out."""
    if conn.dialect.name == "sqlite" or not terminal_ids:
        return
    theirs = select(TERMINAL.c.resident_id).where(TERMINAL.c.id.in_(terminal_ids))
    query = select(RESIDENT.c.id).where(RESIDENT.c.id.in_(theirs)).order_by(RESIDENT.c.id)
    conn.execute(held(conn, query)).all()


def terminals(conn: Connection, ids: Collection[str]) -> dict[str, RowMapping]:
    """The active terminals among `ids`, with the resident and door behind each."""
    rows = conn.execute(
        select(
            TERMINAL.c.id, TERMINAL.c.boot, TERMINAL.c.status, TERMINAL.c.heartbeat_s,
            TERMINAL.c.resident_id, RESIDENT.c.next_due_at, RESIDENT.c.state,
            RESIDENT.c.flat_id, RESIDENT.c.building_id, RESIDENT.c.last_sign_at,
            RESIDENT.c.risk_class,
        )
        .outerjoin(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
        .where(TERMINAL.c.id.in_(ids), TERMINAL.c.state == "active")
    ).mappings()  # fmt: skip
    return {row["id"]: row for row in rows}


def insert_signals(
    conn: Connection, rows: Sequence[Mapping[str, Any]]
) -> set[tuple[str, int, int]]:
    """Insert those not yet known; returns the identities that were new."""
    new: set[tuple[str, int, int]] = set()
    # In one order everywhere: two gateways may hand in the same events at the same moment.
    rows = sorted(rows, key=lambda r: (r["terminal_id"], r["boot"], r["seq"]))
    for start in range(0, len(rows), CHUNK):
        statement = (
            insert(conn, SIGNAL)
            .values(list(rows[start : start + CHUNK]))
            .on_conflict_do_nothing(index_elements=["terminal_id", "boot", "seq"])
            .returning(SIGNAL.c.terminal_id, SIGNAL.c.boot, SIGNAL.c.seq)
        )
        new.update((r[0], r[1], r[2]) for r in conn.execute(statement))
    return new


def mark_signs(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Set residents' deadlines after signs of life: rows of `r_id`, `next_due`, `seen`."""
    if rows:
        conn.execute(
            update(RESIDENT)
            .where(RESIDENT.c.id == bindparam("r_id"))
            .values(
                next_due_at=bindparam("next_due"),
                last_sign_at=bindparam("seen"),
                # Back and heard of: the past absence explains nothing any more.
                absent_until=case((RESIDENT.c.state == "paused", RESIDENT.c.absent_until)),
            ),
            sorted(rows, key=lambda r: int(r["r_id"])),
        )


def mark_presence(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Update terminals in bulk: rows of `t_id` and every presence column (None = leave as is)."""
    if rows:
        columns = ("status", "boot", "firmware", "heartbeat_s", "battery", "mains", "rssi",
                   "last_seen_at", "heartbeat_due_at")  # fmt: skip
        conn.execute(
            update(TERMINAL)
            .where(TERMINAL.c.id == bindparam("t_id"))
            .values(
                {
                    name: func.coalesce(
                        bindparam(f"v_{name}", type_=TERMINAL.c[name].type), TERMINAL.c[name]
                    )
                    for name in columns
                }
            ),
            [
                {"t_id": r["t_id"], **{f"v_{n}": r.get(n) for n in columns}}
                for r in sorted(rows, key=lambda r: str(r["t_id"]))
            ],
        )


def devices_overdue(conn: Connection, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Terminals whose heartbeat should have come by `now`."""
    return (
        conn.execute(
            select(TERMINAL, RESIDENT.c.building_id, RESIDENT.c.flat_id)
            .outerjoin(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
            .where(TERMINAL.c.heartbeat_due_at <= now, TERMINAL.c.state == "active")
            .limit(limit)
        )
        .mappings()
        .all()
    )


def heartbeats_anew(conn: Connection, now: datetime, intervals: float) -> None:
    """Give every device that is awaited `intervals` of its heartbeats from `now` on."""
    ahead_ms = cast(TERMINAL.c.heartbeat_s * int(intervals * 1000), BigInteger)
    conn.execute(
        update(TERMINAL)
        .where(TERMINAL.c.heartbeat_due_at.is_not(None))
        .values(heartbeat_due_at=ahead_ms + t.to_ms(now))
    )


def residents_overdue(
    conn: Connection, now: datetime, limit: int, *, hold: bool = False
) -> Sequence[RowMapping]:
    """Watched residents whose deadline has come, with their door. With `hold` they are held, and
    those whose check-in is just coming in are left out."""
    query = (
        select(
            RESIDENT.c.id, RESIDENT.c.flat_id, RESIDENT.c.building_id,
            RESIDENT.c.next_due_at, RESIDENT.c.risk_class, RESIDENT.c.absent_until,
            FLAT.c.label, BUILDING.c.number,
        )
        .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .where(RESIDENT.c.next_due_at <= now, RESIDENT.c.state == "active")
        # By building, or one that is cut by the limit would be judged in two parts.
        .order_by(RESIDENT.c.next_due_at, RESIDENT.c.building_id, RESIDENT.c.id)
        .limit(limit)
    )  # fmt: skip
    if hold and conn.dialect.name != "sqlite":
        query = query.with_for_update(skip_locked=True, key_share=True, of=RESIDENT)
    return conn.execute(query).mappings().all()


def set_next_due(conn: Connection, resident_ids: Collection[int], at: datetime) -> None:
    """The next deadline of residents who have just been judged."""
    conn.execute(
        update(RESIDENT)
        .where(RESIDENT.c.id.in_(resident_ids))
        .values(next_due_at=at, absent_until=None)
    )


def quarantine(conn: Connection, topic: str, payload: bytes, reason: str, now: datetime) -> bool:
    """Keep what could not be taken. True when these bytes are new for this topic and reason."""
    digest = hashlib.sha256(payload).hexdigest()
    statement = (
        insert(conn, QUARANTINE)
        .values(
            topic=topic[:256], digest=digest, reason=reason, payload=payload[:KEPT_BYTES],
            count=1, first_at=now, last_at=now,
        )
        .on_conflict_do_update(
            index_elements=["topic", "digest", "reason"],
            set_={"count": QUARANTINE.c.count + 1, "last_at": now},
        )
        .returning(QUARANTINE.c.count)
    )  # fmt: skip
    return bool(conn.execute(statement).scalar_one() == 1)


def quarantined(conn: Connection, limit: int) -> Sequence[RowMapping]:
    """The newest of the quarantine, for staff."""
    return (
        conn.execute(select(QUARANTINE).order_by(QUARANTINE.c.last_at.desc()).limit(limit))
        .mappings()
        .all()
    )


def gateways(conn: Connection) -> Sequence[RowMapping]:
    """Every gateway ever heard."""
    return conn.execute(select(GATEWAY)).mappings().all()


def spare_overdue(conn: Connection, now: datetime, risk_class: str, following: datetime) -> int:
    """Give residents of a class whose deadline has passed the `following` one, unjudged; returns
    how many."""
    changed = conn.execute(
        update(RESIDENT)
        .where(
            RESIDENT.c.next_due_at <= now,
            RESIDENT.c.state == "active",
            RESIDENT.c.risk_class == risk_class,
        )
        .values(next_due_at=following)
    )
    return int(changed.rowcount)


def open_round(conn: Connection, community_id: int, round_: Occurrence, now: datetime) -> bool:
    """Record that a round has opened; False when it was recorded before."""
    statement = (
        insert(conn, ROUND)
        .values(
            community_id=community_id, name=round_.name, due_at=round_.due_at, opened_at=now,
            opens_at=round_.opens_at, deadline=round_.deadline, next_at=round_.deadline,
            tallied=False,
        )
        .on_conflict_do_nothing()
        .returning(ROUND.c.id)
    )
    return conn.execute(statement).first() is not None


def claim_prompt(conn: Connection, community_id: int, due_at: datetime, now: datetime) -> bool:
    """Take the round's one chime; False when it has rung."""
    changed = conn.execute(
        update(ROUND)
        .where(
            ROUND.c.community_id == community_id,
            ROUND.c.due_at == due_at,
            ROUND.c.prompted_at.is_(None),
        )
        .values(prompted_at=now)
    )
    return bool(changed.rowcount == 1)


def awaited_terminals(conn: Connection, deadline: datetime) -> list[str]:
    """Terminals of the residents who still owe the round of this deadline a sign of life. (Whose
    class does not owe the round never has its deadline.)"""
    query = (
        select(TERMINAL.c.id)
        .join(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
        .where(
            RESIDENT.c.next_due_at == deadline,
            RESIDENT.c.state == "active",
            TERMINAL.c.state == "active",
        )
        .order_by(TERMINAL.c.id)
    )
    return list(conn.execute(query).scalars())


def round_rung(conn: Connection, community_id: int, due_at: datetime) -> tuple[bool, bool]:
    """Whether a round has been opened, and whether its chime has rung."""
    row = conn.execute(
        select(ROUND.c.prompted_at).where(
            ROUND.c.community_id == community_id, ROUND.c.due_at == due_at
        )
    ).first()
    return row is not None, row is not None and row[0] is not None


def calls_unclaimed(conn: Connection, community_id: int, due_at: datetime) -> bool:
    """Whether a round still has its calls to residents to make."""
    made = select(ROUND.c.id).where(
        ROUND.c.community_id == community_id, ROUND.c.due_at == due_at,
        ROUND.c.called_at.is_not(None),
    )  # fmt: skip
    return conn.execute(made).first() is None


def claim_calls(conn: Connection, community_id: int, due_at: datetime, now: datetime) -> bool:
    """Take the round's one time of calling; False when it was taken."""
    changed = conn.execute(
        update(ROUND)
        .where(
            ROUND.c.community_id == community_id,
            ROUND.c.due_at == due_at,
            ROUND.c.called_at.is_(None),
        )
        .values(called_at=now)
    )
    return bool(changed.rowcount == 1)


def awaited_phones(conn: Connection, deadline: datetime) -> list[tuple[int, str]]:
    """(resident, telephone) of those who still owe the round of this deadline a sign of life."""
    query = (
        select(RESIDENT.c.id, RESIDENT.c.phone)
        .where(
            RESIDENT.c.next_due_at == deadline,
            RESIDENT.c.state == "active",
            RESIDENT.c.phone != "",
        )
        .order_by(RESIDENT.c.id)
    )
    return [(r[0], r[1]) for r in conn.execute(query)]
