"""Who plays a scenario's parts: from a description to a terminal or phone of the manifest."""

from __future__ import annotations

from collections.abc import Iterable

from firmware_sim.manifest import Manifest
from firmware_sim.story import CastPhone, CastTerminal, Scenario


class NoSuchPart(LookupError):
    """The manifest has nobody for a part."""


def terminal_for(town: Manifest, part: CastTerminal) -> str:
    """Id of the nth terminal that fits. Raises NoSuchPart."""
    fitting = [
        entry.id
        for entry in town.terminals
        if part.story in (None, entry.story)
        and part.building in (None, entry.building)
        and part.floor in (None, entry.floor)
        and part.profile in (None, entry.profile)
    ]
    if len(fitting) < part.nth:
        raise NoSuchPart(f"the manifest has no terminal like {part}")
    return fitting[part.nth - 1]


def phone_for(town: Manifest, part: CastPhone) -> str:
    """Number of the nth phone that fits. Raises NoSuchPart."""
    fitting = [
        phone.number
        for phone in town.phones
        if phone.role == part.role and part.building in (None, phone.building)
    ]
    if len(fitting) < part.nth:
        raise NoSuchPart(f"the manifest has no phone like {part}")
    return fitting[part.nth - 1]


def terminals_of(town: Manifest, stories: Iterable[Scenario]) -> frozenset[str]:
    """Every terminal that plays a part. Raises NoSuchPart."""
    parts = (part for story in stories for part in story.cast.values())
    return frozenset(terminal_for(town, p) for p in parts if isinstance(p, CastTerminal))
