"""Everything about one alert: its card, its timeline, and the ladder with what comes next.

Read side; changes nothing. The resident's name is here because this is a detail view for staff; the
way into the home is not, because each look at that is logged (service/acting.py).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from server import views
from server.core.access import EVERYWHERE, Scope
from server.core.ladder import Person, Roster
from server.service.answering import masked
from server.store import alerts, communities, journal, people, places, rosters
from server.tables import to_ms

Json = dict[str, Any]


def detail(
    conn: Connection, alert_id: int, now: datetime, seq: int, *, numbers: bool,
    scope: Scope = EVERYWHERE,
) -> Json | None:
    """The alert's card with `timeline` (journal entries, oldest first) and `ladder`; None when
    there is no such alert. `seq`, settled before, is where the feed goes on: what was committed
    since is told again, never left out. `numbers`: whole ones, for those who may have to dial;
    `scope`: of whoever reads it. With `tz`, the zone of its house, where the installation watches
    several communities."""
    stored = alerts.shown(conn, alert_id)
    if stored is None:
        return None
    card = views.Cards(conn, [stored], now, scope).cards[0]
    timeline = [views.entry(e) for e in journal.for_alert(conn, alert_id)]
    resident_id = stored.row["resident_id"]
    resident = people.resident(conn, resident_id) if resident_id else None
    return {
        **card,
        "resident": resident["name"] if resident else None,
        "now_ms": to_ms(now),
        "seq": seq,
        "timeline": timeline,
        "ladder": _ladder(conn, stored, now, numbers=numbers),
        **_zone(conn, stored.row["building_id"]),
    }


def _zone(conn: Connection, building_id: int | None) -> Json:
    community = communities.of_building(conn, building_id) if places.names(conn) else None
    return {"tz": str(community.zone)} if community is not None else {}


def _callee(person: Person, *, numbers: bool) -> Json:
    shown = {
        "name": person.name, "role": person.role.value, "phone_masked": masked(person.phone)
    }  # fmt: skip
    return {**shown, "phone": person.phone} if numbers else shown


def _ladder(
    conn: Connection, stored: alerts.Stored, now: datetime, *, numbers: bool
) -> Json | None:
    """The frozen ladder, each step with the people who stand behind it today.

    `state`: "taken", "next" (with `at_ms` while the alert waits for it) or "later".
    """
    alert = stored.alert
    if alert.ladder is None:
        return None
    key = (stored.row["building_id"], stored.row["resident_id"])
    known = rosters.rosters(conn, {key}, now) if key[0] is not None else {}
    roster = known.get(key, Roster())
    at_ms = to_ms(alert.next_step_at) if alert.next_step_at else None
    last = len(alert.ladder.steps) - 1
    steps = []
    for index, step in enumerate(alert.ladder.steps):
        is_next = at_ms is not None and index == min(alert.step, last)
        steps.append(
            {
                "targets": [t.value for t in step.targets],
                "people": [
                    _callee(p, numbers=numbers) for p in roster.people(step.targets)
                ],
                "wait_s": step.wait_s,
                "state": "next" if is_next else "taken" if index < alert.step else "later",
                "at_ms": at_ms if is_next else None,
            }
        )
    return {"steps": steps, "lease_s": alert.ladder.lease_s, "on_scene_s": alert.ladder.on_scene_s}
