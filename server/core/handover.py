"""One shift gives the duty to the next: in writing, by two people with names.

Pure. Whoever is on duty answers for it, so it must never be unclear who was.
"""

from dataclasses import dataclass
from typing import Literal

LONGEST_NAME = 40
"""Characters; what fits on the printed sheet's line."""

Flaw = Literal["no_outgoing", "no_incoming", "same_person", "name_too_long"]


@dataclass(frozen=True, slots=True)
class Names:
    """Who gives the duty and who takes it, tidied."""

    outgoing: str
    incoming: str


def names(outgoing: str, incoming: str) -> Names | Flaw:
    """The two names, or what is wrong with them. One person can't hand over to themselves: the
    point of a handover is that a second person knows."""
    given = Names(" ".join(outgoing.split()), " ".join(incoming.split()))
    if not given.outgoing:
        return "no_outgoing"
    if not given.incoming:
        return "no_incoming"
    if max(len(given.outgoing), len(given.incoming)) > LONGEST_NAME:
        return "name_too_long"
    if given.outgoing.casefold() == given.incoming.casefold():
        return "same_person"
    return given
