"""Scenarios: a story of care, told in YAML as what people do and what must then be seen.

This file reads them and nothing else; `runner` plays them. An error names file and line and says
what was expected there. The words of a scenario are listed in `_DO` and `_EXPECT`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from firmware_sim.wire import Kind
from firmware_sim.yaml_lines import LineLoader, Reader, ScenarioError

SCENARIOS: Final = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class CastTerminal:
    """Which terminal plays a part: by its `story` mark, building, floor."""

    story: str | None = None
    building: int | None = None
    floor: int | None = None


@dataclass(frozen=True, slots=True)
class CastPhone:
    """Which person's phone plays a part: the `nth` (from 1) of a role in a building."""

    role: str = "steward"
    building: int | None = None
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Press:
    """Press a button of a terminal, or fall."""

    on: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Reply:
    """A text from a phone; `{name}` stands for what an earlier step captured."""

    phone: str
    body: str


@dataclass(frozen=True, slots=True)
class Switch:
    """A terminal's mains, power (battery too) or network, on or off."""

    on: str
    what: str
    to: bool


@dataclass(frozen=True, slots=True)
class ExpectSms:
    """A new text on each of these phones, holding one of each `contains` group."""

    to: tuple[str, ...]
    contains: tuple[tuple[str, ...], ...] = ()
    capture: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExpectTerminal:
    """A terminal's lamp, and a sentence it has spoken since the start."""

    on: str
    led: str | None = None
    says: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpectPage:
    """A page of the server that shows one of each group."""

    path: str
    shows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ExpectAlert:
    """The alert with this code, as the server's API tells it."""

    code: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measure:
    """Virtual seconds from one step to another, and the most it may be."""

    start: str
    end: str
    at_most_s: float


Action = Press | Reply | Switch | ExpectSms | ExpectTerminal | ExpectPage | ExpectAlert | Measure


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the story.

    An expectation has a deadline in virtual seconds (`within_s`: people) or in real ones
    (`within_real_s`: promises about the machine, which does not get faster with the clock).
    """

    id: str
    title: str
    line: int
    at_s: float
    action: Action
    within_s: float | None = None
    within_real_s: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story and its cast."""

    name: str
    about: str
    cast: dict[str, CastTerminal | CastPhone]
    steps: tuple[Step, ...]


def _kind(reader: Reader, key: str) -> Kind:
    text = reader.text(key)
    try:
        return Kind(text)
    except ValueError:
        raise reader.fail(f"{text!r} can't be pressed; one of {', '.join(Kind)}") from None


def _switch(reader: Reader, what: str) -> Switch:
    value = reader.raw.pop(what)
    if not isinstance(value, bool):
        raise reader.fail(f"{what!r} must be on or off, not {value!r}")
    return Switch(reader.text("on_terminal"), what, value)


def _sms(reader: Reader) -> ExpectSms:
    to = reader.texts("sms")
    capture: dict[str, str] = {}
    if "capture" in reader.raw:
        patterns = reader.sub("capture")
        capture = {name: patterns.text(name) for name in tuple(patterns.raw)}
        for name, pattern in capture.items():
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise patterns.fail(f"capture {name!r}: {error}") from error
            if groups != 1:
                raise patterns.fail(f"capture {name!r} needs exactly one (group)")
    return ExpectSms(to, reader.groups("contains"), capture)


def _alert(reader: Reader) -> ExpectAlert:
    fields = reader.sub("alert")
    code = fields.text("code", "{code}")
    return ExpectAlert(code, dict(fields.raw))


_DO: Final[dict[str, Callable[[Reader], Action]]] = {
    "press": lambda r: Press(kind=_kind(r, "press"), on=r.text("on_terminal")),
    "reply": lambda r: Reply(body=r.text("reply"), phone=r.text("from")),
    "mains": lambda r: _switch(r, "mains"),
    "power": lambda r: _switch(r, "power"),
    "network": lambda r: _switch(r, "network"),
}
_EXPECT: Final[dict[str, Callable[[Reader], Action]]] = {
    "sms": _sms,
    "terminal": lambda r: ExpectTerminal(
        on=r.text("terminal"), led=r.raw.pop("led", None), says=r.texts("says")
    ),
    "page": lambda r: ExpectPage(path=r.text("page"), shows=r.groups("shows")),
    "alert": _alert,
}


def load(path: Path) -> Scenario:
    """The scenario in `path`. Raises ScenarioError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from error
    return parse(text, str(path))


def parse(text: str, file: str = "scenario") -> Scenario:
    """The scenario in `text`; `file` is for messages. Raises ScenarioError."""
    try:
        raw = yaml.load(text, Loader=LineLoader)  # noqa: S506 - derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ScenarioError(f"{file}:{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{file}: {error}") from error
    top = Reader.of(file, raw, 1, "a scenario")
    cast = _cast(top.sub("cast")) if "cast" in top.raw else {}
    steps_raw = top.raw.pop("steps", None)
    if not isinstance(steps_raw, list) or not steps_raw:
        raise top.fail("'steps' must be a list with at least one step")
    steps: list[Step] = []
    for number, value in enumerate(steps_raw, start=1):
        steps.append(_step(Reader.of(file, value, top.line, f"step {number}"), number))
    scenario = Scenario(top.text("name"), top.text("about", ""), cast, tuple(steps))
    top.done()
    _check(scenario, file)
    return scenario


def _cast(reader: Reader) -> dict[str, CastTerminal | CastPhone]:
    cast: dict[str, CastTerminal | CastPhone] = {}
    for name in tuple(reader.raw):
        part = reader.sub(name)
        if "terminal" in part.raw:
            who = part.sub("terminal")
            story = who.raw.pop("story", None)
            cast[name] = CastTerminal(story, who.whole("building"), who.whole("floor"))
        elif "phone" in part.raw:
            who = part.sub("phone")
            role = who.text("role", "steward")
            cast[name] = CastPhone(role, who.whole("building"), who.whole("nth", 1) or 1)
        else:
            raise part.fail(f"part {name!r} needs 'terminal' or 'phone'")
        who.done()
        part.done()
    return cast


def _step(reader: Reader, number: int) -> Step:
    at_s = reader.number("at")
    if at_s is None or at_s < 0:
        raise reader.fail("'at' (virtual seconds from the start, 0 or more) is missing")
    kinds = [key for key in ("do", "expect", "measure") if key in reader.raw]
    if len(kinds) != 1:
        raise reader.fail("a step has exactly one of 'do', 'expect', 'measure'")
    part = reader.sub(kinds[0])
    action = _measure(part) if kinds[0] == "measure" else _word(part, kinds[0])
    part.done()
    step = Step(
        id=reader.text("id", str(number)),
        title=reader.text("title", ""),
        line=reader.line,
        at_s=at_s,
        action=action,
        within_s=reader.number("within_s"),
        within_real_s=reader.number("within_real_s"),
    )
    deadlines = (step.within_s is not None) + (step.within_real_s is not None)
    if deadlines != (kinds[0] == "expect"):
        raise reader.fail("'expect' needs one of 'within_s', 'within_real_s'; others need none")
    reader.done()
    return step


def _word(part: Reader, which: str) -> Action:
    words = _DO if which == "do" else _EXPECT
    found = [word for word in words if word in part.raw]
    if len(found) != 1:
        raise part.fail(f"{which!r} needs exactly one of {', '.join(words)}")
    return words[found[0]](part)


def _measure(part: Reader) -> Measure:
    at_most_s = part.number("at_most_s")
    if at_most_s is None:
        raise part.fail("'measure' needs 'at_most_s'")
    return Measure(part.text("from"), part.text("to"), at_most_s)


def _check(scenario: Scenario, file: str) -> None:
    """Names must refer to somebody, steps to earlier steps, and times never go back."""
    known: set[str] = set()
    last_s = 0.0
    for step in scenario.steps:
        where = f"{file}:{step.line}"
        if step.id in known:
            raise ScenarioError(f"{where}: step id {step.id!r} stands there twice")
        if step.at_s < last_s:
            raise ScenarioError(f"{where}: 'at' goes back from {last_s:g} to {step.at_s:g}")
        last_s = step.at_s
        match step.action:
            case Press(on=name) | Switch(on=name) | ExpectTerminal(on=name):
                wanted: list[tuple[str, type]] = [(name, CastTerminal)]
            case Reply(phone=name):
                wanted = [(name, CastPhone)]
            case ExpectSms(to=names):
                wanted = [(name, CastPhone) for name in names]
            case Measure(start=start, end=end):
                wanted = []
                for ref in (start, end):
                    if ref not in known:
                        raise ScenarioError(f"{where}: no earlier step {ref!r} to measure")
            case _:
                wanted = []
        for name, kind in wanted:
            if not isinstance(scenario.cast.get(name), kind):
                raise ScenarioError(f"{where}: {name!r} is no {kind.__name__} of the cast")
        known.add(step.id)
