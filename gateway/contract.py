"""The wire between terminals and the gateway: topics in, typed facts or a named refusal out.

Pure: stdlib only, no I/O, no clock, no logging. It must never raise on any bytes a terminal can
send (a bad message has to become a `Reject`, or it would block the queue behind it), and it must
never guess: what lies outside its types is refused with a reason, not repaired.

Written by hand rather than with a validation library, because every message of every terminal
passes here: about 10 µs each instead of several tens.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

PREFIX: Final = "xunlou/v1/"
TERMINAL_PREFIX: Final = "xunlou/v1/t/"
STATE_TOPIC: Final = "xunlou/v1/srv/state"

CANARY_PREFIX: Final = "xunlou/v1/canary/"
CANARY_LANES: Final = ("sos", "bulk")

MAX_PAYLOAD_BYTES: Final = 1024
"""The contract's bound on a payload, both ways."""

RECEIPT_EXP_MS: Final = 4_102_444_800_000
"""2100-01-01. A receipt says "this is stored"; that never stops being true, so it must outlive
every clock, also a terminal's wrong one. The gateway owns no wall clock to do better with."""

EVENT_TYPES: Final = frozenset(
    {
        "sos",
        "sos_cancel",
        "checkin",
        "fall",
        "test",
        "battery_low",
        "mains_lost",
        "mains_restored",
        "tamper",
        "help",
    }
)
SOS_LANE_TYPES: Final = ("sos", "fall", "sos_cancel")
"""What travels on its own connection and never waits behind routine traffic."""

WANTS: Final = frozenset({"errand", "repair", "haircut", "wish", "other"})
"""What a `help` asks for. Nobody is called: it can wait until tomorrow."""

CMD_RESULTS: Final = frozenset({"received", "shown", "failed", "expired"})

Reason = Literal[
    "not_utf8",
    "not_json",
    "not_object",
    "oversize",
    "retained",
    "bad_topic",
    "unknown_type",
    "missing_field",
    "bad_type",
    "refused",  # never from parse(): the server refused a single entry of ours
]

TERMINAL_ID = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_CMD_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)

_MAX_COUNTER = 2**31 - 1  # what every database's plain integer holds
_MAX_MS = 2**53 - 1  # what a double, and so any JSON reader, holds exactly
_MAX_FW_CHARS = 64

# Inclusive ranges of the integer fields; the units are in the names or in docs/contract.md.
_INT_RANGES: Final[dict[str, tuple[int, int]]] = {
    "boot": (0, _MAX_COUNTER),
    "seq": (0, _MAX_COUNTER),
    "ts": (0, _MAX_MS),
    "up_ms": (0, _MAX_MS),
    "attempt": (1, _MAX_COUNTER),
    "bat": (0, 100),
    "rssi": (-200, 100),
    "hb_s": (1, 604_800),
    "cfg_v": (0, _MAX_COUNTER),
    "key_v": (0, _MAX_COUNTER),
    "at_ms": (0, _MAX_MS),
    "back_at_ms": (0, _MAX_MS),
    "rtt_ms": (0, _MAX_MS),
}
_BOOLS: Final = frozenset({"ts_ok", "buffered", "mains", "test"})

_EVENT_FIELDS: Final = (
    "boot",
    "seq",
    "ts",
    "ts_ok",
    "up_ms",
    "attempt",
    "buffered",
    "bat",
    "mains",
    "rssi",
    "test",
)
_HEARTBEAT_FIELDS: Final = ("boot", "seq", "bat", "mains", "rssi", "up_ms")
_STATUS_FIELDS: Final = ("boot", "hb_s", "cfg_v", "key_v")
_CANARY_FIELDS: Final = ("boot", "seq", "at_ms", "back_at_ms", "rtt_ms")


@dataclass(frozen=True, slots=True)
class Event:
    """A press or a device's own report. Identity is (`t`, `boot`, `seq`)."""

    t: str
    type: str
    boot: int
    seq: int
    fields: dict[str, Any]
    """The checked fields, `boot` and `seq` among them; treat as read-only."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The device lives. It says nothing about the person."""

    t: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Status:
    """`online` said by the terminal, or `lost` said by the broker in its name (last will)."""

    t: str
    s: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CmdAck:
    """What a terminal did with a command."""

    t: str
    cmd_id: str
    result: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A message that changes nothing but must be seen by staff: topic, bytes and why."""

    topic: str
    payload: bytes
    reason: Reason


@dataclass(frozen=True, slots=True)
class Canary:
    """A gateway's own message through the whole chain. Instants are ms of its monotonic clock."""

    lane: str
    boot: int
    seq: int
    at_ms: int
    back_at_ms: int | None
    rtt_ms: int | None


Message = Event | Heartbeat | Status | CmdAck | Reject | Canary


def _no_constant(name: str) -> float:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


_decode = json.JSONDecoder(parse_constant=_no_constant).decode


def parse(topic: str, payload: bytes, retain: bool) -> Message:
    """Read one message as the broker delivered it. Never raises.

    `retain` is the flag as delivered: on an event it means a replay out of the broker's memory or
    a faulty firmware, and neither may look like a press.
    """
    if topic.startswith(CANARY_PREFIX):
        return _canary(topic, payload, retain)
    t, kind, event_type = _split(topic)
    if not kind:
        return Reject(topic, payload, "bad_topic")
    if kind == "evt" and event_type not in EVENT_TYPES:
        return Reject(topic, payload, "unknown_type")
    if retain and kind != "status":
        return Reject(topic, payload, "retained")
    body = _read_object(payload)
    if isinstance(body, str):
        return Reject(topic, payload, body)
    parsed: Event | Heartbeat | Status | CmdAck | Reason
    match kind:
        case "evt":
            parsed = _event(t, event_type, body)
        case "hb":
            parsed = _heartbeat(t, body)
        case "status":
            parsed = _status(t, body)
        case _:
            parsed = _cmd_ack(t, body)
    return Reject(topic, payload, parsed) if isinstance(parsed, str) else parsed


def is_sos_lane(topic: str) -> bool:
    """Whether the SOS lane owns this topic (by its type; the terminal is not judged here)."""
    return topic.rsplit("/", 2)[1:] in _SOS_TAILS


_SOS_TAILS: Final = [["evt", event_type] for event_type in SOS_LANE_TYPES]


@lru_cache(maxsize=16_384)
def _split(topic: str) -> tuple[str, str, str]:
    """`(terminal, kind, event type)`; kind is empty when the topic is not one of ours."""
    if not topic.startswith(TERMINAL_PREFIX):
        return "", "", ""
    parts = topic[len(TERMINAL_PREFIX) :].split("/")
    t = parts[0]
    if TERMINAL_ID.fullmatch(t) is None:
        return "", "", ""
    if len(parts) == 3 and parts[1] == "evt" and parts[2]:
        return t, "evt", parts[2]
    if len(parts) == 2 and parts[1] in ("hb", "status", "cmd_ack"):
        return t, parts[1], ""
    return "", "", ""


def _read_object(payload: bytes) -> dict[str, Any] | Reason:
    if len(payload) > MAX_PAYLOAD_BYTES:
        return "oversize"
    try:
        # Decode here: json.loads would also take UTF-16 and UTF-32.
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return "not_utf8"
    try:
        body = _decode(text)
    except (ValueError, RecursionError):  # 1 KiB of "[" is deeper than Python's stack
        return "not_json"
    return body if isinstance(body, dict) else "not_object"


def _pick(body: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any] | None:
    """The known fields that are present, or None when one lies outside its type or range."""
    picked: dict[str, Any] = {}
    for name in names:
        if name not in body:
            continue
        value = body[name]
        if name in _BOOLS:
            if value is not True and value is not False:
                return None
        else:
            if type(value) is not int:  # not isinstance: True is an int to Python
                return None
            low, high = _INT_RANGES[name]
            if not low <= value <= high:
                return None
        picked[name] = value
    return picked


def _event(t: str, event_type: str, body: dict[str, Any]) -> Event | Reason:
    if "boot" not in body or "seq" not in body:
        return "missing_field"
    fields = _pick(body, _EVENT_FIELDS)
    if fields is None:
        return "bad_type"
    # Looked at in no other event: a call for help must never be refused for it.
    if event_type == "help" and "want" in body:
        want = body["want"]
        if not isinstance(want, str) or want not in WANTS:
            return "bad_type"
        fields["want"] = want
    return Event(t, event_type, fields["boot"], fields["seq"], fields)


def _heartbeat(t: str, body: dict[str, Any]) -> Heartbeat | Reason:
    fields = _pick(body, _HEARTBEAT_FIELDS)
    return "bad_type" if fields is None else Heartbeat(t, fields)


def _status(t: str, body: dict[str, Any]) -> Status | Reason:
    if "s" not in body:
        return "missing_field"
    s = body["s"]
    fields = _pick(body, _STATUS_FIELDS)
    if fields is None or not isinstance(s, str) or s not in ("online", "lost"):
        return "bad_type"
    if "fw" in body:
        fw = body["fw"]
        # isprintable also keeps out NUL and lone surrogates, which databases choke on.
        if not isinstance(fw, str) or len(fw) > _MAX_FW_CHARS or not fw.isprintable():
            return "bad_type"
        fields["fw"] = fw
    if "via" in body:
        via = body["via"]
        if not isinstance(via, str) or (via and TERMINAL_ID.fullmatch(via) is None):
            return "bad_type"
        fields["via"] = via
    return Status(t, s, fields)


def _cmd_ack(t: str, body: dict[str, Any]) -> CmdAck | Reason:
    if "cmd_id" not in body or "result" not in body:
        return "missing_field"
    cmd_id, result = body["cmd_id"], body["result"]
    if not isinstance(cmd_id, str) or _CMD_ID.fullmatch(cmd_id) is None:
        return "bad_type"
    if not isinstance(result, str) or result not in CMD_RESULTS:
        return "bad_type"
    return CmdAck(t, cmd_id, result)


def canary_topic(gateway_id: str, lane: str) -> str:
    """Where a gateway's canary speaks on one lane."""
    return f"{CANARY_PREFIX}{gateway_id}/{lane}"


def canary_command_topic(gateway_id: str) -> str:
    """Where a gateway's canary hears its receipts."""
    return f"{CANARY_PREFIX}{gateway_id}/cmd"


def _canary(topic: str, payload: bytes, retain: bool) -> Canary | Reject:
    lane = topic.rsplit("/", 1)[1]
    if topic.count("/") != CANARY_PREFIX.count("/") + 1 or lane not in CANARY_LANES:
        return Reject(topic, payload, "bad_topic")
    if retain:
        return Reject(topic, payload, "retained")
    body = _read_object(payload)
    if isinstance(body, str):
        return Reject(topic, payload, body)
    if not {"boot", "seq", "at_ms"} <= body.keys():
        return Reject(topic, payload, "missing_field")
    fields = _pick(body, _CANARY_FIELDS)
    if fields is None:
        return Reject(topic, payload, "bad_type")
    return Canary(
        lane, fields["boot"], fields["seq"], fields["at_ms"], fields.get("back_at_ms"),
        fields.get("rtt_ms"),
    )  # fmt: skip


def make_canary_receipt(gateway_id: str, boot: int, seq: int) -> tuple[str, bytes]:
    """Topic and payload of the receipt for a canary: a terminal's, on the canary's own topic."""
    return canary_command_topic(gateway_id), make_receipt("canary", boot, seq, "c")[1]


def read_canary_receipt(payload: bytes) -> tuple[int, int] | None:
    """`(boot, seq)` that a receipt is for; None when it is none."""
    body = _read_object(payload)
    if isinstance(body, str) or body.get("cmd") != "receipt":
        return None
    if not isinstance(body.get("ref"), dict):
        return None
    ref = _pick(body["ref"], ("boot", "seq"))
    return (ref["boot"], ref["seq"]) if ref is not None and len(ref) == 2 else None


def command_topic(t: str) -> str:
    """Where a terminal listens. Raises ValueError for an id that is not one (`+`, `a/b` …)."""
    if TERMINAL_ID.fullmatch(t) is None:
        raise ValueError("not a terminal id: commands go to exactly one terminal")
    return f"{TERMINAL_PREFIX}{t}/cmd"


def make_receipt(t: str, boot: int, seq: int, nonce: str) -> tuple[str, bytes]:
    """Topic and payload of "the centre has it" for one event.

    `nonce` makes the `cmd_id` new each time: a terminal drops a `cmd_id` it has seen, and a
    duplicate press needs a receipt that is heard.
    """
    # Two integers and a nonce of ours need no JSON writer, and every press is answered here.
    payload = (
        f'{{"cmd_id":"r-{boot}-{seq}-{nonce}","cmd":"receipt","exp":{RECEIPT_EXP_MS},'
        f'"ref":{{"boot":{boot},"seq":{seq}}}}}'
    )
    return command_topic(t), payload.encode("ascii")
