"""Dialling the broker: at once where it is near and free, patiently where it is not."""

import asyncio
import errno
import random
import socket

from firmware_sim.connector import Connector
from firmware_sim.line import Broker


class Taken:
    """Takes the sockets over, and does nothing with them."""

    def __init__(self) -> None:
        self.socks: list[socket.socket] = []
        self.one = asyncio.Event()

    def open(self, sock: socket.socket) -> None:
        """One more."""
        self.socks.append(sock)
        self.one.set()


def busy() -> tuple[socket.socket, list[socket.socket]]:
    """A listener that has no room left, and those who wait in it: the next `connect` is under way
    until somebody accepts."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = []
    for _ in range(8):
        sock = socket.socket()
        sock.setblocking(False)
        waiting.append(sock)
        if sock.connect_ex(listener.getsockname()) == errno.EINPROGRESS:
            return listener, waiting
    raise AssertionError("a listener without a queue took eight")


async def test_a_connection_that_is_under_way_is_waited_for_and_not_dialled_twice() -> None:
    """A storm of reconnecting terminals fills the broker's queue; who is in it comes in, once."""
    listener, waiting = busy()
    port = listener.getsockname()[1]
    taken = Taken()
    connector = Connector(
        Broker("127.0.0.1", port), random.Random(1), 1000.0, lambda _t: True, lambda _t: taken
    )
    loop = asyncio.get_running_loop()
    came: list[tuple[socket.socket, tuple[str, int]]] = []
    try:
        await connector._addresses(loop)  # known as after the first of thousands
        connector.start()
        connector.want("t-1")
        await asyncio.sleep(0)  # its turn: the connection is begun
        listener.setblocking(False)
        async with asyncio.timeout(20):
            while not taken.one.is_set():
                came.append(await loop.sock_accept(listener))
        assert len(taken.socks) == 1
        others = {peer for _, peer in came} - {sock.getsockname() for sock in waiting}
        assert others == {taken.socks[0].getsockname()}
    finally:
        await connector.stop()
        for sock in (listener, *waiting, *taken.socks, *(one for one, _ in came)):
            sock.close()
