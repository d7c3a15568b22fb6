"""A real Mosquitto, or a whole watched town, for each test that asks for one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gateway_kit import BROKER_USERS
from parts import require

from xunlou.broker import Broker
from xunlou.embedded import free_port

if TYPE_CHECKING:
    from town import Town


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
