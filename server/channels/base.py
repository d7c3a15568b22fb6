"""What the outbox expects of a channel."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider has taken the message and calls it `provider_id`."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never deliver this (bad number, opted out …)."""

    error: str


class Busy(Exception):
    """The provider did not take it now (429, 5xx, no connection): certain not to have been sent,
    try again later."""


class Ambiguous(Exception):
    """We do not know whether the provider took it (time-out after sending): look it up first."""


class Channel(Protocol):
    """Called in the loop of a sender's thread (channels/thread.py), in which many are under way at
    once: it must never block."""

    async def send(self, phone: str, body: str, reference: int) -> Sent | Refused:
        """Hand one message over; `reference` is our id of it, for the provider's callbacks
        (0: nobody waits for any).

        Raises Busy or Ambiguous.
        """
        ...

    async def find(self, phone: str, body: str, since: datetime) -> list[Sent]:
        """The messages with these words to this phone since `since` that the provider has, newest
        first.

        Raises Busy when the provider can't be asked.
        """
        ...

    async def alive(self) -> bool:
        """Whether the provider answers at all; asked with nothing at stake. Never raises."""
        ...
