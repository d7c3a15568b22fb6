"""From parsed messages to the body of one POST. Pure; it must never decide what is acked."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.contract import CmdAck, Event, Heartbeat, Message, Reason, Reject, Status
from gateway.delivery import Received

Kind = Literal["signals", "heartbeats", "statuses", "cmd_acks", "rejects"]

QUARANTINE_BYTES: Final = 4096
"""What staff see of a bad payload; more would only help an attacker fill the disk."""
MAX_BATCH_BYTES: Final = 1_000_000  # the server takes 2 MiB; rejects are the only big entries
_SMALL_ENTRY_BYTES: Final = 350


@dataclass(slots=True, eq=False)
class Entry:
    """One thing to tell the server, and the MQTT message to ack once it has been told.

    `received` changes when the broker redelivers the message on a new connection.
    """

    kind: Kind
    body: dict[str, Any]
    received: Received
    at_s: float
    """Monotonic seconds when it came."""

    @property
    def weight(self) -> int:
        """Rough size in the POST, bytes."""
        if self.kind == "rejects":
            return _SMALL_ENTRY_BYTES + len(self.body["payload_b64"])
        return _SMALL_ENTRY_BYTES


def make_entry(message: Message, received: Received, at_s: float) -> Entry:
    """The entry that says to the server what the contract made of a message."""
    match message:
        case Event():
            body = {"t": message.t, "type": message.type, **message.fields}
            return Entry("signals", body, received, at_s)
        case Heartbeat():
            return Entry("heartbeats", {"t": message.t, **message.fields}, received, at_s)
        case Status():
            body = {"t": message.t, "s": message.s, **message.fields}
            return Entry("statuses", body, received, at_s)
        case CmdAck():
            body = {"t": message.t, "cmd_id": message.cmd_id, "result": message.result}
            return Entry("cmd_acks", body, received, at_s)
        case Reject():
            return Entry("rejects", _reject_body(received, message.reason), received, at_s)


def turn_into_reject(entry: Entry) -> None:
    """Report the message instead of telling it, for one that the server would not take."""
    entry.body = _reject_body(entry.received, "refused")
    entry.kind = "rejects"


def _reject_body(received: Received, reason: Reason) -> dict[str, Any]:
    kept = received.payload[:QUARANTINE_BYTES]
    return {
        "topic": received.topic,
        "payload_b64": base64.b64encode(kept).decode("ascii"),
        "reason": reason,
    }


def build_body(gateway_id: str, entries: Sequence[Entry], now_s: float) -> bytes:
    """JSON of one POST; order within each list is the order of `entries`.

    ASCII only on purpose: a lone surrogate in a topic would make any other encoding raise.
    """
    lists: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        body = entry.body
        if entry.kind == "signals":
            body = {**body, "held_ms": max(0, int((now_s - entry.at_s) * 1000))}
        lists.setdefault(entry.kind, []).append(body)
    return json.dumps({"gateway": gateway_id, **lists}, separators=(",", ":")).encode("ascii")
