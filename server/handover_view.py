"""What one shift tells the next: open alerts, times we were blind, who is away, what was noted.

Read side; changes nothing. Doors, never residents' names: the sheet is printed and lies about.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from server import views
from server.core.access import EVERYWHERE, Level, Scope
from server.core.houses import sign
from server.core.messages import Subject, place
from server.store import alerts, handovers, scopes
from server.tables import to_ms

Json = dict[str, Any]
MOST = 200
"""Lines of one kind on a sheet; a shift with more has other worries than its sheet."""
LONGEST_SHIFT = timedelta(days=3)
"""A sheet reaches back to the last handover, and never further than this."""
LISTED = 30


def current(conn: Connection, now: datetime, community_id: int | None) -> Json:
    """The sheet of a community's desk as it would be written now, and the handovers before it.
    None: there is no community yet."""
    before = handovers.recent(conn, LISTED, community_id)
    last = before[0] if before else None
    since = max(last["at"] if last else now - LONGEST_SHIFT, now - LONGEST_SHIFT)
    return {
        "now_ms": to_ms(now),
        "last_id": last["id"] if last else 0,
        "on_duty": last["incoming"] if last else None,
        "picture": picture(conn, now, since, community_id),
        "before": [
            {"id": h["id"], "at_ms": to_ms(h["at"]), "since_ms": to_ms(h["since"]),
             "outgoing": h["outgoing"], "incoming": h["incoming"], "note": h["note"]}
            for h in before
        ],
    }  # fmt: skip


def written(conn: Connection, handover_id: int) -> Json | None:
    """One handover as it was written, with what it told then."""
    row = handovers.one(conn, handover_id)
    if row is None:
        return None
    return {
        "id": row["id"], "at_ms": to_ms(row["at"]), "since_ms": to_ms(row["since"]),
        "outgoing": row["outgoing"], "incoming": row["incoming"], "note": row["note"],
        "by": row["by"], "picture": row["picture"],
        "community": scopes.community_of_handover(conn, handover_id),
    }  # fmt: skip


def _door(row: RowMapping) -> Subject:
    return Subject(building=sign(row["number"]), floor=row["floor"], label=row["label"])


def _houses(conn: Connection, community_id: int | None) -> Scope:
    """A community's houses, and what is about no house."""
    if community_id is None:
        return EVERYWHERE
    return scopes.scope(conn, Level.COMMUNITY, community_id)


def picture(conn: Connection, now: datetime, since: datetime, community_id: int | None) -> Json:
    """All that a community's next shift must know of the time from `since` to `now`: of its houses,
    and of what is about all. Plain JSON, because a handover keeps it as it was."""

    def cards(ids: list[int]) -> list[Json]:
        return views.Cards(conn, alerts.load_many(conn, ids), now).cards

    noted = cards(handovers.closed_with_a_note(conn, since, MOST, community_id))
    shift = cards(handovers.opened_since(conn, since, MOST, community_id))
    return {
        "since_ms": to_ms(since),
        "until_ms": to_ms(now),
        "counts": {
            kind: sum(c["kind"] == kind for c in shift) for kind in ("sos", "missed")
        },
        "open": [
            {"id": c["id"], "kind": c["kind"], "state": c["state"], "test": c["test"],
             "place": c["address"] or c["building"] or "",
             "place_en": c["address_en"] or c["building_en"] or "", "fault": c["fault"],
             "opened_ms": c["opened_ms"],
             "who": c["responder"]["name"] if c["responder"] else None}
            for c in views.unresolved(conn, now, _houses(conn, community_id))[:MOST]
        ],
        "blind": [
            {"from_ms": to_ms(began), "to_ms": to_ms(ended) if ended else None}
            for began, ended in handovers.blind_since(conn, since, MOST)
        ],
        "homes_away": [
            {"place": place(_door(r), "zh"), "place_en": place(_door(r), "en"),
             "until_ms": to_ms(r["absent_until"])}
            for r in handovers.homes_away(conn, MOST, community_id) if r["absent_until"]
        ],
        "people_away": [
            {"name": p["name"], "role": p["role"],
             "building": sign(p["number"]) if p["number"] else None,
             "until_ms": to_ms(p["absent_until"])}
            for p in handovers.people_away(conn, now, MOST, community_id) if p["absent_until"]
        ],
        "notes": [
            {"place": c["address"] or c["building"] or "",
             "place_en": c["address_en"] or c["building_en"] or "", "kind": c["kind"],
             "outcome": c["outcome"], "note": c["note"], "by": c["resolved_by"],
             "at_ms": c["resolved_ms"]}
            for c in noted
        ],
    }  # fmt: skip
