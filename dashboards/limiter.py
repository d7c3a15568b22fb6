"""How many wrong passwords somebody may try: a growing pause for each account from each address.

Pure: the time is passed in. It stands before the password check only. It must never touch a running
session (the wall stays logged in), nor anything a terminal or a steward sends.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

FREE_GUESSES: Final = 5
"""People mistype. The sixth wrong guess in a row costs a pause."""
FIRST_PAUSE: Final = timedelta(seconds=15)
LONGEST_PAUSE: Final = timedelta(minutes=15)
FORGET_AFTER: Final = timedelta(hours=1)
FREE_ANYWHERE: Final = 100
"""Wrong guesses at one account from all strange browsers together, before each further one costs
a pause: guessing from a thousand addresses is guessing all the same. A browser that has logged in
before is not among them, so that no stranger can keep the desk out."""
LONGEST_ANYWHERE: Final = timedelta(minutes=2)
ANYWHERE: Final = "*"
MOST_KEYS: Final = 10_000
"""Bounded memory: beyond this the one that has been quiet for longest is forgotten."""


@dataclass(slots=True)
class _Guesses:
    wrong: int
    last_at: datetime
    free_at: datetime


class LoginLimiter:
    """Counts wrong guesses per (account, address), so that nobody can lock out the desk from
    another place."""

    def __init__(self) -> None:
        self._guesses: OrderedDict[tuple[str, str], _Guesses] = OrderedDict()

    def wait(
        self, account: str, address: str, now: datetime, *, strange: bool = True
    ) -> timedelta:
        """How long until the next guess is looked at; zero when it may come now. `address`: where
        from, or the name of a browser that is known (then it is not `strange`)."""
        places = (address, ANYWHERE) if strange else (address,)
        waits = [
            known.free_at - now
            for known in (self._known(_key(account, place), now) for place in places)
            if known is not None
        ]
        return max([timedelta(0), *waits])

    def wrong(self, account: str, address: str, now: datetime, *, strange: bool = True) -> None:
        """Another wrong guess; each beyond the free ones doubles the pause."""
        self._count(_key(account, address), now, FREE_GUESSES, LONGEST_PAUSE)
        if strange:
            self._count(_key(account, ANYWHERE), now, FREE_ANYWHERE, LONGEST_ANYWHERE)

    def _count(
        self, key: tuple[str, str], now: datetime, free: int, longest: timedelta
    ) -> None:
        known = self._known(key, now)
        count = known.wrong + 1 if known else 1
        beyond = count - free
        pause = timedelta(0)
        if beyond > 0:
            pause = min(longest, FIRST_PAUSE * 2 ** min(beyond - 1, 16))
        self._guesses[key] = _Guesses(count, now, now + pause)
        self._guesses.move_to_end(key)
        while len(self._guesses) > MOST_KEYS:
            self._guesses.popitem(last=False)

    def right(self, account: str, address: str) -> None:
        """Logged in: all is forgotten."""
        self._guesses.pop(_key(account, address), None)

    def _known(self, key: tuple[str, str], now: datetime) -> _Guesses | None:
        known = self._guesses.get(key)
        # A clock that was set back must not lock anybody for longer than the longest pause.
        if known is not None and not (now - FORGET_AFTER < known.last_at <= now + LONGEST_PAUSE):
            del self._guesses[key]
            return None
        return known


def _key(account: str, address: str) -> tuple[str, str]:
    return account.strip().casefold()[:100], address
