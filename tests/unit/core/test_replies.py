"""What a steward's SMS means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.replies import (
    Action,
    Miss,
    OpenAlert,
    Reply,
    RoundDone,
    choose,
    round_done,
    understand,
    unglue,
)

A, V, S, D = Action.ACCEPT, Action.ARRIVE, Action.SAFE, Action.DECLINE
SAID = [
    ("1", Reply(A)), (" 1 ", Reply(A)), ("１", Reply(A)), ("收到", Reply(A)), ("收到。", Reply(A)),
    ("ok.", Reply(A)), ("OK", Reply(A)), ("好的!", Reply(A)), ("我去", Reply(A)), ("“1”", Reply(A)),
    ("2", Reply(V)), ("到了", Reply(V)), ("3", Reply(S)), ("平安", Reply(S)),
    ("0", Reply(D)), ("9", Reply(D)), ("去不了", Reply(D)),
    ("1 4031", Reply(A, "4031")), ("4031 1", Reply(A, "4031")), ("4031", Reply(A, "4031")),
    ("１ ４０３１", Reply(A, "4031")), ("2,4031", Reply(V, "4031")), ("收到4031", Reply(A, "4031")),
    ("1 4 0 3 1", Reply(A, "4031")), ("收到 4031", Reply(A, "4031")),
    ("", None), ("  ", None), ("今晚吃什么", None), ("17", None), ("1 2 3", None),
    ("9 9 9 9 9 9 9", None), ("请问 4031", None), ("4031 4032", None), ("hello you", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "meaning"), SAID, ids=[repr(t) for t, _ in SAID])
def test_a_steward_is_understood(text: str, meaning: Reply | None) -> None:
    """Digits of any width, words, spaces and punctuation; what is unclear is left to a person."""
    assert understand(text) == meaning


@given(st.text(max_size=200))
def test_no_text_whatever_breaks_it(text: str) -> None:
    """Any text has a meaning or none, and a code is always four to six plain digits."""
    reply = understand(text)
    assert reply is None or reply.code is None or (reply.code.isascii() and reply.code.isdigit())


GLUED = [("14031", Reply(A, "4031")), ("24031", Reply(V, "4031")), ("4031", Reply(A, "4031")),
         ("54031", Reply(A, "54031")), ("1", Reply(A))]  # fmt: skip


@pytest.mark.parametrize(("text", "meaning"), GLUED, ids=[t for t, _ in GLUED])
def test_a_digit_glued_to_a_known_code_is_understood(text: str, meaning: Reply) -> None:
    """`14031` is "1 4031" when 4031 is one of theirs, and stays a code of its own otherwise."""
    reply = understand(text)
    assert reply is not None
    assert unglue(reply, [OpenAlert(7, "4031")]) == meaning


ONE = [OpenAlert(7, "4031")]
TWO = [*ONE, OpenAlert(8, "4032")]
CHOICES = [
    ("a bare digit with one open", Reply(A), ONE, 7),
    ("a bare digit with two open", Reply(A), TWO, Miss.SEVERAL_OPEN),
    ("a bare digit with none open", Reply(A), [], Miss.NOTHING_OPEN),
    ("a code decides among two", Reply(A, "4032"), TWO, 8),
    ("an old code never opens a new alert", Reply(A, "1111"), ONE, Miss.OLD_CODE),
    ("an old code with nothing open", Reply(A, "1111"), [], Miss.OLD_CODE),
]


@pytest.mark.parametrize(("name", "reply", "open_", "chosen"), CHOICES,
                         ids=[c[0] for c in CHOICES])  # fmt: skip
def test_the_right_alert_is_meant(
    name: str, reply: Reply, open_: list[OpenAlert], chosen: int | Miss
) -> None:
    """Without a code only a single open alert can be meant; a code is never guessed at."""
    assert choose(reply, open_) == chosen


WALKED = [
    ("巡完", RoundDone()), (" 巡完。", RoundDone()), ("Round", RoundDone()),
    ("已巡楼", RoundDone()),
    ("巡完 12", RoundDone(12)), ("12栋巡完", RoundDone(12)), ("巡完１２栋", RoundDone(12)),
    ("round 12", RoundDone(12)), ("round done", RoundDone()), ("12 巡完 13", None),
    ("1", None), ("1 4031", None), ("平安", None), ("", None), ("还没巡完", None), ("4031", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "meaning"), WALKED, ids=[repr(t) for t, _ in WALKED])
def test_a_round_is_reported_in_one_word(text: str, meaning: RoundDone | None) -> None:
    """巡完, or with a house's number; and nothing that answers an alert is ever taken for it."""
    assert round_done(text) == meaning
    assert meaning is None or understand(text) is None
