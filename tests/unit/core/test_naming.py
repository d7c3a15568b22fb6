"""Claims about names on paper: the family name alone."""

import pytest

from server.core.naming import family_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("何桂芳", "何"),
        ("欧阳娜", "欧阳"),
        ("欧阳", "欧"),  # two characters in all: a family and a given name
        ("Mary Smith", "Smith"),
        ("Smith", "Smith"),
        (" 何 ", "何"),
        ("阿依古丽 买买提", "买买提"),
        ("", ""),
    ],
)
def test_only_the_family_name_stands_on_a_paper(name: str, expected: str) -> None:
    """Compound family names stay whole; names of other writing end with theirs."""
    assert family_name(name) == expected
