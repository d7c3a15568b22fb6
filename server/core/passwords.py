"""What a password must be: long, and not the first thing a stranger tries (NIST SP 800-63B, 5.1.1).

Pure. Asks for no signs and no digits: such rules make passwords shorter and notes on monitors.
"""

import re
from typing import Final, Literal

LEAST: Final = 10
MOST: Final = 200
LEAST_DIFFERENT: Final = 5
COMMON: Final = (
    "password", "passw0rd", "letmein", "qwerty", "iloveyou", "welcome", "administrator",
    "xunlou", "operator", "woaini", "mima", "12345678", "87654321", "11111111", "88888888",
)  # fmt: skip
"""What is left of one of these beside a few signs is no secret."""

Flaw = Literal["short", "long", "like_name", "common"]
USERNAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}")


def flaw(password: str, username: str) -> Flaw | None:
    """Why this can't be the password; None when it can."""
    if len(password) < LEAST:
        return "short"
    if len(password) > MOST:
        return "long"
    plain = password.casefold()
    if len(username) > 2 and username.casefold() in plain:
        return "like_name"
    rest = min((len(plain.replace(word, "")) for word in COMMON if word in plain), default=MOST)
    if len(set(plain)) < LEAST_DIFFERENT or rest < LEAST - LEAST_DIFFERENT:
        return "common"
    return None
