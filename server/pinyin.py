"""How a name sounds: computed once when it is written, so that a search is one look at a column.

A surname may be read in several ways (单: shàn, dān); whoever searches may know either.
"""

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
