"""MQTT packets, 3.1.1 and 5, as far as a terminal speaks them. Pure: values in, bytes out.

A general client costs a terminal ten kilobytes and a millisecond of start; ten thousand of them
must fit into one process. QoS 2, topic aliases and enhanced authentication are not spoken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
PING: Final = bytes((PINGREQ << 4, 0))
MOST_BYTES: Final = 64 * 1024
SESSION_EXPIRY: Final = 0x11


class BadPacket(ValueError):
    """Bytes that are no MQTT, or more of it than a terminal takes."""


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("!H", len(raw)) + raw


def _length(number: int) -> bytes:
    out = bytearray()
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _length(len(body)) + body


def connect(
    client_id: str,
    password: str,
    will: tuple[str, bytes, int, bool],
    keepalive_s: int,
    session_expiry_s: int | None,
) -> bytes:
    """CONNECT with a kept session; the user's name is the client id. `session_expiry_s`: MQTT 5;
    None: 3.1.1. `will`: topic, payload, QoS, retain."""
    topic, payload, qos, retain = will
    flags = 0x80 | 0x40 | (0x20 if retain else 0) | qos << 3 | 0x04
    body = _text("MQTT") + struct.pack("!BBH", 4 if session_expiry_s is None else 5, flags,
                                       keepalive_s)  # fmt: skip
    if session_expiry_s is not None:
        body += struct.pack("!BBI", 5, SESSION_EXPIRY, session_expiry_s)
    body += _text(client_id)
    if session_expiry_s is not None:
        body += b"\0"
    body += _text(topic) + struct.pack("!H", len(payload)) + payload
    return _packet(CONNECT << 4, body + _text(client_id) + _text(password))


def subscribe(number: int, topics: tuple[str, ...], *, five: bool) -> bytes:
    """SUBSCRIBE at QoS 1."""
    body = struct.pack("!H", number) + (b"\0" if five else b"")
    body += b"".join(_text(topic) + b"\1" for topic in topics)
    return _packet(SUBSCRIBE << 4 | 2, body)


def publish(topic: str, payload: bytes, *, number: int | None, retain: bool, five: bool) -> bytes:
    """PUBLISH; with a `number` at QoS 1, without at QoS 0."""
    body = _text(topic)
    if number is not None:
        body += struct.pack("!H", number)
    first = PUBLISH << 4 | (2 if number is not None else 0) | (1 if retain else 0)
    return _packet(first, body + (b"\0" if five else b"") + payload)


def puback(number: int) -> bytes:
    """PUBACK of success, in its short form, which both versions know."""
    return struct.pack("!BBH", PUBACK << 4, 2, number)


def _number_at(body: bytes, at: int) -> tuple[int, int]:
    """A variable length number and where it ends. Raises BadPacket."""
    value, shift = 0, 0
    for end in range(at, min(at + 4, len(body))):
        value |= (body[end] & 0x7F) << shift
        if not body[end] & 0x80:
            return value, end + 1
        shift += 7
    raise BadPacket("a length without an end")


def published(flags: int, body: bytes, *, five: bool) -> tuple[str, bytes, int | None]:
    """Topic, payload and, at QoS 1, the number of a PUBLISH. Raises BadPacket."""
    try:
        (length,) = struct.unpack_from("!H", body)
        topic, at = body[2 : 2 + length].decode(), 2 + length
        number = None
        if flags & 0b0110:
            (number,) = struct.unpack_from("!H", body, at)
            at += 2
    except (struct.error, UnicodeDecodeError) as error:
        raise BadPacket(f"PUBLISH: {error}") from error
    if five:
        properties, at = _number_at(body, at)
        at += properties
    return topic, body[at:], number


@dataclass(slots=True)
class Inbox:
    """Bytes as they come from a socket, until they are packets."""

    _bytes: bytes = field(default=b"")

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Each whole packet: type, flags, body. Raises BadPacket."""
        data = self._bytes + data if self._bytes else data
        at = 0
        try:
            while True:
                found = _whole(data, at)
                if found is None:
                    return
                first, start, end = found
                at = end
                yield first >> 4, first & 0x0F, data[start:end]
        finally:
            self._bytes = data[at:]


def _whole(data: bytes, at: int) -> tuple[int, int, int] | None:
    """The first byte of the packet at `at`, and from where to where its body reaches; None while
    there is more to come. Raises BadPacket."""
    if len(data) < at + 2:
        return None
    try:
        length, start = _number_at(data, at + 1)
    except BadPacket:
        if len(data) < at + 5:
            return None
        raise
    if length > MOST_BYTES:
        raise BadPacket(f"a packet of {length} bytes")
    return None if len(data) < start + length else (data[at], start, start + length)
