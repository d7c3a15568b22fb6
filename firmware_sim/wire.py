"""Wire contract, version 1, from the terminal's side: topics and payloads.

Pure: bytes in, values out. Nothing here decides what a terminal does; a malformed command
raises `BadCommand` and the terminal answers "failed". Golden examples in tests/golden hold
this file and the gateway to the same wire without sharing code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "xunlou/v1"
SERVER_STATE_TOPIC: Final = f"{PREFIX}/srv/state"
MAX_PAYLOAD_BYTES: Final = 1024


class Kind(StrEnum):
    """Event types that a terminal publishes."""

    SOS = "sos"
    SOS_CANCEL = "sos_cancel"
    CHECKIN = "checkin"
    FALL = "fall"
    TEST = "test"
    BATTERY_LOW = "battery_low"
    MAINS_LOST = "mains_lost"
    MAINS_RESTORED = "mains_restored"
    TAMPER = "tamper"
    HELP = "help"


WANTS: Final = ("errand", "repair", "haircut", "wish", "other")
"""What a `help` asks for; a terminal with one key for it says nothing, which is `other`."""


# An alarm lights the lamp and is sent until its receipt, without end.
ALARM_KINDS: Final = frozenset({Kind.SOS, Kind.FALL})
# What stewards need to know about an alarm is as patient as the alarm itself.
NEVER_EXPIRES: Final = ALARM_KINDS | {Kind.SOS_CANCEL}


class AckResult(StrEnum):
    """What a terminal did with a command."""

    RECEIVED = "received"
    SHOWN = "shown"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """An event's identity within its terminal."""

    boot: int
    seq: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it lies in flash: facts of the moment it happened, never changed again."""

    kind: Kind
    ref: Ref
    ts: int
    ts_ok: bool
    up_ms: int
    bat: int
    mains: bool
    rssi: int
    test: bool
    stored_ms: int
    want: str | None = None


class BadCommand(ValueError):
    """A command payload outside the contract; `cmd_id` is None when not even that is readable."""

    def __init__(self, reason: str, cmd_id: str | None = None) -> None:
        super().__init__(reason)
        self.cmd_id = cmd_id


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command; fields that its `cmd` does not use are None."""

    cmd_id: str
    cmd: str
    exp: int | None = None
    ref: Ref | None = None
    who: str | None = None
    eta_min: int | None = None
    text: str | None = None
    now: int | None = None
    key: str | None = None
    key_v: int | None = None


def topic(terminal: str, leaf: str) -> str:
    """The topic of `terminal` that ends in `leaf`, for example "evt/sos" or "status"."""
    return f"{PREFIX}/t/{terminal}/{leaf}"


def encode(fields: dict[str, object]) -> bytes:
    """Compact UTF-8 JSON; asserts the contract's 1 KiB."""
    payload = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(payload) <= MAX_PAYLOAD_BYTES, f"{len(payload)} bytes exceed the contract"
    return payload


def event_payload(event: StoredEvent, attempt: int, buffered: bool) -> bytes:
    """The payload of one attempt; `ts` in epoch ms, `up_ms` since the boot named in it."""
    return encode(
        {
            "boot": event.ref.boot,
            "seq": event.ref.seq,
            "ts": event.ts,
            "ts_ok": event.ts_ok,
            "up_ms": event.up_ms,
            "attempt": attempt,
            "buffered": buffered,
            "bat": event.bat,
            "mains": event.mains,
            "rssi": event.rssi,
            "test": event.test,
            **({"want": event.want} if event.want is not None else {}),
        }
    )


def will_payload(boot: int) -> bytes:
    """The retained last will: the terminal of this boot is lost."""
    return encode({"s": "lost", "boot": boot})


def parse_object(payload: bytes) -> dict[str, object]:
    """A JSON object of at most 1 KiB. Raises BadCommand with the reason."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise BadCommand("over 1 KiB")
    try:
        value = json.loads(payload.decode())
    except (ValueError, RecursionError):
        raise BadCommand("not UTF-8 JSON") from None
    if not isinstance(value, dict):
        raise BadCommand("not a JSON object")
    return value


def _ref(value: object) -> Ref | None:
    if not isinstance(value, dict):
        return None
    boot, seq = value.get("boot"), value.get("seq")
    if type(boot) is not int or type(seq) is not int:
        return None
    return Ref(boot, seq)


def _integer(value: object) -> int | None:
    return value if type(value) is int else None


def _words(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


# What each command can't do without.
_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "receipt": ("ref",),
    "prompt": (),
    "help_coming": (),
    "resolved": (),
    "say": ("text",),
    "test": (),
    "time": ("now",),
    "reboot": (),
    "key": ("key", "key_v"),
}


def parse_command(payload: bytes) -> Command:
    """The command in `payload`; unknown fields are ignored. Raises BadCommand."""
    fields = parse_object(payload)
    cmd_id = _words(fields.get("cmd_id"))
    if cmd_id is None:
        raise BadCommand("cmd_id is missing")
    name = fields.get("cmd")
    if not isinstance(name, str) or name not in _NEEDS:
        raise BadCommand(f"unknown cmd {name!r}", cmd_id)
    command = Command(
        cmd_id=cmd_id,
        cmd=name,
        exp=_integer(fields.get("exp")),
        ref=_ref(fields.get("ref")),
        who=_words(fields.get("who")),
        eta_min=_integer(fields.get("eta_min")),
        text=_words(fields.get("text")),
        now=_integer(fields.get("now")),
        key=_words(fields.get("key")),
        key_v=_integer(fields.get("key_v")),
    )
    for need in _NEEDS[name]:
        if getattr(command, need) is None:
            raise BadCommand(f"{name} needs {need}", cmd_id)
    return command
