"""Residents who are watched no more and contacts without a role, whose time is over."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, or_, select, update

from server import tables as t
from server.core.words import Kind, State
from server.store.erasing import GONE

RESIDENT, ASSIGNMENT, TERMINAL = t.table(t.Resident), t.table(t.Assignment), t.table(t.Terminal)
ALERT, ITEM, MESSAGE = t.table(t.Alert), t.table(t.AlertItem), t.table(t.Message)
PERSON, ACCOUNT = t.table(t.Person), t.table(t.HoursAccount)
LEFT = ("died", "moved_away")
"""Ends after which nobody lives there any more; the others may still press."""


def _has_terminal() -> ColumnElement[bool]:
    return exists(select(TERMINAL.c.id).where(TERMINAL.c.resident_id == RESIDENT.c.id))


def _has_open_alert() -> ColumnElement[bool]:
    own = select(ALERT.c.id).where(
        ALERT.c.resident_id == RESIDENT.c.id, ALERT.c.state != State.RESOLVED,
        ALERT.c.kind != Kind.FAULT,
    )  # fmt: skip
    listed = (
        select(ITEM.c.alert_id)
        .join(ALERT, ALERT.c.id == ITEM.c.alert_id)
        .where(ITEM.c.resident_id == RESIDENT.c.id, ALERT.c.state != State.RESOLVED)
    )
    return or_(exists(own), exists(listed))


def _ended(before: datetime) -> ColumnElement[bool]:
    return (RESIDENT.c.state == "ended") & (RESIDENT.c.ended_at < before)


def noted(
    conn: Connection, before: datetime, limit: int, of: int | None = None
) -> Sequence[int]:
    """Residents (`of`: this one) who ended before then and of whom there are notes still. Not where
    a press may need them: while an alert is open, or while somebody who lives there has a terminal.
    """
    place = exists(
        select(ASSIGNMENT.c.id)
        .where(ASSIGNMENT.c.resident_id == RESIDENT.c.id, ASSIGNMENT.c.key_place != "")
    )
    query = select(RESIDENT.c.id).where(
        _ended(before), or_(RESIDENT.c.access_notes != "", RESIDENT.c.risks != "", place),
        or_(RESIDENT.c.ended_how.in_(LEFT), ~_has_terminal()), ~_has_open_alert(),
    )  # fmt: skip
    if of is not None:
        query = query.where(RESIDENT.c.id == of)
    return list(conn.execute(query.order_by(RESIDENT.c.id).limit(limit)).scalars())


def erasable(conn: Connection, before: datetime, limit: int) -> Sequence[int]:
    """Residents who ended before then, whom nothing holds any more and who are not erased yet."""
    query = select(RESIDENT.c.id).where(
        _ended(before), RESIDENT.c.flat_id.is_not(None), ~_has_terminal(), ~_has_open_alert()
    )
    return list(conn.execute(query.order_by(RESIDENT.c.id).limit(limit)).scalars())


def mark_roleless(conn: Connection, now: datetime) -> None:
    """Their time begins when they are first found without a role, and ends with the next role."""
    stands = exists(select(ASSIGNMENT.c.id).where(ASSIGNMENT.c.person_id == PERSON.c.id))
    conn.execute(
        update(PERSON)
        .where(PERSON.c.roleless_since.is_(None), PERSON.c.name != GONE, ~stands)
        .values(roleless_since=now)
    )
    conn.execute(
        update(PERSON).where(PERSON.c.roleless_since.is_not(None), stands)
        .values(roleless_since=None)
    )  # fmt: skip


def roleless(conn: Connection, before: datetime, limit: int) -> Sequence[int]:
    """Contacts who have had no role since before then, whom nothing holds any more."""
    query = select(PERSON.c.id).where(
        PERSON.c.roleless_since < before, PERSON.c.name != GONE, free(), ~saves()
    )
    return list(conn.execute(query.order_by(PERSON.c.id).limit(limit)).scalars())


def free() -> ColumnElement[bool]:
    """Stands behind no target, and was told of no open alert."""
    told = (
        select(MESSAGE.c.id)
        .join(ALERT, ALERT.c.id == MESSAGE.c.alert_id)
        .where(MESSAGE.c.person_id == PERSON.c.id, ALERT.c.state != State.RESOLVED)
    )
    stands = select(ASSIGNMENT.c.id).where(ASSIGNMENT.c.person_id == PERSON.c.id)
    return ~exists(told) & ~exists(stands)


def saves() -> ColumnElement[bool]:
    """Has hours in the ledger that are not drawn yet: whoever gave them may still need the help."""
    own = select(ACCOUNT.c.id).where(
        ACCOUNT.c.person_id == PERSON.c.id, ACCOUNT.c.balance_min > 0
    )
    return exists(own)


def among(conn: Connection, person_ids: Sequence[int]) -> Sequence[int]:
    """Those of these contacts whom nothing holds any more."""
    query = select(PERSON.c.id).where(PERSON.c.id.in_(person_ids), free(), ~saves())
    return list(conn.execute(query.order_by(PERSON.c.id)).scalars())
