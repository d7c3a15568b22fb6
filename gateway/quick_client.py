"""A paho client whose two busiest packets, PUBLISH and PUBACK, are read and written in bulk.

paho reads a packet in three or more system calls, makes a dozen objects of it, and at each PUBACK
looks through everything under way; that was most of a gateway's time. Here one read takes many
packets, and what is written goes out together. Every other packet, and all that is about sessions,
keepalive and reconnecting, stays paho's. docs/adr/0019 says which of paho's inner names this leans
on; tests/unit/gateway/test_quick_client.py fails when a release of paho changes one.

It must never drop or reorder a packet, and never acknowledge by itself.
"""

import struct
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MalformedPacket

READ_BYTES: Final = 8 * 1024
"""Some 80 check-ins, about 2 ms: each time that a press needs the loop in a flood, it waits for so
much of the connection beside it."""
MOST_READS: Final = 16
"""Reads in a row from a TLS connection, which may hold more than its socket says."""
_PUBLISH, _PUBACK = 0x30, 0x40
_QOS2 = 0x04
_QOS1_PUBLISH = 0x32
_WRITTEN = 0x40  # to paho a lump of packets is one PUBACK: written, and forgotten


class QuickClient(paho.Client):
    """As paho.Client, and beside it `on_quick_message`, `publish_quick` and `ack_quick`."""

    def __init__(self, *args: Any, window: int, queue_most: int, **kwargs: Any) -> None:
        """`window`: publishes of `publish_quick` ahead of the broker's acks; `queue_most`: how many
        it holds in all."""
        super().__init__(*args, **kwargs)
        self._window = window
        self._queue_most = queue_most
        self._v5 = self._protocol == paho.MQTTv5
        self.held = False
        """While true nothing more is taken, not even of what has been read."""
        self._rest = b""
        self._lump = bytearray()
        self._under_way: dict[int, bytes] = {}
        """Packet id → the packet, until the broker has acknowledged it."""
        self._queued: deque[bytes] = deque()
        """Packets without their id, for which the window has no room or there is no connection."""
        self.on_quick_message: Callable[[bytes, bytes, bool, int, int], None] = _ignore
        """Topic, payload, retain, QoS (0 or 1), packet id. It must not raise."""
        self.on_quick_puback: Callable[[int], None] = _ignore
        """How many publishes of `publish_quick` have just been acknowledged."""
        self.on_lump: Callable[[], None] = _ignore
        """Something waits for `flush`."""

    # --- out ------------------------------------------------------------------------------

    def publish_quick(self, topic: bytes, payload: bytes) -> bool:
        """QoS 1, not retained. Goes out with the next `flush`, and again after a reconnect until it
        is acknowledged. False when too many wait already: then it is dropped."""
        if len(self._under_way) + len(self._queued) >= self._queue_most:
            return False
        body = b"".join((struct.pack("!H", len(topic)), topic, payload))
        self._queued.append(body)
        self._fill()
        return True

    def ack_quick(self, mid: int) -> None:
        """PUBACK for a message of QoS 1, behind everything published before it."""
        self._add(struct.pack("!BBH", _PUBACK, 2, mid))

    def flush(self) -> None:
        """Hand over to the connection what has gathered."""
        if self._lump:
            lump, self._lump = bytes(self._lump), bytearray()
            self._packet_queue(_WRITTEN, lump, 0, 1)

    def _add(self, packet: bytes) -> None:
        if not self._lump:
            self.on_lump()
        self._lump += packet

    def _fill(self) -> None:
        """Send what is queued, as far as the window has room."""
        while self._queued and len(self._under_way) < self._window and self.is_connected():
            mid = self._free_mid()
            packet = _publish(self._queued.popleft(), mid, self._v5)
            self._under_way[mid] = packet
            self._add(packet)

    def _free_mid(self) -> int:
        mid: int = self._mid_generate()
        while mid in self._under_way or mid in self._out_messages:
            mid = self._mid_generate()
        return mid

    def again(self) -> None:
        """After a (re)connect: what was under way goes out once more, then what is queued."""
        for packet in self._under_way.values():
            self._add(bytes((packet[0] | 0x08,)) + packet[1:])
        self._fill()

    # --- in -------------------------------------------------------------------------------

    def reconnect(self) -> MQTTErrorCode:
        """As paho's; half a packet of the old connection is nobody's."""
        self._rest, self._lump = b"", bytearray()
        return super().reconnect()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002 (paho's form)
        """Take all that has come, up to MOST_READS times READ_BYTES."""
        if self._rest and not self.held:
            code = self._feed(b"")  # whole packets from before it was held
            if code > 0:
                return self._loop_rc_handle(code)
        for _ in range(MOST_READS):
            sock = self._sock
            if self.held:
                break
            if sock is None:
                return MQTTErrorCode.MQTT_ERR_NO_CONN
            try:
                data = self._sock_recv(READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
            with self._msgtime_mutex:
                self._last_bytes_received = monotonic()
            code = self._feed(data)
            if code > 0:
                return self._loop_rc_handle(code)
            pending = getattr(sock, "pending", None)
            if pending is None or not pending():
                break
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _feed(self, data: bytes) -> MQTTErrorCode:
        """Carry out every whole packet, and keep the rest."""
        buffer = self._rest + data if self._rest else data
        at, end, acked = 0, len(buffer), 0
        while end - at >= 2 and not self.held:
            first, size, start = buffer[at], buffer[at + 1], at + 2
            if size & 0x80:
                found = _long_size(buffer, at + 1)
                if found is None:
                    break
                size, start = found
                if size < 0:
                    return MQTTErrorCode.MQTT_ERR_PROTOCOL
            stop = start + size
            if stop > end:
                break
            kind = first & 0xF0
            if kind == _PUBLISH and not first & _QOS2 and self._published(
                first, buffer, start, stop
            ):
                pass
            elif kind == _PUBACK and self._acked(buffer, start, size):
                acked += 1
            else:
                code = self._by_paho(first, buffer[start:stop])
                if code > 0 or self._sock is None:
                    return code
            at = stop
        self._rest = buffer[at:]
        if acked:
            self._fill()
            self.on_quick_puback(acked)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _published(self, first: int, buffer: bytes, start: int, stop: int) -> bool:
        """A PUBLISH without properties; False leaves it to paho."""
        topic_from = start + 2
        at = topic_from + (buffer[start] << 8 | buffer[start + 1]) if stop >= topic_from else stop
        topic, qos, mid = buffer[topic_from:at], (first & 0x06) >> 1, 0
        if qos:
            if at + 2 > stop:
                return False
            mid = buffer[at] << 8 | buffer[at + 1]
            at += 2
        if self._v5:
            if at >= stop or buffer[at]:
                return False
            at += 1
        if at > stop or not topic:
            return False
        self.on_quick_message(topic, buffer[at:stop], bool(first & 0x01), qos, mid)
        return True

    def _acked(self, buffer: bytes, start: int, size: int) -> bool:
        """A PUBACK of ours; False leaves it to paho. A refusal ends it as well: sending it again
        would be refused again, and a terminal that misses its receipt asks."""
        if size < 2:
            return False
        mid = buffer[start] << 8 | buffer[start + 1]
        return self._under_way.pop(mid, None) is not None

    def _by_paho(self, first: int, body: bytes) -> MQTTErrorCode:
        self._in_packet = {
            "command": first, "have_remaining": 1, "remaining_count": [], "remaining_mult": 1,
            "remaining_length": len(body), "packet": bytearray(body), "to_process": 0, "pos": 0,
        }  # fmt: skip
        try:
            return self._packet_handle()
        except MalformedPacket:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        finally:
            self._in_packet = {**self._in_packet, "command": 0, "packet": bytearray()}


def _ignore(*_args: object) -> None:
    """Until somebody listens."""


def _publish(body: bytes, mid: int, v5: bool) -> bytes:
    """A QoS 1 PUBLISH; `body`: length of the topic, topic, payload."""
    cut = 2 + (body[0] << 8 | body[1])
    extra = b"\0" if v5 else b""
    size = len(body) + 2 + len(extra)
    head = bytearray((_QOS1_PUBLISH,))
    while True:
        size, low = size >> 7, size & 0x7F
        head.append(low | (0x80 if size else 0))
        if not size:
            break
    return b"".join((head, body[:cut], struct.pack("!H", mid), extra, body[cut:]))


def _long_size(buffer: bytes, at: int) -> tuple[int, int] | None:
    """A remaining length of several bytes from `at`, and where the body begins; None while it is
    not all there; below 0 when it is none."""
    size = 0
    for n in range(4):
        if at + n >= len(buffer):
            return None
        byte = buffer[at + n]
        size |= (byte & 0x7F) << (7 * n)
        if not byte & 0x80:
            return size, at + n + 1
    return -1, at
