"""Credits what the system knows already: rounds that were reported, and responses to calls for
help.

Never in the transaction of an alert: this is a chore of its own, in small lots, some minutes later.
Each fact has a key of its own and is credited once, however often this runs.
"""

from datetime import datetime, timedelta
from typing import Final

from server.core import hours as core
from server.core import hours_rule as rule
from server.core.hours import EntryKind
from server.core.words import Kind, Role
from server.database import Tx
from server.service.help import hours
from server.store import communities
from server.store import hours as store
from server.tables import EPOCH, from_ms, to_ms

SETTLED: Final = timedelta(minutes=10)
"""A fact this old has nothing before it that is still being written; and a slip is put right."""
LOOK_BACK: Final = timedelta(days=60)
"""An alert that was open for longer is nobody's response."""
LOT: Final = 50
ROUNDS, RESPONSES = "hours_rounds", "hours_responses"
BY: Final = "system"


def credit(tx: Tx) -> int:
    """One lot; returns how many facts were looked at (none: nothing is left for now)."""
    if communities.first(tx.conn) is None or not tx.alone("hours"):
        return 0
    until = tx.now - tx.real(SETTLED)
    return _rounds(tx, until) + _responses(tx, until)


def _day(tx: Tx) -> int:
    return (tx.now - EPOCH).days


def _rounds(tx: Tx, until: datetime) -> int:
    after = int(store.place(tx.conn, ROUNDS) or 0)
    rows = store.reports_after(tx.conn, after, until, LOT)
    for row in rows:
        worth = rule.worth(rule.RoundWalked(row["person_id"], rehearsal=row["rehearsal"]))
        if worth.minutes:
            # By round, house and person, not by row: two words for one walk are one walk.
            key = f"round:{row['round_id']}:{row['building_id']}:{row['person_id']}"
            pool = hours.pool_of(tx, row["building_id"])
            entry = core.gift(key, EntryKind.ROUND, pool, row["person_id"], worth.minutes)
            hours.post(tx, entry, by=BY, happened_at=row["due_at"], building_id=row["building_id"])
    if rows:
        store.set_place(tx.conn, ROUNDS, _day(tx), str(rows[-1]["id"]))
    return len(rows)


def _responses(tx: Tx, until: datetime) -> int:
    ms, _, last = (store.place(tx.conn, RESPONSES) or "0:0").partition(":")
    after = (from_ms(int(ms)), int(last))
    rows = store.resolved_after(tx.conn, after, tx.now - LOOK_BACK, until, LOT)
    for row in rows:
        for r in row["responders"]:
            deed = rule.Responded(
                r["person_id"], Role(r["role"]), Kind(row["kind"]), from_ms(r["accepted_ms"]),
                from_ms(r["on_scene_ms"]) if r["on_scene_ms"] is not None else None,
                row["resolved_at"], closed_it=row["resolved_by"] == r["name"], test=row["test"],
                rehearsal=bool(row["rehearsal"]),
            )  # fmt: skip
            worth = rule.worth(deed)
            if worth.minutes:
                key = f"response:{row['id']}:{r['person_id']}"
                pool = hours.pool_of(tx, row["building_id"])
                entry = core.gift(key, EntryKind.RESPONSE, pool, r["person_id"], worth.minutes)
                hours.post(tx, entry, by=BY, happened_at=row["resolved_at"],
                           building_id=row["building_id"])  # fmt: skip
    if rows:
        end = rows[-1]
        store.set_place(tx.conn, RESPONSES, _day(tx), f"{to_ms(end['resolved_at'])}:{end['id']}")
    return len(rows)
