"""Where each window of a building sits: floor × flat, grouped by stairwell, in fixed places.

Pure. Never sorts by state: people remember places, and a window that moves is a window lost.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_FLOORS = 34  # the style sheet has a rule for each count up to these
MAX_WINDOWS = 40  # side by side in one façade; likewise
MAX_WELLS = 12
MAX_COLUMNS = 20  # façades side by side
MAX_ROWS = 34  # one above the other
MAX_HEADS = 12  # names of communities between them
_WALL_ASPECT = 1400 / 960  # the wall's share of a 1920×1080 screen, px
_SEPARATORS = "-–_ ·.座单元"
_CELL_ASPECT = 0.97  # a façade with its label reads best slightly taller than wide


@dataclass(frozen=True)
class Window:
    """One flat's place in the façade; `state` is the one at the time of the snapshot."""

    flat_id: int
    label: str
    state: str


@dataclass(frozen=True)
class Stairwell:
    """One staircase: storeys from the top down, each with a place (or a gap) per column."""

    name: str
    storeys: tuple[tuple[Window | None, ...], ...]


@dataclass(frozen=True)
class Facade:
    """One building, ready to be drawn."""

    building_id: int
    number: int
    name: str
    name_en: str | None
    worst: str
    stairwells: tuple[Stairwell, ...]
    rehearsal: bool = False
    """Nobody lives there."""

    @property
    def floors(self) -> int:
        """Storeys drawn."""
        return max((len(well.storeys) for well in self.stairwells), default=1)

    @property
    def columns(self) -> int:
        """Windows side by side on one storey, over all stairwells."""
        return sum(len(well.storeys[0]) for well in self.stairwells if well.storeys) or 1

    @property
    def measures(self) -> tuple[int, int]:
        """Windows and stairwells side by side, within what the style sheet has rules for."""
        return min(MAX_WINDOWS, self.columns), min(MAX_WELLS, max(1, len(self.stairwells)))


def place(label: str, floor: int, stairwell: str = "") -> str:
    """The door's place on its landing: "301" on floor 3 is "01", and so is "A301" of stairwell A.

    A label that does not carry its floor keeps its whole self, so it gets its own column rather
    than another flat's.
    """
    if stairwell and label.startswith(stairwell):
        label = label[len(stairwell) :].lstrip(_SEPARATORS) or label
    prefix = str(floor)
    if label.startswith(prefix) and label != prefix:
        return label[len(prefix) :].lstrip(_SEPARATORS) or label
    return label


def _natural(key: str) -> tuple[tuple[int, str], ...]:
    return tuple(
        (int(part), "") if part.isdigit() else (0, part) for part in re.findall(r"\d+|\D+", key)
    )


def _places(name: str, flats: Sequence[Mapping[str, Any]]) -> dict[Any, str]:
    """Flat id → the key of its column, under the reading that needs the fewest columns.

    "1101" may be flat 101 of stairwell 1 or door 101 of floor 1: the other labels tell which. Two
    flats never share a place. Where the labels say nothing about the door, the place is the flat's
    rank on its landing: a ragged façade is better than a diagonal one.
    """
    landings: dict[int, list[Mapping[str, Any]]] = {}
    for flat in flats:
        landings.setdefault(flat["floor"], []).append(flat)
    widest = max(len(landing) for landing in landings.values())
    best: dict[Any, str] | None = None
    for stairwell in ("", name):
        reading = {f["id"]: place(f["label"], f["floor"], stairwell) for f in flats}
        unique = all(
            len({reading[f["id"]] for f in landing}) == len(landing)
            for landing in landings.values()
        )
        fewer = best is None or len(set(reading.values())) < len(set(best.values()))
        if unique and fewer:
            best = reading
    if best is not None and len(set(best.values())) <= 2 * widest:
        return best
    return {
        flat["id"]: str(rank)
        for landing in landings.values()
        for rank, flat in enumerate(sorted(landing, key=lambda f: _natural(f["label"])))
    }


def _stairwell(name: str, flats: Sequence[Mapping[str, Any]], floors: Sequence[int]) -> Stairwell:
    places = _places(name, flats) if flats else {}
    columns = sorted(set(places.values()), key=_natural)
    at = {(f["floor"], places[f["id"]]): f for f in flats}

    def window(floor: int, column: str) -> Window | None:
        flat = at.get((floor, column))
        return None if flat is None else Window(flat["id"], flat["label"], flat["state"])

    return Stairwell(
        name, tuple(tuple(window(floor, col) for col in columns) for floor in reversed(floors))
    )


def facade(building: Mapping[str, Any]) -> Facade:
    """The fixed drawing plan of one building of the snapshot."""
    flats: Sequence[Mapping[str, Any]] = building["flats"]
    numbers = {f["floor"] for f in flats} or {1}
    # A floor without flats (shops, a machine room) keeps its height: the skyline must be true.
    floors = list(range(min(1, *numbers), max(numbers) + 1))
    known = list(building["stairwells"])
    names = known + sorted({f["stairwell"] for f in flats} - set(known))
    wells = (
        _stairwell(name, [f for f in flats if f["stairwell"] == name], floors) for name in names
    )
    return Facade(
        building["id"],
        building["number"],
        building["name"],
        building.get("name_en"),
        building["worst"],
        tuple(well for well in wells if well.storeys[0]),
        bool(building.get("rehearsal")),
    )


@dataclass(frozen=True)
class Group:
    """The houses of one community, under its name. Without a name where it is the only one."""

    community_id: int | None
    name: str
    facades: tuple[Facade, ...]


@dataclass(frozen=True)
class Skyline:
    """All façades, and the common measures that give every storey one height."""

    groups: tuple[Group, ...]
    grid_columns: int
    grid_rows: int
    floors: int

    @property
    def facades(self) -> tuple[Facade, ...]:
        """Of all groups."""
        return tuple(f for group in self.groups for f in group.facades)

    @property
    def heads(self) -> int:
        """Lines with a community's name, within what the style sheet has rules for."""
        return min(MAX_HEADS, len(self.groups)) if len(self.groups) > 1 else 0


def grid_columns(*counts: int) -> int:
    """How many façades side by side: the count whose cells come nearest the best proportion.

    51 buildings give 9 × 6 at 1920×1080. `counts`: of each community, which begins its own row.
    """
    if sum(counts) <= 1:
        return 1

    def misfit(columns: int) -> float:
        aspect = _WALL_ASPECT / columns * _rows(counts, columns)
        return abs(math.log(aspect / _CELL_ASPECT))

    return min(range(1, min(max(counts), MAX_COLUMNS) + 1), key=misfit)


def _rows(counts: Iterable[int], columns: int) -> int:
    return sum(math.ceil(count / columns) for count in counts)


def skyline(
    buildings: Iterable[Mapping[str, Any]], communities: Sequence[Mapping[str, Any]] = ()
) -> Skyline:
    """The whole wall, in order of building number and in no other order, ever: one community behind
    the other. `communities`: those of the snapshot, where there are several."""
    facades = tuple(facade(b) for b in sorted(buildings, key=lambda b: (b["number"], b["id"])))
    groups = tuple(
        Group(c["id"], c["name"], tuple(f for f in facades if f.building_id in c["building_ids"]))
        for c in communities if c["building_ids"]
    ) or ((Group(None, "", facades),) if facades else ())
    counts = [len(group.facades) for group in groups]
    columns = grid_columns(*counts)
    return Skyline(
        groups,
        columns,
        min(MAX_ROWS, max(1, _rows(counts, columns))),
        min(MAX_FLOORS, max((f.floors for f in facades), default=1)),
    )
