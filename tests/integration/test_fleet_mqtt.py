"""The fleet over a real Mosquitto: presses arrive, receipts come back, outages lose nothing."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fleet_kit import GatewayDouble, RealBroker

from firmware_sim.clock import ScaledClock
from firmware_sim.flash import FlashBank, Led
from firmware_sim.flash_file import FileBank
from firmware_sim.fleet import Fleet
from firmware_sim.line import Broker, MqttVersion
from firmware_sim.manifest import TerminalEntry
from firmware_sim.troubles import Troubles
from firmware_sim.weather import CLEAR, Weather
from firmware_sim.wire import Kind

FLEET = 200


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RealBroker]:
    """A running Mosquitto."""
    running = RealBroker(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def gateway(broker: RealBroker) -> Iterator[GatewayDouble]:
    """A gateway double, subscribed."""
    double = GatewayDouble(broker.port)
    yield double
    double.close()


def entries(count: int) -> list[TerminalEntry]:
    return [TerminalEntry(f"gd-11-{n:03}", "x", 11, f"{n:03}", 3) for n in range(count)]


def fleet_of(
    count: int, port: int, version: MqttVersion = "3.1.1", bank: FlashBank | None = None
) -> Fleet:
    broker = Broker("127.0.0.1", port, version)
    return Fleet(entries(count), broker, ScaledClock(), bank=bank, connects_per_s=1000)


async def eventually(wanted: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait for something another thread does. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not wanted():
            await asyncio.sleep(0.005)


async def test_two_hundred_terminals_press_and_each_gets_its_receipt(
    broker: RealBroker, gateway: GatewayDouble
) -> None:
    """One process, 200 real connections: every press is one identity and is receipted."""
    fleet = fleet_of(FLEET, broker.port)
    await fleet.start()
    try:
        await fleet.until(lambda: fleet.connected == FLEET, 20)
        for entry in fleet.terminals:
            fleet.press(entry.id, Kind.SOS)
        await fleet.until(lambda: not any(fleet.waiting()), 20)
        figures = fleet.summary().figures
        assert (figures.presses, figures.sent, figures.receipts, figures.lost) == (200,) * 3 + (0,)
        assert {fleet.state(e.id).led for e in fleet.terminals} == {Led.CENTRE_HAS_IT}  # type: ignore[union-attr]
        assert len(gateway.seen) == FLEET
    finally:
        await fleet.stop()


async def test_a_start_takes_two_packets_of_each_terminal(
    broker: RealBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It introduces itself and subscribes in one send, and says its status in another: what ten
    thousand of them take to be there hangs on it."""
    sends: Counter[int] = Counter()

    class Counting(socket.socket):
        def send(self, *args: object) -> int:  # type: ignore[override]
            sends[self.fileno()] += self.getpeername()[1] == broker.port
            return super().send(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "socket", Counting)
    fleet = fleet_of(50, broker.port)
    await fleet.start()
    try:
        await fleet.until(lambda: fleet.connected == 50, 20)
        assert sorted(n for n in sends.values() if n) == [2] * 50
    finally:
        await fleet.stop()


@pytest.mark.parametrize(("version", "code"), [("3.1.1", 5), ("5", 0x87)])
async def test_a_refusal_is_told_though_the_broker_read_no_further(
    version: MqttVersion, code: int
) -> None:
    """The broker says no and closes, with our subscription unread, so that the line is reset: the
    terminal has its refusal all the same."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def refuse() -> None:
            line, _ = door.accept()
            with line:
                kind, length = line.recv(2)
                assert kind == 0x10  # CONNECT
                while length:
                    length -= len(line.recv(length))
                line.sendall(bytes([0x20, 3, 0, code, 0] if version == "5" else [0x20, 2, 0, code]))

        refusing = threading.Thread(target=refuse)
        refusing.start()
        fleet = fleet_of(1, door.getsockname()[1], version)
        await fleet.start()
        try:
            await eventually(lambda: any("line:" in fault for fault in fleet.faults))
            assert fleet.faults[f"line: refused: {code}"] == 1
            assert fleet.connected == 0
        finally:
            refusing.join(10)
            await fleet.stop()


async def test_a_broker_restart_loses_no_press(broker: RealBroker, gateway: GatewayDouble) -> None:
    """Pressed while the broker is down: buffered, sent after the reconnect, receipted."""
    fleet = fleet_of(FLEET, broker.port)
    await fleet.start()
    try:
        await fleet.until(lambda: fleet.connected == FLEET, 20)
        broker.stop()
        await fleet.until(lambda: fleet.connected == 0, 10)
        pressed = {
            (entry.id, ref.boot, ref.seq)
            for entry in fleet.terminals
            for ref in (fleet.press(entry.id, Kind.SOS), fleet.press(entry.id, Kind.CHECKIN))
            if ref is not None
        }
        broker.start()
        await fleet.until(lambda: fleet.connected == FLEET, 40)
        await fleet.until(lambda: not any(fleet.waiting()), 30)
        assert set(gateway.seen) == pressed
        assert len(pressed) == 2 * FLEET
        assert all(body["buffered"] for _, body in gateway.payloads)
        assert fleet.summary().figures.lost == 0
    finally:
        await fleet.stop()


async def test_a_lost_event_is_resent_under_its_identity_until_the_receipt(
    broker: RealBroker, gateway: GatewayDouble
) -> None:
    """The gateway hears nothing at first; the resend two seconds later brings the receipt."""
    gateway.deaf = True
    fleet = fleet_of(1, broker.port)
    await fleet.start()
    try:
        await fleet.until(lambda: fleet.connected == 1, 10)
        ref = fleet.press("gd-11-000", Kind.SOS)
        await fleet.until(lambda: fleet.summary().figures.resent == 1, 5)
        gateway.deaf = False
        await fleet.until(lambda: not any(fleet.waiting()), 10)
        assert ref is not None
        assert set(gateway.seen) == {("gd-11-000", ref.boot, ref.seq)}
        assert int(str(gateway.payloads[0][1]["attempt"])) >= 2
    finally:
        await fleet.stop()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_command_sent_while_away_reaches_the_terminal_when_it_returns(
    broker: RealBroker, gateway: GatewayDouble, version: MqttVersion
) -> None:
    """The broker keeps the session: "say" is heard after a short cut of the line."""
    fleet = fleet_of(1, broker.port, version)
    await fleet.start()
    try:
        await fleet.until(lambda: fleet.connected == 1, 10)
        fleet.set_network("gd-11-000", False)
        await eventually(lambda: gateway.status.get("gd-11-000", {}).get("s") == "lost")
        gateway.command("gd-11-000", "c-1", "say", text="明天上午停水。")
        fleet.set_network("gd-11-000", True)
        await fleet.until(lambda: len(fleet.heard("gd-11-000")) > 0, 10)
        assert fleet.heard("gd-11-000")[0][1].text == "明天上午停水。"
    finally:
        await fleet.stop()


async def test_a_command_during_sleep_arrives_after_the_next_uplink(
    broker: RealBroker, gateway: GatewayDouble
) -> None:
    """A modem that saves power hears only so long after it has spoken. What comes meanwhile waits
    in the network, and is there after the next press; what comes while it is awake passes."""
    fleet = fleet_of(1, broker.port)
    await fleet.start()
    try:
        await fleet.until(lambda: fleet.connected == 1, 10)
        node = fleet.node("gd-11-000")
        Troubles(fleet).weather(["gd-11-000"], Weather(awake_s=60))
        gateway.command("gd-11-000", "c-1", "say", text="明天上午停水。")
        await eventually(lambda: len(node.asleep) == 1)
        assert fleet.faults["waits for a sleeping modem"] == 1
        assert fleet.heard("gd-11-000") == ()
        fleet.press("gd-11-000", Kind.CHECKIN)
        await fleet.until(lambda: len(fleet.heard("gd-11-000")) == 2, 10)
        said = [line.text for _, line in fleet.heard("gd-11-000")]
        assert said[0] == "明天上午停水。"
        assert not any(fleet.waiting())  # and the receipt came while it was awake
        gateway.command("gd-11-000", "c-2", "say", text="水来了。")
        await fleet.until(lambda: len(fleet.heard("gd-11-000")) == 3, 10)
        assert fleet.faults["waits for a sleeping modem"] == 1
    finally:
        await fleet.stop()


async def test_a_modem_that_no_longer_sleeps_gets_what_waited(
    broker: RealBroker, gateway: GatewayDouble
) -> None:
    """Its line is changed for one that does not sleep: nothing is left in the network."""
    fleet = fleet_of(1, broker.port)
    await fleet.start()
    try:
        await fleet.until(lambda: fleet.connected == 1, 10)
        Troubles(fleet).weather(["gd-11-000"], Weather(awake_s=60))
        gateway.command("gd-11-000", "c-1", "say", text="明天上午停水。")
        await eventually(lambda: len(fleet.node("gd-11-000").asleep) == 1)
        Troubles(fleet).weather(["gd-11-000"], CLEAR)
        await fleet.until(lambda: len(fleet.heard("gd-11-000")) == 1, 10)
    finally:
        await fleet.stop()


async def test_stopping_four_hundred_terminals_is_quick_and_the_wills_say_lost(
    broker: RealBroker, gateway: GatewayDouble
) -> None:
    """Stop takes under 1.5 s, and each terminal's retained status is "lost" with its boot."""
    fleet = fleet_of(400, broker.port)
    await fleet.start()
    await fleet.until(lambda: fleet.connected == 400, 30)
    began_s = time.monotonic()
    await fleet.stop()
    assert time.monotonic() - began_s < 1.5
    await eventually(lambda: sum(s["s"] == "lost" for s in gateway.status.values()) == 400)
    assert {status["boot"] for status in gateway.status.values()} == {1}


async def test_a_press_survives_the_end_of_the_process(
    broker: RealBroker, gateway: GatewayDouble, tmp_path: Path
) -> None:
    """Flash on disk: the next process sends the old identity and counts its boot on."""
    gateway.deaf = True
    first = fleet_of(1, broker.port, bank=FileBank(tmp_path / "flash.db"))
    await first.start()
    await first.until(lambda: first.connected == 1, 10)
    ref = first.press("gd-11-000", Kind.SOS)
    await first.stop()
    gateway.deaf = False
    second = fleet_of(1, broker.port, bank=FileBank(tmp_path / "flash.db"))
    await second.start()
    try:
        await second.until(lambda: second.connected == 1 and not any(second.waiting()), 10)
        assert ref is not None
        assert ("gd-11-000", ref.boot, ref.seq) in gateway.seen
        state = second.state("gd-11-000")
        assert state is not None
        assert state.boot == ref.boot + 1
    finally:
        await second.stop()
