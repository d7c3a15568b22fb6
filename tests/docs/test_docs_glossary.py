"""docs/glossary.md explains the words that the code uses."""

import pages
import pytest

from server.core.access import AccountRole, Level, Right
from server.core.words import Kind, Outcome, Role, State

WORDS = [Kind, State, Role, Outcome, AccountRole, Right, Level]


@pytest.mark.parametrize("words", WORDS, ids=lambda w: w.__name__)
def test_every_word_of_the_code_is_in_the_glossary(words: type[Kind]) -> None:
    """A value that people meet in API and database can be looked up."""
    page = pages.read("docs/glossary.md")
    assert [word.value for word in words if f"`{word.value}`" not in page] == []
