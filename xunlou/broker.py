"""The embedded edition's MQTT broker: Mosquitto as a child, or amqtt where it can't be had.

It must never report ready before a client can log in, and never run the stand-in without a
warning that says what is lost by it.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from xunlou.broker_files import (
    GATEWAY_USER,
    write_broker_files,
    write_certificate,
    write_passwords,
)
from xunlou.broker_tls import Tls, ensure
from xunlou.mqtt_connect import connect_packet
from xunlou.supervise import ChildSpec, Supervisor

AMQTT_WARNING = (
    "未找到 Mosquitto，改用 amqtt，仅供演示：重启会丢消息，不可用于真实住户。"
    " Mosquitto was not found; amqtt stands in, for demonstration only: it keeps nothing over a"
    " restart, may lose messages, and must not be used for real residents."
    " Install it with: apt install mosquitto"
)

_READY_WITHIN_S = 10.0


class BrokerError(Exception):
    """The broker did not come up; the text says where to look."""


def find_mosquitto() -> str | None:
    """Path of the program, also from /usr/sbin, which is not on an ordinary user's PATH."""
    return shutil.which("mosquitto") or shutil.which(
        "mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
    )


class AnyBroker(ABC):
    """A broker on 127.0.0.1 that is restarted when it dies.

    `users` maps user names (terminal ids, and `gateway`) to passwords. Pass a `supervisor` to
    have it stopped together with other children; otherwise the broker has its own. `tls`: a second
    door for terminals outside this machine; Mosquitto alone has one.
    """

    name = "broker"

    def __init__(
        self,
        data_dir: Path,
        port: int,
        users: Mapping[str, str],
        supervisor: Supervisor | None = None,
        tls: Tls | None = None,
    ) -> None:
        if GATEWAY_USER not in users:
            raise ValueError(f"users must hold a password for {GATEWAY_USER!r}")
        self.port = port
        self.tls = tls
        self.data_dir = data_dir.resolve()
        self.warnings: list[str] = []
        """What the person at the console should know, in plain words."""
        self._users = dict(users)
        self._shared = supervisor is not None
        self.supervisor = supervisor or Supervisor(self.data_dir / "log")

    @abstractmethod
    def _prepare(self) -> ChildSpec: ...

    async def start(self) -> None:
        """Write the files, start, return when logins are answered. Raises BrokerError."""
        # Else our own child could never bind and we would talk to a stranger's broker.
        if await _answers(self.port):
            raise BrokerError(f"port {self.port} is already in use on 127.0.0.1")
        password = self._users[GATEWAY_USER]
        spec = replace(
            self._prepare(),
            alive=lambda: login_works(self.port, GATEWAY_USER, password, within_s=3.0),
            # It answers a thousand terminals that reconnect at once before it answers us.
            hung_after_s=20.0,
        )
        self.supervisor.start(spec)
        try:
            await self.wait_ready()
        except BrokerError:
            await self.stop()
            raise

    async def wait_ready(self, timeout_s: float = _READY_WITHIN_S) -> None:
        """Until a login with the gateway's account succeeds. Raises BrokerError after the time."""
        password = self._users[GATEWAY_USER]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not await login_works(self.port, GATEWAY_USER, password):
                    await asyncio.sleep(0.03)
                return
        log = self.supervisor.children[self.name].log_path
        raise BrokerError(f"the broker did not answer within {timeout_s:.0f} s; see {log}")

    @property
    def users(self) -> Mapping[str, str]:
        """The accounts it has now."""
        return self._users

    def set_users(self, users: Mapping[str, str]) -> None:
        """Other accounts from now on; clients whose account is gone are disconnected. The stand-in
        can't do it: its accounts are those of its start."""
        del users

    def renew(self) -> bool:
        """Another certificate when the one in use soon ends; True when there is one. Blocking."""
        return False

    async def stop(self) -> None:
        """End it and what it started. With a shared supervisor that supervisor does it."""
        if not self._shared:
            await self.supervisor.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the broker while it runs."""
        child = self.supervisor.children.get(self.name)
        return None if child is None else child.pid


class Broker(AnyBroker):
    """Mosquitto 2.0 with a generated, durable configuration."""

    name = "mosquitto"
    _account: str | None = None

    def set_users(self, users: Mapping[str, str]) -> None:
        """Write the password file whole and have it read. Mosquitto checks who is connected, too.
        A broker that is just being started again reads the new file by itself."""
        if dict(users) == self._users:
            return
        write_passwords(self.data_dir, self._account, users)
        self._users = dict(users)
        self._read_anew()

    def renew(self) -> bool:
        """Lines that are open stay open: only who comes next sees the other certificate."""
        if self.tls is None or not ensure(self.tls):
            return False
        write_certificate(self.data_dir, self._account, self.tls)
        self._read_anew()
        return True

    def _read_anew(self) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGHUP)

    def _prepare(self) -> ChildSpec:
        program = find_mosquitto()
        if program is None:
            raise BrokerError("mosquitto is not installed (apt install mosquitto)")
        if self.tls is not None:
            ensure(self.tls)
        files = write_broker_files(self.data_dir, self.port, self._users, self.tls)
        self._account = files.account
        if files.warning is not None:
            self.warnings.append(files.warning)
        return ChildSpec(
            self.name,
            [program, "-c", str(files.config)],
            user=files.account,
            harmless=(
                "should not be run as root",  # said by us already, with the reason
                "ACL pattern 'xunlou/v1/srv/state'",  # the only way to grant it to every user
                "recommended to replace `message_size_limit`",  # that one would disconnect instead
            ),
        )


class AmqttBroker(AnyBroker):
    """amqtt as a child process, MQTT 3.1.1 only. For the demo on machines without Mosquitto."""

    name = "amqtt"

    def _prepare(self) -> ChildSpec:
        self.warnings.append(AMQTT_WARNING)
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.data_dir / "amqtt.json"
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            # In the clear, readable by us alone, because this broker is for made-up residents.
            json.dump({"port": self.port, "users": self._users}, file)
        return ChildSpec(self.name, [sys.executable, "-m", "xunlou.amqtt_broker", str(path)])


def make_broker(
    data_dir: Path,
    port: int,
    users: Mapping[str, str],
    supervisor: Supervisor | None = None,
    tls: Tls | None = None,
) -> AnyBroker:
    """Mosquitto where it is installed, otherwise amqtt (see its `warnings` after `start()`).

    With `AmqttBroker` the gateway and the terminals have to use MQTT 3.1.1.
    """
    kind = Broker if find_mosquitto() is not None else AmqttBroker
    return kind(data_dir, port, users, supervisor, tls)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def login_works(
    port: int, user: str, password: str, host: str = "127.0.0.1", within_s: float = 1.0
) -> bool:
    """CONNECT and a CONNACK that says yes: an open port alone does not prove that users load."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(connect_packet(f"{user}-ready-{os.getpid()}", user, password))
                connack = await reader.readexactly(4)
                writer.write(b"\xe0\x00")  # DISCONNECT
                await writer.drain()
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return False
    return connack[0] == 0x20 and connack[3] == 0
