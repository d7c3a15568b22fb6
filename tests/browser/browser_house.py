"""A small real server for the browser tests: the pages, a scripted live feed, recorded actions.

The feed does exactly what a test tells it: sends an event, falls silent, drops the connection,
refuses the next one. Real port, real HTTP, no server package behind it.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from dashboards_fake import FakeReader
from fastapi import FastAPI, Request
from parts import require
from playwright.async_api import Browser, async_playwright
from starlette.responses import JSONResponse, Response, StreamingResponse

from dashboards.pages import mount

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Script:
    """What the scripted server is told, and what it was asked."""

    def __init__(self) -> None:
        self.after: list[int] = []  # the ?after= of every stream that was asked for
        self.posts: list[tuple[str, dict[str, Any], str | None]] = []
        self.refuse_streams = 0  # so many of the next streams answer 502
        self.snapshot_status = 200  # what the snapshot answers; the pages ask for it over a gap
        self.post_answer: tuple[int, dict[str, Any]] = (200, {})
        self.connected = asyncio.Condition()
        self.queues: list[asyncio.Queue[str | None]] = []

    async def send(self, event: str, data: dict[str, Any]) -> None:
        """Sends one event to every open stream."""
        number = f"id: {data['seq']}\n" if "seq" in data else ""
        for queue in list(self.queues):
            await queue.put(f"{number}event: {event}\ndata: {json.dumps(data)}\n\n")

    async def cut(self) -> None:
        """Ends every open stream, as a proxy's restart would."""
        for queue in list(self.queues):
            await queue.put(None)

    async def streams(self, count: int, timeout_s: float = 10) -> None:
        """Waits until `count` streams have been asked for, over the whole test."""
        async with asyncio.timeout(timeout_s), self.connected:
            await self.connected.wait_for(lambda: len(self.after) >= count)


class House:
    """The running server of one test."""

    def __init__(self, url: str, reader: FakeReader, script: Script) -> None:
        self.url, self.reader, self.script = url, reader, script


def build(reader: FakeReader, script: Script, times_ms: dict[str, int]) -> FastAPI:
    """The application: real pages, scripted API."""
    app = FastAPI()
    mount(app, reader, times_ms)

    @app.get("/api/v1/snapshot")
    async def snapshot() -> Response:
        if script.snapshot_status != 200:
            return JSONResponse({"detail": "x"}, script.snapshot_status)
        return JSONResponse(dict(await reader.snapshot()))

    @app.get("/api/v1/stream")
    async def stream(after: int) -> Response:
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        refused = script.refuse_streams > 0
        if refused:
            script.refuse_streams -= 1
        else:
            script.queues.append(queue)
        async with script.connected:
            script.after.append(after)
            script.connected.notify_all()
        if refused:
            return Response("bad gateway", 502)

        async def events() -> AsyncIterator[str]:
            try:
                while (event := await queue.get()) is not None:
                    yield event
            finally:
                script.queues.remove(queue)

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.post("/api/v1/alerts/{alert_id}/{action}")
    async def act(alert_id: int, action: str, request: Request) -> Response:
        body = await request.json()
        header = request.headers.get("x-requested-with")
        script.posts.append((f"{alert_id}/{action}", body, header))
        status, answer = script.post_answer
        return JSONResponse(answer, status)

    return app


@asynccontextmanager
async def house(reader: FakeReader, times_ms: dict[str, int] | None = None) -> AsyncIterator[House]:
    """Serves the pages on a free port for one test, and ends every stream before it stops."""
    script = Script()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # now, so that no request can come too early
        app = build(reader, script, times_ms or {})
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield House(f"http://127.0.0.1:{listener.getsockname()[1]}", reader, script)
        finally:
            await script.cut()
            server.should_exit = True
            await serving


@asynccontextmanager
async def chromium(*args: str) -> AsyncIterator[Browser]:
    """The system's Chromium, with these arguments more. Without one: skipped here, a failure where
    CI promised one."""
    path = require("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=[*CHROMIUM_ARGS, *args]
        )
        try:
            yield browser
        finally:
            await browser.close()
