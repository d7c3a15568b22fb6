"""One terminal's MQTT connection: paho-mqtt driven by asyncio's sockets.

paho's own `loop_start` selects and fails past some 340 clients in a process; here its socket
callbacks register with the event loop and `loop_read`, `loop_write` and `loop_misc` do the rest.
A `Line` is one connection and is thrown away with it: what must outlive it lies in the
terminal's flash, never in paho's queue.

Sessions are kept by the broker (clean session off; one hour on MQTT 5): a command published
while a terminal is away for a moment reaches it afterwards, and `exp` guards the stale ones.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from firmware_sim import wire
from firmware_sim.outputs import Publish

SESSION_EXPIRY_S: Final = 3_600
MAX_UNACKED: Final = 256
log = logging.getLogger(__name__)

MqttVersion = Literal["3.1.1", "5"]


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and how to connect. Keepalive in real seconds."""

    host: str
    port: int
    version: MqttVersion = "3.1.1"
    keepalive_s: int = 60


class _Client(mqtt.Client):
    """paho with a socket that is already connected: its own connect would block the loop."""

    ready: socket.socket | None = None

    def _create_socket_connection(self) -> socket.socket:
        sock, self.ready = self.ready, None
        assert sock is not None, "a line is opened once, with its own socket"
        return sock

    def drop(self) -> None:
        """Close the socket without DISCONNECT: the broker then publishes the will."""
        self._sock_close()


@dataclass(slots=True)
class LineEvents:
    """Whom to tell. `down` comes once, and only for an end that the line did not ask for."""

    up: Callable[[], None]
    down: Callable[[str], None]
    message: Callable[[str, bytes], None]


class Line:
    """A connection attempt and, if the broker agrees, the connection. Not reusable."""

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
        self._broker = broker
        self._events = events
        self._loop = loop
        self._over = False
        five = broker.version == "5"
        self._client = client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=terminal,
            clean_session=None if five else False,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.max_queued_messages = MAX_UNACKED
        client.username_pw_set(terminal, password)
        client.will_set(will.topic, will.payload, will.qos, will.retain)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write

    def open(self, sock: socket.socket) -> None:
        """Begin to speak MQTT over a connected, non-blocking socket."""
        client, broker = self._client, self._broker
        client.ready = sock
        if broker.version == "5":
            # paho gives Properties its names at run time only, and no types.
            properties: Any = cast(Any, Properties)(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            client.connect_async(
                broker.host,
                broker.port,
                broker.keepalive_s,
                clean_start=False,
                properties=properties,
            )
        else:
            client.connect_async(broker.host, broker.port, broker.keepalive_s)
        client.reconnect()

    def publish(self, message: Publish) -> bool:
        """Hand a message to paho; False when it can't take it (the terminal will resend)."""
        if self._over:
            return False
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
        return info.rc is MQTTErrorCode.MQTT_ERR_SUCCESS

    def keep_alive(self) -> None:
        """To be called every few real seconds: pings, and notices a dead peer."""
        if not self._over:
            self._guard(self._client.loop_misc)

    def drop(self) -> None:
        """End at once, as a pulled plug would. No `down` follows."""
        self._over = True
        self._client.drop()

    def freeze(self) -> None:
        """Half-open: the socket stands and nothing passes any more, pings neither. The broker
        finds out after one and a half keepalives; what we publish is lost until `drop`."""
        self._over = True
        sock = self._client.socket()
        if sock is not None:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    # ---- sockets ----

    def _on_socket_open(self, _client: mqtt.Client, _data: object, sock: Any) -> None:
        self._loop.add_reader(sock, self._guard, self._client.loop_read)

    def _on_socket_close(self, _client: mqtt.Client, _data: object, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _on_register_write(self, _client: mqtt.Client, _data: object, sock: Any) -> None:
        self._loop.add_writer(sock, self._guard, self._client.loop_write)

    def _on_unregister_write(self, _client: mqtt.Client, _data: object, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _guard(self, work: Callable[[], object]) -> None:
        """Run a piece of paho; what it raises ends this line and no other."""
        try:
            work()
        except Exception:
            log.exception("line of %s failed", self._terminal)
            self._end("failed in the client")
            self._client.drop()

    # ---- MQTT ----

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: object, reason: Any, _props: object
    ) -> None:
        if self._over:
            return
        if reason.is_failure:
            self._end(f"refused: {reason}")
            return
        client.subscribe(
            [
                (wire.topic(self._terminal, "cmd"), 1),
                (wire.topic(self._terminal, "cfg"), 1),
                (wire.SERVER_STATE_TOPIC, 1),
            ]
        )

    def _on_subscribe(self, *_: object) -> None:
        # Only now are we up: a receipt for what we send first must find our subscription.
        if not self._over:
            self._events.up()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: Any, _props: object
    ) -> None:
        self._end(str(reason))

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if not self._over:
            self._events.message(message.topic, bytes(message.payload))

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._events.down(reason)
