"""A period's report for the community and each of its buildings. Read side; changes nothing."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from server.core import reports as core
from server.core import strip
from server.core.access import EVERYWHERE, Scope
from server.core.words import Kind
from server.store import people, reports, wall
from server.tables import to_ms

Json = dict[str, Any]


def report(
    conn: Connection, first: date, last: date, now: datetime, number: int | None = None,
    scope: Scope = EVERYWHERE,
) -> Json | None:
    """The report of these local days. `number`: of one building only, `scope`: of these
    houses. Nothing of a rehearsal is in it. None when there is no community, or no such building.
    Raises core.BadPeriod."""
    community = people.community(conn)
    if community is None:
        return None
    period = core.period(first, last, community.zone, now)
    end = min(period.end, now)
    seen = [b for b in wall.buildings(conn) if scope.shows(b["id"]) and not b["rehearsal"]]
    buildings = [b for b in seen if number in (None, b["number"])]
    if number is not None and not buildings:
        return None
    facts = core.Facts(
        alarms=reports.alarms(conn, Kind.SOS, period.start, end),
        worklists=reports.alarms(conn, Kind.MISSED, period.start, end),
        messages=reports.messages(conn, period.start, end),
        over=strip.past(community.plans, community.zone, period.start, end),
        # The first round's window may have opened the evening before.
        signs=reports.signs(conn, period.start - reports.ARRIVES_AFTER, end),
        misses=reports.misses(conn, period.start, end),
        offline=reports.offline(conn, period.start, end),
        terminals=reports.terminals(conn),
    )
    each = [
        {
            "number": b["number"],
            "figures": asdict(core.figures(core.of_building(facts, b["id"]), period.start, end)),
        }
        for b in buildings
    ]
    whole = each[0]["figures"] if number is not None else asdict(
        core.figures(
            facts if scope.buildings is None else core.of_buildings(facts, scope.buildings),
            period.start, end,
        )
    )
    return {
        "community": community.name, "tz": str(community.zone), "number": number,
        "numbers": [b["number"] for b in seen],
        "first": first.isoformat(), "last": last.isoformat(), "now_ms": to_ms(now),
        "figures": whole, "buildings": each,
    }  # fmt: skip
