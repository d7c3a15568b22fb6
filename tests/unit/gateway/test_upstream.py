"""The gateway's question to the server: whatever comes back that is no clear answer settles nothing
and is asked again by the lane, never by the client itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from gateway.batch import make_entry
from gateway.contract import parse
from gateway.delivery import Received
from gateway.settings import GatewaySettings
from gateway.upstream import Answered, ServerClient, ServerClock, Unavailable

TOPIC, PAYLOAD = "xunlou/v1/t/gd-11-301/evt/sos", b'{"boot":3,"seq":17}'
PRESS = make_entry(
    parse(TOPIC, PAYLOAD, False), Received(TOPIC, PAYLOAD, False, 1, 1, 1), 0.0
)  # fmt: skip
OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "no HTTP at all": b"garbage\r\n\r\n",
    "nothing": b"",
    "half of a body": OK + b"content-length: 50\r\n\r\n{}",
    "a list": OK + b"content-length: 2\r\n\r\n[]",
    "no JSON": OK + b"content-length: 2\r\n\r\n}{",
    "chunks that can't be read": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "packed, and not": OK + b"content-encoding: gzip\r\ncontent-length: 5\r\n\r\nabcde",
    "an endless header": OK + b"x: " + b"y" * 100_000 + b"\r\n\r\n",
    "another address": b"HTTP/1.1 307 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
    "an odd status": b"HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n",
    "receipts of somebody": OK + b'content-length: 16\r\n\r\n{"receipts":"x"}',
}  # fmt: skip


@contextlib.asynccontextmanager
async def asked(answer: bytes | None) -> AsyncIterator[tuple[ServerClient, list[bytes]]]:
    """A client and the heads of what it asks a server that says `answer`; None: never a word."""
    heads: list[bytes] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await over.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = GatewaySettings(
        gateway_token="t", mqtt_password="p", server_url=f"http://127.0.0.1:{port}/"
    )  # fmt: skip
    client = ServerClient(settings, ServerClock(), timeout_s=0.2 if answer is None else 10.0)
    try:
        yield client, heads
    finally:
        over.set()
        await client.aclose()
        server.close()


@pytest.mark.parametrize("answer", [*ANSWERS.values(), None], ids=[*ANSWERS, "not a word"])
async def test_what_is_no_clear_answer_settles_nothing(answer: bytes | None) -> None:
    """And it is asked once: how soon again is the lane's to say."""
    async with asked(answer) as (client, heads):
        assert isinstance(await client.post_signals([PRESS]), Unavailable)
        assert len(heads) == 1


async def test_nobody_listens() -> None:
    """The server is down."""
    settings = GatewaySettings(
        gateway_token="t", mqtt_password="p", server_url="http://127.0.0.1:1"
    )  # fmt: skip
    client = ServerClient(settings, ServerClock(), timeout_s=10.0)
    assert isinstance(await client.post_signals(()), Unavailable)
    await client.aclose()


async def test_it_says_who_it_is_and_leaves_no_proxy_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy in the environment is not asked: nothing unasked may stand between a press and us."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    body = b'{"receipts":[{"t":"gd-11-301","boot":3,"seq":17,"result":"stored"}]}'
    async with asked(OK + b"content-length: %d\r\n\r\n%s" % (len(body), body)) as (client, heads):
        assert await client.post_signals([PRESS]) == Answered(("stored",))
    (head,) = heads
    assert head.startswith(b"POST /api/v1/signals HTTP/1.1\r\n")
    assert b"authorization: bearer t\r\n" in head.lower()
