"""What a report is made of. Bounded: every query starts at an id found by time, reads few columns,
and gives up beyond `MOST_ROWS` instead of holding up the server. A rehearsal is not in it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from server import tables as t
from server.core import reports as core
from server.core.words import SIGNS_OF_LIFE, Delivery, Fault, Kind, State
from server.store.by_time import first_id
from server.store.outbox import CALLS

ALERT, ITEM, MESSAGE = t.table(t.Alert), t.table(t.AlertItem), t.table(t.Message)
SIGNAL, TERMINAL, RESIDENT = t.table(t.Signal), t.table(t.Terminal), t.table(t.Resident)
JOURNAL, BUILDING = t.table(t.Journal), t.table(t.Building)
MOST_ROWS = 500_000
CHUNK = 500
OFFLINE_BEFORE = timedelta(days=92)
"""A terminal that had been silent for longer before the period began is found while it still is."""
ARRIVES_AFTER = timedelta(days=1)
"""A stored press is looked for this long after the period's end."""


def _rows(conn: Connection, query: Select[Any]) -> Sequence[Any]:
    found: Sequence[Any] = conn.execute(query.limit(MOST_ROWS + 1)).all()
    if len(found) > MOST_ROWS:
        raise core.BadPeriod(core.Why.TOO_MUCH)
    return found


def _in_life(building_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Of a building that is no rehearsal's, or of none."""
    rehearsals = select(BUILDING.c.id).where(BUILDING.c.rehearsal)
    return or_(building_id.is_(None), building_id.not_in(rehearsals))


def alarms(conn: Connection, kind: Kind, start: datetime, end: datetime) -> list[core.Alarm]:
    """Alerts of a kind opened in [start, end) with the first time each thing happened."""
    rows = _rows(
        conn,
        select(
            ALERT.c.id, ALERT.c.building_id, ALERT.c.opened_at, ALERT.c.resolved_at,
            ALERT.c.outcome, ALERT.c.test,
        ).where(
            ALERT.c.id >= first_id(conn, ALERT, "opened_at", start), ALERT.c.kind == kind,
            ALERT.c.opened_at >= start, ALERT.c.opened_at < end, _in_life(ALERT.c.building_id),
        ),
    )  # fmt: skip
    ids = [r.id for r in rows]
    told, happened = _first_told(conn, ids), _first_happened(conn, ids)
    return [
        core.Alarm(
            building_id=r.building_id,
            opened_at=r.opened_at,
            told_at=told.get(r.id),
            # Somebody who says at once that they are there has accepted as well.
            accepted_at=happened.get((r.id, "accepted")) or happened.get((r.id, "arrived")),
            arrived_at=happened.get((r.id, "arrived")),
            resolved_at=r.resolved_at,
            outcome=r.outcome,
            test=r.test,
        )
        for r in rows
    ]


def _first_told(conn: Connection, ids: Sequence[int]) -> dict[int, datetime]:
    """Alert → when the provider first confirmed the delivery of a call for help."""
    found: dict[int, datetime] = {}
    for n in range(0, len(ids), CHUNK):
        query = (
            select(MESSAGE.c.alert_id, func.min(MESSAGE.c.updated_at))
            .where(
                MESSAGE.c.alert_id.in_(ids[n : n + CHUNK]),
                MESSAGE.c.state == Delivery.DELIVERED,
                MESSAGE.c.template.in_([c.value for c in CALLS]),
            )
            .group_by(MESSAGE.c.alert_id)
        )
        found.update((r[0], r[1]) for r in conn.execute(query))
    return found


def _first_happened(conn: Connection, ids: Sequence[int]) -> dict[tuple[int, str], datetime]:
    found: dict[tuple[int, str], datetime] = {}
    for n in range(0, len(ids), CHUNK):
        query = (
            select(JOURNAL.c.alert_id, JOURNAL.c.kind, func.min(JOURNAL.c.at))
            .where(
                JOURNAL.c.alert_id.in_(ids[n : n + CHUNK]),
                JOURNAL.c.kind.in_(("accepted", "arrived")),
            )
            .group_by(JOURNAL.c.alert_id, JOURNAL.c.kind)
        )
        found.update(((r[0], r[1]), r[2]) for r in conn.execute(query))
    return found


def messages(conn: Connection, start: datetime, end: datetime) -> list[core.Message]:
    """SMS written in [start, end), with the building their alert is about."""
    query = (
        select(ALERT.c.building_id, MESSAGE.c.state, MESSAGE.c.created_at, MESSAGE.c.updated_at)
        .select_from(MESSAGE)
        .outerjoin(ALERT, ALERT.c.id == MESSAGE.c.alert_id)
        .where(
            MESSAGE.c.id >= first_id(conn, MESSAGE, "created_at", start),
            MESSAGE.c.channel == "sms",
            MESSAGE.c.created_at >= start, MESSAGE.c.created_at < end,
            _in_life(ALERT.c.building_id),
        )
    )  # fmt: skip
    return [core.Message(*r) for r in _rows(conn, query)]


def signs(conn: Connection, start: datetime, end: datetime) -> list[core.Sign]:
    """Signs of life that reached us in [start, end + a day), dated to when the person was there."""
    query = (
        select(RESIDENT.c.id, RESIDENT.c.building_id, SIGNAL.c.received_at, SIGNAL.c.occurred_at,
               SIGNAL.c.late, RESIDENT.c.risk_class)
        .select_from(SIGNAL)
        .join(TERMINAL, TERMINAL.c.id == SIGNAL.c.terminal_id)
        .join(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
        .where(
            SIGNAL.c.id >= first_id(conn, SIGNAL, "received_at", start),
            SIGNAL.c.type.in_([s.value for s in SIGNS_OF_LIFE]),
            SIGNAL.c.received_at >= start, SIGNAL.c.received_at < end + ARRIVES_AFTER,
            _in_life(RESIDENT.c.building_id),
        )
    )  # fmt: skip
    return [core.Sign(r[0], r[1], seen_at(r[2], r[3], r[4]), r[5]) for r in _rows(conn, query)]


def seen_at(received_at: datetime, occurred_at: datetime | None, late: bool) -> datetime:
    """When the person was there, of a signal as stored: an event flagged late was dated by its
    device, and believed, when it came in."""
    return occurred_at if late and occurred_at is not None else received_at


def misses(conn: Connection, start: datetime, end: datetime) -> list[core.Miss]:
    """Residents on worklists of rounds whose deadline lies in (start, end]."""
    query = (
        select(ITEM.c.resident_id, ALERT.c.building_id, ALERT.c.round_due_at, ITEM.c.outcome)
        .select_from(ITEM)
        .join(ALERT, ALERT.c.id == ITEM.c.alert_id)
        .where(
            ALERT.c.id >= first_id(conn, ALERT, "opened_at", start),
            ALERT.c.kind == Kind.MISSED,
            ALERT.c.round_due_at > start, ALERT.c.round_due_at <= end,
            _in_life(ALERT.c.building_id),
        )
    )  # fmt: skip
    return [core.Miss(*r) for r in _rows(conn, query)]


def offline(conn: Connection, start: datetime, end: datetime) -> list[core.Offline]:
    """Silences of terminals that touch [start, end)."""
    since = first_id(conn, ALERT, "opened_at", start - OFFLINE_BEFORE)
    query = select(ALERT.c.building_id, ALERT.c.opened_at, ALERT.c.resolved_at).where(
        ALERT.c.kind == Kind.FAULT,
        ALERT.c.fault == Fault.OFFLINE.value,
        ALERT.c.opened_at < end,
        _in_life(ALERT.c.building_id),
        or_(
            ALERT.c.state == State.OPEN,
            (ALERT.c.id >= since) & (ALERT.c.resolved_at > start),
        ),
    )
    return [core.Offline(*r) for r in _rows(conn, query)]


def terminals(conn: Connection) -> dict[int, int]:
    """Building → terminals in service today."""
    query = (
        select(RESIDENT.c.building_id, func.count())
        .join(TERMINAL, TERMINAL.c.resident_id == RESIDENT.c.id)
        .where(TERMINAL.c.state == "active", _in_life(RESIDENT.c.building_id))
        .group_by(RESIDENT.c.building_id)
    )
    return {r[0]: r[1] for r in conn.execute(query)}
