"""What terminals are told to do: queued once, leased to a gateway, told again where it may have
been lost on the way, and answered by the terminal."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, RowMapping, TextClause, func, select, text, update

from server import tables as t
from server.store import bulk
from server.store.signals import held, insert

COMMAND = t.table(t.Command)
ALERT = t.table(t.Alert)


def add(conn: Connection, **row: Any) -> int:
    """Queue a command for a terminal; its payload gets the row's id as `cmd_id`."""
    payload = row.pop("payload")
    command_id = int(
        conn.execute(
            insert(conn, COMMAND).values(payload=payload, **row).returning(COMMAND.c.id)
        ).scalar_one()
    )
    conn.execute(
        update(COMMAND)
        .where(COMMAND.c.id == command_id)
        .values(payload={"cmd_id": f"c-{command_id}", **payload})
    )
    return command_id


def lease(conn: Connection, now: datetime, until: datetime, limit: int) -> Sequence[RowMapping]:
    """Hand out commands that are due, until `until`; the expired ones are closed on the way."""
    due = (
        select(COMMAND)
        .where(COMMAND.c.due_at <= now)
        .order_by(COMMAND.c.due_at, COMMAND.c.id)
        .limit(limit)
    )
    leased: list[RowMapping] = []
    while len(leased) < limit:
        rows = conn.execute(held(conn, due, skip=True)).mappings().all()
        late = [c["id"] for c in rows if c["expires_at"] <= now]
        if late:
            expired = update(COMMAND).where(COMMAND.c.id.in_(late))
            conn.execute(expired.values(due_at=None, result="expired"))
        fresh = [c for c in rows if c["expires_at"] > now][: limit - len(leased)]
        if fresh:
            ids = [c["id"] for c in fresh]
            conn.execute(update(COMMAND).where(COMMAND.c.id.in_(ids)).values(due_at=until))
            leased += fresh
        if not late:
            break
    return sorted(leased, key=lambda c: int(c["id"]))


def waiting(conn: Connection, now: datetime) -> bool:
    """Whether a lease would find anything (asked without the write lock)."""
    query = select(COMMAND.c.id).where(COMMAND.c.due_at <= now).limit(1)
    return conn.execute(query).first() is not None


def unanswered(conn: Connection, ids: Collection[int]) -> Sequence[RowMapping]:
    """Of these commands, those about an alert that their terminals have not answered yet."""
    query = select(COMMAND.c.id, COMMAND.c.created_at, COMMAND.c.expires_at).where(
        COMMAND.c.id.in_(ids), COMMAND.c.due_at.is_not(None), COMMAND.c.alert_id.is_not(None)
    )
    return conn.execute(query).mappings().all()


def published(
    conn: Connection, ids: Collection[int], again_at: Mapping[int, datetime] | None = None
) -> None:
    """The broker has them; only the terminal's own word can follow. Some are told `again_at` a
    time, if it has not come by then."""
    taken = update(COMMAND).where(COMMAND.c.due_at.is_not(None))
    conn.execute(taken.where(COMMAND.c.id.in_(ids)).values(due_at=None, result="published"))
    for number, at in (again_at or {}).items():
        conn.execute(update(COMMAND).where(COMMAND.c.id == number).values(due_at=at))


def newest(conn: Connection, since_id: int, alert_ids: Collection[int]) -> set[int]:
    """The last word to each terminal about these alerts, among commands from `since_id` on."""
    query = (
        select(func.max(COMMAND.c.id))
        .where(COMMAND.c.id >= since_id, COMMAND.c.alert_id.in_(alert_ids))
        .group_by(COMMAND.c.alert_id, COMMAND.c.terminal_id)
    )
    return set(conn.execute(query).scalars())


def states(conn: Connection, alert_ids: Collection[int]) -> dict[int, str]:
    """Where these alerts stand."""
    query = select(ALERT.c.id, ALERT.c.state).where(ALERT.c.id.in_(alert_ids))
    return {row.id: row.state for row in conn.execute(query)}


def tell_no_more(conn: Connection, ids: Collection[int]) -> None:
    """These are not true any more, or not the last word: nobody is told them again."""
    conn.execute(update(COMMAND).where(COMMAND.c.id.in_(ids)).values(due_at=None))


@cache
def _unheard(dialect: str) -> TextClause:
    return text(
        "UPDATE command SET due_at = :now"  # noqa: S608 (all constant)
        f" WHERE terminal_id IN {bulk.among(dialect)} AND result = 'published'"
        " AND alert_id IS NOT NULL AND (due_at IS NULL OR due_at > :now) AND expires_at > :now"
    )


def again(conn: Connection, terminal_ids: Collection[str], now: datetime) -> int:
    """Hand out again what these terminals were told of an alert and have not answered: it may have
    gone down with the connection or the broker that had it. Returns how many."""
    asked = {**bulk.listed(terminal_ids), "now": t.to_ms(now)}
    return int(conn.execute(_unheard(conn.dialect.name), asked).rowcount)


def answered(conn: Connection, terminal_id: str, command_id: int, result: str) -> None:
    """The terminal says what became of a command; another terminal's word counts for nothing."""
    conn.execute(
        update(COMMAND)
        .where(COMMAND.c.id == command_id, COMMAND.c.terminal_id == terminal_id)
        .values(result=result, due_at=None)
    )


def key_offered(conn: Connection, terminal_id: str, command_id: int) -> int | None:
    """The version of the password that this command offered this terminal; None: it did not."""
    query = select(COMMAND.c.payload).where(
        COMMAND.c.id == command_id, COMMAND.c.terminal_id == terminal_id
    )
    payload = conn.execute(query).scalar_one_or_none()
    return payload.get("key_v") if payload and payload.get("cmd") == "key" else None
