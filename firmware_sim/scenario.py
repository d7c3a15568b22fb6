"""Scenarios: a story of care, told in YAML as what people do and what must then be seen.

This file reads them and nothing else; `runner` plays them. An error names file and line and says
what was expected there. The words of a scenario are listed in `_DO` and `_EXPECT`, and once more
for editors in `scenarios/schema.json`, which knows the form but neither names nor order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from string import Formatter
from typing import Any, Final, assert_never

import yaml

from firmware_sim import story as st
from firmware_sim import weather
from firmware_sim.flash import Led
from firmware_sim.keys import Button
from firmware_sim.manifest import Profile
from firmware_sim.wire import WANTS, Kind
from firmware_sim.yaml_lines import LineLoader, Reader, ScenarioError

SCENARIOS: Final = Path(__file__).parent / "scenarios"


SWITCHES: Final = ("mains", "power", "network")
PROVIDER_FAULTS: Final = (
    "undelivered", "failed", "blackhole", "duplicate_callbacks", "out_of_order", "503", "429",
    "timeout_after_accept",
)  # fmt: skip
RESETS: Final = ("power", "asked", "watchdog")
LAMPS: Final = (*Led, "dark")
READINGS: Final = ("battery", "rssi", "temp_c", "clock_off_s", "flash_wear")
MOST_FLAPS: Final = 100


def _press(reader: Reader) -> st.Press:
    text = reader.text("press")
    try:
        kind = Kind(text)
    except ValueError:
        raise reader.fail(f"{text!r} can't be pressed; one of {', '.join(Kind)}") from None
    want = reader.one_of("want", WANTS) if "want" in reader.raw else None
    if want is not None and kind is not Kind.HELP:
        raise reader.fail("'want' belongs to 'press: help'")
    return st.Press(reader.text("on_terminal"), kind, reader.flag("test", False), want)


def _where(reader: Reader) -> st.Where:
    """One terminal or a whole building, never both."""
    found = [key for key in ("on_terminal", "in_building") if key in reader.raw]
    if len(found) != 1:
        raise reader.fail("say where: exactly one of 'on_terminal', 'in_building'")
    if found == ["on_terminal"]:
        return st.Where(terminal=reader.text("on_terminal"))
    return st.Where(building=reader.whole("in_building"))


def _switch(reader: Reader, what: str) -> st.Switch:
    return st.Switch(to=reader.flag(what), what=what, where=_where(reader))


def _flap(reader: Reader) -> st.Flap:
    what = reader.one_of("flap", SWITCHES)
    times, every_s = reader.whole("times", 3) or 0, reader.number("every_s") or 0
    if not 1 <= times <= MOST_FLAPS or every_s <= 0:
        raise reader.fail(f"'flap' needs 'times' from 1 to {MOST_FLAPS} and 'every_s' above 0")
    return st.Flap(_where(reader), what, times, every_s)


def _weather(reader: Reader) -> st.SetWeather:
    if isinstance(reader.raw["weather"], str):
        profile = weather.PROFILES[reader.one_of("weather", tuple(weather.PROFILES))]
        return st.SetWeather(_where(reader), profile)
    wanted = reader.sub("weather")
    chances: dict[str, Any] = {key: wanted.number(key) or 0.0 for key in tuple(wanted.raw)}
    try:
        made = weather.Weather(**chances)
    except (TypeError, ValueError) as error:
        raise wanted.fail(f"weather: {error}; it has drop, duplicate, reorder, delay_s") from None
    return st.SetWeather(_where(reader), made)


def _clock(reader: Reader) -> st.MoveClock:
    if reader.raw["clock"] == "unset":
        reader.raw.pop("clock")
        return st.MoveClock(_where(reader), None)
    by_s = reader.number("clock")
    if by_s is None:
        raise reader.fail("'clock' is the seconds it jumps by, or unset")
    return st.MoveClock(_where(reader), by_s)


def _battery(reader: Reader) -> st.SetBattery | st.Switch:
    if reader.raw["battery"] in ("on", "off") or isinstance(reader.raw["battery"], bool):
        return _switch(reader, "battery")
    level = reader.number("battery")
    if level is None or not 0 <= level <= 100:
        raise reader.fail("'battery' is a level from 0 to 100, or on, or off")
    return st.SetBattery(_where(reader), level)


def _key(reader: Reader) -> st.KeyPress:
    key, held_s = reader.one_of("key", tuple(Button)), reader.number("held_s")
    bounces = reader.whole("bounces", 0) or 0
    held_s = 0.3 if held_s is None else held_s
    if not 0 < held_s <= 60 or not 0 <= bounces <= 20:
        raise reader.fail("'key' takes 'held_s' up to 60 and 'bounces' up to 20")
    return st.KeyPress(reader.text("on_terminal"), key, held_s, bounces)


def _blow(reader: Reader) -> st.Blow:
    peak_g = reader.number("blow_g")
    if peak_g is None or not 0 <= peak_g <= 16:
        raise reader.fail("'blow_g' is how hard the pendant is hit, from 0 to 16 g")
    return st.Blow(reader.text("on_terminal"), peak_g, reader.flag("still", True))


def _hang(reader: Reader) -> st.Hang:
    if not reader.flag("hang"):
        raise reader.fail("'hang' is 'on': the watchdog ends it by itself")
    return st.Hang(_where(reader))


def _temperature(reader: Reader) -> st.Temperature:
    temp_c = reader.number("temperature")
    if temp_c is None or not -40 <= temp_c <= 80:
        raise reader.fail("'temperature' is from -40 to 80 °C")
    return st.Temperature(_where(reader), temp_c)


def _drift(reader: Reader) -> st.Drift:
    ppm = reader.whole("drift_ppm")
    if ppm is None or abs(ppm) > 100_000:
        raise reader.fail("'drift_ppm' is from -100000 to 100000 parts a million")
    return st.Drift(_where(reader), ppm)


def _tear(reader: Reader) -> st.Tear:
    after = reader.whole("tear_after_bytes")
    if after is None or after < 0:
        raise reader.fail("'tear_after_bytes' is a number of bytes, 0 or more")
    return st.Tear(reader.text("on_terminal"), after)


def _provider(reader: Reader) -> st.ProviderFault:
    what, count = reader.one_of("provider", PROVIDER_FAULTS), reader.whole("count", 1) or 0
    if not 1 <= count <= 1000:
        raise reader.fail("'count' is how often it happens, from 1 to 1000")
    phone = reader.text("phone") if "phone" in reader.raw else None
    return st.ProviderFault(what, count, phone, reader.whole("error_code", 30008) or 30008)


def _somebody(reader: Reader, key: str) -> tuple[str, ...]:
    """At least one: what is expected of nobody always holds."""
    named = reader.texts(key)
    if not named:
        raise reader.fail(f"{key!r} needs at least one")
    return named


def _sms(reader: Reader) -> st.ExpectSms:
    to = _somebody(reader, "sms")
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
    return st.ExpectSms(to, reader.groups("contains"), capture)


def _silence(reader: Reader) -> st.ExpectSilence:
    for_s = reader.number("for_s")
    if for_s is None or for_s <= 0:
        raise reader.fail("'no_sms' needs 'for_s', virtual seconds above 0")
    return st.ExpectSilence(_somebody(reader, "no_sms"), reader.groups("contains"), for_s)


def _reading(reader: Reader, key: str) -> float | st.Between | None:
    """A number to the digit, or two: [from, to]."""
    if not isinstance(reader.raw[key], list):
        return reader.number(key)
    ends = reader.raw.pop(key)
    numbers = [n for n in ends if isinstance(n, int | float) and not isinstance(n, bool)]
    if len(ends) != 2 or numbers != ends or numbers[0] > numbers[1]:
        raise reader.fail(f"{key!r} is a number, or [from, to] in this order, not {ends!r}")
    return st.Between(*numbers)


def _terminal(reader: Reader) -> st.ExpectTerminal:
    led = reader.one_of("led", LAMPS) if "led" in reader.raw else None
    others: dict[str, Any] = {
        key: reader.flag(key)
        for key in ("mains", "powered", "connected", "buzzing", "hung", "clock_ok")
        if key in reader.raw
    } | {key: _reading(reader, key) for key in READINGS if key in reader.raw}
    if "link" in reader.raw:
        others["link"] = reader.one_of("link", tuple(weather.PROFILES))
    if "reset" in reader.raw:
        others["reset"] = reader.one_of("reset", RESETS)
    return st.ExpectTerminal(
        reader.text("terminal"), led, reader.texts("says"), reader.whole("waiting"), others
    )


def _alert(reader: Reader) -> st.ExpectAlert:
    fields = reader.sub("alert")
    # An alert without a code (a fault) is found by what it is.
    code = None if "kind" in fields.raw else fields.text("code", "{code}")
    return st.ExpectAlert(code, dict(fields.raw))


_DO: Final[dict[str, Callable[[Reader], st.Action]]] = {
    "press": _press,
    "reply": lambda r: st.Reply(body=r.text("reply"), phone=r.text("from")),
    "mains": lambda r: _switch(r, "mains"),
    "power": lambda r: _switch(r, "power"),
    "network": lambda r: _switch(r, "network"),
    "half_open": lambda r: _switch(r, "half_open"),
    "flap": _flap,
    "weather": _weather,
    "clock": _clock,
    "battery": _battery,
    "key": _key,
    "blow_g": _blow,
    "hang": _hang,
    "temperature": _temperature,
    "drift_ppm": _drift,
    "broker": lambda r: st.SetBroker(r.flag("broker")),
    "tear_after_bytes": _tear,
    "provider": _provider,
}
_EXPECT: Final[dict[str, Callable[[Reader], st.Action]]] = {
    "sms": _sms,
    "no_sms": _silence,
    "terminal": _terminal,
    "window": lambda r: st.ExpectWindow(of=r.text("window"), shows=_somebody(r, "shows")),
    "page": lambda r: st.ExpectPage(path=r.text("page"), shows=r.groups("shows")),
    "alert": _alert,
}


def load(path: Path) -> st.Scenario:
    """The scenario in `path`. Raises ScenarioError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from error
    return parse(text, str(path))


def parse(text: str, file: str = "scenario") -> st.Scenario:
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
    steps: list[st.Step] = []
    for number, value in enumerate(steps_raw, start=1):
        steps.append(_step(Reader.of(file, value, top.line, f"step {number}"), number))
    alone = top.flag("alone", False)
    if not alone and any(isinstance(step.action, st.SetBroker) for step in steps):
        raise top.fail("'broker' befalls every scenario: write 'alone: on' beside 'name'")
    scenario = st.Scenario(top.text("name"), top.text("about", ""), cast, tuple(steps), alone)
    top.done()
    _check(scenario, file)
    return scenario


def _profile(reader: Reader) -> str | None:
    return reader.one_of("profile", tuple(Profile)) if "profile" in reader.raw else None


def _cast(reader: Reader) -> dict[str, st.CastTerminal | st.CastPhone]:
    cast: dict[str, st.CastTerminal | st.CastPhone] = {}
    for name in tuple(reader.raw):
        part = reader.sub(name)
        if "terminal" in part.raw:
            who = part.sub("terminal")
            story = who.raw.pop("story", None)
            cast[name] = st.CastTerminal(
                story, who.whole("building"), who.whole("floor"), _profile(who),
                who.whole("nth", 1) or 1,
            )  # fmt: skip
        elif "phone" in part.raw:
            who = part.sub("phone")
            role = who.text("role", "steward")
            cast[name] = st.CastPhone(role, who.whole("building"), who.whole("nth", 1) or 1)
        else:
            raise part.fail(f"part {name!r} needs 'terminal' or 'phone'")
        who.done()
        part.done()
    return cast


def _step(reader: Reader, number: int) -> st.Step:
    at_s = reader.number("at")
    if at_s is None or at_s < 0:
        raise reader.fail("'at' (virtual seconds from the start, 0 or more) is missing")
    kinds = [key for key in ("do", "expect", "measure") if key in reader.raw]
    if len(kinds) != 1:
        raise reader.fail("a step has exactly one of 'do', 'expect', 'measure'")
    part = reader.sub(kinds[0])
    action = _measure(part) if kinds[0] == "measure" else _word(part, kinds[0])
    part.done()
    step = st.Step(
        id=reader.text("id", str(number)),
        title=reader.text("title", ""),
        line=reader.line,
        at_s=at_s,
        action=action,
        within_s=reader.number("within_s"),
        within_real_s=reader.number("within_real_s"),
    )
    deadlines = (step.within_s is not None) + (step.within_real_s is not None)
    if deadlines != (kinds[0] == "expect" and not isinstance(action, st.ExpectSilence)):
        raise reader.fail("'expect' needs one of 'within_s', 'within_real_s'; others need none")
    reader.done()
    return step


def _word(part: Reader, which: str) -> st.Action:
    words = _DO if which == "do" else _EXPECT
    found = [word for word in words if word in part.raw]
    if len(found) != 1:
        raise part.fail(f"{which!r} needs exactly one of {', '.join(words)}")
    return words[found[0]](part)


def _measure(part: Reader) -> st.Measure:
    at_most_s = part.number("at_most_s")
    if at_most_s is None:
        raise part.fail("'measure' needs 'at_most_s'")
    return st.Measure(part.text("from"), part.text("to"), at_most_s)


def _check(scenario: st.Scenario, file: str) -> None:
    """Names must refer to somebody, steps and {places} to earlier steps; times never go back."""
    known: set[str] = set()
    captured: set[str] = set()
    last_s = 0.0
    for step in scenario.steps:
        where = f"{file}:{step.line}"
        if step.id in known:
            raise ScenarioError(f"{where}: step id {step.id!r} stands there twice")
        if step.at_s < last_s:
            raise ScenarioError(f"{where}: 'at' goes back from {last_s:g} to {step.at_s:g}")
        last_s = step.at_s
        if isinstance(step.action, st.Measure):
            for ref in (step.action.start, step.action.end):
                if ref not in known:
                    raise ScenarioError(f"{where}: no earlier step {ref!r} to measure")
        for name, kind in _names(step.action):
            if not isinstance(scenario.cast.get(name), kind):
                raise ScenarioError(f"{where}: {name!r} is no {kind.__name__} of the cast")
        for text in _texts(step.action):
            _check_places(text, captured, where)
        if isinstance(step.action, st.ExpectSms):
            captured |= set(step.action.capture)
        known.add(step.id)


def _texts(action: st.Action) -> tuple[str, ...]:
    """The texts of an action in which {name} stands for what was captured."""
    match action:
        case st.Reply(body=text) | st.ExpectPage(path=text):
            return (text,)
        case st.ExpectSms(contains=groups) | st.ExpectSilence(contains=groups):
            return tuple(one for group in groups for one in group)
        case st.ExpectTerminal(says=texts):
            return texts
        case st.ExpectAlert(code=str(code)):
            return (code,)
        case _:
            return ()


def _check_places(text: str, captured: set[str], where: str) -> None:
    """Each {name} must be of an earlier step's capture. A brace of its own is written twice."""
    try:
        places = [(name, spec, how) for _, name, spec, how in Formatter().parse(text)]
    except ValueError as error:
        raise ScenarioError(f"{where}: {text!r}: {error}; a brace is written {{{{}}}}") from None
    for name, spec, how in places:
        if name is not None and (name not in captured or spec or how):
            raise ScenarioError(f"{where}: {text!r}: no earlier step captures {name!r}")


def _names(action: st.Action) -> list[tuple[str, type]]:
    """Whom of the cast an action names, and as what."""
    match action:
        case (
            st.Press(on=name) | st.KeyPress(on=name) | st.Blow(on=name) | st.Tear(on=name)
            | st.ExpectTerminal(on=name)
        ):  # fmt: skip
            return [(name, st.CastTerminal)]
        case st.ExpectWindow(of=name):
            return [(name, st.CastTerminal)]
        case (
            st.Switch(where=where) | st.Flap(where=where) | st.SetWeather(where=where)
            | st.MoveClock(where=where) | st.SetBattery(where=where) | st.Hang(where=where)
            | st.Temperature(where=where) | st.Drift(where=where)
        ):  # fmt: skip
            return [] if where.terminal is None else [(where.terminal, st.CastTerminal)]
        case st.Reply(phone=name):
            return [(name, st.CastPhone)]
        case st.ProviderFault(phone=phone):
            return [] if phone is None else [(phone, st.CastPhone)]
        case st.ExpectSms(to=names) | st.ExpectSilence(on=names):
            return [(name, st.CastPhone) for name in names]
        case st.SetBroker() | st.ExpectPage() | st.ExpectAlert() | st.Measure():
            return []
        case _:
            assert_never(action)
