"""What a scrape asks of the database: a handful of indexed look-ups, never a scan of residents."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, bindparam, exists, func, select, text

from server import tables as t
from server.core.words import Delivery

ALERT, MESSAGE = t.table(t.Alert), t.table(t.Message)
COMMAND, RESIDENT, GATEWAY = t.table(t.Command), t.table(t.Resident), t.table(t.Gateway)


@dataclass(frozen=True, slots=True)
class Seen:
    """The database at one instant. Ages in seconds of the clock; None where there is nothing."""

    outbox: dict[tuple[int, str], int]
    """(lane, state) → messages that have not left for good."""
    outbox_oldest_s: dict[int, float]
    commands: int
    alerts: dict[tuple[str, str], int]
    overdue_s: dict[str, float]
    gateway_heard_s: float | None
    database_bytes: dict[str, int]


def look(conn: Connection, now: datetime) -> Seen:
    """Everything at once, in one consistent view."""
    waiting = MESSAGE.c.due_at.is_not(None)
    lanes = conn.execute(
        select(MESSAGE.c.lane, MESSAGE.c.state, func.count(), func.min(MESSAGE.c.created_at))
        .where(waiting)
        .group_by(MESSAGE.c.lane, MESSAGE.c.state)
    ).all()
    oldest: dict[int, datetime] = {}
    for lane, _, _, since in lanes:
        oldest[lane] = min(since, oldest.get(lane, since))
    alerts = conn.execute(
        select(ALERT.c.kind, ALERT.c.state, func.count())
        .where(ALERT.c.state != text("'resolved'"))  # as the partial index says it
        .group_by(ALERT.c.kind, ALERT.c.state)
    ).all()
    commands = conn.execute(
        select(func.count()).select_from(COMMAND).where(COMMAND.c.due_at.is_not(None))
    ).scalar_one()
    due = {
        "steps": select(func.min(ALERT.c.next_step_at)).where(ALERT.c.next_step_at.is_not(None)),
        "rounds": select(func.min(RESIDENT.c.next_due_at)).where(
            RESIDENT.c.state == text("'active'")
        ),
        "messages": select(func.min(MESSAGE.c.due_at)).where(waiting),
    }
    overdue = {}
    for name, query in due.items():
        since = conn.execute(query).scalar_one()
        overdue[name] = max(0.0, (now - since).total_seconds()) if since else 0.0
    heard = conn.execute(select(func.max(GATEWAY.c.last_heard_at))).scalar_one()
    return Seen(
        outbox={(lane, state): count for lane, state, count, _ in lanes},
        outbox_oldest_s={lane: (now - since).total_seconds() for lane, since in oldest.items()},
        commands=int(commands),
        alerts={(kind, state): count for kind, state, count in alerts},
        overdue_s=overdue,
        gateway_heard_s=(now - heard).total_seconds() if heard else None,
        database_bytes=_sizes(conn),
    )


def _sizes(conn: Connection) -> dict[str, int]:
    if conn.dialect.name != "sqlite":
        size = conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        return {"main": int(size)}
    path = conn.engine.url.database
    if not path:
        return {}
    files = {"main": Path(path), "wal": Path(f"{path}-wal")}
    return {name: file.stat().st_size for name, file in files.items() if file.exists()}


_FIRST_WORDS = select(ALERT.c.kind, ALERT.c.opened_at).where(
    ALERT.c.id.in_(bindparam("alerts", expanding=True)),
    ~exists().where(
        MESSAGE.c.alert_id == ALERT.c.id,
        MESSAGE.c.id.not_in(bindparam("messages", expanding=True)),
        MESSAGE.c.state.in_(bindparam("states", expanding=True)),
    ),
)


def first_words(
    conn: Connection, alert_of: Mapping[int, int], states: Collection[Delivery]
) -> list[tuple[str, datetime]]:
    """Kind and opening of each alert of `alert_of` (message id → alert id) of which no other
    message has got as far as one of `states`."""
    if not alert_of:
        return []
    asked = {
        "alerts": sorted(set(alert_of.values())), "messages": list(alert_of),
        "states": [s.value for s in states],
    }  # fmt: skip
    return [(kind, opened_at) for kind, opened_at in conn.execute(_FIRST_WORDS, asked)]
