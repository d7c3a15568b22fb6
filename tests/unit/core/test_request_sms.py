"""Claims about a steward's SMS that asks for help which can wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core import replies
from server.core.help_requests import Want
from server.core.request_sms import KEYWORDS, LONGEST, Asked, asked
from server.service.answering import OPT_IN_WORDS, OPT_OUT_WORDS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("帮办 301 灯坏了", Asked("灯坏了", Want.REPAIR, None, "301")),
        ("帮办301室,灯坏了", Asked("灯坏了", Want.REPAIR, None, "301")),
        ("帮办 11-301 想理发", Asked("想理发", Want.HAIRCUT, 11, "301")),
        ("帮办 11栋301 买米", Asked("买米", Want.ERRAND, 11, "301")),
        ("帮办  11号楼 a301 楼上太吵", Asked("楼上太吵", Want.COMPLAINT, 11, "A301")),
        ("request 11-301 a tap leaks", Asked("a tap leaks", Want.REPAIR, 11, "301")),
        ("Request: 301 wants to talk", Asked("wants to talk", Want.OTHER, None, "301")),
        ("帮办 一楼的灯坏了", Asked("一楼的灯坏了", Want.REPAIR)),
        ("帮办 301", None),  # nothing is said of what is wanted
        ("帮办", None),
        ("请帮办 301 灯坏了", None),  # the keyword stands first
        ("1", None),
        ("", None),
    ],
)
def test_what_is_asked_for(text: str, expected: Asked | None) -> None:
    """Door and kind where they can be read; the words always."""
    assert asked(text) == expected


def test_the_words_are_bounded() -> None:
    """An SMS of many segments is no novel in a list."""
    found = asked("帮办 301 " + "灯" * 900)
    assert found is not None
    assert len(found.words) == LONGEST


@given(st.sampled_from(KEYWORDS), st.text(max_size=40))
def test_no_request_is_ever_an_answer_to_an_alert(keyword: str, rest: str) -> None:
    """Whatever stands behind the keyword: the alert's own words and digits are others."""
    assert replies.understand(f"{keyword}{rest}") is None
    assert replies.round_done(f"{keyword}{rest}") is None


def test_no_keyword_is_a_word_with_another_meaning() -> None:
    """Neither an answer, nor a report, nor what the provider takes for an opt-out."""
    taken = {*replies.WORDS, *replies.DIGITS, *replies.ROUND_DONE, *OPT_OUT_WORDS, *OPT_IN_WORDS}
    assert taken.isdisjoint(KEYWORDS)
