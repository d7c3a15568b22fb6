"""What could not be taken in: kept for staff to look at. A press among it calls the care centre.

Docs: docs/adr/0022. It must never give a receipt, nor send anybody to a door.
"""

import base64
import json
import re
from dataclasses import dataclass
from datetime import datetime

from server.core.words import ALARMS, Fault, SignalType
from server.database import Tx
from server.service import raising
from server.service.house import House
from server.store import journal, signals

ALARM_TOPIC = re.compile(r"xunlou/v1/t/(?P<t>[a-z0-9-]{1,32})/evt/(?P<what>sos|fall)")


@dataclass(frozen=True, slots=True)
class Reject:
    """What the gateway could not read."""

    topic: str
    payload: bytes
    reason: str


def unknown(
    tx: Tx,
    house: House,
    terminal_id: str,
    kind: SignalType,
    identity: tuple[int, int],
    *,
    test: bool,
    seen_at: datetime,
) -> None:
    """An event of a terminal that we do not know, or that is lost or revoked. `identity`: boot and
    seq."""
    topic = f"xunlou/v1/t/{terminal_id}/evt/{kind.value}"
    payload = f'{{"boot":{identity[0]},"seq":{identity[1]}}}'.encode()
    new = _kept(tx, Reject(topic, payload, "unknown_terminal"))
    if kind in ALARMS:
        raising.unplaced(
            tx, house, Fault.UNKNOWN_TERMINAL_SOS, terminal_id, new=new,
            fall=kind is SignalType.FALL, test=test, pressed_at=seen_at,
        )  # fmt: skip


def rejected(tx: Tx, house: House, reject: Reject) -> None:
    """What the gateway could not read. On an alarm's topic it may still be somebody's press."""
    new = _kept(tx, reject)
    about = ALARM_TOPIC.fullmatch(reject.topic)
    if about is not None:
        raising.unplaced(
            tx, house, Fault.UNREADABLE_SOS, about["t"], new=new,
            fall=about["what"] == SignalType.FALL, pressed_at=tx.now, detail=reject.reason,
        )  # fmt: skip


def _kept(tx: Tx, reject: Reject) -> bool:
    """Keep it; only its first copy is worth a journal entry. Returns whether this is the first."""
    new = signals.quarantine(
        tx.conn, reject.topic, reject.payload, reject.reason, tx.now, _same_event(reject.payload)
    )
    if new:
        journal.note(tx, "quarantined", topic=reject.topic[:256], reason=reject.reason)
    return new


def _same_event(payload: bytes) -> bytes:
    """What all copies of one event have in common: a terminal that gets no receipt sends it again
    every few seconds, each time as another attempt. Bytes that can't be read: all of them."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return payload
    if not isinstance(body, dict) or "boot" not in body or "seq" not in body:
        return payload
    return json.dumps([body["boot"], body["seq"]]).encode()


def decode_payload(text: str) -> bytes:
    """The bytes of a reject's payload. Raises ValueError when it is not base64."""
    return base64.b64decode(text, validate=True)
