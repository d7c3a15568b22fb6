"""What the gateway's tests need around it: a small real server, a terminal, a tap on the wire."""

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import paho.mqtt.client as paho
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from paho.mqtt.enums import CallbackAPIVersion

from gateway.app import run
from gateway.counters import Counters
from gateway.settings import GatewaySettings
from xunlou.paho_thread import end
from xunlou.ports import free_port

TOKEN = "test-token"
BROKER_USERS = {
    "gateway": "gateway-password",
    "gd-11-301": "password-301",
    "gd-11-302": "password-302",
    "gd-11-303": "password-303",
    "devices": "password-of-the-bridges",
}
_SERIAL = itertools.count()  # two clients of one id would kick each other out


class Watch:
    """Lets a test wait for a state of affairs instead of sleeping."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Something a waiter may look at is different now."""
        self._changed.set()

    async def until(self, true: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
        """Return when `true()` holds; AssertionError naming `what` after the time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not true():
                    self._changed.clear()
                    # Counters change without telling us, hence the bound on each wait.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.02):
                            await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {timeout_s} s: {what}") from None


class ServerDouble(Watch):
    """Speaks the gateway's two endpoints over a real port; can be slow, ill, or strict."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self.stored: dict[tuple[str, int, int], dict[str, Any]] = {}
        self.signals: list[dict[str, Any]] = []
        self.rejects: list[dict[str, Any]] = []
        self.heartbeats: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.cmd_acks: list[dict[str, Any]] = []
        self.canaries: list[dict[str, Any]] = []
        self.batches: list[int] = []
        self.timeline: list[str] = []
        self.status = 200
        self.refuse: Callable[[dict[str, Any]], bool] = lambda _body: False
        self.breaks: Callable[[dict[str, Any]], bool] = lambda _body: False
        """Bodies on which it fails with 500."""
        self.unknown: set[str] = set()
        self.hold: Callable[[dict[str, Any]], Awaitable[None]] | None = None
        self.tries = 0
        self.commands: list[dict[str, Any]] = []
        self.done: list[str] = []
        self.gateway_of: dict[int, str] = {}
        """Sequence number → the gateway that handed it in last."""
        self.app = FastAPI()
        self.app.post("/api/v1/signals")(self._signals)
        self.app.post("/api/v1/commands/lease")(self._lease)
        self.app.post("/api/v1/commands/done")(self._done)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["ServerDouble"]:
        """Listen for the length of the block; can be used again on the same port."""
        config = uvicorn.Config(
            self.app,
            host="127.0.0.1",
            port=self.port,
            log_level="error",
            lifespan="off",
            timeout_graceful_shutdown=1,
            timeout_keep_alive=75,
        )
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
        task = asyncio.create_task(server.serve())
        await self.until(lambda: server.started or task.done(), "the double listens")
        try:
            yield self
        finally:
            server.should_exit = server.force_exit = True
            await task

    async def _signals(self, request: Request) -> JSONResponse:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"detail": "token"}, 401)
        body = json.loads(await request.body())
        entries = sum(len(part) for part in body.values() if isinstance(part, list))
        if entries:
            self.tries += 1
            self.timeline.append("post")
        if self.hold is not None and entries:
            await self.hold(body)
        if self.status != 200:
            self.changed()
            return JSONResponse({"detail": "ill"}, self.status)
        if self.breaks(body):
            self.changed()
            return JSONResponse({"detail": "Internal Server Error"}, 500)
        if self.refuse(body):
            return JSONResponse({"detail": "malformed"}, 422)
        receipts = [self._store(signal) for signal in body.get("signals", [])]
        self.gateway_of |= {s["seq"]: body["gateway"] for s in body.get("signals", [])}
        self.rejects += body.get("rejects", [])
        self.heartbeats += body.get("heartbeats", [])
        self.statuses += body.get("statuses", [])
        self.cmd_acks += body.get("cmd_acks", [])
        self.canaries += body.get("canaries", [])
        if entries:
            self.batches.append(entries)
            self.timeline.append("answer")
        self.changed()
        return JSONResponse({"receipts": receipts})

    def _store(self, signal: dict[str, Any]) -> dict[str, Any]:
        key = (signal["t"], signal["boot"], signal["seq"])
        self.signals.append(signal)
        result = "duplicate" if key in self.stored else "stored"
        if signal["t"] in self.unknown:
            result = "quarantined"
        else:
            self.stored.setdefault(key, signal)
        return dict(zip(("t", "boot", "seq"), key, strict=True)) | {"result": result}

    async def _lease(self, request: Request) -> JSONResponse:
        body = json.loads(await request.body())
        if self.status != 200:
            return JSONResponse({"detail": "ill"}, self.status)
        with contextlib.suppress(AssertionError):
            await self.until(lambda: bool(self.commands), "commands", min(body["wait_s"], 1.0))
        taken, self.commands = self.commands[: body["max"]], self.commands[body["max"] :]
        return JSONResponse({"commands": taken})

    async def _done(self, request: Request) -> JSONResponse:
        self.done += json.loads(await request.body())["cmd_ids"]
        self.changed()
        return JSONResponse({})


class Terminal(Watch):
    """A terminal's MQTT side: its own account, its own commands topic."""

    def __init__(self, t: str, port: int, *, clean: bool = True, user: str | None = None) -> None:
        super().__init__()
        self.t = t
        self.heard: list[tuple[str, Any]] = []
        self.raw: list[paho.MQTTMessage] = []
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._up = asyncio.Event()
        self._acked: dict[int, asyncio.Event] = {}
        user = user or t
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{user}-{next(_SERIAL)}", clean_session=clean
        )
        self._client.username_pw_set(user, BROKER_USERS.get(user, "none"))
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._loop.call_soon_threadsafe(self._up.set)
        self._client.on_message = self._message

    def _connected(self, client: paho.Client, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
        if not reason.is_failure:
            client.subscribe([(f"xunlou/v1/t/{self.t}/cmd", 1), ("xunlou/v1/srv/state", 1)])

    def _message(self, _c: paho.Client, _u: Any, message: paho.MQTTMessage) -> None:
        def take() -> None:
            self.raw.append(message)
            self.heard.append((message.topic, json.loads(message.payload)))
            self.changed()

        self._loop.call_soon_threadsafe(take)

    async def __aenter__(self) -> "Terminal":
        await asyncio.to_thread(self._client.connect, "127.0.0.1", self._port, 10)
        # What a terminal should do as well: Nagle costs a press some 45 ms.
        sock = self._client.socket()
        assert isinstance(sock, socket.socket)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.loop_start()
        async with asyncio.timeout(5):
            await self._up.wait()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await asyncio.to_thread(end, self._client)

    async def send(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish and wait for the broker's PUBACK."""
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        await asyncio.to_thread(info.wait_for_publish, 5)
        assert info.is_published(), "the broker did not acknowledge the terminal's message"

    async def press(self, seq: int, event_type: str = "sos", boot: int = 3, **more: Any) -> None:
        """Send one event."""
        body = {"boot": boot, "seq": seq, **more}
        await self.send(f"xunlou/v1/t/{self.t}/evt/{event_type}", json.dumps(body).encode())

    def receipts(self) -> list[tuple[int, int]]:
        """`(boot, seq)` of every receipt heard so far."""
        return [
            (body["ref"]["boot"], body["ref"]["seq"])
            for topic, body in self.heard
            if topic.endswith("/cmd") and body["cmd"] == "receipt"
        ]

    def states(self) -> list[str]:
        """What the state topic said so far."""
        return [body["s"] for topic, body in self.heard if topic == "xunlou/v1/srv/state"]


class Tap:
    """Sits between gateway and broker, notes what the gateway sends, and can cut the line."""

    def __init__(self, broker_port: int, timeline: list[str]) -> None:
        self._broker_port = broker_port
        self._timeline = timeline
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> "Tap":
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection without a word."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
        self._writers |= {writer, up_writer}
        try:
            await asyncio.gather(self._up(reader, up_writer), self._down(up_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers -= {writer, up_writer}
            writer.close()
            up_writer.close()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lane = ""
        while True:
            head = await reader.readexactly(1)
            length, shift, raw = 0, 0, b""
            while True:
                byte = await reader.readexactly(1)
                raw += byte
                length |= (byte[0] & 0x7F) << shift
                shift += 7
                if not byte[0] & 0x80:
                    break
            body = await reader.readexactly(length)
            if head[0] >> 4 == 1:
                lane = "sos" if b"-sos" in body else "bulk"
            elif head[0] >> 4 == 3 and b'"receipt"' in body:
                self._timeline.append(f"{lane} receipt")
            elif head[0] >> 4 == 4:
                self._timeline.append(f"{lane} puback")
            writer.write(head + raw + body)
            await writer.drain()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        raise OSError


def make_settings(server_url: str, mqtt_port: int, **more: Any) -> GatewaySettings:
    """Settings of a test gateway: short waits, the double's token."""
    values: dict[str, Any] = {
        "server_url": server_url,
        "gateway_token": TOKEN,
        "mqtt_port": mqtt_port,
        "mqtt_password": BROKER_USERS["gateway"],
        "sos_backoff_max_s": 0.2,
        "bulk_backoff_max_s": 0.3,
        "auth_retry_s": 0.2,
        "lease_wait_s": 1.0,
        "probe_every_s": 0.5,
        "canary_every_s": 0.0,  # test_canary.py asks for them
    }
    return GatewaySettings(**(values | more))


@contextlib.asynccontextmanager
async def gateway_running(
    settings: GatewaySettings, *, connections: int = 2
) -> AsyncIterator[Counters]:
    """A gateway in this process, both lanes subscribed, cleanly stopped at the end."""
    counters, stop, watch = Counters(), asyncio.Event(), Watch()
    task = asyncio.create_task(run(settings, stop, counters))
    try:
        await watch.until(
            lambda: counters.reconnects >= connections or task.done(), "the gateway connects"
        )
        yield counters
    finally:
        stop.set()
        async with asyncio.timeout(1.5):
            await task
