"""Real server processes on one PostgreSQL, with the signing stand-in for Twilio in the test."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
from town import (
    ACCOUNT,
    API_TOKEN,
    GATEWAY_TOKEN,
    GZ,
    SECRET,
    SENDER,
    TOKEN,
    Hand,
    bound,
    lay_out,
    phone_book,
    serving,
)

from firmware_sim.phones import PhonesConfig
from firmware_sim.phones import create_app as create_phones
from firmware_sim.phones.ledger import Ledger
from xunlou.community import Community
from xunlou.ports import free_port

MORNING = datetime(2026, 3, 14, 10, 0, tzinfo=GZ)
"""Between two rounds: only what the test does happens."""


async def until(
    what: str, true: Callable[[], Any], timeout_s: float = 60.0, every_s: float = 0.05
) -> float:
    """Wait until `true()`; returns after how many seconds. Fails naming `what`."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < timeout_s, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(every_s)
    return time.monotonic() - begun


@dataclass
class Server:
    """One `xunlou serve`."""

    port: int
    process: asyncio.subprocess.Process
    gateway: httpx.AsyncClient
    api: httpx.AsyncClient

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def kill(self) -> None:
        """As a power cut does it."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def press(self, *terminals: str, seq: int = 1, kind: str = "sos") -> list[str]:
        """Hand in an event of each as a gateway does; what became of them."""
        events = [{"t": t, "type": kind, "boot": 1, "seq": seq} for t in terminals]
        body = {"gateway": f"gw-{self.port}", "signals": events}
        answer = await self.gateway.post("/api/v1/signals", json=body)
        assert answer.status_code == 200, answer.text
        return [receipt["result"] for receipt in answer.json()["receipts"]]


class Cell:
    """The servers, the database behind them, and what the provider was given."""

    def __init__(
        self, folder: Path, dsn: str, community: Community, ledger: Ledger, env: dict[str, str],
        phones_url: str,
    ) -> None:  # fmt: skip
        self._folder = folder
        self.community = community
        self.ledger = ledger
        self.servers: list[Server] = []
        self.phones_url, self.database_url = phones_url, env["XUNLOU_DATABASE_URL"]
        self._env = env
        self._ports = [int(env["XUNLOU_PUBLIC_URL"].rpartition(":")[2])]
        self._conn = psycopg.connect(dsn, autocommit=True)

    def sql(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        """Look into the database."""
        return self._conn.execute(query.encode(), args).fetchall()

    def terminals(self) -> list[str]:
        """Every resident's terminal."""
        found = self.sql("SELECT id FROM terminal WHERE resident_id IS NOT NULL ORDER BY id")
        return [row[0] for row in found]

    def sent(self) -> Counter[tuple[str, str]]:
        """(phone, words) → how often the provider was given it."""
        given = (m for m in self.ledger.newest_first() if m.direction == "outbound-api")
        return Counter((m.phone, m.body) for m in given)

    def waiting(self) -> int:
        """Messages that have not surely left."""
        query = "SELECT count(*) FROM message WHERE state IN ('queued', 'sending')"
        return int(self.sql(query)[0][0])

    async def start(self) -> Server:
        """One more server; it answers when this returns."""
        port = self._ports.pop() if self._ports else free_port()
        said = self._folder / f"server-{port}.log"
        with said.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "xunlou", "serve", stderr=log,
                env=self._env | {"XUNLOU_PORT": str(port)},
            )  # fmt: skip
        url = f"http://127.0.0.1:{port}"

        def client(token: str) -> httpx.AsyncClient:
            return httpx.AsyncClient(
                base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=20.0,
                # Less than the server's own: a connection it is just closing is no failure.
                limits=httpx.Limits(keepalive_expiry=2),
            )

        server = Server(port, process, client(GATEWAY_TOKEN), client(API_TOKEN))
        self.servers.append(server)
        async with asyncio.timeout(60):
            while True:
                assert process.returncode is None, f"the server ended: {said.read_text()[-2000:]}"
                with contextlib.suppress(httpx.TransportError):
                    if (await server.api.get("/readyz")).status_code == 200:
                        return server
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        """End what still runs."""
        for server in self.servers:
            if server.process.returncode is None:
                server.process.terminate()
        for server in self.servers:
            await server.process.wait()
            await server.gateway.aclose()
            await server.api.aclose()
        self._conn.close()


@contextlib.asynccontextmanager
async def a_cell(
    folder: Path, *, servers: int = 2, buildings: int = 12, speed: float = 0.1
) -> AsyncIterator[Cell]:
    """`servers` processes on one PostgreSQL (chosen by the test). Their clock runs slowly, so that
    no ladder climbs because the machine is busy."""
    import postgres

    start, real = MORNING.timestamp(), time.time()
    database_url, community = lay_out(folder, Hand(MORNING), buildings)
    sock, phones_url = bound()
    # Twilio calls one public address; a proxy stands there in life, the first server here.
    public_url = f"http://127.0.0.1:{free_port()}"
    env = os.environ | {
        "XUNLOU_DATABASE_URL": database_url,
        "XUNLOU_PUBLIC_URL": public_url,
        "XUNLOU_SECRET": SECRET,
        "XUNLOU_GATEWAY_TOKEN": GATEWAY_TOKEN,
        "XUNLOU_API_TOKEN": API_TOKEN,
        "XUNLOU_CLOCK": f"{real},{start},{speed}",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_FROM_NUMBER": SENDER,
        "TWILIO_API_BASE_URL": phones_url,
    }
    phones = create_phones(
        PhonesConfig(
            account_sid=ACCOUNT, auth_token=TOKEN, from_number=SENDER,
            webhook_base=public_url, clock=lambda: start + time.time() - real,
            phones=phone_book(community), sent_delay_s=0.0, delivered_delay_s=0.0, tick_s=0.05,
        )
    )  # fmt: skip
    async with serving(phones, sock):
        ledger = phones.state.exchange.ledger
        cell = Cell(folder, postgres.dsn_of(database_url), community, ledger, env, phones_url)
        try:
            await asyncio.gather(*(cell.start() for _ in range(servers)))
            yield cell
        finally:
            await cell.close()


async def fault(cell: Cell, kind: str, **more: Any) -> None:
    """Break the provider in one way."""
    async with httpx.AsyncClient(base_url=cell.phones_url) as client:
        (await client.post("/faults", json={"kind": kind, **more})).raise_for_status()


@contextlib.asynccontextmanager
async def stream(server: Server, after: int | None = None) -> AsyncIterator[AsyncIterator[Any]]:
    """The live feed of a server: (event, data) one by one."""
    query = {} if after is None else {"after": str(after)}
    async with server.api.stream("GET", "/api/v1/stream", params=query) as answer:
        assert answer.status_code == 200

        async def events() -> AsyncIterator[tuple[str, dict[str, Any]]]:
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if not line and "data" in fields:
                    yield fields["event"], json.loads(fields["data"])
                    fields = {}
                    continue
                name, _, value = line.partition(":")
                if name:
                    fields[name] = value.strip()

        yield events()
