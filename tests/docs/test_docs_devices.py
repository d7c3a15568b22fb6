"""docs/devices.md tells the truth about the families, the models and the file's form."""

import re
from pathlib import Path

from gateway.adapters import config
from gateway.adapters.zigbee import ACTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "devices.md").read_text("utf-8")


def test_the_example_can_be_read_and_names_every_family() -> None:
    """The page's own YAML makes one adapter a family."""
    example = PAGE.split("```yaml\n", 1)[1].split("```", 1)[0]
    assert len(config.read(example, "docs/devices.md")) == len(config.FAMILIES)


def test_every_family_has_a_row_about_what_it_can_not_do() -> None:
    """No family without its weak points."""
    rows = re.findall(r"^\| `(\w+)`.*\|([^|]+)\|$", PAGE, re.M)
    assert {name for name, _ in rows} == set(config.FAMILIES)
    assert all(weak.strip() for _, weak in rows)


def test_every_zigbee_model_is_named() -> None:
    """A model that the code knows is one that the page knows."""
    assert [model for model in ACTIONS if f"`{model}`" not in PAGE] == []
