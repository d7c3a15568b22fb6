"""A terminal's password is changed over the air: real Mosquitto behind TLS, the real register, the
broker's accounts as `xunlou up` keeps them, and a simulated terminal with its flash."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import BROKER_USERS
from parts import require
from test_hostile_terminal import Client

from firmware_sim.chip import ChipBank
from firmware_sim.clock import ScaledClock
from firmware_sim.fleet import Fleet
from firmware_sim.line import Broker as Where
from firmware_sim.manifest import TerminalEntry
from firmware_sim.troubles import Troubles
from gateway import contract
from server.clock import Clock
from server.core import device_key
from server.database import Database
from server.service import commanding, device_keys, terminals
from server.service.house import House
from server.service.ingest import Batch, ingest
from server.service.presence import CommandAck, Status
from server.service.refusals import Refused, Unknown
from server.store import journal, people
from xunlou import embedded
from xunlou.broker import Broker, login_works
from xunlou.broker_tls import Tls
from xunlou.keys import Keys
from xunlou.ports import free_port

ME = "gd-a"


@dataclass
class Office:
    """The broker as `xunlou up` runs it, the register, and the way between them."""

    broker: Broker
    database: Database
    house: House
    secret: str
    gateway: Client

    async def row(self) -> dict[str, Any]:
        """The terminal in the register."""
        return dict(await self.database.read(lambda c: people.terminal(c, ME)))  # type: ignore[arg-type]

    async def offer(self) -> int:
        """Staff give it another password; the gateway takes the command to the broker."""
        version = await self.database.write(
            lambda tx: device_keys.offer(tx, self.house, ME, who="梁工", why="a year old")
        )
        for command in await self.database.write(
            lambda tx: commanding.lease(tx, self.house, "gw-1", 10)
        ):
            topic = f"xunlou/v1/t/{command['t']}/cmd"
            self.gateway.mqtt.publish(topic, json.dumps(command["payload"]), qos=1)
            await self.database.write(
                lambda tx, c=command: commanding.done(tx, [c["cmd_id"]])  # type: ignore[misc]
            )
        return version

    async def carry(self) -> None:
        """What the terminal said goes into the server, as the gateway reads it."""
        for topic, payload, retain in self.gateway.heard:
            message = contract.parse(topic, payload, retain)
            match message:
                case contract.Status():
                    fields = {k: v for k, v in message.fields.items() if k != "cfg_v"}
                    batch = Batch("gw-1", statuses=[Status(message.t, message.s, **fields)])
                case contract.CmdAck():
                    ack = CommandAck(message.t, message.cmd_id, message.result)
                    batch = Batch("gw-1", cmd_acks=[ack])
                case _:
                    continue
            await self.database.write(lambda tx, b=batch: ingest(tx, self.house, b))  # type: ignore[misc]
        self.gateway.heard.clear()

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Until the register has it so."""
        async with asyncio.timeout(30):
            while not wanted(await self.row()):
                await self.carry()
                await asyncio.sleep(0.03)

    async def lets_in(self, version: int) -> bool:
        """Whether the broker takes the password of this version."""
        password = device_key.password(self.secret, ME, version)
        return await login_works(self.broker.port, ME, password)

    async def kinds(self) -> list[str]:
        """What stands in the journal of passwords."""
        entries = await self.database.read(lambda c: journal.after(c, 0, 1000, 10**9))
        return [e["kind"] for e in entries if e["kind"].startswith("terminal_key")]


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """One terminal is enrolled; the broker follows the register."""
    require("mosquitto")
    monkeypatch.setattr(embedded, "ACCOUNTS_EVERY_S", 0.05)
    keys = replace(Keys.fresh(), mqtt_gateway_password=BROKER_USERS["gateway"])
    tls = Tls(tmp_path / "tls", free_port(), ("127.0.0.1",))
    place = embedded.Place(tmp_path, 0, free_port(), keys, tls=tls)
    embedded.prepare(place, None)
    database = Database(place.database_url, Clock.parse(""))
    await database.write(lambda tx: terminals.enrol(tx, [ME], who="w", why="carton"))
    broker = Broker(tmp_path / "broker", place.mqtt_port, embedded.terminal_users(place), tls=tls)
    await broker.start()
    edition = embedded.Embedded(place, broker.supervisor)
    edition.broker = broker
    keeping = asyncio.create_task(edition.keep_accounts(lambda _users: None))
    house = House("http://x", b"key", terminal_secret=keys.terminal_secret)
    try:
        async with Client(broker, "gateway").connected(f"xunlou/v1/t/{ME}/#") as gateway:
            yield Office(broker, database, house, keys.terminal_secret, gateway)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        database.close()
        await broker.stop()


@contextlib.asynccontextmanager
async def terminal(office: Office, fw: str = "1.0") -> AsyncIterator[Fleet]:
    """The simulated terminal on its line, with a flash that can be torn."""
    assert office.broker.tls is not None
    entry = TerminalEntry(ME, device_key.password(office.secret, ME), 11, "301", 3, fw=fw)
    where = Where("127.0.0.1", office.broker.tls.port, ca=str(office.broker.tls.authority))
    fleet = Fleet([entry], where, ScaledClock(), bank=ChipBank(), connects_per_s=100)
    await fleet.start()
    try:
        await fleet.until(lambda: fleet.connected == 1, 20)
        yield fleet
    finally:
        await fleet.stop()


async def test_a_password_is_changed_without_a_visit(office: Office) -> None:
    """Offered, stored, taken up: the terminal is back on its line with the new one, the old one is
    void, it is in no row of the database, and the terminal remembers it over a power cut."""
    async with terminal(office) as fleet:
        assert await office.offer() == 1
        await office.until(lambda row: row["key_v"] == 1)
        row = await office.row()
        assert (row["key_next"], row["key_state"]) == (None, None)
        assert await office.lets_in(1)
        assert not await office.lets_in(0)
        assert await office.kinds() == [
            "terminal_key_offered", "terminal_key_stored", "terminal_key_changed",
        ]  # fmt: skip
        new = device_key.password(office.secret, ME, 1)
        stored = (Path(office.broker.data_dir).parent / "xunlou.db").read_bytes()
        assert new.encode() not in stored
        fleet.set_power(ME, False)
        fleet.set_power(ME, True)
        await fleet.until(lambda: fleet.connected == 1, 30)
        state = fleet.state(ME)
        assert state is not None
        assert (state.keys.version, state.keys.coming) == (1, "")
        assert await office.offer() == 2, "and again"
        await office.until(lambda row: row["key_v"] == 2)
        assert not await office.lets_in(1)


@pytest.mark.parametrize("after_bytes", [0, 40, 100_000])
async def test_a_power_cut_in_between_locks_nobody_out(office: Office, after_bytes: int) -> None:
    """The power goes before the new password is in flash, in the middle of it, or right after it:
    the terminal comes back with the old one or the new one, and the change ends well."""
    async with terminal(office) as fleet:
        if after_bytes < 100_000:
            Troubles(fleet).tear_next_store(ME, after_bytes)
        await office.offer()
        if after_bytes < 100_000:
            await fleet.until(lambda: fleet.faults["power cut in a store"] == 1, 20)
        else:
            await office.until(lambda row: row["key_state"] != "offered")
            fleet.set_power(ME, False)
        fleet.set_power(ME, True)
        await office.until(lambda row: row["key_v"] == 1)
        await fleet.until(lambda: fleet.connected == 1, 30)


async def test_older_firmware_keeps_its_password_and_staff_see_it(office: Office) -> None:
    """It does not know the word: nothing changes at the broker, its line stays, and the register
    says so; a second try is possible once it has newer firmware."""
    async with terminal(office, fw="0.9") as fleet:
        await office.offer()
        await office.until(lambda row: row["key_state"] == "refused")
        assert (await office.row())["key_v"] == 0
        assert await office.lets_in(0)
        assert not await office.lets_in(1)
        assert fleet.connected == 1
        assert (await office.kinds())[-1] == "terminal_key_refused"
        assert await office.offer() == 1


async def test_what_must_not_be_is_refused(office: Office) -> None:
    """An unknown terminal; where passwords are not ours to make; while one is being taken up; and
    another terminal's word, or an old one, changes nothing."""
    with pytest.raises(Unknown):
        await office.database.write(
            lambda tx: device_keys.offer(tx, office.house, "gd-b", who="w", why="why")
        )
    bare = House("http://x", b"key")
    with pytest.raises(Refused, match="not made here"):
        await office.database.write(lambda tx: device_keys.offer(tx, bare, ME, who="w", why="why"))
    await office.offer()
    command = office.gateway
    async with asyncio.timeout(10):
        while not command.heard:
            await asyncio.sleep(0.02)
    given = json.loads(command.heard[0][1])
    assert given["key"] == device_key.password(office.secret, ME, 1)
    acks = [
        CommandAck("gd-b", given["cmd_id"], "received"), CommandAck(ME, "c-99", "received"),
        CommandAck(ME, given["cmd_id"], "expired"),
    ]  # fmt: skip
    await office.database.write(lambda tx: ingest(tx, office.house, Batch("gw-1", cmd_acks=acks)))
    assert (await office.row())["key_state"] == "offered"
    ack = [CommandAck(ME, given["cmd_id"], "received")]
    await office.database.write(lambda tx: ingest(tx, office.house, Batch("gw-1", cmd_acks=ack)))
    assert (await office.row())["key_state"] == "stored"
    with pytest.raises(Refused, match="about to use it"):
        await office.offer()
    late = [CommandAck(ME, given["cmd_id"], "failed")]
    await office.database.write(lambda tx: ingest(tx, office.house, Batch("gw-1", cmd_acks=late)))
    assert (await office.row())["key_state"] == "stored"
    old = [Status(ME, "online", boot=1, key_v=7)]
    await office.database.write(lambda tx: ingest(tx, office.house, Batch("gw-1", statuses=old)))
    assert (await office.row())["key_v"] == 0
