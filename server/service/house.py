"""What every use-case needs to know of this installation."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from server.core.ladder import Ladder, Night, Policy, at_night
from server.core.messages import Ways
from server.ladders.keeping import LadderFile
from server.vault import Vault

TOKEN_CHARACTERS = 22
"""128 bits in URL-safe base64."""
PLACEHOLDER = "*" * TOKEN_CHARACTERS
"""Stands for a link's token in a stored message: a copy of the database must open no page."""


@dataclass(slots=True)
class Ring:
    """How often the bell has rung here: what is looked at by turns takes its turn from it."""

    number: int = 0
    next_at: datetime | None = None
    """When, as far as it was asked at the last ring, the next step or deadline comes."""
    long: bool = False
    """Whether it judges a city's round: all worklists are to stand in the database before the first
    thousands of texts about them take the interpreter's time."""


@dataclass(frozen=True, slots=True)
class House:
    """Where links lead, link key, ladder file, ways to answer, keys of notes. Built once, in
    server/app.py."""

    links_at: str
    link_key: bytes = field(repr=False)
    ladder_file: LadderFile = field(default_factory=LadderFile)
    ways: Ways = field(default_factory=lambda: Ways(calls=False))
    """How people can answer here: by SMS, by a call's keys, at the duty telephone."""
    night: Night = field(default_factory=Night)
    terminal_secret: str = field(default="", repr=False)
    """What terminals' passwords are derived from; empty where they are not ours to make."""
    vault: Vault = field(default_factory=Vault)
    ring: Ring = field(default_factory=Ring, compare=False)

    @property
    def ladders(self) -> Mapping[str, Ladder]:
        """The ladders in force now, by policy: an edit counts from the next alert on. Where nobody
        can answer an SMS, every step rings: a key pressed is then the one answer there is."""
        ladders = self.ladder_file.ladders
        if self.ways.two_way or not self.ways.calls:
            return ladders
        return {policy: ladder.ringing() for policy, ladder in ladders.items()}

    def ladder_at(self, policy: Policy, now: datetime, zone: tzinfo) -> Ladder:
        """The ladder of an alert that opens now. An SOS at night rings from the first step on."""
        ladder = self.ladders[policy]
        if policy is not Policy.SOS:
            return ladder
        return at_night(ladder, self.night, now.astimezone(zone).time())

    def link(self) -> str:
        """A link as it is stored: its token is filled in only when the message leaves."""
        return f"{self.links_at}/s/{PLACEHOLDER}"

    def token(self, alert_id: int, person_id: int) -> str:
        """The token of this person's page for this alert."""
        words = f"link:{alert_id}:{person_id}".encode()
        digest = hmac.new(self.link_key, words, hashlib.sha256).digest()[:16]
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def digest_of(token: str) -> str:
    """How a secret token is kept: hashed. (Tokens are random, so a plain hash is enough.)"""
    return hashlib.sha256(token.encode()).hexdigest()
