"""Consents written down and taken back. What follows from a withdrawal happens with it, in one
transaction; it never touches an open alert, and a press is answered whatever was withdrawn."""

from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core.consent import FOLLOWS, Consequence, GivenBy, How, Purpose
from server.database import Tx
from server.service import classing, history, moving
from server.service.house import House
from server.service.refusals import Refused, Unknown
from server.store import consents, journal, people
from server.tables import to_ms

Json = dict[str, Any]


def listed(conn: Connection, resident_id: int) -> list[Json]:
    """A resident's consents, newest first."""
    return [
        {
            "purpose": c["purpose"], "given_by": c["given_by"], "how": c["how"],
            "given_ms": to_ms(c["given_at"]), "recorded_by": c["recorded_by"],
            "withdrawn_ms": to_ms(c["withdrawn_at"]) if c["withdrawn_at"] else None,
            "withdrawn_by": c["withdrawn_by"],
        }
        for c in consents.of(conn, resident_id)
    ]  # fmt: skip


def give(
    tx: Tx, resident_id: int, purpose: Purpose, given_by: GivenBy, how: How, *, who: str
) -> None:
    """Write down what a resident, or their guardian, has agreed to. Again is as good as once.
    Raises Unknown, or Refused for somebody whom we no longer watch."""
    row = _resident(tx, resident_id)
    if row["state"] == "ended":
        raise Refused(f"resident {resident_id} is ended; there is nothing to agree to",
                      zh="这位住户已停止守护,无需登记同意。")  # fmt: skip
    if consents.standing(tx.conn, resident_id, purpose) is not None:
        return
    consents.add(tx.conn, resident_id, purpose, given_by, how, tx.now, who)
    _note(tx, row, "consent_given", purpose, who, given_by=given_by.value, how=how.value)


def withdraw(
    tx: Tx, house: House, resident_id: int, purpose: Purpose, *, who: str, why: str
) -> Consequence:
    """Take a consent back, and do what follows; says what it was. It need not have been written
    down before: whoever never agreed may say so. Raises Unknown, or Refused."""
    row = _resident(tx, resident_id)
    consent = consents.standing(tx.conn, resident_id, purpose)
    if consent is not None:
        consents.withdraw(tx.conn, consent["id"], tx.now, who)
    _note(tx, row, "consent_withdrawn", purpose, who, why=why)
    follows = FOLLOWS[purpose]
    match follows:
        case Consequence.WATCH_ENDS:
            if row["state"] != "ended":
                moving.end(tx, house, resident_id, "other", who=who, why=why)
        case Consequence.HEALTH_NOTES_GO:
            people.set_resident(tx.conn, resident_id, risks="")
            if row["state"] != "ended" and row["class_by"] is None:
                classing.set_class(tx, resident_id, None, who=who, why=why)
            _changed(tx, resident_id, "risks", who, why)
        case Consequence.ACCESS_NOTES_GO:
            people.set_resident(tx.conn, resident_id, access_notes="")
            consents.forget_key_places(tx.conn, resident_id)
            _changed(tx, resident_id, "access_notes", who, why)
    return follows


def _resident(tx: Tx, resident_id: int) -> RowMapping:
    row = people.resident(tx.conn, resident_id)
    if row is None:
        raise Unknown(f"there is no resident {resident_id}")
    return row


def _note(
    tx: Tx, row: RowMapping, kind: str, purpose: Purpose, who: str, **more: str
) -> None:
    journal.note(
        tx, kind, building_id=row["building_id"], flat_id=row["flat_id"], resident_id=row["id"],
        purpose=purpose.value, by=who, **more,
    )  # fmt: skip


def _changed(tx: Tx, resident_id: int, field: str, who: str, why: str) -> None:
    """In the history too: that it changed, never what it said."""
    history.note(
        tx, f"resident:{resident_id}", {field: history.HIDDEN}, who=who, why=why,
        via=history.Via.FORM,
    )  # fmt: skip
