"""One building for staff: its windows, people, stewards' reachability, alerts and last rounds.

Read side; changes nothing. No access notes, no health notes.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from server import past_rounds, views
from server.core import houses
from server.core.access import EVERYWHERE, Scope
from server.core.naming import family_name
from server.core.risk import age_on
from server.core.strip import Mark
from server.core.windows import Window
from server.core.words import Role
from server.service.answering import masked
from server.store import addresses, alerts, communities, doors, history, places, wall
from server.tables import to_ms

Json = dict[str, Any]
SILENT_MISSES = (Mark.LATE, Mark.MISSED)


def _ms(at: datetime | None) -> int | None:
    return to_ms(at) if at is not None else None


def contact(row: RowMapping, now: datetime) -> Json:
    """A contact: the number in full for the telephone link, masked for the eye."""
    away = row["absent_until"] is not None and row["absent_until"] > now
    return {
        "id": row["id"], "name": row["name"], "role": row["role"], "position": row["position"],
        "phone": row["phone"], "phone_masked": masked(row["phone"]),
        "opted_out_ms": _ms(row["opted_out_at"]), "failing_ms": _ms(row["failing_since"]),
        "absent_until_ms": to_ms(row["absent_until"]) if away else None,
    }  # fmt: skip


def door(row: RowMapping, now: datetime) -> Json:
    """A resident as a list shows them."""
    return {
        "id": row["id"], "flat_id": row["flat_id"], "label": row["label"], "floor": row["floor"],
        "stairwell": row["stairwell"], "building": row["building_number"], "name": row["name"],
        "family_name": family_name(row["name"]), "sex": row["sex"],
        "age": age_on(row["birth_date"], now.date()), "living": row["living"],
        "state": row["state"], "absent_until_ms": _ms(row["absent_until"]),
        "last_sign_ms": _ms(row["last_sign_at"]), "terminal_id": row["terminal_id"],
    }  # fmt: skip


def _reach(conn: Connection, building_id: int, now: datetime) -> list[Json]:
    """Stewards, then substitutes, each with the last proof that they can be reached."""
    rows = [
        r for r in doors.behind(conn, building_id) if r["role"] in (Role.STEWARD, Role.SUBSTITUTE)
    ]
    ids = [r["id"] for r in rows]
    delivered, replied = history.last_delivered(conn, ids), history.last_replied(conn, ids)
    accepted = history.last_accepted(conn, building_id)
    return [
        {
            **contact(r, now), "delivered_ms": _ms(delivered.get(r["id"])),
            "replied_ms": _ms(replied.get(r["id"])), "accepted_ms": _ms(accepted.get(r["id"])),
        }
        for r in sorted(rows, key=lambda r: (r["role"] != Role.STEWARD, r["position"], r["id"]))
    ]  # fmt: skip


def _windows(
    conn: Connection, building: RowMapping, now: datetime, community: str
) -> Json:
    """The building as the snapshot has it: what the façade is drawn from. `community`: its name,
    where that has to be said."""
    ids = wall.flats_of_buildings(conn, [building["id"]])
    flats, states = wall.flats(conn, ids), views.window_states(conn, now, ids)
    watched = {r["flat_id"] for r in wall.residents(conn, ids) if r["terminal_id"] is not None}
    shown = {f["id"]: states.get(f["id"], Window.NONE) for f in flats}
    return {
        "id": building["id"], "number": building["number"],
        "rehearsal": building["rehearsal"],
        "name": views.house_name(building["number"], community, "zh"),
        "name_en": views.house_name(building["number"], community, "en"),
        "worst": views.building_worst(list(shown.values())),
        "stairwells": sorted({f["stairwell"] for f in flats}),
        "flats": [
            {"id": f["id"], "label": f["label"], "floor": f["floor"],
             "stairwell": f["stairwell"], "terminal": f["id"] in watched,
             "state": shown[f["id"]].value}
            for f in flats
        ],
    }  # fmt: skip


def _missed_last(marks: Sequence[Mark]) -> bool:
    return bool(marks) and marks[-1] in SILENT_MISSES


def detail(
    conn: Connection, number: int, now: datetime, scope: Scope = EVERYWHERE
) -> Json | None:
    """Everything about building `number`, by its community's clock and rounds, as those of this
    scope read it; None when there is none."""
    building = doors.building(conn, number)
    community = communities.of_building(conn, building["id"]) if building is not None else None
    if community is None or building is None:
        return None
    rows = doors.residents_of(conn, building["id"])
    past = past_rounds.of_residents(conn, community, rows, now)
    by_flat: defaultdict[int, list[Json]] = defaultdict(list)
    for r in rows:
        by_flat[r["flat_id"]].append(
            {
                **door(r, now), "marks": past.of(r["id"]),
                "missed_last": _missed_last(past.marks[r["id"]]),
            }
        )
    unresolved = alerts.search(
        conn, state="unresolved", building_ids=[building["id"]], limit=views.MOST_ALERTS
    )
    return {
        **_windows(conn, building, now, houses.of(places.names(conn, scope), number)),
        "now_ms": to_ms(now), "tz": str(community.zone), "community": community.name,
        "street": addresses.building(conn, building["id"]),
        "round": views.round_view(
            conn, now, community,
            [b["id"] for b in wall.standing(conn) if b["community_id"] == community.id],
        ),
        "residents": dict(by_flat),
        "people": _reach(conn, building["id"], now),
        "alerts": views.Cards(conn, unresolved, now, scope).cards,
        "rounds": past.together(),
        "duty": [contact(r, now) for r in doors.duty(conn, community.id)],
    }  # fmt: skip
