"""What a terminal has not answered, and whether it is told that once more. Pure.

A broker's word that it has a command is not the terminal's: a radio loses one in fifty, and a modem
that sleeps hears late. "Help is coming" is all that the person on the floor has, so it is said
again until the terminal answers; a device that never does hears it a handful of times, no more.
"""

from datetime import datetime, timedelta
from typing import Final

from server.core.words import State

AFTER: Final = tuple(timedelta(seconds=s) for s in (30, 90, 210, 450))
"""When it is told again, counted from the first time, each wait twice the one before, and all
within the ten minutes that such a command is good for."""
LEAST: Final = timedelta(seconds=15)
"""After the broker had it late, the next moment may be too near to wait for an answer."""


def again_at(first: datetime, now: datetime, expires: datetime) -> datetime | None:
    """When a command that the broker took just now is told again, unless it is answered before;
    None: not any more."""
    for wait in AFTER:
        if now + LEAST <= first + wait < expires:
            return first + wait
    return None


def still_true(cmd: str, newest: bool, state: str | None) -> bool:
    """Whether what was said of an alert may be said again. Only its last word is (`newest`), and
    "help is coming" only while somebody is: whoever went may have turned back since. A `state` that
    nobody can read (None: the alert is gone) is no promise."""
    return newest and (cmd != "help_coming" or state in (State.ACCEPTED, State.ON_SCENE))
