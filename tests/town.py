"""A whole watched town for tests: the real server, the real Twilio client, the signing stand-in,
on real sockets, with a clock that the test moves.

The tests speak the protocol of care: press, expect an SMS on this phone, move the clock, expect
the next. `no_more_sms` fails on any message nobody expected.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import httpx
import postgres
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select, update

from firmware_sim.phones import PhoneEntry, PhonesConfig
from firmware_sim.phones import create_app as create_phones
from server import app as server_app
from server import jobs, migrate
from server import tables as t
from server.channels.base import Channel
from server.clock import Clock
from server.database import Database
from server.outbox import LEASE
from server.resealing import everything
from server.runtime import Runtime
from server.settings import Settings
from server.vault import Vault
from xunlou.community import Community
from xunlou.sample import guangdan
from xunlou.seed import load

GZ = ZoneInfo("Asia/Shanghai")
MARCH_14 = datetime(2026, 3, 14, 6, 10, tzinfo=GZ)
ACCOUNT, TOKEN, SENDER = "AC" + "0" * 32, "a-token-of-the-tests", "+8610000000001"
GATEWAY_TOKEN, API_TOKEN, PASSWORD = "gateway-token", "api-token", "a-long-password"
SECRET = "a-secret-of-the-tests"
NOTES_KEY = "dGVzdHMgc2VhbCB0aGVpciBub3RlcyB1bmRlciBpdCE="
SETTLE_S = 10.0

GRANNY = "gd-11-301"
HEAD, SECOND = "+8610011000101", "+8610011000102"
"""The two stewards of building 11; the second wants English."""


class Hand:
    """A clock's hand that only the test moves. Epoch seconds."""

    def __init__(self, start: datetime) -> None:
        self.at_s = start.timestamp()

    def __call__(self) -> float:
        return self.at_s


def bound() -> tuple[socket.socket, str]:
    """A listening socket on a free loopback port, and its URL."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, f"http://127.0.0.1:{sock.getsockname()[1]}"


@contextlib.asynccontextmanager
async def serving(app: FastAPI, sock: socket.socket) -> AsyncIterator[None]:
    """The app on an already bound socket."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="auto",
        timeout_keep_alive=server_app.KEEP_ALIVE_S,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:
        assert not task.done(), "the server ended before it started"
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@dataclass
class Town:
    """The running town."""

    runtime: Runtime
    hand: Hand
    url: str
    phones_url: str
    community: Community
    api: httpx.AsyncClient
    gateway: httpx.AsyncClient
    phones: httpx.AsyncClient
    seq: int = 0
    delivers: bool = True
    """Whether the provider tells of each message's end; False while a test swallows them."""
    read: dict[str, int] = field(default_factory=dict)

    async def signals(self, *events: dict[str, Any], **lists: Any) -> list[str]:
        """Post a batch as a gateway does; returns the receipts' results."""
        body = {"gateway": "gw-1", "signals": list(events), **lists}
        answer = await self.gateway.post("/api/v1/signals", json=body)
        assert answer.status_code == 200, answer.text
        return [r["result"] for r in answer.json()["receipts"]]

    def event(self, kind: str, terminal: str = GRANNY, **more: Any) -> dict[str, Any]:
        """The next event of a terminal."""
        self.seq += 1
        return {"t": terminal, "type": kind, "boot": 1, "seq": self.seq, **more}

    async def press(self, kind: str = "sos", terminal: str = GRANNY, **more: Any) -> None:
        """Somebody presses; the server must have stored it."""
        assert await self.signals(self.event(kind, terminal, **more)) == ["stored"]

    async def settled(self) -> None:
        """Wait until every message that is due has left and its fate is known.

        A message in flight is leased for longer than any back-off, which is how the two are told
        apart here while the clock stands still.
        """
        message = t.table(t.Message)
        now = self.runtime.clock.now()
        in_flight = message.c.due_at > now + LEASE / 2
        unknown = (message.c.due_at <= now) | ((message.c.state == "sending") & in_flight)
        if self.delivers:  # a call that rings is settled: it waits for a person
            unknown |= (message.c.state == "sent") & (message.c.channel == "sms")
        waiting = select(message).where(unknown)
        loop = asyncio.get_running_loop()
        before: Sequence[Mapping[Any, Any]] = ()
        until = loop.time()
        while left := await self.runtime.database.read(
            lambda c: c.execute(waiting).mappings().all()
        ):
            if left != before:  # many messages on a busy machine take their time
                before, until = left, loop.time() + SETTLE_S
            assert loop.time() < until, f"not settled at {now}: {[dict(m) for m in left]}"
            await asyncio.sleep(0.01)

    async def move(self, seconds: float) -> None:
        """Move the clock, ring the bell, and let all that follows happen."""
        self.hand.at_s += seconds
        await self.gateway_lives()
        await self.ring()

    async def move_to(self, at: datetime) -> None:
        """Move the clock to an instant, as `move` does."""
        await self.move(at.timestamp() - self.hand.at_s)

    async def watch(self, seconds: float) -> None:
        """Move the clock; a gateway was heard all the while, the devices said nothing."""
        self.hand.at_s += seconds
        heard = update(t.table(t.Gateway)).values(last_heard_at=self.runtime.clock.now())
        await self.sql(lambda c: c.execute(heard))
        await self.gateway_lives()
        await self.ring()

    async def watch_until(self, at: datetime) -> None:
        """Move the clock to an instant; gateway and devices were heard all the while."""
        device = t.table(t.Terminal)
        beats = update(device).where(device.c.heartbeat_due_at.is_not(None))
        beats = beats.values(heartbeat_due_at=at + timedelta(minutes=30))
        await self.sql(lambda c: c.execute(beats))
        await self.watch(at.timestamp() - self.hand.at_s)

    async def pass_unheard(self, seconds: float) -> None:
        """Move the clock and ring the bell while no gateway says anything."""
        self.hand.at_s += seconds
        await self.ring()

    async def gateway_lives(self) -> None:
        """What a gateway says when there is nothing to say."""
        await self.signals()

    async def ring(self) -> None:
        """Ring the bell until nothing is due, and wait for the messages."""
        sweeper = jobs.Sweeper(self.runtime.database, self.runtime.house)
        await sweeper.ring()
        self.runtime.database.bell.ring("outbox")
        await self.settled()

    async def phone(self, number: str) -> list[str]:
        """What this phone has received and the test has not read yet, oldest first."""
        await self.settled()
        path = f"/phones/{number}/messages"
        found = (await self.phones.get(path)).raise_for_status().json()["messages"]
        bodies = [m["body"] for m in found if m["direction"] in ("in", "to_phone")]
        new = bodies[self.read.get(number, 0) :]
        self.read[number] = len(bodies)
        return new

    async def expect_sms(self, number: str, *words: str) -> str:
        """Exactly one new SMS on this phone, with these words in it; returns it."""
        new = await self.phone(number)
        assert len(new) == 1, f"{number} has {new}, expected one with {words}"
        for word in words:
            assert word in new[0], f"{word!r} is not in {new[0]!r}"
        return new[0]

    async def no_more_sms(self) -> None:
        """No phone has a message that the test has not expected."""
        await self.settled()
        everybody = (await self.phones.get("/phones", params={"active": "true"})).json()["phones"]
        unread = {p["number"]: await self.phone(p["number"]) for p in everybody}
        assert {n: b for n, b in unread.items() if b} == {}, unread

    async def forget_sms(self) -> None:
        """All that has been sent so far is of no interest."""
        await self.settled()
        for entry in (await self.phones.get("/phones", params={"active": "true"})).json()["phones"]:
            await self.phone(entry["number"])

    async def reply(self, number: str, body: str) -> None:
        """The person with this phone answers; the server has taken it when this returns."""
        answer = await self.phones.post(f"/phones/{number}/send", json={"body": body})
        assert answer.status_code == 201, answer.text
        await self.settled()

    async def calls(self, number: str) -> list[dict[str, Any]]:
        """All calls to this phone, oldest first."""
        await self.settled()
        answer = await self.phones.get(f"/phones/{number}/calls")
        if answer.status_code == 404:  # never heard of
            return []
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["calls"]
        return found

    async def rings(self, number: str) -> None:
        """Wait until this telephone rings."""
        async with asyncio.timeout(SETTLE_S):
            while not any(c["status"] == "ringing" for c in await self.calls(number)):
                await asyncio.sleep(0.01)

    async def on_call(self, number: str, verb: str, digit: str = "") -> dict[str, Any]:
        """Whoever has this telephone in hand does something with the call; how it is then."""
        if verb not in ("key", "hang_up"):
            await self.rings(number)
        answer = await self.phones.post(
            f"/phones/{number}/call", json={"verb": verb, "digit": digit}
        )
        assert answer.status_code == 200, answer.text
        await self.settled()
        call: dict[str, Any] = answer.json()
        return call

    async def pick_up(self, number: str) -> str:
        """A person picks up; what they hear."""
        call = await self.on_call(number, "answer")
        return str(call["said"][-1])

    async def key(self, number: str, digit: str) -> str:
        """A person presses a key; what they hear then."""
        call = await self.on_call(number, "key", digit)
        return str(call["said"][-1])

    async def alerts(self, **query: Any) -> list[dict[str, Any]]:
        """Alerts as a program sees them."""
        answer = await self.api.get("/api/v1/alerts", params=query)
        found: list[dict[str, Any]] = answer.raise_for_status().json()["alerts"]
        return found

    async def sos(self) -> dict[str, Any]:
        """The one SOS there is."""
        (alert,) = await self.alerts(kind="sos")
        return alert

    async def faults(self) -> list[str]:
        """What ails, by name."""
        return sorted(a["fault"] for a in await self.alerts(kind="fault", state="unresolved"))

    async def over(self, fault: str) -> None:
        """Wait until this no longer ails, the clock standing still: whether a provider is back, a
        sender asks aside, and nobody else waits for the answer."""
        async with asyncio.timeout(SETTLE_S):
            while fault in await self.faults():
                await asyncio.sleep(0.01)

    async def act(self, alert_id: int, verb: str, **body: Any) -> httpx.Response:
        """Do something to an alert as a program."""
        answer = await self.api.post(f"/api/v1/alerts/{alert_id}/{verb}", json=body)
        await self.settled()
        return answer

    async def commands(self, *, answered: bool = True) -> list[dict[str, Any]]:
        """What a gateway is given to publish, reported as done; and, unless their terminals are
        silent, as shown by them."""
        body = {"gateway": "gw-1", "wait_s": 0}
        leased = (await self.gateway.post("/api/v1/commands/lease", json=body)).json()["commands"]
        ids = [c["cmd_id"] for c in leased]
        await self.gateway.post("/api/v1/commands/done", json={"cmd_ids": ids})
        if answered and leased:
            shown = [{"t": c["t"], "cmd_id": c["cmd_id"], "result": "shown"} for c in leased]
            await self.signals(cmd_acks=shown)
        return [{"t": c["t"], **c["payload"]} for c in leased]

    async def spoil(self, alert_id: int, **columns: Any) -> None:
        """Make an alert's row what no release ever wrote: a disk's fault, a hand in the database,
        a bug of ours."""
        alert = t.table(t.Alert)
        change = update(alert).where(alert.c.id == alert_id).values(**columns)
        await self.sql(lambda c: c.execute(change))

    async def fault(self, kind: str, number: str | None = None, **more: Any) -> None:
        """Break the SMS provider in one way."""
        body = {"kind": kind, **({"number": number} if number else {}), **more}
        (await self.phones.post("/faults", json=body)).raise_for_status()

    async def journal(self) -> list[dict[str, Any]]:
        """Everything that happened."""
        answer = await self.api.get("/api/v1/journal", params={"limit": 5000})
        entries: list[dict[str, Any]] = answer.json()["entries"]
        return entries

    async def person(self, number: str) -> int:
        """The id of the contact with this phone."""
        query = select(t.table(t.Person).c.id).where(t.table(t.Person).c.phone == number)
        return int(await self.sql(lambda c: c.execute(query).scalar_one()))

    async def residents(self, building: int = 11) -> dict[str, dict[str, Any]]:
        """The residents of a building, by flat."""
        answer = await self.api.get("/api/v1/residents", params={"building": building})
        return {r["flat"]: r for r in answer.raise_for_status().json()["residents"]}

    async def sql(self, change: Callable[[Any], Any]) -> Any:
        """Change the database behind the server's back."""
        return await self.runtime.database.write(lambda tx: change(tx.conn))

    async def revoke(self, terminal: str) -> None:
        """Take a terminal out of service."""
        table = t.table(t.Terminal)
        await self.sql(
            lambda c: c.execute(update(table).where(table.c.id == terminal).values(state="revoked"))
        )


def page_in(sms: str) -> str:
    """The path of the steward's page that an SMS links to."""
    found = re.search(r"https?://[^/]+(/s/[A-Za-z0-9_-]+)", sms)
    assert found is not None, f"no link in {sms!r}"
    return found[1]


def phone_book(community: Community) -> tuple[PhoneEntry, ...]:
    """Everybody who can be told."""
    desks = (("duty", community.duty), ("street", community.street),
             ("district", community.district))  # fmt: skip
    people = {p.phone: PhoneEntry(p.phone, p.name, role) for role, desk in desks for p in desk}
    for b in community.buildings:
        for s in b.stewards:
            people[s.person.phone] = PhoneEntry(s.person.phone, s.person.name, "steward", b.number)
    for b, _, r in community.flats_with_residents():
        if r.key_holder:
            p = r.key_holder.person
            people.setdefault(p.phone, PhoneEntry(p.phone, p.name, "key_holder", b.number))
        for p, role in ((r.befriender, "befriender"), (r.family, "family")):
            if p is not None:
                people.setdefault(p.phone, PhoneEntry(p.phone, p.name, role, b.number))
    return tuple(people.values())


def settings_for(
    database_url: str, url: str, phones_url: str = "", **more: Any
) -> Settings:
    """The server's settings in a test. No limit to the pace: its clock stands still."""
    return Settings(
        sms_per_s=more.pop("sms_per_s", 0.0),
        session_idle_min=more.pop("session_idle_min", 60 * 24),
        session_hours=more.pop("session_hours", 24 * 7),
        notes_keys=SecretStr(more.pop("notes_keys", NOTES_KEY)),
        **more,
        database_url=database_url,
        public_url=url,
        secret=SecretStr(SECRET),
        gateway_token=SecretStr(GATEWAY_TOKEN),
        api_token=SecretStr(API_TOKEN),
        operator_password=SecretStr(PASSWORD),
        argon2_memory_kib=32,
        argon2_passes=1,
        clock="",
        TWILIO_ACCOUNT_SID=ACCOUNT if phones_url else "",
        TWILIO_AUTH_TOKEN=SecretStr(TOKEN),
        TWILIO_FROM_NUMBER=SENDER,
        TWILIO_API_BASE_URL=phones_url,
    )


_LAID_OUT: dict[tuple[float, int], bytes] = {}
"""Databases as first laid out, by instant and size: migrating takes longer than most tests."""


def lay_out(folder: Path, hand: Hand, buildings: int = 12) -> tuple[str, Community]:
    """A migrated database with the sample community's first buildings; its URL. SQLite, or what
    the test was parametrised with (tests/postgres.py). The same folder is the same database."""
    community = guangdan(buildings=buildings)
    key = (hand.at_s, buildings)

    def fill(url: str) -> None:
        migrate.upgrade(url)
        database = Database(url, Clock(source=hand), Vault(NOTES_KEY))
        database.transact(lambda tx: load(tx.conn, community, tx.now))
        everything(database)
        database.close()

    if postgres.chosen():
        return postgres.town_at(folder, key, fill), community
    file = folder / "town.db"
    url = f"sqlite:///{file}"
    if file.exists():
        return url, community
    if key not in _LAID_OUT:
        fill(url)
        _LAID_OUT[key] = file.read_bytes()
    file.write_bytes(_LAID_OUT[key])
    return url, community


@contextlib.asynccontextmanager
async def _bell_left_to_the_test() -> AsyncIterator[None]:
    """The server's own bell is silent: while the clock moves, only `ring` may look at it."""
    with mock.patch.object(jobs, "EVERY_S", 86_400.0):
        yield


@contextlib.asynccontextmanager
async def a_town(
    folder: Path, start: datetime = MARCH_14, channel: Channel | None = None,
    hand: Hand | None = None, buildings: int = 12, **more: Any,
) -> AsyncIterator[Town]:
    """A town in `folder`, with the sample community's first `buildings`; the same folder again is
    the same town after a restart. `more`: settings of the server that are not as usual."""
    hand = hand or Hand(start)
    database_url, community = lay_out(folder, hand, buildings)
    server_sock, url = bound()
    phones_sock, phones_url = bound()
    settings = settings_for(database_url, url, phones_url, **more)
    runtime = server_app.build(settings, Clock(source=hand))
    phones = create_phones(
        PhonesConfig(
            account_sid=ACCOUNT, auth_token=TOKEN, from_number=SENDER, webhook_base=url,
            clock=hand, phones=phone_book(community), sent_delay_s=0.0, delivered_delay_s=0.0,
            tick_s=0.01, calls_wait=True,
        )
    )  # fmt: skip

    def client(base: str, token: str = "") -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=base, headers=headers, timeout=10.0)

    async with (
        serving(phones, phones_sock),
        _bell_left_to_the_test(),
        server_app.running(runtime, channel),
        serving(server_app.create_app(runtime), server_sock),
        client(url, API_TOKEN) as api,
        client(url, GATEWAY_TOKEN) as gateway,
        client(phones_url) as phone_client,
    ):
        town = Town(runtime, hand, url, phones_url, community, api, gateway, phone_client)
        yield town
        runtime.stop.set()


def utc(at: datetime) -> datetime:
    """The same instant in UTC."""
    return at.astimezone(UTC)
