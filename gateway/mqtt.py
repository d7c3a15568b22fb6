"""One MQTT connection with a session that outlives it, driven from the asyncio loop.

Why asyncio readers and writers rather than paho's own thread: the hand-off needs no lock and no
second queue, pausing is just not reading (so TCP and the broker hold what we can't), and an error
in a callback can't kill a thread nobody watches. Only the blocking TCP connect runs in a thread.

It must never acknowledge by itself. A message that was not acked when its connection ends belongs
to the broker again, which redelivers it on the next connection; `Received.generation` is how a
late answer is kept from acking a packet id that means something else by then.
"""

import asyncio
import contextlib
import logging
import math
import socket
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from gateway.backoff import Backoff
from gateway.counters import Counters
from gateway.delivery import NotSent, Received, Will
from gateway.log import say
from gateway.paho_client import CONNECT_TIMEOUT_S, make_client, session_name, subscriptions
from gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)

FIRST_WITHIN_S = 2.0
"""How long a link lets another one go first: one that can't connect must not keep it down."""
_MISC_EVERY_S = 0.5
_REFUSED = 0x80  # reason codes from here on are failures


class MqttLink:
    """A reconnecting client. Give it callbacks, then run `run()` until it is cancelled."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        lane: str,
        topics: tuple[str, ...],
        counters: Counters,
        on_message: Callable[[Received], None],
        on_up: Callable[[], None] = lambda: None,
        on_down: Callable[[], None] = lambda: None,
        make_will: Callable[[], Will] | None = None,
        shares: bool = False,
        foreign: bool = False,
    ) -> None:
        self._settings = settings
        self._lane = lane
        self._topics = topics
        self._counters = counters
        self._on_message_cb = on_message
        self._on_up = on_up
        self._on_down = on_down
        self._make_will = make_will
        self._backoff = Backoff(base_s=0.2, cap_s=settings.bulk_backoff_max_s)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._sock: Any = None  # paho's socket, None while there is no connection
        self._ended = asyncio.Event()
        self._suback_mid: int | None = None
        self._paused = False
        self.generation = 0
        self.backlog = 0
        """Publishes that the broker has not confirmed yet."""
        self.subscribed = asyncio.Event()
        """Set while connected with every subscription confirmed."""
        self._resumed = False
        self.began_at = -math.inf
        """When (monotonic s) the broker began to keep messages for this lane, as far as we know:
        -inf for a session from before this process."""
        self._shares = shares
        self._foreign = foreign
        self._client = make_client(
            settings, session_name(settings, lane), shares=shares,
            ahead=settings.mqtt_sos_receive_maximum if lane == "sos" else None,
        )  # fmt: skip
        self._hook_up()

    # --- life -----------------------------------------------------------------------------

    async def run(self, after: asyncio.Event | None = None) -> None:
        """Keep a connection until cancelled. Connection errors are retried with full jitter.

        `after`: another link's `subscribed`, which goes first, if it comes up in FIRST_WITHIN_S.
        """
        self._loop = asyncio.get_running_loop()
        if after is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(after.wait(), FIRST_WITHIN_S)
        try:
            while True:
                try:
                    await self._connect()
                    await self._stay()
                except OSError as exc:
                    say(logger, logging.WARNING, "mqtt_connect_failed", lane=self._lane, error=exc)
                except Exception:
                    # A bug must cost one connection, not the lane: nobody else reads its presses.
                    logger.exception("mqtt_link_failed lane=%s", self._lane)
                finally:
                    self._hang_up()
                await asyncio.sleep(self._backoff.next_s())
        finally:
            self._hang_up()

    async def close(self) -> None:
        """Write what is queued, then DISCONNECT. Cancel `run()` afterwards."""
        sock = self._sock
        if sock is None:
            return
        self.pause()
        self._client.flush()
        self._client.disconnect()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                while self._client.want_write() and self._sock is sock:
                    self._client.loop_write()
                    await asyncio.sleep(0.005)

    async def _connect(self) -> None:
        if self._make_will is not None:
            will = self._make_will()
            self._client.will_set(will.topic, will.payload, qos=1, retain=True)
        self.generation += 1
        # reconnect() resolves names and connects in blocking calls, hence the thread.
        await asyncio.shield(asyncio.to_thread(self._client.reconnect))
        self._ended.clear()  # only now: reconnect() also reports the end of the old socket
        sock = self._client.socket()
        if sock is None:
            raise ConnectionError("the connection closed while it was being made")
        # Receipts and acks are small writes in a row: Nagle would hold them back for 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # type: ignore[attr-defined]
        self._sock = sock
        self._client.on_socket_register_write = self._want_write
        self._client.on_socket_unregister_write = self._unwant_write
        self._paused = self._client.held = False
        self._loop.add_reader(sock, self._read)
        if self._client.want_write():
            self._loop.add_writer(sock, self._write)

    async def _stay(self) -> None:
        """Until the connection ends; keepalive is paho's, its clock is this loop."""
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            up = asyncio.ensure_future(self.subscribed.wait())
            ended = asyncio.ensure_future(self._ended.wait())
            try:
                await asyncio.wait({up, ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                up.cancel()
                ended.cancel()
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MISC_EVERY_S):
                    await self._ended.wait()
            if not self._ended.is_set() and not self._paused:
                # Not while paused: the broker's ping answers are stuck behind what we don't read.
                self._client.loop_misc()

    def _hang_up(self) -> None:
        """Drop the socket and forget everything that was tied to it. Safe to call twice."""
        sock, self._sock = self._sock, None
        was_up = self.subscribed.is_set()
        self.subscribed.clear()
        self._client.on_socket_register_write = None
        self._client.on_socket_unregister_write = None
        if sock is not None:
            # paho has often closed it by now, and then the loop has dropped it with the number.
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock)
                self._loop.remove_writer(sock)
            sock.close()
            self.generation += 1
            say(logger, logging.WARNING, "mqtt_down", lane=self._lane, was_up=was_up)
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(NotSent("the broker connection ended"))
        self._waiting.clear()
        self._on_down()

    # --- reading --------------------------------------------------------------------------

    def _read(self) -> None:
        self._guard(self._client.loop_read)

    def pause(self) -> bool:
        """Stop reading: the broker keeps what comes. (Its own receive maximum mostly spares us.)"""
        if self._sock is None or self._paused or self._sock.fileno() < 0:
            return False
        self._paused = self._client.held = True
        self._loop.remove_reader(self._sock)
        return True

    def resume(self) -> None:
        """Read again after `pause()`."""
        if self._sock is not None and self._paused and self._sock.fileno() >= 0:
            self._paused = self._client.held = False
            self._loop.add_reader(self._sock, self._read)
            # What has been read or decrypted already makes no socket readable.
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._sock is not None and not self._paused:
            self._read()

    def age_s(self) -> float:
        """Seconds since `began_at`."""
        return self._loop.time() - self.began_at

    def bounce(self) -> None:
        """End this connection; the next one brings back everything un-acked."""
        self._ended.set()

    def _guard(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception:
            logger.exception("mqtt_io_failed lane=%s", self._lane)
            self.bounce()

    # --- writing --------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """QoS 1, fire and forget; survives a reconnect, not a restart. Written before later acks.

        For receipts: a lost one is asked for again by the terminal.
        """
        if retain:
            info = self._client.publish(topic, payload, qos=1, retain=True)
            taken = info.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE
        else:
            taken = self._client.publish_quick(topic.encode(), payload)
        if taken:
            self.backlog += 1
        else:
            say(logger, logging.WARNING, "mqtt_out_queue_full", lane=self._lane)

    async def publish_confirmed(self, topic: str, payload: bytes, *, timeout_s: float) -> None:
        """QoS 1, returns after the broker's PUBACK. Raises NotSent when that doesn't come."""
        if not self.subscribed.is_set():
            raise NotSent("no broker connection")
        info = self._client.publish(topic, payload, qos=1)
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            raise NotSent("the outgoing queue is full")
        self.backlog += 1
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiting[info.mid] = waiter
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            raise NotSent("the broker did not confirm in time") from None
        finally:
            self._waiting.pop(info.mid, None)

    def ack(self, message: Received) -> bool:
        """PUBACK it, if its connection is still the one we have. False when it is gone."""
        if message.qos == 0:
            return True
        if message.generation != self.generation or self._sock is None:
            return False
        self._client.ack_quick(message.mid)
        self._counters.pubacks += 1
        return True

    def _want_write(self, _client: paho.Client, _userdata: Any, sock: Any) -> None:
        self._loop.add_writer(sock, self._write)

    def _unwant_write(self, _client: paho.Client, _userdata: Any, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock)

    def _write(self) -> None:
        self._guard(self._client.loop_write)

    # --- paho's callbacks: they must not raise, so they do next to nothing ------------------

    def _hook_up(self) -> None:
        client = self._client
        client.on_connect = self._connected
        client.on_subscribe = self._suback
        client.on_message = self._slow_message
        client.on_quick_message = self._message
        client.on_quick_puback = self._quick_pubacks
        client.on_lump = self._flush_soon
        client.on_publish = self._puback
        client.on_disconnect = self._disconnected
        client.on_socket_close = self._socket_close

    def _connected(
        self, client: paho.Client, _ud: Any, flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        if reason.is_failure:
            say(logger, logging.ERROR, "mqtt_refused", lane=self._lane, reason=reason)
            self.bounce()
            return
        resumed = self._resumed = bool(flags.session_present)
        say(logger, logging.INFO, "mqtt_connected", lane=self._lane, session_resumed=resumed)
        if self._shares and resumed:
            # A session from before it shared would go on hearing everything as well.
            client.unsubscribe(list(self._topics))
        _, mid = client.subscribe(
            subscriptions(
                self._settings, self._topics, shares=self._shares, foreign=self._foreign
            )
        )
        self._suback_mid = mid
        self._client.again()

    def _suback(
        self, _client: paho.Client, _ud: Any, mid: int, reasons: list[ReasonCode], _props: Any
    ) -> None:
        if mid != self._suback_mid:
            return
        if any(reason.value >= _REFUSED for reason in reasons):
            say(logger, logging.ERROR, "mqtt_subscription_refused", lane=self._lane)
            self.bounce()
            return
        self._backoff.reset()
        self._counters.reconnects += 1
        if not self._resumed:
            self.began_at = self._loop.time()
        self.subscribed.set()
        self._on_up()

    def _slow_message(self, _client: paho.Client, _ud: Any, message: paho.MQTTMessage) -> None:
        """One that the quick way leaves to paho, as one with properties."""
        payload = bytes(message.payload)
        self._message(message._topic, payload, message.retain, message.qos, message.mid)

    def _message(self, raw_topic: bytes, payload: bytes, retain: bool, qos: int, mid: int) -> None:
        try:
            try:
                topic = raw_topic.decode()
            except UnicodeDecodeError:
                topic = ""  # the contract has a reason for it
            self._on_message_cb(Received(topic, payload, retain, qos, mid, self.generation))
        except Exception:
            # It is neither kept nor acked, and would only come back with a new connection.
            logger.exception("mqtt_handler_failed lane=%s", self._lane)
            self.bounce()

    def _quick_pubacks(self, count: int) -> None:
        self.backlog -= count

    def _flush_soon(self) -> None:
        """What is published and acked in one go leaves in one write."""
        self._loop.call_soon(self._guard, self._client.flush)

    def _puback(
        self, _client: paho.Client, _ud: Any, mid: int, reason: ReasonCode, _props: Any
    ) -> None:
        self.backlog -= 1
        waiter = self._waiting.pop(mid, None)
        if waiter is None or waiter.done():
            return
        if reason.is_failure:
            waiter.set_exception(NotSent(f"the broker refused it: {reason}"))
        else:
            waiter.set_result(None)

    def _disconnected(
        self, _client: paho.Client, _ud: Any, _flags: Any, reason: ReasonCode, _props: Any
    ) -> None:
        say(logger, logging.INFO, "mqtt_disconnected", lane=self._lane, reason=reason)
        self._ended.set()

    def _socket_close(self, _client: paho.Client, _ud: Any, sock: Any) -> None:
        # paho is about to close this number; the loop must forget it first, or it would watch
        # whatever connection gets the number next.
        if sock is not None and sock is self._sock and sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
        self._ended.set()
