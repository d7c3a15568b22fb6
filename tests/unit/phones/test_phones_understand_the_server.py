"""The simulated stewards read what the server really writes.

The two share no code. This is the one place where the server's catalogue of words and the
simulator's reading of them meet.
"""

import pytest

from firmware_sim.phones.segments import count_segments
from firmware_sim.phones.stewards import asks_for_answer, code_in
from server.core.messages import Subject, compose
from server.core.words import Template

SUBJECT = Subject(
    building=11, floor=3, label="301", age=84, lives_alone=True, code="4031",
    labels=("301", "502"), waited_min=6, link="http://127.0.0.1:8000/s/Ab12Cd34",
)  # fmt: skip


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("template", [Template.SOS, Template.FALL, Template.MISSED])
def test_an_alert_makes_a_simulated_steward_move(template: Template, lang: str) -> None:
    """Its code is found, it asks for 1, and it costs one segment by our own count too."""
    text = compose(template, SUBJECT, lang)
    assert code_in(text) == "4031"
    assert asks_for_answer(text)
    assert count_segments(text) == 1


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(
    "template",
    [
        Template.CONFIRM, Template.CONFIRM_MISSED, Template.CLOSED, Template.CHECKED_IN,
        Template.FEWER,
    ],
)  # fmt: skip
def test_what_follows_an_alert_starts_nothing(template: Template, lang: str) -> None:
    """A confirmation or an end, even if it were the first text with its code, asks for no 1."""
    assert not asks_for_answer(compose(template, SUBJECT, lang, about="safe"))
