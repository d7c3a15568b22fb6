"""Numbers in what strangers write."""

import pytest

from server.core.numbers import MOST, number_in


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("11", 11), ("007", 7), (str(MOST), MOST), (str(MOST + 1), None),
     ("9" * 40, None), ("", None), ("-1", None), ("²", None), ("٣", None), ("1.0", None),
     (" 1", None), ("eleven", None)],
)  # fmt: skip
def test_what_is_a_number(text: str, number: int | None) -> None:
    """ASCII digits, as far as ids go; whatever else is no number, and no error either."""
    assert number_in(text) == number
