"""How colours look to people who see fewer of them, and how far apart two colours are.

Dichromacy: the matrices of severity 1.0 of Machado, Oliveira and Fernandes, "A
Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009,
doi:10.1109/TVCG.2009.113, applied to linear RGB. Grey: relative luminance (WCAG 2.2). Distance:
CIE76 in CIELAB (D65), where 2.3 is just noticed side by side and 20 is another colour at a glance.
"""

import math
from typing import Final

Rgb = tuple[float, float, float]
Matrix = tuple[Rgb, Rgb, Rgb]

VISIONS: Final[dict[str, Matrix]] = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
    "grey": ((0.2126, 0.7152, 0.0722),) * 3,
}


def rgb(colour: str) -> Rgb:
    """`#RRGGBB` as three parts, 0 to 255."""
    red, green, blue = (float(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return red, green, blue


def _linear(part: float) -> float:
    share = part / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def _root(t: float) -> float:
    return math.cbrt(t) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116


def seen(colour: Rgb, vision: str) -> Rgb:
    """CIELAB of a colour (parts 0 to 255) as somebody with this vision sees it."""
    parts = [_linear(part) for part in colour]
    r, g, b = (
        min(1.0, max(0.0, sum(w * p for w, p in zip(row, parts, strict=True))))
        for row in VISIONS[vision]
    )
    x = _root((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047)
    y = _root(0.2126729 * r + 0.7151522 * g + 0.0721750 * b)
    z = _root((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(one: Rgb, other: Rgb, vision: str) -> float:
    """How far apart two colours are to somebody with this vision."""
    return math.dist(seen(one, vision), seen(other, vision))
