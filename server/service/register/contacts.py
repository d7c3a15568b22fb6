"""Contacts changed by hand: their name, number and language, wherever they stand."""

from collections.abc import Mapping

from sqlalchemy import RowMapping

from server.core import cells
from server.core.access import EVERYWHERE, Scope
from server.core.cells import Bad, Why
from server.core.words import Role
from server.database import Tx
from server.service import assigning, history
from server.service.refusals import Unknown
from server.service.register.forms import Said, misfit, unchanged_since
from server.store import people, scopes
from server.store import register as store

OFFICES = (Role.DUTY, Role.STREET, Role.DISTRICT)


def correct(
    tx: Tx, person_id: int, *, name: str, phone: str, lang: str, seen: int, said: Said,
    scope: Scope = EVERYWHERE,
) -> None:
    """Put a contact's name, number or language right, wherever they stand. With a new number what
    was known of the old one's reach is forgotten. Raises Unknown, Misfit or Stale."""
    said = said.checked()
    if not people.has_person(tx.conn, person_id):
        raise Unknown(f"there is no person {person_id}")
    unchanged_since(tx, "person", person_id, seen)
    was = people.person(tx.conn, person_id)
    new = _read(name, phone, lang)
    other = people.person_by_phone(tx.conn, new["phone"])
    if other is not None and other["id"] != person_id:
        if scopes.beyond(tx.conn, scope, "person_id", str(other["id"])):
            raise misfit("phone", Why.NUMBER_BEYOND)
        raise misfit("phone", Why.NUMBER_OF_ANOTHER, other["name"])
    changed = {k: v for k, v in new.items() if v != was[k]}
    if not changed:
        return
    reach = {"opted_out_at": None, "failing_since": None} if "phone" in changed else {}
    people.set_person(tx.conn, person_id, **changed, **reach)

    def shown(row: Mapping[str, str] | RowMapping, key: str) -> str:
        return history.contact(row) if key != "lang" else f"{row['name']}: {row['lang']}"

    keys = {"lang" if key == "lang" else "contact" for key in changed}
    fields = {key: (shown(was, key), shown(new, key)) for key in keys}
    history.of_person(tx, person_id, fields, who=said.who, why=said.why, via=said.via)


def wanted(role: str, name: str, phone: str, lang: str) -> assigning.Wanted:
    """Somebody for the care centre or an office above. Raises Misfit."""
    if role not in OFFICES:
        raise misfit("role", Why.NOT_A_WORD, ", ".join(OFFICES))
    found = _read(name, phone, lang or "zh")
    return assigning.Wanted(
        Role(role), name=found["name"], phone=found["phone"], lang=found["lang"]
    )


def leave_office(tx: Tx, assignment_id: int, said: Said) -> None:
    """Take somebody off the care centre or an office above. Raises Unknown or Refused."""
    if not any(a["id"] == assignment_id and a["role"] in OFFICES for a in store.offices(tx.conn)):
        raise Unknown(f"assignment {assignment_id} is no office's")
    assigning.remove(tx, assignment_id, who=said.who, why=said.why, via=said.via)


def _read(name: str, phone: str, lang: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, raw in (("name", name), ("phone", phone), ("lang", lang)):
        try:
            value = cells.value(key, raw)
        except Bad as bad:
            raise misfit(key, bad.why, bad.detail) from bad
        if not value:
            raise misfit(key, Why.EMPTY)
        found[key] = str(value)
    return found
