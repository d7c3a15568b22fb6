"""How logins are kept here: the password hash, the key of what is derived, and when sessions end.

Argon2id (RFC 9106) takes tens of milliseconds and 64 MiB on purpose. Nothing here touches the
database.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.core.access import AccountRole
from server.tables import to_ms

LANES = 4
ADMIN_IDLE = timedelta(minutes=30)
"""Whoever can open doors for others leaves no open session behind."""
RECOVERY_CODES = 8


@dataclass(frozen=True, slots=True)
class Locks:
    """Built once, in server/app.py. Spans are real time."""

    key: bytes = field(repr=False)
    hasher: PasswordHasher
    nobody: str = field(repr=False)
    """The hash of no password: an unknown name takes as long as a wrong password."""
    idle: timedelta
    life: timedelta

    @staticmethod
    def make(key: bytes, memory_kib: int, passes: int, idle_min: int, hours: int) -> "Locks":
        """From what the settings say."""
        hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=LANES)
        return Locks(
            key, hasher, hasher.hash(secrets.token_hex(16)), timedelta(minutes=idle_min),
            timedelta(hours=hours),
        )  # fmt: skip

    def idle_of(self, role: str) -> timedelta:
        """How long a session of this role may lie unused."""
        return min(self.idle, ADMIN_IDLE) if role == AccountRole.ADMINISTRATOR else self.idle

    def fits(self, password_hash: str | None, password: str) -> bool:
        """Whether this is the password; as slow for no account as for a wrong one."""
        try:
            self.hasher.verify(password_hash or self.nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    def _derive(self, *words: object) -> bytes:
        return hmac.digest(self.key, ":".join(str(w) for w in words).encode(), "sha256")

    def totp_secret(self, account_id: int, nonce: str) -> bytes:
        """The second factor's secret. Derived, so that a copy of the database gives no codes."""
        return self._derive("totp", account_id, nonce)[:20]

    def code_digest(self, account_id: int, code: str) -> str:
        """How a recovery code is kept."""
        plain = "".join(code.split()).replace("-", "").lower()
        return hashlib.sha256(self._derive("recovery", account_id, plain)).hexdigest()

    def device_pass(self, account_id: int, password_at: datetime | None) -> str:
        """What a browser keeps that has logged in once: strangers' wrong guesses do not count
        against it (OWASP "device cookies"). It opens nothing."""
        nonce = secrets.token_urlsafe(12)
        return f"{account_id}.{nonce}.{self._device(account_id, nonce, password_at)}"

    def _device(self, account_id: int, nonce: str, password_at: datetime | None) -> str:
        changed = to_ms(password_at) if password_at else 0
        return self._derive("device", account_id, nonce, changed).hex()[:32]

    def knows_device(
        self, given: str, account_id: int, password_at: datetime | None
    ) -> str | None:
        """The name of the browser that carries this pass of the account; None for any other."""
        parts = given.split(".")
        if len(parts) != 3 or parts[0] != str(account_id):
            return None
        right = self._device(account_id, parts[1], password_at)
        return f"device:{parts[1]}" if hmac.compare_digest(right, parts[2]) else None


def passphrase() -> str:
    """A one-time password that a person can read out and type: about 57 bits."""
    syllables = [a + b for a in "bdfghjklmnprstwz" for b in "aeiou"]
    return "-".join("".join(secrets.choice(syllables) for _ in range(3)) for _ in range(3))


def recovery_codes() -> list[str]:
    """New recovery codes, 80 bits each."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return [
        "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(4))
        for _ in range(RECOVERY_CODES)
    ]
