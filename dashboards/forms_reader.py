"""What the forms of the register need from the server.

A part of `dashboards.reader.Reader`, in a file of its own. Instants are epoch milliseconds.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal, Protocol

Kind = Literal["resident", "building", "person", "duty", "shifts", "turns", "new"]
Fields = Mapping[str, Sequence[str]]
"""A form as it was sent: each name with all its values."""
Words = Mapping[str, str]
"""By language."""


class FormRefused(Exception):
    """A form was not taken; nothing of it was written.

    `fields`: what is wrong, by the field's name ("": with the whole). `meanwhile`: what somebody
    else changed since the form was opened, as entries of the history; `seen`: what a form may
    claim to have seen when it shows them."""

    def __init__(
        self, fields: Mapping[str, Words], meanwhile: Sequence[Mapping[str, Any]] = (),
        seen: int | None = None,
    ) -> None:
        super().__init__("; ".join(w["en"] for w in fields.values()) or "changed meanwhile")
        self.fields = fields
        self.meanwhile = meanwhile
        self.seen = seen


class FormReader(Protocol):
    """The register by hand."""

    async def form_facts(
        self, user: Any, kind: Kind, number: int, community: int | None = None
    ) -> Mapping[str, Any] | None:
        """What a form begins with (server/register_forms.py), as far as `user` may see it; None:
        no such one. `community`: whose desk `duty` and `shifts` are about."""
        ...

    async def form_act(
        self, user: Any, act: str, number: int, fields: Fields, community: int | None = None
    ) -> int:
        """Do what a form says, in the name of `user`; returns the id or number of what it is
        about. `community`: whose desk it is about. Raises FormRefused."""
        ...

    async def changes_of(
        self, kind: str, number: int, first: date | None, last: date | None
    ) -> Mapping[str, Any] | None:
        """{title, entries [{at_ms, by, why, via, what, fields [{key, was, now}]}], more, now_ms,
        tz}, the newest first; None: no such one. `duty` is a community's, by its id."""
        ...

    async def short_of_stewards(self) -> Mapping[int, int]:
        """Building's number → how many of its stewards can be told, where it is not both."""
        ...
