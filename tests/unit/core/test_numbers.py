"""Numbers in what strangers write, and in what we write."""

import pytest

from server.core.numbers import MOST, number_in, spans


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("11", 11), ("007", 7), (str(MOST), MOST), (str(MOST + 1), None),
     ("9" * 40, None), ("", None), ("-1", None), ("²", None), ("٣", None), ("1.0", None),
     (" 1", None), ("eleven", None)],
)  # fmt: skip
def test_what_is_a_number(text: str, number: int | None) -> None:
    """ASCII digits, as far as ids go; whatever else is no number, and no error either."""
    assert number_in(text) == number


@pytest.mark.parametrize(
    ("numbers", "words"),
    [([], ""), ([7], "7"), ([11, 7], "7、11"), ([1, 2], "1、2"), ([3, 1, 2], "1–3"),
     ([1, 2, 3, 5, 7, 8, 9, 10, 12, 12], "1–3、5、7–10、12"), (range(1, 52), "1–51")],
)  # fmt: skip
def test_numbers_of_houses_as_people_write_them(numbers: list[int], words: str) -> None:
    """Where nobody has walked, the wall says 1–51 and not fifty-one numbers."""
    assert spans(numbers) == words
