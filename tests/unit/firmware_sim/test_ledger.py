"""The books say what became of every press."""

import pytest

from firmware_sim.ledger import Ledger
from firmware_sim.wire import Kind, Ref


def test_a_press_is_receipted_waiting_or_lost() -> None:
    """Three presses, one receipt, one in flash: one is lost, and that is told."""
    ledger = Ledger()
    for seq in (1, 2, 3):
        ledger.stored("t-1", Ref(1, seq), Kind.SOS, False, 1000)
        ledger.sent("t-1", Ref(1, seq), Kind.SOS, 1000)
    ledger.receipted("t-1", Ref(1, 1), 1200)
    figures = ledger.figures([("t-1", Ref(1, 2))])
    assert (figures.presses, figures.receipts, figures.waiting, figures.lost) == (3, 1, 1, 1)


def test_resends_and_repeated_receipts_are_not_presses() -> None:
    """Three attempts and two receipts of one identity: one press, two resends, one receipt."""
    ledger = Ledger()
    ledger.stored("t-1", Ref(1, 1), Kind.CHECKIN, False, 1000)
    for at_ms in (1000, 3000, 5000):
        ledger.sent("t-1", Ref(1, 1), Kind.CHECKIN, at_ms)
    ledger.receipted("t-1", Ref(1, 1), 5100)
    ledger.receipted("t-1", Ref(1, 1), 5200)
    figures = ledger.figures([])
    assert (figures.presses, figures.checkins, figures.sent) == (1, 1, 1)
    assert (figures.resent, figures.receipts, figures.lost) == (2, 1, 0)
    entry = ledger.entry("t-1", Ref(1, 1))
    assert entry is not None
    assert (entry.attempts, entry.first_sent_ms, entry.receipt_ms) == (3, 1000, 5100)


def test_an_event_given_up_after_a_day_is_expired_not_lost() -> None:
    """The contract's 24 h is a decision, not a loss."""
    ledger = Ledger()
    ledger.stored("t-1", Ref(1, 1), Kind.CHECKIN, False, 1000)
    ledger.expired("t-1", Ref(1, 1))
    figures = ledger.figures([])
    assert (figures.expired, figures.lost) == (1, 0)


def test_an_identity_of_an_earlier_run_is_taken_in_with_its_first_attempt() -> None:
    """Flash outlives the books; its events are counted as sent, not as pressed here."""
    ledger = Ledger()
    ledger.sent("t-1", Ref(1, 9), Kind.SOS, 1000)
    ledger.receipted("t-1", Ref(1, 9), 1100)
    figures = ledger.figures([])
    assert (figures.presses, figures.sent, figures.receipts, figures.lost) == (0, 1, 1, 0)


def test_giving_an_identity_out_twice_is_a_bug_that_shows() -> None:
    """A repeated (t, boot, seq) would make the server drop a real press as a duplicate."""
    ledger = Ledger()
    ledger.stored("t-1", Ref(1, 1), Kind.SOS, False, 1000)
    with pytest.raises(AssertionError, match="twice"):
        ledger.stored("t-1", Ref(1, 1), Kind.SOS, False, 2000)


def test_full_books_forget_settled_reports_first_and_open_ones_never() -> None:
    """Sums stay right, calls for help and unsettled presses stay in the books."""
    ledger = Ledger(max_entries=20)
    ledger.stored("t-1", Ref(1, 1), Kind.SOS, False, 1000)
    ledger.receipted("t-1", Ref(1, 1), 1000)
    ledger.stored("t-1", Ref(1, 2), Kind.CHECKIN, False, 1000)
    for seq in range(3, 60):
        ledger.stored("t-1", Ref(1, seq), Kind.CHECKIN, False, 1000)
        ledger.receipted("t-1", Ref(1, seq), 1000)
    figures = ledger.figures([("t-1", Ref(1, 2))])
    assert (figures.presses, figures.receipts, figures.lost) == (59, 58, 0)
    assert ledger.entry("t-1", Ref(1, 1)) is not None
    assert ledger.entry("t-1", Ref(1, 2)) is not None
    assert ledger.entry("t-1", Ref(1, 3)) is None


def test_three_acknowledgements_are_three_figures() -> None:
    """Sent, taken by the broker, committed by the centre; and how long the last one took."""
    ledger = Ledger()
    for seq in range(1, 101):
        ledger.stored("t-1", Ref(1, seq), Kind.CHECKIN, False, 1000)
        ledger.sent("t-1", Ref(1, seq), Kind.CHECKIN, 1000)
        if seq <= 90:
            ledger.pubacked("t-1", Ref(1, seq), 1010)
            ledger.pubacked("t-1", Ref(1, seq), 1020)
        if seq <= 80:
            ledger.receipted("t-1", Ref(1, seq), 1000 + seq)
    figures = ledger.figures([])
    assert (figures.sent, figures.pubacks, figures.receipts, figures.lost) == (100, 90, 80, 20)
    assert figures.receipt_after_ms == {"p50": 40, "p95": 76, "p99": 80, "max": 80}
    assert Ledger().figures([]).receipt_after_ms == {}
