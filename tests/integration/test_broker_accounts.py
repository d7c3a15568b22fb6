"""The network edition's broker follows the register by itself: Mosquitto as docker-compose.yml
starts it, PostgreSQL, the API, and `xunlou broker accounts --follow` as a process of its own."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import postgres
import pytest
from gateway_kit import BROKER_USERS, gateway_running, make_settings
from parts import require
from pydantic import SecretStr
from town import GATEWAY_TOKEN, GZ, Town, a_town

from firmware_sim.clock import ScaledClock
from firmware_sim.fleet import Fleet
from firmware_sim.line import Broker as Where
from firmware_sim.manifest import TerminalEntry
from server import migrate
from server.clock import Clock
from server.core import device_key
from server.database import Database
from server.service import terminals
from server.settings import Settings
from server.store import people
from tests.integration.deploy_kit import deployed_broker, deployed_folder, make_certificates
from xunlou.broker import login_works
from xunlou.broker_accounts import Accounts, Follower, lines_by_hand
from xunlou.broker_files import hash_password

SECRET = "what-terminals-passwords-come-from"
WITHIN_S = 30.0
"""Three seconds as a rule: two to the follower's next look, one to the broker's."""


@dataclass
class House:
    """A town on PostgreSQL, and the broker beside it."""

    town: Town
    home: Path
    plain: int
    secure: int

    @contextlib.contextmanager
    def follower(self) -> Iterator[subprocess.Popen[bytes]]:
        """`xunlou broker accounts --follow`, as compose runs it; killed at the end."""
        url = self.town.runtime.settings.database_url
        environment = {
            **os.environ, "XUNLOU_DATABASE_URL": url, "XUNLOU_TERMINAL_SECRET": SECRET,
            "XUNLOU_MQTT_PASSWORD": BROKER_USERS["gateway"],
        }  # fmt: skip
        words = ["broker", "accounts", "--follow", "--into", str(self.home / "accounts")]
        child = subprocess.Popen([sys.executable, "-m", "xunlou", *words], env=environment)
        try:
            yield child
        finally:
            child.kill()
            child.wait(10)

    async def lets_in(self, terminal: str, version: int = 0) -> bool:
        """Whether the broker takes a terminal's password of this version."""
        password = device_key.password(SECRET, terminal, version)
        return await login_works(self.plain, terminal, password)

    async def until_let_in(self, terminal: str, *, may: bool = True, version: int = 0) -> None:
        """Wait for it."""
        async with asyncio.timeout(WITHIN_S):
            while await self.lets_in(terminal, version) is not may:
                await asyncio.sleep(0.05)

    async def post(self, path: str, **body: object) -> None:
        """Something that the office does."""
        body["reason"] = "carton of March"
        answer = await self.town.api.post(f"/api/v1/terminals/{path}", json=body)
        assert answer.status_code < 300, answer.text

    @contextlib.asynccontextmanager
    async def terminal(self, name: str) -> AsyncIterator[Fleet]:
        """A simulated terminal on its line, by the door for terminals."""
        entry = TerminalEntry(name, device_key.password(SECRET, name), 11, "301", 3)
        where = Where("localhost", self.secure, ca=str(self.home / "config" / "tls" / "ca.crt"))
        fleet = Fleet([entry], where, ScaledClock(), connects_per_s=100)
        await fleet.start()
        try:
            await fleet.until(lambda: fleet.connected == 1, WITHIN_S)
            yield fleet
        finally:
            await fleet.stop()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """The broker waits for its accounts: nobody has written them yet."""
    require("mosquitto")
    require("openssl")
    home = tmp_path / "mosquitto"
    make_certificates(deployed_folder(home) / "tls")
    # The town's clock stands still, and what the terminal is told must not be over by then.
    with postgres.for_this_test(), deployed_broker(home) as (plain, secure, _):
        async with a_town(
            tmp_path, datetime.now(GZ), terminal_secret=SecretStr(SECRET)
        ) as town:
            yield House(town, home, plain, secure)


async def until(true: Callable[[], bool]) -> None:
    """Wait for what nobody tells of."""
    async with asyncio.timeout(WITHIN_S):
        while not true():
            await asyncio.sleep(0.05)


@pytest.mark.sqlite_only("it opens PostgreSQL by itself")
async def test_the_broker_follows_what_the_office_does(house: House) -> None:
    """Enrolled: it can speak within seconds. Revoked: its line is cut and it is refused, while a
    neighbour stays. A follower that was killed, also in the middle of writing, catches up."""
    passwords = house.home / "accounts" / "passwords"
    with house.follower() as killed:
        await house.post("enrol", ids=["gd-a", "gd-b"])
        await house.until_let_in("gd-a")
        assert passwords.stat().st_mode & 0o077 == 0
        async with house.terminal("gd-a") as revoked, house.terminal("gd-b") as stays:
            await house.post("gd-a/state", state="revoked")
            await revoked.until(lambda: revoked.connected == 0, WITHIN_S)
            await house.until_let_in("gd-a", may=False)
            assert stays.connected == 1
        killed.kill()
        killed.wait(10)
        half = passwords.with_name("passwords.new")
        half.write_text("gateway:$7$10")  # as if it had died at this
        before = passwords.read_text()
        await house.post("enrol", ids=["gd-c"])
        assert not await house.lets_in("gd-c")
        assert await house.lets_in("gd-b"), "the broker keeps to what it has"
        assert passwords.read_text() == before
    with house.follower():
        await house.until_let_in("gd-c")
        await house.until_let_in("gd-b")
        assert not half.exists()
        assert not await house.lets_in("gd-a")


@pytest.mark.sqlite_only("it opens PostgreSQL by itself")
async def test_a_password_is_changed_over_the_air(house: House) -> None:
    """From the office's word to the terminal on its new password, and the old one void: gateway,
    server, follower and broker, each for itself."""
    with house.follower():
        await house.post("enrol", ids=["gd-a"])
        await house.until_let_in("gd-a")
        settings = make_settings(house.town.url, house.plain, gateway_token=GATEWAY_TOKEN)
        async with gateway_running(settings), house.terminal("gd-a"):
            await house.post("gd-a/key")
            async with asyncio.timeout(2 * WITHIN_S):
                while True:
                    row = await house.town.runtime.database.read(
                        lambda c: people.terminal(c, "gd-a")
                    )
                    assert row is not None
                    if row["key_v"] == 1:
                        break
                    await asyncio.sleep(0.1)
            await house.until_let_in("gd-a", version=1)
            await house.until_let_in("gd-a", may=False)


@pytest.mark.sqlite_only("the file of accounts is the same from either")
def test_hashes_made_by_hand_hold_until_the_terminal_has_another_password(tmp_path: Path) -> None:
    """Who fills the broker's file by hand today locks nobody out by following the register. A hand
    made file of something else is refused, and so is a follower that lacks a secret."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    migrate.upgrade(url)
    database = Database(url, Clock())
    database.transact(lambda tx: terminals.enrol(tx, ["gd-a", "gd-b"], who="w", why="carton"))
    old = tmp_path / "old"
    old.write_text(f"gateway:{hash_password('x')}\ngd-a:{hash_password('by hand')}\n"
                   f"gd-gone:{hash_password('y')}\n")  # fmt: skip
    by_hand = lines_by_hand(old)
    settings = Settings(database_url=url, terminal_secret=SecretStr(SECRET))
    accounts = Accounts(settings, {"XUNLOU_MQTT_PASSWORD": "of the gateway"})
    follower = Follower(accounts, tmp_path, by_hand)
    assert follower.look()
    assert not follower.look(), "nothing has changed"
    written = lines_by_hand(tmp_path / "passwords")
    assert set(written) == {"gd-a", "gd-b", "gateway"}
    assert written["gd-a"] == by_hand["gd-a"]
    assert written["gateway"] != by_hand["gateway"]
    database.transact(lambda tx: people.set_terminal(tx.conn, "gd-a", key_v=1))
    assert follower.look()
    assert lines_by_hand(tmp_path / "passwords")["gd-a"] != by_hand["gd-a"]
    database.close()
    (tmp_path / "not").write_text("gd-a,password\n")
    with pytest.raises(ValueError, match="no password file"):
        lines_by_hand(tmp_path / "not")
    with pytest.raises(ValueError, match="XUNLOU_MQTT_PASSWORD"):
        Accounts(settings, {})
    with pytest.raises(ValueError, match="XUNLOU_TERMINAL_SECRET"):
        Accounts(Settings(database_url=url), {"XUNLOU_MQTT_PASSWORD": "x"})
