"""Signatures, TwiML and the words on the page, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from firmware_sim.phones.ledger import Ledger, Message, new_sid
from firmware_sim.phones.page import linked
from firmware_sim.phones.webhooks import sign, twiml_messages

_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@given(params=st.dictionaries(_TEXT, _TEXT, max_size=8), token=_TEXT.filter(bool))
def test_our_signature_is_the_one_the_official_validator_expects(
    params: dict[str, str], token: str
) -> None:
    """Whatever the parameters, blank or Chinese."""
    url = "https://xunlou.example/webhooks/twilio/inbound?x=1"
    assert RequestValidator(token).validate(url, params, sign(token, url, params))


@pytest.mark.parametrize(
    ("xml", "texts"),
    [
        ("<Response/>", []),
        ("<Response><Message>好的</Message></Response>", ["好的"]),
        (
            '<?xml version="1.0"?><Response><Message><Body>a &amp; b</Body></Message>'
            "<Message>c</Message></Response>",
            ["a & b", "c"],
        ),
        ("<Response><Redirect>/x</Redirect></Response>", []),
        ("not xml", []),
        ("", []),
        ('<!DOCTYPE r [<!ENTITY a "b">]><Response><Message>&a;</Message></Response>', []),
    ],
)
def test_messages_are_read_from_twiml_and_nothing_else(xml: str, texts: list[str]) -> None:
    """Both forms of the verb; an entity is never expanded."""
    assert twiml_messages(xml) == texts


def test_addresses_become_links_and_nothing_becomes_markup() -> None:
    """A full stop or a Chinese one ends the address; tags stay text."""
    html = str(linked("<b>看 http://127.0.0.1:8000/s/a?b=1&c=2。谢谢 https://x.example/y."))
    assert html.startswith("&lt;b&gt;看 <a href=")
    assert ">http://127.0.0.1:8000/s/a?b=1&amp;c=2</a>。谢谢" in html
    assert html.endswith(">https://x.example/y</a>.")
    assert "<a" not in str(linked("javascript:alert(1)"))


def _message(phone: str) -> Message:
    return Message(phone, "outbound-api", "x", "delivered", 0.0, 1, new_sid(), on_phone=True)


def test_the_ledger_forgets_the_oldest_when_full() -> None:
    """A provider that runs for days doesn't fill the memory."""
    ledger = Ledger((), 3)
    messages = [_message("+8610011000101"), *(_message("+8610011000102") for _ in range(3))]
    for message in messages:
        ledger.add(message)
    assert ledger.get(messages[0].sid) is None
    assert ledger.active_numbers() == ["+8610011000102"]
    assert [m.sid for m in ledger.newest_first()] == [m.sid for m in reversed(messages[1:])]
    ledger.touch(messages[0])  # a late status for a forgotten message changes nothing
    assert ledger.active_count == 1
