"""Terminals for staff: the list, and one with what it last said. Read side; changes nothing."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core.access import Scope
from server.resident_detail import ADDRESS
from server.store import communities, places
from server.store import terminals as store
from server.store.communities import CommunityFacts
from server.store.terminals import Which, which
from server.tables import to_ms

Json = dict[str, Any]
MOST_LISTED = 200


def _frame(now: datetime, community: CommunityFacts | None) -> Json:
    return {"now_ms": to_ms(now), "tz": str(community.zone) if community else None}


def _shown(row: RowMapping) -> Json:
    return {
        "id": row["id"], "which": which(row).value, "simulated": row["simulated"],
        "resident_id": row["resident_id"], "resident": row["resident"],
        "building": row["building"], "flat": row["label"], "status": row["status"],
        "battery": row["battery"], "mains": row["mains"], "rssi": row["rssi"],
        "firmware": row["firmware"],
        "last_seen_ms": to_ms(row["last_seen_at"]) if row["last_seen_at"] else None,
    }  # fmt: skip


def listed(conn: Connection, now: datetime, scope: Scope, state: str, words: str) -> Json:
    """Those of a kind (any other word: all), found by a part of the id or by a door ("11-301",
    "11栋", "301"); at most MOST_LISTED. The stock is everybody's to see. Times are of the first
    community in sight."""
    words = "".join(c for c in " ".join(words.split()) if c.isprintable())
    wanted = Which(state) if state in tuple(Which) else None
    asked: dict[str, Any] = {"part": words}
    if (door := ADDRESS.fullmatch(words)) is not None:
        asked = {"sign": int(door["building"]),
                 "label": door["label"].removesuffix("室").strip().upper()}  # fmt: skip
    rows = store.listed(conn, scope.buildings, wanted=wanted, limit=MOST_LISTED + 1, **asked)
    seen = places.in_sight(conn, scope)
    return {
        **_frame(now, seen[0] if seen else None), "found": [_shown(r) for r in rows[:MOST_LISTED]],
        "more": len(rows) > MOST_LISTED, "state": wanted.value if wanted else "",
        "counts": {k.value: n for k, n in store.counts(conn, scope.buildings).items()},
    }  # fmt: skip


def detail(conn: Connection, now: datetime, terminal_id: str) -> Json | None:
    """One terminal, with the times of the house it stands in; None: no such one."""
    row = store.one(conn, terminal_id)
    if row is None:
        return None
    return {
        **_frame(now, communities.of_building(conn, row["building_id"])), **_shown(row),
        "key": {
            "version": row["key_v"], "state": row["key_state"],
            "since_ms": to_ms(row["key_at"]) if row["key_at"] else None,
        },
    }  # fmt: skip
