"""A really running simulator for tests of what drives it: fleet, broker, phones, tester's page."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from firmware_sim import app
from firmware_sim.clock import SharedClock
from tests.integration.fleet_kit import GatewayDouble, RealBroker
from xunlou.ports import free_port

MARCH_14_0450 = 1_773_435_000.0
SPEED = 10.0


@dataclass
class Sim:
    """Where it listens, and what its terminals told the gateway."""

    url: str
    http: httpx.AsyncClient
    gateway: GatewayDouble
    clock: SharedClock
    switches: Path

    async def view(self, terminal: str) -> dict[str, Any]:
        """What the control API tells of a terminal."""
        found: dict[str, Any] = (await self.http.get(f"/sim/terminals/{terminal}")).json()
        return found

    async def until(self, terminal: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Until a terminal looks as wanted, twenty seconds at most."""
        async with asyncio.timeout(20):
            while not wanted(await self.view(terminal)):
                await asyncio.sleep(0.02)


def small_town(folder: Path, terminals: int = 30) -> Path:
    """Three buildings of absent people, and a steward's phone in the eleventh."""
    raw = {
        "community": "广氮",
        "tz": "Asia/Shanghai",
        "terminals": [
            {"id": f"gd-{10 + n % 3}-{301 + n}", "password": "x", "building": 10 + n % 3,
             "flat": str(301 + n), "floor": 3, "profile": "away"}
            for n in range(terminals)
        ],
        "phones": [
            {"number": "+8610000110101", "name": "梁玉珍", "role": "steward", "building": 11}
        ],
        "rounds": [{"name": "morning", "opens": "04:30", "prompt": "05:45", "due": "06:00"}],
    }  # fmt: skip
    path = folder / "fleet.json"
    path.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
    return path


@contextlib.asynccontextmanager
async def running_sim(folder: Path, *, tester: bool = True) -> AsyncIterator[Sim]:
    """Broker, gateway double and simulator, all terminals connected."""
    broker = RealBroker(folder)
    broker.start()
    gateway = GatewayDouble(broker.port)
    switches = folder / "switches"
    switches.mkdir()
    (switches / "clock").write_text(f"{time.time():.3f},{MARCH_14_0450},{SPEED}")
    clock = SharedClock(switches / "clock")
    phones_port = free_port()
    config = app.SimConfig(
        fleet_file=small_town(folder),
        mqtt_port=broker.port,
        connects_per_s=1000,
        phones_port=phones_port,
        twilio=app.TwilioSettings("AC1", "secret", "+8610000000000", "http://127.0.0.1:9"),
        switches=switches if tester else None,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(config, stop, clock=clock))
    url = f"http://127.0.0.1:{phones_port}"
    try:
        async with httpx.AsyncClient(base_url=url) as http:
            async with asyncio.timeout(20):
                while True:
                    assert not running.done(), running.result()
                    with contextlib.suppress(httpx.TransportError):
                        now = (await http.get("/sim/summary")).json()
                        if now["connected"] == now["terminals"]:
                            break
                    await asyncio.sleep(0.02)
            yield Sim(url, http, gateway, clock, switches)
    finally:
        stop.set()
        await running
        gateway.close()
        broker.stop()
