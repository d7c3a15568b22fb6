"""What the pages of terminals need from the server.

A part of `dashboards.reader.Reader`, in a file of its own. Instants are epoch milliseconds.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class TerminalsReader(Protocol):
    """Terminals, and what may be done with them."""

    async def terminals(self, user: Any, state: str, words: str) -> Mapping[str, Any]:
        """{found [a terminal …], more, state, counts {stock, active, lost, revoked}, now_ms, tz}:
        of the user's houses, and what is nobody's. A terminal: {id, which, simulated, resident_id,
        resident, building, flat, status, battery, mains, rssi, firmware, last_seen_ms}."""
        ...

    async def terminal(self, terminal_id: str) -> Mapping[str, Any] | None:
        """One, with `key` {version, state, since_ms}, `rekeys` (whether its password is ours to
        change), now_ms and tz; None: no such one."""
        ...

    async def terminals_enrol(self, user: Any, ids: str, reason: str) -> int:
        """Registers those that are new, as they stand in the text; how many. Raises
        ActionRefused."""
        ...

    async def terminal_act(
        self, user: Any, terminal_id: str, action: str, fields: Mapping[str, str]
    ) -> str:
        """`assign` (`place`), `free`, `swap` (`new`), `lost`, `revoked`, `active`, `key`, each with
        a `reason`; the id of the terminal to go on with. Raises ActionRefused."""
        ...
