"""Requests, visits and greetings as staff and programs read them. Read side; changes nothing.

No access notes and no health notes. A resident's telephone is only in the greeting list, and only
for those who may see the way in.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping

from server.core import greetings as greeting_rules
from server.core import help_requests as request_rules
from server.core import houses
from server.core.access import EVERYWHERE, Scope
from server.core.greetings import Alone, GreetingOutcome
from server.core.hours_rule import VOLUNTEERS
from server.core.naming import family_name
from server.core.visits import VisitState, who_goes
from server.core.words import Role
from server.service.answering import masked
from server.store import communities, doors, greetings, help_requests, hours, places, visits
from server.store.communities import CommunityFacts
from server.tables import to_ms

Json = dict[str, Any]
MOST = 200
OF_A_RESIDENT = 20
GREETED_SINCE = timedelta(days=365)
NONE: Final[Mapping[int, str]] = MappingProxyType({})


def _ms(at: datetime | None) -> int | None:
    return to_ms(at) if at is not None else None


def zone_of(conn: Connection, scope: Scope = EVERYWHERE) -> ZoneInfo:
    """The zone of the first community in sight: of whatever is about several."""
    seen = places.in_sight(conn, scope)
    return seen[0].zone if seen else ZoneInfo(communities.BUILT_IN_ZONE)


def common(
    conn: Connection, now: datetime, scope: Scope = EVERYWHERE, *, building_id: int | None = None
) -> Json:
    """What every page needs for its times: of the community of a building, else of the first in
    sight. `community`: its name, or all names where a list is about several."""
    seen: Sequence[CommunityFacts] = ()
    if building_id is None:
        seen = places.in_sight(conn, scope)
    elif (own := communities.of_building(conn, building_id)) is not None:
        seen = [own]
    zone = seen[0].zone if seen else ZoneInfo(communities.BUILT_IN_ZONE)
    return {"now_ms": to_ms(now), "tz": str(zone), "community": "、".join(c.name for c in seen)}


def _zones(conn: Connection, scope: Scope = EVERYWHERE) -> dict[int, str]:
    """Series → zone of each community whose days are not those of the page: a row that is about one
    of its houses says so in `tz`."""
    first, *others = places.in_sight(conn, scope) or (None,)
    return {
        c.series: str(c.zone) for c in others
        if c is not None and first is not None and c.zone != first.zone
    }


def _tz(zones: Mapping[int, str], number: int) -> Json:
    zone = zones.get(houses.series(number))
    return {"tz": zone} if zone is not None else {}


def request_json(row: RowMapping, now: datetime, zones: Mapping[int, str] = NONE) -> Json:
    """One request; with `tz`, the zone that its days are of, where the list is in another."""
    request = help_requests.core_of(row)
    return {
        "id": row["id"], "kind": row["kind"], "source": row["source"], "words": row["words"],
        "stage": row["stage"], "building": row["building_number"], "flat": row["label"],
        "resident_id": row["resident_id"], "resident": row["resident"],
        "asked_ms": to_ms(row["asked_at"]), "asked_by": row["asked_by"],
        "due_ms": to_ms(row["due_at"]), "overdue": request.overdue(now),
        "in_time": request.in_time, "helper": row["helper"], "helper_id": row["helper_id"],
        "taken_ms": _ms(row["taken_at"]), "closed_ms": _ms(row["closed_at"]),
        "closed_by": row["closed_by"], "ending": row["ending"], "why": row["why"],
        "minutes": row["minutes"], "payer_id": row["payer_id"], "steps": row["steps"],
        **_tz(zones, row["building_number"]),
    }  # fmt: skip


def requests(
    conn: Connection, now: datetime, scope: Scope, which: help_requests.Which = "waiting", *,
    building_id: int | None = None, resident_id: int | None = None, before: int | None = None,
    limit: int = MOST,
) -> Json:
    """A list of requests: those waiting by their due date, or closed ones newest first."""
    rows = help_requests.listed(
        conn, which, limit, buildings=scope.buildings, building_id=building_id,
        resident_id=resident_id, before=before,
    )  # fmt: skip
    waiting, overdue = help_requests.waiting(conn, now, scope.buildings)
    zones = _zones(conn, scope)
    return {**common(conn, now, scope), "waiting": waiting, "overdue": overdue,
            "requests": [request_json(r, now, zones) for r in rows]}  # fmt: skip


def request(conn: Connection, request_id: int, now: datetime) -> Json | None:
    """One request, with who could see to it and whose savings could pay (`helpers`, `payers`)."""
    row = help_requests.one(conn, request_id)
    if row is None:
        return None
    near = _near(conn, row["building_id"], row["resident_id"])
    saved = hours.savers(conn)
    return {
        **common(conn, now, building_id=row["building_id"]), **request_json(row, now),
        "helpers": near,
        "payers": [{**p, "saved": saved[p["id"]]} for p in near if saved.get(p["id"])],
    }  # fmt: skip


def _near(conn: Connection, building_id: int, resident_id: int | None) -> list[Json]:
    """Volunteers and family of a door, each once, in the order of the register."""
    found: dict[int, Json] = {}
    for c in doors.behind(conn, building_id, [resident_id] if resident_id is not None else []):
        if c["role"] in VOLUNTEERS | {Role.FAMILY}:
            found.setdefault(c["id"], {"id": c["id"], "name": c["name"], "role": c["role"]})
    return list(found.values())


def figures(conn: Connection, first: date, last: date, now: datetime, scope: Scope) -> Json:
    """What became of the requests that were asked for on these local days, by kind. The days are
    those of the first community in sight."""
    zone = zone_of(conn, scope)
    start = datetime.combine(first, time(0), zone)
    end = datetime.combine(last + timedelta(days=1), time(0), zone)
    asked = help_requests.asked_between(conn, start, end, scope.buildings)
    found = request_rules.figures(asked, now)
    kinds = [
        {"kind": want.value, "asked": f.asked, "done": f.done, "in_time": f.in_time,
         "withdrawn": f.withdrawn, "waiting": f.waiting, "overdue": f.overdue}
        for want, f in found.items()
    ]  # fmt: skip
    return {"first": first.isoformat(), "last": last.isoformat(), "kinds": kinds}


def visit_json(
    row: RowMapping, now: datetime, goes: Sequence[str] = (), zones: Mapping[int, str] = NONE
) -> Json:
    """One visit; `goes`: whose it is while it is owed; `tz`: as of `request_json`."""
    return {
        "id": row["id"], "cause": row["cause"], "state": row["state"], "why": row["why"],
        "building": row["building_number"], "flat": row["label"],
        "resident_id": row["resident_id"], "resident": row["resident"],
        "opened_ms": to_ms(row["opened_at"]), "opened_by": row["opened_by"],
        "due_ms": to_ms(row["due_at"]), "overdue": visits.core_of(row).overdue(now),
        "goes": list(goes), "closed_ms": _ms(row["closed_at"]), "closed_by": row["closed_by"],
        "visited_on": row["visited_on"].isoformat() if row["visited_on"] else None,
        "visitor": row["visitor"], "note": row["note"],
        **_tz(zones, row["building_number"]),
    }  # fmt: skip


def visits_listed(
    conn: Connection, now: datetime, scope: Scope, *, resident_id: int | None = None,
    limit: int = MOST,
) -> Json:
    """`owed`, the longest overdue first, each with whose visit it is; `closed`, newest first."""
    owed = visits.listed(
        conn, limit, owed=True, buildings=scope.buildings, resident_id=resident_id
    )
    closed = visits.listed(
        conn, min(limit, 50), owed=False, buildings=scope.buildings, resident_id=resident_id
    )
    number, overdue = visits.owed(conn, now, scope.buildings)
    zones = _zones(conn, scope)
    return {
        **common(conn, now, scope), "count": number, "overdue": overdue,
        "owed": [visit_json(r, now, _goes(conn, r, now), zones) for r in owed],
        "closed": [visit_json(r, now, (), zones) for r in closed],
    }  # fmt: skip


def _goes(conn: Connection, row: RowMapping, now: datetime) -> tuple[str, ...]:
    assert row["state"] == VisitState.OWED, "a visit that was paid is nobody's"
    here = [
        c for c in doors.behind(conn, row["building_id"], [row["resident_id"]])
        if c["absent_until"] is None or c["absent_until"] <= now
    ]

    def names(role: Role) -> list[str]:
        return [c["name"] for c in here if c["role"] == role]

    return who_goes(names(Role.BEFRIENDER), names(Role.STEWARD))


def greeting_list(conn: Connection, now: datetime, scope: Scope, *, phones: bool) -> Json:
    """Today's list, those to be called first at its head. `phones`: with telephone numbers. Today
    is each resident's own, by the clock of their community; `day` is the first community's."""
    seen = places.in_sight(conn, scope)
    days = {c.series: now.astimezone(c.zone).date() for c in seen}
    today = days[seen[0].series] if seen else now.astimezone(UTC).date()
    zones = _zones(conn, scope)
    rows = {r["id"]: r for r in greetings.alone(conn, scope.buildings)}
    calls: defaultdict[int, list[RowMapping]] = defaultdict(list)
    for day in sorted({today, *days.values()}):
        for call in greetings.of_day(conn, day):
            called = rows.get(call["resident_id"])
            if called and days.get(houses.series(called["building_number"]), today) == day:
                calls[call["resident_id"]].append(call)
    greeted = greetings.last_greeted(conn, today - GREETED_SINCE)
    order = greeting_rules.in_order(
        Alone(
            i, r["risk_class"], r["last_sign_at"], greeted.get(i),
            [GreetingOutcome(c["outcome"]) for c in calls[i]],
        )
        for i, r in rows.items()
    )  # fmt: skip
    listed = [
        _alone(p, rows[p.resident_id], calls[p.resident_id], zones, phones=phones) for p in order
    ]
    return {
        **common(conn, now, scope), "day": today.isoformat(), "people": listed,
        "left": sum(p["standing"] != "greeted" for p in listed),
    }  # fmt: skip


def _alone(
    person: Alone, row: RowMapping, calls: Collection[RowMapping], zones: Mapping[int, str], *,
    phones: bool,
) -> Json:  # fmt: skip
    return {
        "id": row["id"], "name": row["name"], "family_name": family_name(row["name"]),
        "sex": row["sex"], "building": row["building_number"], "flat": row["label"],
        "class": row["risk_class"], "standing": greeting_rules.standing(person).value,
        "heard_ms": _ms(person.heard_at), "greeted_ms": _ms(person.greeted_at),
        "turn": len(calls) + 1,
        "phone": row["phone"] if phones else "",
        "phone_masked": masked(row["phone"]) if phones and row["phone"] else "",
        "calls": [greeting_json(c) for c in calls],
        **_tz(zones, row["building_number"]),
    }  # fmt: skip


def greeting_json(row: RowMapping) -> Json:
    """One call."""
    return {
        "at_ms": to_ms(row["at"]), "by": row["by"], "outcome": row["outcome"],
        "note": row["note"], "request_id": row["request_id"],
    }  # fmt: skip


def of_resident(conn: Connection, resident_id: int, now: datetime) -> Json:
    """All services of one resident: `requests`, `visits`, `greetings`, newest first."""
    asked = help_requests.listed(conn, "all", OF_A_RESIDENT, resident_id=resident_id)
    owed = visits.listed(conn, OF_A_RESIDENT, owed=True, resident_id=resident_id)
    closed = visits.listed(conn, OF_A_RESIDENT, owed=False, resident_id=resident_id)
    called = greetings.of_resident(conn, resident_id, OF_A_RESIDENT)
    return {
        "requests": [request_json(r, now) for r in asked],
        "visits": [visit_json(r, now, _goes(conn, r, now)) for r in owed]
        + [visit_json(r, now) for r in closed],
        "greetings": [greeting_json(g) for g in called],
    }
