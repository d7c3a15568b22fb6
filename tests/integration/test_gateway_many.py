"""Two gateways on one broker: the routine is shared, each press is heard by both, and when one is
killed nothing is lost."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from gateway_kit import TOKEN, ServerDouble, Terminal, make_settings
from pydantic import ValidationError

from xunlou.broker import Broker

T = "gd-11-301"
PROGRAM = """
import asyncio
from gateway.app import run
from gateway.settings import GatewaySettings
asyncio.run(run(GatewaySettings(), asyncio.Event()))
"""


@contextlib.asynccontextmanager
async def worker(
    name: str, double: ServerDouble, broker: Broker, **more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A gateway process that shares; it has spoken to the server when this returns."""
    env = os.environ | {
        "XUNLOU_SERVER_URL": double.url,
        "XUNLOU_GATEWAY_TOKEN": TOKEN,
        "XUNLOU_GATEWAY_ID": name,
        "XUNLOU_MQTT_PORT": str(broker.port),
        "XUNLOU_MQTT_PASSWORD": "gateway-password",
        "XUNLOU_MQTT_SHARE": "workers",
        "XUNLOU_MQTT_SHARE_EXPIRY_S": "1",
        "XUNLOU_PROBE_EVERY_S": "0.5",
        **more,
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, env=env)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_routine_is_shared_and_a_press_is_heard_by_both(broker: Broker) -> None:
    """A hundred check-ins reach the server once each, a part through each gateway; a press comes
    through both, because one of them may be dying."""
    double = ServerDouble()
    async with (
        double.serving(),
        worker("gw-1", double, broker),
        worker("gw-2", double, broker),
        Terminal(T, broker.port) as terminal,
    ):
        await both_hear(double, terminal)
        double.signals.clear()
        for seq in range(1000, 1100):
            await terminal.press(seq, "checkin")
        await double.until(lambda: len(double.signals) >= 100, "all check-ins", 30)
        assert sorted(s["seq"] for s in double.signals) == list(range(1000, 1100))
        through = Counter(double.gateway_of[s["seq"]] for s in double.signals)
        assert set(through) == {"gw-1", "gw-2"}
        await terminal.press(2000, "sos")
        await double.until(
            lambda: [s["seq"] for s in double.signals].count(2000) == 2, "the press, twice", 30
        )
        await terminal.until(lambda: (3, 2000) in terminal.receipts(), "the receipt")


async def both_hear(double: ServerDouble, terminal: Terminal) -> None:
    """Both are subscribed: a press for help arrives twice."""
    async with asyncio.timeout(60):
        for seq in range(500, 1000):
            await terminal.press(seq, "sos")
            with contextlib.suppress(AssertionError):
                await double.until(
                    lambda seq=seq: [s["seq"] for s in double.signals].count(seq) == 2, "both", 1
                )
                return
    raise AssertionError("the two gateways never both heard a press")


async def test_a_killed_gateway_loses_nothing(broker: Broker) -> None:
    """Killed with routine messages un-acked in its hands, and its session gone with it: the
    terminal has no receipt and sends them again, and all reach the server through the other one.
    (Mosquitto 2.0.11 gives a dead member's share to nobody; hence presses are not shared.)"""
    double = ServerDouble()
    async with (
        double.serving(),
        Terminal(T, broker.port) as terminal,
        worker("gw-1", double, broker) as first,
        worker("gw-2", double, broker),
    ):
        await both_hear(double, terminal)
        never = asyncio.Event()

        async def only_the_first_hangs(body: dict[str, object]) -> None:
            if body["gateway"] == "gw-1":
                await never.wait()

        double.hold = only_the_first_hangs
        for seq in range(1000, 1040):
            await terminal.press(seq, "checkin")
        await double.until(lambda: len(seen(double)) >= 15, "the second's share", 20)
        lost = set(range(1000, 1040)) - seen(double)
        assert lost, "the first has some in its hands"
        first.send_signal(signal.SIGKILL)
        await first.wait()
        begun = asyncio.get_running_loop().time()
        while missing := set(range(1000, 1040)) - {seq for _, seq in terminal.receipts()}:
            for seq in sorted(missing):  # as the firmware does, docs/contract.md
                await terminal.press(seq, "checkin")
            with contextlib.suppress(AssertionError):
                await double.until(lambda: seen(double) >= set(range(1000, 1040)), "all", 2)
            assert asyncio.get_running_loop().time() - begun < 30, f"lost: {missing}"
        assert seen(double) == set(range(1000, 1040))
        never.set()


def seen(double: ServerDouble) -> set[int]:
    """Which of the test's check-ins the server has stored."""
    return {seq for _, _, seq in double.stored if 1000 <= seq < 2000}


def test_sharing_needs_mqtt_5(broker: Broker) -> None:
    """On 3.1.1 a dead gateway's session would swallow its share for good: refused, with words."""
    with pytest.raises(ValidationError, match="MQTT_PROTOCOL=5"):
        make_settings("http://127.0.0.1:1", broker.port, mqtt_share="g", mqtt_protocol="3.1.1")
