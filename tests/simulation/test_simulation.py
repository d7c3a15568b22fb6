"""Seeded community-days, fresh and fixed, and the mistakes that the invariants must catch."""

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.simulation import mutations
from tests.simulation.run import Ground, live

FRESH_S = 12.0
"""How long fresh seeds are tried; at least one is."""
MOST_FRESH = 20
KNOWN_BASE = 20261122
FOUND = {
    1: "a time-out put a delivered message back to sending",
    5: "a press in the last tenth of a second is dated by its arrival",
    491606913: "a press after the deadline hid one before it in the same batch",
    39: "somebody who had sent STOP was answered",
}
"""Seeds that once failed, and what they found."""
CAUGHT: tuple[tuple[Callable[[], AbstractContextManager[Any]], int, str], ...] = (
    (mutations.record_before_send, 1, "what is called sent has left"),
    (mutations.ignore_the_lookup, 1, "a second copy needs an excuse"),
    (mutations.lease_nothing, 1, "a second copy needs an excuse"),
    (mutations.trust_an_acceptance_for_ever, 1, "an open alert has a next step"),
    (mutations.sweep_late, 1, "no alert waits past its time"),
    (mutations.reuse_codes, 1, "a code rests 30 days"),
    (mutations.every_flat_for_itself, 4, "a parent's fault explains its children"),
)
TRIES = 4
"""The code changes, and with it the story of a seed: the next few seeds must do."""


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """One database file for all seeds."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    made = Ground()
    yield made
    made.close()
    logging.disable(before)


def check(seed: int, ground: Ground) -> None:
    """A seed holds, or its story and how to see it again are shown."""
    found = live(seed, ground)
    if found.violation is not None:
        pytest.fail(
            "\n".join((*found.story, f"seed {seed}: {found.violation}",
                       f"replay: python -m tests.simulation --seed {seed} -v")),
            pytrace=False,
        )  # fmt: skip


def test_every_invariant_holds_on_many_days(ground: Ground) -> None:
    """Whatever breaks, no SOS is lost, nobody is told twice without need, nobody closes it but
    a person. The same days each time; `make simulate` looks at days nobody has seen before."""
    began = time.monotonic()
    fresh = os.environ.get("SIM_SEEDS") == "fresh"
    base = random.SystemRandom().randrange(10**9) if fresh else KNOWN_BASE
    for n in range(MOST_FRESH * (10 if fresh else 1)):
        check(base + n, ground)
        if time.monotonic() - began > FRESH_S * (10 if fresh else 1):
            break


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_once_stays_mended(seed: int, ground: Ground) -> None:
    """The days that showed a mistake pass."""
    check(seed, ground)


def test_a_seed_is_the_same_story_every_time(ground: Ground) -> None:
    """Replay is worth something only if it is exact."""
    assert live(1, ground) == live(1, ground)


@pytest.mark.parametrize(
    ("mistake", "seed", "rule"), CAUGHT, ids=[m.__name__ for m, _, _ in CAUGHT]
)
def test_a_mistake_is_caught(
    mistake: Callable[[], AbstractContextManager[Any]], seed: int, rule: str, ground: Ground
) -> None:
    """A server with one rule broken fails within a few seeds, for that reason."""
    with mistake():
        for n in range(seed, seed + TRIES):
            violation = live(n, ground).violation
            if violation is not None:
                break
    assert violation is not None, "the simulation did not notice"
    assert rule in violation
