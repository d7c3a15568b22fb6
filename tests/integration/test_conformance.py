"""Our own terminal keeps the contract; twelve and more broken ones each fail on their point.

On a real Mosquitto, six times as fast as life (`SPEED`).
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pytest
from fleet_kit import RealBroker
from paho.mqtt import publish

from firmware_sim import outputs as out
from firmware_sim.chip import SectorFlash
from firmware_sim.clock import ScaledClock
from firmware_sim.flash import FlashImage
from firmware_sim.fleet import Fleet
from firmware_sim.line import Broker
from firmware_sim.manifest import TerminalEntry
from firmware_sim.node import Node
from firmware_sim.wire import Kind
from xunlou import cli
from xunlou.conformance import command
from xunlou.conformance.exam import Bench, Examiner, NoTerminal
from xunlou.conformance.points import POINTS, Finding, Verdict

SPEED = 6.0
"""A timer that is due in 1.5 s of theirs has a quarter of a second of ours, twenty side by side."""


class Interrupted(Exception):
    """The tester has had enough."""


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


class EveryThreeSeconds(Firmware):
    """Repeats itself at an even pace: each of its repeats is near some time that is due."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        if not is_event(message) or message.attempt > 1:
            return [] if is_event(message) and not body_of(message)["buffered"] else [message]
        seq, start_ms = body_of(message)["seq"], self.clock.now_ms()
        for number in range(1, 10):
            again = saying(message, attempt=1 + number)
            self.timers.at_ms(start_ms + 3_000 * number, partial(self.repeat, seq, again))
        return [message]

    def repeat(self, seq: int, message: out.Publish) -> None:
        node = self.node(self.id)
        pending = node.state.pending if node.state is not None else ()
        if any(p.event.ref.seq == seq for p in pending):
            Fleet._publish(self, node, message)


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


class SilentlyObeysStale(ObeysStale):
    """Does not look at `exp`, and says nothing of what it has done."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        stale = any(f'"exam-{n}"'.encode() in message.payload for n in (4, 5, 6))
        return [] if stale else [message]


class StatusOfYesterday(FleetingStatus):
    """The broker still has one from when it did retain its status."""

    async def start(self) -> None:
        old = {"s": "online", "boot": 1, "fw": "0.9", "hb_s": 900, "cfg_v": 0}
        publish.single(
            f"xunlou/v1/t/{self.id}/status", json.dumps(old), qos=1, retain=True,
            port=self._broker.port,
        )  # fmt: skip
        await super().start()


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


class AtMostOnce(Firmware):
    """Publishes its presses and forgets them: QoS 0."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        return [replace(message, qos=0)] if is_event(message) else [message]


class NeverSureOfTheTime(Firmware):
    """Was told the time, and says that it has none."""

    def says(self, message: out.Publish) -> list[out.Publish]:
        return [saying(message, ts_ok=False)] if is_event(message) else [message]


BROKEN: dict[type[Firmware], str] = {
    AtMostOnce: "qos",
    NeverSureOfTheTime: "time",
    EveryThreeSeconds: "resend",
    SilentlyObeysStale: "expiry",
    StatusOfYesterday: "status",
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


UNSEEN: dict[type[Firmware], set[str]] = {
    NoSequence: {
        "identity", "resend", "attempt", "receipt", "not_retained", "flash", "clock", "time",
    },
    OneIdentity: {"attempt", "receipt"},
    NeverAgain: {"attempt"},
    DeafToConfiguration: {"heartbeat"},
}
"""What can't be put to the test because of the defect; it is no failure of its own."""


@dataclass
class Examined:
    """One terminal after its examination; `hb_s`, `cfg_v`: what it has in force then."""

    findings: list[Finding]
    hb_s: int
    cfg_v: int
    volume: int


async def examined(
    firmware: type[Firmware], port: int, falls_ill: str = "", patience_s: float = 4
) -> Examined:
    """The findings about one terminal. `falls_ill`: what the tester is asked when he goes home,
    which ends the examination."""
    clock = ScaledClock(real_s=time.time(), virtual_s=1_773_439_200, speed=SPEED)
    terminal = firmware(port, clock)

    async def ask(what: str) -> None:
        if what == falls_ill:
            raise Interrupted
        match what:
            case "power_on":
                await terminal.start()
                terminal.apply(terminal.node(terminal.id), out.ConfigArrived(b'{"volume":9}'))
            case "press":
                terminal.press(terminal.id, Kind.SOS)
            case "cut":
                terminal.set_network(terminal.id, False)
            case "power_again":
                terminal.set_power(terminal.id, False)
                terminal.set_network(terminal.id, True)
                terminal.set_power(terminal.id, True)

    bench = Bench("127.0.0.1", port, "any", "", clock.now_ms, speed=SPEED, patience_s=patience_s)
    findings: list[Finding] = []
    try:
        examiner = Examiner(bench, terminal.id, ask)
        with contextlib.suppress(Interrupted):
            findings = await examiner.examine()
        assert bool(examiner.unrestored) == (falls_ill == "power_again")
        if examiner.unrestored:  # it was off the line
            terminal.set_network(terminal.id, True)
            await terminal.until(lambda: terminal.state(terminal.id).config.hb_s == 900, 5)
        state = terminal.state(terminal.id)
        assert state is not None
        config = state.config
        return Examined(findings, config.hb_s, config.cfg_v, config.volume)
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
def all_examined(port: int) -> dict[type[Firmware], Examined]:
    """All terminals examined side by side."""

    async def all_of_them() -> list[Examined]:
        return await asyncio.gather(*(examined(f, port) for f in (Firmware, *BROKEN)))

    return dict(zip((Firmware, *BROKEN), asyncio.run(all_of_them()), strict=True))


@pytest.fixture(scope="module")
def findings(
    all_examined: dict[type[Firmware], Examined],
) -> dict[type[Firmware], dict[str, Finding]]:
    """What was found, point by point."""
    return {f: {p.point: p for p in each.findings} for f, each in all_examined.items()}


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


@pytest.mark.parametrize("firmware", BROKEN, ids=lambda f: f.__name__)
def test_what_has_nothing_to_do_with_the_defect_stays_green(
    firmware: type[Firmware], findings: Findings
) -> None:
    """One defect is not told as five: whoever mends it must know where to look."""
    failed = {p for p, f in findings[firmware].items() if f.verdict is Verdict.FAIL}
    unseen = {p for p, f in findings[firmware].items() if f.verdict is Verdict.NOT_SEEN}
    assert (failed, unseen) == ({BROKEN[firmware]}, UNSEEN.get(firmware, set()))


def test_there_is_a_broken_terminal_for_every_point() -> None:
    """No point that nothing could fail."""
    assert set(BROKEN.values()) == set(POINTS)


def test_a_terminal_goes_home_as_it_came(all_examined: dict[type[Firmware], Examined]) -> None:
    """Heartbeat, version and volume are the resident's again; a heartbeat of five seconds would
    empty a battery in a power cut."""
    for firmware, each in all_examined.items():
        assert (each.hb_s, each.cfg_v, each.volume) == (900, 0, 9), firmware


@pytest.mark.parametrize("asked", ["cut", "power_again"])
async def test_an_examination_that_ends_early_gives_back_what_it_took(
    port: int, asked: str
) -> None:
    """The tester leaves instead of pulling a plug. Whether the terminal hears us then, or only
    when it is back on the line: it is put right."""
    kind = type(f"LeftAt{asked.title().replace('_', '')}", (Firmware,), {})
    left = await examined(kind, port, falls_ill=asked)
    assert left.findings == []
    assert (left.hb_s, left.cfg_v, left.volume) == (900, 0, 9)


class FakeExaminer:
    """Comes to a given end."""

    def __init__(self, end: list[Finding] | Exception, unrestored: str = "") -> None:
        self.end, self.unrestored = end, unrestored

    def __call__(self, *_: object) -> "FakeExaminer":
        return self

    async def examine(self) -> list[Finding]:
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


def verdicts(*given: Verdict) -> list[Finding]:
    return [Finding("resend", "asks", verdict, "why") for verdict in given]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (verdicts(Verdict.PASS, Verdict.PASS), 0),
        (verdicts(Verdict.PASS, Verdict.FAIL), 1),
        (verdicts(Verdict.PASS, Verdict.NOT_SEEN), 1),
        (NoTerminal("nothing was heard of x"), 2),
        (OSError("refused"), 2),
    ],
)
def test_the_exit_code_tells_the_end(
    end: list[Finding] | Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0: fit; 1: a point fails or was not tested; 2: there was nothing to examine."""
    monkeypatch.setattr(command, "Examiner", FakeExaminer(end))
    assert cli.main(["conformance", "--terminal", "x"]) == code


def test_a_terminal_that_was_not_seen_to_be_put_right_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when the examination itself failed: the tester must know before giving it back."""
    monkeypatch.setattr(command, "Examiner", FakeExaminer(OSError("gone"), '{"hb_s": 900}'))
    assert cli.main(["conformance", "--terminal", "gd-1"]) == 2
    said = capsys.readouterr().out
    assert "gd-1" in said
    assert '{"hb_s": 900}' in said


async def test_silence_is_said_to_be_silence(port: int) -> None:
    """A terminal that was never heard passes nothing."""

    async def nobody(_what: str) -> None:
        await asyncio.sleep(0)

    now: Callable[[], int] = ScaledClock().now_ms
    bench = Bench("127.0.0.1", port, "any", "", now, speed=SPEED, patience_s=0.2)
    with pytest.raises(NoTerminal, match="nobody-here"):
        await Examiner(bench, "nobody-here", nobody).examine()
