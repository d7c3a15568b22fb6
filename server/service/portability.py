"""Everything that is held of one person, as JSON: for whoever asks what we know of them.

It leaves for a reason, and that it did is in journal and audit. A note that can't be opened is
named as such and never left out in silence. Others stand in it by what they did, with their numbers
masked.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core.hours import Account, AccountKind
from server.database import Tx
from server.service import consenting
from server.service.answering import masked
from server.service.refusals import Unknown
from server.store import assigning, hours, journal, notes, people
from server.store import erasing as store
from server.vault import Vault

Json = dict[str, Any]
FORM = 1
"""Of the file; counted on when a field changes its meaning."""


def resident(conn: Connection, vault: Vault, resident_id: int) -> Json:
    """All that is held of a resident. Raises Unknown."""
    row = store.resident(conn, resident_id)
    door = people.resident(conn, resident_id)
    if row is None or door is None:  # erased: nothing is held
        raise Unknown(f"there is no resident {resident_id}")
    found, unreadable = _opened(vault, "resident", row)
    behind = []
    for a in store.rows(conn, store.ASSIGNMENT.c.resident_id, [resident_id]):
        own, lost = _opened(vault, "assignment", a)
        unreadable += lost
        contact = people.person(conn, a["person_id"])
        behind.append({**own, "name": contact["name"], "phone_masked": masked(contact["phone"])})
    items = store.rows(conn, store.ITEM.c.resident_id, [resident_id])
    alerts = store.rows(conn, store.ALERT.c.resident_id, [resident_id])
    terminals = store.rows(conn, store.TERMINAL.c.resident_id, [resident_id])
    theirs = [r["id"] for r in terminals]
    return {
        "form": FORM, "of": "resident", "unreadable": unreadable,
        "resident": {
            **found, "building": door["building_number"], "flat": door["label"],
            "floor": door["floor"],
        },
        "contacts": behind,
        "consents": consenting.listed(conn, resident_id),
        "requests": _all(store.rows(conn, store.REQUEST.c.resident_id, [resident_id])),
        "visits": _all(store.rows(conn, store.VISIT.c.resident_id, [resident_id])),
        "greetings": _all(store.rows(conn, store.GREETING.c.resident_id, [resident_id])),
        "hours_drawn": _all(hours.of(conn, Account(AccountKind.DRAWN, resident_id))),
        "terminals": _all(terminals),
        "signals": _all(store.rows(conn, store.SIGNAL.c.terminal_id, theirs)),
        "battery": _all(store.rows(conn, store.BATTERY.c.terminal_id, theirs)),
        "alerts": _all(alerts, without="ladder"),
        "missed_rounds": _all(items),
        "messages": _all(store.rows(conn, store.MESSAGE.c.resident_id, [resident_id])),
        "changes": _all(store.rows(conn, store.CHANGE.c.subject, [f"resident:{resident_id}"])),
        "journal": _all(store.about_resident(conn, store.JOURNAL, resident_id)),
        "looks": _all(store.about_resident(conn, store.AUDIT, resident_id), without="digest"),
    }  # fmt: skip


def person(conn: Connection, vault: Vault, person_id: int) -> Json:
    """All that is held of a contact. Raises Unknown."""
    if not people.has_person(conn, person_id):
        raise Unknown(f"there is no person {person_id}")
    row = people.person(conn, person_id)
    places, unreadable = [], []
    for a in assigning.all_of(conn, person_id=person_id):
        full = assigning.by_id(conn, a["id"])
        assert full is not None, "it was listed"
        own, lost = _opened(vault, "assignment", full)
        places.append(own)
        unreadable += lost
    alerts = store.rows(conn, store.ALERT.c.id, store.told_of(conn, person_id))
    went = [
        {"alert_id": a["id"], **r}
        for a in alerts for r in a["responders"] if r.get("person_id") == person_id
    ]  # fmt: skip
    return {
        "form": FORM, "of": "person", "unreadable": unreadable,
        "person": _plain(row), "assignments": places,
        "shifts": _all(store.rows(conn, store.SHIFT.c.person_id, [person_id])),
        "messages": _all(store.rows(conn, store.MESSAGE.c.person_id, [person_id])),
        "replies": _all(store.rows(conn, store.INBOUND.c.person_id, [person_id])),
        "rounds_reported": _all(store.rows(conn, store.REPORT.c.person_id, [person_id])),
        "went_to": went,
        "requests": _all(store.rows(conn, store.REQUEST.c.helper_id, [person_id])),
        "visits": _all(store.rows(conn, store.VISIT.c.visitor_id, [person_id])),
        "hours": _all(hours.of(conn, Account(AccountKind.SAVED, person_id))),
        "changes": _all(store.rows(conn, store.CHANGE.c.subject, [f"person:{person_id}"])),
    }  # fmt: skip


def note(tx: Tx, kind: str, row_id: int, *, who: str, why: str) -> None:
    """That it left, with who and why. Written before it leaves."""
    journal.note(tx, f"{kind}_exported", **{f"{kind}_id": row_id}, by=who, why=why)


def _opened(vault: Vault, table: str, row: RowMapping) -> tuple[Json, list[str]]:
    """A row with its notes open, and the names of those that can't be opened."""
    found, lost = _plain(row), []
    for name in row:
        what = f"{table}.{name}"
        if what in notes.SEALED:
            found[name] = vault.open(what, row["id"], row[name])
            if found[name] is None:
                lost.append(f"{what} {row['id']}")
    return found, lost


def _all(rows: list[RowMapping], without: str = "") -> list[Json]:
    return [{k: v for k, v in _plain(r).items() if k != without} for r in rows]


def _plain(row: RowMapping) -> Json:
    return {
        k: v.isoformat() if isinstance(v, datetime | date) else v
        for k, v in row.items()
    }
