"""Switches end by themselves; keywords count only when they stand alone."""

import pytest

from firmware_sim.phones.faults import MAX_FAULTS, Faults
from firmware_sim.phones.keywords import opt_out_type

A, B = "+8610011000101", "+8610011000102"


def _set(faults: Faults, kind: str, number: str | None = None, count: int = 1) -> None:
    faults.set(kind, number=number, count=count, error_code=30008, ms=0)


def test_a_fault_is_spent_after_its_count() -> None:
    """Two undelivered texts, then the third arrives."""
    faults = Faults()
    _set(faults, "undelivered", count=2)
    outcomes = [faults.take_delivery(A).outcome for _ in range(3)]
    assert outcomes == ["undelivered", "undelivered", "delivered"]
    assert faults.all() == []


def test_a_fault_for_one_number_leaves_the_others_alone() -> None:
    """The neighbour's texts arrive."""
    faults = Faults()
    _set(faults, "503", number=A)
    assert faults.take_request(B) is None
    spent = faults.take_request(A)
    assert spent is not None
    assert spent.kind == "503"


def test_faults_of_delivery_combine() -> None:
    """Undelivered, told twice: one message can meet both."""
    faults = Faults()
    _set(faults, "undelivered")
    _set(faults, "duplicate_callbacks")
    twist = faults.take_delivery(A)
    assert (twist.outcome, twist.error_code, twist.duplicate_callbacks) == (
        "undelivered",
        30008,
        True,
    )


@pytest.mark.parametrize(("kind", "count"), [("nonsense", 1), ("503", 0), ("503", 10**9)])
def test_a_fault_out_of_bounds_is_refused(kind: str, count: int) -> None:
    """No unknown kind, no endless fault."""
    with pytest.raises(ValueError, match=r"kind|count"):
        _set(Faults(), kind, count=count)


def test_the_number_of_faults_is_bounded() -> None:
    """A runaway script cannot pile switches up."""
    faults = Faults()
    for _ in range(MAX_FAULTS):
        _set(faults, "slow_ms")
    with pytest.raises(ValueError, match="DELETE /faults"):
        _set(faults, "slow_ms")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("STOP", "STOP"),
        (" stop ", "STOP"),
        ("Revoke", "STOP"),
        ("start", "START"),
        ("help", "HELP"),
        ("1", None),
        ("please stop", None),
        ("停", None),
    ],
)
def test_a_keyword_counts_only_alone(body: str, kind: str | None) -> None:
    """Case and blanks don't matter; a word inside a sentence does nothing."""
    assert opt_out_type(body) == kind
