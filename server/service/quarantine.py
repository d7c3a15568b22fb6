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
from server.store import events, journal, people, signals

ALARM_TOPIC = re.compile(r"xunlou/v1/t/(?P<t>[a-z0-9-]{1,32})/evt/(?P<what>sos|fall)")
COUNTER_MAX = 2**53 - 1
"""Of boot and seq, by the wire contract."""


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


def lost(tx: Tx, house: House, terminal_id: str) -> None:
    """The will of a terminal that nobody entered: a bridge, as likely as not, with presses behind
    it that nobody hears. One that stands in the register, lost or revoked, is known about."""
    if people.terminal(tx.conn, terminal_id) is not None:
        return
    topic = f"xunlou/v1/t/{terminal_id}/status"
    _kept(tx, Reject(topic, b'{"s":"lost"}', "unknown_terminal"))
    raising.fault(tx, house, Fault.UNKNOWN_TERMINAL_LOST, terminal_id, detail=terminal_id)


def rejected(tx: Tx, house: House, reject: Reject) -> None:
    """What the gateway could not read. On an alarm's topic it may still be somebody's press, unless
    it is one that we have: a broker repeats a retained press at every new start of a gateway."""
    new = _kept(tx, reject)
    about = ALARM_TOPIC.fullmatch(reject.topic)
    if about is not None:
        identity = _identity(reject.payload)
        had = identity is not None and events.is_stored(tx.conn, about["t"], *identity)
        raising.unplaced(
            tx, house, Fault.UNREADABLE_SOS, about["t"], new=new and not had,
            fall=about["what"] == SignalType.FALL, pressed_at=tx.now, detail=reject.reason,
        )  # fmt: skip


def _kept(tx: Tx, reject: Reject) -> bool:
    """Keep it; only its first copy is worth a journal entry. Returns whether this is the first. A
    terminal that gets no receipt sends a press again every few seconds, each time as another
    attempt: what its copies have in common is the identity."""
    identity = _identity(reject.payload)
    same = reject.payload if identity is None else json.dumps(identity).encode()
    new = signals.quarantine(
        tx.conn, reject.topic, reject.payload, reject.reason, tx.now, same
    )
    if new:
        journal.note(tx, "quarantined", topic=reject.topic[:256], reason=reject.reason)
    return new


def _identity(payload: bytes) -> tuple[int, int] | None:
    """Boot and seq, where these can be read at all."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    boot, seq = body.get("boot"), body.get("seq")
    if type(boot) is not int or type(seq) is not int:  # a bool is no number here
        return None
    return (boot, seq) if 0 <= boot <= COUNTER_MAX and 0 <= seq <= COUNTER_MAX else None


def decode_payload(text: str) -> bytes:
    """The bytes of a reject's payload. Raises ValueError when it is not base64."""
    return base64.b64decode(text, validate=True)
