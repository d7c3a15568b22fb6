"""The outbox and the terminals' commands: enqueue once, lease, record what became of it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from server import tables as t
from server.core.words import Channel, Delivery, State, Template
from server.store import bulk
from server.store.signals import insert

MESSAGE, COMMAND, PERSON = t.table(t.Message), t.table(t.Command), t.table(t.Person)
INBOUND, ALERT = t.table(t.Inbound), t.table(t.Alert)

PROGRESS = (
    Delivery.DELIVERED, Delivery.SENT, Delivery.SENDING, Delivery.QUEUED,
    Delivery.UNDELIVERED, Delivery.FAILED, Delivery.CANCELLED,
)  # fmt: skip
"""Best first: one message that arrived outweighs one that failed."""
CALLS = (Template.SOS, Template.FALL, Template.DUTY, Template.MISSED)
"""Messages that ask somebody to go; false once the matter is closed."""


# Statements of the SOS path are built once: building one costs several times its running.


@cache
def _insert_message(dialect: str) -> Any:
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(MESSAGE)
    return statement.on_conflict_do_nothing().returning(MESSAGE.c.id)


@cache
def _change_message(names: tuple[str, ...]) -> Any:
    changes = {name: bindparam(f"v_{name}", type_=MESSAGE.c[name].type) for name in names}
    return update(MESSAGE).where(MESSAGE.c.id == bindparam("message_id")).values(changes)


MESSAGE_COLUMNS: bulk.Columns = (
    ("alert_id", "bigint"), ("person_id", "bigint"), ("role", "text"), ("step", "integer"),
    ("attempt", "bigint"), ("channel", "text"), ("template", "text"), ("lane", "integer"),
    ("phone", "text"), ("body", "text"), ("due_at", "bigint"), ("created_at", "bigint"),
    ("state", "text"), ("tries", "integer"),
)  # fmt: skip
KEY = ("alert_id", "step", "person_id", "channel", "template", "attempt")


def enqueue_many(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """`enqueue` for many, each with every column but state and tries; in order."""
    if not rows:
        return []
    names = [name for name, _ in MESSAGE_COLUMNS]
    fresh = {"state": Delivery.QUEUED.value, "tries": 0}
    made: dict[tuple[Any, ...], int] = {
        tuple(row[1:]): int(row[0])
        for row in bulk.insert(
            conn, "message", MESSAGE_COLUMNS,
            [tuple({**row, **fresh}[name] for name in names) for row in rows],
            conflict="DO NOTHING", returning=f"id, {', '.join(KEY)}",
        )
    }  # fmt: skip
    return [made.pop(tuple(row[name] for name in KEY), None) for row in rows]


_BY_ID = select(MESSAGE).where(MESSAGE.c.id == bindparam("message_id"))
_NEXT_DUE = (
    select(MESSAGE.c.due_at)
    .where(MESSAGE.c.due_at.is_not(None), MESSAGE.c.lane.in_(bindparam("lanes", expanding=True)))
    .order_by(MESSAGE.c.due_at)
    .limit(1)
)
_TOLD = select(MESSAGE.c.alert_id, MESSAGE.c.person_id, MESSAGE.c.state).where(
    MESSAGE.c.alert_id.in_(bindparam("alerts", expanding=True))
)


def enqueue(conn: Connection, **row: Any) -> int | None:
    """Put one message into the outbox; None when this decision's message is there already."""
    values = {"channel": Channel.SMS.value, **row, "state": Delivery.QUEUED.value, "tries": 0}
    return conn.execute(_insert_message(conn.dialect.name), values).scalar_one_or_none()


def told(conn: Connection, alert_ids: Collection[int]) -> dict[int, dict[int, Delivery]]:
    """For each alert: person id → the best state of any message to them about it."""
    best: defaultdict[int, dict[int, Delivery]] = defaultdict(dict)
    for alert_id, person_id, state in conn.execute(
        _TOLD, {"alerts": list(alert_ids)}
    ):
        now, before = Delivery(state), best[alert_id].get(person_id)
        if before is None or PROGRESS.index(now) < PROGRESS.index(before):
            best[alert_id][person_id] = now
    return best


def lease(
    conn: Connection, lanes: Collection[int], now: datetime, until: datetime, limit: int
) -> Sequence[RowMapping]:
    """Take up to `limit` messages that are due, SOS lane first, for sending before `until`.

    A message leased before and never recorded comes back with `state` "sending": its sender may
    have died between sending and recording, so it must be looked up before it is sent again.
    """
    due = (
        select(MESSAGE.c.id)
        .where(MESSAGE.c.due_at <= now, MESSAGE.c.lane.in_(lanes))
        .order_by(MESSAGE.c.lane, MESSAGE.c.due_at, MESSAGE.c.id)
        .limit(limit)
    )
    if conn.dialect.name != "sqlite":  # SQLite has one writer and silently ignores SKIP LOCKED
        due = due.with_for_update(skip_locked=True)
    before = conn.execute(select(MESSAGE).where(MESSAGE.c.id.in_(due))).mappings().all()
    if before:
        conn.execute(
            update(MESSAGE)
            .where(MESSAGE.c.id.in_([m["id"] for m in before]))
            .values(state=Delivery.SENDING.value, due_at=until, tries=MESSAGE.c.tries + 1)
        )
    return sorted(before, key=lambda m: (m["lane"], m["id"]))


def next_due(conn: Connection, lanes: Collection[int]) -> datetime | None:
    """When the next message of these lanes is due; None when the outbox is empty."""
    return conn.execute(_NEXT_DUE, {"lanes": list(lanes)}).scalar_one_or_none()


def claimed(conn: Connection, provider_ids: Collection[str], but: int) -> set[str]:
    """Those of the provider's ids that messages other than `but` carry."""
    query = select(MESSAGE.c.provider_id).where(
        MESSAGE.c.provider_id.in_(provider_ids), MESSAGE.c.id != but
    )
    return set(conn.execute(query).scalars())


def set_message(conn: Connection, message_id: int, **values: Any) -> None:
    """Change one message's row."""
    changes = {f"v_{name}": value for name, value in values.items()}
    conn.execute(_change_message(tuple(values)), {"message_id": message_id, **changes})


def put_back(
    conn: Connection, leased: RowMapping, state: Delivery, due_at: datetime | None
) -> None:
    """Make a leased message due again (None: never), unless the provider's word on it came first
    or another worker has leased it since (`tries` is the lease's number)."""
    conn.execute(
        update(MESSAGE)
        .where(
            MESSAGE.c.id == leased["id"],
            MESSAGE.c.state == Delivery.SENDING.value,
            MESSAGE.c.tries == leased["tries"] + 1,
        )
        .values(state=state.value, due_at=due_at)
    )


def by_provider_id(conn: Connection, provider_id: str) -> RowMapping | None:
    """The message the provider calls by this id."""
    query = select(MESSAGE).where(MESSAGE.c.provider_id == provider_id)
    return conn.execute(query).mappings().first()


def by_id(conn: Connection, message_id: int) -> RowMapping | None:
    """One message."""
    return conn.execute(_BY_ID, {"message_id": message_id}).mappings().first()


def cancel_queued(conn: Connection, alert_id: int, now: datetime) -> None:
    """Calls for help that have not left yet are no longer true."""
    conn.execute(
        update(MESSAGE)
        .where(
            MESSAGE.c.alert_id == alert_id,
            MESSAGE.c.state == Delivery.QUEUED.value,
            MESSAGE.c.template.in_([c.value for c in CALLS]),
        )
        .values(state=Delivery.CANCELLED.value, due_at=None, updated_at=now)
    )


def fail_queued(conn: Connection, person_id: int, error: str, now: datetime) -> None:
    """What has not left for this person yet never will."""
    conn.execute(
        update(MESSAGE)
        .where(MESSAGE.c.person_id == person_id, MESSAGE.c.state == Delivery.QUEUED.value)
        .values(state=Delivery.FAILED.value, error=error, due_at=None, updated_at=now)
    )


def unwanted(conn: Connection, message_id: int) -> Delivery | None:
    """What a leased message becomes instead of leaving: `failed` when the person has opted out
    meanwhile, `cancelled` when it calls for help that is no longer needed. None: send it."""
    template, state, opted_out_at = conn.execute(
        select(MESSAGE.c.template, ALERT.c.state, PERSON.c.opted_out_at)
        .join(PERSON, PERSON.c.id == MESSAGE.c.person_id)
        .outerjoin(ALERT, ALERT.c.id == MESSAGE.c.alert_id)
        .where(MESSAGE.c.id == message_id)
    ).one()
    if opted_out_at is not None:
        return Delivery.FAILED
    closed = state == State.RESOLVED and template in [c.value for c in CALLS]
    return Delivery.CANCELLED if closed else None


def for_alerts(conn: Connection, alert_ids: Collection[int]) -> Sequence[RowMapping]:
    """Messages of these alerts with the recipient's name, oldest first."""
    return (
        conn.execute(
            select(MESSAGE, PERSON.c.name)
            .join(PERSON, PERSON.c.id == MESSAGE.c.person_id)
            .where(MESSAGE.c.alert_id.in_(alert_ids))
            .order_by(MESSAGE.c.id)
        )
        .mappings()
        .all()
    )


def after(conn: Connection, message_id: int, limit: int) -> Sequence[RowMapping]:
    """Messages with a higher id, oldest first."""
    query = select(MESSAGE).where(MESSAGE.c.id > message_id).order_by(MESSAGE.c.id).limit(limit)
    return conn.execute(query).mappings().all()


def oldest_queued(conn: Connection) -> datetime | None:
    """Since when the longest-waiting message has been queued."""
    query = select(func.min(MESSAGE.c.created_at)).where(
        MESSAGE.c.state == Delivery.QUEUED.value
    )
    return conn.execute(query).scalar_one_or_none()


def add_command(conn: Connection, **row: Any) -> int:
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


def lease_commands(
    conn: Connection, now: datetime, until: datetime, limit: int
) -> Sequence[RowMapping]:
    """Hand out commands that are due, until `until`; the expired ones are closed on the way."""
    conn.execute(
        update(COMMAND)
        .where(COMMAND.c.due_at <= now, COMMAND.c.expires_at <= now)
        .values(due_at=None, result="expired")
    )
    due = (
        select(COMMAND.c.id)
        .where(COMMAND.c.due_at <= now)
        .order_by(COMMAND.c.due_at, COMMAND.c.id)
        .limit(limit)
    )
    if conn.dialect.name != "sqlite":
        due = due.with_for_update(skip_locked=True)
    rows = conn.execute(
        update(COMMAND).where(COMMAND.c.id.in_(due)).values(due_at=until).returning(COMMAND)
    ).mappings()
    return sorted(rows, key=lambda c: int(c["id"]))


def commands_waiting(conn: Connection, now: datetime) -> bool:
    """Whether a lease would find anything (asked without the write lock)."""
    query = select(COMMAND.c.id).where(COMMAND.c.due_at <= now).limit(1)
    return conn.execute(query).first() is not None


def commands_published(conn: Connection, ids: Collection[int]) -> None:
    """The broker has them; only the terminal's own word can follow."""
    conn.execute(
        update(COMMAND)
        .where(COMMAND.c.id.in_(ids), COMMAND.c.due_at.is_not(None))
        .values(due_at=None, result="published")
    )


def command_answered(conn: Connection, terminal_id: str, command_id: int, result: str) -> None:
    """The terminal says what became of a command; another terminal's word counts for nothing."""
    conn.execute(
        update(COMMAND)
        .where(COMMAND.c.id == command_id, COMMAND.c.terminal_id == terminal_id)
        .values(result=result, due_at=None)
    )


def add_inbound(conn: Connection, row: Mapping[str, Any]) -> bool:
    """Record an SMS to us; False when the provider has delivered it before."""
    statement = (
        insert(conn, INBOUND).values(**row).on_conflict_do_nothing().returning(INBOUND.c.phone)
    )
    return conn.execute(statement).first() is not None


def count_inbound(conn: Connection, person_id: int, meaning: str, since: datetime) -> int:
    """How many SMS of this meaning a person has sent us since `since`."""
    query = select(func.count()).select_from(INBOUND).where(
        INBOUND.c.person_id == person_id,
        INBOUND.c.meaning == meaning,
        INBOUND.c.received_at >= since,
    )
    return int(conn.execute(query).scalar_one())


def set_inbound(conn: Connection, provider_id: str, **values: Any) -> None:
    """Record what an inbound SMS was taken to mean."""
    conn.execute(update(INBOUND).where(INBOUND.c.provider_id == provider_id).values(**values))
