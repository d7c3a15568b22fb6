"""Signals, presence and quarantine: the batch path in. Core statements only, a few per batch."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    RowMapping,
    bindparam,
    cast,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from server import tables as t
from server.store import bulk

SIGNAL, TERMINAL, RESIDENT = t.table(t.Signal), t.table(t.Terminal), t.table(t.Resident)
FLAT, BUILDING = t.table(t.Flat), t.table(t.Building)
QUARANTINE, GATEWAY = t.table(t.Quarantine), t.table(t.Gateway)
ROUND = t.table(t.Round)
KEPT_BYTES = 4096
SIGNAL_COLUMNS: bulk.Columns = (
    ("terminal_id", "text"), ("boot", "bigint"), ("seq", "bigint"), ("type", "text"),
    ("occurred_at", "bigint"), ("received_at", "bigint"), ("late", "boolean"),
    ("test", "boolean"),
)  # fmt: skip
SIGN_COLUMNS: bulk.Columns = (("id", "bigint"), ("next_due", "bigint"), ("seen", "bigint"))
PRESENCE_COLUMNS: bulk.Columns = (
    ("id", "text"), ("status", "text"), ("boot", "bigint"), ("firmware", "text"),
    ("heartbeat_s", "integer"), ("battery", "integer"), ("mains", "boolean"),
    ("rssi", "integer"), ("last_seen_at", "bigint"), ("heartbeat_due_at", "bigint"),
)  # fmt: skip
PRESENCE_CHANGES = ", ".join(
    f"{name} = coalesce(r.{name}, terminal.{name})" for name, _ in PRESENCE_COLUMNS[1:]
)


@dataclass(slots=True)
class Presence:
    """What a terminal said of itself; None where it said nothing. Instants in epoch ms."""

    id: str
    status: str | None = None
    boot: int | None = None
    firmware: str | None = None
    heartbeat_s: int | None = None
    battery: int | None = None
    mains: bool | None = None
    rssi: int | None = None
    last_seen_ms: int | None = None
    heartbeat_due_ms: int | None = None

    def values(self) -> tuple[Any, ...]:
        """In the order of PRESENCE_COLUMNS."""
        return (self.id, self.status, self.boot, self.firmware, self.heartbeat_s, self.battery,
                self.mains, self.rssi, self.last_seen_ms, self.heartbeat_due_ms)  # fmt: skip


def insert(conn: Connection, table: Any) -> Any:
    """An INSERT that knows ON CONFLICT, in the dialect of this connection."""
    return (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(table)


class Known(NamedTuple):
    """A terminal we know, with the resident and door behind it. Instants in epoch ms, as most of
    them are only compared: turning each into a datetime cost more than reading it."""

    id: str
    boot: int
    status: str
    heartbeat_s: int
    resident_id: int | None
    next_due_ms: int | None
    state: str | None
    flat_id: int | None
    building_id: int | None
    last_sign_ms: int | None


def terminals(conn: Connection, ids: Collection[str]) -> dict[str, Known]:
    """The active terminals among `ids`, with the resident and door behind each."""
    if not ids:
        return {}
    among = bulk.among(conn.dialect.name)
    rows = conn.execute(
        text(
            "SELECT terminal.id, terminal.boot, terminal.status, terminal.heartbeat_s,"
            " terminal.resident_id, resident.next_due_at, resident.state, resident.flat_id,"
            " resident.building_id, resident.last_sign_at"
            " FROM terminal LEFT JOIN resident ON resident.id = terminal.resident_id"
            f" WHERE terminal.id IN {among} AND terminal.state = 'active'"
        ),
        bulk.listed(ids),
    )
    return {row[0]: Known(*row) for row in rows}


def insert_signals(
    conn: Connection, rows: Sequence[Sequence[Any]]
) -> set[tuple[str, int, int]]:
    """Insert those not yet known (values as in SIGNAL_COLUMNS); returns the identities that were
    new."""
    if not rows:
        return set()
    found = bulk.insert(
        conn, "signal", SIGNAL_COLUMNS, rows,
        conflict="(terminal_id, boot, seq) DO NOTHING", returning="terminal_id, boot, seq",
    )  # fmt: skip
    return {(row.terminal_id, row.boot, row.seq) for row in found}


def mark_signs(conn: Connection, rows: Sequence[tuple[int, int | None, int]]) -> None:
    """Set residents' deadlines after signs of life: rows of resident id, next deadline and last
    sign (both epoch ms)."""
    bulk.update(
        conn, "resident", SIGN_COLUMNS, rows,
        "next_due_at = r.next_due, last_sign_at = r.seen,"
        # Back and heard of: the past absence explains nothing any more.
        " absent_until = CASE WHEN resident.state = 'paused' THEN resident.absent_until END",
    )  # fmt: skip


def mark_presence(conn: Connection, rows: Sequence[Presence]) -> None:
    """Update terminals in bulk; None leaves a column as it is."""
    bulk.update(conn, "terminal", PRESENCE_COLUMNS, [r.values() for r in rows], PRESENCE_CHANGES)


_SILENT = (
    select(TERMINAL, RESIDENT.c.building_id, RESIDENT.c.flat_id)
    .outerjoin(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
    .where(TERMINAL.c.heartbeat_due_at <= bindparam("now"), TERMINAL.c.state == "active")
    .limit(bindparam("most"))
)


def devices_overdue(conn: Connection, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Terminals whose heartbeat should have come by `now`."""
    return conn.execute(_SILENT, {"now": now, "most": limit}).mappings().all()


def heartbeats_anew(conn: Connection, now: datetime, intervals: float) -> None:
    """Give every device that is awaited `intervals` of its heartbeats from `now` on."""
    ahead_ms = cast(TERMINAL.c.heartbeat_s * int(intervals * 1000), BigInteger)
    conn.execute(
        update(TERMINAL)
        .where(TERMINAL.c.heartbeat_due_at.is_not(None))
        .values(heartbeat_due_at=ahead_ms + t.to_ms(now))
    )


def set_device_lost(conn: Connection, terminal_id: str) -> None:
    """Mark a terminal silent; its next word wakes it again."""
    conn.execute(
        update(TERMINAL)
        .where(TERMINAL.c.id == terminal_id)
        .values(status="lost", heartbeat_due_at=None)
    )


_OVERDUE = (
    select(
        RESIDENT.c.id, RESIDENT.c.flat_id, RESIDENT.c.building_id,
        RESIDENT.c.next_due_at, RESIDENT.c.risk_class, RESIDENT.c.absent_until,
        FLAT.c.label, BUILDING.c.number,
    )
    .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
    .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
    # The words of the partial index: with a parameter in their place SQLite would not see that it
    # may use it.
    .where(RESIDENT.c.next_due_at <= bindparam("now"), text("resident.state = 'active'"))
    .order_by(RESIDENT.c.next_due_at, RESIDENT.c.id)
    .limit(bindparam("most"))
)  # fmt: skip


def residents_overdue(conn: Connection, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Watched residents whose deadline has come, with their door."""
    return conn.execute(_OVERDUE, {"now": now, "most": limit}).mappings().all()


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


_GATEWAYS = select(GATEWAY)
_GATEWAY = select(GATEWAY).where(GATEWAY.c.id == bindparam("gateway_id"))


def gateway(conn: Connection, gateway_id: str) -> RowMapping | None:
    """When we last heard a gateway."""
    return conn.execute(_GATEWAY, {"gateway_id": gateway_id}).mappings().first()


def gateways(conn: Connection) -> Sequence[RowMapping]:
    """Every gateway ever heard."""
    return conn.execute(_GATEWAYS).mappings().all()


def set_gateway(conn: Connection, gateway_id: str, heard: datetime, resumed: datetime) -> None:
    """Record that a gateway spoke at `heard`, without a gap since `resumed`."""
    conn.execute(
        insert(conn, GATEWAY)
        .values(id=gateway_id, last_heard_at=heard, resumed_at=resumed)
        .on_conflict_do_update(
            index_elements=["id"], set_={"last_heard_at": heard, "resumed_at": resumed}
        )
    )


def spare_overdue(conn: Connection, now: datetime, following: datetime) -> int:
    """Give residents whose deadline has passed the `following` one, unjudged; returns how many."""
    changed = conn.execute(
        update(RESIDENT)
        .where(RESIDENT.c.next_due_at <= now, RESIDENT.c.state == "active")
        .values(next_due_at=following)
    )
    return int(changed.rowcount)


def open_round(
    conn: Connection, community_id: int, name: str, due_at: datetime, now: datetime
) -> bool:
    """Record that a round has opened; False when it was recorded before."""
    statement = (
        insert(conn, ROUND)
        .values(community_id=community_id, name=name, due_at=due_at, opened_at=now)
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
    """Terminals of the residents who still owe the round of this deadline a sign of life."""
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


_RUNG = select(ROUND.c.prompted_at).where(
    ROUND.c.community_id == bindparam("community"), ROUND.c.due_at == bindparam("due")
)


def round_rung(conn: Connection, community_id: int, due_at: datetime) -> tuple[bool, bool]:
    """Whether a round has been opened, and whether its chime has rung."""
    row = conn.execute(_RUNG, {"community": community_id, "due": due_at}).first()
    return row is not None, row is not None and row[0] is not None
