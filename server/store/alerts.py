"""Alerts: rows to core values and back. Every change is a compare-and-set on `version`."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    RowMapping,
    Select,
    TextClause,
    bindparam,
    case,
    delete,
    literal,
    select,
    text,
    type_coerce,
    update,
)

from server import tables as t
from server.core import alerts as core
from server.core.ladder import Ladder
from server.core.words import Fault, Kind, Outcome, Role, State
from server.database import Stale
from server.store import bulk
from server.store.signals import held

log = logging.getLogger(__name__)
ALERT, ITEM = t.table(t.Alert), t.table(t.AlertItem)
MESSAGE, LINK = t.table(t.Message), t.table(t.StewardLink)
RESIDENT = t.table(t.Resident)
ITEM_COLUMNS: bulk.Columns = (
    ("alert_id", "bigint"), ("resident_id", "bigint"), ("flat_id", "bigint"), ("label", "text"),
    ("outcome", "text"), ("after_absence", "bigint"),
)  # fmt: skip
LINK_COLUMNS: bulk.Columns = (
    ("digest", "text"), ("alert_id", "bigint"), ("person_id", "bigint"), ("role", "text"),
    ("expires_at", "bigint"),
)  # fmt: skip
CORRUPT = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError)
"""What comes of an alert whose row can't be read any more, or of a mistake in our rules."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An alert's row, and the same alert as the rules see it."""

    row: Mapping[Any, Any]
    alert: core.Alert

    @property
    def id(self) -> int:
        """The alert's id."""
        return int(self.row["id"])


def _responder(data: Mapping[str, Any]) -> core.Responder:
    arrived = data["on_scene_ms"]
    return core.Responder(
        data["person_id"],
        data["name"],
        Role(data["role"]),
        t.from_ms(data["accepted_ms"]),
        t.from_ms(arrived) if arrived is not None else None,
    )


def _responder_json(r: core.Responder) -> dict[str, Any]:
    return {
        "person_id": r.person_id,
        "name": r.name,
        "role": r.role.value,
        "accepted_ms": t.to_ms(r.accepted_at),
        "on_scene_ms": t.to_ms(r.on_scene_at) if r.on_scene_at else None,
    }


def _count(value: Any) -> int:
    """What SQLite takes into such a column may be anything."""
    if not isinstance(value, int) or value < 0:
        raise ValueError("not a count")
    return value


def _to_core(row: Mapping[Any, Any], items: Sequence[Mapping[Any, Any]]) -> core.Alert:
    return core.Alert(
        kind=Kind(row["kind"]),
        ladder=Ladder.from_json(row["ladder"]) if row["ladder"] is not None else None,
        opened_at=row["opened_at"],
        state=State(row["state"]),
        step=_count(row["step"]),
        repeats=_count(row["repeats"]),
        next_step_at=row["next_step_at"],
        responders=tuple(_responder(r) for r in row["responders"]),
        lease_until=row["lease_until"],
        presses=_count(row["presses"]),
        again_at=row["again_at"],
        cancelled_by_resident=row["cancelled_by_resident"],
        declined=tuple(row["declined"]),
        items=tuple(
            core.Item(i["resident_id"], i["flat_id"], i["label"],
                      Outcome(i["outcome"]) if i["outcome"] else None, i["after_absence"])
            for i in items
        ),
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        note=row["note"],
        resolved_at=row["resolved_at"],
        resolved_by=row["resolved_by"],
        fall=row["fall"],
        pressed_at=row["pressed_at"],
        news_at=row["news_at"],
    )  # fmt: skip


class _LastLadder:
    """A ladder's JSON, which is nobody's to change. All alerts of a round have the same one."""

    def __init__(self) -> None:
        self._last: tuple[Ladder, dict[str, Any]] | None = None

    def json(self, ladder: Ladder) -> dict[str, Any]:
        last = self._last
        if last is None or last[0] is not ladder:
            last = self._last = ladder, ladder.to_json()
        return last[1]


_last = _LastLadder()


def columns_of(alert: core.Alert) -> dict[str, Any]:
    """The columns that the rules decide, by name."""
    return {
        "kind": alert.kind.value,
        "ladder": _last.json(alert.ladder) if alert.ladder else None,
        "opened_at": alert.opened_at,
        "state": alert.state.value,
        "step": alert.step,
        "repeats": alert.repeats,
        "next_step_at": alert.next_step_at,
        "responders": [_responder_json(r) for r in alert.responders],
        "lease_until": alert.lease_until,
        "presses": alert.presses,
        "again_at": alert.again_at,
        "cancelled_by_resident": alert.cancelled_by_resident,
        "declined": list(alert.declined),
        "outcome": alert.outcome.value if alert.outcome else None,
        "note": alert.note,
        "resolved_at": alert.resolved_at,
        "resolved_by": alert.resolved_by,
        "fall": alert.fall,
        "pressed_at": alert.pressed_at,
        "news_at": alert.news_at,
    }


def _as_far_as_readable(row: RowMapping, items: Sequence[RowMapping]) -> core.Alert:
    """For a screen: one row that can't be read must not take all others off it. Never to decide on:
    it has no ladder."""
    try:
        return _to_core(row, items)
    except CORRUPT:
        log.exception("alert %s can be read in parts only", row["id"])
        return core.Alert(
            kind=Kind(row["kind"]) if row["kind"] in list(Kind) else Kind.FAULT,
            state=State(row["state"]) if row["state"] in list(State) else State.OPEN,
            ladder=None, opened_at=row["opened_at"], presses=row["presses"],
        )  # fmt: skip


def _items_of(alert_ids: Collection[int]) -> Select[Any]:
    return select(ITEM).where(ITEM.c.alert_id.in_(alert_ids)).order_by(ITEM.c.label)


def _with_items(
    conn: Connection,
    rows: Sequence[RowMapping],
    read: Callable[[RowMapping, Sequence[RowMapping]], core.Alert] = _to_core,
) -> list[Stored]:
    missed = [r["id"] for r in rows if r["kind"] == Kind.MISSED]
    items: dict[int, list[RowMapping]] = {}
    if missed:
        for item in conn.execute(_items_of(missed)).mappings():
            items.setdefault(item["alert_id"], []).append(item)
    return [Stored(row, read(row, items.get(row["id"], []))) for row in rows]


_HOLD = select(ALERT.c.id).where(ALERT.c.id == bindparam("alert_id"))
_LOAD = select(ALERT).where(ALERT.c.id == bindparam("alert_id"))


def load(conn: Connection, alert_id: int) -> Stored | None:
    """One alert, or None."""
    rows = conn.execute(_LOAD, {"alert_id": alert_id}).mappings().all()
    return _with_items(conn, rows)[0] if rows else None


def shown(conn: Connection, alert_id: int) -> Stored | None:
    """One alert as far as it can be read, to be shown and never decided on."""
    found = load_many(conn, [alert_id])
    return found[0] if found else None


def row(conn: Connection, alert_id: int) -> RowMapping | None:
    """An alert's row as it is."""
    return conn.execute(_LOAD, {"alert_id": alert_id}).mappings().first()


def repaired(
    conn: Connection, alert_id: int, attempts: Sequence[Mapping[str, Any]]
) -> Stored:
    """Write over what can't be read of an alert: the first of `attempts` (columns and values) with
    which it can be. An outcome that is none leaves its door open. Raises one of CORRUPT."""
    found = conn.execute(_LOAD, {"alert_id": alert_id}).mappings().one()
    items = [
        {**item, "outcome": item["outcome"] if item["outcome"] in list(Outcome) else None}
        for item in conn.execute(_items_of([alert_id])).mappings()
    ]
    for changes in attempts:
        try:
            alert = _to_core({**found, **changes}, items)
        except CORRUPT:
            continue
        # Without items before: those that there are, are written again.
        return save(conn, Stored(found, replace(alert, items=())), alert)
    raise ValueError(f"alert {alert_id} can't be read, whatever is put in its place")


def drop_unreadable_instants(conn: Connection, alert_id: int, now: datetime) -> None:
    """Take out of an open alert's row what is no instant: nothing of a row can be read with one.
    When it opened and when its next step is due become `now`."""
    columns = [column for column in ALERT.c if isinstance(column.type, t.Instant)]
    must = {ALERT.c.opened_at: t.to_ms(now), ALERT.c.next_step_at: t.to_ms(now)}
    changes = {}
    for column in columns:
        ms = type_coerce(column, BigInteger)
        unreadable = (ms > t.LATEST_MS) | (ms < t.EARLIEST_MS)
        changes[column] = case((unreadable, literal(must.get(column), BigInteger)), else_=ms)
    query = update(ALERT).where(ALERT.c.id == alert_id, ALERT.c.state != State.RESOLVED)
    conn.execute(query.values(changes))


def hold(conn: Connection, alert_id: int) -> None:
    """Let nobody else judge this alert until the transaction ends. For decisions that may change
    nothing: their `version` does not tell two that were taken side by side (on SQLite there is one
    writer, and no such pair)."""
    conn.execute(held(conn, _HOLD), {"alert_id": alert_id}).all()


def load_many(conn: Connection, ids: Collection[int]) -> list[Stored]:
    """These alerts, by id, to be shown."""
    query = select(ALERT).where(ALERT.c.id.in_(ids)).order_by(ALERT.c.id)
    return _with_items(conn, conn.execute(query).mappings().all(), _as_far_as_readable)


@dataclass(frozen=True, slots=True)
class Brief:
    """What the journal says of an alert."""

    id: int
    kind: str
    state: str
    building_id: int | None
    flat_id: int | None


_BRIEFS = (
    select(ALERT.c.id, ALERT.c.kind, ALERT.c.state, ALERT.c.building_id, RESIDENT.c.flat_id)
    .outerjoin(RESIDENT, RESIDENT.c.id == ALERT.c.resident_id)
    .where(ALERT.c.id.in_(bindparam("ids", expanding=True)))
)


def briefs(conn: Connection, ids: Collection[int]) -> dict[int, Brief]:
    """What the journal says of these alerts, by id; of their ladders nothing is read."""
    if not ids:
        return {}
    found = conn.execute(_BRIEFS, {"ids": sorted(ids)})
    return {row.id: Brief(*row) for row in found}


def search(
    conn: Connection,
    *,
    state: str | None = None,
    kind: str | None = None,
    building_ids: Collection[int] | None = None,
    common: bool = False,
    after: int = 0,
    limit: int = 200,
) -> list[Stored]:
    """Alerts by id, to be shown. `state` "unresolved" means: any but resolved. `common`: also those
    that belong to no building."""
    query = select(ALERT).where(ALERT.c.id > after).order_by(ALERT.c.id).limit(limit)
    if state == "unresolved":
        query = query.where(ALERT.c.state != State.RESOLVED)
    elif state:
        query = query.where(ALERT.c.state == state)
    if kind:
        query = query.where(ALERT.c.kind == kind)
    if building_ids is not None:
        of_these = ALERT.c.building_id.in_(building_ids)
        query = query.where(of_these | ALERT.c.building_id.is_(None) if common else of_these)
    return _with_items(conn, conn.execute(query).mappings().all(), _as_far_as_readable)


_OPEN = select(ALERT).where(
    # The words of the partial index, so that SQLite sees that it may use it.
    ALERT.c.subject.in_(bindparam("subjects", expanding=True)), text("alert.state <> 'resolved'")
)  # fmt: skip


def open_by_subject(conn: Connection, subjects: Collection[str]) -> dict[str, Stored]:
    """The open alerts on these subjects (`sos:<resident>`, `missed:<building>:<due>`, …)."""
    found = _with_items(conn, conn.execute(_OPEN, {"subjects": list(subjects)}).mappings().all())
    return {s.row["subject"]: s for s in found}


def open_ids(conn: Connection, subjects: Collection[str]) -> list[int]:
    """Ids of the open alerts on these subjects, whether they can be read or not."""
    # Their ids alone: nothing else need be readable.
    found = conn.execute(_OPEN.with_only_columns(ALERT.c.id), {"subjects": list(subjects)})
    return [int(alert_id) for alert_id in found.scalars()]


def open_faults(conn: Connection, kinds: Collection[Fault]) -> Sequence[RowMapping]:
    """The unresolved faults of these kinds, oldest first."""
    query = select(ALERT).where(
        # Spelt out, or SQLite would not know that its index of the open ones is enough.
        text("alert.state <> 'resolved'"), text("alert.fault IS NOT NULL"),
        ALERT.c.fault.in_([k.value for k in kinds]),
    )  # fmt: skip
    # Sorted here: to have them in order, SQLite would go through every alert there ever was.
    return sorted(conn.execute(query).mappings(), key=lambda row: int(row["id"]))


def faults_until(
    conn: Connection, kinds: Collection[Fault], since: datetime
) -> Sequence[RowMapping]:
    """The faults of these kinds that are unresolved, or were until after `since`. Of those that are
    resolved, only such as were opened in the day before: of the others nobody has an index."""
    ended = select(ALERT).where(
        text("alert.fault IS NOT NULL"), ALERT.c.fault.in_([k.value for k in kinds]),
        ALERT.c.opened_at >= since - timedelta(days=1), ALERT.c.resolved_at >= since,
    )
    return [*open_faults(conn, kinds), *conn.execute(ended).mappings()]


_STEPS_DUE = (
    select(ALERT.c.id)
    .where(ALERT.c.next_step_at <= bindparam("now"))
    .order_by(ALERT.c.kind.desc(), ALERT.c.next_step_at)
    .limit(bindparam("most"))
)
_EMERGENCIES_DUE = (
    select(ALERT.c.id)
    .where(ALERT.c.emergency_look_at <= bindparam("now"))
    .order_by(ALERT.c.emergency_look_at)
    .limit(bindparam("most"))
)


def steps_due(conn: Connection, now: datetime, limit: int) -> list[int]:
    """Ids of alerts whose next step's time has come, SOS first. They are held, and those that
    another server is taking a step of are left out."""
    query = held(conn, _STEPS_DUE, skip=True)
    return list(conn.execute(query, {"now": now, "most": limit}).scalars())


def emergencies_due(conn: Connection, now: datetime, limit: int) -> list[int]:
    """Ids of alerts whose clock of 120 is to be looked at. They are held, and those that somebody
    is acting on just now are left out."""
    query = held(conn, _EMERGENCIES_DUE, skip=True)
    return list(conn.execute(query, {"now": now, "most": limit}).scalars())


def set_facts(conn: Connection, alert_id: int, **values: Any) -> None:
    """Change columns of an alert that no rule of the ladder reads."""
    conn.execute(update(ALERT).where(ALERT.c.id == alert_id).values(**values))


def open_about(conn: Connection, resident_id: int) -> list[int]:
    """Ids of unresolved SOS and worklists that this resident is part of."""
    own = select(ALERT.c.id).where(
        ALERT.c.resident_id == resident_id, ALERT.c.state != State.RESOLVED,
        ALERT.c.kind != Kind.FAULT,
    )
    listed = [alert_id for alert_id, _ in open_items(conn, [resident_id])]
    return sorted({*conn.execute(own).scalars(), *listed})


def postpone(conn: Connection, alert_id: int, until: datetime) -> None:
    """Put off the next step of an alert that could not be read."""
    conn.execute(update(ALERT).where(ALERT.c.id == alert_id).values(next_step_at=until))


def open_items(conn: Connection, resident_ids: Collection[int]) -> list[tuple[int, int]]:
    """(alert id, resident id) of unsettled items of these residents in open worklists."""
    query = _open_items(conn.dialect.name)
    return [(r[0], r[1]) for r in conn.execute(query, bulk.listed(resident_ids))]


@cache
def _open_items(dialect: str) -> TextClause:
    among = bulk.among(dialect, "bigint")
    return text(
        "SELECT i.alert_id, i.resident_id FROM alert_item AS i"  # noqa: S608 (all constant)
        " JOIN alert ON alert.id = i.alert_id"
        f" WHERE i.resident_id IN {among} AND i.outcome IS NULL AND alert.state <> 'resolved'"
        " ORDER BY i.alert_id, i.resident_id"
    )


def told_open(conn: Connection, person_id: int) -> list[RowMapping]:
    """Open alerts that this person has been told of (the ones a bare reply can mean)."""
    query = (
        select(ALERT.c.id, ALERT.c.code, ALERT.c.building_id)
        .where(
            ALERT.c.state != State.RESOLVED,
            ALERT.c.id.in_(
                select(MESSAGE.c.alert_id).where(
                    MESSAGE.c.person_id == person_id, MESSAGE.c.alert_id.is_not(None)
                )
            ),
        )
        .order_by(ALERT.c.id)
    )
    return list(conn.execute(query).mappings())


def was_told(conn: Connection, person_id: int, code: str) -> bool:
    """Whether this person was ever told of an alert with this code."""
    query = (
        select(ALERT.c.id)
        .join(MESSAGE, MESSAGE.c.alert_id == ALERT.c.id)
        .where(ALERT.c.code == code, MESSAGE.c.person_id == person_id)
    )
    return conn.execute(query.limit(1)).first() is not None


def as_loaded(alert: core.Alert) -> core.Alert:
    """As `load` would give it back."""
    in_order = tuple(sorted(alert.items, key=lambda i: i.label))
    return alert if in_order == alert.items else replace(alert, items=in_order)


def add_items(conn: Connection, listed: Sequence[tuple[int, core.Item]]) -> None:
    """Insert the doors of worklists, each with the id of its list."""
    if listed:
        rows = [_item_row(alert_id, item) for alert_id, item in listed]
        bulk.insert(conn, "alert_item", ITEM_COLUMNS, rows)


def _item_row(alert_id: int, i: core.Item) -> tuple[Any, ...]:
    """As in ITEM_COLUMNS."""
    outcome = i.outcome.value if i.outcome else None
    return (alert_id, i.resident_id, i.flat_id, i.label, outcome, i.after_absence)


@cache
def _save(columns: tuple[str, ...]) -> Any:
    changes = {name: bindparam(f"v_{name}", type_=ALERT.c[name].type) for name in columns}
    return (
        update(ALERT)
        .where(ALERT.c.id == bindparam("alert_id"), ALERT.c.version == bindparam("seen"))
        .values(**changes, version=ALERT.c.version + 1)
        .returning(*ALERT.c)
    )


def save(conn: Connection, stored: Stored, alert: core.Alert) -> Stored:
    """Write `alert` over `stored` if nobody changed it meanwhile; else raises Stale."""
    version, columns = stored.row["version"], columns_of(alert)
    values = {f"v_{name}": value for name, value in columns.items()}
    row = (
        conn.execute(
            _save(tuple(columns)), {"alert_id": stored.id, "seen": version, **values}
        )
        .mappings()
        .first()
    )
    if row is None:
        raise Stale(f"alert {stored.id} is no longer at version {version}")
    if alert.items != stored.alert.items:
        conn.execute(delete(ITEM).where(ITEM.c.alert_id == stored.id))
        add_items(conn, [(stored.id, item) for item in alert.items])
    return Stored(row, as_loaded(alert))


def add_links(
    conn: Connection, links: Sequence[tuple[str, int, int, str, datetime]]
) -> None:
    """Remember links given to stewards (their hashes only): rows as LINK_COLUMNS."""
    if links:
        bulk.insert(conn, "steward_link", LINK_COLUMNS, links, conflict="DO NOTHING")


def ended_links(conn: Connection, digests: Sequence[str], now: datetime) -> Sequence[str]:
    """Those of these links that were given and have ended."""
    if not digests:
        return ()
    query = select(LINK.c.digest).where(LINK.c.digest.in_(digests), LINK.c.expires_at < now)
    return conn.execute(query).scalars().all()


def link(conn: Connection, digest: str) -> RowMapping | None:
    """What a link's hash is bound to."""
    return conn.execute(select(LINK).where(LINK.c.digest == digest)).mappings().first()
