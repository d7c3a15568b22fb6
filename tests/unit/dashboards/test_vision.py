"""Claims about the palette for people who see fewer colours: what alarms is never mistaken."""

import itertools

import pytest
from vision import VISIONS, distance, rgb

from dashboards.palette import WALL

STATES = ("sos", "late", "offline", "checked", "waiting")
# Pairs whose colours alone do not tell them apart for everybody: hatched, solid and hollow do
# (tests/browser/test_shapes.py measures the drawn windows). None of them is an alarm.
BY_SHAPE = {("offline", "checked"), ("offline", "waiting"), ("checked", "waiting")}
DICHROMATS = ("protan", "deutan", "tritan")


@pytest.mark.parametrize("vision", ["full", *DICHROMATS])
@pytest.mark.parametrize("pair", list(itertools.combinations(STATES, 2)), ids="-".join)
def test_two_states_are_two_colours_to_everybody(pair: tuple[str, str], vision: str) -> None:
    """SOS and late differ plainly (over 30) from every other state, whatever is missing in an eye;
    the quiet states may only come near each other where the shape is another."""
    one, other = (rgb(WALL[state]) for state in pair)
    apart = distance(one, other, vision)
    if pair in BY_SHAPE:
        assert apart >= 9, f"{pair} {vision}: {apart:.0f}"
    else:
        assert apart >= 30, f"{pair} {vision}: {apart:.0f}"


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("state", [*STATES, "sos-border"])
def test_every_state_stands_out_from_its_house(state: str, vision: str) -> None:
    """A mark in the façade's own colour would be no mark. Red is darkest to those without red: its
    white border, the largest distance of all, carries it."""
    apart = distance(rgb(WALL[state]), rgb(WALL["facade"]), vision)
    assert apart >= (70 if state == "sos-border" else 15), f"{state} {vision}: {apart:.0f}"


def test_the_simulation_is_the_published_one() -> None:
    """Each matrix keeps white white (its rows add up to one); pure red and green of the same
    lightness are near for a protanope and far for full sight."""
    for name, matrix in VISIONS.items():
        for row in matrix:
            assert sum(row) == pytest.approx(1, abs=2e-5), name
    red, olive = rgb("#B00000"), rgb("#4A4400")
    assert distance(red, olive, "full") > 50
    assert distance(red, olive, "protan") < 25
