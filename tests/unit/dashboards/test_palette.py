"""Claims about the palette: legible by arithmetic, and the only place where colours live."""

import re

import pytest

from dashboards.palette import THEMES, WALL, contrast, css
from dashboards.render import FOLDER, STATIC

FACADE = WALL["facade"]
DARK, LIGHT = THEMES["dark"], THEMES["light"]


@pytest.mark.parametrize(
    ("name", "one", "other", "figure"),
    [
        ("SOS on façade", WALL["sos"], FACADE, 3.3),
        ("SOS border on façade", WALL["sos-border"], FACADE, 14.3),
        ("late on façade", WALL["late"], FACADE, 7.8),
        ("offline on façade", WALL["offline"], FACADE, 6.0),
        ("checked on façade", WALL["checked"], FACADE, 5.9),
        ("waiting and away on façade", WALL["waiting"], FACADE, 4.1),
        ("text on red", WALL["on-red"], WALL["red-fill"], 4.8),
        ("red text on light", LIGHT["red-text"], LIGHT["page"], 6.1),
        ("amber text on light", LIGHT["amber-text"], LIGHT["page"], 6.3),
        ("cyan text on light", LIGHT["cyan-text"], LIGHT["page"], 5.7),
        ("red text on dark", DARK["red-text"], DARK["panel"], 5.9),
    ],
)
def test_contrast_is_the_one_that_was_measured(
    name: str, one: str, other: str, figure: float
) -> None:
    """The figures that the design was decided on still hold, to one decimal."""
    assert round(contrast(one, other), 1) == figure, name


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("ground", ["page", "panel", "raised"])
@pytest.mark.parametrize("ink", ["text", "muted"])
def test_every_text_reaches_4_5_on_every_ground(theme: str, ground: str, ink: str) -> None:
    """WCAG 1.4.3: all running text is at least 4.5 against whatever it stands on."""
    colours = THEMES[theme]  # type: ignore[index]
    assert contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_warnings_actions_and_controls_are_legible(theme: str) -> None:
    """Text in a warning colour reaches 4.5, the outline of a control 3.0 (WCAG 1.4.11)."""
    colours = THEMES[theme]  # type: ignore[index]
    for ground in ("page", "panel"):
        for ink in ("red-text", "amber-text", "cyan-text"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        assert contrast(colours["control"], colours[ground]) >= 3.0
    assert contrast(colours["on-action"], colours["action"]) >= 4.5
    assert contrast(WALL["on-amber"], WALL["amber-fill"]) >= 4.5


def test_contrast_of_black_and_white_is_21_either_way_round() -> None:
    """The arithmetic itself is WCAG's."""
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21)


def test_no_colour_stands_outside_the_palette() -> None:
    """Style sheets, scripts and templates name colours and never spell one."""
    spelled = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgba?|hsla?|oklch)\(")
    files = [*STATIC.glob("*.css"), *STATIC.glob("*.js"), *FOLDER.glob("templates/*.html")]
    found = {f.name: spelled.findall(f.read_text("utf-8")) for f in files}
    assert {name: hits for name, hits in found.items() if hits} == {}
    drawn = set(re.findall(r"#[0-9A-F]{6}", (STATIC / "favicon.svg").read_text("utf-8")))
    assert drawn <= set(WALL.values()), "an image can't use names, but only these colours"


def test_every_colour_a_style_sheet_names_exists() -> None:
    """A misspelt name would silently give no colour at all."""
    sheets = "\n".join(f.read_text("utf-8") for f in STATIC.glob("*.css"))
    named = set(re.findall(r"var\(--([a-z-]+)", sheets))
    given = set(re.findall(r"--([a-z-]+):", sheets + css()))
    assert named - given == set()
    assert set(DARK) == set(LIGHT)
