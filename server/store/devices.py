"""Terminals in trouble: whose power or word is lost, counted by building. Core statements only."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    RowMapping,
    TextClause,
    and_,
    case,
    cast,
    exists,
    func,
    or_,
    select,
    text,
    type_coerce,
    update,
)

from server import tables as t
from server.core.parents import Counts
from server.core.words import SignalType
from server.store import bulk
from server.tables import to_ms

TERMINAL, RESIDENT = t.table(t.Terminal), t.table(t.Resident)
_BRIDGE = TERMINAL.alias("bridge")
_BEHIND = exists().where(
    TERMINAL.c.via != "", _BRIDGE.c.id == TERMINAL.c.via, _BRIDGE.c.id != TERMINAL.c.id,
    _BRIDGE.c.state == "active", _BRIDGE.c.status == "lost",
)  # fmt: skip
"""Whoever hangs on a bridge that is lost: its silence says nothing of its building."""
QUIET_INTERVALS = 1.25
"""With this much left of its 2.5 intervals or less, a device has missed a heartbeat already: when
the first of a building is judged, its neighbours' silence can be seen before they are overdue."""


def _quiet(now: datetime, since: datetime) -> ColumnElement[bool]:
    """Silent, or lately judged so; an old silence says nothing of today's."""
    due_ms = type_coerce(TERMINAL.c.heartbeat_due_at, BigInteger)
    patience_ms = cast(TERMINAL.c.heartbeat_s * int(QUIET_INTERVALS * 1000), BigInteger)
    return or_(
        due_ms <= t.to_ms(now) + patience_ms,
        and_(TERMINAL.c.status == "lost", TERMINAL.c.lost_at >= since),
    )


def _dark(since: datetime) -> ColumnElement[bool]:
    return TERMINAL.c.mains_lost_at >= since


def _counts(
    conn: Connection,
    troubled: ColumnElement[bool],
    ours: ColumnElement[bool],
    building_ids: Collection[int] | None,
) -> dict[int, Counts]:
    query = (
        select(
            RESIDENT.c.building_id,
            func.sum(case((troubled, 1), else_=0)),
            func.sum(case((ours, 1), else_=0)),
        )
        .join(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
        .where(TERMINAL.c.state == "active", TERMINAL.c.status != "unknown")
        .group_by(RESIDENT.c.building_id)
    )
    if building_ids is not None:
        query = query.where(RESIDENT.c.building_id.in_(building_ids))
    return {row[0]: Counts(int(row[1]), int(row[2])) for row in conn.execute(query)}


def quiet_by_building(
    conn: Connection,
    now: datetime,
    since: datetime,
    building_ids: Collection[int] | None = None,
) -> dict[int, Counts]:
    """How many of each building's terminals are silent since `since`, of how many that were
    heard until then."""
    quiet = _quiet(now, since)
    ours = or_(TERMINAL.c.status != "lost", TERMINAL.c.lost_at >= since)
    return _counts(conn, and_(quiet, ~_BEHIND), and_(ours, ~_BEHIND), building_ids)


def dark_by_building(
    conn: Connection, since: datetime, building_ids: Collection[int] | None = None
) -> dict[int, Counts]:
    """How many of each building's terminals have lost their mains since `since`, of how many."""
    ours = or_(TERMINAL.c.mains_lost_at.is_(None), TERMINAL.c.mains_lost_at >= since)
    return _counts(conn, _dark(since), ours, building_ids)


def mains_overdue(conn: Connection, now: datetime, limit: int) -> Sequence[RowMapping]:
    """Terminals whose loss of mains is to be judged by `now`, with their door. On PostgreSQL they
    are held, and those whose word is just coming in are left out."""
    query = (
        select(TERMINAL, RESIDENT.c.building_id, RESIDENT.c.flat_id)
        .outerjoin(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
        .where(TERMINAL.c.mains_due_at.is_not(None), TERMINAL.c.mains_due_at <= now)
        .order_by(TERMINAL.c.mains_due_at, TERMINAL.c.id)
        .limit(limit)
    )
    if conn.dialect.name != "sqlite":
        query = query.with_for_update(skip_locked=True, key_share=True, of=TERMINAL)
    return conn.execute(query).mappings().all()


MAINS = (SignalType.MAINS_LOST, SignalType.MAINS_RESTORED)


def last_of_mains(
    conn: Connection, ids: Collection[str], since: datetime
) -> dict[str, str]:
    """What each of these terminals said last of its mains, in its own order and not in that of
    arrival, of all that came at `since` or later."""
    asked = {**bulk.listed(ids), "since": to_ms(since)}
    found = conn.execute(_last_of_mains(conn.dialect.name), asked)
    return {terminal_id: what for terminal_id, what in found if what is not None}


@cache
def _last_of_mains(dialect: str) -> TextClause:
    # From the newest back: what they have just said is found after a few rows.
    words = ", ".join(f"'{word.value}'" for word in MAINS)
    return text(
        "SELECT id, (SELECT type FROM signal WHERE terminal_id = terminal.id"  # noqa: S608
        f" AND type IN ({words}) AND received_at >= :since"
        " ORDER BY boot DESC, seq DESC LIMIT 1) AS last"
        f" FROM terminal WHERE id IN {bulk.among(dialect)}"
    )


def mains_lost(conn: Connection, ids: Collection[str], now: datetime, judge_at: datetime) -> None:
    """Note a loss of mains, unless one is noted already."""
    conn.execute(
        update(TERMINAL)
        .where(TERMINAL.c.id.in_(ids), TERMINAL.c.mains_lost_at.is_(None))
        .values(mains_lost_at=now, mains_due_at=judge_at)
    )


def mains_back(conn: Connection, ids: Collection[str]) -> None:
    """The mains is there again: nothing is left to judge."""
    conn.execute(
        update(TERMINAL)
        .where(TERMINAL.c.id.in_(ids))
        .values(mains_lost_at=None, mains_due_at=None)
    )


def mains_judged(conn: Connection, ids: Collection[str]) -> None:
    """A loss of mains was judged; it lasts all the same."""
    conn.execute(update(TERMINAL).where(TERMINAL.c.id.in_(ids)).values(mains_due_at=None))


def lost(conn: Connection, ids: Collection[str], now: datetime) -> None:
    """Terminals judged silent; their next word wakes them again."""
    conn.execute(
        update(TERMINAL)
        .where(TERMINAL.c.id.in_(ids))
        .values(status="lost", heartbeat_due_at=None, lost_at=now)
    )


def bridges(conn: Connection, ids: Collection[str]) -> dict[str, tuple[str, datetime | None]]:
    """Of those that are in service: status, and until when they must be heard."""
    query = select(TERMINAL.c.id, TERMINAL.c.status, TERMINAL.c.heartbeat_due_at).where(
        TERMINAL.c.id.in_(ids), TERMINAL.c.state == "active"
    )
    return {row[0]: (row[1], row[2]) for row in conn.execute(query)}


def hanging(conn: Connection, ids: Collection[str]) -> dict[str, list[str]]:
    """The terminals in service that hang on these bridges."""
    query = (
        select(TERMINAL.c.via, TERMINAL.c.id)
        .where(TERMINAL.c.via.in_(ids), TERMINAL.c.via != "", TERMINAL.c.id != TERMINAL.c.via,
               TERMINAL.c.state == "active")
        .order_by(TERMINAL.c.id)
    )  # fmt: skip
    found: dict[str, list[str]] = {}
    for bridge, terminal_id in conn.execute(query):
        found.setdefault(bridge, []).append(terminal_id)
    return found


def judge_after(conn: Connection, ids: Collection[str], at: datetime) -> None:
    """Terminals that are due are judged at `at` instead."""
    conn.execute(update(TERMINAL).where(TERMINAL.c.id.in_(ids)).values(heartbeat_due_at=at))


def judge_again_at(conn: Connection, at: datetime, ids: Collection[str]) -> None:
    """Of these, whoever is called silent is judged again at `at`."""
    conn.execute(
        update(TERMINAL)
        .where(
            TERMINAL.c.id.in_(ids), TERMINAL.c.state == "active", TERMINAL.c.status == "lost",
            TERMINAL.c.heartbeat_due_at.is_(None),
        )
        .values(heartbeat_due_at=at)
    )  # fmt: skip


def _of(building_ids: Collection[int] | None) -> ColumnElement[bool]:
    residents = select(RESIDENT.c.id)
    if building_ids is not None:
        residents = residents.where(RESIDENT.c.building_id.in_(building_ids))
    return and_(TERMINAL.c.state == "active", TERMINAL.c.resident_id.in_(residents))


def judge_silence_at(
    conn: Connection, at: datetime, since: datetime, building_ids: Collection[int] | None
) -> None:
    """Whoever is still silent since `since` (in these buildings; None: everywhere) is judged
    again at `at`."""
    conn.execute(
        update(TERMINAL)
        .where(
            _of(building_ids), TERMINAL.c.status == "lost", TERMINAL.c.lost_at >= since,
            TERMINAL.c.heartbeat_due_at.is_(None),
        )
        .values(heartbeat_due_at=at)
    )  # fmt: skip


def judge_mains_at(
    conn: Connection, at: datetime, since: datetime, building_ids: Collection[int] | None
) -> None:
    """Whoever is still without mains since `since` is judged again at `at`."""
    conn.execute(
        update(TERMINAL)
        .where(_of(building_ids), _dark(since), TERMINAL.c.mains_due_at.is_(None))
        .values(mains_due_at=at)
    )
