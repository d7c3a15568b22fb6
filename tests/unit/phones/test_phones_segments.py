"""Segments decide what a text costs and whether it arrives in one piece."""

import pytest

from firmware_sim.phones.segments import count_segments, is_gsm7


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),  # each takes two septets
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the pair will not be split: 152, 153, 1
        ("求" * 70, 1),
        ("求" * 71, 2),
        ("求" * 134, 2),
        ("求" * 135, 3),
        ("a" * 69 + "求", 1),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ],
)
def test_segments_follow_the_alphabet_and_the_joined_length(text: str, segments: int) -> None:
    """160/153 in GSM-7, 70/67 in UCS-2, and pairs are never torn apart."""
    assert count_segments(text) == segments


def test_one_chinese_character_makes_the_whole_text_ucs2() -> None:
    """A single character outside GSM-7 changes the alphabet of the text."""
    assert is_gsm7("code 4031 [ok]")
    assert not is_gsm7("code 4031 求")
    assert not is_gsm7("’")  # a curly apostrophe is the usual accident
