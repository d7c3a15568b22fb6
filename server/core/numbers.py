"""Whole numbers in what strangers write, and in what we write for people.

`str.isdigit` is true of `²`, which is no number, and a row of forty digits is one that no database
holds: either would end in an error of ours where there is simply no such thing.
"""

from collections.abc import Iterable
from typing import Final

MOST: Final = 2**31 - 1
"""The largest id there is: PostgreSQL's INTEGER, which the columns that refer to a row are."""


def number_in(text: str) -> int | None:
    """The number from 0 to MOST that the text is, in ASCII digits; None when it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MOST))):
        return None
    number = int(text)
    return number if number <= MOST else None


def spans(numbers: Iterable[int]) -> str:
    """Numbers of houses as people write them, in either language: 1, 2, 3, 5 → 1–3、5. Two
    neighbours stay two numbers."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return "、".join(
        f"{run[0]}–{run[-1]}" if len(run) > 2 else "、".join(str(n) for n in run) for run in runs
    )
