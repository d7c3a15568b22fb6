"""Which of its passwords a terminal is let in with, while another one is on its way."""

from datetime import UTC, datetime, timedelta

import pytest

from server.core.device_key import TURN, KeyState, Standing, in_force, password

NOW = datetime(2026, 3, 14, 6, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("standing", "version"),
    [
        (Standing(), 0),
        (Standing(3), 3),
        (Standing(0, 1, KeyState.OFFERED, NOW), 0),  # it has said nothing yet
        (Standing(0, None, KeyState.REFUSED, NOW), 0),  # older firmware
        (Standing(0, 1, KeyState.STORED, NOW), 1),  # it has it in flash: now the broker may change
        (Standing(0, 1, KeyState.STORED, NOW - TURN + timedelta(seconds=1)), 1),
        (Standing(0, 1, KeyState.STORED, NOW - TURN), 0),  # not back yet: perhaps it forgot
        (Standing(0, 1, KeyState.STORED, NOW - 2 * TURN), 1),  # perhaps it was only slow
        (Standing(2, 3, KeyState.STORED, NOW - timedelta(days=30, minutes=2)), 2),
        (Standing(0, 1, KeyState.STORED, NOW + timedelta(hours=1)), 1),  # the clock went back
        (Standing(0, 1, KeyState.STORED, None), 0),
        (Standing(0, None, KeyState.STORED, NOW), 0),
    ],
)
def test_of_two_passwords_each_has_its_turn(standing: Standing, version: int) -> None:
    """A terminal that says it has stored the new one is let in with it first, then by turns with
    the old one, for as long as it does not come back."""
    assert in_force(standing, NOW) == version


def test_each_terminal_and_version_has_its_own() -> None:
    """96 bits each; version 0 is the one that terminals in the field have since setting up."""
    made = [password(s, t, v) for s in ("a", "b") for t in ("gd-1", "gd-2") for v in (0, 1, 2)]
    assert len(set(made)) == len(made)
    assert all(len(bytes.fromhex(p)) == 12 for p in made)
    assert password("a", "gd-1") == password("a", "gd-1", 0) == "68089969457be1d694053c40"
