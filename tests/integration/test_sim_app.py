"""The whole simulator process: fleet, residents, phones and control in one loop."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fleet_kit import GatewayDouble, RealBroker
from prometheus_client.parser import text_string_to_metric_families

from firmware_sim import app, control
from firmware_sim.clock import ScaledClock
from firmware_sim.fleet import Fleet
from firmware_sim.line import Broker

TERMINALS = 400
MARCH_14_0450 = 1_773_435_000.0  # 2026-03-14 04:50 in Shanghai, inside the morning round


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RealBroker]:
    """A running Mosquitto."""
    running = RealBroker(tmp_path)
    running.start()
    yield running
    running.stop()


def town(folder: Path) -> Path:
    """A manifest with 400 early risers and one phone."""
    terminals = [
        {"id": f"gd-{n:03}", "password": "x", "building": 1 + n // 20, "flat": str(n), "floor": 1,
         "profile": "early"}
        for n in range(TERMINALS)
    ]  # fmt: skip
    raw = {
        "community": "广氮",
        "tz": "Asia/Shanghai",
        "terminals": terminals,
        "phones": [
            {"number": "+8610000110101", "name": "梁玉珍", "role": "steward", "building": 11}
        ],
        "rounds": [{"name": "morning", "opens": "04:30", "prompt": "05:45", "due": "06:00"}],
    }
    path = folder / "fleet.json"
    path.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
    return path


async def test_a_round_is_kept_controlled_and_stopped_in_time(
    broker: RealBroker, tmp_path: Path, unused_tcp_port: int
) -> None:
    """400 early risers check in, a button is pressed over HTTP, stop takes under 1.5 s."""
    gateway = GatewayDouble(broker.port)
    config = app.SimConfig(
        fleet_file=town(tmp_path),
        mqtt_port=broker.port,
        connects_per_s=1000,
        phones_port=unused_tcp_port,
        twilio=app.TwilioSettings("AC1", "secret", "+8610000000000", "http://127.0.0.1:9"),
    )
    stop = asyncio.Event()
    clock = ScaledClock(time.time(), MARCH_14_0450, 600)
    running = asyncio.create_task(app.run(config, stop, clock=clock))
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with httpx.AsyncClient(base_url=url) as client:

        async def summary() -> dict[str, Any]:
            try:
                found: dict[str, Any] = (await client.get("/sim/summary")).json()
            except httpx.ConnectError:
                return {}
            return found

        async with asyncio.timeout(30):
            while not running.done() and (await summary()).get("checkins") != TERMINALS:
                await asyncio.sleep(0.05)
        assert not running.done(), running.result()
        pressed = (await client.post("/sim/terminals/gd-007/press", json={"kind": "sos"})).json()
        assert (await client.post("/sim/quiet")).json()["quiet"] is True
        async with asyncio.timeout(20):
            while (await summary())["waiting"]:
                await asyncio.sleep(0.05)
        view = (await client.get("/sim/terminals/gd-007")).json()
        assert (view["led"], view["pending"]) == ("centre_has_it", [])
        books = await summary()
        assert books["lost"] == 0
        assert books["pubacks"] == books["sent"] == books["receipts"]
        assert 0 < books["receipt_after_ms"]["p50"] <= books["receipt_after_ms"]["max"]
        told = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families((await client.get("/sim/metrics")).text)
            for sample in family.samples
        }
        assert told[("xunlou_sim_receipts_total",)] == books["receipts"]
        assert told[("xunlou_sim_events_total", "checkin")] == TERMINALS
        assert told[("xunlou_sim_lost",)] == 0
        assert [(s["t"], s["seq"], s["receipt"]) for s in books["identities"]] == [
            ("gd-007", pressed["seq"], True)
        ]
        assert (await client.get("/sim/terminals/nobody")).status_code == 404
        assert (await client.get("/phones")).status_code == 200
    began_s = time.monotonic()
    stop.set()
    result = await running
    assert time.monotonic() - began_s < 1.5
    assert result.ok
    assert result.summary.figures.checkins == TERMINALS
    gateway.close()


async def test_a_taken_port_is_an_error_not_an_exit(
    broker: RealBroker, tmp_path: Path, unused_tcp_port: int
) -> None:
    """uvicorn would leave the process; the simulator says which port and cleans up."""
    held = await asyncio.start_server(lambda *_: None, "127.0.0.1", unused_tcp_port)
    config = app.SimConfig(
        fleet_file=town(tmp_path),
        mqtt_port=broker.port,
        phones_port=unused_tcp_port,
        twilio=app.TwilioSettings("AC1", "secret", "+8610000000000", "http://127.0.0.1:9"),
    )
    async with held:
        with pytest.raises(OSError, match=str(unused_tcp_port)):
            await asyncio.wait_for(app.run(config, clock=ScaledClock()), 20)


async def test_figures_above_a_million_are_told_to_the_last_digit() -> None:
    """A counter that stands still and then leaps makes every rate of it wrong."""
    fleet = Fleet([], Broker("127.0.0.1", 1), ScaledClock())
    fleet.faults["publish refused"] = 1_234_567
    text = control.exposition(fleet)
    assert 'xunlou_sim_faults_total{what="publish refused"} 1234567\n' in text
    for line in text.splitlines():
        assert line.startswith("#") or "e+" not in line
