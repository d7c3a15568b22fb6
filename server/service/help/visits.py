"""Visits that are owed: opened by staff or by what happened, paid by somebody who went."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from server.core import visits as core
from server.core.visits import Cause, Reason, VisitState
from server.database import Tx
from server.service import auditing
from server.service.refusals import Refused, Unknown
from server.store import communities, doors, history, people
from server.store import visits as store

SYSTEM = "system"
AWAY = "resident_away"
MOST_NOTE = 500
WORDS: dict[Reason, tuple[str, str]] = {
    Reason.CLOSED: ("this visit is settled already; write down a new one if another is owed",
                    "这次走访已经了结。还欠一次,请另登记。"),
    Reason.NO_WHY: ("say why nobody will go: `why` is empty", "请写明为什么不去了。"),
}  # fmt: skip


def owe(
    tx: Tx, resident_id: int, cause: Cause, *, by: str, why: str = "", key: str | None = None,
    since: datetime | None = None,
) -> int | None:  # fmt: skip
    """Write down that a visit is owed, from `since` (now) on; None when `key` is known already.

    Raises Unknown, or Refused for somebody who lives here no more.
    """
    row = people.resident(tx.conn, resident_id)
    if row is None:
        raise Unknown(f"there is no resident {resident_id}")
    if row["state"] == "ended":
        raise Refused(f"resident {resident_id} lives here no more",
                      zh="这位住户已停止守护,不能再登记走访。")  # fmt: skip
    community = communities.of_building(tx.conn, row["building_id"])
    assert community is not None, "a resident has a community"
    opened_at = since or tx.now
    made = store.add(
        tx.conn, resident_id=resident_id, building_id=row["building_id"], cause=cause.value,
        opened_at=opened_at, opened_by=by, why=" ".join(why.split())[:MOST_NOTE],
        due_at=core.due_at(cause, opened_at, community.zone), state=VisitState.OWED.value,
        note="", visit_key=key, version=0,
    )  # fmt: skip
    if made is not None and by != SYSTEM:  # what a clock does is no act of a person
        auditing.saw(tx, by, "visit_owed", visit_id=made, resident_id=resident_id,
                     cause=cause.value)  # fmt: skip
    return made


def pay(
    tx: Tx, visit_id: int, *, by: str, visitor: str, visitor_id: int | None, on: date | None,
    note: str,
) -> None:  # fmt: skip
    """Somebody went: who (a contact's id, or a name), on which day (today), and how it was.

    Raises Unknown, or Refused for a day that is still to come.
    """
    row = _row(tx, visit_id)
    today = communities.local_day(tx.conn, tx.now, row["building_id"])
    day = on or today
    if day > today:
        raise Refused(f"{day.isoformat()} is still to come", zh="这一天还没到,请改日期。")
    if visitor_id is not None:
        if not people.has_person(tx.conn, visitor_id):
            raise Unknown(f"there is no person {visitor_id}; look in /api/v1/assignments")
        visitor = people.person(tx.conn, visitor_id)["name"]
    name = " ".join(visitor.split())[:40] or by
    if visitor_id is None:  # a name that the list itself proposed is that contact, not a word
        near = doors.behind(tx.conn, row["building_id"], [row["resident_id"]])
        visitor_id = next((c["id"] for c in near if c["name"] == name), None)
    decision = core.pay(store.core_of(row), _short(note), tx.now)
    _settle(tx, row, decision, by, visited_on=day, visitor=name, visitor_id=visitor_id)


def drop(tx: Tx, visit_id: int, why: str, *, by: str) -> None:
    """Nobody will go, for this reason. Raises Unknown, Refused."""
    row = _row(tx, visit_id)
    _settle(tx, row, core.drop(store.core_of(row), _short(why), tx.now), by)


def moved_in(tx: Tx, resident_ids: Collection[int], *, by: str) -> int:
    """These residents are new in the register: each is owed a visit, unless the register is only
    being filled. Returns how many are."""
    if not core.moved_in(len(resident_ids), store.residents_watched(tx.conn) - len(resident_ids)):
        return 0
    made = [
        owe(tx, resident_id, Cause.MOVE_IN, by=by, key=f"move_in:{resident_id}")
        for resident_id in sorted(resident_ids)
    ]
    return sum(m is not None for m in made)


def moved_house(tx: Tx, resident_id: int, *, by: str) -> None:
    """A resident lives behind another door now."""
    door = people.resident(tx.conn, resident_id)
    lives = door["building_id"] if door is not None else None
    day = communities.local_day(tx.conn, tx.now, lives).isoformat()
    owe(tx, resident_id, Cause.MOVE_IN, by=by, key=f"moved:{resident_id}:{day}")


def back(tx: Tx, row: Any, since: datetime) -> None:
    """A resident (a row as it was while they were away) is awaited again: a visit is owed where
    the absence was an illness. Which absence it was says its end; a couple has two."""
    end = row["absent_until"]
    entries = history.entries(tx.conn, [row["flat_id"]], (AWAY,), 10)
    mine = (e["data"] for e in entries if e["data"].get("until") == end.isoformat())
    why = next((str(d.get("why") or "") for d in mine), "") if end is not None else ""
    if core.was_ill(why):
        day = since.date().isoformat()
        owe(tx, row["id"], Cause.ILLNESS, by=SYSTEM, key=f"ill:{row['id']}:{day}", since=since)


def _short(text: str) -> str:
    return " ".join(text.split())[:MOST_NOTE]


def _row(tx: Tx, visit_id: int) -> Any:
    row = store.one(tx.conn, visit_id)
    if row is None:
        raise Unknown(f"there is no visit {visit_id}")
    return row


def _settle(tx: Tx, row: Any, decision: core.Decision, by: str, **facts: Any) -> None:
    if decision.reason in WORDS:
        en, zh = WORDS[decision.reason]
        raise Refused(en, zh=zh)
    if decision.reason is Reason.ALREADY:
        return
    store.save(tx.conn, row, decision.visit, closed_by=by, **facts)
    auditing.saw(tx, by, f"visit_{decision.reason.value}", visit_id=row["id"],
                 resident_id=row["resident_id"])  # fmt: skip
