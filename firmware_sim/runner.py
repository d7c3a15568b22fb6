"""Plays a scenario against a running system, from outside, as people would see it.

It presses, texts and looks through an injected `World`, and never reaches into a component.
Expectations are looked at every 20 ms (real) until they hold or their deadline has passed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, assert_never

from firmware_sim import scenario as sc
from firmware_sim.clock import Clock
from firmware_sim.scenario import Scenario, Step
from firmware_sim.wire import Kind

POLL_S: Final = 0.02


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

    async def press(self, terminal: str, kind: Kind) -> None:
        """Press a button. Raises WorldError when nothing came of it."""

    async def switch(self, terminal: str, what: str, on: bool) -> None:
        """Switch "mains", "power" or "network"."""

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


Reporter = Callable[[Step, Result], None]


async def play(scenario: Scenario, world: World, report: Reporter | None = None) -> list[Result]:
    """Play all steps; one result each, in order. A failed step does not end the story."""
    run = _Play(scenario, world, world.clock.now_ms())
    for part in scenario.cast.values():
        if isinstance(part, sc.CastPhone):
            number = world.find_phone(part)
            run.seen[number] = {str(m["sid"]) for m in await world.messages(number)}
        else:
            world.find_terminal(part)
    run.start_ms = world.clock.now_ms()
    results: list[Result] = []
    for step in scenario.steps:
        await asyncio.sleep(world.clock.real_delay_s(run.start_ms + int(step.at_s * 1000)))
        try:
            result = await _take(run, step)
        except WorldError as error:
            result = Result(step.id, False, 0.0, str(error))
        run.done_ms[step.id] = world.clock.now_ms()
        results.append(result)
        if report is not None:
            report(step, result)
    return results


async def _take(run: _Play, step: Step) -> Result:
    world, action = run.world, step.action
    match action:
        case sc.Press(on, kind):
            await world.press(_terminal(run, on), kind)
        case sc.Reply(phone, body):
            await world.reply(_phone(run, phone), _filled(run, body))
        case sc.Switch(on, what, to):
            await world.switch(_terminal(run, on), what, to)
        case sc.Measure(start, end, at_most_s):
            took_s = (run.done_ms[end] - run.done_ms[start]) / 1000
            ok = took_s <= at_most_s
            detail = f"{start} → {end}: {took_s:.1f} s, at most {at_most_s:g} s"
            return Result(step.id, ok, took_s, detail)
        case sc.ExpectSms():
            return await _until(run, step, lambda: _sms(run, action))
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


def _filled(run: _Play, text: str) -> str:
    """`text` with {name} replaced by what was captured. Raises WorldError for an empty name."""
    try:
        return text.format(**run.captured)
    except KeyError as error:
        raise WorldError(f"nothing was captured as {error}") from None


def _lacks(text: str, groups: tuple[tuple[str, ...], ...]) -> str | None:
    for group in groups:
        if not any(one in text for one in group):
            return " / ".join(group)
    return None


async def _sms(run: _Play, want: sc.ExpectSms) -> str | None:
    groups = tuple(tuple(_filled(run, one) for one in group) for group in want.contains)
    for name in want.to:
        number = _phone(run, name)
        new = [
            str(message["body"])
            for message in await run.world.messages(number)
            if message["direction"] == "to_phone" and str(message["sid"]) not in run.seen[number]
        ]
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
    code = _filled(run, want.code)
    alerts = [alert for alert in await run.world.alerts() if str(alert.get("code")) == code]
    if not alerts:
        return f"no alert with code {code}"
    for key, value in want.fields.items():
        if alerts[0].get(key) != value:
            return f"{key} is {alerts[0].get(key)!r}, not {value!r}"
    return None
