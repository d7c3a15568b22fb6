"""What is registered, as far as some rows touch it; and the draft of what they change.

The picture is read in a handful of statements and grows while rows are planned, so that a later
row sees what an earlier one will have added, in a dry run as in earnest.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core.access import EVERYWHERE, Scope
from server.core.columns import Sheet
from server.core.houses import numbered
from server.core.words import Role
from server.service.register import places
from server.service.register.places import Communities, Community
from server.service.register.rows import Row
from server.store import register as store
from server.store import scopes

Door = tuple[int, str]


@dataclass(slots=True, eq=False)
class Resident:
    """A resident as registered (`row`), or as drafted (`row` is None)."""

    name: str
    door: Door
    row: RowMapping | None
    place: int
    """Row id, or the place among the draft's new residents."""
    terminal: str | None = None
    contacts: dict[tuple[str, str], RowMapping | None] = field(default_factory=dict)
    """(role, phone) → the assignment's row, None while it is drafted."""


@dataclass(slots=True, eq=False)
class House:
    """A building with its stewards by position, and its substitutes' numbers."""

    id: int | None
    community: Community
    stewards: dict[int, RowMapping] = field(default_factory=dict)
    substitutes: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Flat:
    """A door; `id` is None while it is drafted."""

    id: int | None
    label: str
    floor: int
    stairwell: str


@dataclass(slots=True, eq=False)
class Picture:
    """The part of the register that some rows touch."""

    now: datetime
    scope: Scope
    communities: Communities
    houses: dict[int, House]
    """By their numbers in the installation (core/houses.py)."""
    flats: dict[Door, Flat]
    residents: dict[int, Resident]
    at_door: defaultdict[Door, list[Resident]]
    persons: dict[str, str]
    terminals: dict[str, tuple[str, Resident | None]]
    """Id → state, and whose it is."""
    listed: frozenset[str] = frozenset()
    """Telephones on the rehearsal list."""
    rehearsals: frozenset[int] = frozenset()
    """Numbers of buildings in which nobody lives."""
    beyond: frozenset[str] = frozenset()
    """Telephones and terminals of people whom the asker is not shown: nothing says whose."""
    enrols: bool = True
    """Whether a terminal that is not registered yet may be."""

    def shows(self, number: int) -> bool:
        """Whether there is such a house that the asker may see. One that they have just
        registered is not among those that their scope began with."""
        house = self.houses.get(number)
        if house is None:
            return False
        return (house.id is None or self.scope.shows(house.id)
                or self.communities.answers_for(house.community))

    def address(self, at: Door) -> str:
        """A door as people say it: 11-301, or 棠德 11-301."""
        return f"{self.communities.house(at[0])}-{at[1]}"


def door(number: int, label: str) -> Door:
    """How a door is known: the building's number, and the label in one case."""
    return number, label.upper()


def load(
    conn: Connection, rows: Sequence[Row], now: datetime, scope: Scope = EVERYWHERE,
    made: frozenset[int] = frozenset(),
) -> Picture:
    """The picture for these rows, as somebody with this scope may see it. `made`: ids of the
    communities that this file has registered already."""
    communities = places.load(conn, scope, made)
    numbers = {
        numbered(c.series, r.get("building"))
        for r in rows if r.get("building") is not None for c in communities.meant(r)
    }  # fmt: skip
    houses = {b["number"]: b for b in store.buildings(conn, numbers)}
    number_of = {b["id"]: number for number, b in houses.items()}
    of = communities.by_id
    picture = Picture(
        now,
        scope,
        communities,
        {number: House(b["id"], of[b["community_id"]]) for number, b in houses.items()},
        {},
        {},
        defaultdict(list),
        {},
        {},
        rehearsals=frozenset(number for number, b in houses.items() if b["rehearsal"]),
    )
    resident_rows = [r for r in rows if r.sheet is Sheet.RESIDENTS]
    if resident_rows:
        for flat in store.flats(conn, number_of):
            picture.flats[door(number_of[flat["building_id"]], flat["label"])] = Flat(
                flat["id"], flat["label"], flat["floor"], flat["stairwell"]
            )
        _residents(conn, picture, number_of, {r.get("id") for r in rows if r.get("id")})
        _terminals(conn, picture, {r.get("terminal") for r in rows if r.get("terminal")})
    if any(r.sheet is Sheet.BUILDINGS for r in rows):
        for a in store.behind_buildings(conn, number_of):
            house = picture.houses[number_of[a["building_id"]]]
            if a["role"] == Role.STEWARD:
                house.stewards[a["position"]] = a
            else:
                house.substitutes.add(a["phone"])
    desks = store.offices(conn)
    for a in desks:
        of[a["community_id"]].offices.add((a["role"], a["phone"]))
    picture.listed = frozenset(a["phone"] for a in desks if a["role"] == Role.REHEARSAL)
    phones = {c.phone for r in rows for c in r.contacts}
    phones |= {r.get("phone") for r in rows if r.sheet is Sheet.OFFICES and r.get("phone")}
    known = store.persons(conn, phones)
    picture.persons = {p["phone"]: p["name"] for p in known}
    theirs = {t for t, (_, own) in picture.terminals.items() if own is not None}
    picture.beyond = frozenset(
        [p["phone"] for p in known if scopes.beyond(conn, scope, "person_id", str(p["id"]))]
        + [t for t in theirs if scopes.beyond(conn, scope, "terminal_id", t)]
    )
    picture.enrols = scope.wide
    return picture


def _residents(
    conn: Connection, picture: Picture, number_of: dict[int, int], ids: Iterable[int]
) -> None:
    found = {r["id"]: r for r in store.residents_of(conn, number_of)}
    found |= {r["id"]: r for r in store.residents_by_id(conn, set(ids) - set(found))}
    for row in found.values():
        own = Resident(row["name"], door(row["number"], row["label"]), row, row["id"])
        picture.residents[row["id"]] = own
        picture.at_door[own.door].append(own)
    for a in store.behind_residents(conn, found):
        picture.residents[a["resident_id"]].contacts[a["role"], a["phone"]] = a
    for t in store.terminals_of(conn, found):
        own = picture.residents[t["resident_id"]]
        picture.terminals[t["id"]] = (t["state"], own)
        if own.terminal is None and t["state"] == "active":
            own.terminal = t["id"]


def _terminals(conn: Connection, picture: Picture, ids: set[str]) -> None:
    others = store.terminals(conn, ids - set(picture.terminals))
    theirs = {t["resident_id"] for t in others if t["resident_id"] is not None}
    for row in store.residents_by_id(conn, theirs):
        picture.residents[row["id"]] = Resident(
            row["name"], door(row["number"], row["label"]), row, row["id"]
        )
    for t in others:
        whose = t["resident_id"]
        picture.terminals[t["id"]] = (
            t["state"], None if whose is None else picture.residents[whose]
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs: for whoever reads the dry run, and for the history. `subject` is
    what it is about, as a key ("resident", place) that saving turns into an id. `fields`: name →
    (before, after); both None where the content is not to be shown."""

    line: int
    subject: tuple[str, Any]
    title: str
    what: str
    fields: dict[str, tuple[Any, Any]]


@dataclass(slots=True, eq=False)
class NewAssignment:
    """Somebody who shall stand behind a target."""

    role: Role
    phone: str
    resident: Resident | None = None
    building: int | None = None
    community: Community | None = None
    position: int = 0
    key_place: str = ""


@dataclass(slots=True, eq=False)
class Draft:
    """What planned rows will write, in the order in which it has to be written."""

    communities: list[Community] = field(default_factory=list)
    """New ones."""
    community_changes: dict[int, dict[str, Any]] = field(default_factory=dict)
    persons: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Phone → name, language."""
    buildings: list[tuple[int, Community]] = field(default_factory=list)
    flats: list[tuple[int, Flat]] = field(default_factory=list)
    flat_changes: dict[int, dict[str, Any]] = field(default_factory=dict)
    residents: list[tuple[Resident, dict[str, Any]]] = field(default_factory=list)
    resident_changes: dict[int, dict[str, Any]] = field(default_factory=dict)
    terminals: list[tuple[str, Resident, bool]] = field(default_factory=list)
    """Id, whose, and whether the terminal is new."""
    assignments: list[NewAssignment] = field(default_factory=list)
    key_places: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Assignment id → where the key is now."""
    replaced: list[tuple[int, str]] = field(default_factory=list)
    """Assignment id of a steward's place, and the number of the one who takes it."""
    changes: list[Change] = field(default_factory=list)
