"""Writes a draft in bulk: a handful of statements for any number of rows, in one transaction."""

from collections.abc import Callable
from typing import Any

from server import tables as t
from server.database import Tx
from server.service.help import visits
from server.service.history import Via
from server.service.notes import OF_RESIDENT, sealed_values
from server.service.register.picture import Draft, NewAssignment, Picture, Resident
from server.service.register.places import Community
from server.store import journal
from server.store import register as store


def save(
    tx: Tx, picture: Picture, draft: Draft, *, who: str, why: str, via: str
) -> frozenset[int]:
    """Write all of the draft, with the history of each change; returns the ids of communities that
    are new. `via`: see `history.Via`."""
    conn = tx.conn
    communities = _communities(tx, draft)
    made = frozenset(communities.values())

    def id_of_community(community: Community) -> int:
        return community.id if community.id is not None else communities[community.series]

    rows = [{"name": name, "phone": phone, "lang": lang}
            for phone, (name, lang) in draft.persons.items()]  # fmt: skip
    store.add(conn, t.Person, rows)
    houses = {n: h.id for n, h in picture.houses.items() if h.id is not None}
    new = [{"community_id": id_of_community(c), "number": n} for n, c in draft.buildings]
    houses |= {b["number"]: b["id"] for b in store.add(conn, t.Building, new, "id", "number")}
    doors = _flats(tx, draft, houses)
    residents = _residents(tx, picture, draft, houses, doors)
    visits.moved_in(tx, list(residents.values()), by=who)

    def id_of(own: Resident) -> int:
        return own.place if own.row is not None else residents[own.place]

    _terminals(tx, draft, {terminal: id_of(own) for terminal, own, _ in draft.terminals})
    _assignments(tx, draft, id_of_community, houses, id_of)

    def subject(kind: str, about: Any) -> str:
        if kind == "resident":
            return f"resident:{id_of(about)}"
        if kind == "building":
            return f"building:{houses[about]}"
        return f"{kind}:{id_of_community(about) if kind == 'community' else about}"

    store.note_changes(conn, [
        {"at": tx.now, "by": who, "why": why, "via": via, "subject": subject(*c.subject),
         "what": c.what, "fields": {k: list(v) for k, v in c.fields.items()}}
        for c in draft.changes
    ])  # fmt: skip
    if draft.changes:
        journal.note(
            tx, "register_changed" if via == Via.FORM else "register_imported",
            changes=len(draft.changes), residents=len(draft.residents), by=who, why=why,
        )  # fmt: skip
    return made


def _communities(tx: Tx, draft: Draft) -> dict[int, int]:
    """The new communities' ids by their series."""
    store.change(tx.conn, t.Community, draft.community_changes)
    return store.add_communities(tx.conn, ((c.series, c.named) for c in draft.communities))


def _flats(tx: Tx, draft: Draft, houses: dict[int, int]) -> dict[tuple[int, str], int]:
    """The new doors' ids by (building id, label)."""
    rows = [{"building_id": houses[n], "label": f.label, "floor": f.floor,
             "stairwell": f.stairwell} for n, f in draft.flats]  # fmt: skip
    made = store.add(tx.conn, t.Flat, rows, "id", "building_id", "label")
    store.change(tx.conn, t.Flat, draft.flat_changes)
    return {(f["building_id"], f["label"]): f["id"] for f in made}


def _residents(
    tx: Tx, picture: Picture, draft: Draft, houses: dict[int, int],
    doors: dict[tuple[int, str], int],
) -> dict[int, int]:
    """The new residents' ids by their place in the draft."""
    rows, places, noted = [], {}, {}
    for own, values in draft.residents:
        flat = picture.flats[own.door]
        building_id = houses[own.door[0]]
        flat_id = flat.id if flat.id is not None else doors[building_id, flat.label]
        # A note is sealed for its row, so the rows come first.
        rows.append({**values, **dict.fromkeys(OF_RESIDENT, ""), "building_id": building_id,
                     "flat_id": flat_id})  # fmt: skip
        places[flat_id, own.name] = own.place  # one name is once behind a door: doubles are refused
        noted[own.place] = {name: values[name] for name in OF_RESIDENT if values[name]}
    made = store.add(tx.conn, t.Resident, rows, "id", "flat_id", "name")
    ids = {places[r["flat_id"], r["name"]]: int(r["id"]) for r in made}
    changes = {**draft.resident_changes, **{ids[place]: kept for place, kept in noted.items()}}
    store.change(tx.conn, t.Resident, {
        row_id: sealed_values(tx, "resident", row_id, kept) for row_id, kept in changes.items()
    })  # fmt: skip
    return ids


def _terminals(tx: Tx, draft: Draft, whose: dict[str, int]) -> None:
    new = [
        {"id": terminal, "resident_id": whose[terminal], "state": "active", "status": "unknown",
         "boot": 0, "firmware": "", "heartbeat_s": 900}
        for terminal, _, is_new in draft.terminals if is_new
    ]  # fmt: skip
    store.add(tx.conn, t.Terminal, new)
    given = {terminal: {"resident_id": whose[terminal]}
             for terminal, _, is_new in draft.terminals if not is_new}  # fmt: skip
    store.change(tx.conn, t.Terminal, given)


def _assignments(
    tx: Tx, draft: Draft, id_of_community: Callable[[Community], int], houses: dict[int, int],
    id_of: Any,
) -> None:
    conn = tx.conn
    phones = {a.phone for a in draft.assignments} | {phone for _, phone in draft.replaced}
    persons = {p["phone"]: p["id"] for p in store.persons(conn, phones)}
    away = store.absences(conn, list(persons.values()))

    def row(a: NewAssignment) -> dict[str, Any]:
        person_id = persons[a.phone]
        return {
            "person_id": person_id, "role": a.role.value, "position": a.position,
            "community_id": id_of_community(a.community) if a.community is not None else None,
            "building_id": houses[a.building] if a.building is not None else None,
            "resident_id": id_of(a.resident) if a.resident is not None else None,
            "key_place": "", "absent_until": away.get(person_id),
        }  # fmt: skip

    made = store.add(conn, t.Assignment, [row(a) for a in draft.assignments],
                     "id", "person_id", "resident_id", "role")  # fmt: skip
    kept_at = {
        (persons[a.phone], id_of(a.resident), a.role.value): a.key_place
        for a in draft.assignments if a.resident is not None and a.key_place
    }  # fmt: skip
    changes: dict[int, dict[str, Any]] = dict(draft.key_places)
    for new in made:
        if place := kept_at.get((new["person_id"], new["resident_id"], new["role"])):
            changes[new["id"]] = {"key_place": place}
    changes = {
        row_id: sealed_values(tx, "assignment", row_id, kept) for row_id, kept in changes.items()
    }
    for assignment_id, phone in draft.replaced:
        changes[assignment_id] = {
            "person_id": persons[phone], "absent_until": away.get(persons[phone])
        }
    store.change(conn, t.Assignment, changes)
