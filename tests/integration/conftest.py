"""A real Mosquitto, or a whole watched town, for each test that asks for one."""

import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gateway_kit import BROKER_USERS
from parts import require

from xunlou.broker import Broker
from xunlou.ports import free_port

if TYPE_CHECKING:
    import httpx
    from town import Town


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever lays out a town, or asks for `database`, runs on both databases: SQLite as in the
    embedded edition, PostgreSQL as in the network one. `pytest.mark.sqlite_only(reason)` opts out.
    """
    town = any(hasattr(metafunc.module, name) for name in ("a_town", "lay_out"))
    asked = "database" in inspect.signature(metafunc.function).parameters
    if not (town or asked or "town" in metafunc.fixturenames):
        return
    kinds = ["sqlite", "postgres"]
    if metafunc.definition.get_closest_marker("sqlite_only"):
        kinds = ["sqlite"]
    metafunc.parametrize("database", kinds, indirect=True)


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which database this test runs on: "sqlite" or "postgres". Set up before all others."""
    kind: str = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        yield kind
        return
    import postgres  # starts nothing yet, and imports the driver

    with postgres.for_this_test():
        yield kind


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """Mosquitto with the gateway's account and two terminals' (`BROKER_USERS`)."""
    require("mosquitto")
    running = Broker(tmp_path / "broker", free_port(), BROKER_USERS)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator["Town"]:
    """A watched town on 14 March at 06:10, ten minutes after the morning's round."""
    from town import a_town  # the whole server: not for the tests that need no town

    async with a_town(tmp_path) as running:
        yield running


@pytest.fixture
async def office(town: "Town") -> AsyncIterator["httpx.AsyncClient"]:
    """A coordinator of all houses with a browser that runs no scripts."""
    from staff_kit import login, make_account

    await make_account(town, "mai", "coordinator")
    async with await login(town, "mai") as browser:
        browser.headers["accept"] = "text/html"
        yield browser
