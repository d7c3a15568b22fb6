"""The world of a scenario over HTTP: the simulator's control, the phones, the server.

Works the same from inside the simulator's process and from another one. Read-only towards the
server: whatever happens there must come from terminals and phones.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import httpx

from firmware_sim import casting
from firmware_sim.clock import Clock
from firmware_sim.manifest import Manifest
from firmware_sim.runner import WorldError
from firmware_sim.story import CastPhone, CastTerminal, ProviderFault
from firmware_sim.wire import Kind

# The phones name a text's way as the phone's owner sees it.
_AS_SEEN: Final = {"in": "to_phone", "out": "from_phone"}


class HttpWorld:
    """See `runner.World`. `phones_url` also carries the simulator's /sim endpoints."""

    def __init__(
        self,
        manifest: Manifest,
        clock: Clock,
        client: httpx.AsyncClient,
        *,
        phones_url: str,
        server_url: str,
        api_token: str,
    ) -> None:
        self.clock: Clock = clock
        self._manifest = manifest
        self._client = client
        self._phones_url = phones_url.rstrip("/")
        self._server_url = server_url.rstrip("/")
        self._bearer = {"Authorization": f"Bearer {api_token}"}

    def find_terminal(self, part: CastTerminal) -> str:
        """The terminal of the manifest that plays a part."""
        try:
            return casting.terminal_for(self._manifest, part)
        except casting.NoSuchPart as error:
            raise WorldError(str(error)) from error

    def find_phone(self, part: CastPhone) -> str:
        """The phone of the manifest that plays a part."""
        try:
            return casting.phone_for(self._manifest, part)
        except casting.NoSuchPart as error:
            raise WorldError(str(error)) from error

    async def press(
        self, terminal: str, kind: Kind, test: bool, want: str | None = None
    ) -> None:
        """Press a button."""
        how = {"kind": str(kind), "test": test, "want": want}
        answer = await self._sim(f"terminals/{terminal}/press", how)
        if answer.get("seq") is None:
            raise WorldError(f"pressing {kind} on {terminal} gave no event")

    async def befall(self, whom: str | int, what: str, how: dict[str, Any]) -> None:
        """Something befalls a terminal, or a building's terminals."""
        place = f"buildings/{whom}" if isinstance(whom, int) else f"terminals/{whom}"
        await self._sim(f"{place}/{what}", how)

    async def broker(self, on: bool) -> None:
        """Kept down by whoever started the broker, or let go."""
        await self._sim("broker", {"on": on})

    async def provider_fault(self, fault: ProviderFault, number: str | None) -> None:
        """One of the phones' own switches."""
        body = {"kind": fault.what, "count": fault.count, "number": number,
                "error_code": fault.error_code}  # fmt: skip
        await self._ask("POST", f"{self._phones_url}/faults", json=body)

    async def window(self, terminal: str) -> str:
        """The window of a terminal's flat, from the wall's own snapshot."""
        entry = next(e for e in self._manifest.terminals if e.id == terminal)
        url = f"{self._server_url}/api/v1/snapshot"
        snapshot = (await self._ask("GET", url, headers=self._bearer)).json()
        for building in snapshot["buildings"]:
            for flat in building["flats"] if building["number"] == entry.building else ():
                if flat["label"] == entry.flat:
                    return str(flat["state"])
        raise WorldError(f"the wall has no window for {terminal}")

    async def terminal(self, terminal: str) -> dict[str, Any]:
        """What can be seen and heard there."""
        found: dict[str, Any] = (
            await self._ask("GET", f"{self._phones_url}/sim/terminals/{terminal}")
        ).json()
        return found

    async def messages(self, number: str) -> list[dict[str, Any]]:
        """All texts of a phone."""
        url = f"{self._phones_url}/phones/{quote(number, safe='')}/messages"
        found: list[dict[str, Any]] = (await self._ask("GET", url)).json()["messages"]
        return [{**each, "direction": _AS_SEEN[each["direction"]]} for each in found]

    async def reply(self, number: str, body: str) -> None:
        """Send a text from a phone."""
        url = f"{self._phones_url}/phones/{quote(number, safe='')}/send"
        await self._ask("POST", url, json={"body": body})

    async def page(self, path: str) -> str:
        """A page of the server, without any login: the link's token is all a steward has."""
        return (await self._ask("GET", f"{self._server_url}{path}")).text

    async def alerts(self) -> list[dict[str, Any]]:
        """The newest alerts, in every state."""
        url = f"{self._server_url}/api/v1/alerts"
        found: list[dict[str, Any]] = (await self._ask("GET", url, headers=self._bearer)).json()[
            "alerts"
        ]
        return found

    async def _sim(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._ask("POST", f"{self._phones_url}/sim/{path}", json=body)
        found: dict[str, Any] = answer.json()
        return found

    async def _ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        # A token in a path is a secret: name the endpoint in errors, not the whole URL.
        shown = f"{method} {url}".split("/s/", maxsplit=1)[0]
        try:
            answer = await self._client.request(method, url, **options)
        except httpx.HTTPError as error:
            raise WorldError(f"{shown}: {error or type(error).__name__}") from error
        if answer.is_error:
            raise WorldError(f"{shown} answered {answer.status_code}: {answer.text[:200]}")
        return answer
