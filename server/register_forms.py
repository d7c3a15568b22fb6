"""What the register's forms begin with, and the history behind them.

Read side; changes nothing. The way in and what concerns health are not here: a form only says
whether there is something.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core import cells
from server.core.access import EVERYWHERE, Scope
from server.core.houses import distinct
from server.core.words import Role
from server.service import shifts
from server.service.answering import masked
from server.service.register import places
from server.service.register.by_hand import RULE
from server.store import addresses, changes, communities, doors, people, rosters, scopes
from server.store import register as store
from server.tables import to_ms

Json = dict[str, Any]
MOST_CHANGES = 200
OFFICES = (Role.DUTY, Role.STREET, Role.DISTRICT)


def _frame(now: datetime, community: communities.CommunityFacts | None) -> Json:
    return {
        "now_ms": to_ms(now), "tz": str(community.zone) if community else None,
        "community": community.name if community else None,
    }  # fmt: skip


def _contact(row: RowMapping, now: datetime) -> Json:
    until = row["absent_until"]
    return {
        "id": row["id"], "person_id": row["person_id"], "name": row["name"], "role": row["role"],
        "position": row["position"], "phone": row["phone"], "phone_masked": masked(row["phone"]),
        "lang": row["lang"], "absent_until_ms": to_ms(until) if until and until > now else None,
    }  # fmt: skip


def _choice(conn: Connection, scope: Scope) -> Json:
    """`communities`: (id, name) to choose from, where the scope has houses of several."""
    seen = places.load(conn, scope).seen
    every = [c.named for c in seen]
    return {
        "communities": [(str(c.id), distinct(c.named, every)) for c in seen]
    } if len(seen) > 1 else {}  # fmt: skip


def blank(conn: Connection, now: datetime, scope: Scope) -> Json:
    """What a form for somebody new, or a new building or community, begins with."""
    seen = [communities.CommunityFacts(row) for row in scopes.seen(conn, scope)]
    return {**_frame(now, next(iter(seen), None)), **_choice(conn, scope)}


def in_sight(conn: Connection, scope: Scope) -> list[Json]:
    """Those for which a scope answers as a whole, as the register's page lists them."""
    return [
        {"id": row["id"], **{key: row[key] for key in ("name", "street", "district")}}
        for row in scopes.communities(conn, scope)
    ]


def resident(
    conn: Connection, resident_id: int, now: datetime, scope: Scope = EVERYWHERE
) -> Json | None:
    """A resident as their form shows them; None: no such one, or watched no more."""
    row = people.resident(conn, resident_id)
    if row is None or row["state"] == "ended":
        return None
    terminals = people.terminals_of(conn, resident_id)
    subjects = [f"resident:{resident_id}", f"flat:{row['flat_id']}"]
    return {
        **_frame(now, communities.of_building(conn, row["building_id"])), **_choice(conn, scope),
        "community_id": doors.community_id(conn, row["building_id"]),
        "id": resident_id, "building": row["building_number"], "flat": row["label"],
        "state": row["state"], "seen": changes.newest(conn, subjects),
        "absent_until_ms": to_ms(row["absent_until"])
        if row["state"] == "paused" and row["absent_until"] else None,
        "values": {
            "name": row["name"], "birth_date": row["birth_date"].isoformat(), "sex": row["sex"],
            "living": row["living"],
            "phone": cells.phone_text(row["phone"]) if row["phone"] else "",
            "floor": str(row["floor"]), "stairwell": row["stairwell"],
            "terminal": terminals[0] if terminals else "",
            "risk_class": RULE if row["class_by"] is None else row["risk_class"],
        },
        "noted": {key: bool(row[key]) for key in ("risks", "access_notes")},
        "contacts": [_contact(c, now) for c in store.behind_residents(conn, [resident_id])],
    }  # fmt: skip


def building(conn: Connection, number: int, now: datetime) -> Json | None:
    """A building as its form shows it; None: no such one."""
    row = doors.building(conn, number)
    if row is None:
        return None
    behind = [_contact(c, now) for c in store.behind_buildings(conn, [row["id"]])]
    own = addresses.words(row)
    return {
        **_frame(now, communities.of_building(conn, row["id"])),
        "id": row["id"], "number": number, "address": own["zh"], "address_en": own["en"],
        "street": addresses.building(conn, row["id"]),
        "seen": changes.newest(conn, [f"building:{row['id']}"]),
        "stewards": {c["position"]: c for c in behind if c["role"] == Role.STEWARD},
        "substitutes": [c for c in behind if c["role"] == Role.SUBSTITUTE],
    }  # fmt: skip


def person(conn: Connection, person_id: int, now: datetime, scope: Scope) -> Json | None:
    """A contact, and every place of the scope behind which they stand; None: no such one.
    `community`: of a desk, where the scope answers for several."""
    if not people.has_person(conn, person_id):
        return None
    row, roles = people.person(conn, person_id), people.roles_of(conn, person_id)
    several = len(scopes.communities(conn, scope)) > 1
    ends = [r["absent_until"] for r in roles if r["absent_until"] and r["absent_until"] > now]
    listed = []
    for r in roles:
        own = people.resident(conn, r["resident_id"]) if r["resident_id"] else None
        at = r["community_id"]
        if not (scope.answers_for(at) if at is not None
                else scope.shows(own["building_id"] if own else r["building_id"])):
            continue
        house = (own["building_number"] if own
                 else people.building_number(conn, r["building_id"]) if r["building_id"]
                 else None)  # fmt: skip
        listed.append(
            {"role": r["role"], "position": r["position"], "building": house,
             "resident_id": r["resident_id"], "flat": own["label"] if own else None,
             "community": at if several else None}
        )  # fmt: skip
    return {
        **_frame(now, communities.of_person(conn, person_id)),
        "id": person_id, "roles": listed, "phone_masked": masked(row["phone"]),
        "absent_until_ms": to_ms(max(ends)) if ends else None,
        "opted_out": row["opted_out_at"] is not None,
        "seen": changes.newest(conn, [f"person:{person_id}"]),
        "values": {
            "name": row["name"], "phone": cells.phone_text(row["phone"]), "lang": row["lang"]
        },
    }  # fmt: skip


def duty(conn: Connection, now: datetime, community_id: int | None) -> Json:
    """A community (None: there is none yet), its care centre with the coming week, and the offices
    above."""
    row = store.community(conn, community_id)
    behind = [_contact(c, now) for c in store.offices(conn, community_id)]
    own = addresses.words(row)
    return {
        **_frame(now, communities.CommunityFacts(row) if row is not None else None),
        "named": {
            "name": row["name"] if row else "", "street": row["street"] if row else "",
            "district": row["district"] if row else "",
        },
        "address": own["zh"], "address_en": own["en"],
        "seen": changes.newest(conn, [f"community:{row['id']}"]) if row else 0,
        "offices": {role.value: [c for c in behind if c["role"] == role] for role in OFFICES},
        "week": shifts.week(conn, now, community_id),
    }  # fmt: skip


def turns(
    conn: Connection, person_id: int, now: datetime, community_id: int | None
) -> Json | None:
    """The shifts of somebody on duty at a community's desk as a form; None for everybody else."""
    found = duty(conn, now, community_id)
    own = next((c for c in found["offices"]["duty"] if c["person_id"] == person_id), None)
    if own is None:
        return None
    held = rosters.shifts(conn).get(person_id, ())
    return {**found, **own, "shifts": [shifts.shift_json(s) for s in held]}


def house_turns(conn: Connection, person_id: int, now: datetime) -> Json | None:
    """The shifts of a steward or substitute as a form; None for everybody else, and for whoever
    has the duty: the desk's shifts are set with the desk."""
    roles = {r["role"] for r in people.roles_of(conn, person_id)}
    if not roles & rosters.OF_THE_HOUSE or Role.DUTY in roles:
        return None
    return {
        **_frame(now, shifts.rota_of(conn, person_id)),
        **shifts.of_person(conn, person_id, now), "id": person_id,
        "seen": changes.newest(conn, [f"person:{person_id}"]),
    }  # fmt: skip


def entries(rows: Sequence[RowMapping]) -> list[Json]:
    """Rows of the history as a page shows them: what one act changed stands together."""
    found: list[Json] = []
    for r in rows:
        said = {"at_ms": to_ms(r["at"]), **{k: r[k] for k in ("by", "why", "via", "what")}}
        fields = [{"key": k, "was": v[0], "now": v[1]} for k, v in r["fields"].items()]
        if found and said == {k: found[-1][k] for k in said}:
            found[-1]["fields"] += fields
        else:
            found.append({**said, "fields": fields})
    return found


def history(
    conn: Connection, kind: str, number: int, now: datetime, first: date | None, last: date | None
) -> Json | None:
    """What changed of a resident (by id), a building (by number), a person, or what a community has
    in common (`duty`, by its id; 0: there is none) on these local days; None: no such one."""
    found: Json = {"title": {}}
    subjects = [f"{kind}:{number}"]
    if kind == "resident":
        row = people.resident(conn, number)
        if row is None:
            return None
        subjects.append(f"flat:{row['flat_id']}")
        community = communities.of_building(conn, row["building_id"])
        found["title"] = {"building": row["building_number"], "label": row["label"],
                          "name": row["name"]}  # fmt: skip
    elif kind == "building":
        house = doors.building(conn, number)
        if house is None:
            return None
        subjects = [f"building:{house['id']}"]
        community = communities.of_building(conn, house["id"])
        found["title"] = {"building": number}
    elif kind == "duty":
        community = communities.by_id(conn, number)
        subjects = [f"community:{number}"]
    elif not people.has_person(conn, number):
        return None
    else:
        community = communities.of_person(conn, number)
        found["title"] = {"name": people.person(conn, number)["name"]}
    zone = community.zone if community else None

    def start(day: date | None, more: int = 0) -> datetime | None:
        return datetime.combine(day + timedelta(days=more), time(), zone) if day and zone else None

    rows = changes.between(conn, subjects, start(first), start(last, 1), MOST_CHANGES + 1)
    return {
        **_frame(now, community), **found,
        "entries": entries(rows[:MOST_CHANGES]), "more": len(rows) > MOST_CHANGES,
    }  # fmt: skip
