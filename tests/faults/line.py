"""A network line between two programs that a test can cut, or leave hanging."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

Mode = Literal["pass", "cut", "hang"]
"""`cut`: connections are refused and open ones broken. `hang`: they are taken, and nothing comes
through, ever: what was sent into a hanging line is lost."""


class Line:
    """Forwards TCP to a port of this machine, as long as it may."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._mode: Mode = "pass"
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.taken = 0
        """Requests that a hanging line has swallowed."""

    @contextlib.asynccontextmanager
    async def laid(self) -> AsyncIterator["Line"]:
        """Listen for the time of the body."""
        await self._listen()
        try:
            yield self
        finally:
            await self.set("cut")

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def set(self, mode: Mode) -> None:
        """Change how the line behaves, for open connections too."""
        self._mode = mode
        for writer in list(self._open):
            writer.transport.abort()
        if mode == "cut" and self._server is not None:
            self._server.close()
            self._server = None
        elif mode != "cut" and self._server is None:
            await self._listen()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self._mode == "hang":
                if await reader.read(1):
                    self.taken += 1
                while await reader.read(65536):
                    pass
                return
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            self._open.add(up_writer)
            try:
                await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
            finally:
                self._open.discard(up_writer)
                up_writer.close()
        except OSError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
