"""The world of a scenario over HTTP: the simulator's control, the phones, the server.

Works the same from inside the simulator's process and from another one. Read-only towards the
server: whatever happens there must come from terminals and phones.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import httpx

from firmware_sim.clock import Clock
from firmware_sim.manifest import Manifest
from firmware_sim.runner import WorldError
from firmware_sim.scenario import CastPhone, CastTerminal
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
        """The first terminal of the manifest that fits."""
        for entry in self._manifest.terminals:
            if (
                part.story in (None, entry.story)
                and part.building in (None, entry.building)
                and part.floor in (None, entry.floor)
            ):
                return entry.id
        raise WorldError(f"the manifest has no terminal like {part}")

    def find_phone(self, part: CastPhone) -> str:
        """The nth phone of the manifest that fits."""
        fitting = [
            phone.number
            for phone in self._manifest.phones
            if phone.role == part.role and part.building in (None, phone.building)
        ]
        if len(fitting) < part.nth:
            raise WorldError(f"the manifest has no phone like {part}")
        return fitting[part.nth - 1]

    async def press(self, terminal: str, kind: Kind) -> None:
        """Press a button."""
        answer = await self._sim(f"terminals/{terminal}/press", {"kind": str(kind)})
        if answer.get("seq") is None:
            raise WorldError(f"pressing {kind} on {terminal} gave no event")

    async def switch(self, terminal: str, what: str, on: bool) -> None:
        """Switch mains, power or network."""
        await self._sim(f"terminals/{terminal}/{what}", {"on": on})

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
