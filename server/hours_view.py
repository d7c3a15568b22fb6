"""The ledger of hours as staff read it: one volunteer's statement, and the community's balance.

Read side; changes nothing. There is no list of volunteers by hours here, and must never be one.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from server.core.access import EVERYWHERE, Scope
from server.core.hours import Account, AccountKind, EntryKind, balance_change
from server.help_view import common
from server.store import communities, hours, people, scopes
from server.tables import to_ms

Json = dict[str, Any]
MOST = 1000
PERIOD = timedelta(days=30)


def _frame(conn: Connection, now: datetime, community_id: int | None) -> Json:
    """What a page of one community needs for its times."""
    found = communities.by_id(conn, community_id) if community_id is not None else None
    if found is None:
        return common(conn, now)
    return {"now_ms": to_ms(now), "tz": str(found.zone), "community": found.name}


def balance(conn: Connection, now: datetime, community_id: int | None = None) -> Json:
    """What a community was given, what of it is saved and what was drawn, in minutes; `zero`: the
    sum of all lines there are, which is 0 or the book is broken; `kinds`: the last thirty days."""
    sums = hours.sums(conn, community_id or 0)
    moved = hours.by_kind(conn, now - PERIOD, now, community_id or 0)

    def minutes(kind: AccountKind) -> int:
        return sums.get(kind.value, (0, 0))[1]

    return {
        **_frame(conn, now, community_id), "given": minutes(AccountKind.GIVEN),
        "saved": minutes(AccountKind.SAVED), "drawn": minutes(AccountKind.DRAWN),
        "savers": sums.get(AccountKind.SAVED.value, (0, 0))[0],
        "households": sums.get(AccountKind.DRAWN.value, (0, 0))[0],
        "zero": hours.imbalance(conn), "days": PERIOD.days,
        "kinds": [{"kind": k.value, "entries": moved.get(k.value, (0, 0))[0],
                   "minutes": moved.get(k.value, (0, 0))[1]} for k in EntryKind],
    }  # fmt: skip


def statement(
    conn: Connection, person_id: int, now: datetime, scope: Scope = EVERYWHERE
) -> Json | None:
    """A volunteer's savings with their last entries, newest first, each with the balance after it;
    None when there is no such person, or none of this scope's houses (whoever stands by no door
    any more is for those who answer for all of them)."""
    if not people.has_person(conn, person_id):
        return None
    if scope.buildings is not None:
        houses = scopes.houses_of(conn, "person_id", str(person_id)) or ()
        if not any(h in scope.buildings for h in houses):
            return None
    account = Account(AccountKind.SAVED, person_id)
    saved = after = hours.balances(conn, [account]).get(account, 0)
    entries = []
    for row in hours.statement(conn, account, MOST):
        change = balance_change(account, row["minutes"])
        entries.append({
            "id": row["id"], "kind": row["kind"], "at_ms": to_ms(row["at"]),
            "happened_ms": to_ms(row["happened_at"]), "by": row["by"], "why": row["why"],
            "building": row["building_number"], "minutes": change, "after": after,
            "counters": row["counters"], "undone_by": row["undone_by"],
        })  # fmt: skip
        after -= change
    return {
        **common(conn, now, scope), "person_id": person_id,
        "name": people.person(conn, person_id)["name"],
        "saved": saved, "entries": entries,
    }  # fmt: skip


def volunteers(conn: Connection, community_id: int | None) -> list[Json]:
    """Whose statement can be opened: whoever has given hours in a community, in the order of their
    names' entry in the register and never by hours, which are not told here at all."""
    return [
        {"id": person_id, "name": people.person(conn, person_id)["name"]}
        for person_id in hours.givers(conn, community_id or 0)
    ]
