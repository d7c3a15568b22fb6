"""How houses are numbered where one installation watches several communities. Pure.

The number on the wall is a house's within its community; each of the town's communities may have a
house 11. So each community has a series, and a house's number in the installation is its series
× 100,000 and the number on its wall: one whole number that addresses, forms and programs can name.
The first community's series is 0, so where it is alone the two are the same.
"""

from collections.abc import Mapping
from typing import Final

SPAN: Final = 100_000
"""Numbers on walls are below it (`cells.building`)."""


def numbered(series: int, sign: int) -> int:
    """The number in the installation of the house with this number on its wall."""
    return series * SPAN + sign


def sign(number: int) -> int:
    """The number on the wall: what people call the house, in a text as on a page."""
    return number % SPAN


def series(number: int) -> int:
    """Which community's it is."""
    return number // SPAN


def of(names: Mapping[int, str], number: int) -> str:
    """The name of the community of this house. `names`: by series; empty where the reader answers
    for one community, and needs no name."""
    return names.get(series(number), "")


def beside(community: str, house: str, lang: str) -> str:
    """A house as people say it, behind the name of its community, if there is one to say. A figure
    at the end of a name never runs into the number of the house."""
    if not community:
        return house
    gap = " " if lang == "en" or community[-1].isascii() or community[-1].isdigit() else ""
    return f"{community}{gap}{house}"
