"""What the pages of buildings, residents, reports and the hall's screen need from the server.

A part of `dashboards.reader.Reader`, in a file of its own. Instants are epoch milliseconds.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, Protocol

Kiosk = Literal["off", "closed", "open"]


class ReportRefused(Exception):
    """The period can't be reported on; `why` is a word of the catalogue (`r.bad.<why>`)."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class FileRefused(Exception):
    """A file of the register can't be read, or not be given; `words` by language say why."""

    def __init__(self, words: Mapping[str, str]) -> None:
        super().__init__(words["en"])
        self.words = words


class RegisterReader(Protocol):
    """The read side of people and places."""

    async def building(self, number: int, scope: Any = None) -> Mapping[str, Any] | None:
        """One building, as those of this scope read it: the keys of the snapshot's building, and
        `residents` {flat id: […]}, `people`, `alerts` (cards), `rounds`, `duty`, `round`, `now_ms`,
        `tz`; None: no such one."""
        ...

    async def find_residents(self, words: str, scope: Any) -> Mapping[str, Any]:
        """{`found`: at most 50 residents, `more`: whether there are others}."""
        ...

    async def resident(self, resident_id: int) -> Mapping[str, Any] | None:
        """One resident without access notes and health notes; None: no such one."""
        ...

    async def resident_access(
        self, who: str, resident_id: int, reason: str
    ) -> Mapping[str, Any] | None:
        """The way in: {access_notes, risks, phone, key_holders [{name, phone, where}]}. The look
        is logged with `who` and `reason`."""
        ...

    async def consent(self, who: str, resident_id: int, fields: Mapping[str, str]) -> None:
        """Write down a consent (`purpose`, `given_by`, `how`), or with `reason` take it back.
        Raises ActionRefused; LookupError: no such resident."""
        ...

    async def contact_card(self, resident_id: int) -> Mapping[str, Any] | None:
        """What the paper on the door says: {building, floor, label, stewards, duty, rounds …}."""
        ...

    async def report(
        self, first: date | None, last: date | None, number: int | None, scope: Any,
        community_id: int | None = None,
    ) -> Mapping[str, Any] | None:
        """The report of these local days (None: the last seven days that are over), of one
        building or community, or of all in sight. None: no such one. Raises ReportRefused."""
        ...

    def kiosk_pass(self, token: str) -> str | None:
        """The cookie that opens the hall's screen, for the right token; else None."""
        ...

    def kiosk_state(self, cookie: str | None) -> Kiosk:
        """Whether the hall's screen is switched off, closed to this cookie, or open."""
        ...

    def kiosk_wall(self) -> bool:
        """Whether the same token opens the nameless wall."""
        ...

    async def duty_phones(self) -> list[str]:
        """The care centre's telephones, for the hall's screen."""
        ...

    async def register_import(
        self, user: Any, content: bytes, lang: str, *, apply: bool
    ) -> Mapping[str, Any]:
        """Compares a file with the register or takes it: {counts {added, changed, left,
        rejected}, problems and notes [{line, column, reason}], problems_all, changes [{line,
        about, what, fields {name: {before, after}}}], changes_all}. Raises FileRefused."""
        ...

    async def register_rejected(self, user: Any, content: bytes, lang: str) -> bytes | None:
        """The rows of a file that are rejected, with their reasons, as XLSX; None: none are."""
        ...

    async def communities(self, user: Any) -> Mapping[str, Any]:
        """{`found`: those that the user answers for as a whole [{id, name, street, district}], in
        the order of their registration; `may_add`: whether they may register another}."""
        ...

    async def terminals_in_stock(self, most: int) -> list[str]:
        """Ids of terminals in service that are nobody's, in order."""
        ...

    async def register_export(
        self, user: Any, lang: str, *, secrets: bool, reason: str
    ) -> bytes:
        """The whole register as XLSX; with the ways in and health notes for a reason. Logged.
        Raises FileRefused."""
        ...
