"""A fleet by the command as documented: `xunlou sim --fleet fleet.json`, and nothing in the
environment but the broker."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from firmware_sim.app import AFAR_PER_S, NEAR_PER_S, pace
from tests.e2e.running import running
from tests.integration.fleet_kit import GatewayDouble, RealBroker
from tests.integration.sim_kit import small_town
from xunlou.ports import free_port


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RealBroker]:
    """A running Mosquitto."""
    running_one = RealBroker(tmp_path)
    running_one.start()
    yield running_one
    running_one.stop()


def last_json(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


def test_a_fleet_shows_its_figures_and_ends_with_its_reconciliation(
    broker: RealBroker, tmp_path: Path
) -> None:
    """No account of an SMS provider is needed for figures: progress is printed, /sim/summary and
    /sim/metrics answer, and Ctrl-C ends it with one line of JSON. The next run goes on from the
    flash that this one kept."""
    gateway, port = GatewayDouble(broker.port), free_port()
    fleet, flash = small_town(tmp_path), tmp_path / "flash.db"
    words = ("sim", "--fleet", str(fleet), "--phones-port", str(port), "--sos-per-hour", "0",
             "--progress-s", "0.5", "--flash", str(flash))  # fmt: skip
    boots: list[int] = []
    for _ in range(2):
        with running(tmp_path, *words, XUNLOU_MQTT_PORT=str(broker.port)) as sim:
            told = sim.until_printed("在线 connected 30/30")
            assert "丢失 lost 0" in told
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
                pressed = http.post("/sim/terminals/gd-11-302/press", json={"kind": "sos"}).json()
                boots.append(pressed["boot"])
                end_s = time.monotonic() + 20
                while http.get("/sim/summary").json()["receipts"] == 0:
                    assert time.monotonic() < end_s
                families = text_string_to_metric_families(http.get("/sim/metrics").text)
                assert {s.name: s.value for f in families for s in f.samples}[
                    "xunlou_sim_receipts_total"
                ] == 1
            code, _ = sim.stop()
            assert sim.process.stdout is not None
            said = last_json(sim.process.stdout.read())
            assert code == 0, sim.errors()
        assert (said["ok"], said["terminals"], said["connected"]) == (True, 30, 30)
        books = said["reconciliation"]
        assert (books["presses"], books["receipts"]) == (1, 1)
        assert (books["lost"], books["waiting"]) == (0, 0)
    gateway.close()
    assert boots[1] == boots[0] + 1


@pytest.mark.parametrize(
    ("host", "per_s"),
    [("127.0.0.1", NEAR_PER_S), ("::1", NEAR_PER_S), ("localhost", NEAR_PER_S),
     ("broker.example.org", AFAR_PER_S), ("10.0.0.7", AFAR_PER_S)],
)  # fmt: skip
def test_the_pace_of_connecting_is_what_the_way_bears(host: str, per_s: float) -> None:
    """Ten thousand within ten seconds on this machine; a shared broker is spared."""
    assert pace(host) == per_s
    assert 10_000 / NEAR_PER_S < 10


def test_a_scenario_that_is_broken_off_has_not_passed(broker: RealBroker, tmp_path: Path) -> None:
    """Ctrl-C (or a CI's time limit) in the middle of a story: the exit code is 1, and the report
    has each step that was never played as failed."""
    story = tmp_path / "story.yaml"
    story.write_text(
        "name: A long story\nabout: It is broken off.\ncast: {her: {terminal: {building: 11}}}\n"
        "steps:\n"
        "  - {at: 0, title: She tries it, do: {press: test, on_terminal: her}}\n"
        "  - {at: 80000, title: Tomorrow, do: {press: test, on_terminal: her}}\n"
        "  - {at: 80001, title: And again, do: {press: test, on_terminal: her}}\n"
    )
    gateway, report = GatewayDouble(broker.port), tmp_path / "report.xml"
    words = ("sim", "--fleet", str(small_town(tmp_path)), "--phones-port", str(free_port()),
             "--scenario", str(story), "--junit", str(report))  # fmt: skip
    with running(tmp_path, *words, XUNLOU_MQTT_PORT=str(broker.port)) as sim:
        sim.until_printed("ok   A long story: She tries it")
        code, _ = sim.stop()
        assert sim.process.stdout is not None
        said = last_json(sim.process.stdout.read())
    gateway.close()
    assert (code, said["ok"], said["finished"]) == (1, False, False), sim.errors()
    suite = ElementTree.fromstring(report.read_text("utf-8"))[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == [
        "Tomorrow", "And again",
    ]  # fmt: skip
