"""The life of an alert: `decide(situation, event, now)` is the one place where it changes.

Each branch returns a named reason, the alert as it is afterwards, and what follows from that
(people to tell, words for the terminal). Nothing is sent here: the caller saves the decision with
its effects in one transaction, and only then does anything leave the house.

To change an escalation rule: edit the ladder (ladder.py) or one `_on_…` function below, and the
table of cases in tests/unit/core/test_alerts.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from server.core.ladder import Ladder, Person, Roster, Target
from server.core.words import UNREACHED, Delivery, Kind, Outcome, Role, State, Template

AGAIN_EVERY = timedelta(seconds=60)
"""A resident who keeps pressing is shown every time; those on their way get one SMS a minute."""


class Reason(StrEnum):
    """Why a decision came out as it did; journalled, and what the tests speak of."""

    CLIMBED = "climbed"
    REPEATED = "repeated"
    NOT_DUE = "not_due"
    ACCEPTED = "accepted"
    JOINED = "joined"
    ALREADY_DONE = "already_done"
    DECLINED = "declined"
    LEASE_LAPSED = "lease_lapsed"
    REMINDED = "reminded"
    ARRIVED = "arrived"
    RESOLVED = "resolved"
    ALREADY_RESOLVED = "already_resolved"
    PRESSED_AGAIN = "pressed_again"
    CANCELLED_BY_RESIDENT = "cancelled_by_resident"
    ITEM_SETTLED = "item_settled"
    ITEM_ADDED = "item_added"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Responder:
    """A person who said "I am going". The first of an alert's responders leads."""

    person_id: int | None
    """None for the care centre's own operators, who are accounts and not contacts."""
    name: str
    role: Role
    accepted_at: datetime
    on_scene_at: datetime | None = None

    def is_(self, actor: "Actor") -> bool:
        """Whether this responder and `actor` are the same person."""
        return (self.person_id, self.name) == (actor.person_id, actor.name)


@dataclass(frozen=True, slots=True)
class Actor:
    """The person who acts on an alert."""

    person_id: int | None
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Item:
    """One flat's resident in a missed round. `outcome` is None while nobody has looked."""

    resident_id: int
    flat_id: int
    label: str
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as the rules see it."""

    kind: Kind
    ladder: Ladder | None
    opened_at: datetime
    state: State = State.OPEN
    step: int = 0
    """Index of the ladder's next step; the number of steps means: exhausted, and repeating."""
    repeats: int = 0
    next_step_at: datetime | None = None
    responders: tuple[Responder, ...] = ()
    lease_until: datetime | None = None
    presses: int = 1
    again_at: datetime | None = None
    cancelled_by_resident: bool = False
    items: tuple[Item, ...] = ()
    outcome: Outcome | None = None
    note: str = ""
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    fall: bool = False

    @property
    def exhausted(self) -> bool:
        """Every step is taken and nobody has accepted: red until a person does."""
        return (
            self.ladder is not None
            and self.state is State.OPEN
            and self.step >= len(self.ladder.steps)
        )


@dataclass(frozen=True, slots=True)
class Situation:
    """An alert, who could be told now, and what became of the messages so far."""

    alert: Alert
    roster: Roster
    told: Mapping[int, Delivery] = field(default_factory=dict)
    """person id → the best state of any message to them about this alert."""


# What can happen to an alert.


@dataclass(frozen=True, slots=True)
class StepDue:
    """The alert's `next_step_at` has come (or is said to have: a stale bell does nothing)."""


@dataclass(frozen=True, slots=True)
class Escalate:
    """An operator wants the next step now."""

    actor: Actor


@dataclass(frozen=True, slots=True)
class Accept:
    """"I am going." """

    actor: Actor


@dataclass(frozen=True, slots=True)
class Decline:
    """"I can't go." """

    actor: Actor


@dataclass(frozen=True, slots=True)
class Arrive:
    """"I am at the door." """

    actor: Actor


@dataclass(frozen=True, slots=True)
class Resolve:
    """A person says how it ended."""

    actor: Actor
    outcome: Outcome
    note: str = ""


@dataclass(frozen=True, slots=True)
class PressedAgain:
    """The resident pressed once more while the alert was open."""

    fall: bool = False


@dataclass(frozen=True, slots=True)
class ResidentCancelled:
    """The resident pressed *cancel*: information for those who go, never the end."""


@dataclass(frozen=True, slots=True)
class DeliveryFailed:
    """A message to this person did not and will not arrive."""

    person_id: int


@dataclass(frozen=True, slots=True)
class SettleItem:
    """One flat of a missed round is settled: by a person (`actor`), or by the resident's own late
    check-in (`actor` None, outcome CHECKED_IN)."""

    resident_id: int
    outcome: Outcome
    actor: Actor | None = None


@dataclass(frozen=True, slots=True)
class AddItems:
    """More flats of the same round turned out to be missed."""

    items: tuple[Item, ...]


Event = (
    StepDue | Escalate | Accept | Decline | Arrive | Resolve | PressedAgain | ResidentCancelled
    | DeliveryFailed | SettleItem | AddItems
)  # fmt: skip


# What follows from a decision.


@dataclass(frozen=True, slots=True)
class Tell:
    """One message to one person. `step` and `attempt` make it unique in the outbox."""

    person: Person
    template: Template
    step: int
    attempt: int = 0
    about: str = ""
    """A name, label or outcome the words need."""


@dataclass(frozen=True, slots=True)
class HelpComing:
    """Tell the terminal who is on the way. Only ever after a person accepted."""

    responder: Responder


@dataclass(frozen=True, slots=True)
class TellTerminalResolved:
    """Tell the terminal that the matter is closed."""


@dataclass(frozen=True, slots=True)
class CancelQueued:
    """Messages that ask for help and have not left yet are no longer true."""


Effect = Tell | HelpComing | TellTerminalResolved | CancelQueued


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and why."""

    reason: Reason
    alert: Alert
    effects: tuple[Effect, ...] = ()


def decide(s: Situation, event: Event, now: datetime) -> Decision:
    """The next state of `s.alert` after `event`. Pure and total; never raises on any pair."""
    if s.alert.state is State.RESOLVED:
        return Decision(Reason.ALREADY_RESOLVED, s.alert)
    match event:
        case StepDue():
            return _on_step_due(s, now)
        case Escalate():
            return _on_escalate(s, now)
        case Accept(actor):
            return _on_accept(s, actor, now)
        case Decline(actor):
            return _on_decline(s, actor, now)
        case Arrive(actor):
            return _on_arrive(s, actor, now)
        case Resolve(actor, outcome, note):
            return _on_resolve(s, actor, outcome, note, now)
        case PressedAgain(fall):
            return _on_pressed_again(s, fall, now)
        case ResidentCancelled():
            return _on_cancelled(s)
        case DeliveryFailed(person_id):
            return _on_delivery_failed(s, person_id, now)
        case SettleItem(resident_id, outcome, by):
            return _on_settle_item(s, resident_id, outcome, by, now)
        case AddItems(items):
            known = {i.resident_id for i in s.alert.items}
            new = tuple(i for i in items if i.resident_id not in known)
            return Decision(Reason.ITEM_ADDED, replace(s.alert, items=s.alert.items + new))
        case _:
            assert_never(event)


def open_alert(alert: Alert, roster: Roster, now: datetime) -> Decision:
    """The first step of a new alert, taken in the same breath as opening it."""
    return climb(Situation(alert, roster), now)


def call_for(alert: Alert, step: int) -> Template:
    """The words that ask for help at `step`: what happened, or that nobody has answered yet."""
    if alert.kind is Kind.MISSED:
        return Template.MISSED
    assert alert.ladder is not None
    if alert.ladder.steps[step].targets == (Target.DUTY,):
        return Template.DUTY
    return Template.FALL if alert.fall else Template.SOS


def climb(s: Situation, now: datetime, *, until_duty: bool = False) -> Decision:
    """Take the next step, and at once the one after it where a step has nobody to tell.

    `until_duty`: go on until a step that tells the care centre has been taken.
    When the ladder is exhausted its last step is repeated: an alarm that nobody accepted goes on.
    """
    alert = s.alert
    if alert.ladder is None:  # faults are for the staff's screen alone
        return Decision(Reason.NOT_DUE, replace(alert, next_step_at=None))
    steps = alert.ladder.steps
    effects: list[Effect] = []
    if alert.step >= len(steps):
        repeats = alert.repeats + 1
        last = len(steps) - 1
        people = s.roster.people(steps[last].targets)
        effects += [Tell(p, call_for(alert, last), last, repeats) for p in people]
        alert = replace(
            alert, repeats=repeats, next_step_at=now + timedelta(seconds=steps[last].wait_s)
        )
        return Decision(Reason.REPEATED, alert, tuple(effects))
    for index in range(alert.step, len(steps)):
        step = steps[index]
        people = s.roster.people(step.targets)
        effects += [Tell(p, call_for(alert, index), index) for p in people]
        alert = replace(alert, step=index + 1, next_step_at=now + timedelta(seconds=step.wait_s))
        if people and not (until_duty and Target.DUTY not in step.targets):
            break
    return Decision(Reason.CLIMBED, alert, tuple(effects))


def _on_escalate(s: Situation, now: datetime) -> Decision:
    decision = climb(s, now)
    if s.alert.state is not State.ACCEPTED:
        return decision
    # More people are called, yet whoever is on the way keeps the time they were given.
    return replace(decision, alert=replace(decision.alert, next_step_at=s.alert.next_step_at))


def _others(s: Situation, *but: int | None) -> list[Person]:
    """Those already told of this alert and still reachable, except `but`."""
    return [
        p for p in s.roster.everyone() if p.id in s.told and p.id not in but and p.reachable
    ]


def _lead(alert: Alert) -> Responder | None:
    return alert.responders[0] if alert.responders else None


def _person(s: Situation, person_id: int | None) -> Person | None:
    return next((p for p in s.roster.everyone() if p.id == person_id and p.reachable), None)


def _on_step_due(s: Situation, now: datetime) -> Decision:
    alert = s.alert
    if alert.next_step_at is None or now < alert.next_step_at:
        return Decision(Reason.NOT_DUE, alert)
    if alert.state is State.OPEN:
        return climb(s, now)
    assert alert.ladder is not None
    if alert.state is State.ACCEPTED:
        # Nobody came to the door within the lease: the promise is void, the ladder climbs again.
        reopened = replace(alert, state=State.OPEN, responders=(), lease_until=None)
        decision = climb(replace(s, alert=reopened), now)
        reminders = tuple(
            Tell(p, Template.LAPSED, alert.step, _attempt(alert, r))
            for r in alert.responders
            if (p := _person(s, r.person_id)) is not None
        )
        return replace(decision, reason=Reason.LEASE_LAPSED, effects=reminders + decision.effects)
    # On scene, and long silent: ask the care centre to look, the responder is at the door.
    later = now + timedelta(seconds=alert.ladder.on_scene_s)
    repeats = alert.repeats + 1
    last = len(alert.ladder.steps) - 1
    duty = s.roster.people((Target.DUTY,))
    return Decision(
        Reason.REMINDED,
        replace(alert, next_step_at=later, repeats=repeats),
        tuple(Tell(p, Template.DUTY, last, repeats) for p in duty),
    )


def _attempt(alert: Alert, responder: Responder) -> int:
    """Seconds from opening to acceptance: tells one promise of a person from their next one."""
    return int((responder.accepted_at - alert.opened_at).total_seconds())


def _on_accept(s: Situation, actor: Actor, now: datetime) -> Decision:
    alert = s.alert
    if any(r.is_(actor) for r in alert.responders):
        return Decision(Reason.ALREADY_DONE, alert)
    mine = Responder(actor.person_id, actor.name, actor.role, now)
    lead = _lead(alert)
    alert = replace(alert, responders=(*alert.responders, mine))
    effects: list[Effect] = []
    confirm = Template.CONFIRM_MISSED if alert.kind is Kind.MISSED else Template.CONFIRM
    if (person := _person(s, actor.person_id)) is not None:
        effects.append(Tell(person, confirm, alert.step, _attempt(alert, mine)))
    effects += [
        Tell(p, Template.OTHER_GOES, alert.step, _attempt(alert, mine), about=actor.name)
        for p in _others(s, actor.person_id)
    ]
    if lead is not None:  # a second pair of hands is welcome; the first still leads
        return Decision(Reason.JOINED, alert, tuple(effects))
    lease = timedelta(seconds=alert.ladder.lease_s) if alert.ladder else None
    until = now + lease if lease else None
    alert = replace(alert, state=State.ACCEPTED, lease_until=until, next_step_at=until)
    return Decision(Reason.ACCEPTED, alert, (*effects, HelpComing(mine)))


def _on_decline(s: Situation, actor: Actor, now: datetime) -> Decision:
    alert = s.alert
    rest = tuple(r for r in alert.responders if not r.is_(actor))
    if alert.state is State.ON_SCENE and rest:
        return Decision(Reason.DECLINED, replace(alert, responders=rest))
    if rest:
        return Decision(
            Reason.DECLINED, replace(alert, responders=rest), (HelpComing(rest[0]),)
        )
    # Nobody else is going: a "can't" is worth more than the rest of the wait.
    freed = replace(alert, state=State.OPEN, responders=(), lease_until=None)
    roster = replace(
        s.roster,
        **{
            group: tuple(p for p in getattr(s.roster, group) if p.id != actor.person_id)
            for group in ("stewards", "substitutes", "key_holders")
        },
    )
    return replace(climb(Situation(freed, roster, s.told), now), reason=Reason.DECLINED)


def _on_arrive(s: Situation, actor: Actor, now: datetime) -> Decision:
    alert = s.alert
    known = next((r for r in alert.responders if r.is_(actor)), None)
    if known is not None and known.on_scene_at is not None:
        return Decision(Reason.ALREADY_DONE, alert)
    effects: tuple[Effect, ...] = ()
    if known is None:  # went straight there without saying so first: both facts are recorded
        accepted = _on_accept(s, actor, now)
        alert, effects = accepted.alert, accepted.effects
    responders = tuple(
        replace(r, on_scene_at=now) if r.is_(actor) else r for r in alert.responders
    )
    wait_s = alert.ladder.on_scene_s if alert.ladder else None
    alert = replace(
        alert,
        state=State.ON_SCENE,
        responders=responders,
        lease_until=None,
        next_step_at=now + timedelta(seconds=wait_s) if wait_s else None,
    )
    return Decision(Reason.ARRIVED, alert, effects)


def _on_resolve(
    s: Situation, actor: Actor | None, outcome: Outcome, note: str, now: datetime
) -> Decision:
    items = tuple(replace(i, outcome=outcome) if i.outcome is None else i for i in s.alert.items)
    alert = replace(
        s.alert,
        state=State.RESOLVED,
        items=items,
        outcome=outcome,
        note=note,
        resolved_at=now,
        resolved_by=actor.name if actor else None,
        next_step_at=None,
        lease_until=None,
    )
    by = actor.person_id if actor else None
    if outcome is Outcome.CHECKED_IN:
        words, about = Template.CHECKED_IN, "all"
    else:
        words, about = Template.CLOSED, outcome.value
    tell = tuple(Tell(p, words, alert.step, about=about) for p in _others(s, by))
    return Decision(
        Reason.RESOLVED, alert, (CancelQueued(), *tell, TellTerminalResolved())
    )


def _on_pressed_again(s: Situation, fall: bool, now: datetime) -> Decision:
    alert = replace(s.alert, presses=s.alert.presses + 1, fall=s.alert.fall or fall)
    quiet = alert.again_at is not None and now < alert.again_at + AGAIN_EVERY
    if alert.state is State.OPEN or quiet:  # open: the ladder is already calling
        return Decision(Reason.PRESSED_AGAIN, alert)
    tell = tuple(
        Tell(p, Template.AGAIN, alert.step, alert.presses)
        for r in alert.responders
        if (p := _person(s, r.person_id)) is not None
    )
    return Decision(Reason.PRESSED_AGAIN, replace(alert, again_at=now), tell)


def _on_cancelled(s: Situation) -> Decision:
    if s.alert.cancelled_by_resident:
        return Decision(Reason.ALREADY_DONE, s.alert)
    alert = replace(s.alert, cancelled_by_resident=True)
    tell = tuple(Tell(p, Template.CANCELLED, alert.step) for p in _others(s))
    return Decision(Reason.CANCELLED_BY_RESIDENT, alert, tell)


def _on_delivery_failed(s: Situation, person_id: int, now: datetime) -> Decision:
    """One steward reached is enough to wait for; with none, the care centre hears at once."""
    alert = s.alert
    if alert.state is not State.OPEN or alert.ladder is None or alert.exhausted:
        return Decision(Reason.UNREACHABLE, alert)
    told = {**s.told, person_id: s.told.get(person_id, Delivery.FAILED)}
    gone = {p.id for p in s.roster.everyone() if not p.reachable}  # opted out since
    if not all(state in UNREACHED or person in gone for person, state in told.items()):
        return Decision(Reason.UNREACHABLE, alert)
    return replace(climb(s, now, until_duty=True), reason=Reason.UNREACHABLE)


def _on_settle_item(
    s: Situation, resident_id: int, outcome: Outcome, actor: Actor | None, now: datetime
) -> Decision:
    alert = s.alert
    item = next((i for i in alert.items if i.resident_id == resident_id), None)
    if item is None or item.outcome is not None:
        return Decision(Reason.ALREADY_DONE, alert)
    items = tuple(
        replace(i, outcome=outcome) if i.resident_id == resident_id else i for i in alert.items
    )
    alert = replace(alert, items=items)
    if all(i.outcome is not None for i in items):
        return _on_resolve(replace(s, alert=alert), actor, outcome, "", now)
    if actor is not None:
        return Decision(Reason.ITEM_SETTLED, alert)
    tell = tuple(
        Tell(p, Template.CHECKED_IN, alert.step, resident_id, about=item.label)
        for p in _others(s)
    )
    return Decision(Reason.ITEM_SETTLED, alert, tell)
