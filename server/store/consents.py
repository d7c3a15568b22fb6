"""Who has agreed to what."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, insert, select, update

from server import tables as t

CONSENT, ASSIGNMENT = t.table(t.Consent), t.table(t.Assignment)


def of(conn: Connection, resident_id: int) -> Sequence[RowMapping]:
    """A resident's consents, withdrawn ones too, newest first."""
    query = select(CONSENT).where(CONSENT.c.resident_id == resident_id)
    return conn.execute(query.order_by(CONSENT.c.id.desc())).mappings().all()


def standing(conn: Connection, resident_id: int, purpose: str) -> RowMapping | None:
    """The consent that holds."""
    query = select(CONSENT).where(
        CONSENT.c.resident_id == resident_id, CONSENT.c.purpose == purpose,
        CONSENT.c.withdrawn_at.is_(None),
    )  # fmt: skip
    return conn.execute(query).mappings().first()


def add(
    conn: Connection, resident_id: int, purpose: str, given_by: str, how: str, at: datetime,
    recorded_by: str,
) -> None:
    """Write one down."""
    conn.execute(insert(CONSENT).values(
        resident_id=resident_id, purpose=purpose, given_by=given_by, how=how, given_at=at,
        recorded_by=recorded_by,
    ))  # fmt: skip


def withdraw(conn: Connection, consent_id: int, at: datetime, by: str) -> None:
    """It holds no more."""
    statement = update(CONSENT).where(CONSENT.c.id == consent_id)
    conn.execute(statement.values(withdrawn_at=at, withdrawn_by=by))


def forget_key_places(conn: Connection, resident_id: int) -> None:
    """Where this resident's keys are is known no more."""
    statement = update(ASSIGNMENT).where(ASSIGNMENT.c.resident_id == resident_id)
    conn.execute(statement.values(key_place=""))
