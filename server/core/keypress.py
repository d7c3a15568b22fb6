"""What a key means during a call. Pure.

Not the digits of a reply by SMS (replies.py): there 9 is a "can't", here it is "once more", as
people know it from telephones.
"""

from enum import StrEnum

from server.core.replies import Action


class Key(StrEnum):
    """What the person with the telephone wants."""

    GO = "1"
    CANT = "0"
    REPEAT = "9"


ACTIONS = {Key.GO: Action.ACCEPT, Key.CANT: Action.DECLINE}


def key(digits: str) -> Key | None:
    """The key that was pressed, or None for one that means nothing here."""
    return Key(digits) if digits in tuple(Key) else None


HUMAN = "human"


def is_machine(answered_by: str) -> bool:
    """Whether the provider says that no person picked up (its AnsweredBy: `machine_start`,
    `machine_end_beep` …, `fax`)."""
    return answered_by.startswith("machine") or answered_by == "fax"
