"""PostgreSQL, as durable as we configure it, is killed, and hangs, under a house in use."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.house import House, a_house
from tests.faults.test_fault_matrix import SEED
from tests.parts import require
from tests.postgres import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
"""As xunlou/deploy/postgresql.conf has it."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of our own to break."""
    running = Cluster()
    running.start(**DURABLE)
    yield running
    running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """The embedded edition's processes on that database."""
    require("mosquitto")
    folder: Path = tmp_path_factory.mktemp("house")
    async with a_house(folder, cluster, cluster.create()) as running:
        yield running


async def test_killed_at_random_moments(house: House, cluster: Cluster) -> None:
    """Twice kill -9 of all its processes while people press and check in: what had a receipt is
    there, what had none is sent again, and every event is stored once."""
    moments = random.Random(f"{SEED}:postgresql")
    async with house.cell("kill -9 postgresql, 2 random moments", crashes=2, within_s=60) as cell:
        for _ in range(2):
            cell.press(2)
            cell.check_in(10)
            await asyncio.sleep(moments.uniform(0.0, 0.5))
            cluster.signal(signal.SIGKILL)
            cell.press(1)
            await asyncio.sleep(moments.uniform(0.5, 2.0))
            await asyncio.to_thread(cluster.start_again)
            await house.until_ready()
        cell.healed()


async def test_hung(house: House, cluster: Cluster) -> None:
    """It holds its connections and answers nothing for six seconds: no press is acknowledged
    meanwhile, and all goes on when it answers again."""
    async with house.cell("SIGSTOP postgresql 6 s", crashes=1, within_s=60) as cell:
        cluster.signal(signal.SIGSTOP)
        try:
            cell.press(2)
            await asyncio.sleep(6)
            waiting = set(house.fleet.waiting())
            assert set(cell.presses) <= waiting, "nothing may be acknowledged meanwhile"
        finally:
            cluster.signal(signal.SIGCONT)
        cell.healed()


async def test_read_only(house: House, cluster: Cluster) -> None:
    """It takes no more writes for six seconds, as one does that another has taken over from: no
    press is acknowledged, readiness says so, and all goes on when it writes again."""
    async with house.cell("postgresql read-only 6 s", within_s=60) as cell:
        cluster.read_only(True)
        try:
            cell.press(2)
            await asyncio.sleep(6)
            waiting = set(house.fleet.waiting())
            assert set(cell.presses) <= waiting, "nothing may be acknowledged meanwhile"
            assert not await house.ready()
        finally:
            cluster.read_only(False)
        cell.healed()
