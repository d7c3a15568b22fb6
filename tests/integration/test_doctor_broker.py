"""`xunlou doctor` asks the broker that runs: what it says of each way in which one can fail, within
a bounded time, and that whoever is connected does not notice. Real Mosquitto, real TLS."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from gateway_kit import BROKER_USERS
from paho.mqtt.enums import CallbackAPIVersion
from parts import require

from xunlou.broker import Broker
from xunlou.broker_asked import Answer, Door, Said, ask, hello
from xunlou.broker_tls import Tls, ensure
from xunlou.doctor import WRONG, check_broker
from xunlou.keys import Keys
from xunlou.paho_thread import end
from xunlou.ports import free_port

PASSWORD = BROKER_USERS["gateway"]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[tuple[Path, Broker]]:
    """A directory of `xunlou up` with its broker, both doors open."""
    require("mosquitto")
    data = tmp_path / "data"
    users = {**BROKER_USERS, "gateway": Keys.kept(data / "secrets.env").mqtt_gateway_password}
    tls = Tls(data / "tls", free_port(), ("127.0.0.1",))
    running = Broker(data / "broker", free_port(), users, tls=tls)
    await running.start()
    try:
        yield data, running
    finally:
        await running.stop()


def door(broker: Broker, **more: object) -> Door:
    """The gateway's way in."""
    given = {"user": "gateway", "password": broker.users["gateway"], "port": broker.port, **more}
    return Door("127.0.0.1", **given)  # type: ignore[arg-type]


async def asked(at: Door, within_s: float = 3.0) -> Answer:
    """As the doctor asks, beside the test's own loop."""
    return await asyncio.to_thread(ask, at, within_s)


async def test_each_thing_that_is_wrong_has_its_name(
    house: tuple[Path, Broker], tmp_path: Path
) -> None:
    """Let in by both versions and by TLS; a wrong password, a stranger's certificate, a name it
    does not bear, the wrong door, nobody at all."""
    _, broker = house
    assert broker.tls is not None
    tls = {"port": broker.tls.port, "ca": broker.tls.authority}
    for good in (door(broker), door(broker, v5=True), door(broker, v5=True, **tls)):
        assert await asked(good) == Answer(Said.WELCOME, "0x00")
    for v5 in (False, True):
        assert (await asked(door(broker, password="wrong", v5=v5))).said is Said.NOT_LET_IN
        assert (await asked(door(broker, user="nobody", v5=v5))).said is Said.NOT_LET_IN
    other = Tls(tmp_path / "other", 1, ("127.0.0.1",))
    await asyncio.to_thread(ensure, other)
    stranger = await asked(door(broker, port=broker.tls.port, ca=other.authority))
    assert stranger.said is Said.CERTIFICATE
    assert stranger.detail, "why it is not trusted"
    assert (await asked(door(broker, port=broker.tls.port))).said is Said.SPEAKS_TLS
    assert (await asked(door(broker, ca=broker.tls.authority))).said in (
        Said.NO_TLS, Said.NO_BROKER, Said.SILENT,
    )  # fmt: skip
    assert (await asked(door(broker, port=free_port()))).said is Said.REFUSED
    assert set(WRONG) == set(Said) - {Said.WELCOME}, "each has words and an advice"


@contextlib.contextmanager
def stand_in(words: bytes | None) -> Iterator[int]:
    """A port that answers whatever comes with these words, or (None) says nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        lines: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    line, _ = server.accept()
                    lines.append(line)
                    if words is not None:
                        line.recv(1000)
                        line.sendall(words)
                        line.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for line in lines:
                line.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", Said.NO_BROKER), (b"", Said.NO_BROKER),
     (b"\x20", Said.NO_BROKER), (b"\x20\x02\x00", Said.NO_BROKER),
     (b"\x20\xff\xff\xff", Said.NO_BROKER), (b"\x20\x02\x00\x01", Said.VERSION),
     (b"\x20\x02\x00\x03", Said.BUSY), (b"\x20\x02\x00\x02", Said.NO),
     (b"\x20\x03\x00\x86\x00", Said.NOT_LET_IN),
     (b"\x15\x03\x03\x00\x02\x02\x32", Said.SPEAKS_TLS)],
)  # fmt: skip
def test_what_answers_is_understood_or_is_no_broker(words: bytes, said: Said) -> None:
    """Other programs on the port, half an answer, and the codes of a real one."""
    with stand_in(words) as port:
        assert ask(Door("127.0.0.1", port, "gateway", PASSWORD)).said is said


def test_nobody_waits_longer_than_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is silent, and a look-up of a name that hangs, which knows no time-out of its
    own; a name that is unknown is said to be."""
    begun = time.monotonic()
    with stand_in(None) as port:
        assert ask(Door("127.0.0.1", port, "gateway", PASSWORD), 0.3).said is Said.SILENT
        none = ask(Door("127.0.0.1", port, "gateway", PASSWORD, Path(__file__)), 0.3)
        assert (none.said, "can't be read" in none.detail) == (Said.CERTIFICATE, True)
    released = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        released.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        assert ask(Door("broker.example", 1883, "gateway", PASSWORD), 0.3).said is Said.SILENT
        assert time.monotonic() - begun < 5
    finally:
        released.set()
    assert ask(Door("broker.example", 1883, "gateway", PASSWORD), 3).said is Said.NO_NAME


def test_it_comes_as_a_client_of_its_own() -> None:
    """A new client id each time, a session that is gone with it, no will."""
    seen = set()
    for v5 in (False, True):
        for _ in range(20):
            packet = hello(Door("h", 1, "gateway", PASSWORD, v5=v5))
            level, flags = packet[8], packet[9]
            assert (level, flags) == (5 if v5 else 4, 0b1100_0010), "clean; no will, nothing kept"
            at = packet.index(b"doctor-")
            seen.add(packet[at : at + 23])
    assert len(seen) == 40
    assert len(hello(Door("h", 1, "gateway", "x" * 300))) > 300


async def test_the_gateway_that_runs_notices_nothing(house: tuple[Path, Broker]) -> None:
    """Its line stays, its session stays, and nothing is published."""
    _, broker = house
    heard: list[str] = []
    ended = threading.Event()
    up = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="gateway-gw-1-0123456789abcdef-sos",
                         clean_session=False)  # fmt: skip
    client.username_pw_set("gateway", broker.users["gateway"])
    client.on_connect = lambda c, *_: c.subscribe("#", qos=1)
    client.on_subscribe = lambda *_: up.set()
    client.on_message = lambda _c, _u, m: heard.append(m.topic)
    client.on_disconnect = lambda *_: ended.set()
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        assert await asyncio.to_thread(up.wait, 10)
        for _ in range(3):
            assert (await asked(door(broker, v5=True))).said is Said.WELCOME
        assert client.is_connected()
        assert not ended.is_set()
        client.publish("xunlou/v1/t/gd-11-301/hb", b"{}", qos=1).wait_for_publish(10)
        async with asyncio.timeout(10):
            while not heard:
                await asyncio.sleep(0.01)
        assert heard == ["xunlou/v1/t/gd-11-301/hb"], "its own alone"
    finally:
        end(client)


async def test_the_doctor_of_a_house_asks_both_doors(
    house: tuple[Path, Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the gateway's own password from the directory; stopped, both say so with what to do; a
    house that never ran says that."""
    data, broker = house
    assert broker.tls is not None
    found = await asyncio.to_thread(check_broker, data)
    assert [(f.what, f.ok) for f in found] == [("broker", True), ("terminals", True)], found
    monkeypatch.setenv("XUNLOU_GATEWAY_TOKEN", "token")
    monkeypatch.setenv("XUNLOU_MQTT_PASSWORD", "wrong")
    monkeypatch.setenv("XUNLOU_MQTT_PORT", str(broker.port))
    (wrong,) = await asyncio.to_thread(check_broker)
    assert not wrong.ok
    assert "does not let gateway in: wrong name or password" in wrong.found
    assert "XUNLOU_MQTT_PASSWORD" in wrong.advice
    await broker.stop()
    found = await asyncio.to_thread(check_broker, data)
    assert [f.ok for f in found] == [False, False]
    assert all("nothing listens there" in f.found and "xunlou up" in f.advice for f in found)
    (none,) = await asyncio.to_thread(check_broker, data / "elsewhere")
    assert "none was started here yet" in none.found
    secret = Keys.kept(data / "secrets.env").mqtt_gateway_password
    assert secret not in str([*found, wrong])
