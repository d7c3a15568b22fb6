"""A terminal in the wrong hands can speak for itself and for nobody else: a hostile client with a
real account against the real Mosquitto, watched by the gateway's account, which hears all."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from gateway_kit import (
    BROKER_USERS,
    ServerDouble,
    Terminal,
    Watch,
    free_port,
    gateway_running,
    make_settings,
)  # fmt: skip
from paho.mqtt.enums import CallbackAPIVersion
from parts import require

from server.clock import Clock
from server.core.words import TerminalState
from server.database import Database, Tx
from server.service import terminals
from server.service.house import House
from xunlou import embedded
from xunlou.broker import Broker, login_works
from xunlou.broker_files import MESSAGE_SIZE_LIMIT
from xunlou.broker_tls import Tls
from xunlou.keys import Keys
from xunlou.paho_thread import end
from xunlou.sample import terminal_password

ME, OTHER = "gd-11-301", "gd-11-302"
NOT_MINE = (
    f"xunlou/v1/t/{OTHER}/evt/sos", f"xunlou/v1/t/{OTHER}/hb", f"xunlou/v1/t/{OTHER}/status",
    f"xunlou/v1/t/{OTHER}/cmd", f"xunlou/v1/t/{OTHER}/cmd_ack", f"xunlou/v1/t/{OTHER}/cfg",
    f"xunlou/v1/t/{ME}/cmd", f"xunlou/v1/t/{ME}/cfg", "xunlou/v1/srv/state",
    "xunlou/v1/canary/gw-1/sos", "xunlou/v1/t/gateway/evt/sos", f"xunlou/v2/t/{ME}/evt/sos",
    f"xunlou/v1/t/{ME}/../{OTHER}/evt/sos", f"xunlou/v1/t//{ME}/evt/sos", "zigbee2mqtt/x/set",
)  # fmt: skip


@pytest.fixture(params=["plain", "tls"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Broker]:
    """Terminals come in by either door; the gateway stays on this machine's own."""
    require("mosquitto")
    tls = None
    if request.param == "tls":
        tls = Tls(tmp_path / "tls", free_port(), ("127.0.0.1",))
    running = Broker(tmp_path / "broker", free_port(), BROKER_USERS, tls=tls)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


class Client(Watch):
    """A client with an account of its own, that hears and counts."""

    def __init__(self, broker: Broker, user: str, client_id: str = "", protocol: int = 4) -> None:
        super().__init__()
        self.heard: list[tuple[str, bytes, bool]] = []
        self.up = False
        self._loop = asyncio.get_running_loop()
        kind = paho.MQTTProtocolVersion(protocol)
        self.mqtt = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id or f"{user}-{id(self)}", protocol=kind
        )
        self.mqtt.username_pw_set(user, BROKER_USERS.get(user, "none"))
        self.mqtt.max_inflight_messages_set(0)
        self.mqtt.on_message = self._message
        self.mqtt.on_connect = lambda *_: self._now(True)
        self.mqtt.on_disconnect = lambda *_: self._now(False)
        self._port = broker.port
        if broker.tls is not None and user != "gateway":
            self._port = broker.tls.port
            self.mqtt.tls_set(str(broker.tls.authority))

    def _now(self, up: bool) -> None:
        self.up = up
        self._loop.call_soon_threadsafe(self.changed)

    def _message(self, _c: object, _u: object, m: paho.MQTTMessage) -> None:
        self.heard.append((m.topic, m.payload, m.retain))
        self._loop.call_soon_threadsafe(self.changed)

    @asynccontextmanager
    async def connected(self, *topics: str) -> AsyncIterator["Client"]:
        """In, and subscribed to these."""
        subscribed = asyncio.Event()
        self.mqtt.on_subscribe = lambda *_: self._loop.call_soon_threadsafe(subscribed.set)
        await asyncio.to_thread(self.mqtt.connect, "127.0.0.1", self._port, 10)
        self.mqtt.loop_start()
        await self.until(lambda: self.up, "the login")
        if topics:
            self.mqtt.subscribe([(topic, 1) for topic in topics])
            async with asyncio.timeout(5):
                await subscribed.wait()
        try:
            yield self
        finally:
            await asyncio.to_thread(end, self.mqtt)

    async def heard_of(self, topic: str, payload: bytes, timeout_s: float = 10.0) -> None:
        """Wait until this came."""
        await self.until(
            lambda: any(t == topic and p == payload for t, p, _ in self.heard), topic, timeout_s
        )


@asynccontextmanager
async def watched(broker: Broker) -> AsyncIterator[Client]:
    """The gateway's account, subscribed to everything."""
    async with Client(broker, "gateway").connected("#") as tap:
        yield tap


async def marker(broker: Broker, tap: Client, payload: bytes = b"marker") -> None:
    """An honest neighbour speaks; once it is heard, whatever was sent before has been judged."""
    topic = f"xunlou/v1/t/{OTHER}/evt/checkin"
    async with Client(broker, OTHER).connected() as neighbour:
        neighbour.mqtt.publish(topic, payload, qos=1)
        await tap.heard_of(topic, payload)


async def test_it_speaks_for_nobody_else(broker: Broker) -> None:
    """Another's SOS, heartbeat, status and receipt, its own commands, the server's word, the
    canary, other versions, dots and empty levels: nothing of it arrives, retained or not."""
    async with watched(broker) as tap, Client(broker, ME).connected() as hostile:
        for topic in NOT_MINE:
            for retain in (False, True):
                info = hostile.mqtt.publish(topic, b"forged", qos=1, retain=retain)
                await asyncio.to_thread(info.wait_for_publish, 5)
        await marker(broker, tap)
        assert [t for t, p, _ in tap.heard if p == b"forged"] == []
    async with watched(broker) as late:
        await marker(broker, late, b"later")
        assert [t for t, p, _ in late.heard if p == b"forged"] == [], "nothing was retained either"


async def test_it_hears_of_nobody_else(broker: Broker) -> None:
    """Every wildcard, a shared subscription, the broker's own figures: it hears its own commands
    and the server's state, and nothing that is said to or by a neighbour."""
    topics = (
        "#", "+/+/+/+/+", "+/v1/t/+/cmd", "xunlou/v1/t/+/evt/#", f"xunlou/v1/t/{OTHER}/cmd",
        f"$share/x/xunlou/v1/t/{OTHER}/cmd", "$SYS/#", "$SYS/broker/clients/connected",
    )  # fmt: skip
    async with (
        Client(broker, "gateway").connected() as gateway,
        Client(broker, ME).connected(*topics) as hostile,
        Client(broker, OTHER).connected() as neighbour,
    ):
        neighbour.mqtt.publish(f"xunlou/v1/t/{OTHER}/evt/sos", b"help", qos=1).wait_for_publish(5)
        gateway.mqtt.publish(f"xunlou/v1/t/{OTHER}/cmd", b"for her", qos=1).wait_for_publish(5)
        gateway.mqtt.publish(f"xunlou/v1/t/{ME}/cmd", b"for me", qos=1)
        await hostile.heard_of(f"xunlou/v1/t/{ME}/cmd", b"for me")
        assert {t for t, _, _ in hostile.heard} == {f"xunlou/v1/t/{ME}/cmd"}


@pytest.mark.parametrize("protocol", [4, 5])
async def test_its_last_will_is_its_own(broker: Broker, protocol: int) -> None:
    """A will in a neighbour's name (she is lost! she calls for help!) is not spoken when the line
    is cut, on either version of the protocol."""
    async with watched(broker) as tap:
        for n, topic in enumerate((f"xunlou/v1/t/{OTHER}/evt/sos", "xunlou/v1/srv/state")):
            hostile = Client(broker, ME, f"{ME}-will-{n}", protocol)
            hostile.mqtt.will_set(topic, b"a forged will", qos=1, retain=True)
            async with hostile.connected():
                cut = hostile.mqtt.socket()
                assert isinstance(cut, socket.socket)
                cut.shutdown(socket.SHUT_RDWR)  # no DISCONNECT: the broker speaks the will
                await hostile.until(lambda h=hostile: not h.up, "the line is cut")  # type: ignore[misc]
        own = Client(broker, ME, f"{ME}-will-own", protocol)
        status = f"xunlou/v1/t/{ME}/status"
        own.mqtt.will_set(status, b"my own will", qos=1)
        async with own.connected():
            line = own.mqtt.socket()
            assert isinstance(line, socket.socket)
            line.shutdown(socket.SHUT_RDWR)
            await tap.heard_of(status, b"my own will")
        assert [t for t, p, _ in tap.heard if p == b"a forged will"] == []


async def test_it_takes_no_gateways_session_over(broker: Broker) -> None:
    """A terminal that comes by the names a gateway has, or had, gets no session of it and breaks
    no connection: every press still arrives while it tries, and afterwards."""
    double = ServerDouble()
    settings = make_settings(double.url, broker.port)
    # What can be known of a gateway: its id is in the canary's topic and in every log.
    names = [f"gateway-{settings.gateway_id}-{lane}" for lane in ("sos", "bulk", "canary")]
    names += [f"gateway-{settings.gateway_id}", settings.gateway_id, "gateway"]
    async with (
        double.serving(),
        gateway_running(settings) as counters,
        Terminal(OTHER, broker.port) as her,
    ):
        before = counters.reconnects
        for number, name in enumerate(names, start=1):
            for protocol in (4, 5):
                async with Client(broker, ME, name, protocol).connected("#") as hostile:
                    await her.press(number * 10 + protocol)
                    await her.until(
                        lambda: len(double.stored) == len(her.receipts()) > 0, "the receipt"
                    )
                    assert {t for t, _, _ in hostile.heard} <= {"xunlou/v1/srv/state"}
        wanted = {(3, n * 10 + p) for n in range(1, len(names) + 1) for p in (4, 5)}
        await her.until(lambda: set(her.receipts()) == wanted, "every receipt")
        assert counters.reconnects == before, "no connection was taken over"


@pytest.mark.parametrize("protocol", [4, 5])
async def test_a_borrowed_client_id_cuts_nobody_off(tmp_path: Path, protocol: int) -> None:
    """By the door for terminals a client is known by its account: whoever comes under a neighbour's
    client id, or under a gateway's, takes no line over and hears of nothing that waits for her."""
    require("mosquitto")
    users = {name: word for name, word in BROKER_USERS.items() if name != "devices"}
    tls = Tls(tmp_path / "tls", free_port(), ("127.0.0.1",))
    running = Broker(tmp_path / "broker", free_port(), users, tls=tls)
    await running.start()
    lost: list[str] = []
    try:
        async with (
            Client(running, "gateway", "gateway-gw-1-known").connected() as gateway,
            Client(running, OTHER, f"{OTHER}-known").connected(f"xunlou/v1/t/{OTHER}/cmd") as her,
        ):
            her.mqtt.on_disconnect = lambda *_: lost.append(OTHER)
            gateway.mqtt.on_disconnect = lambda *_: lost.append("gateway")
            for borrowed in (f"{OTHER}-known", OTHER, "gateway-gw-1-known", "gateway"):
                async with Client(running, ME, borrowed, protocol).connected("#") as hostile:
                    gateway.mqtt.publish(f"xunlou/v1/t/{OTHER}/cmd", borrowed, qos=1)
                    await her.heard_of(f"xunlou/v1/t/{OTHER}/cmd", borrowed.encode())
                    assert hostile.heard == []
            assert lost == []
            async with Client(running, ME).connected() as first:
                cut = asyncio.Event()
                first.mqtt.on_disconnect = lambda *_: first._loop.call_soon_threadsafe(cut.set)
                async with Client(running, ME).connected(), asyncio.timeout(10):
                    await cut.wait()  # its own older line, as ever
    finally:
        await running.stop()


async def test_what_is_too_large_and_what_floods_delays_nobody(broker: Broker) -> None:
    """Messages over the bound are dropped; while ten thousand others come as fast as the line
    takes them, a neighbour's press is through to the gateway's SOS lane within five seconds."""
    async with (
        watched(broker) as tap,
        Client(broker, "gateway").connected("xunlou/v1/t/+/evt/sos") as lane,
        Client(broker, ME).connected() as hostile,
    ):
        mine = f"xunlou/v1/t/{ME}/evt/checkin"
        hostile.mqtt.publish(mine, b"x" * (MESSAGE_SIZE_LIMIT + 1), qos=1)
        for _ in range(10_000):
            hostile.mqtt.publish(mine, b"y" * 200, qos=1)
        async with Client(broker, OTHER).connected() as neighbour:
            topic = f"xunlou/v1/t/{OTHER}/evt/sos"
            neighbour.mqtt.publish(topic, b"help", qos=1)
            await lane.heard_of(topic, b"help", timeout_s=5.0)
            assert [t for t, _, _ in tap.heard].count(mine) < 10_000
        assert all(len(p) <= MESSAGE_SIZE_LIMIT for _, p, _ in tap.heard)


async def test_an_account_that_is_taken_away_ends_at_once(broker: Broker) -> None:
    """Revoked while it is connected: Mosquitto reads the new file, cuts the line, and lets it in
    no more; a neighbour stays connected all the while; one newly enrolled gets in."""
    users = dict(BROKER_USERS)
    async with (
        Client(broker, ME).connected() as revoked,
        Client(broker, OTHER).connected() as stays,
    ):
        before = (broker.data_dir / "passwords").stat().st_ino
        del users[ME]
        broker.set_users({**users, "gd-new": "a-new-password"})
        await revoked.until(lambda: not revoked.up, "the broker cuts the revoked line")
        assert not await login_works(broker.port, ME, BROKER_USERS[ME])
        assert await login_works(broker.port, "gd-new", "a-new-password")
        assert stays.up
        file = broker.data_dir / "passwords"
        assert file.stat().st_ino != before, "replaced whole, never half written"
        assert file.stat().st_mode & 0o077 == 0


async def test_the_broker_follows_the_register(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal that the office enrols can log in without a restart; once revoked it can't; one
    that is lost still can, because somebody may press it. The file for setting up is told."""
    monkeypatch.setattr(embedded, "ACCOUNTS_EVERY_S", 0.05)
    keys = replace(Keys.fresh(), mqtt_gateway_password=BROKER_USERS["gateway"])
    place = embedded.Place(tmp_path, 0, broker.port, keys)
    embedded.prepare(place, None)
    edition = embedded.Embedded(place, broker.supervisor)
    edition.broker = broker
    broker.set_users(embedded.terminal_users(place))
    told: list[set[str]] = []
    database = Database(place.database_url, Clock.parse(""))
    # Before the first look: what the register has by then, the broker does not know yet.
    await database.write(lambda tx: terminals.enrol(tx, ["gd-a", "gd-b"], who="w", why="carton"))
    keeping = asyncio.create_task(edition.keep_accounts(lambda users: told.append(set(users))))

    async def logs_in(terminal: str, *, may: bool) -> None:
        async with asyncio.timeout(15):
            password = terminal_password(keys.terminal_secret, terminal)
            while await login_works(broker.port, terminal, password) is not may:
                await asyncio.sleep(0.02)

    def state(tx: Tx, terminal: str, wanted: TerminalState) -> None:
        house = House("http://x", b"key")
        terminals.set_state(tx, house, terminal, wanted, who="w", why="why")

    try:
        await logs_in("gd-a", may=True)
        await database.write(lambda tx: state(tx, "gd-b", TerminalState.LOST))
        await database.write(lambda tx: state(tx, "gd-a", TerminalState.REVOKED))
        await logs_in("gd-a", may=False)
        await logs_in("gd-b", may=True)
        assert told == [{"gateway", "gd-a", "gd-b"}, {"gateway", "gd-b"}]
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        database.close()
