"""docs/devices.md tells the truth about the families, the models and the file's form."""

import re
from pathlib import Path

from gateway.adapters import config
from gateway.adapters.zigbee import ACTIONS
from server.service.sight import HEARTBEATS_MISSED

PAGE = (Path(__file__).parents[2] / "docs" / "devices.md").read_text("utf-8")


def test_the_example_can_be_read_and_names_every_family() -> None:
    """The page's own YAML makes one adapter a family."""
    example = PAGE.split("```yaml\n", 1)[1].split("```", 1)[0]
    assert len(config.read(example, "docs/devices.md")) == len(config.FAMILIES)


def test_every_family_has_a_row_about_what_it_can_not_do() -> None:
    """No family without its weak points."""
    table = PAGE.split("## What each can and can't do", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)`.*\|([^|]+)\|$", table, re.M)
    assert {name for name, _ in rows} == set(config.FAMILIES)
    assert all(weak.strip() for _, weak in rows)


def test_the_page_says_after_how_long_each_is_called_silent() -> None:
    """Interval and patience are those of the code; who has a will is guarded."""
    example = PAGE.split("```yaml\n", 1)[1].split("```", 1)[0]
    adapters = config.read(example, "docs/devices.md")
    table = PAGE.split("## When each is called silent", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(
        r"^\| (?:(the bridge) of )?`(\w+)` \| ([\d.]+) (h|min) \| ([\d.]+) (h|min) \| (.*) \|$",
        table, re.M,
    )  # fmt: skip
    said = {
        f"{bridge} {family}".strip(): (_s(each, unit), _s(after, after_unit), will[:2] != "no")
        for bridge, family, each, unit, after, after_unit, will in rows
    }
    true = {}
    for family, adapter in zip(config.FAMILIES, adapters, strict=True):
        for terminal, habit in adapter.habits.items():
            name = f"the bridge {family}" if terminal == "z2m-11" else family
            patience = habit.heartbeat_s * HEARTBEATS_MISSED
            true[name] = (habit.heartbeat_s, patience, habit.guarded)
    assert said == true


def _s(number: str, unit: str) -> float:
    return float(number) * (3600 if unit == "h" else 60)


def test_every_zigbee_model_is_named() -> None:
    """A model that the code knows is one that the page knows."""
    assert [model for model in ACTIONS if f"`{model}`" not in PAGE] == []
