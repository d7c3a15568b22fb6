"""What signals change: presence, deadlines, quarantine. Core statements only, a few per batch."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    TextClause,
    bindparam,
    cast,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from server import tables as t
from server.core.rounds import CLASSES, Occurrence
from server.store import bulk

TERMINAL, RESIDENT = t.table(t.Terminal), t.table(t.Resident)
FLAT, BUILDING = t.table(t.Flat), t.table(t.Building)
QUARANTINE, GATEWAY = t.table(t.Quarantine), t.table(t.Gateway)
ROUND = t.table(t.Round)
KEPT_BYTES = 4096
SIGN_COLUMNS: bulk.Columns = (("id", "bigint"), ("next_due", "bigint"), ("seen", "bigint"))
PRESENCE_COLUMNS: bulk.Columns = (
    ("id", "text"), ("status", "text"), ("boot", "bigint"), ("firmware", "text"),
    ("heartbeat_s", "integer"), ("battery", "integer"), ("mains", "boolean"),
    ("rssi", "integer"), ("last_seen_at", "bigint"), ("heartbeat_due_at", "bigint"),
    ("via", "text"), ("newest_event", "bigint"),
)  # fmt: skip
PRESENCE_CHANGES = ", ".join(
    f"{name} = coalesce(r.{name}, terminal.{name})" for name, _ in PRESENCE_COLUMNS[1:-1]
) + (
    # Never back, whoever writes last.
    ", newest_event = CASE WHEN r.newest_event > coalesce(terminal.newest_event, -1)"
    " THEN r.newest_event ELSE terminal.newest_event END"
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
    via: str | None = None
    newest_event: int | None = None

    def stored(self, place: int) -> None:
        """An event of it is stored with this (`events.place`)."""
        self.newest_event = max(self.newest_event or 0, place)

    def values(self) -> tuple[Any, ...]:
        """In the order of PRESENCE_COLUMNS."""
        return (self.id, self.status, self.boot, self.firmware, self.heartbeat_s, self.battery,
                self.mains, self.rssi, self.last_seen_ms, self.heartbeat_due_ms,
                self.via, self.newest_event)  # fmt: skip


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
    risk_class: str | None
    simulated: bool
    community_id: int | None
    newest_event: int | None


def terminals(conn: Connection, ids: Collection[str]) -> dict[str, Known]:
    """The active terminals among `ids`, with the resident and door behind each.

    Rehearsal and life never mix, whatever stands in the register: a simulated terminal outside a
    building of a rehearsal is unknown, and a real one inside has no resident there: its press is
    the care centre's, as of any terminal that nobody was given.
    """
    if not ids:
        return {}
    # All at once, here and below: one by one SQLAlchemy took as long as SQLite.
    rows = conn.execute(_terminals(conn.dialect.name), bulk.listed(ids)).all()
    return {row[0]: Known(*row) for row in rows}


@cache
def _terminals(dialect: str) -> TextClause:
    return text(
        "SELECT terminal.id, terminal.boot, terminal.status, terminal.heartbeat_s,"
        " resident.id, resident.next_due_at, resident.state, resident.flat_id,"
        " resident.building_id, resident.last_sign_at, resident.risk_class, terminal.simulated,"
        " (SELECT community_id FROM building WHERE building.id = resident.building_id),"
        " terminal.newest_event"
        " FROM terminal LEFT JOIN resident ON resident.id = terminal.resident_id"
        " AND terminal.simulated ="
        " (SELECT rehearsal FROM building WHERE building.id = resident.building_id)"
        f" WHERE terminal.id IN {bulk.among(dialect)} AND terminal.state = 'active'"
        " AND (NOT terminal.simulated OR resident.id IS NOT NULL)"
    )


def is_simulated(conn: Connection, terminal_id: str) -> bool:
    """Whether this is one of the simulator's terminals, wherever it stands and whatever became of
    it."""
    query = select(TERMINAL.c.id).where(TERMINAL.c.id == terminal_id, TERMINAL.c.simulated)
    return conn.execute(query).first() is not None


def mark_signs(conn: Connection, rows: Sequence[tuple[int, int | None, int]]) -> None:
    """Set residents' deadlines after signs of life: rows of resident id, next deadline and last
    sign (both epoch ms)."""
    bulk.update(
        conn, "resident", SIGN_COLUMNS, sorted(rows, key=lambda r: r[0]),
        "next_due_at = r.next_due, last_sign_at = r.seen,"
        # Back and heard of: the past absence explains nothing any more.
        " absent_until = CASE WHEN resident.state = 'paused' THEN resident.absent_until END",
    )  # fmt: skip


def mark_presence(conn: Connection, rows: Sequence[Presence]) -> None:
    """Update terminals in bulk; None leaves a column as it is."""
    values = [r.values() for r in sorted(rows, key=lambda r: r.id)]
    bulk.update(conn, "terminal", PRESENCE_COLUMNS, values, PRESENCE_CHANGES)


_SILENT = (
    select(TERMINAL, RESIDENT.c.building_id, RESIDENT.c.flat_id)
    .outerjoin(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
    .where(TERMINAL.c.heartbeat_due_at <= bindparam("now"), TERMINAL.c.state == "active")
    .limit(bindparam("most"))
)


_SILENT_HELD = _SILENT.with_for_update(skip_locked=True, key_share=True, of=TERMINAL)


def devices_overdue(conn: Connection, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Terminals whose heartbeat should have come by `now`. They are held, and those whose word is
    just coming in are left out."""
    query = _SILENT_HELD if conn.dialect.name != "sqlite" else _SILENT
    return conn.execute(query, {"now": now, "most": limit}).mappings().all()


def heartbeats_anew(conn: Connection, now: datetime, intervals: float) -> None:
    """Give every device that is awaited `intervals` of its heartbeats from `now` on."""
    ahead_ms = cast(TERMINAL.c.heartbeat_s * int(intervals * 1000), BigInteger)
    conn.execute(
        update(TERMINAL)
        .where(TERMINAL.c.heartbeat_due_at.is_not(None))
        .values(heartbeat_due_at=ahead_ms + t.to_ms(now))
    )


class Overdue(NamedTuple):
    """A resident whose deadline has come, and their door."""

    id: int
    flat_id: int
    building_id: int
    risk_class: str
    absent_until: datetime | None
    label: str
    number: int
    community_id: int


_OVERDUE = (
    select(
        RESIDENT.c.id, RESIDENT.c.flat_id, RESIDENT.c.building_id, RESIDENT.c.risk_class,
        RESIDENT.c.absent_until, FLAT.c.label, BUILDING.c.number, BUILDING.c.community_id,
    )
    .join(FLAT, FLAT.c.id == RESIDENT.c.flat_id)
    .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
    # The words of the partial index: with a parameter in their place SQLite would not see that it
    # may use it.
    .where(RESIDENT.c.next_due_at <= bindparam("now"), text("resident.state = 'active'"))
    # By building, or one that is cut by the limit would be judged in two parts.
    .order_by(RESIDENT.c.next_due_at, RESIDENT.c.building_id, RESIDENT.c.id)
    .limit(bindparam("most"))
)  # fmt: skip
_OVERDUE_HELD = _OVERDUE.with_for_update(skip_locked=True, key_share=True, of=RESIDENT)


def residents_overdue(conn: Connection, now: datetime, limit: int) -> list[Overdue]:
    """Watched residents whose deadline has come, with their door. They are held, and those whose
    check-in is just coming in are left out."""
    query = _OVERDUE_HELD if conn.dialect.name != "sqlite" else _OVERDUE
    return [Overdue(*row) for row in conn.execute(query, {"now": now, "most": limit}).all()]


_SO_MANY = (
    select(literal(1))
    .select_from(RESIDENT)
    .where(RESIDENT.c.next_due_at <= bindparam("now"), text("resident.state = 'active'"))
    .order_by(RESIDENT.c.next_due_at)
    .limit(1)
    .offset(bindparam("many"))
)


def so_many_overdue(conn: Connection, now: datetime, many: int) -> bool:
    """Whether the deadline of more than `many` watched residents has come."""
    return conn.execute(_SO_MANY, {"now": now, "many": many}).first() is not None


def set_next_due(conn: Connection, resident_ids: Collection[int], at: datetime) -> None:
    """The next deadline of residents who have just been judged."""
    asked = {**bulk.listed(resident_ids), "at": t.to_ms(at)}
    conn.execute(_next_due(conn.dialect.name), asked)


@cache
def _next_due(dialect: str) -> TextClause:
    return text(
        "UPDATE resident SET next_due_at = :at, absent_until = NULL"
        f" WHERE id IN {bulk.among(dialect, 'bigint')}"
    )


def postpone(conn: Connection, resident_id: int, until: datetime) -> None:
    """Put off the judgement of a resident who could not be judged."""
    statement = update(RESIDENT).where(RESIDENT.c.id == resident_id)
    conn.execute(statement.values(next_due_at=until))


def quarantine(
    conn: Connection, topic: str, payload: bytes, reason: str, now: datetime, same: bytes
) -> bool:
    """Keep what could not be taken; of its copies, which have the bytes `same` in common, the
    first. True when there was none yet for this topic and reason."""
    digest = hashlib.sha256(same).hexdigest()
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


def gateways(conn: Connection) -> Sequence[RowMapping]:
    """Every gateway ever heard."""
    return conn.execute(_GATEWAYS).mappings().all()


def _lives_in(community_ids: Collection[int]) -> ColumnElement[bool]:
    """Of a resident: in a house of one of these communities."""
    theirs = select(BUILDING.c.id).where(BUILDING.c.community_id.in_(community_ids))
    return RESIDENT.c.building_id.in_(theirs)


def spare_overdue(
    conn: Connection, community_ids: Collection[int], now: datetime, risk_class: str | None,
    following: datetime,
) -> int:
    """Give residents of these communities and this class (None: one that is none of ours) whose
    deadline has passed the `following` one, unjudged; returns how many."""
    is_class = (
        RESIDENT.c.risk_class == risk_class if risk_class is not None
        else RESIDENT.c.risk_class.not_in(CLASSES)
    )
    changed = conn.execute(
        update(RESIDENT)
        .where(
            RESIDENT.c.next_due_at <= now,
            text("resident.state = 'active'"),  # the words of the partial index
            is_class,
            _lives_in(community_ids),
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


def awaited_terminals(conn: Connection, community_id: int, deadline: datetime) -> list[str]:
    """Terminals of the community's residents who still owe the round of this deadline a sign of
    life. (Whose class does not owe the round never has its deadline.)"""
    query = (
        select(TERMINAL.c.id)
        .join(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
        .where(
            RESIDENT.c.next_due_at == deadline,
            RESIDENT.c.state == "active",
            _lives_in([community_id]),
            TERMINAL.c.state == "active",
        )
        .order_by(TERMINAL.c.id)
    )
    return list(conn.execute(query).scalars())


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


def awaited_phones(
    conn: Connection, community_id: int, deadline: datetime
) -> list[tuple[int, str]]:
    """(resident, telephone) of those of the community who still owe the round of this deadline a
    sign of life."""
    query = (
        select(RESIDENT.c.id, RESIDENT.c.phone)
        .where(
            RESIDENT.c.next_due_at == deadline,
            RESIDENT.c.state == "active",
            RESIDENT.c.phone != "",
            _lives_in([community_id]),
            # Nobody lives in a rehearsal: a number entered there belongs to somebody else.
            RESIDENT.c.building_id.not_in(select(BUILDING.c.id).where(BUILDING.c.rehearsal)),
        )
        .order_by(RESIDENT.c.id)
    )
    return [(r[0], r[1]) for r in conn.execute(query)]
