"""Risk classes as stored: what the rule says, and what staff decided instead."""

from datetime import datetime

from sqlalchemy import RowMapping

from server.core.risk import RiskClass, age_on, risk_class
from server.database import Tx
from server.service.acting import Unknown
from server.store import journal, people


def by_rule(row: RowMapping, now: datetime) -> RiskClass:
    """The class that the rule gives this resident today. A note of risks is the health flag."""
    return risk_class(age_on(row["birth_date"], now.date()), row["living"], bool(row["risks"]))


def set_class(
    tx: Tx, resident_id: int, wanted: RiskClass | None, *, who: str, why: str
) -> None:
    """Set a resident's class (None: what the rule says), with who and why. Raises Unknown."""
    row = people.resident(tx.conn, resident_id)
    if row is None:
        raise Unknown(f"there is no resident {resident_id}")
    rule = by_rule(row, tx.now)
    new = wanted or rule
    if new == row["risk_class"]:
        return
    people.set_resident(tx.conn, resident_id, risk_class=new)
    journal.note(
        tx, "risk_class_set", building_id=row["building_id"], flat_id=row["flat_id"],
        was=row["risk_class"], now=new, rule=rule, by=who, why=why,
    )  # fmt: skip
