"""docs/messages.md shows every wording as it is, and each that is sent is one segment."""

import re

import messages_page
import pages

from server.core.words import SPOKEN_ONLY, Template


def test_the_page_is_that_of_the_catalogues() -> None:
    """Run `python tests/docs/messages_page.py` to mend."""
    assert pages.read("docs/messages.md") == messages_page.render()


def test_each_template_is_sent_in_one_segment_in_each_language_and_way() -> None:
    """Two languages, with and without replies: each template has one wording that is sent."""
    rows = re.findall(
        r"^\| `(\w+)` \*\*sent\*\* \|.*\| (\d+) \|$", pages.read("docs/messages.md"), re.MULTILINE
    )
    written = [t.value for t in Template if t not in SPOKEN_ONLY]
    assert sorted(name for name, _ in rows) == sorted(written * 4)
    assert {count for _, count in rows} == {"1"}
