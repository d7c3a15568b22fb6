"""How a name sounds: computed once when it is written, so that a search is one look at a column.

A surname may be read in several ways (单: shàn, dān); whoever searches may know either.
"""

from functools import lru_cache

MOST_READINGS = 4


def sounds(name: str) -> str:
    """A name's readings, each whole and by initials: "heguifang hgf". At most MOST_READINGS."""
    words = "".join(name.split()).casefold()
    if not words:
        return ""
    # Its words weigh 55 MiB: not in a server that is given no name.
    from pypinyin import Style, lazy_pinyin, pinyin

    first = pinyin(words[0], style=Style.NORMAL, heteronym=True, errors="default")[0]
    rest = lazy_pinyin(words[1:], errors="default")
    found: dict[str, None] = {}
    for reading in first[:MOST_READINGS]:
        parts = [reading, *rest]
        found["".join(parts)] = None
        found["".join(part[:1] for part in parts)] = None
    return " ".join(found)


@lru_cache(maxsize=256)
def spelt(name: str) -> str:
    """A name in Latin letters, as an English text says it: 棠德 is Tangde. One segment of an SMS
    has room for it so, and whoever reads no Chinese can say it."""
    if name.isascii():
        return name
    from pypinyin import lazy_pinyin

    words = "".join(lazy_pinyin("".join(name.split()), errors="default"))
    return words[:1].upper() + words[1:]
