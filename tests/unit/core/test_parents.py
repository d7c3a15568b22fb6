"""One cause or many: the table of counts."""

import pytest

from server.core.parents import (
    Because,
    Counts,
    area,
    area_still,
    building,
    building_still,
)

DARK, WELL = Counts(25, 25), Counts(0, 25)


@pytest.mark.parametrize(
    ("troubled", "size", "because"),
    [
        (0, 0, Because.TOO_FEW),
        (1, 1, Because.TOO_FEW),  # one flat is one flat
        (2, 2, Because.TOO_FEW),
        (2, 25, Because.TOO_FEW),
        (3, 3, Because.TOGETHER),
        (3, 10, Because.TOGETHER),  # the share itself
        (3, 11, Because.SMALL_SHARE),
        (7, 25, Because.SMALL_SHARE),
        (8, 25, Because.TOGETHER),
        (25, 25, Because.TOGETHER),
    ],
)
def test_flats_or_their_building(troubled: int, size: int, because: Because) -> None:
    """Few are their own trouble; from three and from a share on it is the building's."""
    assert building(Counts(troubled, size)) is because


@pytest.mark.parametrize(
    ("troubled", "size", "because"),
    [
        (25, 25, Because.STILL_TOGETHER),
        (7, 25, Because.STILL_TOGETHER),  # under what opens it, and yet not over
        (4, 25, Because.STILL_TOGETHER),
        (3, 25, Because.MENDED),
        (0, 25, Because.MENDED),
        (2, 4, Because.STILL_TOGETHER),
        (1, 4, Because.MENDED),
        (0, 0, Because.MENDED),
    ],
)
def test_a_building_is_mended_at_half_of_what_opened_it(
    troubled: int, size: int, because: Because
) -> None:
    """So that one terminal more or less does not make the fault come and go."""
    assert building_still(Counts(troubled, size)) is because


@pytest.mark.parametrize(
    ("buildings", "because"),
    [
        ([], Because.TOO_FEW),
        ([DARK], Because.TOO_FEW),
        ([DARK, DARK], Because.TOO_FEW),  # two houses are two houses
        ([DARK, DARK, DARK], Because.TOGETHER),
        ([DARK] * 3 + [WELL] * 3, Because.TOGETHER),
        ([DARK] * 3 + [WELL] * 4, Because.SMALL_SHARE),
        # Half of the houses, but the small ones: most people are not in trouble.
        ([Counts(3, 3)] * 4 + [Counts(0, 40)] * 4, Because.SMALL_SHARE),
        # Houses without terminals know nothing.
        ([DARK] * 3 + [Counts(0, 0)] * 20, Because.TOGETHER),
    ],
)
def test_buildings_or_their_area(buildings: list[Counts], because: Because) -> None:
    """From three houses, half of them and half of the terminals on, it is the area's."""
    assert area(buildings) is because


@pytest.mark.parametrize(
    ("troubled", "because"),
    [(100, Because.STILL_TOGETHER), (25, Because.STILL_TOGETHER), (24, Because.MENDED),
     (0, Because.MENDED)],
)  # fmt: skip
def test_an_area_is_mended_at_half_of_what_opened_it(troubled: int, because: Because) -> None:
    """A quarter of all terminals in trouble still is the area's; less is judged by house again."""
    assert area_still([Counts(troubled, 100)]) is because
