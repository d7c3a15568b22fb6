"""A period's report for a community, or several, and each of their buildings. Read side; changes
nothing."""

from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from server.core import reports as core
from server.core import strip
from server.core.access import EVERYWHERE, Scope
from server.core.words import Kind
from server.store import places, reports, wall
from server.tables import to_ms

Json = dict[str, Any]


def _facts(conn: Connection, start: datetime, end: datetime) -> core.Facts:
    """What happened from `start` to `end` in all houses, but for the rounds, which are each
    community's own."""
    return core.Facts(
        alarms=reports.alarms(conn, Kind.SOS, start, end),
        worklists=reports.alarms(conn, Kind.MISSED, start, end),
        messages=reports.messages(conn, start, end),
        over=(),
        # The first round's window may have opened the evening before.
        signs=reports.signs(conn, start - reports.ARRIVES_AFTER, end),
        misses=reports.misses(conn, start, end),
        offline=reports.offline(conn, start, end),
        terminals=reports.terminals(conn),
    )


def report(
    conn: Connection, first: date, last: date, now: datetime, number: int | None = None,
    scope: Scope = EVERYWHERE, community_id: int | None = None,
) -> Json | None:
    """The report of these local days: of one community (`community_id`), of one building of it
    alone (`number`), else of all in sight. `scope`: of these houses. The days are those of the
    community, of several those of the first; the rounds are each community's own. Nothing of a
    rehearsal is in it. None when there is no community, or no such building or community.
    Raises core.BadPeriod."""
    in_sight, standing = places.in_sight(conn, scope), wall.buildings(conn)
    if number is not None:
        community_id = next((b["community_id"] for b in standing if b["number"] == number), None)
        if community_id is None:
            return None
    chosen = tuple(c for c in in_sight if community_id in (None, c.id))
    if not chosen:
        return None
    period = core.period(first, last, chosen[0].zone, now)
    end = min(period.end, now)
    whole_town = scope.buildings is None and len(chosen) == len(in_sight)
    seen = [b for b in standing if scope.shows(b["id"]) and not b["rehearsal"]]
    buildings = [
        b for b in seen
        if number in (None, b["number"]) and any(c.id == b["community_id"] for c in chosen)
    ]
    if number is not None and not buildings:
        return None
    facts = _facts(conn, period.start, end)
    over = {c.id: strip.past(c.plans, c.zone, period.start, end) for c in chosen}
    each = [
        {
            "number": b["number"],
            "figures": asdict(core.figures(
                replace(core.of_building(facts, b["id"]), over=over[b["community_id"]]),
                period.start, end,
            )),
        }
        for b in buildings
    ]  # fmt: skip
    theirs = {
        c.id: {b["id"] for b in standing if b["community_id"] == c.id and scope.shows(b["id"])}
        for c in chosen
    }
    every = frozenset().union(*theirs.values())
    whole = core.figures(
        facts if whole_town else core.of_buildings(facts, every), period.start, end
    )
    held = [
        core.rounds(over[c.id], own.signs, own.misses)
        for c in chosen for own in (core.of_buildings(facts, theirs[c.id]),)
    ]
    whole_figures = each[0]["figures"] if number is not None else asdict(
        replace(whole, rounds=core.together(held))
    )
    return {
        "community": "、".join(c.name for c in chosen), "tz": str(chosen[0].zone),
        "zones_differ": any(c.zone != chosen[0].zone for c in chosen),
        "communities": [{"id": c.id, "name": c.name} for c in in_sight],
        "chosen": chosen[0].id if len(chosen) == 1 else None, "number": number,
        "numbers": [b["number"] for b in seen],
        "first": first.isoformat(), "last": last.isoformat(), "now_ms": to_ms(now),
        "figures": whole_figures, "buildings": each,
    }  # fmt: skip
