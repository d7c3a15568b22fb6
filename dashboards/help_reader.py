"""What the pages of requests, visits, greetings and hours need from the server.

A part of `dashboards.reader.Reader`, in a file of its own. Instants are epoch milliseconds.
Whatever changes something raises `dashboards.reader.ActionRefused` where it is not possible.
"""

from collections.abc import Mapping
from typing import Any, Protocol

Json = Mapping[str, Any]
Fields = Mapping[str, str]


class HelpReader(Protocol):
    """The services beside the alarm."""

    async def help_requests(self, user: Any, which: str) -> Json:
        """`waiting` or `closed` requests of the user's houses: {now_ms, tz, waiting, overdue,
        requests: […], figures: {first, last, kinds} or None without the right}."""
        ...

    async def help_request(self, request_id: int) -> Json | None:
        """One request with `steps`, `helpers` and `payers`; None: no such one."""
        ...

    async def request_ask(self, user: Any, fields: Fields) -> int:
        """Writes one down (`resident_id` or `place`, `kind`, `words`, `source`, `key`); its id."""
        ...

    async def request_act(self, user: Any, request_id: int, action: str, fields: Fields) -> None:
        """`take`, `hand-on`, `done`, `withdraw` or `correct`."""
        ...

    async def visits(self, user: Any) -> Json:
        """{now_ms, tz, count, overdue, owed: […], closed: […]}."""
        ...

    async def visit_owe(self, user: Any, fields: Fields) -> None:
        """Writes down that a visit is owed (`resident_id` or `place`, `cause`, `why`)."""
        ...

    async def visit_act(self, user: Any, visit_id: int, action: str, fields: Fields) -> None:
        """`done` (`visitor`, `on`, `note`) or `drop` (`why`)."""
        ...

    async def greetings(self, user: Any) -> Json:
        """Today's list: {now_ms, tz, day, left, people: […]}; telephones only with `access`."""
        ...

    async def greet(self, user: Any, resident_id: int, fields: Fields) -> None:
        """Ticks one off (`outcome`, `note`, `kind`, `turn`)."""
        ...

    async def help_of(self, resident_id: int) -> Json:
        """{requests, visits, greetings} of one resident, newest first."""
        ...

    async def hours_balance(self, community: int | None) -> Json:
        """The hours of a community (its id; None: there is none yet): {given, saved, drawn, savers,
        households, zero, days, kinds, volunteers: [{id, name}]}, minutes."""
        ...

    async def hours_statement(self, user: Any, person_id: int) -> Json | None:
        """One volunteer's {name, saved, entries}; None: no such one in the user's houses."""
        ...

    async def hours_counter(self, user: Any, entry_id: int, why: str) -> None:
        """Puts an entry right by its opposite."""
        ...
