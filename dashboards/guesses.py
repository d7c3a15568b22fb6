"""Passwords that somebody tries: a few at once, so many in line, and none while they must pause.

Argon2 is meant to be slow and large: more guesses at once would starve the desk, not help it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, TypeVar

from dashboards.limiter import LoginLimiter

T = TypeVar("T")
AT_ONCE: Final = 2
MOST_IN_LINE: Final = 50
"""So many are in work or wait, of strangers and of known browsers each; at some fifty milliseconds
a guess nobody waits longer than a person does before a page that loads."""


class Paused(Exception):
    """The password was not looked at: too many wrong ones before it, or too many in line."""


class _Line:
    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.length = 0


class Guesses:
    """The way to the slow check of a password. `now`: the server's clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._limiter = LoginLimiter()
        self._strangers, self._known = _Line(), _Line()

    async def check(
        self, account: str, source: str, look: Callable[[], Awaitable[T]],
        wrong: type[Exception], *, strange: bool,
    ) -> T:  # fmt: skip
        """What `look` finds, which raises `wrong` for a wrong password. `source`: where from, or
        the name of a browser that is known (then it is not `strange`, and has a line of its own:
        strangers can't use it up). Raises Paused when it was not looked at."""
        line = self._strangers if strange else self._known
        if line.length >= MOST_IN_LINE:
            raise Paused
        self._still_free(account, source, strange)
        line.length += 1
        try:
            async with line.slots:
                # Asked again: of many that came at once those before have been counted by now.
                self._still_free(account, source, strange)
                try:
                    found = await look()
                except wrong:
                    self._limiter.wrong(account, source, self._now(), strange=strange)
                    raise
        finally:
            line.length -= 1
        self._limiter.right(account, source)
        return found

    def _still_free(self, account: str, source: str, strange: bool) -> None:
        if self._limiter.wait(account, source, self._now(), strange=strange):
            raise Paused
