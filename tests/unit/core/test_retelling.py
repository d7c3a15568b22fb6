"""When a terminal that has not answered is told again, and what may be said to it by then."""

from datetime import UTC, datetime, timedelta

import pytest

from server.core import retelling
from server.core.words import State

TOLD = datetime(2026, 3, 14, 5, 0, tzinfo=UTC)
TEN_MINUTES = 600


@pytest.mark.parametrize(
    ("taken_s", "again_s"),
    [
        (0, 30),
        (0.4, 30),
        (14, 30),
        (16, 90),  # the broker had it late: an answer needs a quarter of a minute
        (31, 90),
        (91, 210),
        (212, 450),
        (451, None),
        (599, None),
        (400, 450),  # there was no gateway until now
        (440, None),
    ],
)
def test_each_wait_is_twice_the_one_before_and_there_is_an_end(
    taken_s: float, again_s: int | None
) -> None:
    """Counted from the first time, whenever the broker had it."""
    now, expires = (TOLD + timedelta(seconds=s) for s in (taken_s, TEN_MINUTES))
    expected = None if again_s is None else TOLD + timedelta(seconds=again_s)
    assert retelling.again_at(TOLD, now, expires) == expected


def test_nothing_is_said_again_past_its_time() -> None:
    """A command that is good for a minute is told again once."""
    expires = TOLD + timedelta(seconds=60)
    assert retelling.again_at(TOLD, TOLD, expires) == TOLD + timedelta(seconds=30)
    assert retelling.again_at(TOLD, TOLD + timedelta(seconds=31), expires) is None


@pytest.mark.parametrize(
    ("cmd", "newest", "state", "true"),
    [
        ("help_coming", True, State.ACCEPTED, True),
        ("help_coming", True, State.ON_SCENE, True),
        ("help_coming", True, State.OPEN, False),  # whoever went has turned back
        ("help_coming", True, State.RESOLVED, False),
        ("help_coming", True, "§", False),  # a disk's fault
        ("help_coming", True, None, False),
        ("help_coming", False, State.ACCEPTED, False),  # somebody else goes by now
        ("resolved", True, State.RESOLVED, True),
        ("resolved", False, State.RESOLVED, False),
    ],
)
def test_a_promise_is_repeated_only_while_it_is_true(
    cmd: str, newest: bool, state: str | None, true: bool
) -> None:
    """Nobody hears that help is coming when it is not."""
    assert retelling.still_true(cmd, newest, state) is true
