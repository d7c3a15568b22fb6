"""What every use-case needs to know of this installation."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from server.core.ladder import Ladder
from server.ladders.keeping import LadderFile

TOKEN_CHARACTERS = 22
"""128 bits in URL-safe base64."""
PLACEHOLDER = "*" * TOKEN_CHARACTERS
"""Stands for a link's token in a stored message: a copy of the database must open no page."""


@dataclass(frozen=True, slots=True)
class House:
    """Public address, link key and ladder file. Built once, in server/app.py."""

    public_url: str
    link_key: bytes = field(repr=False)
    ladder_file: LadderFile = field(default_factory=LadderFile)

    @property
    def ladders(self) -> Mapping[str, Ladder]:
        """The ladders in force now, by policy: an edit counts from the next alert on."""
        return self.ladder_file.ladders

    def link(self) -> str:
        """A link as it is stored: its token is filled in only when the message leaves."""
        return f"{self.public_url}/s/{PLACEHOLDER}"

    def token(self, alert_id: int, person_id: int) -> str:
        """The token of this person's page for this alert."""
        words = f"link:{alert_id}:{person_id}".encode()
        digest = hmac.new(self.link_key, words, hashlib.sha256).digest()[:16]
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def digest_of(token: str) -> str:
    """How a secret token is kept: hashed. (Tokens are random, so a plain hash is enough.)"""
    return hashlib.sha256(token.encode()).hexdigest()
