"""Reads the three books of a run over HTTP: the server's, the simulator's, the SMS provider's."""

from typing import Any

import httpx

from xunlou.keys import Keys
from xunlou.summary import Books

PAGE = 1000


class Observer:
    """Reads the three books over HTTP, as anybody could."""

    def __init__(self, server_url: str, phones_url: str, keys: Keys) -> None:
        self._server = httpx.AsyncClient(
            base_url=server_url,
            headers={"Authorization": f"Bearer {keys.api_token}"},
            timeout=10.0,
        )
        self._phones = httpx.AsyncClient(base_url=phones_url, timeout=10.0)
        self._account = (keys.sms_account, keys.sms_token)
        self._journal: list[dict[str, Any]] = []

    async def __aenter__(self) -> "Observer":
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._server.aclose()
        await self._phones.aclose()

    async def new_entries(self) -> list[dict[str, Any]]:
        """Journal entries since the last call."""
        after = self._journal[-1]["seq"] if self._journal else 0
        found = await _pages(self._server, "/api/v1/journal", "entries", "seq", after)
        self._journal += found
        return found

    @property
    def entries_read(self) -> int:
        """How many journal entries have been read so far."""
        return len(self._journal)

    async def scenario(self) -> dict[str, Any]:
        """How far the scenario has come."""
        found: dict[str, Any] = (await self._phones.get("/sim/scenario")).raise_for_status().json()
        return found

    async def quiet(self) -> None:
        """Nobody presses or checks in any more."""
        (await self._phones.post("/sim/quiet")).raise_for_status()

    async def books(self) -> Books:
        """All three books, the journal up to now. Read while the ladders climb: a message that goes
        out between two of the readings is in one book only, and `moved` says so."""
        before = await self._messages()
        sim = (await self._phones.get("/sim/summary")).raise_for_status().json()
        # Ours alone: the provider answers STOP and START in its own words.
        provider = [m for m in await self._listed("Messages") if m["direction"] == "outbound-api"]
        provider += await self._listed("Calls")
        alerts = await _pages(self._server, "/api/v1/alerts", "alerts", "id", 0)
        messages = await self._messages()
        await self.new_entries()  # last: what a terminal has a receipt for is in it by now
        return Books(
            sim=sim,
            journal=self._journal,
            alerts=alerts,
            messages=messages,
            provider=provider,
            moved=messages != before,
        )

    async def _messages(self) -> list[dict[str, Any]]:
        return await _pages(self._server, "/api/v1/messages", "messages", "id", 0)

    async def _listed(self, what: str) -> list[dict[str, Any]]:
        """All that the provider lists of `what`, page by page."""
        found: list[dict[str, Any]] = []
        page: str | None = f"/2010-04-01/Accounts/{self._account[0]}/{what}.json?PageSize={PAGE}"
        while page:
            answer = (await self._phones.get(page, auth=self._account)).raise_for_status().json()
            found += answer[what.lower()]
            page = answer["next_page_uri"]
        return found


async def _pages(
    client: httpx.AsyncClient, path: str, name: str, key: str, after: int
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        query = {"after": after, "limit": PAGE}
        page = (await client.get(path, params=query)).raise_for_status().json()[name]
        found += page
        if len(page) < PAGE:
            return found
        after = page[-1][key]
