"""What residents agree to, and what follows when they take it back.

Pure. Consent is asked for each purpose apart (PIPL 29, GDPR 7 and 9): whoever is watched need not
tell of their health, nor of the way in. Withdrawal is as easy as consent, and never silences a
press: who presses asks for help.
"""

from enum import StrEnum
from typing import Final


class Purpose(StrEnum):
    """What somebody agrees to."""

    WATCHED = "watched"
    """To be expected at rounds, and looked for."""
    HEALTH = "health"
    """That health notes are kept, and shown to whoever goes."""
    ACCESS = "access"
    """That the way in and the places of keys are kept, and shown to whoever goes."""


class GivenBy(StrEnum):
    """Who agreed."""

    RESIDENT = "resident"
    GUARDIAN = "guardian"


class How(StrEnum):
    """In which form."""

    WRITTEN = "written"
    SPOKEN = "spoken"


class Consequence(StrEnum):
    """What follows from a withdrawal, at once."""

    WATCH_ENDS = "watch_ends"
    """No round expects them. Their terminal still calls people when it is pressed."""
    HEALTH_NOTES_GO = "health_notes_go"
    """Deleted, and the class is what the rule says without them, unless staff set it."""
    ACCESS_NOTES_GO = "access_notes_go"
    """Deleted, with the places of keys. Key holders stay: they are asked by their own consent."""


FOLLOWS: Final[dict[Purpose, Consequence]] = {
    Purpose.WATCHED: Consequence.WATCH_ENDS,
    Purpose.HEALTH: Consequence.HEALTH_NOTES_GO,
    Purpose.ACCESS: Consequence.ACCESS_NOTES_GO,
}
