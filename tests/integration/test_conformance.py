"""Our own terminal keeps the contract; twelve and more broken ones each fail on their point.

On a real Mosquitto, twenty times as fast as life.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from fleet_kit import RealBroker

from firmware_sim import outputs as out
from firmware_sim.chip import SectorFlash
from firmware_sim.clock import ScaledClock
from firmware_sim.flash import FlashImage
from firmware_sim.fleet import Fleet
from firmware_sim.line import Broker
from firmware_sim.manifest import TerminalEntry
from firmware_sim.node import Node
from firmware_sim.wire import Kind
from xunlou.conformance.exam import Bench, Examiner, NoTerminal
from xunlou.conformance.points import POINTS, Finding, Verdict

SPEED = 20.0


class Firmware(Fleet):
    """One terminal whose firmware may have a defect: it changes what goes out or comes in."""

    def __init__(self, port: int, clock: ScaledClock) -> None:
        self.id = type(self).__name__.lower()
        entry = TerminalEntry(self.id, "", building=11, flat="301", floor=3)
        super().__init__([entry], Broker("127.0.0.1", port), clock)

    def says(self, message: out.Publish) -> list[out.Publish]:
        """What really leaves."""
        return [message]

    def hears(self, _leaf: str, payload: bytes) -> bytes | None:
        """What really comes in."""
        return payload

    def wakes(self, image: FlashImage) -> FlashImage:
        """What really lies in flash after a power cut."""
        return image

    def _publish(self, node: Node, message: out.Publish) -> None:
        for each in self.says(message):
            super()._publish(node, each)

    def _message(self, node: Node, topic: str, payload: bytes) -> None:
        heard = self.hears(topic.rsplit("/", 1)[1], payload)
        if heard is not None:
            super()._message(node, topic, heard)

    def _power_on(self, node: Node) -> None:
        image = self.wakes(node.flash.load())
        node.flash = SectorFlash(blank=image)
        super()._power_on(node)


def body_of(message: out.Publish) -> dict:
    return dict(json.loads(message.payload))


def saying(message: out.Publish, **changed: object) -> out.Publish:
    """The message with other fields; None takes one out."""
    body = {k: v for k, v in {**body_of(message), **changed}.items() if v is not None}
    return replace(message, payload=json.dumps(body).encode())


def is_event(message: out.Publish) -> bool:
    return "/evt/" in message.topic


class NoSequence(Firmware):
    """Forgot a required field."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        return [saying(message, seq=None)] if is_event(message) else [message]


class OneIdentity(Firmware):
    """Counts nothing."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        return [saying(message, boot=1, seq=1)] if is_event(message) else [message]


class NeverAgain(Firmware):
    """Trusts the broker."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        return [] if is_event(message) and message.attempt > 1 else [message]


class FlatAttempt(Firmware):
    """Says `attempt` 1 each time."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        return [saying(message, attempt=1)] if is_event(message) else [message]


class DeafToReceipts(Firmware):
    """Goes on sending for ever."""

    def hears(self, _leaf: str, payload: bytes) -> bytes | None:
        return None if b'"receipt"' in payload else payload


class Retaining(Firmware):
    """Leaves its presses in the broker's memory."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        return [replace(message, retain=True)] if is_event(message) else [message]


class FleetingStatus(Firmware):
    """Nobody who comes later can know that it is there."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        status = message.topic.endswith("/status")
        return [replace(message, retain=False)] if status else [message]

    def _open_line(self, terminal: str) -> object:  # type: ignore[override]
        line = super()._open_line(terminal)
        # The will as well, or the broker would keep that.
        line._will = replace(line._will, retain=False)
        return line


class WillOfAnotherLife(Firmware):
    """Its last will names no boot that ever ran."""

    def _open_line(self, terminal: str) -> object:  # type: ignore[override]
        line = super()._open_line(terminal)
        line._will = replace(line._will, payload=b'{"s":"lost","boot":999}')
        return line


class ForgetsBoots(Firmware):
    """Its boot counter lies in RAM."""

    def wakes(self, image: FlashImage) -> FlashImage:
        return replace(image, boot=0)


class ForgetsPresses(Firmware):
    """Keeps presses in RAM."""

    def wakes(self, image: FlashImage) -> FlashImage:
        return replace(image, events=(), alarm=None)


class NeverAcks(Firmware):
    """Obeys, and says nothing."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        return [] if message.topic.endswith("/cmd_ack") else [message]


class ObeysStale(Firmware):
    """Does not look at `exp`."""

    def hears(self, _leaf: str, payload: bytes) -> bytes | None:
        body = json.loads(payload)
        body.pop("exp", None)
        return json.dumps(body).encode()


class DeafToConfiguration(Firmware):
    """Keeps its factory settings."""

    def hears(self, leaf: str, payload: bytes) -> bytes | None:
        return None if leaf == "cfg" else payload


class NoPulse(Firmware):
    """Sends no heartbeats."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        return [] if message.topic.endswith("/hb") else [message]


class SureOfTheWrongTime(Firmware):
    """A year off, and certain."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        if not is_event(message):
            return [message]
        return [saying(message, ts=body_of(message)["ts"] - 31_536_000_000)]


BROKEN: dict[type[Firmware], str] = {
    NoSequence: "well_formed",
    OneIdentity: "identity",
    NeverAgain: "resend",
    FlatAttempt: "attempt",
    DeafToReceipts: "receipt",
    Retaining: "not_retained",
    FleetingStatus: "status",
    WillOfAnotherLife: "will",
    ForgetsBoots: "boot",
    ForgetsPresses: "flash",
    NeverAcks: "command",
    ObeysStale: "expiry",
    DeafToConfiguration: "config",
    NoPulse: "heartbeat",
    SureOfTheWrongTime: "clock",
}


async def examined(firmware: type[Firmware], port: int) -> list[Finding]:
    """The findings about one terminal."""
    clock = ScaledClock(real_s=time.time(), virtual_s=1_773_439_200, speed=SPEED)
    terminal = firmware(port, clock)

    async def ask(what: str) -> None:
        match what:
            case "power_on":
                await terminal.start()
            case "press":
                terminal.press(terminal.id, Kind.SOS)
            case "cut":
                terminal.set_network(terminal.id, False)
            case "power_again":
                terminal.set_power(terminal.id, False)
                terminal.set_network(terminal.id, True)
                terminal.set_power(terminal.id, True)

    bench = Bench("127.0.0.1", port, "any", "", clock.now_ms, speed=SPEED, patience_s=4)
    try:
        return await Examiner(bench, terminal.id, ask).examine()
    finally:
        await terminal.stop()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A plain Mosquitto's port."""
    broker = RealBroker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker.port
    broker.stop()


@pytest.fixture(scope="module")
def findings(port: int) -> dict[type[Firmware], dict[str, Finding]]:
    """All terminals examined side by side."""

    async def all_of_them() -> list[list[Finding]]:
        return await asyncio.gather(*(examined(f, port) for f in (Firmware, *BROKEN)))

    found = asyncio.run(all_of_them())
    return {
        firmware: {f.point: f for f in each}
        for firmware, each in zip((Firmware, *BROKEN), found, strict=True)
    }


Findings = dict[type[Firmware], dict[str, Finding]]


def test_our_own_terminal_keeps_the_contract(findings: Findings) -> None:
    """Every point is put to the test, and every point holds."""
    own = findings[Firmware]
    assert {p: f.why for p, f in own.items() if f.verdict is not Verdict.PASS} == {}
    assert list(own) == list(POINTS)


@pytest.mark.parametrize("firmware", BROKEN, ids=lambda f: f.__name__)
def test_a_broken_terminal_fails_on_its_point(
    firmware: type[Firmware], findings: Findings
) -> None:
    """The defect is named."""
    finding = findings[firmware][BROKEN[firmware]]
    assert finding.verdict is Verdict.FAIL, finding.why


def test_there_is_a_broken_terminal_for_every_point() -> None:
    """No point that nothing could fail."""
    assert set(BROKEN.values()) == set(POINTS)


async def test_silence_is_said_to_be_silence(port: int) -> None:
    """A terminal that was never heard passes nothing."""

    async def nobody(_what: str) -> None:
        await asyncio.sleep(0)

    now: Callable[[], int] = ScaledClock().now_ms
    bench = Bench("127.0.0.1", port, "any", "", now, speed=SPEED, patience_s=0.2)
    with pytest.raises(NoTerminal, match="nobody-here"):
        await Examiner(bench, "nobody-here", nobody).examine()
