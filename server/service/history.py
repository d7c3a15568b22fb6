"""The history of the register: one row for each change, whichever way it came.

What leads into a home or tells of health is never in it, only that it changed: what once led to a
door must not outlive it.
"""

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

from server.core import cells
from server.core.words import Role
from server.database import Tx
from server.store import communities, people
from server.store import register as store

Change = tuple[Any, Any]
"""A field before and after."""
HIDDEN: Change = (object(), None)
"""It changed; what it was and is stays where it is."""
ADDED, CHANGED, ENDED = "added", "changed", "ended"


class Via(StrEnum):
    """By which way a change came. `page`, `command`: by a file."""

    FORM = "form"
    API = "api"
    PAGE = "page"
    COMMAND = "command"
    RULE = "rule"


def note(
    tx: Tx, subject: str, fields: Mapping[str, Change], *, who: str, why: str, via: str,
    what: str = CHANGED,
) -> None:
    """Keep what changed of `subject` ("resident:17", "building:2", "community:1", "person:3").
    A field that is the same before and after is no change."""
    changed = {
        key: [None, None] if change is HIDDEN else [_plain(change[0]), _plain(change[1])]
        for key, change in fields.items()
        if change[0] != change[1]
    }
    if changed or what != CHANGED:
        store.note_changes(tx.conn, [
            {"at": tx.now, "by": who, "why": why, "via": str(via), "subject": subject,
             "what": what, "fields": changed}
        ])  # fmt: skip


def of_person(tx: Tx, person_id: int, fields: Mapping[str, Change], **said: Any) -> None:
    """The same of a contact, and of every place behind which they stand: whoever asks what became
    of a building looks at the building."""
    note(tx, f"person:{person_id}", fields, **said)
    for subject in sorted({subject_of(r) for r in people.roles_of(tx.conn, person_id)}):
        note(tx, subject, fields, **said)


def subject_of(assignment: Mapping[str, Any] | RowMapping) -> str:
    """What somebody's place belongs to."""
    for kind in ("building", "resident", "community"):
        if assignment[f"{kind}_id"] is not None:
            return f"{kind}:{assignment[f'{kind}_id']}"
    raise AssertionError("an assignment has a place")


def role_field(role: str, position: int = 0) -> str:
    """The field under which somebody's place is kept, as an import names it."""
    if role == Role.STEWARD:
        return "head" if position == 1 else "second"
    return role


def contact(row: Mapping[str, Any] | RowMapping) -> str:
    """Somebody as the history names them: name and number."""
    return f"{row['name']} {cells.phone_text(row['phone'])}"


def until(tx: Tx, at: datetime | None, facts: communities.CommunityFacts | None) -> str | None:
    """The end of an absence, in the time of the community of whoever is away."""
    if at is None or at <= tx.now:
        return None
    zone: tzinfo | None = facts.zone if facts else at.tzinfo
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
