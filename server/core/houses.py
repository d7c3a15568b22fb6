"""How houses are numbered and communities told apart where one installation has several. Pure.

The number on the wall is a house's within its community; each of the town's communities may have a
house 11. So each community has a series, and a house's number in the installation is its series
× 100,000 and the number on its wall: one whole number that addresses, forms and programs can name.
The first community's series is 0, so where it is alone the two are the same.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

SPAN: Final = 100_000
"""Numbers on walls are below it (`cells.building`)."""
_HOUSE: Final = re.compile(r"(.*?)(\d{1,9})(?:号楼|栋|幢|楼|号)?", re.DOTALL | re.ASCII)


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
@dataclass(frozen=True, slots=True)
class Named:
    """How a community is named: by its name, and by its street and district where they are said."""

    name: str
    street: str = ""
    district: str = ""


def alike(one: str, other: str) -> bool:
    """Whether two names are the same, whatever their width, case and spaces."""
    return _plain(one) == _plain(other)


@lru_cache(1024)
def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def meant(given: Named, known: Sequence[Named]) -> list[int]:
    """The places in `known` of the communities that these words may mean. What is not said fits
    all; a street or district that is not registered fits whatever is said of it, unless another
    community has just that."""
    fits = [n for n, k in enumerate(known) if may_be_one(given, k)]
    exact = [n for n in fits if (not given.street or known[n].street)
             and (not given.district or known[n].district)]
    return exact or fits


def may_be_one(one: Named, other: Named) -> bool:
    """Whether both may name the same community: what one of them does not say fits all."""
    pairs = ((one.name, other.name), (one.street, other.street), (one.district, other.district))
    return all(_may_be(a, b) for a, b in pairs)


def _may_be(said: str, registered: str) -> bool:
    return not said or not registered or alike(said, registered)


def distinct(one: Named, everybody: Sequence[Named]) -> str:
    """What a community is called: its name, and where another has the same, its district and
    street before it, as on an envelope."""
    same = sum(alike(one.name, other.name) for other in everybody)
    return one.name if same < 2 else f"{one.district}{one.street}{one.name}"


def called(number: int, community: str = "") -> str:
    """What people call a house: 2, or 棠德 2 where the community has to be said."""
    return f"{community} {sign(number)}" if community else str(sign(number))


def spoken(words: str) -> tuple[str, int] | None:
    """The community's name and the number on the wall in what somebody calls a house: of "棠德 2"
    and "棠德2栋" 棠德 and 2; of "2" no name. None where there is no number ("²" is none)."""
    if any(c.isdigit() and not c.isdecimal() for c in words):
        return None
    found = _HOUSE.fullmatch(unicodedata.normalize("NFKC", words).strip())
    return (found[1].strip(), int(found[2])) if found else None


def names(words: str, community: Named) -> bool:
    """Whether these words name this community: its name, also with its street or its district and
    street before it."""
    ways = (community.name, community.street + community.name,
            community.district + community.street + community.name,
            community.district + community.name)  # fmt: skip
    return any(alike(words, way) for way in ways)
