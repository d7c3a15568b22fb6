"""The tester's console, driven by Textual's own pilot on a really running fleet."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
from textual.pilot import Pilot
from textual.widgets import Input, Static

from firmware_sim.console import Console
from tests.integration.sim_kit import Sim, running_sim
from tests.parts import require


async def until(pilot: Pilot[None], wanted: Callable[[], bool]) -> None:
    """Until the screen shows it, twenty seconds at most."""
    async with asyncio.timeout(20):
        while not wanted():
            await pilot.pause(0.05)


def told(sim: Sim, terminal: str, kind: str) -> int:
    """How many presses of a kind the gateway has had of a terminal."""
    return len({
        (body["boot"], body["seq"]) for topic, body in tuple(sim.gateway.payloads)
        if topic.endswith(f"/{terminal}/evt/{kind}")
    })  # fmt: skip


def shows(screen: Console, part: str) -> str:
    """The text of one part of the screen."""
    return str(screen.query_one(part, Static).render())


async def test_a_tester_works_the_fleet_from_the_keyboard(tmp_path: Path) -> None:
    """Search, press, cancel, fall, pull, darken a building, flap, clock and broker; and it says
    that it is a simulation all the time."""
    require("mosquitto")
    async with running_sim(tmp_path) as sim:
        screen = Console(sim.http)
        async with screen.run_test(size=(150, 45)) as pilot:
            assert "SIMULATION" in shows(screen, "#banner")
            await until(pilot, lambda: screen.terminals.row_count == 30)
            await pilot.press("slash")
            screen.query_one("#q", Input).value = "11栋"
            await pilot.press("enter")
            await until(pilot, lambda: screen.terminals.row_count == 10)
            her = str(screen.chosen)
            await pilot.press("s")
            await until(pilot, lambda: "centre has it" in shows(screen, "#one"))
            assert "中心已经收到" in shows(screen, "#one")
            assert screen.chosen == her, "the list moved; the cursor stays on its terminal"
            assert len([key for key in sim.gateway.seen if key[0] == her]) == 1
            await pilot.press("x")
            await until(pilot, lambda: "取消" in shows(screen, "#one"))
            await pilot.press("c")
            await until(pilot, lambda: told(sim, her, "checkin") == 1)
            # However long the red key is held, it is an SOS, and one.
            await pilot.press("S")
            await until(pilot, lambda: told(sim, her, "sos") == 2)
            await sim.until(her, lambda view: not view["pending"])
            assert told(sim, her, "sos") == 2

            await pilot.press("down")
            await until(pilot, lambda: str(screen.chosen) != her)
            him = str(screen.chosen)
            await screen.look()
            await pilot.press("f")
            await sim.until(him, lambda view: view["led"] == "centre_has_it")
            await screen.look()
            assert screen.chosen == him
            await pilot.press("m")
            await sim.until(him, lambda view: view["mains"] is False)
            await until(pilot, lambda: "无 off" in shows(screen, "#one"))
            await screen.look()
            await pilot.press("b")
            await sim.until(him, lambda view: view["powered"] is False)
            await until(pilot, lambda: "dark" in shows(screen, "#one"))
            await pilot.press("b")
            await sim.until(him, lambda view: view["connected"])
            await until(pilot, lambda: "dark" not in shows(screen, "#one"))
            await pilot.press("m")
            await sim.until(him, lambda view: view["mains"] is True)
            await screen.look()
            await pilot.press("b")
            await sim.until(him, lambda view: not view["battery_in"])
            await until(pilot, lambda: "battery 无 none" in shows(screen, "#one"))
            assert (await sim.view(him))["connected"], "on the mains it lives on"
            await pilot.press("b")
            await sim.until(him, lambda view: view["battery_in"])
            await screen.look()
            await pilot.press("n")
            await sim.until(him, lambda view: not view["connected"])
            await screen.look()
            await pilot.press("n")
            await sim.until(him, lambda view: view["connected"])
            await pilot.press("l")
            await sim.until(him, lambda view: not view["connected"])

            house = [f"gd-11-{302 + 3 * n}" for n in range(10)]
            await pilot.press("P")
            for one in house:
                await sim.until(one, lambda view: view["mains"] is False)
            assert "没电 dark 0" in shows(screen, "#house"), "batteries carry on"
            await pilot.press("P")
            for one in house:
                await sim.until(one, lambda view: view["mains"] is True)
            before_ms = sim.clock.now_ms()
            await pilot.press("t")
            await pilot.press("T")
            await until(pilot, lambda: "× 30" in shows(screen, "#house"))
            assert sim.clock.now_ms() - before_ms >= 600_000
            await pilot.press("o")
            await until(pilot, lambda: "gone" in shows(screen, "#house"))
            assert (sim.switches / "broker-off").exists()
            assert shows(screen, "#said") == ""


async def test_a_simulator_that_is_gone_is_said(tmp_path: Path) -> None:
    """No traceback: the screen says so and goes on asking."""
    require("mosquitto")
    async with running_sim(tmp_path) as sim:
        sim.http.base_url = "http://127.0.0.1:9"
        screen = Console(sim.http)
        async with screen.run_test() as pilot:
            await until(pilot, lambda: "not done" in shows(screen, "#said"))
            await pilot.press("s")
            assert screen.is_running


async def test_a_look_that_ends_after_the_screen_is_no_error() -> None:
    """Whoever quits while the console is asking sees their prompt, and no traceback."""
    async with httpx.AsyncClient(base_url="http://127.0.0.1:9") as nobody:
        screen = Console(nobody)
        async with screen.run_test():
            await screen.screen.remove_children()  # as quitting does
            await screen.look()
