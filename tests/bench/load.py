"""Many terminals at once, cheaply: MQTT 3.1.1 packets made beforehand, one thread, one selector.

A process of its own, because a load that shares the measured program's interpreter measures
itself. Each terminal subscribes to its commands and acknowledges them, as a real one does.

    python -m tests.bench.load <the order as JSON>
"""

import json
import selectors
import socket
import ssl
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90
WINDOW = 400
"""Publishes each terminal may have ahead of the broker's acks at full speed."""
TICK_S = 0.004


def _length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, low = divmod(size, 128)
        out.append(low | (0x80 if size else 0))
        if not size:
            return bytes(out)


def _text(words: str) -> bytes:
    raw = words.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(kind: int, body: bytes) -> bytes:
    """One MQTT packet."""
    return bytes([kind]) + _length(len(body)) + body


def connect(terminal: str, password: str) -> bytes:
    """CONNECT with a clean session, then SUBSCRIBE to the terminal's commands."""
    head = _text("MQTT") + bytes([4, 0xC2]) + struct.pack(">H", 600)
    body = head + _text(f"{terminal}-load") + _text(terminal) + _text(password)
    topic = _text(f"xunlou/v1/t/{terminal}/cmd") + b"\x01"
    return packet(0x10, body) + packet(0x82, b"\x00\x01" + topic)


def publish(topic: str, mid: int, payload: bytes) -> bytes:
    """A QoS 1 PUBLISH."""
    return packet(0x32, _text(topic) + struct.pack(">H", mid) + payload)


@dataclass(eq=False)
class Terminal:
    """One connection and what it still has to say."""

    sock: socket.socket
    todo: list[bytes]
    out: bytearray = field(default_factory=bytearray)
    buffer: bytearray = field(default_factory=bytearray)
    ready: bool = False
    sent: int = 0
    acked: int = 0
    receipts: int = 0

    def read(self) -> None:
        """Take what came; answer receipts with their PUBACK."""
        while True:
            try:
                data = self.sock.recv(65536)
            except ssl.SSLWantReadError:
                break
            if not data:
                raise ConnectionError("the broker hung up on the load")
            self.buffer += data
            if not isinstance(self.sock, ssl.SSLSocket):  # else more may be read and not given yet
                break
        at, buffer = 0, self.buffer
        while len(buffer) - at >= 2:
            size, shift, pos = 0, 0, at + 1
            while pos < len(buffer):
                size |= (buffer[pos] & 0x7F) << shift
                shift, pos = shift + 7, pos + 1
                if not buffer[pos - 1] & 0x80:
                    break
            else:
                break
            if len(buffer) < pos + size:
                break
            kind = buffer[at] & 0xF0
            if kind == PUBACK:
                self.acked += 1
            elif kind == SUBACK:
                self.ready = True
            elif kind == PUBLISH:
                self._command(buffer[at], bytes(buffer[pos : pos + size]))
            at = pos + size
        del buffer[:at]

    def _command(self, first: int, body: bytes) -> None:
        if b'"receipt"' in body:
            self.receipts += 1
        if first & 0x06:
            at = 2 + struct.unpack(">H", body[:2])[0]
            self.out += packet(PUBACK, body[at : at + 2])

    def say(self, most: int) -> int:
        """Move up to `most` publishes to the socket's buffer; returns how many."""
        n = max(0, min(most, len(self.todo) - self.sent, WINDOW - (self.sent - self.acked)))
        for made in self.todo[self.sent : self.sent + n]:
            self.out += made
        self.sent += n
        return n

    def write(self) -> None:
        """Write what the socket takes."""
        if self.out:
            try:
                del self.out[: self.sock.send(self.out)]
            except (BlockingIOError, ssl.SSLWantWriteError):
                return


def dial(
    port: int, terminal: str, password: str, todo: list[bytes], tls: ssl.SSLContext | None = None
) -> Terminal:
    """A terminal whose CONNECT is on its way. In the clear all dial at once, as after a power cut:
    whom the broker's queue has no room for tries again by TCP's own clock, and keeps no other
    waiting. By TLS one after the other."""
    sock = socket.socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
    else:
        sock.connect(("127.0.0.1", port))
        sock = tls.wrap_socket(sock, server_hostname="127.0.0.1")
        sock.setblocking(False)
    return Terminal(sock, todo, bytearray(connect(terminal, password)))


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Carry an order out: `port`, `users` (terminal, password), `kind`, `boot`, `each` (messages
    a terminal), `per_s` (0: full speed), `receipts` (wait for them), `within_s`, `ca` (the file of
    the authority whose broker is spoken to by TLS; empty: in the clear)."""
    tls = ssl.create_default_context(cafile=order["ca"]) if order["ca"] else None
    selector = selectors.DefaultSelector()
    fleet = []
    for terminal, password in order["users"]:
        topic = f"xunlou/v1/t/{terminal}/evt/{order['kind']}"
        todo = [
            publish(topic, 1 + n % 65535,
                    b'{"boot":%d,"seq":%d,"ts_ok":false,"attempt":1,"bat":90,"mains":true,'
                    b'"rssi":-61}' % (order["boot"], n))
            for n in range(order["each"])
        ]  # fmt: skip
        t = dial(order["port"], terminal, password, todo, tls)
        selector.register(t.sock, selectors.EVENT_READ, t)
        fleet.append(t)
    end = time.perf_counter() + order["within_s"]

    def pump(wait_s: float) -> None:
        for key, _ in selector.select(wait_s):
            key.data.read()
        for t in fleet:
            t.write()

    while not all(t.ready for t in fleet):
        pump(0.05)
        if time.perf_counter() > end:
            raise TimeoutError("not every terminal of the load was let in")
    print("ready", flush=True)  # noqa: T201 (how its parent knows)
    total, per_s = len(fleet) * order["each"], order["per_s"]
    began, turn, said, done_at = time.perf_counter(), 0, 0, 0.0
    while time.perf_counter() < end:
        due = total if not per_s else min(total, int((time.perf_counter() - began) * per_s))
        idle = 0
        while said < due and idle < len(fleet):
            n = fleet[turn].say(1 if per_s else 20)
            said, turn, idle = said + n, (turn + 1) % len(fleet), 0 if n else idle + 1
        pump(TICK_S if per_s or said >= total else 0.001)
        if said >= total:
            done_at = done_at or time.perf_counter()
            field_ = "receipts" if order["receipts"] else "acked"
            if sum(getattr(t, field_) for t in fleet) >= total:
                break
    over = time.perf_counter()
    return {
        "total": total, "began": began, "said_at": done_at, "ended": over,
        "acked": sum(t.acked for t in fleet), "receipts": sum(t.receipts for t in fleet),
        "cpu_s": time.process_time(),
    }  # fmt: skip


if __name__ == "__main__":
    wanted = json.loads(sys.stdin.readline())
    print(json.dumps(run(wanted)), flush=True)  # noqa: T201
    time.sleep(wanted["stay_s"])  # still connected
