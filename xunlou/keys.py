"""The secrets of one installation: generated once, kept in a file that only its owner reads.

They reach child processes through the environment, never through arguments (which every user of
the machine can list) and never through a log.
"""

import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Keys:
    """All generated secrets of an embedded installation."""

    link_secret: str
    gateway_token: str
    api_token: str
    operator_password: str
    mqtt_gateway_password: str
    terminal_secret: str
    sms_account: str
    """Account of the stand-in for Twilio, used by the demo alone."""
    sms_token: str

    @staticmethod
    def fresh() -> "Keys":
        """New secrets. The operator's password is one a person can type."""
        syllables = [a + b for a in "bdfghjklmnprstwz" for b in "aeiou"]
        words = ["".join(secrets.choice(syllables) for _ in range(3)) for _ in range(3)]
        return Keys(
            link_secret=secrets.token_urlsafe(32),
            gateway_token=secrets.token_urlsafe(32),
            api_token=secrets.token_urlsafe(32),
            operator_password="-".join(words),
            mqtt_gateway_password=secrets.token_urlsafe(24),
            terminal_secret=secrets.token_urlsafe(32),
            sms_account="AC" + secrets.token_hex(16),
            sms_token=secrets.token_hex(16),
        )

    @staticmethod
    def kept(path: Path) -> "Keys":
        """The secrets in `path`; generated and written there (mode 0600) the first time."""
        if path.exists():
            lines = dict(
                line.split("=", 1) for line in path.read_text().splitlines() if "=" in line
            )
            known = {f.name: lines[f.name] for f in fields(Keys)}
            return Keys(**known)
        keys = Keys.fresh()
        write_private(path, "".join(f"{k}={v}\n" for k, v in asdict(keys).items()))
        return keys


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
