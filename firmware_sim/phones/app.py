"""Puts the phones together: provider's REST interface, phones API, page.

It must never be served on an address that other machines reach: there is no log-in on the
phones' side.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.requests import ClientDisconnect

from firmware_sim.phones import api, calls_api, calls_rest, page, rest
from firmware_sim.phones.config import PhonesConfig
from firmware_sim.phones.exchange import Exchange
from firmware_sim.phones.resource import ProviderError

STATIC_DIR = Path(__file__).parent / "static"


def create_app(config: PhonesConfig) -> FastAPI:
    """The application; its `state.exchange` is the exchange, for tests that look inside."""
    exchange = Exchange(config)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await exchange.start()
        try:
            yield
        finally:
            await exchange.stop()

    app = FastAPI(
        title="Xunlou phones (simulation)", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.state.exchange = exchange

    @app.exception_handler(ProviderError)
    async def provider_error(_: Request, error: ProviderError) -> JSONResponse:
        return JSONResponse(error.body(), status_code=error.status)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=499)  # nobody reads it; without it the log fills with traces

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"ok": True}

    app.include_router(rest.router)
    app.include_router(calls_rest.router)
    app.include_router(api.router)
    app.include_router(calls_api.router)
    app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=STATIC_DIR), name="static")
    return app
