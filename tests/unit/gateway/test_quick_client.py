"""The quick way in and out of paho: the same packets, however they are cut, and paho's own for all
else."""

import struct
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import _ConnectionState
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from gateway.quick_client import QuickClient

WINDOW, QUEUE_MOST = 3, 5


class Wire:
    """A socket whose other end is the test."""

    def __init__(self) -> None:
        self.coming = b""
        self.written = b""

    def recv(self, most: int) -> bytes:
        """As socket.recv, without blocking."""
        if not self.coming:
            raise BlockingIOError
        data, self.coming = self.coming[:most], self.coming[most:]
        return data

    def send(self, data: bytes) -> int:
        """As socket.send."""
        self.written += bytes(data)
        return len(data)

    def close(self) -> None:
        """As socket.close."""

    def fileno(self) -> int:
        """None."""
        return -1


class Line:
    """A client on a wire, and what it has told."""

    def __init__(self, protocol: int = paho.MQTTv5) -> None:
        v5 = protocol == paho.MQTTv5
        self.client = QuickClient(
            CallbackAPIVersion.VERSION2, client_id="c", clean_session=None if v5 else False,
            protocol=protocol, manual_ack=True, window=WINDOW, queue_most=QUEUE_MOST,
        )  # fmt: skip
        self.wire = Wire()
        self.heard: list[tuple[bytes, bytes, bool, int, int]] = []
        self.by_paho: list[tuple[str, bytes, int]] = []
        self.acked = 0
        self.client.on_quick_message = lambda *m: self.heard.append(m)
        self.client.on_quick_puback = self._more
        self.client.on_message = lambda _c, _u, m: self.by_paho.append((m.topic, m.payload, m.mid))
        # As the gateway drives it: an event loop writes, not the call that publishes.
        self.client.on_socket_register_write = lambda *_: None
        self.connect()

    def _more(self, count: int) -> None:
        self.acked += count

    def connect(self) -> None:
        """As after a CONNACK."""
        self.wire = Wire()
        self.client._sock = self.wire  # type: ignore[assignment]
        self.client._state = _ConnectionState.MQTT_CS_CONNECTED

    def comes(self, data: bytes) -> MQTTErrorCode:
        """Bytes arrive."""
        self.wire.coming += data
        return self.client.loop_read()

    def out(self) -> bytes:
        """What goes out now."""
        self.client.flush()
        self.client.loop_write()
        written, self.wire.written = self.wire.written, b""
        return written


def size_of(n: int) -> bytes:
    """A remaining length."""
    out = bytearray()
    while True:
        n, low = n >> 7, n & 0x7F
        out.append(low | (0x80 if n else 0))
        if not n:
            return bytes(out)


def publish(topic: bytes, payload: bytes, mid: int | None = 7, *, v5: bool = True,
            flags: int = 0, properties: bytes = b"") -> bytes:  # fmt: skip
    """A PUBLISH as a broker sends it; `mid` None is QoS 0."""
    body = struct.pack("!H", len(topic)) + topic
    body += b"" if mid is None else struct.pack("!H", mid)
    body += (size_of(len(properties)) + properties if v5 else b"") + payload
    return bytes((0x30 | flags | (0 if mid is None else 2),)) + size_of(len(body)) + body


def puback(mid: int, reason: int | None = None) -> bytes:
    """A PUBACK; in MQTT 5 it may carry a reason."""
    body = struct.pack("!H", mid) + (b"" if reason is None else bytes((reason,)))
    return b"\x40" + size_of(len(body)) + body


def mids(written: bytes) -> list[int]:
    """Packet ids of the publishes in what was written."""
    found, at = [], 0
    while at < len(written):
        size, shift, pos = 0, 0, at + 1
        while True:
            size |= (written[pos] & 0x7F) << shift
            shift, pos = shift + 7, pos + 1
            if not written[pos - 1] & 0x80:
                break
        if written[at] & 0xF0 == 0x30:
            cut = pos + 2 + (written[pos] << 8 | written[pos + 1])
            found.append(written[cut] << 8 | written[cut + 1])
        at = pos + size
    return found


MESSAGES = st.lists(
    st.tuples(
        st.binary(min_size=1, max_size=40), st.binary(max_size=300), st.booleans(),
        st.one_of(st.none(), st.integers(1, 65_535)),
    ), min_size=1, max_size=8,
)  # fmt: skip


@given(MESSAGES, st.sampled_from([paho.MQTTv5, paho.MQTTv311]), st.data())
def test_however_the_bytes_are_cut_the_messages_are_the_same(
    messages: list[tuple[bytes, bytes, bool, int | None]], protocol: int, data: Any
) -> None:
    """TCP knows no packets: each message is told once, whole and in order."""
    line = Line(protocol)
    stream = b"".join(
        publish(topic, payload, mid, v5=protocol == paho.MQTTv5, flags=retain)
        for topic, payload, retain, mid in messages
    )
    at = 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        assert line.comes(stream[at : at + step]) == MQTTErrorCode.MQTT_ERR_SUCCESS
        at += step
    assert line.heard == [
        (topic, payload, retain, 0 if mid is None else 1, mid or 0)
        for topic, payload, retain, mid in messages
    ]
    assert line.by_paho == []


def test_what_is_out_of_the_ordinary_is_paho_s() -> None:
    """A message with properties, and one of QoS 2, go the slow way and lose nothing."""
    line = Line()
    expiry = b"\x02" + struct.pack("!I", 60)
    line.comes(publish(b"a/b", b"x", 9, properties=expiry) + publish(b"c", b"y", 10))
    assert line.by_paho == [("a/b", b"x", 9)]
    assert line.heard == [(b"c", b"y", False, 1, 10)]


@pytest.mark.parametrize(
    "broken",
    [
        b"\x32\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x32\x03\x00\x09a",  # a topic longer than its packet
        b"\x32\x04\x00\x02ab",  # no packet id
        b"\x30\x00",  # nothing at all
        b"\x40\x01\x00",  # half a packet id
    ],
)
def test_a_packet_that_is_none_ends_the_connection(broken: bytes) -> None:
    """Nothing is guessed: the connection ends, and the next one brings back what was not acked."""
    line = Line()
    assert line.comes(broken) > 0
    assert line.heard == []


def test_what_is_published_leaves_in_order_and_in_one_write() -> None:
    """A receipt, then the ack of its press: never the other way round."""
    line = Line()
    lumps: list[int] = []
    line.client.on_lump = lambda: lumps.append(1)
    assert line.client.publish_quick(b"t/cmd", b"{}")
    line.client.ack_quick(513)
    written = line.out()
    assert written[0] == 0x32
    assert written.endswith(b"\x40\x02\x02\x01")
    assert lumps == [1]
    assert line.out() == b""


def test_a_window_holds_back_and_an_ack_lets_the_next_go() -> None:
    """No more than WINDOW ahead of the broker; beyond QUEUE_MOST it says no."""
    line = Line()
    said = [line.client.publish_quick(b"t", b"%d" % n) for n in range(QUEUE_MOST + 1)]
    assert said == [True] * QUEUE_MOST + [False]
    first = mids(line.out())
    assert len(set(first)) == WINDOW
    line.comes(puback(first[1]) + puback(first[0], reason=0x10))
    assert line.acked == 2
    rest = mids(line.out())
    assert len(rest) == QUEUE_MOST - WINDOW
    assert not set(rest) & set(first)


def test_an_ack_of_paho_s_own_publish_is_left_to_paho() -> None:
    """Commands are confirmed by paho's callback; the two never take each other's packet id."""
    line = Line()
    confirmed: list[int] = []
    line.client.on_publish = lambda _c, _u, mid, _r, _p: confirmed.append(mid)
    info = line.client.publish("t/cmd", b"{}", qos=1)
    line.client.publish_quick(b"t/cmd", b"{}")
    ours = [m for m in mids(line.out()) if m != info.mid]
    line.comes(puback(info.mid) + puback(ours[0]))
    assert confirmed == [info.mid]
    assert line.acked == 1


def test_after_a_reconnect_what_was_not_acked_goes_out_again() -> None:
    """Marked as a repetition, under the same packet id; then what waited."""
    line = Line()
    line.client.publish_quick(b"t", b"1")
    line.comes(b"\x32\x20")  # half a packet, whose rest is never going to come
    (mid,) = mids(line.out())
    line.client._sock = None
    line.client._state = _ConnectionState.MQTT_CS_CONNECTION_LOST
    assert line.client.publish_quick(b"t", b"2")
    with pytest.raises(ValueError, match="host"):
        line.client.reconnect()  # it forgets the old connection's bytes before it dials
    line.connect()
    line.client.again()
    written = line.out()
    assert written[0] == 0x3A
    assert mids(written)[0] == mid
    assert len(mids(written)) == 2
    line.comes(publish(b"new", b"x"))
    assert [m[0] for m in line.heard] == [b"new"]


def test_while_held_nothing_more_is_taken() -> None:
    """A lane that is full stops in the middle of what has been read, and goes on from there."""
    line = Line()

    def hold(*message: Any) -> None:
        line.heard.append(message)
        line.client.held = True

    line.client.on_quick_message = hold
    line.comes(publish(b"a", b"1") + publish(b"b", b"2"))
    assert [m[0] for m in line.heard] == [b"a"]
    line.client.held = False
    line.client.loop_read()
    assert [m[0] for m in line.heard] == [b"a", b"b"]


def test_the_other_side_hanging_up_is_paho_s_to_tell() -> None:
    """As ever: on_disconnect."""
    line = Line()
    ended: list[int] = []
    line.client.on_disconnect = lambda *_: ended.append(1)
    line.wire.recv = lambda _most: b""  # type: ignore[method-assign]
    assert line.client.loop_read() == MQTTErrorCode.MQTT_ERR_CONN_LOST
    assert ended == [1]
