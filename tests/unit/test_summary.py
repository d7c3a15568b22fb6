"""The reckoning of a headless run: each kind of loss is counted once and named."""

from dataclasses import replace
from typing import Any

import pytest

from xunlou.summary import Books, reckon, settled

PRESS = {"t": "gd-11-301", "boot": 2, "seq": 7, "receipt_ms": 40}
MESSAGE = {"id": 5, "alert_id": 3, "state": "delivered", "provider_id": "SM1"}
SIGNAL = {"kind": "signal", "data": {"terminal": "gd-11-301", "boot": 2, "seq": 7}}
OPENED = {"kind": "alert_opened", "data": {"terminal": "gd-11-301", "boot": 2, "seq": 7}}
ALERT = {"id": 3, "kind": "sos", "resolved_ms": 99}
GOOD = Books(
    sim={"identities": [PRESS], "lost": 0, "checkins": 0, "resent": 0},
    journal=[SIGNAL, OPENED],
    alerts=[ALERT],
    messages=[MESSAGE],
    provider=[{"sid": "SM1"}],
)


def sim(**more: Any) -> dict[str, Any]:
    """The simulator's book of the good run, but for what is said."""
    return dict(GOOD.sim) | more


def test_a_run_that_went_well() -> None:
    """Nothing lost, nothing doubled, and no list of reasons."""
    summary = reckon(GOOD)
    assert (summary["presses"], summary["receipts"], summary["messages"]) == (1, 1, 1)
    assert (summary["lost"], summary["doubled"]) == (0, 0)
    assert "wrong" not in summary
    assert settled(GOOD)


@pytest.mark.parametrize(
    ("books", "reason"),
    [
        (replace(GOOD, sim=sim(lost=1)), "given up by its terminal"),
        (replace(GOOD, journal=[OPENED]), "gd-11-301 2/7: not in the journal"),
        (
            replace(GOOD, sim=sim(identities=[PRESS | {"receipt_ms": None}])),
            "gd-11-301 2/7: no receipt",
        ),
        (replace(GOOD, alerts=[ALERT, ALERT | {"id": 4}]), "alert 4: nobody was told"),
        (
            replace(GOOD, messages=[MESSAGE, MESSAGE | {"id": 6, "provider_id": "SM2"}]),
            "message 6: sent, and the provider does not know it",
        ),
    ],
)
def test_each_loss_is_counted_and_named(books: Books, reason: str) -> None:
    """One thing amiss is one loss, with its words."""
    summary = reckon(books)
    assert (summary["lost"], summary["doubled"], summary["wrong"]) == (1, 0, [reason])


@pytest.mark.parametrize(
    ("books", "reason"),
    [
        (replace(GOOD, journal=[SIGNAL, SIGNAL, OPENED]), "gd-11-301 2/7: in the journal twice"),
        (replace(GOOD, journal=[SIGNAL, OPENED, OPENED]), "gd-11-301 2/7: alarmed twice"),
        (
            replace(GOOD, provider=[{"sid": "SM1"}, {"sid": "CA1"}]),
            "at the provider, and not among the messages sent",
        ),
    ],
)
def test_each_double_is_counted_and_named(books: Books, reason: str) -> None:
    """What happened once too often is one double, with its words."""
    summary = reckon(books)
    assert (summary["lost"], summary["doubled"], summary["wrong"]) == (0, 1, [reason])


def test_books_read_while_a_message_went_out_are_read_again() -> None:
    """A ladder climbs during the reading: the provider's book is older than the server's."""
    assert not settled(replace(GOOD, moved=True))
    assert not settled(replace(GOOD, messages=[MESSAGE | {"state": "sending"}]))
    assert not settled(replace(GOOD, sim=sim(identities=[PRESS | {"receipt_ms": None}])))
