"""A real Mosquitto, or a whole watched town, for each test that asks for one."""

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from xunlou.broker import Broker, find_mosquitto

if TYPE_CHECKING:
    from town import Town

BROKER_USERS = {
    "gateway": "gateway-password",
    "gd-11-301": "password-301",
    "gd-11-302": "password-302",
}


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_mosquitto() -> None:
    """Skip where Mosquitto is missing, except in CI, which must not pass without it."""
    if find_mosquitto() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mosquitto is not installed, and CI must test against it")
        pytest.skip("mosquitto is not installed (apt install mosquitto)")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """Mosquitto with the gateway's account and two terminals' (`BROKER_USERS`)."""
    require_mosquitto()
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
