"""The schema that editors read says the same as the loader."""

import json
from typing import Any

import fastjsonschema
import pytest
import yaml

from firmware_sim import scenario, weather
from firmware_sim.keys import Button
from firmware_sim.manifest import Profile
from firmware_sim.scenario import SCENARIOS
from firmware_sim.story import Between
from firmware_sim.wire import Kind
from tests.unit.firmware_sim.mistakes import HEAD, STEPS, WHOLE, Mistake

SCHEMA: dict[str, Any] = json.loads((SCENARIOS / "schema.json").read_text("utf-8"))
DEFINED: dict[str, Any] = SCHEMA["definitions"]
LIBRARY = sorted(SCENARIOS.glob("*.yaml"))
valid = fastjsonschema.compile(SCHEMA, use_formats=False)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.stem)
def test_every_story_of_the_library_is_valid(path: Any) -> None:
    """And each tells an editor where the schema is."""
    text = path.read_text("utf-8")
    valid(yaml.safe_load(text))
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")


@pytest.mark.parametrize("mistake", [m for m in WHOLE + STEPS if m.of_form], ids=lambda m: m.says)
def test_a_mistake_of_form_is_refused_in_the_editor_too(mistake: Mistake) -> None:
    """Whatever the loader says of the form, the schema has said before."""
    with pytest.raises(fastjsonschema.JsonSchemaException):
        valid(yaml.safe_load(mistake.text))


@pytest.mark.parametrize("mistake", [m for m in WHOLE[:-2] + STEPS if not m.of_form],
                         ids=lambda m: m.says)  # fmt: skip
def test_a_mistake_of_sense_is_the_loaders(mistake: Mistake) -> None:
    """What a schema can't know is marked as such, and nothing else is."""
    valid(yaml.safe_load(mistake.text))


def test_words_and_choices_are_the_loaders() -> None:
    """No word, kind, profile or fault stands in one of them alone."""
    words = {"do": set(), "expect": set()}  # type: dict[str, set[str]]
    for name in DEFINED:
        which, _, word = name.partition("_")
        if which in words:
            words[which].add(word)
    assert words == {"do": set(scenario._DO), "expect": set(scenario._EXPECT)}
    for which, known in words.items():
        choices = DEFINED["step"]["properties"][which]["oneOf"]
        assert {c["$ref"].rsplit("/", 1)[1] for c in choices} == {
            f"{which}_{word}" for word in known
        }

    def chosen(word: str, field: str) -> list[Any]:
        found: list[Any] = DEFINED[word]["properties"][field]["enum"]
        return found

    assert chosen("do_press", "press") == [k.value for k in Kind]
    assert chosen("do_key", "key") == [b.value for b in Button]
    assert chosen("do_flap", "flap") == list(scenario.SWITCHES)
    assert chosen("expect_terminal", "led") == [str(lamp) for lamp in scenario.LAMPS]
    assert chosen("expect_terminal", "link") == list(weather.PROFILES)
    seen = DEFINED["expect_terminal"]["properties"].items()
    readings = {word for word, form in seen if form == {"$ref": "#/definitions/reading"}}
    assert readings == set(scenario.READINGS)
    assert chosen("expect_terminal", "reset") == list(scenario.RESETS)
    assert {str(f) for f in chosen("do_provider", "provider")} == set(scenario.PROVIDER_FAULTS)
    either = DEFINED["do_weather"]["properties"]["weather"]["anyOf"]
    assert either[0]["enum"] == list(weather.PROFILES)
    assert set(either[1]["properties"]) == set(weather.Weather.__dataclass_fields__)
    terminal = DEFINED["part"]["oneOf"][0]["properties"]["terminal"]["properties"]
    assert terminal["profile"]["enum"] == [p.value for p in Profile]


def test_on_and_off_are_the_same_words_in_an_editor() -> None:
    """A bare `on` is true in YAML 1.1 and a text in YAML 1.2, which editors read: the loader and
    the schema take both."""
    for on in ("on", "'on'", "true"):
        text = f"{HEAD}  - {{at: 0, do: {{mains: {on}, on_terminal: her}}}}\n"
        valid(yaml.safe_load(text))
        assert scenario.parse(text).steps[0].action.to is True  # type: ignore[union-attr]


def test_a_reading_is_expected_to_the_digit_or_between_two() -> None:
    """An editor and the loader take both forms."""
    for reading, wanted in (("60", 60), ("[55, 65]", Between(55, 65))):
        text = f"{HEAD}  - {{at: 0, expect: {{terminal: her, battery: {reading}}}, within_s: 5}}\n"
        valid(yaml.safe_load(text))
        assert scenario.parse(text).steps[0].action.fields == {"battery": wanted}  # type: ignore[union-attr]
