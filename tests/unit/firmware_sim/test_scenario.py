"""Scenarios: read with clear errors, played as the story says."""
# ruff: noqa: ARG002 - the toy world takes what the protocol gives it

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from firmware_sim import runner, scenario
from firmware_sim.clock import ScaledClock
from firmware_sim.runner import WorldError
from firmware_sim.scenario import SCENARIOS, ScenarioError
from firmware_sim.story import CastPhone, CastTerminal, Measure, ProviderFault, Reply, Scenario
from firmware_sim.wire import Kind
from tests.unit.firmware_sim.mistakes import WHOLE, Mistake


@pytest.mark.parametrize("mistake", WHOLE, ids=lambda m: m.says)
def test_a_mistake_is_told_with_file_and_line(mistake: Mistake) -> None:
    """Whoever writes a scenario is sent to the line."""
    with pytest.raises(ScenarioError) as caught:
        scenario.parse(mistake.text, "f.yaml")
    assert str(caught.value).startswith(mistake.says)


def test_the_story_of_14_march_is_well_formed() -> None:
    """The shipped scenario loads and measures press to door against 15 minutes."""
    story = scenario.load(SCENARIOS / "14-march.yaml")
    measures = [s.action for s in story.steps if isinstance(s.action, Measure)]
    assert [m.at_most_s for m in measures] == [900]


class Hand:
    """A clock's hand that waiting moves, and nothing else: a story takes no time, and no busy
    machine makes it longer. In the places of `asyncio` and `time`."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds
        await asyncio.sleep(0)


HAND = Hand()


@pytest.fixture(autouse=True)
def moved_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the runner waits for has its time at once."""
    monkeypatch.setattr(runner, "asyncio", HAND)
    monkeypatch.setattr(runner, "time", HAND)


class ToyWorld:
    """A community in which everything works at once, unless told otherwise."""

    def __init__(self, broken: str = "") -> None:
        self.clock = ScaledClock(speed=60, real_now_s=HAND.monotonic)
        self.broken = broken
        self.led = "idle"
        self.state = "open"
        self.befallen: list[tuple[Any, ...]] = []
        self.texts: dict[str, list[str]] = {"+1": ["old: 代码9999 /s/old"], "+2": []}

    def find_terminal(self, part: CastTerminal) -> str:
        return "gd-11-301"

    def find_phone(self, part: CastPhone) -> str:
        return f"+{part.nth}"

    async def press(
        self, terminal: str, kind: Kind, test: bool, want: str | None = None
    ) -> None:
        self.led = "centre_has_it"
        for number, texts in self.texts.items():
            if not (self.broken == "second phone" and number == "+2"):
                texts.append("【巡楼】11栋3楼301求助!代码4031 https://x/s/early")

    async def befall(self, whom: str | int, what: str, how: dict[str, Any]) -> None:
        self.befallen.append((whom, what, how))

    async def provider_fault(self, fault: ProviderFault, number: str | None) -> None:
        self.befallen.append((number, fault.what, fault.count))

    async def window(self, terminal: str) -> str:
        return "sos" if self.state == "open" else "claimed"

    async def terminal(self, terminal: str) -> dict[str, Any]:
        return {"led": self.led, "said": []}

    async def messages(self, number: str) -> list[dict[str, Any]]:
        return [
            {"sid": f"{number}-{n}", "direction": "to_phone", "body": body, "at_ms": 0}
            for n, body in enumerate(self.texts[number])
        ]

    async def reply(self, number: str, body: str) -> None:
        digit, code = body.split()
        assert code == "4031", "the code of this alert, not of an old text"
        if digit == "1":
            self.led = "help_coming"
            self.texts[number].append("已记您前往11栋。进门办法:https://x/s/token-1")
        elif digit == "2":
            self.state = "on_scene"
        else:
            self.state, self.led = "resolved", "resolved"

    async def page(self, path: str) -> str:
        if path != "/s/token-1":
            raise WorldError("404")
        return "从四楼走廊的窗进光井；钥匙在302" if self.broken != "page" else "钥匙在302"

    async def alerts(self) -> list[dict[str, Any]]:
        return [{"code": "4031", "state": self.state, "outcome": "safe"}]


async def test_the_story_plays_to_its_end_where_everything_works() -> None:
    """Every step holds, and press to door is measured in virtual time."""
    story = scenario.load(SCENARIOS / "14-march.yaml")
    results = await runner.play(story, ToyWorld())
    assert [r.step for r in results if not r.ok] == []
    door = next(r for r in results if r.step == "press_to_door")
    assert 360 <= door.measured_s <= 900


@pytest.mark.parametrize(
    ("broken", "step", "detail"),
    [("second phone", "told", "second_steward"), ("page", "way_in", "光井 / light-well")],
)
async def test_what_is_missing_is_named(broken: str, step: str, detail: str) -> None:
    """One steward not told, or the way in not shown: that step fails and says which."""
    story = scenario.load(SCENARIOS / "14-march.yaml")
    short = Scenario(
        story.name,
        story.about,
        story.cast,
        tuple(s for s in story.steps if s.at_s <= 60),
    )
    results = {r.step: r for r in await runner.play(short, ToyWorld(broken))}
    assert not results[step].ok
    assert detail in results[step].detail


class Fails(ToyWorld):
    """Somebody is missing, or the world does what nobody foresaw."""

    def find_phone(self, part: CastPhone) -> str:
        if self.broken == "no phone":
            raise WorldError("the manifest has no phone like her")
        return super().find_phone(part)

    async def messages(self, number: str) -> list[dict[str, Any]]:
        if self.broken == "phones down":
            raise WorldError("GET /phones: refused")
        return await super().messages(number)

    async def window(self, terminal: str) -> str:
        if self.broken == "bug":
            raise KeyError("buildings")
        return await super().window(terminal)


SMALL = """\
name: small
cast: {her: {terminal: {}}, first: {phone: {}}}
steps:
  - {at: 0, id: press, do: {press: sos, on_terminal: her}}
  - {at: 1, id: window, expect: {window: her, shows: [sos]}, within_s: 1}
  - {at: 2, id: told, expect: {sms: first, contains: [求助]}, within_s: 1}
"""


@pytest.mark.parametrize(
    ("broken", "went", "detail"),
    [
        ("", [("press", True), ("window", True), ("told", True)], ""),
        ("no phone", [("press", False)], "cast: the manifest has no phone like her"),
        ("phones down", [("press", False)], "cast: GET /phones: refused"),
        ("bug", [("press", True), ("window", False), ("told", True)], "KeyError: 'buildings'"),
    ],
)
async def test_a_story_ends_by_itself_whatever_happens_in_it(
    broken: str, went: list[tuple[str, bool]], detail: str
) -> None:
    """Nothing leaves it but results: the stories beside it go on, and the report is written."""
    told: list[runner.Result] = []
    story = scenario.parse(SMALL)
    results = await runner.play(story, Fails(broken), lambda _story, _step, r: told.append(r))
    assert [(r.step, r.ok) for r in results] == went
    assert told == results
    assert [r.detail for r in results if not r.ok] == ([detail] if detail else [])


async def test_a_place_that_cannot_be_filled_is_a_failed_step() -> None:
    """Also in a story that did not come from a file."""
    story = scenario.parse(SMALL)
    for body in ("1 {", "1 {0}", "1 {code}"):
        step = replace(story.steps[0], action=Reply("first", body))
        results = await runner.play(replace(story, steps=(step,)), ToyWorld())
        assert [r.ok for r in results] == [False]


@pytest.mark.parametrize(
    ("battery", "detail"),
    [(54, "battery is 54, not from 55 to 65"), (55, None), (65, None), (66, "from 55 to 65"),
     (None, "battery is None")],
)  # fmt: skip
async def test_a_battery_may_be_expected_within_a_range(
    battery: int | None, detail: str | None
) -> None:
    """Both ends count; a dark terminal tells no level, and fails."""

    class Battery(ToyWorld):
        async def terminal(self, terminal: str) -> dict[str, Any]:
            return {"led": "idle", "said": [], "pending": [], "battery": battery}

    story = scenario.parse("""\
name: x
cast: {her: {terminal: {}}}
steps:
  - {at: 0, expect: {terminal: her, battery: [55, 65]}, within_s: 1}
""")
    (result,) = await runner.play(story, Battery())
    assert result.ok == (detail is None)
    assert (detail or "seen after") in result.detail
