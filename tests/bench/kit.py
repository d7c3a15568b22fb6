"""What the benchmarks share: a whole house of real processes, a provider that only takes the
time, and one JSON line at the end.

Machines are noisy and shared, so no figure stands alone: each comes with a ceiling measured in
the same run, and the ratio to it.
"""

import asyncio
import contextlib
import gc
import json
import os
import platform
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs

import paho.mqtt.client as paho

from xunlou.broker import make_broker
from xunlou.broker_tls import Tls
from xunlou.embedded import Embedded, Place, prepare, terminal_users
from xunlou.keys import Keys
from xunlou.ports import free_port
from xunlou.sample import guangdan, terminal_password
from xunlou.supervise import Supervisor

DURABLE = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "replica",
    "max_wal_size": "2GB", "max_wal_senders": "10", "shared_buffers": "256MB",
    "maintenance_work_mem": "512MB", "autovacuum": "on",
}  # fmt: skip
"""A PostgreSQL of the tests made as the deployed one is (xunlou/deploy/postgresql.conf)."""


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of the values lie; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def emit(**figures: Any) -> None:
    """Print one JSON line, with the machine it was measured on."""
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    rounded = json.loads(json.dumps(figures), parse_float=lambda f: round(float(f), 3))
    print(json.dumps({**rounded, **machine}), flush=True)  # noqa: T201 (its one output)


@dataclass
class Sink:
    """Stands where the SMS provider is: notes when each request's body is here, and says yes. What
    it says is read only when somebody asks: the provider shares no core with us, and this does."""

    count: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _came: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def arrived(self) -> dict[str, list[float]]:
        """An SMS's words → the instants (perf_counter) at which one with them came."""
        found: dict[str, list[float]] = {}
        for at, body in self._came:
            found.setdefault(parse_qs(body.decode()).get("Body", [""])[0], []).append(at)
        return found

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Listen on a free port; yields the URL."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Line(self), "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def take(self, body: bytes, at: float) -> bytes:
        """A request is here; the answer to it."""
        self.count += 1
        self._came.append((at, body))
        self.changed.set()
        answer = b'{"sid": "SM%032x", "status": "queued"}' % self.count
        return (
            b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer)
        )

    async def until(self, total: int, timeout_s: float) -> None:
        """Wait until so many requests have come in all. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while self.count < total:
                self.changed.clear()
                await self.changed.wait()


class _Line(asyncio.Protocol):
    """One connection of a client, which keeps it to the end."""

    _length = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._bytes = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio says."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        self._bytes += data
        assert self._transport is not None
        while (end := self._bytes.find(b"\r\n\r\n")) >= 0:
            found = self._length.search(self._bytes, 0, end)
            whole = end + 4 + (int(found[1]) if found is not None else 0)
            if len(self._bytes) < whole:
                return
            body, self._bytes = self._bytes[end + 4 : whole], self._bytes[whole:]
            self._transport.write(self._sink.take(body, time.perf_counter()))


@dataclass
class House:
    """Broker, server and gateway as they run in the embedded edition."""

    place: Place
    sink: Sink
    terminals: list[str]
    senders: list[paho.Client] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Where its terminals come in."""
        return self.place.mqtt_port if self.place.tls is None else self.place.tls.port

    @property
    def authority(self) -> str:
        """The file of the authority that its terminals know; empty where they come in the clear."""
        return "" if self.place.tls is None else str(self.place.tls.authority)

    def client(self, terminal: str) -> paho.Client:
        """A connected MQTT client of this terminal with a network thread of its own."""
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=f"{terminal}-bench", clean_session=True
        )
        client.username_pw_set(
            terminal, terminal_password(self.place.keys.terminal_secret, terminal)
        )
        client.max_inflight_messages_set(1000)
        client.connect("127.0.0.1", self.place.mqtt_port)
        client.loop_start()
        while not client.is_connected():
            time.sleep(0.005)
        return client


@dataclass
class Load:
    """A load that runs in a process of its own (tests/bench/load.py)."""

    process: asyncio.subprocess.Process

    @staticmethod
    async def start(
        house: House, *, kind: str, boot: int, each: int, terminals: Sequence[str],
        per_s: int = 0, receipts: bool = True, within_s: float = 120.0, stay_s: float = 0.0,
    ) -> "Load":
        """Connect `terminals`, then let each say `each` messages; returns when all are connected.

        `per_s`: pace of all together, 0 for full speed. `receipts`: end with the last receipt.
        `stay_s`: how long they stay connected after that.
        """
        secret = house.place.keys.terminal_secret
        order = {
            "port": house.port, "ca": house.authority, "kind": kind, "boot": boot, "each": each,
            "users": [(t, terminal_password(secret, t)) for t in terminals],
            "per_s": per_s, "receipts": receipts, "within_s": within_s,
            "stay_s": stay_s,
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.load",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**20,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        assert await process.stdout.readline() == b"ready\n", "the load could not connect"
        return Load(process)

    async def ended(self) -> dict[str, Any]:
        """What the load saw, instants by perf_counter (one clock for all processes here)."""
        assert self.process.stdout is not None
        said: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return said

    async def stop(self) -> None:
        """End it early."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


class Elsewhere(Place):
    """An installation whose database is not its own SQLite file."""

    url_of_database: ClassVar[list[str]] = []

    @property
    def database_url(self) -> str:
        """Where the database is."""
        return self.url_of_database[-1]


TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(names: Sequence[str] = ("serve", "gateway", "mosquitto")) -> dict[str, float]:
    """CPU seconds so far of the house's processes (children of this one), by name."""
    used = dict.fromkeys(names, 0.0)
    for pid, words in children():
        name = next((n for n in names if n in words[-1] or n in Path(words[0]).name), None)
        if name is not None:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            used[name] += (int(fields[11]) + int(fields[12])) / TICKS
    return used


def children() -> list[tuple[int, list[str]]]:
    """Pid and command line of the processes this one has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            words = (stat.parent / "cmdline").read_bytes().decode().split("\0")[:-1]
            if parent == os.getpid() and words:
                found.append((int(stat.parent.name), words))
    return found


@contextlib.asynccontextmanager
async def a_house(
    *, broker_only: bool = False, database_url: str = "", extra_terminals: int = 0,
    tls: bool = False, clock: str = "",
) -> AsyncIterator[House]:  # fmt: skip
    """The embedded edition in a temporary directory, with the sample community; or its broker
    alone, for a ceiling. `database_url`: an empty PostgreSQL database instead of SQLite.
    `extra_terminals`: so many without a resident, beside the sample's. `tls`: loads come in by the
    broker's door for terminals outside. `clock`: as XUNLOU_CLOCK, empty for the real one."""
    sink = Sink()
    gc.collect()
    gc.freeze()  # this process holds the stop-watch: it must not stand still for its own garbage
    with tempfile.TemporaryDirectory(prefix="xunlou-bench-") as folder:
        async with sink.serving() as url:
            keys = Keys.fresh()
            sms = {
                "TWILIO_ACCOUNT_SID": keys.sms_account,
                "TWILIO_AUTH_TOKEN": keys.sms_token,
                "TWILIO_FROM_NUMBER": "+8610000000001",
                "TWILIO_API_BASE_URL": url,
                # At night every text is a call as well: what is measured would hang on the hour.
                "XUNLOU_NIGHT": "00:00-00:00",
            }
            community = guangdan()
            kind = Elsewhere if database_url else Place
            door = Tls(Path(folder) / "tls", free_port(), ("127.0.0.1",)) if tls else None
            ports = free_port(), free_port()
            place = kind(Path(folder), *ports, keys, clock=clock, sms=sms, tls=door)
            if isinstance(place, Elsewhere):
                place.url_of_database.append(database_url)
            await asyncio.to_thread(prepare, place, community)
            terminals = [r.terminal_id for _, _, r in community.flats_with_residents()]
            if extra_terminals:
                extra = [f"extra-{n}" for n in range(1, extra_terminals + 1)]
                with sqlite3.connect(place.directory / "xunlou.db") as db:
                    db.executemany(
                        "INSERT INTO terminal (id, state, status, boot, firmware, heartbeat_s)"
                        " VALUES (?, 'active', 'unknown', 0, '', 900)",
                        [(t,) for t in extra],
                    )
                db.close()
                terminals += extra
            async with Supervisor(Path(folder) / "log") as supervisor:
                if broker_only:
                    users = terminal_users(place)
                    await make_broker(
                        place.directory / "broker", place.mqtt_port, users, supervisor
                    ).start()
                else:
                    await Embedded(place, supervisor).start()
                yield House(place, sink, terminals)
