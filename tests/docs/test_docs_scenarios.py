"""docs/scenarios.md lists every word of a scenario and every story of the library, and no other."""

import re
from pathlib import Path

from firmware_sim import scenario

PAGE = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text("utf-8")


def listed(heading: str) -> set[str]:
    """The words in code in the first column of the table under a heading."""
    part = PAGE.split(heading, 1)[1].split("\n#", 1)[0]
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def test_every_word_is_listed() -> None:
    """What a scenario can do and expect."""
    assert listed("### `do`") == set(scenario._DO)
    assert listed("### `expect`") == set(scenario._EXPECT)


def test_the_example_can_be_read() -> None:
    """The page's own YAML is a scenario."""
    example = PAGE.split("```yaml\n", 1)[1].split("```", 1)[0]
    assert len(scenario.parse(example, "docs/scenarios.md").steps) == 3


def test_the_library_is_listed() -> None:
    """Each story with its sentence."""
    for path in scenario.SCENARIOS.glob("*.yaml"):
        assert f"| `{path.stem}` | {scenario.load(path).about} |" in PAGE
    assert len(listed("## The library")) == len(list(scenario.SCENARIOS.glob("*.yaml")))
