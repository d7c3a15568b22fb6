"""Passwords of terminals at the broker: derived, never stored. Pure.

Each has a version; 0 is the one from setting up. What is offered takes effect once the terminal has
said that it lies in its flash, and the old one is gone once it has connected with the new one. In
between both are good by turns, because the broker's file holds one password an account: whatever a
terminal with a bad memory has kept, it gets in.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

TURN = timedelta(minutes=2)
"""How long each of the two is good: several tries of a terminal that dials every 30 s at most."""

NO_TERMINALS: Final = frozenset({"gateway", "devices"})
"""Names that no terminal may have: the broker's accounts of our gateway and of other makers'
bridges, which may use every topic. A terminal of that name would get their password, or they its.
"""


class KeyState(StrEnum):
    """How a change of a terminal's password stands; none at all: NULL."""

    OFFERED = "offered"
    STORED = "stored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Standing:
    """A terminal's password and the change that is under way; `at`: since when it stands so."""

    version: int = 0
    coming: int | None = None
    state: KeyState | None = None
    at: datetime | None = None


def password(secret: str, terminal_id: str, version: int = 0) -> str:
    """The broker password of a terminal; 24 hexadecimal digits."""
    words = f"terminal:{terminal_id}" + (f":{version}" if version else "")
    return hmac.new(secret.encode(), words.encode(), sha256).hexdigest()[:24]


def in_force(standing: Standing, now: datetime) -> int:
    """The version that the broker takes at this moment."""
    if standing.state is not KeyState.STORED or standing.coming is None or standing.at is None:
        return standing.version
    turn = max(timedelta(0), now - standing.at) // TURN
    return standing.version if turn % 2 else standing.coming
