"""The end of what is held of one person, at their wish or when it is needed no more.

What figures count stays, without a name, a door or a word. It must never take away what a press
still needs: nobody is erased who is watched, has a terminal in service or an open alert, or still
stands behind a target. What has to be searched for is found by a reader first: writers wait for a
few rows only.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from server.core import cells
from server.database import Database, Tx
from server.service.refusals import Refused, Unknown
from server.store import alerts, journal, people
from server.store import erasing as store

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Traces:
    """Where somebody stands in long tables: entries of the journal, entries about a door that was
    nobody else's, changes of the register, help requests."""

    entries: tuple[int, ...] = ()
    door: tuple[int, ...] = ()
    changes: tuple[int, ...] = ()
    requests: tuple[int, ...] = ()


def of_resident(conn: Connection, resident_id: int) -> Traces:
    """A resident's traces."""
    row = store.resident(conn, resident_id)
    if row is None or row["flat_id"] is None:
        return Traces()
    shared = store.others_behind(conn, row["flat_id"], resident_id)
    door = () if shared else tuple(store.behind_door(conn, row["flat_id"]))
    found = store.about_resident(conn, store.JOURNAL, resident_id)
    return Traces(tuple(r["seq"] for r in found), door)


def of_person(conn: Connection, person_id: int) -> Traces:
    """A contact's traces."""
    if not people.has_person(conn, person_id):
        return Traces()
    row = people.person(conn, person_id)
    found = store.naming(conn, _number(row["phone"]), f"{row['name']}: ")
    requests = store.requests_naming(conn, person_id, row["name"])
    return Traces(changes=tuple(found), requests=tuple(requests))


def resident(tx: Tx, resident_id: int, traces: Traces, *, who: str, why: str) -> Json:
    """Erase a resident. Says which contacts stood by them alone: they are erased by themselves.
    Again is as good as once. Raises Unknown, or Refused with what has to be done first."""
    row = store.resident(tx.conn, resident_id)
    if row is None:
        raise Unknown(f"there is no resident {resident_id}")
    if row["flat_id"] is None:
        return {"id": resident_id, "contacts_left": []}
    if row["state"] != "ended":
        raise Refused(f"resident {resident_id} is watched: end the watching first",
                      zh="这位住户还在守护中,请先停止守护。")  # fmt: skip
    if open_ids := alerts.open_about(tx.conn, resident_id):
        listed = ", ".join(str(i) for i in open_ids)
        raise Refused(f"alert {listed} about this resident is open: resolve it first",
                      zh=f"警报{listed}尚未了结,请先了结。")  # fmt: skip
    if terminals := people.terminals_of(tx.conn, resident_id):
        listed = ", ".join(terminals)
        raise Refused(f"terminal {listed} is still theirs: fetch it, and give it to somebody else "
                      "or to nobody, or a press on it would lead to no door",
                      zh=f"终端{listed}还在这位住户名下,请先收回并改派,"
                      "否则按下后不知去哪一户。")  # fmt: skip
    contacts = store.erase_resident(tx.conn, resident_id, traces.entries, traces.door)
    journal.note(
        tx, "resident_erased", building_id=row["building_id"], resident_id=resident_id, by=who,
        why=why,
    )  # fmt: skip
    left = [p for p in contacts if not people.roles_of(tx.conn, p)]
    return {"id": resident_id, "contacts_left": left}


def person(tx: Tx, person_id: int, traces: Traces, *, who: str, why: str) -> Json:
    """Erase a contact who stands behind no target any more. Again is as good as once. Raises
    Unknown, or Refused with what has to be done first."""
    if not people.has_person(tx.conn, person_id):
        raise Unknown(f"there is no person {person_id}")
    row = people.person(tx.conn, person_id)
    if row["name"] == store.GONE:
        return {"id": person_id}
    if roles := people.roles_of(tx.conn, person_id):
        listed = ", ".join(sorted({r["role"] for r in roles}))
        raise Refused(f"person {person_id} is still {listed}: put another in their place first",
                      zh="此人仍有职责,请先登记接替的人或解除职责。")  # fmt: skip
    if open_ids := store.open_alerts_of(tx.conn, person_id):
        listed = ", ".join(str(i) for i in open_ids)
        raise Refused(f"person {person_id} was told of alert {listed}, which is open: resolve it "
                      "first", zh=f"此人接到过警报{listed},尚未了结,请先了结。")  # fmt: skip
    store.erase_person(
        tx.conn, person_id, row["name"], _number(row["phone"]), traces.changes,
        traces.requests,
    )
    journal.note(tx, "person_erased", person_id=person_id, by=who, why=why)
    return {"id": person_id}


async def erase(
    database: Database, kind: str, row_id: int, *, who: str, why: str
) -> Json:
    """Erase a "resident" or a "person": found by a reader, done in one transaction."""
    find, act = (of_resident, resident) if kind == "resident" else (of_person, person)
    traces = await database.read(lambda c: find(c, row_id))
    return await database.write(lambda tx: act(tx, row_id, traces, who=who, why=why))


def _number(phone: str) -> str:
    return cells.phone_text(phone)
