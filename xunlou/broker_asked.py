"""Asks a running broker whether it lets somebody in, and says in words why not.

It comes as a client of its own, under a client id that is new each time and with a session that is
gone with it: the session of the gateway that is running is left alone. It subscribes to nothing and
publishes nothing. No password leaves before the broker has shown the certificate that is asked for.
"""

import contextlib
import secrets
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from xunlou.mqtt_connect import connect_packet

WITHIN_S: Final = 3.0
"""For everything together, the look-up of the name included."""
MOST_ANSWER: Final = 4096
_ALERT: Final = 0x15  # what a TLS door answers to words that are no TLS


class Said(StrEnum):
    """What came of it."""

    WELCOME = "welcome"
    NO_NAME = "no_name"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    SPEAKS_TLS = "speaks_tls"
    NO_TLS = "no_tls"
    NO_BROKER = "no_broker"
    CERTIFICATE = "certificate"
    NOT_LET_IN = "not_let_in"
    VERSION = "version"
    BUSY = "busy"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a broker said, and for a certificate why it is none."""

    said: Said
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Door:
    """Where to ask, and as whom. `ca`: the authority's file of a TLS door."""

    host: str
    port: int
    user: str
    password: str
    ca: Path | None = None
    v5: bool = False

    @property
    def where(self) -> str:
        """As people write it."""
        return f"{self.host}:{self.port}"


_CODES: Final = {
    0x00: Said.WELCOME, 0x01: Said.VERSION, 0x03: Said.BUSY, 0x04: Said.NOT_LET_IN,
    0x05: Said.NOT_LET_IN, 0x84: Said.VERSION, 0x86: Said.NOT_LET_IN, 0x87: Said.NOT_LET_IN,
    0x88: Said.BUSY, 0x89: Said.BUSY, 0x97: Said.BUSY,
}  # fmt: skip
"""Of a CONNACK: MQTT 3.1.1 section 3.2.2.3, and MQTT 5 section 3.2.2.2."""


def ask(door: Door, within_s: float = WITHIN_S) -> Answer:
    """What the broker says, within the time whatever happens. Blocking."""
    found: list[Answer] = []
    end = time.monotonic() + within_s
    # A look-up of a name knows no time-out: the thread is left to itself where one hangs.
    asking = threading.Thread(target=lambda: found.append(_ask(door, end)), daemon=True)
    asking.start()
    asking.join(within_s + 0.2)
    return found[0] if found else Answer(Said.SILENT)


def _ask(door: Door, end: float) -> Answer:
    try:
        context = _trust(door.ca) if door.ca is not None else None
    except OSError as error:  # ssl.SSLError is one
        return Answer(Said.CERTIFICATE, f"{door.ca} can't be read: {type(error).__name__}")
    try:
        with _connected(door, context, end) as line:
            return _answer(door, line, end)
    except socket.gaierror:
        return Answer(Said.NO_NAME)
    except ssl.SSLCertVerificationError as error:
        return Answer(Said.CERTIFICATE, error.verify_message or "verification failed")
    except ssl.SSLError:
        return Answer(Said.NO_TLS)
    except TimeoutError:
        return Answer(Said.SILENT)
    except ConnectionRefusedError:
        return Answer(Said.REFUSED)
    except (ConnectionResetError, BrokenPipeError):
        return Answer(Said.NO_BROKER)
    except OSError as error:
        return Answer(Said.UNREACHABLE, error.strerror or type(error).__name__)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _trust(authority: Path) -> ssl.SSLContext:
    """This authority and no other, as a terminal does. Raises OSError."""
    context = ssl.create_default_context(cafile=str(authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _connected(door: Door, context: ssl.SSLContext | None, end: float) -> socket.socket:
    """The line, behind TLS where the door has one. Raises OSError."""
    plain = socket.create_connection((door.host, door.port), timeout=_left(end))
    if context is None:
        return plain
    try:
        plain.settimeout(_left(end))
        return context.wrap_socket(plain, server_hostname=door.host)
    except BaseException:
        plain.close()
        raise


def _answer(door: Door, line: socket.socket, end: float) -> Answer:
    line.settimeout(_left(end))
    line.sendall(hello(door))
    head = _read(line, 2, end)
    if head[:1] == bytes([_ALERT]):
        return Answer(Said.SPEAKS_TLS)
    if len(head) < 2:  # it hung up: a TLS door does, at words that are none
        return Answer(Said.SPEAKS_TLS if door.ca is None and _is_tls(door, end) else Said.NO_BROKER)
    if head[0] != 0x20 or not 2 <= head[1] <= 127:  # none of our questions has a longer answer
        return Answer(Said.NO_BROKER)
    body = _read(line, head[1], end)
    if len(body) < 2:
        return Answer(Said.NO_BROKER)
    code = body[1]
    if code == 0:
        with contextlib.suppress(OSError):
            line.sendall(b"\xe0\x00")  # DISCONNECT: it is no loss that anybody has to be told of
    return Answer(_CODES.get(code, Said.NO), f"{code:#04x}")


def _read(line: socket.socket, count: int, end: float) -> bytes:
    """So many bytes, or fewer where the other end hangs up."""
    found = b""
    while len(found) < min(count, MOST_ANSWER):
        line.settimeout(_left(end))
        try:
            more = line.recv(count - len(found))
        except ConnectionResetError:
            break
        if not more:
            break
        found += more
    return found


def _is_tls(door: Door, end: float) -> bool:
    """Whether TLS is spoken there. Nothing is said over it, so nobody's certificate matters."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((door.host, door.port), timeout=_left(end)) as plain:
            plain.settimeout(_left(end))
            with context.wrap_socket(plain):
                return True
    except OSError:
        return False


def hello(door: Door) -> bytes:
    """We come as a client of our own each time: the gateway's session stays the gateway's."""
    name = f"doctor-{secrets.token_hex(8)}"
    return connect_packet(name, door.user, door.password, v5=door.v5)
