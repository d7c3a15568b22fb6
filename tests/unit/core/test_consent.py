"""Consents: each purpose apart, and something follows from each withdrawal."""

from server.core.consent import FOLLOWS, Consequence, Purpose


def test_every_withdrawal_has_a_consequence_of_its_own() -> None:
    """None is a mere tick in a list."""
    assert set(FOLLOWS) == set(Purpose)
    assert sorted(FOLLOWS.values()) == sorted(Consequence)
