"""Any sequence of events whatever: what must hold in every night, held by a state machine."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from server.core.alerts import (
    Accept,
    Arrive,
    Decline,
    DeliveryFailed,
    Escalate,
    PressedAgain,
    Reason,
    ResidentCancelled,
    Resolve,
    StepDue,
    Tell,
)
from server.core.words import Delivery, Outcome, State
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


AnyNight.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyNight = AnyNight.TestCase
