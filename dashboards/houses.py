"""How a house is written where people read it: by the number on its wall, never by the long one
that addresses and forms carry; and with its community's name in front for whoever sees several.

Pure. The one place of the pages that knows how numbers are made (docs/adr/0026); a test holds it
against the server's.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from dashboards.i18n import CATALOGUE, Lang, text

SPAN: Final = 100_000
Names = Mapping[int, str]
"""Series → name of each community that the reader sees; empty where that is one."""
WORDS: Final = frozenset({
    "p.house", "p.address", "h.building", "g.c.house", "g.c.resident", "g.c.door",
    "g.t.building_edit",
})  # fmt: skip
"""Words of the catalogue whose {n} is a house."""
_HOUSE: Final = re.compile(r"(?:[Bb]uilding |Bldg )?\{n\}")


def sign(number: int) -> int:
    """The number on the wall."""
    return number % SPAN


def name_of(number: int, names: Names) -> str:
    """The name of the community that the house is in, where it has to be said."""
    return names.get(number // SPAN, "")


def cell(number: int | None, names: Names) -> int | str | None:
    """A house in a table for a spreadsheet: a figure, or text behind the name of its community."""
    name = name_of(number, names) if number is not None else ""
    return f"{name} {sign(number)}" if name and number is not None else number and sign(number)


def said(lang: Lang, key: str, params: Mapping[str, Any], names: Names) -> str:
    """The words for `key`, one of WORDS, with the house as this reader calls it. Whatever is no
    number (a field that was left empty) stays as it is."""
    number = params.get("n")
    if not isinstance(number, int):
        return text(lang, key, params)
    name = name_of(number, names)
    gap = " " if lang == "en" or not name or name[-1].isascii() else ""
    front = f"{name}{gap}" if name else ""
    words = _HOUSE.sub(lambda found: front + found[0], CATALOGUE[lang][key], count=1)
    return text(lang, key, {**params, "n": sign(number)}, words)


def names_of(snapshot: Mapping[str, Any]) -> dict[int, str]:
    """The names that a screen without a login needs: of the communities in its snapshot, where
    they are several."""
    known = {b["id"]: b["number"] // SPAN for b in snapshot["buildings"]}
    return {
        known[c["building_ids"][0]]: c["name"]
        for c in snapshot.get("communities", ()) if c["building_ids"]
    }


def place_of(snapshot: Mapping[str, Any]) -> str:
    """What the screen is about: its community, or all of several; empty before there is one."""
    several = snapshot.get("communities") or [snapshot["community"] or {"name": ""}]
    return "、".join(c["name"] for c in several)
