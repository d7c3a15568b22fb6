"""Any sequence of events whatever: what must hold in every night, held by a state machine."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from server.core.alerts import (
    NEWS_EVERY,
    Accept,
    AddItems,
    Arrive,
    CancelQueued,
    CheckedIn,
    Decision,
    Decline,
    DeliveryFailed,
    Escalate,
    Item,
    PressedAgain,
    Reason,
    ResidentCancelled,
    Resolve,
    SettleItem,
    StepDue,
    Tell,
    WithdrawNews,
)
from server.core.words import (
    GRAVITY,
    OUTCOMES_OF_PEOPLE,
    Delivery,
    Kind,
    Outcome,
    State,
    Template,
)
from tests.unit.core.people import DUTY, HE, LIN, MAI, OPERATOR, ROSTER, SU, T0, Story, actor

PEOPLE = st.sampled_from([LIN, HE, SU, MAI, DUTY])


class AnyNight(RuleBasedStateMachine):
    """One SOS, five people and an operator, and whatever they do."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()
        self.now_s = 0.0
        self.ended_by_a_person = False
        self.seen: set[tuple] = set()
        self._remember()

    def _do(self, event: object) -> None:
        self.story.after(self.now_s, event)
        self._remember()

    def _remember(self) -> None:
        for e in self.story.last.effects:
            if isinstance(e, Tell):
                key = (e.person.id, e.template, e.step, e.attempt)
                assert self.story.last.reason is not Reason.NOT_DUE
                self.seen.add(key)

    @rule(seconds=st.floats(0.1, 1200))
    def time_passes(self, seconds: float) -> None:
        """The bell rings a while later."""
        self.now_s += seconds
        self._do(StepDue())

    @rule(person=PEOPLE)
    def accepts(self, person: object) -> None:
        """Somebody goes."""
        self._do(Accept(actor(person)))

    @rule(person=PEOPLE)
    def declines(self, person: object) -> None:
        """Somebody can't."""
        self._do(Decline(actor(person)))

    @rule(person=PEOPLE)
    def arrives(self, person: object) -> None:
        """Somebody is at the door."""
        self._do(Arrive(actor(person)))

    @rule(person=PEOPLE)
    def message_fails(self, person: object) -> None:
        """A message does not arrive."""
        if person.id in self.story.told:
            self.story.undelivered(person)
            self._do(DeliveryFailed(person.id))

    @rule(person=PEOPLE)
    def message_arrives_after_all(self, person: object) -> None:
        """A later message arrives."""
        if person.id in self.story.told:
            self.story.told[person.id] = Delivery.DELIVERED

    @rule()
    def pressed_again(self) -> None:
        """The resident presses once more."""
        self._do(PressedAgain())

    @rule()
    def cancelled(self) -> None:
        """The resident cancels."""
        self._do(ResidentCancelled())

    @rule()
    def escalated(self) -> None:
        """An operator wants more people."""
        self._do(Escalate(OPERATOR))

    @rule()
    def resolved(self) -> None:
        """The care centre closes it."""
        self._do(Resolve(OPERATOR, Outcome.HELPED))
        self.ended_by_a_person = True

    @invariant()
    def closed_only_by_a_person(self) -> None:
        """No sequence of timers, failures or presses closes an SOS."""
        closed = self.story.alert.state is State.RESOLVED
        assert closed == self.ended_by_a_person
        assert not closed or (self.story.alert.outcome and self.story.alert.resolved_by)

    @invariant()
    def never_forgotten(self) -> None:
        """While open it always has a next time at which somebody is told."""
        alert = self.story.alert
        if alert.state is not State.RESOLVED:
            assert alert.next_step_at is not None
            assert alert.next_step_at <= T0 + timedelta(seconds=self.now_s + 20 * 60)

    @invariant()
    def a_promise_has_a_person(self) -> None:
        """Accepted or on scene means that a responder stands behind it; open means that none."""
        alert = self.story.alert
        if alert.state in (State.ACCEPTED, State.ON_SCENE):
            assert alert.responders
        if alert.state is State.OPEN:
            assert not alert.responders
        if alert.state is State.ON_SCENE:
            assert alert.lease_until is None
            assert any(r.on_scene_at for r in alert.responders)

    @invariant()
    def everybody_reachable_is_told_in_the_end(self) -> None:
        """An exhausted ladder has told every reachable person on it."""
        if self.story.alert.exhausted and not self.story.alert.repeats:
            everyone = {p.id for p in ROSTER.everyone()}
            declined = {LIN.id, HE.id, SU.id, MAI.id} - self.story.told.keys()
            assert everyone - declined <= self.story.told.keys()


DOORS = (1, 2, 3, 4, 5, 6, 7, 8)
WALKERS = st.sampled_from([LIN, HE, SU])
SOME = st.sets(st.sampled_from(DOORS), max_size=4)
OUTCOMES = st.sampled_from(OUTCOMES_OF_PEOPLE)


class AnyRound(RuleBasedStateMachine):
    """One worklist, those who walk it, the desk, and residents who check in after all."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.ends: dict[int, Outcome] = {}
        self.listed = {1, 2, 3}
        self.waiting: list[Tell] = []
        """Texts that the list is shorter which have not left yet."""
        self.left: dict[int, list[float]] = {}
        """Person → when such texts left for them."""
        self.story = Story(kind=Kind.MISSED, items=tuple(map(self.item, sorted(self.listed))))

    @staticmethod
    def item(door: int) -> Item:
        """A resident, two of whom share a flat."""
        return Item(door, min(door, 7), f"{min(door, 7)}01")

    def _do(self, event: object) -> Decision:
        before = self.story.alert
        decision = self.story.after(self.now_s, event)
        for effect in decision.effects:
            match effect:
                case WithdrawNews() | CancelQueued():
                    self.waiting = []
                case Tell(template=Template.FEWER):
                    self.waiting.append(effect)
        if before.state is State.RESOLVED:
            assert decision.reason is Reason.ALREADY_RESOLVED
        self._leave()
        return decision

    def _leave(self) -> None:
        """What may leave by now leaves."""
        for tell in self.waiting:
            assert tell.not_before is not None
            at = (tell.not_before - T0).total_seconds()
            if at <= self.now_s:
                self.left.setdefault(tell.person.id, []).append(at)
        self.waiting = [
            t for t in self.waiting if (t.not_before - T0).total_seconds() > self.now_s
        ]

    def _open(self) -> bool:
        return self.story.alert.state is not State.RESOLVED

    @rule(seconds=st.floats(0.1, 1800))
    def time_passes(self, seconds: float) -> None:
        """The bell rings a while later."""
        self.now_s += seconds
        self._leave()
        self._do(StepDue())

    @rule(person=WALKERS)
    def accepts(self, person: object) -> None:
        """Somebody walks the list."""
        self._do(Accept(actor(person)))
        if self._open():
            assert person.id not in self.story.alert.declined

    @rule(person=WALKERS)
    def declines(self, person: object) -> None:
        """Somebody can't; the second time nothing follows."""
        goes = any(r.person_id == person.id for r in self.story.alert.responders)
        again = person.id in self.story.alert.declined and not goes
        step = self.story.alert.step
        decision = self._do(Decline(actor(person)))
        if self._open() and again:
            assert (decision.reason, decision.effects) == (Reason.ALREADY_DONE, ())
            assert self.story.alert.step == step

    @rule(person=WALKERS)
    def arrives(self, person: object) -> None:
        """Somebody is in the house."""
        self._do(Arrive(actor(person)))

    @rule(residents=SOME)
    def check_in(self, residents: set[int]) -> None:
        """Residents speak for themselves, listed or not, again or for the first time."""
        if self._open():
            for r in residents & self.listed:
                self.ends.setdefault(r, Outcome.CHECKED_IN)
        self._do(CheckedIn(residents))

    @rule(resident=st.sampled_from(DOORS), outcome=OUTCOMES, person=WALKERS)
    def ticks(self, resident: int, outcome: Outcome, person: object) -> None:
        """Somebody has been at a door."""
        if self._open() and resident in self.listed:
            self.ends.setdefault(resident, outcome)
        self._do(SettleItem(resident, outcome, actor(person)))

    @rule(residents=SOME)
    def more_are_missed(self, residents: set[int]) -> None:
        """A second sweep of the same round finds more, or the same."""
        if self._open():
            self.listed |= residents
        self._do(AddItems(tuple(map(self.item, sorted(residents)))))

    @rule(outcome=OUTCOMES)
    def closes(self, outcome: Outcome) -> None:
        """The desk says how the rest of it is."""
        if self._open():
            for r in self.listed:
                self.ends.setdefault(r, outcome)
        self._do(Resolve(OPERATOR, outcome))

    @invariant()
    def each_door_keeps_its_own_first_end(self) -> None:
        """Whatever comes later changes no end, and every listed door is on the list once."""
        items = self.story.alert.items
        assert sorted(i.resident_id for i in items) == sorted(self.listed)
        assert {i.resident_id: i.outcome for i in items if i.outcome} == self.ends

    @invariant()
    def it_ends_with_its_last_door_and_as_the_gravest(self) -> None:
        """Closed exactly when no door is left (or somebody closed it whole)."""
        alert = self.story.alert
        done = self.ends.keys() == self.listed
        assert (alert.state is State.RESOLVED) == done
        if done:
            assert alert.outcome is max(self.ends.values(), key=GRAVITY.index)
            assert alert.next_step_at is None
            assert not self.waiting, "nobody hears who is left when nobody is"
        else:
            assert alert.next_step_at is not None

    @invariant()
    def nobody_is_texted_at_every_door(self) -> None:
        """Texts that the list is shorter are ten minutes apart."""
        for times in self.left.values():
            gaps = [b - a for a, b in pairwise(times)]
            assert all(gap >= NEWS_EVERY.total_seconds() - 0.001 for gap in gaps), times


AnyRound.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyRound = AnyRound.TestCase
AnyNight.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyNight = AnyNight.TestCase
