"""Opens terminals' TCP connections at a steady rate, and again with full jitter.

Full jitter: each wait is uniform between 0 and a bound that doubles from 1 s to 30 s (real
time), so that terminals that fell together do not come back together. It knows no MQTT.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import random
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from firmware_sim.line import Broker

FIRST_BOUND_S: Final = 1.0
LAST_BOUND_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 5.0
MAX_AT_ONCE: Final = 64
ADDRESS_LIFE_S: Final = 5.0
# A slot less far ahead than this is not slept for: a sleep costs more than the dialling.
AHEAD_S: Final = 0.004
AT_A_STRETCH: Final = 16
Address = tuple[Any, Any, int, str, Any]
log = logging.getLogger(__name__)


class Opened(Protocol):
    """Something that takes over a connected socket."""

    def open(self, sock: socket.socket) -> None:
        """Take the socket over."""


class Connector:
    """A queue of terminals that want a connection, and the one task that serves it."""

    def __init__(
        self,
        broker: Broker,
        rng: random.Random,
        connects_per_s: float,
        still_wanted: Callable[[str], bool],
        take: Callable[[str], Opened],
    ) -> None:
        assert connects_per_s > 0
        self._broker = broker
        self._tls = broker.tls()
        self._random = rng
        self._gap_s = 1 / connects_per_s
        self._still_wanted = still_wanted
        self._take = take
        self._queue: deque[str] = deque()
        self._queued: set[str] = set()
        self._failures: dict[str, int] = {}
        self._pending = asyncio.Event()
        self._free = asyncio.Semaphore(MAX_AT_ONCE)
        self._attempts: set[asyncio.Task[None]] = set()
        self._pump: asyncio.Task[None] | None = None
        self._told: set[str] = set()
        self._known: list[Address] = []
        self._known_until_s = 0.0

    def start(self) -> None:
        """Begin to serve the queue."""
        self._pump = asyncio.create_task(self._serve(), name="connector")

    async def stop(self) -> None:
        """Stop serving; connections on their way are given up."""
        tasks = [*self._attempts] + ([self._pump] if self._pump is not None else [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def want(self, terminal: str) -> None:
        """Queue a terminal; a second wish while it waits changes nothing."""
        if terminal not in self._queued:
            self._queued.add(terminal)
            self._queue.append(terminal)
            self._pending.set()

    def want_again(self, terminal: str) -> None:
        """Queue a terminal after a failure, later the more often it failed."""
        failures = self._failures.get(terminal, 0)
        self._failures[terminal] = failures + 1
        bound_s = min(LAST_BOUND_S, FIRST_BOUND_S * 2 ** min(failures, 10))
        delay_s = self._random.uniform(0, bound_s)
        asyncio.get_running_loop().call_later(delay_s, self.want, terminal)

    def reached(self, terminal: str) -> None:
        """The terminal is connected; its next failure counts as the first."""
        self._failures.pop(terminal, None)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        slot_s = loop.time()
        turn = 0
        while True:
            while not self._queue:
                self._pending.clear()
                await self._pending.wait()
            terminal = self._queue.popleft()
            self._queued.discard(terminal)
            if not self._still_wanted(terminal):
                continue
            slot_s = max(slot_s + self._gap_s, loop.time())
            ahead_s, turn = slot_s - loop.time(), turn + 1
            if ahead_s > AHEAD_S or turn % AT_A_STRETCH == 0:  # the lines get their turn too
                await asyncio.sleep(ahead_s)
                if not self._still_wanted(terminal):
                    continue
            sock, stands = self._dial_at_once(loop)
            if sock is not None and stands:
                self._hand_over(terminal, sock)
                continue
            try:
                await self._free.acquire()
            except BaseException:
                if sock is not None:
                    sock.close()
                raise
            task = asyncio.create_task(self._attempt(terminal, sock))
            self._attempts.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._attempts.discard(task)
        self._free.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection attempt failed unexpectedly", exc_info=error)

    async def _attempt(self, terminal: str, begun: socket.socket | None) -> None:
        try:
            sock = await self._dial(begun)
        except OSError as error:
            self._tell_once(error)
            if self._still_wanted(terminal):
                self.want_again(terminal)
            return
        if not self._still_wanted(terminal):
            sock.close()
            return
        self._hand_over(terminal, sock)

    def _hand_over(self, terminal: str, sock: socket.socket) -> None:
        try:
            self._take(terminal).open(sock)
        except Exception:
            # One terminal's line must not end the queue of all others.
            log.exception("the line of %s could not be opened", terminal)

    def _dial_at_once(
        self, loop: asyncio.AbstractEventLoop
    ) -> tuple[socket.socket | None, bool]:
        """A connection to a plain broker on this machine, and whether it stands: as a rule it does
        when `connect` returns, and needs no task. Else it is on its way, or (None) not begun."""
        if self._tls is not None or not self._known or loop.time() >= self._known_until_s:
            return None, False
        family, kind, protocol, _, address = self._known[0]
        if not _near(address[0]):
            return None, False
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError:
            return None, False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        failed = sock.connect_ex(address)
        if failed not in (0, errno.EINPROGRESS):
            sock.close()
            return None, False
        return sock, failed == 0

    async def _dial(self, begun: socket.socket | None) -> socket.socket:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if begun is not None and await _comes_about(begun):
                return begun
            found = await self._addresses(loop)
            last: OSError | None = None
            for family, kind, protocol, _, address in found:
                sock = socket.socket(family, kind, protocol)
                try:
                    sock.setblocking(False)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    await loop.sock_connect(sock, address)
                except OSError as error:
                    sock.close()
                    last = error
                except BaseException:
                    sock.close()
                    raise
                else:
                    return sock if self._tls is None else await self._secured(self._tls, sock)
        raise last or OSError("the broker's name has no address")

    async def _secured(self, tls: ssl.SSLContext, sock: socket.socket) -> socket.socket:
        """The same connection, once the broker has proved who it is. Raises OSError."""
        secure = tls.wrap_socket(
            sock, server_hostname=self._broker.host, do_handshake_on_connect=False
        )
        try:
            while True:
                try:
                    secure.do_handshake()
                except ssl.SSLWantReadError:
                    await _ready(secure, to_read=True)
                except ssl.SSLWantWriteError:
                    await _ready(secure, to_read=False)
                else:
                    return secure
        except BaseException:
            secure.close()
            raise

    async def _addresses(self, loop: asyncio.AbstractEventLoop) -> list[Address]:
        """The broker's addresses. Asked for again after a while: each asking costs a thread."""
        if loop.time() >= self._known_until_s:
            self._known = await loop.getaddrinfo(
                self._broker.host, self._broker.port, type=socket.SOCK_STREAM
            )
            self._known_until_s = loop.time() + ADDRESS_LIFE_S
        return self._known

    def _tell_once(self, error: OSError) -> None:
        """One line per kind of trouble, not one per terminal and try."""
        text = str(error) or type(error).__name__
        if text not in self._told:
            self._told.add(text)
            log.warning(
                "no connection to the broker %s:%d: %s", self._broker.host, self._broker.port, text
            )


def _near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _comes_about(sock: socket.socket) -> bool:
    """Whether a connection that is on its way stands in the end; one that does not is closed."""
    try:
        await _ready(sock, to_read=False)
    except BaseException:
        sock.close()
        raise
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
        return True
    sock.close()
    return False


async def _ready(sock: socket.socket, *, to_read: bool) -> None:
    """Until the socket has something for us, or takes something."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    watch, leave = (
        (loop.add_reader, loop.remove_reader) if to_read else (loop.add_writer, loop.remove_writer)
    )

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    watch(sock, tell)
    try:
        await ready
    finally:
        leave(sock)
