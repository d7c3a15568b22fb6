"""Everything that is held of one person: found for an export, and taken away for an erasure.

What figures count stays: that there was an alert, in which building, of which kind, how it ended.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, RowMapping, String, cast, delete, or_, select, update
from sqlalchemy import Table as SqlTable

from server import tables as t
from server.core.words import Kind, State
from server.tables import EPOCH

ALERT, ITEM, MESSAGE = t.table(t.Alert), t.table(t.AlertItem), t.table(t.Message)
RESIDENT, ASSIGNMENT, TERMINAL = t.table(t.Resident), t.table(t.Assignment), t.table(t.Terminal)
PERSON, SHIFT, INBOUND = t.table(t.Person), t.table(t.DutyShift), t.table(t.Inbound)
JOURNAL, CHANGE, REPORT = t.table(t.Journal), t.table(t.RegisterChange), t.table(t.RoundReport)
LINK, SIGNAL, BATTERY = t.table(t.StewardLink), t.table(t.Signal), t.table(t.BatteryDay)
CONSENT, AUDIT = t.table(t.Consent), t.table(t.Audit)
REQUEST, VISIT, GREETING = t.table(t.HelpRequest), t.table(t.Visit), t.table(t.Greeting)
GONE = "已删除"
"""Stands where a name stood."""
LOT = 500
Rows = Sequence[RowMapping]


def rows(conn: Connection, column: Column[Any], values: Collection[Any]) -> list[RowMapping]:
    """A table's rows whose column has one of these values, by their key."""
    table, wanted = column.table, list(values)
    order = list(table.primary_key.columns)
    found: list[RowMapping] = []
    for n in range(0, len(wanted), LOT):
        query = select(table).where(column.in_(wanted[n : n + LOT])).order_by(*order)
        found += conn.execute(query).mappings().all()
    return found


def naming(conn: Connection, *words: str) -> list[int]:
    """Changes of the register that say one of these. Reads the whole table."""
    text = cast(CHANGE.c.fields, String)
    said = (text.contains(json.dumps(word)[1:-1], autoescape=True) for word in words)
    return list(conn.execute(select(CHANGE.c.id).where(or_(*said))).scalars())


def requests_naming(conn: Connection, person_id: int, name: str) -> list[int]:
    """Help requests that a contact helped in, asked for or paid. Reads the whole table."""
    said = cast(REQUEST.c.steps, String).contains(json.dumps(name)[1:-1], autoescape=True)
    of_them = or_(
        REQUEST.c.helper_id == person_id, REQUEST.c.payer_id == person_id,
        REQUEST.c.asked_by == name, said,
    )  # fmt: skip
    return list(conn.execute(select(REQUEST.c.id).where(of_them)).scalars())


def about_resident(conn: Connection, table: SqlTable, resident_id: int) -> list[RowMapping]:
    """Journal or audit entries that name this resident by number. Reads the whole table: for
    readers, never while others wait to write."""
    about, key = (AUDIT.c.about, AUDIT.c.id) if table is AUDIT else (JOURNAL.c.data, JOURNAL.c.seq)
    # A first sieve in the database; JSON is asked exactly here, alike on both.
    text = cast(about, String)
    sieve = text.contains("resident_id") & text.contains(str(resident_id), autoescape=True)
    found = conn.execute(select(table).where(sieve).order_by(key)).mappings()
    return [r for r in found if _names(r[about.name], resident_id)]


def behind_door(conn: Connection, flat_id: int) -> list[int]:
    """Numbers of the journal's entries about a door; of a whole table, as above."""
    return list(conn.execute(select(JOURNAL.c.seq).where(JOURNAL.c.flat_id == flat_id)).scalars())


def others_behind(conn: Connection, flat_id: int, resident_id: int) -> bool:
    """Whether somebody else lives or lived behind this door, as far as is known."""
    query = select(RESIDENT.c.id).where(RESIDENT.c.flat_id == flat_id, RESIDENT.c.id != resident_id)
    return conn.execute(query).first() is not None


def _names(data: Any, resident_id: int) -> bool:
    return data.get("resident_id") == resident_id or resident_id in data.get("resident_ids", ())


def resident(conn: Connection, resident_id: int) -> RowMapping | None:
    """The row, also of somebody who was erased."""
    return conn.execute(select(RESIDENT).where(RESIDENT.c.id == resident_id)).mappings().first()


def open_alerts_of(conn: Connection, person_id: int) -> list[int]:
    """Open alerts of which this person was told."""
    query = (
        select(ALERT.c.id).distinct()
        .join(MESSAGE, MESSAGE.c.alert_id == ALERT.c.id)
        .where(MESSAGE.c.person_id == person_id, ALERT.c.state != State.RESOLVED)
    )
    return list(conn.execute(query.order_by(ALERT.c.id)).scalars())


def told_of(conn: Connection, person_id: int) -> list[int]:
    """Every alert of which this person was told."""
    query = select(MESSAGE.c.alert_id).where(
        MESSAGE.c.person_id == person_id, MESSAGE.c.alert_id.is_not(None)
    )
    return list(conn.execute(query.distinct()).scalars())


def erase_resident(
    conn: Connection, resident_id: int, entries: Collection[int], door: Collection[int]
) -> list[int]:
    """Leave of a resident what figures count; the contacts who stood by them. `entries`: of the
    journal, about them; `door`: those about a door that was nobody else's."""
    own = select(ALERT.c.id).where(ALERT.c.resident_id == resident_id, ALERT.c.kind != Kind.MISSED)
    alert_ids = list(conn.execute(own).scalars())
    conn.execute(update(RESIDENT).where(RESIDENT.c.id == resident_id).values(
        name=GONE, birth_date=EPOCH.date(), sex="", phone="", access_notes="", risks="",
        sounds="", class_by=None, class_why="", class_at=None, last_sign_at=None, flat_id=None,
        next_due_at=None, absent_until=None,
    ))  # fmt: skip
    contacts = list(conn.execute(
        select(ASSIGNMENT.c.person_id).distinct().where(ASSIGNMENT.c.resident_id == resident_id)
    ).scalars())  # fmt: skip
    conn.execute(delete(ASSIGNMENT).where(ASSIGNMENT.c.resident_id == resident_id))
    conn.execute(
        update(TERMINAL).where(TERMINAL.c.resident_id == resident_id).values(resident_id=None)
    )
    conn.execute(
        update(ITEM).where(ITEM.c.resident_id == resident_id).values(flat_id=None, label="")
    )
    blank = {"phone": "", "body": ""}
    conn.execute(update(MESSAGE).where(MESSAGE.c.resident_id == resident_id).values(**blank))
    for n in range(0, len(alert_ids), LOT):
        lot = alert_ids[n : n + LOT]
        conn.execute(update(ALERT).where(ALERT.c.id.in_(lot)).values(
            note="", detail="", terminal_id=None
        ))  # fmt: skip
        # What was told of them says the door and the age.
        conn.execute(update(MESSAGE).where(MESSAGE.c.alert_id.in_(lot)).values(body=""))
        conn.execute(update(INBOUND).where(INBOUND.c.alert_id.in_(lot)).values(body=""))
    found = {r["seq"]: r for r in rows(conn, JOURNAL.c.alert_id, alert_ids)}
    found |= {r["seq"]: r for r in rows(conn, JOURNAL.c.seq, entries)}
    _strip(conn, found)
    doors = list(door)
    for n in range(0, len(doors), LOT):
        lot = doors[n : n + LOT]
        conn.execute(update(JOURNAL).where(JOURNAL.c.seq.in_(lot)).values(flat_id=None))
    blanked = update(CHANGE).where(CHANGE.c.subject == f"resident:{resident_id}")
    conn.execute(blanked.values(why="", fields={}))
    for table in (VISIT, GREETING):
        conn.execute(delete(table).where(table.c.resident_id == resident_id))
    asked = REQUEST.c.resident_id == resident_id
    conn.execute(update(REQUEST).where(asked).values(words=GONE, why="", steps=[]))
    return contacts


def _strip(conn: Connection, found: Mapping[int, RowMapping]) -> None:
    """Of entries about somebody: kind, instant, building, who acted. No door, no words."""
    for seq, row in found.items():
        kept = {k: v for k, v in row["data"].items() if k not in WORDS}
        conn.execute(
            update(JOURNAL).where(JOURNAL.c.seq == seq).values(flat_id=None, data=kept)
        )


WORDS = frozenset({
    "why", "note", "detail", "name", "label", "labels", "flat", "terminal", "terminals", "until",
    "was", "now", "body",
})  # fmt: skip
"""What a journal entry may say of somebody beside what happened."""


def erase_person(
    conn: Connection, person_id: int, name: str, number: str, changes: Collection[int],
    requests: Collection[int],
) -> None:
    """Leave of a contact what figures count. `changes`: ids of the register's history that say
    their `number`, as it is written there; `requests`: of help requests that name them."""
    _unname(conn, person_id, name, requests)
    conn.execute(update(PERSON).where(PERSON.c.id == person_id).values(
        name=GONE, phone=f"erased:{person_id}", opted_out_at=None, failing_since=None
    ))  # fmt: skip
    conn.execute(delete(SHIFT).where(SHIFT.c.person_id == person_id))
    conn.execute(delete(LINK).where(LINK.c.person_id == person_id))
    blank = {"phone": "", "body": ""}
    for table in (MESSAGE, INBOUND):
        conn.execute(update(table).where(table.c.person_id == person_id).values(**blank))
    conn.execute(
        update(REPORT).where(REPORT.c.person_id == person_id).values(by=f"{GONE} {person_id}")
    )
    alert_ids = told_of(conn, person_id)
    for row in rows(conn, ALERT.c.id, alert_ids):
        values: dict[str, Any] = {}
        if any(r.get("person_id") == person_id for r in row["responders"]):
            values["responders"] = [
                {**r, "name": GONE} if r.get("person_id") == person_id else r
                for r in row["responders"]
            ]
        if row["resolved_by"] == name:
            values["resolved_by"] = GONE
        if values:
            conn.execute(update(ALERT).where(ALERT.c.id == row["id"]).values(**values))
    _rewrite(conn, JOURNAL, "data", rows(conn, JOURNAL.c.alert_id, alert_ids),
             lambda v: GONE if v == name else v)  # fmt: skip
    _rewrite(conn, CHANGE, "fields", rows(conn, CHANGE.c.id, changes),
             lambda v: [None, None] if any(w in str(v) for w in (number, f"{name}: ")) else v)
    own = update(CHANGE).where(CHANGE.c.subject == f"person:{person_id}")
    conn.execute(own.values(why="", fields={}))


def _unname(conn: Connection, person_id: int, name: str, requests: Collection[int]) -> None:
    """Help requests and visits without the name of whoever helped."""
    for row in rows(conn, REQUEST.c.id, requests):
        steps = [{k: GONE if v == name else v for k, v in s.items()} for s in row["steps"]]
        conn.execute(update(REQUEST).where(REQUEST.c.id == row["id"]).values(
            asked_by=GONE if row["asked_by"] == name else row["asked_by"],
            helper=GONE if row["helper"] == name else row["helper"], steps=steps,
        ))  # fmt: skip
    went = update(VISIT).where(VISIT.c.visitor_id == person_id)
    conn.execute(went.values(visitor=GONE))


def _rewrite(
    conn: Connection, table: SqlTable, column: str, found: Rows | list[RowMapping],
    change: Callable[[Any], Any],
) -> None:
    (key,) = table.primary_key.columns
    for row in found:
        new = {k: change(v) for k, v in row[column].items()}
        if new != row[column]:
            conn.execute(update(table).where(key == row[key.name]).values({column: new}))
