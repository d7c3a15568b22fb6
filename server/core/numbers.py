"""Whole numbers in what strangers write.

`str.isdigit` is true of `²`, which is no number, and a row of forty digits is one that no database
holds: either would end in an error of ours where there is simply no such thing.
"""

from typing import Final

MOST: Final = 2**31 - 1
"""The largest id there is: PostgreSQL's INTEGER, which the columns that refer to a row are."""


def number_in(text: str) -> int | None:
    """The number from 0 to MOST that the text is, in ASCII digits; None when it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST))):
        return None
    number = int(text)
    return number if number <= MOST else None
