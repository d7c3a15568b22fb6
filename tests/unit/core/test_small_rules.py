"""The smaller rules: ladders that may not end alone, windows, blame."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from server.core.delivery import Blame, blame
from server.core.ladder import DEFAULT_LADDERS, Ladder, Step, Target
from server.core.rounds import Occurrence
from server.core.windows import RANK, Facts, Window, window, worst
from server.core.words import Kind
from tests.unit.core.people import DUTY, LIN, ROSTER

DUTY_STEP = Step((Target.DUTY,), 60)


@pytest.mark.parametrize(
    ("steps", "lease_s", "words"),
    [
        ((), 60, "at least one step"),
        ((Step((Target.STEWARDS,), 60),), 60, "without a human"),
        ((Step((Target.DUTY,), 0),), 60, "at least 1"),
        ((DUTY_STEP,), 0, "at least 1"),
        ((Step((Target.DUTY,), 60, ()),), 60, "needs a channel"),
    ],
)
def test_a_ladder_that_could_leave_somebody_alone_is_refused(
    steps: tuple[Step, ...], lease_s: int, words: str
) -> None:
    """No steps, no human at the end, or no time at all: refused with the reason."""
    with pytest.raises(ValueError, match=words):
        Ladder(steps, lease_s, 60)


@pytest.mark.parametrize("kind", [Kind.SOS, Kind.MISSED])
def test_a_frozen_ladder_thaws_as_it_was(kind: Kind) -> None:
    """What is stored with an alert is the ladder itself."""
    ladder = DEFAULT_LADDERS[kind]
    assert Ladder.from_json(ladder.to_json()) == ladder


def test_a_person_behind_two_targets_is_told_once() -> None:
    """A steward who also holds the key gets one message, in the role named first."""
    both = ROSTER.people((Target.STEWARDS, Target.STEWARDS, Target.KEY_HOLDERS))
    assert [p.id for p in both] == [1, 2, 4]
    assert {p.id for p in ROSTER.everyone()} == {1, 2, 3, 4, 5}
    assert LIN in both
    assert [p.id for p in ROSTER.people((Target.STEWARD_2, Target.STEWARD_1))] == [2, 1]
    assert DUTY not in both


def test_one_of_the_two_stewards_can_be_named() -> None:
    """`steward_1` is the building's head, `steward_2` the other one."""
    assert [p.id for p in ROSTER.people((Target.STEWARD_1,))] == [1]
    assert [p.id for p in ROSTER.people((Target.STEWARD_2,))] == [2]


OPENS = datetime(2026, 3, 13, 20, 30, tzinfo=UTC)
ROUND = Occurrence("morning", OPENS, OPENS + timedelta(minutes=75), OPENS + timedelta(minutes=90),
                   OPENS + timedelta(minutes=95))  # fmt: skip
EVENING_DEADLINE = ROUND.deadline + timedelta(hours=13)


def facts(**changed: object) -> Facts:
    """A watched resident with a terminal, awaited in the running round."""
    known = {
        "watched": True, "has_terminal": True, "next_due_at": ROUND.deadline, "missed": False,
        "sos_open": False, "sos_claimed": False, "device_lost": False,
    }  # fmt: skip
    return Facts(**{**known, **changed})  # type: ignore[arg-type]


WINDOWS = [
    ("awaited", {}, Window.WAITING),
    ("checked in: due only this evening", {"next_due_at": EVENING_DEADLINE}, Window.CHECKED),
    ("never had a deadline", {"next_due_at": None}, Window.CHECKED),
    ("away", {"watched": False}, Window.AWAY),
    ("no terminal", {"has_terminal": False, "watched": False}, Window.NONE),
    ("device silent", {"device_lost": True}, Window.OFFLINE),
    ("late and device silent: late, and said so", {"device_lost": True, "missed": True},
     Window.LATE_OFFLINE),
    ("late, and the terminal was taken away",
     {"device_lost": True, "missed": True, "has_terminal": False}, Window.LATE),
    ("SOS over a silent device", {"device_lost": True, "sos_open": True}, Window.SOS),
    ("late and somebody goes for an SOS", {"missed": True, "sos_claimed": True}, Window.CLAIMED),
    ("SOS over everything", {"missed": True, "sos_open": True, "watched": False}, Window.SOS),
]


@pytest.mark.parametrize(("name", "changed", "state"), WINDOWS, ids=[w[0] for w in WINDOWS])
def test_a_window_shows_the_worst_that_is_true(name: str, changed: dict, state: Window) -> None:
    """One state a window, an SOS above everything, a person above a device."""
    assert window(facts(**changed), ROUND, OPENS) is state


def test_before_the_round_opens_nobody_is_awaited() -> None:
    """A second before the window a resident who owes this round still shows the last one."""
    assert window(facts(), ROUND, OPENS - timedelta(seconds=1)) is Window.CHECKED


def test_the_worst_of_a_house() -> None:
    """A house is as bad as its worst window; an empty one is nothing."""
    assert worst([Window.CHECKED, Window.LATE, Window.WAITING]) is Window.LATE
    assert worst([]) is Window.NONE
    assert all(RANK[a] < RANK[b] for a, b in pairwise(Window))


@pytest.mark.parametrize(
    ("error", "whose"),
    [("21610", Blame.NUMBER), ("30003", Blame.NUMBER), (None, Blame.NUMBER),
     ("20003", Blame.PROVIDER), ("no_sms_account", Blame.PROVIDER)],
)  # fmt: skip
def test_a_dead_number_is_the_stewards_and_a_dead_account_ours(
    error: str | None, whose: Blame
) -> None:
    """A number's trouble is that steward's fault entry; the account's is one for the house."""
    assert blame(error) is whose
