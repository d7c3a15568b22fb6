"""Claims about a house's rota: whoever is off shift sleeps, and it never silences a call."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from server.core.explain import Why, foresee
from server.core.ladder import Ladder, Person, Roster, Step, Target
from server.core.words import Role

T0 = datetime(2026, 3, 14, 6, 10, tzinfo=UTC)
LATER = T0 + timedelta(hours=2)
HEAD = Person(1, "head", "+8610011000101", "zh", Role.STEWARD)
SECOND = Person(2, "second", "+8610011000102", "zh", Role.STEWARD)
SUB = Person(3, "substitute", "+8610011000103", "zh", Role.SUBSTITUTE)
OTHER = Person(4, "other substitute", "+8610011000104", "zh", Role.SUBSTITUTE)
DUTY = Person(5, "duty", "+8610011000105", "zh", Role.DUTY)
LADDER = Ladder(
    (
        Step((Target.STEWARDS,), 120),
        Step((Target.SUBSTITUTES,), 120),
        Step((Target.DUTY,), 120),
    ),
    lease_s=600, on_scene_s=600,
)  # fmt: skip


def off(person: Person) -> Person:
    """Off shift; back at LATER."""
    return replace(person, on_shift=False, shift_changes_at=LATER)


def gone(person: Person) -> Person:
    """Opted out."""
    return replace(person, reachable=False)


def away(person: Person) -> Person:
    """On leave."""
    return replace(person, reachable=False, absent_until=LATER)


CASES = {
    # stewards, substitutes → the first step tells, the second one
    "both on": ((HEAD, SECOND), (SUB,), [1, 2], [3]),
    "the head off": ((off(HEAD), SECOND), (SUB, OTHER), [2, 3, 4], [3, 4]),
    "the second off": ((HEAD, off(SECOND)), (SUB,), [1, 3], [3]),
    "one off, a substitute off too": ((HEAD, off(SECOND)), (off(SUB), OTHER), [1, 4], [4]),
    "one off, no substitute on": ((HEAD, off(SECOND)), (off(SUB),), [1], []),
    "both off, a substitute on": ((off(HEAD), off(SECOND)), (SUB,), [3], [3]),
    "all off: everybody": ((off(HEAD), off(SECOND)), (off(SUB),), [1, 2], [3]),
    "all off and no substitutes": ((off(HEAD), off(SECOND)), (), [1, 2], []),
    "on shift but opted out: everybody": ((off(HEAD), gone(SECOND)), (off(SUB),), [1], [3]),
    "on shift but away: everybody": ((off(HEAD), away(SECOND)), (off(SUB),), [1, 3], [3]),
    "on shift but away, a substitute on": ((off(HEAD), away(SECOND)), (SUB,), [3], [3]),
    "one away, one on, substitutes off": ((away(HEAD), SECOND), (off(SUB),), [2], []),
    "off and away": ((replace(off(HEAD), reachable=False, absent_until=LATER), SECOND), (SUB,),
                     [2, 3], [3]),
    "one place empty": ((HEAD,), (SUB,), [1], [3]),
    "one place empty, the other off": ((off(HEAD),), (), [1], []),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_who_is_told(name: str) -> None:
    """Off shift is as away while somebody of the house is on shift and can be reached; else the
    rota holds no longer."""
    stewards, substitutes, first, second = CASES[name]
    roster = Roster(stewards=stewards, substitutes=substitutes, duty=(DUTY,))
    assert [p.id for p in roster.people((Target.STEWARDS,))] == first
    assert [p.id for p in roster.people((Target.SUBSTITUTES,))] == second
    assert roster.people((Target.DUTY,)) == (DUTY,)


@pytest.mark.parametrize("name", CASES)
def test_a_house_with_people_is_never_silent(name: str) -> None:
    """Somebody who can be told is told, by the first two steps together."""
    stewards, substitutes, first, second = CASES[name]
    assert any(p.reachable for p in (*stewards, *substitutes)) == bool({*first, *second})


def test_one_place_alone() -> None:
    """`steward_1` off shift: the substitutes on shift, and nobody where there are none."""
    roster = Roster(stewards=(off(HEAD), SECOND), substitutes=(SUB, off(OTHER)))
    assert roster.people((Target.STEWARD_1,)) == (SUB,)
    assert roster.people((Target.STEWARD_2,)) == (SECOND,)
    assert replace(roster, substitutes=()).people((Target.STEWARD_1,)) == ()


def test_who_is_on_shift_and_cannot_go_calls_those_who_are_off() -> None:
    """"I can't" of the only one on shift leaves nobody: then the others are asked after all."""
    roster = Roster(stewards=(HEAD, off(SECOND)), substitutes=(off(SUB),), duty=(DUTY,))
    assert [p.id for p in roster.people((Target.STEWARDS,))] == [1]
    assert [p.id for p in roster.without(1).people((Target.STEWARDS,))] == [2]


def test_foresight_says_who_is_off_and_until_when() -> None:
    """A place whose people are off shift is not one behind which nobody stands."""
    roster = Roster(stewards=(HEAD, off(SECOND)), substitutes=(off(SUB),), duty=(DUTY, off(OTHER)))
    first, second, third = foresee(LADDER, lambda _at: roster, T0)
    assert [(o.person.id, o.why, o.until) for o in first.passed_over] == [
        (2, Why.OFF_SHIFT, LATER)
    ]
    assert [(o.person.id, o.why) for o in second.passed_over] == [(3, Why.OFF_SHIFT)]
    assert [(o.person.id, o.why) for o in third.passed_over] == [(4, Why.OFF_SHIFT)]
    assert (second.told, second.nobody) == ((), ())
    assert third.at == T0 + timedelta(seconds=120), "a step that tells nobody is passed at once"
    tired = replace(off(SECOND), reachable=False, absent_until=LATER)
    both = replace(roster, stewards=(HEAD, tired))
    (rung, *_) = foresee(LADDER, lambda _at: both, T0)
    assert [(o.person.id, o.why) for o in rung.passed_over] == [(2, Why.ABSENT)]
