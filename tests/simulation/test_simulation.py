"""Seeded community-days and a week, fresh at every run, and the mistakes that the invariants must
catch. A seed that fails is printed with its story and with how to live through it again."""

import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.simulation import mutations
from tests.simulation.run import Ground, live

FRESH_DAYS, FRESH_S = 5, 20.0
"""Days that nobody has seen before: so many, or as many as this time allows; at least one."""
WEEK = 7
LONG = 20
"""How much more of it `make simulate` takes."""
FOUND = {
    1: "a time-out put a delivered message back to sending",
    5: "a press in the last tenth of a second is dated by its arrival",
    491606913: "a press after the deadline hid one before it in the same batch",
    39: "somebody who had sent STOP was answered",
    900000002: "a live press that the network held for minutes is dated by its arrival",
    7100152: "a loss of mains that came after its own end left a house dark",
}
"""Seeds that once failed, and what they found."""
CAUGHT: tuple[tuple[Callable[[], AbstractContextManager[Any]], int, str], ...] = (
    (mutations.record_before_send, 1, "what is called sent has left"),
    (mutations.ignore_the_lookup, 1, "a second copy needs an excuse"),
    (mutations.lease_nothing, 1, "a second copy needs an excuse"),
    (mutations.judge_blindly, 32, "nobody is judged before the outage is written off"),
    (mutations.trust_an_acceptance_for_ever, 1, "an open alert has a next step"),
    (mutations.step_late, 100_007, "no step of an alert comes later"),
    (mutations.call_120_late, 100_007, "no look at the clock of 120 comes later"),
    (mutations.chime_late, 100_007, "no chime comes later"),
    (mutations.judge_late, 100_007, "no judgement of a round comes later"),
    (mutations.reuse_codes, 1, "a code rests 30 days"),
    (mutations.every_flat_for_itself, 4, "a parent's fault explains its children"),
    (mutations.close_on_cancel, 2, "who closed an alert has said so"),
    (mutations.date_by_arrival, 3, "who was heard in time is not called missed"),
    (mutations.ring_again_without_asking, 2, "what may have left is looked up first"),
    (mutations.call_who_is_away, 30, "nobody is told who is away"),
    (mutations.pass_over_the_silent, 1, "who is silent in a round is looked for"),
    (mutations.everybody_owes_every_round, 100_002, "nobody is judged in a round they don't owe"),
    (mutations.one_speaks_for_the_house, 100_020,
     "a worklist closes itself only when everybody on it was heard"),
    (mutations.receipt_for_nothing, 1, "a receipt is given after the commit"),
    (mutations.lose_the_press, 100_007, "a receipt is given after the commit"),
    (mutations.store_and_forget, 100_007, "a stored SOS has one open alert"),
    (mutations.a_drill_like_any, 100_007, "the alert of a test press is a drill"),
    (mutations.trust_the_hand_over, 20, "no message is forgotten on its way"),
    (mutations.hand_over_before_the_commit, 6, "what leaves has been written down before"),
    (mutations.lease_for_ever, 20, "no message stays in a dead server's hands"),
    (mutations.ring_a_drill_as_real, 100_007, "a drill is called one, and nothing else is"),
    (mutations.hear_no_stop, 22, "nobody is told who has sent STOP"),
    (mutations.call_who_opted_out, 23, "nobody is told who has sent STOP"),
)
TRIES = 4
"""The code changes, and with it the story of a seed: the next few seeds must do."""
FAULTS = frozenset({
    "steward answers late", "steward never answers", "steward answers wrongly",
    "steward answers twice", "steward can't go", "steward never comes", "steward away", "STOP",
    "reply twice", "a key in a call", "answering machine",
    "text lost", "receipt lost", "receipt twice", "receipts in the wrong order",
    "press doubled", "press delayed", "receipt to a terminal lost", "terminal off the air",
    "lost, retry", "lost, other channel", "lost, other person",
    "refused, retry", "refused, other channel", "refused, other person",
    "429", "time-out, lost", "time-out, accepted", "time-out, late",
    "5xx, lost", "5xx, accepted", "5xx, late",
    "provider down, refused", "provider down, 503", "provider down, hangs",
    "provider down, account", "drill", "an emergency in a drill",
    "crash before a commit", "crash after a commit", "crash after a look",
    "crash before the provider is called", "crash after the provider was called",
    "crash between commit and hand-over", "crash between hand-over and send",
    "crash between send and record", "a server is stopped", "a commit fails",
    "crash any moment", "stall", "clock ahead", "clock back", "a night of the clock",
    "two servers", "gateway cut off", "storm", "resident away",
})  # fmt: skip
BAD_DAYS = (130, 160, 180, 330, 390, 400, *range(10, 130, 10))
"""Seeds with every trouble at once (plan.py): six that had every fault between them when they
were chosen, and others for when the code, and with it their story, has changed."""
seen: Counter[str] = Counter()
"""What went wrong in this run so far."""
lived = Counter[str]()
"""Seeds and days of one test, and the time that they took."""


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """One database file for all seeds."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    made = Ground()
    yield made
    made.close()
    logging.disable(before)


def check(seed: int, ground: Ground, days: int = 1) -> None:
    """A seed holds, or its story and how to see it again are shown."""
    began = time.monotonic()
    found = live(seed, ground, days)
    lived.update(seeds=1, days=days, ms=int(1000 * (time.monotonic() - began)))
    seen.update(dict(found.faults))
    if found.violation is not None:
        again = f"python -m tests.simulation --seed {seed} --days {days} -v"
        pytest.fail(
            "\n".join((*found.story, f"seed {seed}: {found.violation}", f"replay: {again}")),
            pytrace=False,
        )


@pytest.fixture(autouse=True)
def counted(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """What each test lived through; tests/conftest.py adds it up and prints it."""
    lived.clear()
    yield
    record_property("simulated", dict(lived))


def fresh_base() -> int:
    """Seeds that nobody has tried before."""
    return random.SystemRandom().randrange(10**9)


def test_every_invariant_holds_on_days_nobody_has_seen(ground: Ground) -> None:
    """Whatever breaks, no SOS is lost, nobody is told twice without need, nobody closes it but
    a person."""
    much = LONG if os.environ.get("SIM_LONG") else 1
    began, base = time.monotonic(), fresh_base()
    for seed in range(base, base + FRESH_DAYS * much):
        check(seed, ground)
        if time.monotonic() - began > FRESH_S * much:
            break


def test_every_invariant_holds_through_a_week_nobody_has_seen(ground: Ground) -> None:
    """What heals by itself in a day may pile up in a week: absences end, codes rest, alerts that
    nobody closed stay red, and each of fourteen rounds is judged once."""
    check(fresh_base(), ground, WEEK)


def test_a_week_that_was_found_once_stays_mended(ground: Ground) -> None:
    """After a long stop two classes of one house owed two rounds: all were noted as silent in the
    later one, also who does not owe it."""
    check(8200000, ground, WEEK)


def test_every_fault_happens(ground: Ground) -> None:
    """A simulation proves nothing about a fault that it never injects: late, silent, wrong and
    repeated stewards, lost, doubled, delayed and reordered messages, outages of the provider,
    crashes at every await between decide, save, send and record, jumps of the clock, the nights of
    the clock, two servers at once."""
    for seed in BAD_DAYS:
        if seen.keys() >= FAULTS:
            break
        check(seed, ground)
    assert FAULTS - seen.keys() == set()


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
