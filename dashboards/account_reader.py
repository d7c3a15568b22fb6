"""What the pages of accounts need from the server: one's own account, everybody's, and tokens.

A part of `dashboards.reader.Reader`, in a file of its own. Instants are epoch milliseconds.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class AccountReader(Protocol):
    """The side of accounts. `user` is a `dashboards.reader.User`."""

    async def own_account(self, user: Any) -> Mapping[str, Any]:
        """{username, name, role, level, place, totp_on, codes_left, now_ms, tz, sessions [{begins,
        agent, created_ms, seen_ms, mine}]}."""
        ...

    async def own_act(
        self, user: Any, action: str, fields: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """`password` (old, new), `totp`, `totp_confirm` (code), `totp_drop` (password), `end`
        (begins). What is shown once: {secret, address} or {codes}. Raises ActionRefused."""
        ...

    async def device_pass(self, user: Any) -> str:
        """What the user's browser keeps to be known again: the one from before a change of the
        password is worth nothing after it."""
        ...

    def looked(self, user: Any, what: str, **about: Any) -> None:
        """The user has looked at personal data; goes into the audit, and holds up nobody."""
        ...

    def sees(self, user: Any, what: str, **about: Any) -> None:
        """The same of a page that stands open and asks again: once an opening."""
        ...

    async def all_accounts(self, user: Any) -> Mapping[str, Any]:
        """{accounts [{id, username, name, role, level, place, totp_on, one_time, closed}], tokens
        [{id, name, rights, level, place, by, created_ms, used_ms, revoked}], now_ms, tz, roles,
        levels, rights}: those within the user's own scope."""
        ...

    async def keep_accounts(
        self, user: Any, action: str, number: int, fields: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Any]:
        """`make`, `reset`, `close`, `open`, `regrade` of account `number`; `token`, `revoke` of
        token `number`. What is shown once: {username, password} or {token}. Raises ActionRefused.
        """
        ...
