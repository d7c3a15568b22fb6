"""What one row would change. Decides only: the picture and the draft grow, nothing is written.

An empty cell changes nothing. Nobody is taken off, moved or ended by a file: those have pages of
their own, where somebody is asked for a reason.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import RowMapping

from server.core import cells, rounds
from server.core.cells import Bad, Why
from server.core.columns import COLUMNS, Sheet
from server.core.houses import numbered, series
from server.core.risk import age_on, risk_class
from server.core.words import Role
from server.pinyin import sounds
from server.service.register.picture import (
    Change,
    Door,
    Draft,
    Flat,
    House,
    NewAssignment,
    Picture,
    Resident,
    door,
)
from server.service.register.places import Community
from server.service.register.rows import Contact, Problem, Row
from server.vault import Opener

SECRETS = frozenset(c.key for c in COLUMNS[Sheet.RESIDENTS] if c.secret)
ADDED, CHANGED, LEFT, REJECTED = "added", "changed", "left", "rejected"
_POSITIONS = {"head": 1, "second": 2}
_PLAIN = ("name", "birth_date", "sex", "living", "phone", "risks", "access_notes")


class Planner:
    """Plans rows over one picture into one draft. `who` and `why` stand beside an overruled
    class. `opener` opens the notes that are registered, to compare them: one that can't be opened
    differs from whatever a row says."""

    def __init__(self, picture: Picture, opener: Opener, who: str, why: str) -> None:
        self.picture = picture
        self._open = opener
        self.draft = Draft()
        self.notes: list[Problem] = []
        self.outcomes: Counter[str] = Counter()
        self.made: frozenset[int] = frozenset()
        """Ids of the communities that were new, once the draft is saved."""
        self._who, self._why = who, why

    def plan(self, row: Row) -> str:
        """What becomes of the row: added, changed, left, or rejected with `row.problems`."""
        before = len(self.draft.changes)
        community = None
        if not row.problems:
            community = self._place(row)
            self._refuse_strange_numbers(row)
            self._refuse_rehearsals(row)
        if not row.problems and community is not None:
            by_sheet: dict[Sheet, Callable[[Row, Community], None]] = {
                Sheet.BUILDINGS: self._building, Sheet.OFFICES: self._office,
                Sheet.RESIDENTS: self._resident,
            }  # fmt: skip
            by_sheet[row.sheet](row, community)
        if row.problems:
            return REJECTED
        new = self.draft.changes[before:]
        if not new:
            return LEFT
        return ADDED if any(c.what == ADDED and not c.fields for c in new) else CHANGED

    # Each planner below refuses before it drafts anything: a rejected row leaves no half behind.

    def _place(self, row: Row) -> Community | None:
        """The community that the row is about, with the number of its building."""
        known = self.picture.communities
        found = (known.find_or_found if row.sheet is Sheet.BUILDINGS else known.find)(row)
        if found is not None and row.get("building") is not None:
            row.number = numbered(found.series, row.get("building"))
        return found

    def _refuse_strange_numbers(self, row: Row) -> None:
        people = [(c.phone, c.name, c.column) for c in row.contacts]
        if row.sheet is Sheet.OFFICES:
            people.append((row.get("phone"), row.get("name"), "phone"))
        for phone, name, key in people:
            known = self.picture.persons.get(phone, name)
            if cells.name(known) != name:
                if phone in self.picture.beyond:
                    row.refuse(key, Why.NUMBER_BEYOND)
                else:
                    row.refuse(key, Why.NUMBER_OF_ANOTHER, known)

    def _refuse_rehearsals(self, row: Row) -> None:
        """Life and rehearsal never mix: neither its building nor who is on its list."""
        if row.number in self.picture.rehearsals:
            row.refuse("building", Why.REHEARSAL)
        listed = [(c.phone, c.column) for c in row.contacts]
        if row.sheet is Sheet.OFFICES:
            listed.append((row.get("phone"), "phone"))
        for phone, key in listed:
            if phone in self.picture.listed:
                row.refuse(key, Why.ON_REHEARSAL_LIST)

    def _building(self, row: Row, community: Community) -> None:
        picture, number = self.picture, row.number
        assert number is not None, "a building's number is needed"
        if row.get("head_phone") == row.get("second_phone"):
            row.refuse("second", Why.SAME_STEWARD)
        house = picture.houses.get(number)
        if house is None and not picture.communities.answers_for(community):
            row.refuse("building", Why.COMMUNITY_BEYOND)
        elif house is not None and not picture.shows(number):
            row.refuse("building", Why.NO_BUILDING, picture.communities.house(number))
        filled = self._filled(row, community)
        if row.problems:
            return
        self._community(row, community, filled)
        title = picture.communities.house(number)
        if house is None:
            house = picture.houses[number] = House(None, community)
            self.draft.buildings.append((number, community))
            self._note(row, ("building", number), title, ADDED, {})
        for contact in row.contacts:
            if contact.role is Role.STEWARD:
                self._steward(row, house, contact)
            elif contact.phone not in house.substitutes:
                house.substitutes.add(contact.phone)
                self._person(contact.phone, contact.name)
                self.draft.assignments.append(
                    NewAssignment(Role.SUBSTITUTE, contact.phone, building=number)
                )
                shown = {"substitute": (None, _who_is(contact))}
                self._note(row, ("building", number), title, ADDED, shown)

    def _filled(self, row: Row, community: Community) -> dict[str, str]:
        """The street and district that a row says where none is registered. Another name than the
        registered one is another community's."""
        filled = {
            key: str(row.get(key)) for key in ("district", "street")
            if row.get(key) and not getattr(community.named, key)
        }  # fmt: skip
        known = self.picture.communities
        if filled and not known.may_move(community, replace(community.named, **filled)):
            row.refuse(next(iter(filled)), Why.COMMUNITY_BEYOND)
        return filled

    def _community(self, row: Row, community: Community, filled: dict[str, str]) -> None:
        known, title = self.picture.communities, community.named.name
        if community not in known.seen:
            known.add(community)
            self.draft.communities.append(community)
            named = community.named
            said = {"district": named.district, "street": named.street, "community": named.name}
            shown = {key: (None, name) for key, name in said.items() if name}
            self._note(row, ("community", community), title, CHANGED, shown)
            return
        if filled:
            community.named = replace(community.named, **filled)
            if community.id is not None:
                self.draft.community_changes.setdefault(community.id, {}).update(filled)
            self._note(row, ("community", community), title, CHANGED,
                       {key: (None, name) for key, name in filled.items()})  # fmt: skip

    def _steward(self, row: Row, house: House, contact: Contact) -> None:
        number, position = row.number, _POSITIONS[contact.column]
        assert number is not None, "a building's number is needed"
        standing = house.stewards.get(position)
        if standing is not None and standing["phone"] == contact.phone:
            return
        self._person(contact.phone, contact.name)
        was = None
        if standing is not None:
            was = f"{standing['name']} {cells.phone_text(standing['phone'])}"
            self.draft.replaced.append((standing["id"], contact.phone))
        else:
            self.draft.assignments.append(
                NewAssignment(Role.STEWARD, contact.phone, building=number, position=position)
            )
        shown = {contact.column: (was, _who_is(contact))}
        title = self.picture.communities.house(number)
        self._note(row, ("building", number), title, CHANGED, shown)

    def _office(self, row: Row, community: Community) -> None:
        role, phone = row.get("role"), row.get("phone")
        if not self.picture.communities.answers_for(community):
            row.refuse("community" if "community" in row.columns else "role", Why.COMMUNITY_BEYOND)
            return
        if (role, phone) in community.offices:
            return
        community.offices.add((role, phone))
        self._person(phone, row.get("name"), row.get("lang") or "zh")
        self.draft.assignments.append(NewAssignment(Role(role), phone, community=community))
        shown = {role: (None, f"{row.get('name')} {cells.phone_text(phone)}")}
        self._note(row, ("community", community), community.named.name, ADDED, shown)

    def _resident(self, row: Row, community: Community) -> None:
        number, label = row.number, row.get("flat")
        assert number is not None, "a building's number is needed"
        today = community.today(self.picture.now)
        own = self._found(row, door(number, label))
        if not row.problems and not self.picture.shows(number):
            row.refuse("building", Why.NO_BUILDING, self.picture.communities.house(number))
        born: date | None = row.get("birth_date")
        if born is not None and born > today:
            row.refuse("birth_date", Why.BORN_IN_FUTURE)
        if own is None and not row.problems:
            for key in ("birth_date", "living"):
                if row.get(key) is None:
                    row.refuse(key, Why.NEEDED_FOR_NEW)
        self._check_terminal(row, own)
        here = door(number, label)
        flat = self.picture.flats.get(here)
        floor = row.get("floor")
        if flat is None and floor is None:
            try:
                floor = cells.floor_of(label)
            except Bad as bad:
                row.refuse("flat", bad.why)
        if row.problems:
            return
        title = f"{self.picture.communities.house(number)}-{label} {row.get('name')}"
        if flat is None:
            flat = Flat(None, label, floor, row.get("stairwell") or "")
            self.picture.flats[here] = flat
            self.draft.flats.append((number, flat))
        elif flat.id is not None:
            self._flat_change(row, flat, title)
        if own is None:
            own = self._new(row, here, community)
            self._note(row, ("resident", own), title, ADDED, {})
        else:
            self._change(row, own, title, community)
        self._terminal(row, own, title, community)
        self._contacts(row, own, title)

    def _found(self, row: Row, here: Door) -> Resident | None:
        """Whom the row is about: by number, else by door and name; None: somebody new."""
        given = row.get("id")
        if given is None:
            named = [r for r in self.picture.at_door[here] if cells.name(r.name) == row.get("name")]
            living = [r for r in named if r.row is None or r.row["state"] != "ended"]
            if named and not living:
                row.refuse("name", Why.ENDED)
            return living[0] if living else None
        own = self.picture.residents.get(given)
        if own is None or own.row is None or not self._seen(own):
            row.refuse("id", Why.NO_RESIDENT, str(given))
        elif own.row["state"] == "ended":
            row.refuse("id", Why.ENDED)
        elif own.door != here:
            row.refuse("flat", Why.LIVES_ELSEWHERE, self.picture.address(own.door))
        return own

    def _seen(self, own: Resident) -> bool:
        """Whether the asker may see where a resident of the register lives."""
        community = self.picture.communities.by_series.get(series(own.door[0]))
        assert own.row is not None, "they are registered"
        assert community is not None, "and so is their community"
        return (self.picture.scope.shows(own.row["building_id"])
                or self.picture.communities.answers_for(community))

    def _check_terminal(self, row: Row, own: Resident | None) -> None:
        wanted = row.get("terminal")
        if wanted is None:
            return
        state, whose = self.picture.terminals.get(wanted, ("new", None))
        if wanted in self.picture.beyond:
            row.refuse("terminal", Why.TERMINAL_BEYOND)
        elif wanted not in self.picture.terminals and not self.picture.enrols:
            row.refuse("terminal", Why.NOT_ENROLLED)
        elif whose is not None and whose is not own:
            row.refuse("terminal", Why.TERMINAL_TAKEN, self.picture.address(whose.door))
        elif state not in ("new", "active"):
            row.refuse("terminal", Why.TERMINAL_REVOKED)
        elif own is not None and own.terminal not in (None, wanted):
            row.refuse("terminal", Why.HAS_TERMINAL, str(own.terminal))

    def _flat_change(self, row: Row, flat: Flat, title: str) -> None:
        changed: dict[str, tuple[Any, Any]] = {}
        for key, was in (("floor", flat.floor), ("stairwell", flat.stairwell)):
            new = row.get(key)
            if new is not None and new != was:
                changed[key] = (was, new)
        if changed and flat.id is not None:
            values = {key: new for key, (_, new) in changed.items()}
            self.draft.flat_changes.setdefault(flat.id, {}).update(values)
            flat.floor = values.get("floor", flat.floor)
            flat.stairwell = values.get("stairwell", flat.stairwell)
            self._note(row, ("flat", flat.id), title, CHANGED, changed)

    def _new(self, row: Row, here: Door, community: Community) -> Resident:
        age = age_on(row.get("birth_date"), community.today(self.picture.now))
        rule = risk_class(age, row.get("living"), bool(row.get("risks")))
        wanted = row.get("risk_class") or rule
        values: dict[str, Any] = {
            "name": row.get("name"), "birth_date": row.get("birth_date"),
            "sex": row.get("sex") or "", "living": row.get("living"),
            "phone": row.get("phone") or "", "risks": row.get("risks") or "",
            "access_notes": row.get("access_notes") or "", "risk_class": wanted,
            "state": "active", "sounds": sounds(row.get("name")), "class_by": None,
            "class_why": "", "class_at": None, "next_due_at": None,
        }  # fmt: skip
        if wanted != rule:
            values |= {"class_by": self._who, "class_why": self._why,
                       "class_at": self.picture.now}  # fmt: skip
        if row.get("terminal") is not None:
            values["next_due_at"] = self._first_due(community, wanted)
        own = Resident(row.get("name"), here, None, len(self.draft.residents))
        self.draft.residents.append((own, values))
        self.picture.at_door[here].append(own)
        return own

    def _first_due(self, community: Community, risk: str) -> Any:
        facts = community.facts
        if facts is None:
            return None
        plans, zone, now = facts.plans_of(risk), facts.zone, self.picture.now
        return rounds.next_to_open(plans, zone, now).deadline

    def _change(self, row: Row, own: Resident, title: str, community: Community) -> None:
        was = own.row
        if was is None:  # a second line about somebody new is refused as a double
            return
        changed = {}
        for key in _PLAIN:
            new = row.get(key)
            if new is not None and new != self._as_read(key, was, f"resident.{key}"):
                changed[key] = (was[key], new)
        values: dict[str, Any] = {key: new for key, (_, new) in changed.items()}
        if "name" in values:
            values["sounds"] = sounds(values["name"])
        now = {**was, **values}
        rule = risk_class(
            age_on(now["birth_date"], community.today(self.picture.now)), now["living"],
            bool(now["risks"]),
        )
        risk = was["risk_class"] if was["class_by"] is not None else rule
        if changed and risk != was["risk_class"]:
            values["risk_class"] = risk
            changed["risk_class"] = (was["risk_class"], risk)
            due = was["next_due_at"]
            if was["state"] == "active" and due is not None and due > self.picture.now:
                facts = community.facts
                assert facts is not None, "a resident has a community"
                values["next_due_at"] = rounds.due_anew(
                    facts.plans_of(risk), facts.zone, self.picture.now, was["last_sign_at"]
                )
        held = values.get("risk_class", was["risk_class"])
        if row.get("risk_class") not in (None, held):
            self.notes.append(
                Problem(row.line, row.columns["risk_class"], Why.CLASS_KEPT, held)
            )
        if values:
            self.draft.resident_changes.setdefault(own.place, {}).update(values)
            self._note(row, ("resident", own), title, CHANGED, changed)

    def _terminal(self, row: Row, own: Resident, title: str, community: Community) -> None:
        wanted = row.get("terminal")
        if wanted is None or own.terminal == wanted:
            return
        new = wanted not in self.picture.terminals
        self.draft.terminals.append((wanted, own, new))
        self.picture.terminals[wanted] = ("active", own)
        own.terminal = wanted
        if own.row is None:
            return
        if own.row["state"] == "active" and own.row["next_due_at"] is None:
            held = self.draft.resident_changes.setdefault(own.place, {})
            held["next_due_at"] = self._first_due(
                community, held.get("risk_class", own.row["risk_class"])
            )
        self._note(row, ("resident", own), title, CHANGED, {"terminal": (None, wanted)})

    def _contacts(self, row: Row, own: Resident, title: str) -> None:
        for contact in row.contacts:
            key = (contact.role.value, contact.phone)
            if key not in own.contacts:
                own.contacts[key] = None
                self._person(contact.phone, contact.name)
                self.draft.assignments.append(
                    NewAssignment(contact.role, contact.phone, resident=own,
                                  key_place=contact.key_place or "")
                )  # fmt: skip
                if own.row is not None:
                    shown = {contact.role.value: (None, _who_is(contact))}
                    self._note(row, ("resident", own), title, CHANGED, shown)
                continue
            held = own.contacts[key]
            place = contact.key_place
            if held is None or place is None:
                continue
            if place == self._as_read("key_place", held, "assignment.key_place"):
                continue
            self.draft.key_places[held["id"]] = {"key_place": place}
            secret = {"key_place": (held["key_place"], place)}
            self._note(row, ("resident", own), title, CHANGED, secret)

    def _as_read(self, key: str, was: RowMapping, what: str) -> Any:
        """What a stored value would be after it went out and came in again."""
        stored = self._open(what, was["id"], was[key]) if key in SECRETS else was[key]
        if stored is not None and key in ("name", *cells.PROSE):
            kept = cells.clean(stored, as_written=True)
            return cells.name(kept) if key == "name" else kept
        return stored

    def _person(self, phone: str, name: str, lang: str = "zh") -> None:
        if phone not in self.picture.persons:
            self.picture.persons[phone] = name
            self.draft.persons[phone] = (name, lang)

    def _note(
        self, row: Row, subject: tuple[str, Any], title: str, what: str,
        fields: dict[str, tuple[Any, Any]],
    ) -> None:
        shown = {
            key: (None, None) if key in SECRETS else (_plain(was), _plain(new))
            for key, (was, new) in fields.items()
        }
        self.draft.changes.append(Change(row.line, subject, title, what, shown))


def _who_is(contact: Contact) -> str:
    return f"{contact.name} {cells.phone_text(contact.phone)}"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
