"""What happens during a call: what it says, and what a key does.

A key acts just as the reply by SMS does (acting.py). The provider may ask the same thing twice: an
act is taken once, the words are said again. A machine that picked up is no person, whatever it
presses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping

from server.core import delivery, keypress, speech
from server.core.keypress import Key
from server.core.messages import Subject
from server.core.speech import Line
from server.core.words import Channel, Delivery, State
from server.database import Tx
from server.service import acting, effects, receipts, resident_calls
from server.service.house import House
from server.store import alerts, outbox, people

MOST_TURNS = 9
"""So often may somebody press 9 or a wrong key; then the call ends by itself."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the call says next, and whether it then listens for a key (else it ends)."""

    lang: str = "zh"
    words: str = ""
    listen: bool = False


def answered(tx: Tx, house: House, message_id: int, answered_by: str) -> Said:
    """Somebody, or something, picked up."""
    row = _call(tx, message_id)
    if row is None:
        return Said()
    if keypress.is_machine(answered_by):
        receipts.take_delivery(
            tx, house, message_id, Delivery.UNDELIVERED, delivery.MACHINE
        )
        return Said()
    if answered_by == keypress.HUMAN:
        receipts.take_delivery(tx, house, message_id, Delivery.DELIVERED)
    return _script(tx, row)


def pressed(
    tx: Tx, house: House, message_id: int, call_id: str, turn: int, digits: str
) -> Said:
    """A key was pressed, at the `turn`-th question of this call."""
    row = _call(tx, message_id)
    if row is None or row["error"] == delivery.MACHINE or turn > MOST_TURNS:
        return Said()
    receipts.take_delivery(tx, house, message_id, Delivery.DELIVERED)  # somebody is there
    lang = _lang(tx, row)
    key = keypress.key(digits)
    if key is Key.REPEAT:
        return _script(tx, row)
    if key is None or (key is Key.CANT and row["resident_id"] is not None):
        again = _script(tx, row)
        sorry = speech.line(Line.UNKNOWN_KEY, _nowhere(), lang)
        return Said(lang, f"{sorry} {again.words}", again.listen)
    fresh = outbox.add_inbound(
        tx.conn,
        {
            "provider_id": f"{call_id}:{turn}", "phone": row["phone"], "body": digits[:16],
            "received_at": tx.now, "person_id": row["person_id"], "alert_id": row["alert_id"],
            "meaning": f"key_{key.name.lower()}",
        },
    )  # fmt: skip
    if row["resident_id"] is not None:
        if fresh:
            resident_calls.is_well(tx, house, row["resident_id"])
        return Said(lang, speech.line(Line.WELL_NOTED, _nowhere(), lang))
    return _act(tx, house, row, key, fresh)


def _act(tx: Tx, house: House, row: RowMapping, key: Key, fresh: bool) -> Said:
    stored = acting.load(tx, house, row["alert_id"])
    person = people.person(tx.conn, row["person_id"])
    subject = _subject(tx, stored, person)
    lang = person["lang"]
    if stored.alert.state is State.RESOLVED:
        return Said(lang, speech.line(Line.CLOSED, subject, lang))
    if fresh:
        actor = acting.actor_told(tx, stored, person)
        acting.act(
            tx, house, stored.id, acting.event_for(keypress.ACTIONS[key], actor), actor
        )
    return Said(lang, speech.line(Line.NOTED if key is Key.GO else Line.CANT, subject, lang))


def _subject(tx: Tx, stored: alerts.Stored, person: Mapping[Any, Any]) -> Subject:
    subject = effects.subject_of(tx, stored)
    return effects.named(tx, subject, stored.row["building_id"], person)


def _call(tx: Tx, message_id: int) -> RowMapping | None:
    row = outbox.by_id(tx.conn, message_id)
    return row if row is not None and row["channel"] == Channel.VOICE else None


def _lang(tx: Tx, row: RowMapping) -> str:
    if row["person_id"] is None:
        return resident_calls.LANG
    return str(people.person(tx.conn, row["person_id"])["lang"])


def _nowhere() -> Subject:
    return Subject(building=0)


def _script(tx: Tx, row: RowMapping) -> Said:
    """The call as it was decided, and what has become of the matter since."""
    lang = _lang(tx, row)
    if row["alert_id"] is None:
        return Said(
            lang, f"{row['body']} {speech.line(Line.KEYS_WELL, _nowhere(), lang)}", listen=True
        )
    stored = alerts.shown(tx.conn, row["alert_id"])
    assert stored is not None
    subject = _subject(tx, stored, {"id": row["person_id"], "lang": lang})
    if stored.alert.state is State.RESOLVED:
        return Said(lang, speech.line(Line.CLOSED, subject, lang))
    going = any(r.person_id != row["person_id"] for r in stored.alert.responders)
    parts = [row["body"], *([Line.GOING] if going else []), Line.KEYS]
    words = " ".join(
        speech.line(p, subject, lang) if isinstance(p, Line) else str(p) for p in parts
    )
    return Said(lang, words, listen=True)
