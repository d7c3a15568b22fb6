"""Power and parts of terminals that are dark, or between two starts: no broker is needed for it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from firmware_sim import control, trouble_api
from firmware_sim import outputs as out
from firmware_sim.chip import SECTORS, Chip, SectorFlash
from firmware_sim.clock import ScaledClock
from firmware_sim.flash_file import FileBank
from firmware_sim.fleet import REBOOT_MS, Fleet
from firmware_sim.line import Broker
from firmware_sim.manifest import TerminalEntry
from firmware_sim.node import Node
from firmware_sim.state import State, own_time_ms
from firmware_sim.troubles import Troubles
from firmware_sim.weather import PROFILES
from firmware_sim.wire import Kind, Ref
from xunlou.ports import free_port

ID = "gd-11-301"
SPEED = 60.0


@pytest_asyncio.fixture
async def fleet() -> AsyncIterator[Fleet]:
    """One terminal that is on, sixty times as fast as life, and never finds its broker."""
    clock = ScaledClock(time.time(), 1_773_435_000.0, SPEED)
    made = Fleet([TerminalEntry(ID, "x", 11, "301", 3)], Broker("127.0.0.1", free_port()), clock)
    await made.start()
    yield made
    await made.stop()


def state_of(fleet: Fleet) -> State:
    found = fleet.state(ID)
    assert found is not None
    return found


def node_of(fleet: Fleet) -> Node:
    return fleet.node(ID)


async def test_what_befalls_a_dark_terminal_is_found_when_it_starts(fleet: Fleet) -> None:
    """The plug, the cold, the battery, the radio and the clock are no matter of its program."""
    troubles = Troubles(fleet)
    fleet.set_power(ID, False)
    fleet.set_mains(ID, False)
    troubles.temperature([ID], -5)
    troubles.set_battery([ID], 60)
    troubles.weather([ID], PROFILES["nb_iot"])
    troubles.move_clock([ID], 3_600)
    troubles.drift([ID], 5_000)
    assert fleet.state(ID) is None
    fleet.set_power(ID, True)
    state = state_of(fleet)
    assert (state.battery.mains, state.battery.temp_c) == (False, -5)
    assert state.battery.at(fleet.clock.now_ms()) == pytest.approx(60, abs=1)
    assert (state.rssi, state.rssi_spread, state.drift_ppm) == (-97, 5, 5_000)
    now_ms = fleet.clock.now_ms()
    assert own_time_ms(state, now_ms) - now_ms >= 3_600_000
    assert [p.event.kind for p in state.pending] == [Kind.MAINS_LOST]


async def test_a_power_cut_cures_neither_clock_nor_radio(fleet: Fleet) -> None:
    """Off and on again: the clock that was unset is unset, and the cell is as bad as before."""
    troubles = Troubles(fleet)
    troubles.move_clock([ID], None)
    troubles.weather([ID], PROFILES["bad_cell"])
    fleet.set_power(ID, False)
    fleet.set_power(ID, True)
    assert not state_of(fleet).clock_ok
    assert state_of(fleet).rssi == -113


@pytest.mark.parametrize("between", [False, True])
async def test_a_power_cut_during_a_restart_stands(fleet: Fleet, between: bool) -> None:
    """The three seconds of a restart end in the dark when the power went; without a cut, in a
    start."""
    reboot = b'{"cmd_id":"c-1","cmd":"reboot"}'
    fleet.apply(node_of(fleet), out.CommandArrived(reboot))
    assert fleet.state(ID) is None
    if between:
        fleet.set_power(ID, False)
    passed = asyncio.Event()
    fleet.timers.at_ms(fleet.clock.now_ms() + 2 * REBOOT_MS, passed.set)
    await asyncio.wait_for(passed.wait(), 5)
    assert (fleet.state(ID) is None) == between
    assert node_of(fleet).reset == ("power" if between else "asked")


async def test_power_that_returns_within_a_restart_is_a_start_of_its_own(fleet: Fleet) -> None:
    """Cut and back before the three seconds are over: it starts at once, and only once."""
    fleet.apply(node_of(fleet), out.CommandArrived(b'{"cmd_id":"c-1","cmd":"reboot"}'))
    fleet.set_power(ID, False)
    fleet.set_power(ID, True)
    boot = state_of(fleet).boot
    passed = asyncio.Event()
    fleet.timers.at_ms(fleet.clock.now_ms() + 2 * REBOOT_MS, passed.set)
    await asyncio.wait_for(passed.wait(), 5)
    assert state_of(fleet).boot == boot


async def test_a_press_waits_in_a_dark_terminal_too(fleet: Fleet) -> None:
    """The tester sees that an SOS lies in its flash: nobody has it yet."""
    ref = fleet.press(ID, Kind.SOS)
    assert ref is not None
    fleet.set_power(ID, False)
    assert control.brief_view(fleet, ID)["waiting"] == 1
    (kept,) = control.terminal_view(fleet, ID)["pending"]
    assert (kept["boot"], kept["seq"], kept["type"]) == (ref.boot, ref.seq, "sos")
    assert list(fleet.waiting()) == [(ID, ref)]


async def test_a_fleet_stands_on_the_links_and_clocks_of_its_manifest() -> None:
    """From the first start on, without anybody changing the weather; a board without a coin cell
    forgets in a power cut what `time` had told it."""
    entry = TerminalEntry(ID, "x", 11, "301", 3, link="nb_iot", clock_ok=False, clock_cell=False)
    made = Fleet([entry], Broker("127.0.0.1", free_port()), ScaledClock())
    await made.start()
    try:
        assert made.node(ID).weather is PROFILES["nb_iot"]
        view = control.terminal_view(made, ID)
        assert (view["link"], view["clock_ok"]) == ("nb_iot", False)
        assert -102 <= view["rssi"] <= -92
        told = b'{"cmd_id":"c-1","cmd":"time","now":1773435000000}'
        made.apply(made.node(ID), out.CommandArrived(told))
        assert state_of(made).clock_ok
        made.set_power(ID, False)
        made.set_power(ID, True)
        assert not state_of(made).clock_ok
    finally:
        await made.stop()


@pytest.mark.parametrize("after_bytes", [0, 33_000])
async def test_a_torn_store_goes_on_in_the_file_that_keeps_the_flash(
    tmp_path: Path, after_bytes: int
) -> None:
    """The power goes in the middle of a store, and the terminal starts and is pressed again: the
    next run, from the same file, repeats no identity and has every press that was kept."""

    async def run(torn: bool) -> tuple[list[Ref], list[Ref]]:
        """The presses of a run, and what waits in flash at its end."""
        broker = Broker("127.0.0.1", free_port())
        bank = FileBank(tmp_path / "flash.db")
        fleet = Fleet([TerminalEntry(ID, "x", 11, "301", 3)], broker, ScaledClock(), bank=bank)
        await fleet.start()
        pressed = [fleet.press(ID, Kind.SOS)]
        if torn:
            Troubles(fleet).tear_next_store(ID, after_bytes)
            assert fleet.press(ID, Kind.FALL) is None
            assert fleet.faults["power cut in a store"] == 1
            assert fleet.state(ID) is None
            fleet.set_power(ID, True)
            pressed += [fleet.press(ID, Kind.TEST), fleet.press(ID, Kind.CHECKIN)]
        waiting = [event.ref for event in fleet.kept(ID)]
        await fleet.stop()
        return [ref for ref in pressed if ref is not None], waiting

    first, left = await run(torn=True)
    assert left == first
    assert [ref.boot for ref in first] == [1, 2, 2]
    second, left = await run(torn=False)
    assert [ref.boot for ref in second] == [3]
    assert left == [*first, *second]


async def test_the_wear_of_a_terminals_flash_is_shown(fleet: Fleet) -> None:
    """Each press costs a store; a chip tells of itself, and for another store it is reckoned."""
    before = control.terminal_view(fleet, ID)
    fleet.press(ID, Kind.SOS)
    after = control.terminal_view(fleet, ID)
    assert after["flash_stores"] == before["flash_stores"] + 1
    assert after["flash_wear"] == round(after["flash_stores"] / 800_000, 6)
    chip = Chip(erases=[99_000] * SECTORS)
    node_of(fleet).flash = SectorFlash(chip, node_of(fleet).flash.load())
    assert control.terminal_view(fleet, ID)["flash_wear"] == 0.99


async def test_weather_that_can_not_be_is_refused_over_http(fleet: Fleet) -> None:
    """Reordering without any delay would do nothing: a tester is told so."""
    app = FastAPI()
    app.include_router(trouble_api.router(fleet))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://sim"
    ) as client:
        wrong = await client.post(f"/terminals/{ID}/weather", json={"reorder": 0.5})
        assert (wrong.status_code, wrong.json()["detail"][:21]) == (422, "reorder needs delay_s")
        assert fleet.node(ID).weather.reorder == 0
        right = {"reorder": 0.5, "delay_s": 2}
        assert (await client.post(f"/terminals/{ID}/weather", json=right)).status_code == 200
        assert fleet.node(ID).weather.reorder == 0.5


async def test_a_battery_is_pulled_and_put_back(fleet: Fleet) -> None:
    """On the mains nothing but the reading changes. Without them it is dark, "power on" makes
    nothing out of nothing, and the battery starts it."""
    pull = Troubles(fleet).switch
    pull([ID], "battery", False)
    assert (state_of(fleet).battery.fitted, state_of(fleet).battery.mains) == (False, True)
    pull([ID], "mains", False)
    assert fleet.state(ID) is None
    assert control.terminal_view(fleet, ID)["battery_in"] is False
    pull([ID], "power", True)
    assert fleet.state(ID) is None
    pull([ID], "battery", True)
    assert state_of(fleet).battery.at(fleet.clock.now_ms()) > 99
    told = [pending.event.kind for pending in state_of(fleet).pending]
    assert told == [Kind.MAINS_LOST], "of which it could tell nobody before"
    pull([ID], "battery", False)
    assert fleet.state(ID) is None
    Troubles(fleet).set_battery([ID], 0)
    pull([ID], "battery", True)
    assert fleet.state(ID) is None, "an empty one starts nothing"
    pull([ID], "mains", True)
    assert state_of(fleet).battery.mains


async def test_a_battery_that_is_pulled_within_a_restart_ends_it(fleet: Fleet) -> None:
    """The terminal restarts on its battery, and the battery is taken out: it stays dark."""
    pull = Troubles(fleet).switch
    pull([ID], "mains", False)
    fleet.apply(node_of(fleet), out.CommandArrived(b'{"cmd_id":"c-1","cmd":"reboot"}'))
    assert node_of(fleet).restart_ms is not None
    pull([ID], "battery", False)
    assert node_of(fleet).restart_ms is None


async def test_a_half_open_line_that_was_cut_meanwhile_stays_cut(fleet: Fleet) -> None:
    """A tester makes the line half-open and then cuts it; that it is half-open no more plugs no
    cable in."""
    switch = Troubles(fleet).switch
    switch([ID], "half_open", True)
    switch([ID], "network", False)
    switch([ID], "half_open", False)
    assert not node_of(fleet).network_up
    switch([ID], "network", True)
    switch([ID], "half_open", True)
    switch([ID], "half_open", False)
    assert node_of(fleet).network_up
