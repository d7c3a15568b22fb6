"""What befalls terminals, and how it is told: weather, reading of the words, JUnit."""
# ruff: noqa: E501 - a table of one-line YAML

import random
from pathlib import Path
from xml.etree import ElementTree

import pytest

from firmware_sim import device, junit, scenario, weather
from firmware_sim import outputs as out
from firmware_sim import story as st
from firmware_sim.battery import LOW_AT
from firmware_sim.flash import FlashImage
from firmware_sim.scenario import ScenarioError
from firmware_sim.state import Traits
from tests.unit.firmware_sim.mistakes import HEAD, STEPS, Mistake

T0 = 1_760_000_000_000


def fates(of: weather.Weather, messages: int = 2000) -> list[tuple[int, ...]]:
    """What becomes of many messages."""
    rng = random.Random(14)
    return [of.fate(rng) for _ in range(messages)]


def test_clear_weather_changes_nothing() -> None:
    """One copy, at once."""
    assert set(fates(weather.CLEAR)) == {(0,)}


def test_bad_weather_loses_doubles_and_delays_as_often_as_it_says() -> None:
    """A third lost, a twentieth of the rest doubled, none later than twice the delay."""
    found = fates(weather.PROFILES["bad_cell"], 20_000)
    lost = sum(not f for f in found)
    doubled = sum(len(f) == 2 for f in found)
    assert 0.28 < lost / len(found) < 0.32
    assert 0.04 < doubled / (len(found) - lost) < 0.06
    assert 8_000 < max(ms for f in found for ms in f) <= 16_000


@pytest.mark.parametrize("of", [weather.Weather(reorder=0.2, delay_s=1.0),
                                weather.Weather(reorder=0.2, least_s=0.5)])  # fmt: skip
def test_a_later_message_overtakes_a_reordered_one(of: weather.Weather) -> None:
    """Of messages sent 300 ms apart, one that is reordered arrives after the next that is not."""
    takes_ms = [ms for (ms,) in fates(of)]
    slow_ms = int(max(of.delay_s, of.least_s) * 2000)
    late = [n for n, ms in enumerate(takes_ms[:-1]) if ms == slow_ms > takes_ms[n + 1]]
    assert 200 < len(late) < 500
    assert all(takes_ms[n] > 300 + takes_ms[n + 1] for n in late)


def test_the_same_seed_has_the_same_weather() -> None:
    """A run can be repeated."""
    assert fates(weather.PROFILES["nb_iot"]) == fates(weather.PROFILES["nb_iot"])


@pytest.mark.parametrize("wrong", [{"drop": 1.1}, {"duplicate": -0.1}, {"delay_s": 99_999}])
def test_impossible_weather_is_refused(wrong: dict[str, float]) -> None:
    """Chances are from 0 to 1, delays at most an hour."""
    with pytest.raises(ValueError, match="from 0 to"):
        weather.Weather(**wrong)


def test_a_moved_clock_and_a_new_battery_reach_the_terminal() -> None:
    """The clock's jump adds up, a forgotten one says so; a fresh battery makes low news again."""
    state = device.power_on("t-1", Traits(), FlashImage(), T0).state
    state = device.step(state, out.ClockMoved(60_000), T0).state
    state = device.step(state, out.ClockMoved(-10_000), T0).state
    assert (state.skew_ms, state.clock_ok) == (50_000, True)
    assert not device.step(state, out.ClockMoved(None), T0).state.clock_ok
    state = device.step(state, out.MainsChanged(False), T0).state
    state = device.step(state, out.BatterySet(LOW_AT - 1), T0).state
    told = device.step(state, out.Tick(), T0 + 1)
    assert told.state.battery.low_told
    assert not device.step(told.state, out.BatterySet(100), T0 + 2).state.battery.low_told


@pytest.mark.parametrize(
    ("do", "action"),
    [
        ("{mains: off, in_building: 11}", st.Switch(st.Where(building=11), "mains", False)),
        ("{half_open: on, on_terminal: her}", st.Switch(st.Where("her"), "half_open", True)),
        ("{flap: power, times: 2, every_s: 9, on_terminal: her}", st.Flap(st.Where("her"), "power", 2, 9)),
        ("{weather: nb_iot, on_terminal: her}", st.SetWeather(st.Where("her"), weather.PROFILES["nb_iot"])),
        ("{weather: {drop: 0.5}, in_building: 11}", st.SetWeather(st.Where(building=11), weather.Weather(drop=0.5))),
        ("{clock: -60, on_terminal: her}", st.MoveClock(st.Where("her"), -60)),
        ("{clock: unset, on_terminal: her}", st.MoveClock(st.Where("her"), None)),
        ("{battery: 5, on_terminal: her}", st.SetBattery(st.Where("her"), 5)),
        ("{battery: off, on_terminal: her}", st.Switch(st.Where("her"), "battery", False)),
        ("{battery: 'on', in_building: 4}", st.Switch(st.Where(building=4), "battery", True)),
        ("{tear_after_bytes: 9, on_terminal: her}", st.Tear("her", 9)),
        ("{provider: undelivered, count: 2, phone: one}", st.ProviderFault("undelivered", 2, "one")),
    ],
)
def test_each_trouble_has_its_words(do: str, action: st.Action) -> None:
    """What a scenario can do to terminals, in YAML."""
    (step,) = scenario.parse(f"{HEAD}  - {{at: 0, do: {do}}}\n").steps
    assert step.action == action


@pytest.mark.parametrize("mistake", STEPS, ids=lambda m: m.says)
def test_a_mistake_says_what_to_write(mistake: Mistake) -> None:
    """The line, and what belongs there."""
    with pytest.raises(ScenarioError) as caught:
        scenario.parse(mistake.text, "f.yaml")
    assert str(caught.value).startswith("f.yaml:6: ")
    assert mistake.says in str(caught.value)


def test_the_whole_library_is_well_formed() -> None:
    """At least twenty stories, each with a name of its own and something to see."""
    stories = [scenario.load(p) for p in scenario.SCENARIOS.glob("*.yaml")]
    assert len(stories) >= 20
    assert len({s.name for s in stories}) == len(stories)
    for each in stories:
        assert each.about, each.name
        assert any(not isinstance(s.action, st.Doing) for s in each.steps), each.name


def test_a_report_is_junits(tmp_path: Path) -> None:
    """A suite a story, a case a step, a failure with its detail."""
    steps = [
        {"scenario": "A", "title": "told <now>", "step": "1", "ok": True, "measured_s": 1.5, "detail": "seen"},
        {"scenario": "A", "title": "", "step": "2", "ok": False, "measured_s": 9.0, "detail": "nobody came & went"},
        {"scenario": "B", "title": "b", "step": "1", "ok": True, "measured_s": 0.0, "detail": "done"},
    ]
    junit.write(tmp_path / "r.xml", steps)
    root = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert [(s.get("name"), s.get("tests"), s.get("failures")) for s in root] == [("A", "2", "1"), ("B", "1", "0")]
    assert [(c.get("name"), c.get("time")) for c in root[0]] == [("told <now>", "1.500"), ("2", "9.000")]
    failure = root[0][1].find("failure")
    assert failure is not None
    assert failure.get("message") == "nobody came & went"
