"""One terminal's MQTT connection over asyncio's sockets.

A `Line` is one connection and is thrown away with it: what must outlive it lies in the terminal's
flash, and nothing is queued or repeated here. It is small, because ten thousand of them live in
one process.

Sessions are kept by the broker (clean session off; one hour on MQTT 5): a command published
while a terminal is away for a moment reaches it afterwards, and `exp` guards the stale ones.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from firmware_sim import mqtt_wire as mqtt
from firmware_sim import wire
from firmware_sim.outputs import Publish
from firmware_sim.wire import Ref

SESSION_EXPIRY_S: Final = 3_600
MAX_UNACKED: Final = 256
MOST_WAITING_BYTES: Final = 256 * 1024
NOT_NOW: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
READ_BYTES: Final = 16 * 1024
FAILURE: Final = 0x80
log = logging.getLogger(__name__)

MqttVersion = Literal["3.1.1", "5"]


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and how to connect. Keepalive in real seconds."""

    host: str
    port: int
    version: MqttVersion = "3.1.1"
    keepalive_s: int = 60
    ca: str = ""
    """File of the authority that signs the broker's certificate; empty: without TLS."""

    def tls(self) -> ssl.SSLContext | None:
        """How to speak TLS; None: not at all. Raises OSError for a file that is none."""
        return ssl.create_default_context(cafile=self.ca) if self.ca else None


@dataclass(slots=True)
class LineEvents:
    """Whom to tell. `down` comes once, and only for an end that the line did not ask for. `acked`:
    the broker has a message (its PUBACK), which is no receipt."""

    up: Callable[[], None]
    down: Callable[[str], None]
    message: Callable[[str, bytes], None]
    acked: Callable[[Ref], None] = lambda _ref: None


class Line:
    """A connection attempt and, if the broker agrees, the connection. Not reusable."""

    __slots__ = (
        "_broker", "_events", "_inbox", "_loop", "_number", "_over", "_password", "_pinged_s",
        "_sock", "_spoke_s", "_terminal", "_unacked", "_waiting", "_will",
    )  # fmt: skip

    def __init__(
        self,
        terminal: str,
        password: str,
        broker: Broker,
        *,
        will: Publish,
        events: LineEvents,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._terminal = terminal
        self._password = password
        self._broker = broker
        self._will = will
        self._events = events
        self._loop = loop
        self._over = False
        self._sock: socket.socket | None = None
        self._inbox = mqtt.Inbox()
        self._waiting = b""
        self._unacked: dict[int, Ref | None] = {}
        self._number = 0
        self._spoke_s = 0.0
        self._pinged_s: float | None = None

    @property
    def _five(self) -> bool:
        return self._broker.version == "5"

    def open(self, sock: socket.socket) -> None:
        """Begin to speak MQTT over a connected, non-blocking socket."""
        self._sock = sock
        self._loop.add_reader(sock.fileno(), self._readable)
        will = self._will
        hello = mqtt.connect(
            self._terminal,
            self._password,
            (will.topic, will.payload, will.qos, will.retain),
            self._broker.keepalive_s,
            SESSION_EXPIRY_S if self._five else None,
        )
        topics = (
            wire.topic(self._terminal, "cmd"),
            wire.topic(self._terminal, "cfg"),
            wire.SERVER_STATE_TOPIC,
        )
        # In one: a client need not wait for the CONNACK (MQTT 3.1.1 and 5, 3.1.4), and ten
        # thousand of them do not. A broker that refuses us throws the rest away.
        self._write(hello + mqtt.subscribe(self._next_number(), topics, five=self._five))

    def publish(self, message: Publish) -> bool:
        """Hand a message to the broker; False when it can't be (the terminal will resend)."""
        if self._over or self._sock is None or len(self._waiting) > MOST_WAITING_BYTES:
            return False
        number = None
        if message.qos:
            if len(self._unacked) >= MAX_UNACKED:
                return False
            number = self._next_number()
            self._unacked[number] = message.ref
        self._write(
            mqtt.publish(
                message.topic, message.payload, number=number, retain=message.retain,
                five=self._five,
            )
        )  # fmt: skip
        return not self._over

    def keep_alive(self) -> None:
        """To be called every few real seconds: pings, and notices a dead peer."""
        if self._over or self._sock is None:
            return
        now_s = self._loop.time()
        if self._pinged_s is not None:
            if now_s - self._pinged_s > self._broker.keepalive_s:
                self._end("Keep alive timeout")
        elif now_s - self._spoke_s > self._broker.keepalive_s / 2:
            self._pinged_s = now_s
            self._write(mqtt.PING)

    def drop(self) -> None:
        """End at once, as a pulled plug would, without DISCONNECT: the broker then publishes the
        will. No `down` follows."""
        self._over = True
        self._close()

    def freeze(self) -> None:
        """Half-open: the socket stands and nothing passes any more, pings neither. The broker
        finds out after one and a half keepalives; what we publish is lost until `drop`."""
        self._over = True
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())

    # ---- sockets ----

    def _close(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            # By number: asyncio looks a socket's up anew each time.
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            sock.close()

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._close()
            self._events.down(reason)

    def _readable(self) -> None:
        assert self._sock is not None
        while self._read_some():
            pass

    def _read_some(self) -> bool:
        """Take what is there; whether TLS holds more, of which the socket tells nothing."""
        assert self._sock is not None
        try:
            data = self._sock.recv(READ_BYTES)
        except NOT_NOW:
            return False
        except OSError as error:
            self._end(error.strerror or "connection lost")
            return False
        if not data:
            self._end("Unspecified error")
            return False
        try:
            for kind, flags, body in self._inbox.feed(data):
                self._packet(kind, flags, body)
                if self._over:
                    return False
        except Exception:
            # What one line's bytes break must end this line and no other.
            log.exception("line of %s failed", self._terminal)
            self._end("failed in the client")
            return False
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def _write(self, data: bytes) -> None:
        """Now, as far as the socket takes it; the rest when it can take more."""
        assert self._sock is not None
        self._spoke_s = self._loop.time()
        if self._waiting:
            self._waiting += data
            return
        try:
            sent = self._sock.send(data)
        except NOT_NOW:
            sent = 0
        except OSError as error:
            # Not from within whoever publishes: they have not finished their own step.
            reason = error.strerror or "connection lost"
            self._loop.call_soon(self._end, reason)
            return
        if sent < len(data):
            self._waiting = data[sent:]
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def _writable(self) -> None:
        assert self._sock is not None
        try:
            sent = self._sock.send(self._waiting)
        except NOT_NOW:
            return
        except OSError as error:
            self._end(error.strerror or "connection lost")
            return
        self._waiting = self._waiting[sent:]
        if not self._waiting:
            self._loop.remove_writer(self._sock.fileno())

    # ---- MQTT ----

    def _next_number(self) -> int:
        while True:
            self._number = self._number % 65_535 + 1
            if self._number not in self._unacked:
                return self._number

    def _packet(self, kind: int, flags: int, body: bytes) -> None:
        match kind:
            case mqtt.CONNACK:
                self._connected(body)
            case mqtt.SUBACK:
                # Only now are we up: a receipt for what we send first must find our subscription.
                self._events.up()
            case mqtt.PUBLISH:
                topic, payload, number = mqtt.published(flags, body, five=self._five)
                self._events.message(topic, payload)
                if number is not None and not self._over:
                    self._write(mqtt.puback(number))
            case mqtt.PUBACK:
                ref = self._unacked.pop(int.from_bytes(body[:2], "big"), None)
                if ref is not None:
                    self._events.acked(ref)
            case mqtt.PINGRESP:
                self._pinged_s = None
            case mqtt.DISCONNECT:
                self._end(f"disconnected by the broker: {body[0] if body else 0}")
            case _:
                raise mqtt.BadPacket(f"a packet of type {kind}")

    def _connected(self, body: bytes) -> None:
        if len(body) < 2:
            raise mqtt.BadPacket("CONNACK")
        if body[1] >= FAILURE or (body[1] and not self._five):
            self._end(f"refused: {body[1]}")
