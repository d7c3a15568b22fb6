"""A rehearsal and life never share a roster: the core refuses it, whoever asks."""

from dataclasses import fields

import pytest

from server.core.ladder import DEFAULT_LADDERS, Person, Roster
from server.core.words import Role

STEWARD = Person(1, "梁玉珍", "+8610000000101", "zh", Role.STEWARD)
DUTY = Person(2, "值班", "+8610000000102", "zh", Role.DUTY)
TESTER = Person(3, "测试", "+8610000000103", "zh", Role.REHEARSAL)


@pytest.mark.parametrize("group", [f.name for f in fields(Roster)])
@pytest.mark.parametrize("other", [f.name for f in fields(Roster)])
def test_no_roster_holds_both(group: str, other: str) -> None:
    """In whatever places they stand: an error, never a text to the wrong person."""
    mixed = {group: (TESTER,)} | {other: (STEWARD,)}
    if group == other:
        mixed = {group: (TESTER, STEWARD)}
    with pytest.raises(ValueError, match="never both"):
        Roster(**mixed)


def test_every_step_of_every_ladder_tells_the_list_and_nobody_else() -> None:
    """From the first step to the last, which are offices in life."""
    roster = Roster.rehearsed((TESTER,))
    assert roster.rehearsal
    for ladder in DEFAULT_LADDERS.values():
        told = [p for step in ladder.steps for p in roster.people(step.targets)]
        assert {p.id for p in told} == {TESTER.id}
        assert roster.people(ladder.steps[-1].targets) == (TESTER,)
    assert {p.id for p in roster.everyone()} == {TESTER.id}


def test_who_stands_elsewhere_too_is_told_as_the_list() -> None:
    """A rehearsal makes a role of everybody on its list."""
    assert Roster.rehearsed((STEWARD,)).people(DEFAULT_LADDERS["sos"].steps[0].targets)[0].role is (
        Role.REHEARSAL
    )


def test_a_real_roster_is_no_rehearsal() -> None:
    """And an empty one is neither."""
    assert not Roster(stewards=(STEWARD,), duty=(DUTY,)).rehearsal
    assert not Roster.rehearsed(()).rehearsal
