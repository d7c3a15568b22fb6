"""Plays a scenario against a running system, from outside, as people would see it.

It presses, texts and looks through an injected `World`, and never reaches into a component.
Expectations are looked at every 100 ms (real) until they hold or their deadline has passed.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Final, Protocol, TypeVar, assert_never

from firmware_sim import story as sc
from firmware_sim.clock import Clock
from firmware_sim.story import Scenario, Step
from firmware_sim.wire import Kind

_T = TypeVar("_T")
POLL_S: Final = 0.1
LOOK_AGAIN_S: Final = 1.0
log = logging.getLogger(__name__)


class WorldError(RuntimeError):
    """The world could not do or show it; the message is for the scenario's report."""


class World(Protocol):
    """What a scenario can do and see."""

    @property
    def clock(self) -> Clock:
        """The virtual clock that the system under test runs on."""

    def find_terminal(self, part: sc.CastTerminal) -> str:
        """The id of the terminal that plays a part. Raises WorldError."""

    def find_phone(self, part: sc.CastPhone) -> str:
        """The number of the phone that plays a part. Raises WorldError."""

    async def press(
        self, terminal: str, kind: Kind, test: bool, want: str | None = None
    ) -> None:
        """Press a button. Raises WorldError when nothing came of it."""

    async def befall(self, whom: str | int, what: str, how: dict[str, Any]) -> None:
        """Something befalls a terminal (by id) or a building's terminals (by number); `what` and
        `how` as the endpoints under /sim take them."""

    async def broker(self, on: bool) -> None:
        """The broker is gone, or comes back. Raises WorldError where nobody can do that."""

    async def provider_fault(self, fault: sc.ProviderFault, number: str | None) -> None:
        """The SMS provider misbehaves."""

    async def window(self, terminal: str) -> str:
        """What the wall shows in the window of a terminal's flat."""

    async def terminal(self, terminal: str) -> dict[str, Any]:
        """What can be seen and heard at a terminal, as /sim/terminals/{id} tells it."""

    async def messages(self, number: str) -> list[dict[str, Any]]:
        """All texts of a phone: sid, direction, body, at_ms, status."""

    async def reply(self, number: str, body: str) -> None:
        """Send a text from a phone."""

    async def page(self, path: str) -> str:
        """A page of the server, as text."""

    async def alerts(self) -> list[dict[str, Any]]:
        """The server's alerts, resolved ones included."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a step went. `measured_s`: virtual for people's deadlines, real for the machine's."""

    step: str
    ok: bool
    measured_s: float
    detail: str


@dataclass(slots=True)
class _Play:
    scenario: Scenario
    world: World
    start_ms: int
    seen: dict[str, set[str]] = field(default_factory=dict)  # number -> sids before the start
    captured: dict[str, str] = field(default_factory=dict)
    done_ms: dict[str, int] = field(default_factory=dict)


Reporter = Callable[[Scenario, Step, Result], None]


async def play(scenario: Scenario, world: World, report: Reporter | None = None) -> list[Result]:
    """Play all steps; one result each, in order. A failed step does not end the story.

    A story that nobody can be cast for ends with its first step, failed. Whatever goes wrong in
    one story stays in it: others are played beside it, and the report must be written.
    """
    run = _Play(scenario, world, world.clock.now_ms())
    results: list[Result] = []

    def note(step: Step, result: Result) -> None:
        results.append(result)
        if report is not None:
            report(scenario, step, result)

    first = scenario.steps[0]
    unable = await _in_story(_cast(run), lambda why: f"cast: {why}")
    if unable is not None:
        note(first, Result(first.id, False, 0.0, unable))
        return results
    run.start_ms = world.clock.now_ms()
    for step in scenario.steps:
        await _until_ms(world.clock, run.start_ms + int(step.at_s * 1000))
        result = await _in_story(_take(run, step), partial(Result, step.id, False, 0.0))
        run.done_ms[step.id] = world.clock.now_ms()
        note(step, result)
    return results


async def _cast(run: _Play) -> str | None:
    """Find everybody, and know the texts that are on their phones already. Raises WorldError."""
    for part in run.scenario.cast.values():
        if isinstance(part, sc.CastPhone):
            number = run.world.find_phone(part)
            run.seen[number] = {str(m["sid"]) for m in await run.world.messages(number)}
        else:
            run.world.find_terminal(part)
    return None


async def _in_story(going: Awaitable[_T], failed: Callable[[str], _T]) -> _T:
    """What comes of it, or what failed: for the report, never for the other stories."""
    try:
        return await going
    except WorldError as error:
        return failed(str(error))
    except Exception as error:
        log.exception("a step failed in a way that nobody foresaw")
        return failed(f"{type(error).__name__}: {error}")


async def _until_ms(clock: Clock, at_ms: int) -> None:
    """Wait for a virtual instant, also when somebody changes the pace of time meanwhile."""
    while (delay_s := clock.real_delay_s(at_ms)) > 0:
        await asyncio.sleep(min(delay_s, LOOK_AGAIN_S))


async def _take(run: _Play, step: Step) -> Result:
    world, action = run.world, step.action
    match action:
        case sc.Press(on, kind, test, want):
            await world.press(_terminal(run, on), kind, test, want)
        case sc.Reply(phone, body):
            await world.reply(_phone(run, phone), _filled(run, body))
        case sc.Switch(where, what, to):
            await world.befall(_whom(run, where), what, {"on": to})
        case sc.Flap(where, what, times, every_s):
            how = {"what": what, "times": times, "every_s": every_s}
            await world.befall(_whom(run, where), "flap", how)
        case sc.SetWeather(where, weather):
            await world.befall(_whom(run, where), "weather", asdict(weather))
        case sc.MoveClock(where, by_s):
            await world.befall(_whom(run, where), "clock", {"by_s": by_s})
        case sc.SetBattery(where, level_pct):
            await world.befall(_whom(run, where), "battery", {"level_pct": level_pct})
        case sc.KeyPress(on, key, held_s, bounces):
            how = {"key": key, "held_ms": int(held_s * 1000), "bounces": bounces}
            await world.befall(_terminal(run, on), "key", how)
        case sc.Blow(on, peak_g, still):
            await world.befall(_terminal(run, on), "blow", {"peak_g": peak_g, "still": still})
        case sc.Hang(where):
            await world.befall(_whom(run, where), "hang", {})
        case sc.Temperature(where, temp_c):
            await world.befall(_whom(run, where), "temperature", {"temp_c": temp_c})
        case sc.Drift(where, ppm):
            await world.befall(_whom(run, where), "drift", {"ppm": ppm})
        case sc.SetBroker(on=broker_on):
            await world.broker(broker_on)
        case sc.Tear(on, after_bytes):
            await world.befall(_terminal(run, on), "tear", {"after_bytes": after_bytes})
        case sc.ProviderFault(phone=phone):
            await world.provider_fault(action, _phone(run, phone) if phone else None)
        case sc.Measure(start, end, at_most_s):
            took_s = (run.done_ms[end] - run.done_ms[start]) / 1000
            ok = took_s <= at_most_s
            detail = f"{start} → {end}: {took_s:.1f} s, at most {at_most_s:g} s"
            return Result(step.id, ok, took_s, detail)
        case sc.ExpectSms():
            return await _until(run, step, lambda: _sms(run, action))
        case sc.ExpectSilence():
            return await _silence(run, step, action)
        case sc.ExpectWindow():
            return await _until(run, step, lambda: _window(run, action))
        case sc.ExpectTerminal():
            return await _until(run, step, lambda: _at_terminal(run, action))
        case sc.ExpectPage():
            return await _until(run, step, lambda: _page(run, action))
        case sc.ExpectAlert():
            return await _until(run, step, lambda: _alert(run, action))
        case _:
            assert_never(action)
    return Result(step.id, True, 0.0, "done")


async def _until(run: _Play, step: Step, look: Callable[[], Awaitable[str | None]]) -> Result:
    """Look until there is nothing left to miss; the last missing thing is the detail."""
    real_start_s, virtual_start_ms = time.monotonic(), run.world.clock.now_ms()
    while True:
        try:
            missing = await look()
        except WorldError as error:
            missing = str(error)
        real_s = time.monotonic() - real_start_s
        virtual_s = (run.world.clock.now_ms() - virtual_start_ms) / 1000
        took_s = virtual_s if step.within_real_s is None else real_s
        limit_s = step.within_s if step.within_real_s is None else step.within_real_s
        assert limit_s is not None
        if missing is None:
            kind = "" if step.within_real_s is None else " real"
            detail = f"seen after {took_s:.2f} s{kind}, at most {limit_s:g} s"
            return Result(step.id, took_s <= limit_s, took_s, detail)
        if took_s > limit_s:
            return Result(step.id, False, took_s, f"not within {limit_s:g} s: {missing}")
        await asyncio.sleep(POLL_S)


def _terminal(run: _Play, name: str) -> str:
    part = run.scenario.cast[name]
    assert isinstance(part, sc.CastTerminal)
    return run.world.find_terminal(part)


def _phone(run: _Play, name: str) -> str:
    part = run.scenario.cast[name]
    assert isinstance(part, sc.CastPhone)
    return run.world.find_phone(part)


def _whom(run: _Play, where: sc.Where) -> str | int:
    if where.terminal is not None:
        return _terminal(run, where.terminal)
    assert where.building is not None
    return where.building


def _filled(run: _Play, text: str) -> str:
    """`text` with {name} replaced by what was captured. Raises WorldError for an empty name."""
    try:
        return text.format(**run.captured)
    except KeyError as error:
        raise WorldError(f"nothing was captured as {error}") from None
    except (IndexError, ValueError) as error:
        raise WorldError(f"{text!r}: {error}") from None


def _lacks(text: str, groups: tuple[tuple[str, ...], ...]) -> str | None:
    for group in groups:
        if not any(one in text for one in group):
            return " / ".join(group)
    return None


async def _new_texts(run: _Play, number: str) -> list[tuple[int, str]]:
    """Texts to a phone since the start of the story: when, and what."""
    return [
        (int(message["at_ms"]), str(message["body"]))
        for message in await run.world.messages(number)
        if message["direction"] == "to_phone" and str(message["sid"]) not in run.seen[number]
    ]


def _groups(run: _Play, contains: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_filled(run, one) for one in group) for group in contains)


async def _silence(run: _Play, step: Step, want: sc.ExpectSilence) -> Result:
    """Wait it out, then look at what came meanwhile."""
    clock, groups = run.world.clock, _groups(run, want.contains)
    start_ms = clock.now_ms()
    await _until_ms(clock, start_ms + int(want.for_s * 1000))
    for name in want.on:
        for at_ms, body in await _new_texts(run, _phone(run, name)):
            if at_ms >= start_ms and _lacks(body, groups) is None:
                after_s = (at_ms - start_ms) / 1000
                return Result(step.id, False, after_s, f"{name} was told: {body}")
    return Result(step.id, True, want.for_s, f"nothing for {want.for_s:g} s")


async def _window(run: _Play, want: sc.ExpectWindow) -> str | None:
    shown = await run.world.window(_terminal(run, want.of))
    return None if shown in want.shows else f"the window shows {shown}, not {want.shows}"


async def _sms(run: _Play, want: sc.ExpectSms) -> str | None:
    groups = _groups(run, want.contains)
    for name in want.to:
        new = [body for _, body in await _new_texts(run, _phone(run, name))]
        for body in reversed(new):
            found = {key: re.search(pattern, body) for key, pattern in want.capture.items()}
            if _lacks(body, groups) is None and all(found.values()):
                run.captured.update({key: m.group(1) for key, m in found.items() if m})
                break
        else:
            return f"no such text on {name}'s phone among {len(new)} new: {new[-1:]}"
    return None


async def _at_terminal(run: _Play, want: sc.ExpectTerminal) -> str | None:
    view = await run.world.terminal(_terminal(run, want.on))
    if want.led is not None and view["led"] != want.led:
        return f"the lamp shows {view['led']}, not {want.led}"
    if want.waiting is not None and len(view["pending"]) != want.waiting:
        return f"{len(view['pending'])} events wait for a receipt, not {want.waiting}"
    for key, value in want.fields.items():
        found = view.get(key)
        if isinstance(value, sc.Between):
            if found not in value:
                return f"{key} is {found!r}, not {value}"
        elif found != value:
            return f"{key} is {found!r}, not {value!r}"
    said = [str(line["text"]) for line in view["said"] if line["at_ms"] >= run.start_ms]
    for words in want.says:
        if not any(_filled(run, words) in line for line in said):
            return f"{words!r} was not said; said: {said}"
    return None


async def _page(run: _Play, want: sc.ExpectPage) -> str | None:
    path = _filled(run, want.path)
    lacking = _lacks(await run.world.page(path), want.shows)
    return None if lacking is None else f"the page does not show {lacking}"


async def _alert(run: _Play, want: sc.ExpectAlert) -> str | None:
    alerts = await run.world.alerts()
    if want.code is None:
        return _like(run, alerts, want.fields)
    code = _filled(run, want.code)
    alerts = [alert for alert in alerts if str(alert.get("code")) == code]
    if not alerts:
        return f"no alert with code {code}"
    for key, value in want.fields.items():
        if alerts[0].get(key) != value:
            return f"{key} is {alerts[0].get(key)!r}, not {value!r}"
    return None


def _like(run: _Play, alerts: list[dict[str, Any]], fields: dict[str, Any]) -> str | None:
    """Whether an alert opened since the start has all these fields."""
    for alert in alerts:
        if alert["opened_ms"] >= run.start_ms and all(alert.get(k) == v for k, v in fields.items()):
            return None
    return f"no alert since the start like {fields}"
