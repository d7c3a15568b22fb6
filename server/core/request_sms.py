"""A steward's SMS that asks for help which can wait: 帮办 301 灯坏了. Pure.

It must never be read instead of an answer to an alert: whoever calls `asked` has asked
`replies.understand` first, and asks here only about stewards who have no open alert.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from server.core.help_requests import Want

KEYWORDS: Final = ("帮办", "request")
"""No digit, no word of server/core/replies.py, no opt-out word; a test holds all three."""
LONGEST: Final = 300
"""Characters of what is wanted; the SMS itself is kept whole."""
DOOR: Final = re.compile(
    r"(?:(?P<building>\d{1,3})\s*(?:栋|号楼|[-–/ ])\s*)?(?P<label>[a-z]?\d{1,4}[a-z]?)(?!\d)\s*室?"
    r"(?=\D|$)"
)
HINTS: Final = (
    (Want.HAIRCUT, ("理发", "剪头", "剪发", "haircut")),
    (Want.REPAIR, ("修", "坏", "漏", "堵", "灯", "水龙头", "repair", "broken", "leak")),
    (Want.ERRAND, ("买", "取药", "跑腿", "代办", "代缴", "errand", "buy", "fetch")),
    (Want.COMPLAINT, ("投诉", "意见", "吵", "complain")),
)
"""Words by which the kind is guessed, and the date with it; the desk sees it and may ask."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`building` (the number on its wall) and `label` of the door, where one was named, and the
    name of the community in front of it; `words` is what is wanted."""

    words: str
    want: Want
    building: int | None = None
    label: str = ""
    community: str = ""


def asked(text: str, communities: Collection[str] = ()) -> Asked | None:
    """The request that an SMS is, or None when it is none (or says nothing of what is wanted).
    `communities`: the names that may stand in front of a door, where the sender walks houses of
    several."""
    plain = " ".join(unicodedata.normalize("NFKC", text).split())
    rest = next((plain[len(k):] for k in KEYWORDS if plain.lower().startswith(k)), None)
    if rest is None:
        return None
    rest = rest.strip(" :,.。、-")
    named = max((c for c in communities if rest.lower().startswith(c.lower())), key=len, default="")
    rest = rest[len(named):].strip(" :,.。、-")
    door = DOOR.match(rest.lower())
    words = rest[door.end():].strip(" :,.。、-") if door else rest
    if not words:
        return None
    building = int(door["building"]) if door and door["building"] else None
    label = door["label"].upper() if door else ""
    return Asked(words[:LONGEST], kind_of(words), building, label, named)


def kind_of(words: str) -> Want:
    """The kind that the words hint at."""
    low = words.lower()
    for want, hints in HINTS:
        if any(hint in low for hint in hints):
            return want
    return Want.OTHER
