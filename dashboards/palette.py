"""The one palette: every colour of every screen, and the arithmetic that proves it legible.

The style sheets know these colours only by name (CSS custom properties). Never write a colour
anywhere else: `tests/unit/dashboards/test_palette.py` measures this file and searches the others.
"""

from typing import Final, Literal

Theme = Literal["dark", "light"]

# The façade and the shapes on it are the same in both themes, so that a window looks the same
# on the wall of the care centre and on a printed screenshot in the steward's hand.
WALL: Final[dict[str, str]] = {
    "facade": "#232B33",
    "sos": "#E5352B",
    "sos-border": "#FFFFFF",
    "late": "#FFB000",
    "offline": "#22B8CF",
    "checked": "#9AA8B5",
    "waiting": "#7D8A97",
    "on-facade": "#E8EDF2",
    "red-fill": "#D92D20",  # SOS red darkened until white text on it can be read
    "on-red": "#FFFFFF",
    "amber-fill": "#FFB000",
    "on-amber": "#1C1300",
}

THEMES: Final[dict[Theme, dict[str, str]]] = {
    "dark": {
        "page": "#0E1216",
        "panel": "#1A2027",
        "raised": "#2A333C",
        "line": "#36414C",
        "control": "#7D8A97",
        "text": "#E8EDF2",
        "muted": "#A9B6C2",
        "red-text": "#FF6B61",
        "amber-text": "#FFB000",
        "cyan-text": "#22B8CF",
        "action": "#E8EDF2",
        "on-action": "#0E1216",
        "focus": "#FFFFFF",
    },
    "light": {
        "page": "#F4F6F8",
        "panel": "#FFFFFF",
        "raised": "#E9EDF1",
        "line": "#CBD3DB",
        "control": "#5F6D7A",
        "text": "#141A20",
        "muted": "#4E5B67",
        "red-text": "#B42318",
        "amber-text": "#8A4B00",
        "cyan-text": "#0B6B7A",
        "action": "#141A20",
        "on-action": "#FFFFFF",
        "focus": "#141A20",
    },
}

_INK: Final = (
    "text", "muted", "red-text", "amber-text", "cyan-text", "control", "focus", "on-action",
    "on-facade", "on-red", "on-amber", "sos", "sos-border", "late",
)  # fmt: skip
_SHEET: Final = ("page", "panel", "raised", "action", "facade", "red-fill", "amber-fill")
PAPER: Final[dict[str, str]] = (
    {"line": "#767676", "offline": "#595959", "checked": "#595959", "waiting": "#767676"}
    | dict.fromkeys(_INK, "#000000")
    | dict.fromkeys(_SHEET, "#FFFFFF")
)
"""Black on white whatever the theme: browsers leave grounds out, and light letters would stand on
nothing."""


def luminance(colour: str) -> float:
    """Relative luminance, 0 (black) to 1 (white), of a `#RRGGBB` colour (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio, 1 to 21, of two `#RRGGBB` colours (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def css() -> str:
    """The palette as CSS custom properties: dark first, light by attribute or by preference, and
    one for paper."""

    def block(colours: dict[str, str]) -> str:
        return "".join(f"--{name}:{value};" for name, value in colours.items())

    dark, light = THEMES["dark"], THEMES["light"]
    return (
        f":root{{color-scheme:dark;{block(WALL)}{block(dark)}}}\n"
        f':root[data-theme="light"]{{color-scheme:light;{block(light)}}}\n'
        f'@media (prefers-color-scheme:light){{:root[data-theme="auto"]'
        f"{{color-scheme:light;{block(light)}}}}}\n"
        f"@media print{{:root,:root[data-theme]{{color-scheme:light;{block(PAPER)}}}}}\n"
    )
