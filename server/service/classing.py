"""Risk classes as stored: what the rule says and why, and what staff decided instead.

A class decides which rounds somebody owes, so every change of it plans their next deadline anew.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import RowMapping

from server.core import rounds
from server.core.risk import RiskClass, age_on, reasons, risk_class
from server.database import Tx
from server.service import effects, history
from server.service.history import Via
from server.service.refusals import Refused, Unknown
from server.store import communities, journal, people
from server.store.communities import CommunityFacts
from server.tables import to_ms

RULE = "rule"


def by_rule(row: RowMapping, day: date) -> RiskClass:
    """The class that the rule gives this resident on the community's `day`. A note of risks is the
    health flag."""
    return risk_class(age_on(row["birth_date"], day), row["living"], bool(row["risks"]))


def explained(row: RowMapping, day: date) -> dict[str, Any]:
    """Why somebody's class is what it is: the rule's class with its reasons, and who overruled it,
    why and when (None while the rule holds)."""
    age = age_on(row["birth_date"], day)
    overruled = None
    if row["class_by"] is not None:
        overruled = {
            "by": row["class_by"], "why": row["class_why"],
            "at_ms": to_ms(row["class_at"]) if row["class_at"] else None,
        }  # fmt: skip
    return {
        "risk_class": row["risk_class"],
        "risk_class_by_rule": by_rule(row, day),
        "risk_class_reasons": [
            r.value for r in reasons(age, row["living"], bool(row["risks"]))
        ],
        "risk_class_overruled": overruled,
    }


def set_class(
    tx: Tx, resident_id: int, wanted: RiskClass | None, *, who: str, why: str,
    via: str = Via.API,
) -> None:
    """Set a resident's class (None: what the rule says), with who and why. Raises Unknown, or
    Refused for somebody whom we no longer watch."""
    row = people.resident(tx.conn, resident_id)
    if row is None:
        raise Unknown(f"there is no resident {resident_id}")
    if row["state"] == "ended":
        raise Refused(f"resident {resident_id} is ended; a class would change nothing",
                      zh="这位住户已停止守护,不再分类。")  # fmt: skip
    rule = by_rule(row, communities.local_day(tx.conn, tx.now, row["building_id"]))
    overrule = {"class_by": who, "class_why": why, "class_at": tx.now}
    if wanted is None:
        overrule = {"class_by": None, "class_why": "", "class_at": None}
    _change(tx, row, wanted or rule, rule, who, why, overrule, via)


def birthdays(tx: Tx, community: CommunityFacts) -> None:
    """Take the rule's new class for those of a community who have grown into it, unless staff
    overruled it. Once a round of theirs, before anybody is awaited in it."""
    today = tx.now.astimezone(community.zone).date()
    for row in people.grown_older(tx.conn, community.id, today):
        rule = by_rule(row, today)
        if rule != row["risk_class"]:
            _change(tx, row, rule, rule, RULE, "birthday", {}, Via.RULE)


def _change(
    tx: Tx, row: RowMapping, new: RiskClass, rule: RiskClass, who: str, why: str,
    overrule: dict[str, Any], via: str,
) -> None:
    was = row["risk_class"]
    due = {} if new == was else {"next_due_at": _due(tx, row, new)}
    people.set_resident(tx.conn, row["id"], risk_class=new, **due, **overrule)
    if new != was or overrule:
        journal.note(
            tx, "risk_class_set", building_id=row["building_id"], flat_id=row["flat_id"],
            was=was, now=new, rule=rule, by=who, why=why,
        )  # fmt: skip
        by = overrule.get("class_by", row["class_by"])
        history.note(
            tx, f"resident:{row['id']}",
            {"risk_class": (was, new), "class_by": (row["class_by"], by)},
            who=who, why=why, via=via,
        )  # fmt: skip


def _due(tx: Tx, row: RowMapping, new: RiskClass) -> datetime | None:
    """The next deadline by the rounds of the new class. Whoever is overdue already stays so: a
    change of class must not let a missed round be forgotten."""
    due: datetime | None = row["next_due_at"]
    if row["state"] != "active" or due is None or due <= tx.now:
        return due
    community = effects.community(tx, row["building_id"])
    assert community is not None, "a resident has a community"
    plans = community.plans_of(new)
    return rounds.due_anew(plans, community.zone, tx.now, row["last_sign_at"])
