"""A whole house of real processes to break: broker, gateway and server as `xunlou up` runs them,
simulated terminals with their flash, the signing stand-in for Twilio, and lines that can be cut.

What must hold is checked from outside, in `Cell.verify`: the provider's ledger, the terminals'
receipts, the database's file. The house is asked for nothing that it could be wrong about.
"""

import asyncio
import contextlib
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import httpx
import paho.mqtt.client as mqtt
import psycopg
from fastapi import FastAPI
from paho.mqtt.enums import CallbackAPIVersion

from firmware_sim import clock as clocks
from firmware_sim import outputs
from firmware_sim.fleet import Fleet
from firmware_sim.line import Broker
from firmware_sim.manifest import TerminalEntry
from firmware_sim.phones import PhonesConfig
from firmware_sim.phones import create_app as create_phones
from firmware_sim.phones.exchange import Exchange
from firmware_sim.wire import Kind, Ref
from tests.faults.line import Line
from tests.postgres import Cluster
from tests.town import bound, phone_book, serving
from xunlou import supervise
from xunlou.community import Community
from xunlou.embedded import Embedded, Place, prepare
from xunlou.keys import Keys
from xunlou.paho_thread import end
from xunlou.ports import free_port
from xunlou.sample import guangdan, terminal_password
from xunlou.supervise import Supervisor

TEN = datetime(2026, 3, 14, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
"""Between the rounds: nothing happens but what the test does."""
BUILDINGS, EACH = 16, 8


@dataclass
class House:
    """The running house."""

    place: Place
    community: Community
    supervisor: Supervisor
    fleet: Fleet
    exchange: Exchange
    provider: Line
    upstream: Line
    api: httpx.AsyncClient
    began_s: float
    presses: int = 0
    used: Iterator[str] = field(default_factory=lambda: iter(()))
    postgres: str | None = None
    """How to reach the database where it is no file."""
    early_receipts: list[str] = field(default_factory=list)
    """Receipts that a terminal had while the event was not in the database's file."""
    table: list[dict[str, Any]] = field(default_factory=list)

    @property
    def database(self) -> Path:
        """The database's file."""
        return self.place.directory / "xunlou.db"

    def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database itself, as committed. Raises psycopg.OperationalError where it is a
        PostgreSQL that does not run."""
        if self.postgres is not None:
            with psycopg.connect(self.postgres, connect_timeout=2) as server:
                return server.execute(query.replace("?", "%s").encode(), values).fetchall()
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            return connection.execute(query, values).fetchall()

    def change(self, statement: str) -> None:
        """Change the file behind everybody's back."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            connection.execute(statement)
            connection.commit()

    def pid(self, name: str) -> int:
        """The process id of a running part."""
        pid = self.supervisor.children[name].pid
        assert pid is not None, f"{name} does not run"
        return pid

    def kill(self, name: str) -> None:
        """kill -9."""
        os.kill(self.pid(name), signal.SIGKILL)

    def stop(self, name: str) -> None:
        """Hang it: it keeps all its sockets and answers nothing."""
        os.kill(self.pid(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let it go on."""
        os.kill(self.pid(name), signal.SIGCONT)

    def move_clock(self, hours: float) -> None:
        """From its next start on the server's clock is so much off what it was."""
        environment = self.supervisor.children["server"].spec.env
        assert isinstance(environment, dict)
        real_s, virtual_s, speed = environment["XUNLOU_CLOCK"].split(",")
        environment["XUNLOU_CLOCK"] = f"{real_s},{float(virtual_s) + hours * 3600},{speed}"

    def publish_checkins(self, count: int) -> None:
        """So many check-ins of one terminal, all acknowledged by the broker. Blocking."""
        terminal = self.fleet.terminals[0]
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="flood")
        client.username_pw_set(terminal.id, terminal.password)
        client.max_inflight_messages_set(500)
        client.connect("127.0.0.1", self.place.mqtt_port)
        client.loop_start()
        topic = f"xunlou/v1/t/{terminal.id}/evt/checkin"
        sent = [client.publish(topic, b'{"boot":900000,"seq":%d}' % n, qos=1) for n in range(count)]
        for info in sent:
            info.wait_for_publish(30)
        end(client)

    async def until(self, true: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
        """Wait for a state of affairs."""
        end = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
            await asyncio.sleep(0.02)

    async def restarted(self, name: str, starts: int, within_s: float = 30.0) -> None:
        """Wait until a part has been started more often than `starts`."""
        child = self.supervisor.children[name]
        await self.until(lambda: child.starts > starts and child.pid is not None,
                         f"{name} is started again", within_s)  # fmt: skip

    async def ready(self) -> bool:
        """Whether the server says that a press would be stored."""
        try:
            return (await self.api.get("/readyz")).status_code == 200
        except httpx.HTTPError:
            return False

    async def until_ready(self, within_s: float = 40.0) -> None:
        """Wait for the server to say so."""
        end = time.monotonic() + within_s
        while not await self.ready():
            assert time.monotonic() < end, f"the server is not ready within {within_s:g} s"
            await asyncio.sleep(0.1)

    def note_receipt(self, terminal: str, output: outputs.Output) -> None:
        """A terminal heard a receipt: the event must be in the file by now."""
        if isinstance(output, outputs.Receipted):
            ref = output.ref
            try:
                stored = self.sql(
                    "SELECT 1 FROM signal WHERE terminal_id = ? AND boot = ? AND seq = ?",
                    terminal, ref.boot, ref.seq,
                )  # fmt: skip
            except psycopg.OperationalError:
                return  # killed since: at the end it has to be there, and nobody sends it again
            if not stored:
                self.early_receipts.append(f"{terminal} {ref}")

    @contextlib.asynccontextmanager
    async def cell(self, name: str, *, crashes: int = 0, within_s: float) -> AsyncIterator["Cell"]:
        """One cell of the matrix: in the body press and break; at its end everything must hold
        within `within_s` of the last `healed()`, with at most one extra SMS a crash."""
        cell = Cell(self, name, crashes, within_s)
        row: dict[str, Any] = {"fault": name, "held": False}
        self.table.append(row)
        try:
            yield cell
            await cell.verify()
            row["held"] = True
        finally:
            row |= {**cell.ledger, "crashes": crashes, "extra_sms": cell.extra,
                    "recovered_s": cell.recovered_s, "within_s": within_s}  # fmt: skip
            await cell.clear_up()


@dataclass
class Cell:
    """One fault and the presses that met it."""

    house: House
    name: str
    crashes: int
    within_s: float
    presses: list[tuple[str, Ref]] = field(default_factory=list)
    check_ins: list[tuple[str, Ref]] = field(default_factory=list)
    ledger: dict[str, int] = field(default_factory=dict)
    """How many events reached each stage."""
    healed_s: float = field(default_factory=time.monotonic)
    recovered_s: float | None = None
    extra: int | None = None

    def press(self, count: int = 1) -> None:
        """So many people press for help, each in another building while there are any."""
        for _ in range(count):
            terminal = next(self.house.used)
            ref = self.house.fleet.press(terminal, Kind.SOS)
            assert ref is not None
            self.presses.append((terminal, ref))

    def check_in(self, count: int) -> None:
        """So many of the house's first terminals check in, pressed by hand: nobody is told, and not
        one may be lost either."""
        for terminal in self.house.fleet.terminals[:count]:
            ref = self.house.fleet.press(terminal.id, Kind.CHECKIN)
            if ref is not None:  # else its key has just been pressed
                self.check_ins.append((terminal.id, ref))

    def healed(self) -> None:
        """The fault is over (or is one that the house has to mend itself): time runs from here."""
        self.healed_s = time.monotonic()

    def codes(self) -> dict[str, str]:
        """Terminal → code of its alert, for the presses that have one."""
        found = {}
        for terminal, ref in self.presses:
            rows = self.house.sql(
                "SELECT code FROM alert WHERE terminal_id = ? AND boot = ? AND seq = ?",
                terminal, ref.boot, ref.seq,
            )  # fmt: skip
            if rows:
                found[terminal] = rows[0][0]
        return found

    def messages(self, state: str) -> int:
        """How many messages about this cell's alerts are in a state."""
        codes = list(self.codes().values())
        marks = ", ".join("?" * len(codes))
        query = (
            "SELECT count(*) FROM message JOIN alert ON alert.id = message.alert_id"
            f" WHERE message.state = ? AND alert.code IN ({marks})"
        )
        return int(self.house.sql(query, state, *codes)[0][0])

    def told(self) -> Counter[tuple[str, str]]:
        """(phone, words) → how often the provider carried it, for this cell's alerts."""
        codes = self.codes().values()
        return Counter(
            (m.phone, m.body)
            for m in self.house.exchange.ledger.newest_first()
            if m.author == "server" and any(code in m.body for code in codes)
        )

    def unaccounted(self) -> int:
        """SMS that the provider carried beyond those that the outbox says it sent."""
        carried: Counter[tuple[str, str]] = Counter()
        for (phone, body), count in self.told().items():
            code = next(c for c in self.codes().values() if c in body)
            carried[phone, code] += count
        for code in self.codes().values():
            query = (
                "SELECT message.phone, count(*) FROM message JOIN alert"
                " ON alert.id = message.alert_id WHERE alert.code = ?"
                " AND message.state IN ('sent', 'delivered', 'undelivered') GROUP BY 1"
            )
            for phone, count in self.house.sql(query, code):
                carried[phone, code] -= count
        return sum(count for count in carried.values() if count > 0)

    def untold(self) -> list[str]:
        """What is still missing, in words; empty when all is well."""
        waiting = set(self.house.fleet.waiting())
        events = self.presses + self.check_ins
        missing = [f"{t}: no receipt" for t, ref in events if (t, ref) in waiting]
        codes = self.codes()
        missing += [f"{t}: no alert" for t, _ in self.presses if t not in codes]
        words = self.told()
        for terminal, code in codes.items():
            number = self.house.fleet.entry(terminal).building
            building = next(b for b in self.house.community.buildings if b.number == number)
            for steward in building.stewards:
                phone = steward.person.phone
                if not any(p == phone and code in body for p, body in words):
                    missing.append(f"{terminal}: steward {steward.position} not told")
        return missing

    async def verify(self) -> None:
        """Everybody has a receipt, an alert and two stewards told, in time; nothing doubled beyond
        what a crash excuses; no receipt before its commit."""
        end = self.healed_s + self.within_s
        while missing := self.untold():
            assert time.monotonic() < end, f"after {self.within_s:g} s: {missing}"
            await asyncio.sleep(0.05)
        self.recovered_s = round(time.monotonic() - self.healed_s, 1)
        unsettled = "SELECT count(*) FROM message WHERE state IN ('queued', 'sending')"
        await self.house.until(lambda: self.house.sql(unsettled) == [(0,)], "the outbox is empty")
        self.extra = self.unaccounted()
        assert self.extra <= self.crashes, f"{self.extra} SMS too many"
        for terminal, ref in self.presses + self.check_ins:
            rows = self.house.sql(
                "SELECT count(*) FROM signal WHERE terminal_id = ? AND boot = ? AND seq = ?",
                terminal, ref.boot, ref.seq,
            )  # fmt: skip
            assert rows == [(1,)], f"{terminal}: stored {rows} times"
        assert self.house.early_receipts == []
        await self.balance()

    async def balance(self) -> None:
        """The loss ledger: as many events at each stage as were pressed, counted from outside."""
        house, events = self.house, self.presses + self.check_ins
        waiting, codes, words = set(house.fleet.waiting()), self.codes(), self.told()
        stored = {
            tuple(row) for row in house.sql("SELECT terminal_id, boot, seq FROM signal")
        }
        open_now = await house.api.get("/api/v1/alerts", params={"kind": "sos"})
        seen = {alert["code"] for alert in open_now.raise_for_status().json()["alerts"]}
        self.ledger = {
            "pressed": len(events),
            "stored": sum((t, ref.boot, ref.seq) in stored for t, ref in events),
            "receipted": sum((t, ref) not in waiting for t, ref in events),
            "alarms": len(self.presses),
            "told": sum(any(codes[t] in body for _, body in words) for t, _ in self.presses),
            "seen": sum(codes[t] in seen for t, _ in self.presses),
        }
        assert self.ledger["pressed"] == self.ledger["stored"] == self.ledger["receipted"]
        assert self.ledger["alarms"] == self.ledger["told"] == self.ledger["seen"]

    async def clear_up(self) -> None:
        """Mend what the test broke and close its alerts, so that the next cell begins in peace."""
        house = self.house
        for name, child in house.supervisor.children.items():
            with contextlib.suppress(ProcessLookupError, AssertionError):
                if child.pid is not None:
                    os.kill(house.pid(name), signal.SIGCONT)
        house.exchange.faults.clear()
        await house.provider.set("pass")
        await house.upstream.set("pass")
        await house.until_ready()
        query = "SELECT id FROM alert WHERE state <> 'resolved' AND kind = 'sos'"
        for (alert_id,) in house.sql(query):
            await house.api.post(f"/api/v1/alerts/{alert_id}/resolve", json={"outcome": "safe"})
        unsettled = "SELECT count(*) FROM message WHERE state IN ('queued', 'sending')"
        await house.until(lambda: house.sql(unsettled) == [(0,)], "the outbox is empty", 40)


def _terminals(community: Community, secret: str) -> list[TerminalEntry]:
    """The first few flats of each building, building by building in turn."""
    by_building: dict[int, list[TerminalEntry]] = {}
    for building, flat, resident in community.flats_with_residents():
        entries = by_building.setdefault(building.number, [])
        if len(entries) < EACH:
            password = terminal_password(secret, resident.terminal_id)
            entries.append(
                TerminalEntry(
                    resident.terminal_id, password, building.number, flat.label, flat.floor
                )
            )
    return [
        entry
        for nth in range(EACH)
        for entries in by_building.values()
        for entry in entries[nth : nth + 1]
    ]


@dataclass(frozen=True, slots=True)
class OnPostgres(Place):
    """An installation whose database is not its own file."""

    elsewhere: str = ""

    @property
    def database_url(self) -> str:
        """Where the database is."""
        return self.elsewhere


@contextlib.asynccontextmanager
async def a_house(
    folder: Path, cluster: Cluster | None = None, database: str = ""
) -> AsyncIterator[House]:
    """A house in `folder`, every part a process of its own but terminals and provider. With a
    `cluster` its database is the one of this name there."""
    community = guangdan(buildings=BUILDINGS)
    keys = Keys.fresh()
    clock = f"{time.time()},{TEN.timestamp()},1"
    sim_clock = clocks.from_text(clock)
    port = free_port()
    phones_sock, phones_url = bound()
    config = PhonesConfig(
        account_sid=keys.sms_account, auth_token=keys.sms_token, from_number="+8610000000001",
        webhook_base=f"http://127.0.0.1:{port}", clock=lambda: sim_clock.now_ms() / 1000,
        phones=phone_book(community), sent_delay_s=0.05, delivered_delay_s=0.05, tick_s=0.05,
    )  # fmt: skip
    phones: FastAPI = create_phones(config)
    provider = Line(int(phones_url.rpartition(":")[2]))
    upstream = Line(port)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(serving(phones, phones_sock))
        await enter(provider.laid())
        await enter(upstream.laid())
        environment = {
            "TWILIO_ACCOUNT_SID": keys.sms_account,
            "TWILIO_AUTH_TOKEN": keys.sms_token,
            "TWILIO_FROM_NUMBER": "+8610000000001",
            "TWILIO_API_BASE_URL": f"http://127.0.0.1:{provider.port}",
            "XUNLOU_SERVER_URL": f"http://127.0.0.1:{upstream.port}",
            "XUNLOU_METRICS_TOKEN": "metrics-token",
            "XUNLOU_LOG_FORMAT": "json",
        }
        place = Place(folder, port, free_port(), keys, clock=clock, sms=environment)
        if cluster is not None:
            url = cluster.url(database)
            place = OnPostgres(
                folder, port, place.mqtt_port, keys, clock=clock, sms=environment, elsewhere=url
            )
        await asyncio.to_thread(prepare, place, community)
        # Else each kill of the matrix would make the next start later, up to ten seconds.
        stack.enter_context(mock.patch.object(supervise, "_STEADY_AFTER_S", 1.0))
        supervisor = await enter(Supervisor(folder / "log", lambda *_: None))
        await Embedded(place, supervisor).start()
        entries = _terminals(community, keys.terminal_secret)
        fleet = Fleet(
            entries, Broker("127.0.0.1", place.mqtt_port, keepalive_s=5), sim_clock, hb_jitter=0.0
        )
        await fleet.start()
        stack.push_async_callback(fleet.stop)
        headers = {"Authorization": f"Bearer {keys.api_token}"}
        api = await enter(httpx.AsyncClient(base_url=place.url, headers=headers, timeout=5.0))
        house = House(
            place, community, supervisor, fleet, phones.state.exchange, provider, upstream, api,
            time.monotonic(), used=iter([e.id for e in entries]),
            postgres=cluster.dsn(database) if cluster is not None else None,
        )  # fmt: skip
        fleet.watch(house.note_receipt)
        await fleet.until(lambda: fleet.connected == len(entries), 60)
        yield house
