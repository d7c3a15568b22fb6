"""The outbox: enqueue once, lease, record what became of it; and the SMS that come in."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    String,
    bindparam,
    case,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from server import tables as t
from server.core import delivery
from server.core.words import Channel, Delivery, State, Template
from server.store import bulk
from server.store.signals import held, insert

MESSAGE, PERSON = t.table(t.Message), t.table(t.Person)
INBOUND, ALERT, RESIDENT = t.table(t.Inbound), t.table(t.Alert), t.table(t.Resident)
ASSIGNMENT = t.table(t.Assignment)

PROGRESS = (
    Delivery.DELIVERED, Delivery.SENT, Delivery.SENDING, Delivery.QUEUED,
    Delivery.UNDELIVERED, Delivery.FAILED, Delivery.CANCELLED,
)  # fmt: skip
"""Best first: one message that arrived outweighs one that failed."""
CALLS = (Template.SOS, Template.FALL, Template.DUTY, Template.CALL_120, Template.MISSED)
"""Messages that ask somebody to go."""
MOOT = (*CALLS, Template.FEWER)
"""False once the matter is closed."""

ONCE_MORE = 1_000_000
"""Tells the attempts of a message sent again from those of any decision (which are seconds, presses
and repeats)."""


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
MANY = 20
"""Messages from which on SQLite binds their rows faster than it unpacks them (store/bulk.py); of
few, as of an SOS, one look for the newest id would cost more."""
KEY = ("alert_id", "step", "person_id", "channel", "template", "attempt")
_told, _key = itemgetter(*(name for name, _ in MESSAGE_COLUMNS[:-2])), itemgetter(*KEY)


def enqueue_many(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """`enqueue` for many, each with every column but state and tries; in order."""
    if not rows:
        return []
    values = [(*_told(row), Delivery.QUEUED.value, 0) for row in rows]
    if len(rows) >= MANY and conn.dialect.name == "sqlite":  # one writer, this one
        newest = int(conn.execute(_NEWEST).scalar_one())
        ids = range(newest + 1, newest + 1 + len(rows))
        of_these = [(message_id, *row) for message_id, row in zip(ids, values, strict=True)]
        new = bulk.insert_new(conn, "message", (("id", "bigint"), *MESSAGE_COLUMNS), of_these)
        return [message_id if message_id in new else None for message_id in ids]
    made: dict[tuple[Any, ...], int] = {
        tuple(row[1:]): int(row[0])
        for row in bulk.insert(
            conn, "message", MESSAGE_COLUMNS, values,
            conflict="DO NOTHING", returning=f"id, {', '.join(KEY)}",
        )
    }  # fmt: skip
    return [made.pop(_key(row), None) for row in rows]


_NEWEST = select(func.coalesce(func.max(MESSAGE.c.id), 0))
_BY_ID = select(MESSAGE).where(MESSAGE.c.id == bindparam("message_id"))
_NEXT_DUE = (
    select(MESSAGE.c.due_at)
    .where(MESSAGE.c.due_at.is_not(None), MESSAGE.c.lane.in_(bindparam("lanes", expanding=True)))
    .order_by(MESSAGE.c.due_at)
    .limit(1)
)
_DUE = (
    select(MESSAGE)
    .where(
        MESSAGE.c.due_at <= bindparam("now"),
        MESSAGE.c.lane.in_(bindparam("lanes", expanding=True)),
    )
    .order_by(MESSAGE.c.lane, MESSAGE.c.due_at, MESSAGE.c.id)
    .limit(bindparam("most"))
)
_DUE_HELD = _DUE.with_for_update(skip_locked=True, key_share=True)
_LEASE = (
    update(MESSAGE)
    .where(MESSAGE.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        state=Delivery.SENDING.value,
        due_at=bindparam("until"),
        sender=bindparam("by"),
        tries=MESSAGE.c.tries + 1,
        tried_at=func.coalesce(MESSAGE.c.tried_at, bindparam("now", type_=t.Instant)),
        provider=case(
            (MESSAGE.c.state == Delivery.SENDING.value, MESSAGE.c.provider),
            *(
                (MESSAGE.c.channel == channel.value, bindparam(f"by_{channel.value}", type_=String))
                for channel in Channel
            ),
            else_=None,
        ),
    )
)
_TOLD = select(
    MESSAGE.c.alert_id, MESSAGE.c.person_id, MESSAGE.c.state, MESSAGE.c.channel, MESSAGE.c.template
).where(
    MESSAGE.c.alert_id.in_(bindparam("alerts", expanding=True)), MESSAGE.c.person_id.is_not(None)
)


def enqueue(conn: Connection, **row: Any) -> int | None:
    """Put one message into the outbox; None when this decision's message is there already."""
    values = {"channel": Channel.SMS.value, **row, "state": Delivery.QUEUED.value, "tries": 0}
    return conn.execute(_insert_message(conn.dialect.name), values).scalar_one_or_none()


@dataclass(slots=True)
class Told:
    """What became of an alert's messages."""

    best: dict[int, Delivery] = field(default_factory=dict)
    """Person id → the best state of any message to them."""
    tried: dict[int, frozenset[Channel]] = field(default_factory=dict)
    """Person id → the channels by which they were called."""
    waiting: set[int] = field(default_factory=set)
    """For whom a message has not left yet."""


def told(conn: Connection, alert_ids: Collection[int]) -> dict[int, Told]:
    """What became of the messages of each of these alerts."""
    found: defaultdict[int, Told] = defaultdict(Told)
    for alert_id, person_id, state, channel, template in conn.execute(
        _TOLD, {"alerts": list(alert_ids)}
    ):
        one, now = found[alert_id], Delivery(state)
        before = one.best.get(person_id)
        if before is None or PROGRESS.index(now) < PROGRESS.index(before):
            one.best[person_id] = now
        # Who is only to hear later that a list has grown shorter can be called meanwhile.
        if now in (Delivery.QUEUED, Delivery.SENDING) and template != Template.FEWER:
            one.waiting.add(person_id)
        if template in CALLS:
            one.tried[person_id] = one.tried.get(person_id, frozenset()) | {Channel(channel)}
    return found


def said(conn: Connection, alert_id: int, template: Template) -> bool:
    """Whether anybody has been told of this alert in these words, or is about to be."""
    query = select(MESSAGE.c.id).where(
        MESSAGE.c.alert_id == alert_id, MESSAGE.c.template == template.value
    )
    return conn.execute(query.limit(1)).first() is not None


def lease(
    conn: Connection, lanes: Collection[int], now: datetime, until: datetime, limit: int,
    providers: Mapping[str, str], sender: str | None = None,
) -> Sequence[RowMapping]:  # fmt: skip
    """Take up to `limit` messages that are due, SOS lane first, for `sender` to send by `until`
    through the provider that `providers` names for their channel.

    A message leased before and never recorded comes back with `state` "sending": its sender may
    have died between sending and recording, so it must be looked up before it is sent again.
    """
    # Not as a subquery: PostgreSQL may run one more than once, and hold more than the limit.
    due = _DUE if conn.dialect.name == "sqlite" else _DUE_HELD
    before = conn.execute(due, {"now": now, "lanes": list(lanes), "most": limit}).mappings().all()
    if before:
        by = {f"by_{channel.value}": providers.get(channel) for channel in Channel}
        leased = {"ids": [m["id"] for m in before], "until": until, "by": sender, "now": now, **by}
        conn.execute(_LEASE, leased)
    return sorted(before, key=lambda m: (m["lane"], m["id"]))


def senders(conn: Connection, now: datetime) -> set[str]:
    """Servers that have messages in their hands."""
    query = select(MESSAGE.c.sender).where(
        MESSAGE.c.due_at > now,
        MESSAGE.c.state == Delivery.SENDING.value,
        MESSAGE.c.sender.is_not(None),
    )
    return set(conn.execute(query.distinct()).scalars())


def release(conn: Connection, senders_: Collection[str], now: datetime) -> int:
    """Make due now what these servers had in their hands; returns how many. It stays `sending`,
    so it is looked up before it is sent again."""
    changed = conn.execute(
        update(MESSAGE)
        .where(
            MESSAGE.c.due_at > now,
            MESSAGE.c.state == Delivery.SENDING.value,
            MESSAGE.c.sender.in_(senders_),
        )
        .values(due_at=now)
    )
    return int(changed.rowcount)


def next_due(conn: Connection, lanes: Collection[int]) -> datetime | None:
    """When the next message of these lanes is due; None when the outbox is empty."""
    return conn.execute(_NEXT_DUE, {"lanes": list(lanes)}).scalar_one_or_none()


def claimed(conn: Connection, provider_ids: Collection[str], but: int) -> set[str]:
    """Those of the provider's ids that messages other than `but` carry."""
    query = select(MESSAGE.c.provider_id).where(
        MESSAGE.c.provider_id.in_(provider_ids), MESSAGE.c.id != but
    )
    return set(conn.execute(query).scalars())


def call_in_doubt(conn: Connection, but: RowMapping) -> bool:
    """Whether another call to the same telephone may have been placed and is not recorded."""
    query = select(MESSAGE.c.id).where(
        MESSAGE.c.phone == but["phone"], MESSAGE.c.channel == Channel.VOICE.value,
        MESSAGE.c.state == Delivery.SENDING.value, MESSAGE.c.due_at.is_not(None),
        MESSAGE.c.provider_id.is_(None), MESSAGE.c.id != but["id"],
    )  # fmt: skip
    return conn.execute(query.limit(1)).first() is not None


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
    """One message, held: two words about it are taken one after the other."""
    return conn.execute(held(conn, _BY_ID), {"message_id": message_id}).mappings().first()


_BY_IDS = (
    select(MESSAGE).where(MESSAGE.c.id.in_(bindparam("ids", expanding=True))).order_by(MESSAGE.c.id)
)


def by_ids(conn: Connection, message_ids: Collection[int]) -> Sequence[RowMapping]:
    """`by_id` for many, by id."""
    return conn.execute(held(conn, _BY_IDS), {"ids": list(message_ids)}).mappings().all()


_TAKEN: bulk.Columns = (
    ("id", "bigint"), ("provider_id", "text"), ("state", "text"), ("error", "text"),
    ("sent_at", "bigint"), ("updated_at", "bigint"),
)  # fmt: skip


def mark_sent(
    conn: Connection, rows: Sequence[RowMapping], taken: Mapping[int, str],
    fresh: Collection[int], now: datetime,
) -> None:
    """Write the provider's id into each of these messages (`taken`: message id → it), and into
    those that are `fresh` that they are sent. None of them is due any more."""
    bulk.update(
        conn, "message", _TAKEN,
        [
            (m["id"], taken[m["id"]], Delivery.SENT.value, None, m["sent_at"] or now, now)
            if m["id"] in fresh else
            (m["id"], taken[m["id"]], m["state"], m["error"], m["sent_at"], m["updated_at"])
            for m in rows
        ],
        "due_at = NULL, provider_id = r.provider_id, state = r.state, error = r.error,"
        " sent_at = r.sent_at, updated_at = r.updated_at",
    )  # fmt: skip


def cancel_queued(
    conn: Connection, alert_id: int, now: datetime, templates: Collection[Template]
) -> None:
    """What has not left yet of these templates is no longer true."""
    conn.execute(
        update(MESSAGE)
        .where(
            MESSAGE.c.alert_id == alert_id,
            MESSAGE.c.state == Delivery.QUEUED.value,
            MESSAGE.c.template.in_([c.value for c in templates]),
        )
        .values(state=Delivery.CANCELLED.value, due_at=None, updated_at=now)
    )


def fail_queued(conn: Connection, person_id: int, error: str, now: datetime) -> set[int]:
    """What has not left for this person yet never will; returns the alerts it was about."""
    failed = conn.execute(
        update(MESSAGE)
        .where(MESSAGE.c.person_id == person_id, MESSAGE.c.state == Delivery.QUEUED.value)
        .values(state=Delivery.FAILED.value, error=error, due_at=None, updated_at=now)
        .returning(MESSAGE.c.alert_id)
    )
    return {alert_id for alert_id in failed.scalars() if alert_id is not None}


def again(conn: Connection, message: RowMapping, due_at: datetime) -> int | None:
    """The same message once more, as a message of its own: the lost one keeps its end. None when
    there is one already, because the provider told us of the loss twice."""
    same = ("alert_id", "person_id", "resident_id", "role", "step", "channel", "template", "lane",
            "phone", "body", "created_at", "tried_at")  # fmt: skip
    attempt = message["attempt"] + ONCE_MORE
    return enqueue(conn, **{c: message[c] for c in same}, attempt=attempt, due_at=due_at)


def unwanted(
    conn: Connection, message_id: int, now: datetime
) -> tuple[Delivery, str | None] | None:
    """What a leased message becomes instead of leaving, and by which error: `failed` when the
    person has opted out or gone away meanwhile, `cancelled` when it calls for help that is no
    longer needed, or asks a resident who has been heard of or is no longer awaited. None: send
    it."""
    away = (
        select(ASSIGNMENT.c.id)
        .where(ASSIGNMENT.c.person_id == MESSAGE.c.person_id, ASSIGNMENT.c.absent_until > now)
        .exists()
    )
    row = conn.execute(
        select(
            MESSAGE.c.template, ALERT.c.state, PERSON.c.opted_out_at, MESSAGE.c.resident_id,
            RESIDENT.c.next_due_at, MESSAGE.c.attempt, MESSAGE.c.step, away.label("away"),
        )
        .outerjoin(PERSON, PERSON.c.id == MESSAGE.c.person_id)
        .outerjoin(ALERT, ALERT.c.id == MESSAGE.c.alert_id)
        .outerjoin(RESIDENT, RESIDENT.c.id == MESSAGE.c.resident_id)
        .where(MESSAGE.c.id == message_id)
    ).one()
    if row.resident_id is not None:
        due = row.next_due_at
        awaited = due is not None and int(due.timestamp()) == row.attempt
        return None if awaited else (Delivery.CANCELLED, None)
    if row.opted_out_at is not None:
        return Delivery.FAILED, "opted_out"
    if row.away and row.step >= 0:  # who has just written to us is answered, away or not
        return Delivery.FAILED, delivery.AWAY
    closed = row.state == State.RESOLVED and row.template in [c.value for c in MOOT]
    return (Delivery.CANCELLED, None) if closed else None


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
