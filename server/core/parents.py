"""One cause behind many troubled terminals: is it the flat, the building, or the whole area? Pure.

A building whose power or network fails must be one fault, not thirty. These rules see counts only,
decide nothing about people, and must never be asked about an SOS: that always gets through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

LEAST = 3
"""Fewer than so many terminals have no cause in common that we could know of."""
SHARE = 0.3
"""From this share of a building's terminals on, the building is the likelier cause. A stairwell's
fuse or one of three switches takes about a third of a house."""
LEAST_BUILDINGS = 3
WIDE = 0.5
"""From this share of all terminals (and of all buildings) on, the area is the likelier cause."""


class Because(StrEnum):
    """Why a parent is seen, or not."""

    TOO_FEW = "too_few"
    SMALL_SHARE = "small_share"
    TOGETHER = "together"
    STILL_TOGETHER = "still_together"
    MENDED = "mended"


@dataclass(frozen=True, slots=True)
class Counts:
    """Of `size` terminals that were well, `troubled` fell into the same trouble lately."""

    troubled: int
    size: int


def _threshold(size: int) -> float:
    return max(float(LEAST), SHARE * size)


def building(counts: Counts) -> Because:
    """Whether the trouble in a building is the building's: TOGETHER, or each terminal's own."""
    if counts.troubled < LEAST:
        return Because.TOO_FEW
    if counts.troubled < SHARE * counts.size:
        return Because.SMALL_SHARE
    return Because.TOGETHER


def building_still(counts: Counts) -> Because:
    """Whether a building's fault goes on. It ends at half of what opened it, so that one terminal
    more or less does not make it come and go."""
    if 2 * counts.troubled < _threshold(counts.size):
        return Because.MENDED
    return Because.STILL_TOGETHER


def area(buildings: Sequence[Counts]) -> Because:
    """Whether so much of the area is in trouble that the buildings are not the cause."""
    watched = [b for b in buildings if b.size > 0]
    together = sum(building(b) is Because.TOGETHER for b in watched)
    if together < LEAST_BUILDINGS:
        return Because.TOO_FEW
    troubled, size = sum(b.troubled for b in watched), sum(b.size for b in watched)
    if together < WIDE * len(watched) or troubled < WIDE * size:
        return Because.SMALL_SHARE
    return Because.TOGETHER


def area_still(buildings: Sequence[Counts]) -> Because:
    """Whether the area's fault goes on; what stays dark after it is judged by building again."""
    troubled, size = sum(b.troubled for b in buildings), sum(b.size for b in buildings)
    return Because.MENDED if 2 * troubled < WIDE * size else Because.STILL_TOGETHER
