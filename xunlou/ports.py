"""Ports for parts that are started on this machine and told their port beforehand."""

import secrets
import socket
from typing import Final

FIRST: Final = 18_000
LAST: Final = 32_767
"""Below what Linux gives to outgoing connections (ip_local_port_range begins at 32768): a port
from there may be some client's before the part that it was meant for has started to listen."""


def free_port() -> int:
    """A loopback TCP port that was free a moment ago. OSError when none is."""
    for _ in range(200):
        # Not `random`: tests seed it, and two that look at the same time shall differ.
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port on 127.0.0.1 between {FIRST} and {LAST}")


def port_is_free(port: int) -> bool:
    """Whether we could listen on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
