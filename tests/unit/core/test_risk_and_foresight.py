"""Classes of risk, who stands in for whom, and that the explanation is what then happens."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from server.core.alerts import Alert, Item, Situation, StepDue, decide, open_beside
from server.core.explain import Why, foresee
from server.core.ladder import DEFAULT_LADDERS, SOS_LADDER, Ladder, Policy, Roster, Target
from server.core.risk import Because, age_on, apart, named_on_the_list, reasons, risk_class
from server.core.words import Kind
from tests.unit.core.people import (
    BEFRIENDER,
    DUTY,
    HE,
    LIN,
    MAI,
    ROSTER,
    SU,
    T0,
    Story,
    later,
    told,
)

BACK = T0 + timedelta(minutes=3)
LIN_AWAY = replace(LIN, reachable=False, absent_until=BACK)
HE_AWAY = replace(HE, reachable=False, absent_until=BACK)
SU_GONE = replace(SU, reachable=False)


@pytest.mark.parametrize(
    ("age", "living", "frail", "wanted"),
    [
        (90, "family", False, "A"), (89, "family", False, "B"), (80, "alone", False, "A"),
        (79, "alone", False, "B"), (65, "alone", True, "A"), (80, "couple", False, "B"),
        (70, "couple", True, "B"), (79, "couple", False, "C"), (66, "family", False, "C"),
    ],
)  # fmt: skip
def test_one_reason_makes_b_and_two_or_ninety_years_make_a(
    age: int, living: str, frail: bool, wanted: str
) -> None:
    """The rule at its edges: 80 years, alone, frail; any two with *alone*, or 90, are class A."""
    assert risk_class(age, living, frail) == wanted


@pytest.mark.parametrize(
    ("age", "living", "frail", "because"),
    [
        (92, "family", False, ["age_90"]), (84, "alone", True, ["age_80", "alone", "frail"]),
        (70, "alone", False, ["alone"]), (66, "couple", False, []),
    ],
)  # fmt: skip
def test_a_class_can_say_why(age: int, living: str, frail: bool, because: list[str]) -> None:
    """Staff who may overrule the rule see what it looked at."""
    assert reasons(age, living, frail) == tuple(Because(b) for b in because)


def test_somebody_born_on_29_february_is_older_on_1_march() -> None:
    """A year is full on the day, and in a common year on 1 March."""
    born = date(1944, 2, 29)
    assert [age_on(born, date(2026, 2, 28)), age_on(born, date(2026, 3, 1))] == [81, 82]


@pytest.mark.parametrize(
    ("high", "explained", "by_themselves", "in_one_text"),
    [
        (0, False, False, False), (1, False, True, False), (3, False, True, False),
        (4, False, True, True), (25, False, True, True), (1, True, False, False),
        (25, True, False, True),
    ],
)  # fmt: skip
def test_class_a_climbs_by_itself_unless_a_cause_explains_the_silence(
    high: int, explained: bool, by_themselves: bool, in_one_text: bool
) -> None:
    """However many they are; only a cause that staff see makes them one walk. More than three are
    named to the stewards in one text."""
    assert apart(high, explained=explained) is by_themselves
    assert named_on_the_list(high) is in_one_text


BEFRIENDED = replace(ROSTER, befrienders=(BEFRIENDER,))
FAST = DEFAULT_LADDERS[Policy.MISSED_HIGH_RISK]
TO_FRIENDS_FIRST = replace(FAST, steps=(
    replace(FAST.steps[0], targets=(Target.STEWARDS, Target.BEFRIENDERS)), *FAST.steps[1:],
))  # fmt: skip
# Each row: the ladder, the people, who is told at once, and after how long the next are, and who.
BESIDE = {
    "the stewards have the list; after their five minutes who has a key, then the desk": (
        FAST, BEFRIENDED, [], 300, [MAI.name, BEFRIENDER.name],
    ),
    "no steward can be told: at once": (
        FAST, replace(BEFRIENDED, stewards=()), [MAI.name, BEFRIENDER.name], 300, [DUTY.name],
    ),
    "nobody has a key: the desk after the stewards' five minutes": (
        FAST, replace(ROSTER, key_holders=()), [], 300, [DUTY.name],
    ),
    "the first step tells a friend as well: at once": (
        TO_FRIENDS_FIRST, BEFRIENDED, [BEFRIENDER.name], 300, [MAI.name, BEFRIENDER.name],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("ladder", "roster", "first", "after_s", "then"), BESIDE.values(), ids=BESIDE.keys()
)
def test_beside_the_list_the_ladder_begins_after_the_stewards(
    ladder: Ladder, roster: Roster, first: list[str], after_s: int, then: list[str]
) -> None:
    """Neither stewards nor substitutes are on it: they have the house's list."""
    alert = Alert(kind=Kind.MISSED, ladder=ladder, opened_at=T0, items=(Item(1, 1, "301"),))
    opened = open_beside(alert, roster, T0)
    assert [name for name, _ in told(opened)] == first
    assert opened.alert.next_step_at == later(after_s)
    due = decide(Situation(opened.alert, roster), StepDue(), later(after_s))
    assert [name for name, _ in told(due)] == then


def test_the_high_risk_ladder_is_faster_and_knows_who_has_a_key() -> None:
    """Class A is with the care centre before the ordinary list has left the stewards."""
    fast = DEFAULT_LADDERS[Policy.MISSED_HIGH_RISK]
    slow = DEFAULT_LADDERS[Policy.MISSED]
    assert sum(s.wait_s for s in fast.steps[:-1]) < slow.steps[0].wait_s
    assert any(Target.KEY_HOLDERS in s.targets for s in fast.steps)


@pytest.mark.parametrize(
    ("roster", "names"),
    [
        (ROSTER, [LIN, HE]),
        (replace(ROSTER, stewards=(LIN_AWAY, HE)), [HE, SU]),
        (replace(ROSTER, stewards=(LIN_AWAY, HE_AWAY)), [SU]),
        (replace(ROSTER, stewards=(LIN_AWAY, HE), substitutes=(SU_GONE,)), [HE]),
        (replace(ROSTER, stewards=(replace(LIN, reachable=False), HE)), [HE]),
    ],
    ids=["both there", "one away", "both away", "away, and nobody can stand in", "opted out"],
)
def test_a_substitute_stands_in_for_a_steward_who_is_away(
    roster: Roster, names: list[object]
) -> None:
    """Two are told: an absence is filled. An opt-out is no absence, but a fault to be mended."""
    assert list(roster.people((Target.STEWARDS,))) == names


def at_steps(roster: Roster, kind: Kind) -> list[tuple[datetime, list[str]]]:
    """What really happens when nobody answers: instants and names, by the alert's own rules."""
    story = Story(roster, kind)
    seen = [(T0, [n for n, _ in told(story.last)])]
    while not story.alert.exhausted:
        due = story.alert.next_step_at
        assert due is not None
        decision = story.after((due - T0).total_seconds(), StepDue())
        seen.append((due, [n for n, _ in told(decision)]))
    return seen


@pytest.mark.parametrize(
    "roster",
    [
        ROSTER,
        replace(ROSTER, stewards=(LIN_AWAY, HE)),
        replace(ROSTER, stewards=()),
        replace(ROSTER, stewards=(replace(LIN, reachable=False), replace(HE, reachable=False))),
        replace(ROSTER, stewards=(), substitutes=(), key_holders=()),
        Roster(duty=(DUTY,)),
    ],
    ids=["all", "one away", "no stewards", "both stopped", "only duty", "duty alone"],
)
def test_what_is_explained_is_what_happens(roster: Roster) -> None:
    """The foreseen instants and people are those of the alert's own decisions."""
    for kind, ladder in ((Kind.SOS, SOS_LADDER), (Kind.MISSED, DEFAULT_LADDERS[Policy.MISSED])):
        foreseen: dict[datetime, list[str]] = {}
        for rung in foresee(ladder, lambda _at: roster, T0, kind=kind):
            foreseen.setdefault(rung.at, []).extend(p.name for p in rung.told)
        assert list(foreseen.items()) == at_steps(roster, kind)


def test_an_absence_that_ends_while_the_ladder_climbs_is_seen() -> None:
    """Each step is explained with the people of its own minute."""
    away = replace(ROSTER, stewards=(LIN_AWAY, HE))
    rungs = foresee(SOS_LADDER, lambda at: away if at < BACK else ROSTER, later(0))
    passed_over = [[o.person.name for o in r.passed_over] for r in rungs]
    assert passed_over == [[LIN.name], [LIN.name], [], [], []]
    assert rungs[0].passed_over[0].until == BACK
    assert LIN not in rungs[1].told


def test_each_who_is_passed_over_has_a_reason() -> None:
    """Absent (until when), or opted out; and a target behind which nobody stands is named."""
    roster = replace(ROSTER, stewards=(LIN_AWAY, HE), substitutes=(SU_GONE,), key_holders=())
    first, second, third, *_ = foresee(SOS_LADDER, lambda _at: roster, T0)
    assert [(o.person.name, o.why) for o in first.passed_over] == [
        (LIN.name, Why.ABSENT), (SU.name, Why.OPTED_OUT),
    ]  # fmt: skip
    assert second.nobody == (Target.KEY_HOLDERS, Target.BEFRIENDERS)
    assert MAI not in second.told
    assert (third.passed_over, third.nobody) == ((), ())


def test_the_duty_is_whoever_is_on_shift_and_everybody_where_nobody_is() -> None:
    """Two on shift are told, the third is passed over with the hour of their next shift; are both
    away, all of duty is told: better woken than unheard."""
    on = replace(DUTY, shift_changes_at=later(7200))
    second = replace(on, id=8, name="陈秀英")
    off = replace(DUTY, id=9, name="冯婉华", on_shift=False, shift_changes_at=later(7200))
    roster = replace(ROSTER, duty=(on, second, off))
    assert roster.people((Target.DUTY,)) == (on, second)
    rung = foresee(SOS_LADDER, lambda _at: roster, T0)[2]
    assert [(o.person, o.why, o.until) for o in rung.passed_over] == [
        (off, Why.OFF_SHIFT, later(7200))
    ]
    both_away = tuple(replace(p, reachable=False, absent_until=BACK) for p in (on, second))
    assert replace(ROSTER, duty=(*both_away, off)).people((Target.DUTY,)) == (off,)
    assert replace(ROSTER, duty=(off,)).people((Target.DUTY,)) == (off,)
