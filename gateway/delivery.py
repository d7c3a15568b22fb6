"""What passes between an MQTT connection and those who use it. Data only; it must never do I/O."""

from dataclasses import dataclass


class NotSent(Exception):
    """A publish that can't be confirmed. Try again later with the same identity."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message and what is needed to ack it."""

    topic: str
    payload: bytes
    retain: bool
    qos: int
    mid: int
    generation: int


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says in our name when we vanish."""

    topic: str
    payload: bytes
