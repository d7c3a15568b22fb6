"""The gateway's side of the server's HTTP API. One object per lane, each with its own connections.

It must never turn a doubt into a success: what is not a complete, matching 200 is `Unavailable`
and will be asked again.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

import aiohttp

from gateway.batch import Entry, build_body
from gateway.settings import GatewaySettings

Result = Literal["stored", "duplicate", "quarantined"]
IDLE_S: Final = 50.0
"""A connection unused for this long is closed by us, s: well before the server does (75), as a
batch that crosses with the server's closing is a failed try."""
_RESULTS: Final = frozenset({"stored", "duplicate", "quarantined"})
_OUR_FAULT: Final = frozenset({400, 413, 422})  # asking again unchanged can't help
_TOKEN_WRONG: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Answered:
    """The server took the batch; one result per signal, in order."""

    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The server says that this batch is malformed."""

    status: int


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """The server does not know our token."""

    status: int


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No usable answer: keep everything, ask again."""

    why: str


@dataclass(frozen=True, slots=True)
class Failed(Unavailable):
    """The server broke on it: an outage, or something in this batch. Keep everything."""


Answer = Answered | Refused | Unauthorized | Unavailable


class ServerClock:
    """The server's wall clock, from the Date header of its answers; the gateway reads none.

    Good to about a second, which is what `since` on the state topic needs.
    """

    def __init__(self) -> None:
        self._offset_ms: int | None = None

    def learn(self, date_header: str | None) -> None:
        """Take the time from an answer; a missing or odd header changes nothing."""
        if date_header is None:
            return
        try:
            epoch_ms = int(parsedate_to_datetime(date_header).timestamp() * 1000)
        except ValueError:
            return
        self._offset_ms = epoch_ms - int(time.monotonic() * 1000)

    def now_ms(self) -> int:
        """Epoch ms, or 0 as long as no server has answered."""
        if self._offset_ms is None:
            return 0
        return self._offset_ms + int(time.monotonic() * 1000)


class ServerClient:
    """POSTs with our token. `aclose()` when done."""

    def __init__(self, settings: GatewaySettings, clock: ServerClock, *, timeout_s: float) -> None:
        self._gateway_id = settings.gateway_id
        self._canary_every_s = settings.canary_every_s
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(timeout_s)
        self._url = settings.server_url.rstrip("/")
        self._token = settings.gateway_token
        self._http: aiohttp.ClientSession | None = None

    def _session(self) -> aiohttp.ClientSession:
        """The connections; made within the event loop, to which they belong."""
        if self._http is None:
            # aiohttp reads no proxy from the environment unless it is asked to: none must come
            # between a press and the server.
            self._http = aiohttp.ClientSession(
                headers={
                    "authorization": f"Bearer {self._token.get_secret_value()}",
                    "content-type": "application/json",
                },
                connector=aiohttp.TCPConnector(keepalive_timeout=IDLE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._http

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    async def post_signals(self, entries: Sequence[Entry]) -> Answer:
        """One try of `POST /api/v1/signals`. An empty batch is a probe. Never raises for I/O."""
        body = build_body(
            self._gateway_id, entries, time.monotonic(), canary_every_s=self._canary_every_s
        )
        got = await self._post("/api/v1/signals", body)
        if not isinstance(got, dict):
            return got
        signals = [entry.body for entry in entries if entry.kind == "signals"]
        results = _match_receipts(got.get("receipts"), signals)
        if results is None:
            return Unavailable("the answer's receipts don't match what was sent")
        return Answered(results)

    async def lease(self, *, max_commands: int, wait_s: float) -> list[Any] | Answer:
        """Commands to publish; the server may hold the question open for `wait_s`."""
        body = {"gateway": self._gateway_id, "max": max_commands, "wait_s": wait_s}
        got = await self._post(
            "/api/v1/commands/lease", json.dumps(body).encode(), timeout_s=wait_s + 10
        )
        if not isinstance(got, dict):
            return got
        commands = got.get("commands")
        return commands if isinstance(commands, list) else Unavailable("no list of commands")

    async def done(self, cmd_ids: Sequence[str]) -> bool:
        """Tell which commands the broker has. False when the server did not take it."""
        body = json.dumps({"cmd_ids": list(cmd_ids)}).encode()
        return isinstance(await self._post("/api/v1/commands/done", body), dict)

    async def _post(
        self, path: str, body: bytes, *, timeout_s: float | None = None
    ) -> dict[str, Any] | Refused | Unauthorized | Unavailable:
        timeout = self._timeout if timeout_s is None else aiohttp.ClientTimeout(timeout_s)
        try:
            async with self._session().post(
                self._url + path, data=body, timeout=timeout, allow_redirects=False
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as exc:
            return Unavailable(type(exc).__name__)
        status = response.status
        if status in _TOKEN_WRONG:
            return Unauthorized(status)
        if status in _OUR_FAULT:
            return Refused(status)
        if status == 500:
            return Failed("HTTP 500")
        if status not in (200, 204):
            return Unavailable(f"HTTP {status}")
        self._clock.learn(response.headers.get("date"))
        if not content:
            return {}
        try:
            got = json.loads(content)
        except ValueError:
            return Unavailable("the answer is not JSON")
        return got if isinstance(got, dict) else Unavailable("the answer is not an object")


def _match_receipts(receipts: Any, signals: list[dict[str, Any]]) -> tuple[Result, ...] | None:
    """Results in order, or None unless every receipt is for the signal in its place."""
    if not signals:
        return ()
    if not isinstance(receipts, list) or len(receipts) != len(signals):
        return None
    results: list[Result] = []
    for receipt, signal in zip(receipts, signals, strict=True):
        if not isinstance(receipt, dict) or receipt.get("result") not in _RESULTS:
            return None
        if any(receipt.get(key) != signal[key] for key in ("t", "boot", "seq")):
            return None
        results.append(receipt["result"])
    return tuple(results)
