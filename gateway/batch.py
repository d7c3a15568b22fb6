"""From parsed messages to the body of one POST. Pure; it must never decide what is acked."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.contract import Canary, CmdAck, Event, Heartbeat, Message, Reason, Reject, Status
from gateway.delivery import Received

Kind = Literal["signals", "heartbeats", "statuses", "cmd_acks", "canaries", "rejects"]

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

    @property
    def in_order(self) -> bool:
        """Whether the server must hear it after what came before it: all but signs of life, which
        say the same in any order."""
        if self.kind == "signals":
            return bool(self.body["type"] != "checkin")
        return self.kind not in ("heartbeats", "canaries")


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
        case Canary():
            # Its age counts from its sending, not from when it reached us.
            back = {"back_at_ms": message.back_at_ms, "rtt_ms": message.rtt_ms}
            body = {"lane": message.lane, "boot": message.boot, "seq": message.seq, **back}
            return Entry("canaries", body, received, message.at_ms / 1000)
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


def build_body(
    gateway_id: str, entries: Sequence[Entry], now_s: float, *, canary_every_s: float = 0.0
) -> bytes:
    """JSON of one POST; order within each list is the order of `entries`.

    `canary_every_s` tells the server what to expect: a canary that never came can't be missed.

    ASCII only on purpose: a lone surrogate in a topic would make any other encoding raise.
    """
    lists: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        body = entry.body
        if entry.kind == "signals":
            body = {**body, "held_ms": max(0, int((now_s - entry.at_s) * 1000))}
        elif entry.kind == "canaries":
            body = _canary_body(body, entry.at_s, now_s)
        lists.setdefault(entry.kind, []).append(body)
    whole = {"gateway": gateway_id, "canary_every_s": canary_every_s, **lists}
    return json.dumps(whole, separators=(",", ":")).encode("ascii")


def _canary_body(body: dict[str, Any], at_s: float, now_s: float) -> dict[str, Any]:
    told = {"lane": body["lane"], "age_ms": max(0, int((now_s - at_s) * 1000))}
    if body["back_at_ms"] is not None and body["rtt_ms"] is not None:
        told["returned_age_ms"] = max(0, int(now_s * 1000) - body["back_at_ms"])
        told["rtt_ms"] = body["rtt_ms"]
    return told
