"""A client on the real application with the fake reader behind it."""

from collections.abc import Iterator

import pytest
from dashboards_fake import FakeReader
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from dashboards.pages import mount


@pytest.fixture
def reader() -> FakeReader:
    """The server's read side, in memory."""
    return FakeReader(busy=True)


@pytest.fixture
def client(reader: FakeReader) -> Iterator[TestClient]:
    """A browser without scripts: follows no redirect, asks for pages."""
    app = FastAPI(docs_url=None, redoc_url=None)
    mount(app, reader)

    @app.get("/forbidden")
    async def forbidden() -> None:
        raise HTTPException(403)

    @app.get("/api/v1/forbidden")
    async def api_forbidden() -> None:
        raise HTTPException(403, "not yours")

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("secret of the inside")

    @app.get("/gone-login")
    async def gone_login() -> None:
        raise HTTPException(401)

    @app.get("/refused/{status}")
    async def refused(status: int) -> None:
        raise HTTPException(status)

    @app.post("/api/v1/counted")
    async def counted(n: int) -> int:
        return n

    with TestClient(
        app,
        base_url="http://wall.test",
        headers={"accept": "text/html"},
        follow_redirects=False,
        raise_server_exceptions=False,
    ) as browser:
        yield browser
