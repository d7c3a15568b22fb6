"""The second factor: six digits from a shared secret and the time (RFC 6238, SHA-1, 30 s).

Pure: the time is passed in. SHA-1 because it is the only digest that every authenticator app knows;
what it would be weak against (collisions) is not what an HMAC rests on.
"""

import hmac
import struct
from base64 import b32encode
from datetime import datetime
from typing import Final
from urllib.parse import quote

STEP_S: Final = 30
DIGITS: Final = 6
DRIFT: Final = 1
"""Steps by which a telephone's clock may be off, either way (RFC 6238, 5.2)."""
ISSUER: Final = "Xunlou"


def step_at(at: datetime) -> int:
    """The number of the half minute `at` lies in."""
    return int(at.timestamp()) // STEP_S


def code(secret: bytes, step: int) -> str:
    """The digits of one step (RFC 4226, 5.3)."""
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def matching_step(secret: bytes, given: str, at: datetime, used: int) -> int | None:
    """The step whose code was given, or None. A code counts once: steps up to `used` are over."""
    digits = "".join(given.split())
    now = step_at(at)
    found = None
    for step in range(now - DRIFT, now + DRIFT + 1):
        same = hmac.compare_digest(code(secret, max(0, step)).encode(), digits.encode())
        if same and step > used:
            found = step
    return found


def as_text(secret: bytes) -> str:
    """The secret as a person types it into an app: base32 in groups of four."""
    text = b32encode(secret).decode().rstrip("=")
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def address(secret: bytes, username: str) -> str:
    """The secret as an app reads it (otpauth://)."""
    label = quote(f"{ISSUER}:{username}", safe=":")
    text = as_text(secret).replace(" ", "")
    return f"otpauth://totp/{label}?secret={text}&issuer={ISSUER}"
