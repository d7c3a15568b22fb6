"""The embedded edition: broker, server and gateway as supervised children of one process.

Used by `xunlou up` (a community office, for real) and by `xunlou demo` (with a simulated fleet).
"""

import asyncio
import json
import logging
import os
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from server import migrate
from server.clock import Clock
from server.database import Database
from server.resealing import everything
from server.vault import Vault
from xunlou import notes_keys
from xunlou.broker import AmqttBroker, AnyBroker, make_broker
from xunlou.broker_accounts import passwords_of, versions_of
from xunlou.broker_files import GATEWAY_USER
from xunlou.broker_tls import Tls, TlsError
from xunlou.community import Community
from xunlou.keys import Keys
from xunlou.paho_thread import end
from xunlou.ports import free_port, port_is_free
from xunlou.seed import load
from xunlou.supervise import ChildSpec, Supervisor

logger = logging.getLogger(__name__)
READY_WITHIN_S = 30.0
ALIVE_WITHIN_S = 3.0
ACCOUNTS_EVERY_S = 2.0
CERTIFICATE_EVERY_S = 3_600.0


class CannotStart(Exception):
    """The edition can't run; the words say what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an installation lives and listens; always on the loopback address."""

    directory: Path
    port: int
    mqtt_port: int
    keys: Keys
    clock: str = ""
    sms: Mapping[str, str] = field(default_factory=dict)
    """TWILIO_* for the server; empty means: as in our own environment."""
    demo: bool = False
    """Whether there is an account `operator` from the start."""
    tls: Tls | None = None
    """The broker's door for terminals outside this machine."""
    public_url: str = ""
    """The name a real installation is reached under; empty means: the loopback address."""

    @property
    def url(self) -> str:
        """The address of wall and API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        """The SQLite file."""
        return f"sqlite:///{self.directory / 'xunlou.db'}"

    @property
    def devices_file(self) -> Path | None:
        """The file of other makers' devices, where there is one."""
        path = self.directory / "devices.yaml"
        return path if path.exists() else None

    @property
    def notes_keys(self) -> Path:
        """The keys that notes are sealed under; not in the database, nor in its backups."""
        return notes_keys.key_file(self.directory)

    def environment(self) -> dict[str, str]:
        """What server and gateway are told."""
        return {
            **os.environ,
            "XUNLOU_PUBLIC_URL": self.public_url or self.url,
            **({} if self.public_url else {"XUNLOU_LINK_URL": ""}),  # the demo's links stay here
            "XUNLOU_DATABASE_URL": self.database_url,
            "XUNLOU_HOST": "127.0.0.1",
            "XUNLOU_PORT": str(self.port),
            "XUNLOU_SERVER_URL": self.url,
            "XUNLOU_SECRET": self.keys.link_secret,
            "XUNLOU_TERMINAL_SECRET": self.keys.terminal_secret,
            "XUNLOU_NOTES_KEYS_FILE": str(self.notes_keys),
            "XUNLOU_GATEWAY_TOKEN": self.keys.gateway_token,
            "XUNLOU_API_TOKEN": self.keys.api_token,
            "XUNLOU_MQTT_HOST": "127.0.0.1",
            "XUNLOU_MQTT_PORT": str(self.mqtt_port),
            "XUNLOU_MQTT_CA": "",  # its own door is for this machine alone
            "XUNLOU_MQTT_USERNAME": GATEWAY_USER,
            "XUNLOU_MQTT_PASSWORD": self.keys.mqtt_gateway_password,
            "XUNLOU_CLOCK": self.clock,
            **({"XUNLOU_OPERATOR_PASSWORD": self.keys.operator_password} if self.demo else {}),
            **({"XUNLOU_DEVICES_FILE": str(self.devices_file)} if self.devices_file else {}),
            **self.sms,
        }


def prepare(place: Place, community: Community | None) -> None:
    """Migrate the database, load a community into an empty register if one is given, and seal the
    notes that are not yet. Raises NotEmpty."""
    place.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    migrate.upgrade(place.database_url)
    vault = Vault(path=notes_keys.kept(place.directory), wanted=True)
    database = Database(place.database_url, Clock.parse(place.clock), vault)
    try:
        if community is not None:
            database.transact(lambda tx: load(tx.conn, community, tx.now))
    finally:
        try:
            if vault.current is not None:  # else staff hear of it, and everything runs
                everything(database)
        finally:
            database.close()


def terminal_users(place: Place) -> dict[str, str]:
    """Broker accounts: one a registered terminal that is not revoked, with the password that is in
    force now, the gateway's, and that of other makers' bridges where a file of devices asks for it.
    """
    engine = create_engine(place.database_url)
    try:
        with engine.connect() as conn:
            versions = versions_of(conn, Clock.parse(place.clock).now())
    finally:
        engine.dispose()
    return passwords_of(
        versions, place.keys.terminal_secret, place.keys.mqtt_gateway_password,
        bridges=place.devices_file is not None,
    )


def command(*words: str) -> list[str]:
    """The command line of one of our own parts."""
    return [sys.executable, "-m", "xunlou", *words]


class Embedded:
    """Broker, server and gateway, running. Stop them with the supervisor's `stop()`."""

    def __init__(self, place: Place, supervisor: Supervisor) -> None:
        self._place = place
        self._supervisor = supervisor
        self.broker: AnyBroker | None = None

    @property
    def mqtt_protocol(self) -> str:
        """What the broker speaks: "5", or "3.1.1" on the stand-in."""
        return "3.1.1" if isinstance(self.broker, AmqttBroker) else "5"

    @property
    def warnings(self) -> list[str]:
        """What the person at the console should know."""
        return self.broker.warnings if self.broker else []

    async def start(self) -> None:
        """Start all three; returns when a press would be stored.

        Raises CannotStart or BrokerError.
        """
        place = self._place
        if not port_is_free(place.port):
            raise CannotStart(
                f"port {place.port} is in use on 127.0.0.1; stop what uses it, or pass --port"
            )
        self.broker = make_broker(
            place.directory / "broker", place.mqtt_port, terminal_users(place), self._supervisor,
            place.tls,
        )
        environment = place.environment()
        self._supervisor.start(
            ChildSpec("server", command("serve"), environment, alive=_ok(f"{place.url}/healthz"))
        )
        await self.broker.start()
        environment["XUNLOU_MQTT_PROTOCOL"] = self.mqtt_protocol
        await answers(f"{place.url}/readyz", place.directory / "log" / "server.log")
        figures = environment.get("XUNLOU_GATEWAY_METRICS") or f"127.0.0.1:{free_port()}"
        environment["XUNLOU_GATEWAY_METRICS"] = figures
        self._supervisor.start(
            ChildSpec("gateway", command("gateway"), environment, alive=_ok(f"http://{figures}/"))
        )
        if not await asyncio.to_thread(gateway_is_online, place, READY_WITHIN_S):
            log = place.directory / "log" / "gateway.log"
            raise CannotStart(f"the gateway does not come online; the reason is in {log}")


    async def keep_accounts(self, tell: Callable[[Mapping[str, str]], None]) -> None:
        """Give the broker the accounts of the register whenever it changed, until cancelled:
        a terminal that was enrolled can speak within seconds, a revoked one no more. `tell` hears
        of each change."""
        assert self.broker is not None, "started before"
        known = self.broker.users  # not what the register has by now: it may have gone on since
        while True:
            await asyncio.sleep(ACCOUNTS_EVERY_S)
            try:
                users = await asyncio.to_thread(terminal_users, self._place)
                if users != known:
                    self.broker.set_users(users)
                    tell(users)
                    known = users
            except (SQLAlchemyError, OSError) as error:  # locked, being restored, disk full
                logger.warning("the broker's accounts wait: %s", type(error).__name__)


    async def keep_certificate(self) -> None:
        """Renew the broker's certificate in good time, until cancelled."""
        assert self.broker is not None, "started before"
        while True:
            await asyncio.sleep(CERTIFICATE_EVERY_S)
            try:
                if await asyncio.to_thread(self.broker.renew):
                    logger.info("the broker has a new certificate")
            except (TlsError, OSError) as error:
                logger.warning("the broker's certificate could not be renewed: %s", error)


def _ok(url: str) -> Callable[[], Awaitable[bool]]:
    """Whether `url` answers 200 within three seconds: the loop behind it turns."""

    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # on loopback; reading certificates takes 30 ms

    async def ask() -> bool:
        try:
            async with httpx.AsyncClient(
                timeout=ALIVE_WITHIN_S, trust_env=False, verify=plain
            ) as client:
                return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return ask


def gateway_is_online(place: Place, within_s: float) -> bool:
    """Wait until the gateway says `online`: a press sent now would be stored. Blocking.

    Before its first subscription the broker keeps nothing for it, and a press from a shell, which
    nobody repeats, would be lost.
    """
    online = threading.Event()

    def heard(_client: object, _user: object, message: mqtt.MQTTMessage) -> None:
        if json.loads(message.payload).get("s") == "online":
            online.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"ready-{os.getpid()}")
    client.username_pw_set(GATEWAY_USER, place.keys.mqtt_gateway_password)
    client.on_message = heard
    client.on_connect = lambda c, *_: c.subscribe("xunlou/v1/srv/state", qos=1)
    client.connect("127.0.0.1", place.mqtt_port)
    client.loop_start()
    try:
        return online.wait(within_s)
    finally:
        end(client)


async def answers(url: str, log: Path) -> None:
    """Wait until `url` answers 200. Raises CannotStart after 30 s, naming the log to read."""
    loop = asyncio.get_running_loop()
    end = loop.time() + READY_WITHIN_S
    async with httpx.AsyncClient(timeout=2.0) as client:
        while loop.time() < end:
            try:
                if (await client.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise CannotStart(f"{url} does not answer; the reason is in {log}")
