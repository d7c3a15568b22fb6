"""The life of an alert: `decide(situation, event, now)` is the one place where it changes.

Each branch returns a named reason, the alert as it is afterwards, and what follows from that
(people to tell, words for the terminal). Nothing is sent here: the caller saves the decision with
its effects in one transaction, and only then does anything leave the house.

To change an escalation rule: edit the ladder (ladder.py) or one `_on_…` function below, and the
table of cases in tests/unit/core/test_alerts.py.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from server.core.alert import (
    Accept,
    Actor,
    AddItems,
    Alert,
    Arrive,
    CancelQueued,
    CheckedIn,
    Decision,
    Decline,
    DeliveryFailed,
    Effect,
    Escalate,
    Event,
    HelpComing,
    Item,
    PressedAgain,
    Reason,
    ResidentCancelled,
    Resolve,
    Responder,
    SettleItem,
    Situation,
    StepDue,
    Tell,
    TellTerminalResolved,
    WithdrawNews,
)  # fmt: skip
from server.core.delivery import Remedy
from server.core.ladder import Person, Roster, Target
from server.core.words import (
    DESKS,
    GRAVITY,
    UNREACHED,
    Channel,
    Delivery,
    Kind,
    Outcome,
    Role,
    State,
    Template,
)

__all__ = [  # decisions and the nouns they are made of: callers need one import
    "AGAIN_EVERY", "Accept", "Actor", "AddItems", "Alert", "Arrive", "CancelQueued", "CheckedIn",
    "Decision", "Decline", "DeliveryFailed", "Effect", "Escalate", "Event", "HelpComing", "Item",
    "PressedAgain", "Reason", "ResidentCancelled", "Resolve", "Responder", "SettleItem",
    "Situation", "StepDue", "Tell", "TellTerminalResolved", "WithdrawNews", "call_for", "climb",
    "decide", "duty_hears", "open_alert", "open_beside",
]  # fmt: skip

AGAIN_EVERY = timedelta(seconds=60)
"""A resident who keeps pressing is shown every time; those on their way get one SMS a minute."""
NEWS_EVERY = timedelta(minutes=10)
"""Those told of a worklist hear of late check-ins this often at most, and of the last at once."""
NEWS_SETTLES = timedelta(minutes=2)
"""On a long list one late check-in is seldom the only one: when the lights return, all come at
once. So long do we wait for the others; is the list done by then, its end is all that is told."""
LONG_LIST = 5
"""A list of more flats than this is long."""


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
        case PressedAgain():
            return _on_pressed_again(s, event, now)
        case ResidentCancelled():
            return _on_cancelled(s)
        case DeliveryFailed():
            return _on_delivery_failed(s, event, now)
        case SettleItem(resident_id, outcome, by):
            return _on_settled(s, (resident_id,), outcome, by, now)
        case CheckedIn(residents):
            return _on_settled(s, residents, Outcome.CHECKED_IN, None, now)
        case AddItems(items):
            known = {i.resident_id for i in s.alert.items}
            new = tuple(i for i in items if i.resident_id not in known)
            return Decision(Reason.ITEM_ADDED, replace(s.alert, items=s.alert.items + new))
        case _:
            assert_never(event)


def open_alert(alert: Alert, roster: Roster, now: datetime) -> Decision:
    """The first step of a new alert, taken in the same breath as opening it. A press whose first
    step can tell nobody (both stewards have opted out) is the care centre's within seconds."""
    s = Situation(alert, roster)
    lost = alert.kind is Kind.SOS and alert.ladder is not None and not _call(s, 0)
    return climb(s, now, until_duty=lost)


def open_beside(alert: Alert, roster: Roster, now: datetime) -> Decision:
    """The first step of an alert whose resident is named on the house's worklist as well: its
    stewards hear of it by that. So it waits as long as they would be waited for, and goes on with
    who has a key. Are there no stewards to tell, or others whom its first step names, it begins at
    once."""
    assert alert.ladder is not None
    first = alert.ladder.steps[0]
    s = Situation(replace(alert, ladder=alert.ladder.beside_the_list()), roster)
    if _call(s, 0) or not roster.people(first.targets):
        return climb(s, now)
    waits = replace(s.alert, step=1, next_step_at=now + timedelta(seconds=first.wait_s))
    return Decision(Reason.LISTED, waits)


def call_for(alert: Alert, role: Role) -> Template:
    """The words that ask somebody in this role for help: a neighbour hears what happened, a desk
    that nobody has answered yet."""
    if alert.kind is Kind.MISSED:
        return Template.MISSED
    if role in DESKS:
        return Template.DUTY
    return Template.FALL if alert.fall else Template.SOS


def climb(s: Situation, now: datetime, *, until_duty: bool = False) -> Decision:
    """Take the next step, and at once the one after it where a step has nobody to tell.

    `until_duty`: go on until a step that tells the care centre has been taken.
    When the ladder is exhausted its last step is repeated: an alarm that nobody accepted goes on.
    While nothing has ever left the house, everybody is called again, by every channel.
    """
    alert = s.alert
    if alert.ladder is None:  # faults are for the staff's screen alone
        return Decision(Reason.NOT_DUE, replace(alert, next_step_at=None))
    steps = alert.ladder.steps
    effects: list[Effect] = []
    if alert.step >= len(steps):
        repeats = alert.repeats + 1
        last = len(steps) - 1
        again = _call(s, last, repeats) if _left(s) else _call_all(s, repeats)
        # What has not left yet need not be said twice: a queue must not feed itself.
        effects += [t for t in again if t.person.id not in s.waiting]
        effects += _ring_the_unconfirmed(s, last, effects)
        alert = replace(
            alert, repeats=repeats, next_step_at=now + timedelta(seconds=steps[last].wait_s)
        )
        return Decision(Reason.REPEATED, alert, tuple(effects))
    for index in range(alert.step, len(steps)):
        step = steps[index]
        calls = _call(s, index, alert.repeats)  # 0, but for a mended alert that climbs anew
        effects += calls
        alert = replace(alert, step=index + 1, next_step_at=now + timedelta(seconds=step.wait_s))
        if calls and not (until_duty and Target.DUTY not in step.targets):
            break
    effects += _ring_the_unconfirmed(s, alert.step - 1, effects)
    return Decision(Reason.CLIMBED, alert, tuple(effects))


def _confirmed(s: Situation) -> bool:
    """Whether any message is known to have arrived. "Sent" is only the provider's good hope."""
    return Delivery.DELIVERED in s.told.values()


def _left(s: Situation) -> bool:
    """Whether any message was taken by a provider at all."""
    return any(state in (Delivery.SENT, Delivery.DELIVERED) for state in s.told.values())


def _call_all(s: Situation, attempt: int) -> list[Tell]:
    """Everybody on the ladder, each once, by every channel: better twice than nobody."""
    assert s.alert.ladder is not None
    ladder = s.alert.ladder.ringing()
    found: dict[tuple[int, Channel], Tell] = {}
    for index in range(len(ladder.steps)):
        for tell in _call(replace(s, alert=replace(s.alert, ladder=ladder)), index, attempt):
            found.setdefault((tell.person.id, tell.channel), tell)
    return list(found.values())


def _ring_the_unconfirmed(s: Situation, step: int, calls: Sequence[Effect]) -> list[Tell]:
    """When no message is known to have arrived, those told so far are rung as well: whether a
    text without a receipt lies on a phone, nobody can say."""
    if not s.told or _confirmed(s):
        return []
    rung = {t.person.id for t in calls if isinstance(t, Tell) and t.channel is Channel.VOICE}
    return [
        Tell(p, call_for(s.alert, p.role), step, channel=Channel.VOICE)
        for p in _others(s, *rung)
        if Channel.VOICE not in s.tried.get(p.id, frozenset())
    ]


def _call(s: Situation, index: int, attempt: int = 0) -> list[Tell]:
    """Everybody whom a step names, by every channel it names."""
    assert s.alert.ladder is not None
    step = s.alert.ladder.steps[index]
    return [
        Tell(person, call_for(s.alert, person.role), index, attempt, channel=channel)
        for person in s.roster.people(step.targets)
        for channel in step.channels
    ]


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
        return _on_lapse(s, now)
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


def _on_lapse(s: Situation, now: datetime) -> Decision:
    """Somebody did not come to the door within their lease: their promise is void, and the ladder
    climbs again. Whoever said yes later keeps the time they were given."""
    alert = s.alert
    assert alert.ladder is not None
    lease = timedelta(seconds=alert.ladder.lease_s)
    kept = tuple(r for r in alert.responders if r.accepted_at + lease > now)
    until = _lease_until(alert, kept)
    state = State.ACCEPTED if kept else State.OPEN
    left = replace(alert, state=state, responders=kept, lease_until=until)
    decision = climb(replace(s, alert=left), now)
    reminders = tuple(
        Tell(p, Template.LAPSED, alert.step, _attempt(alert, r))
        for r in alert.responders
        if r not in kept and (p := _person(s, r.person_id)) is not None
    )
    effects: tuple[Effect, ...] = reminders + decision.effects
    after = decision.alert
    if kept:
        effects += (HelpComing(kept[0]),)
        after = replace(after, next_step_at=until)
    return replace(decision, reason=Reason.LEASE_LAPSED, alert=after, effects=effects)


def _lease_until(alert: Alert, responders: Sequence[Responder]) -> datetime | None:
    """When the first promise of these ends; None without one, or on a ladder without leases."""
    if not responders or alert.ladder is None:
        return None
    return min(r.accepted_at for r in responders) + timedelta(seconds=alert.ladder.lease_s)


def _attempt(alert: Alert, responder: Responder) -> int:
    """Seconds from opening to acceptance: tells one promise of a person from their next one."""
    return _seconds(alert, responder.accepted_at)


def _on_accept(s: Situation, actor: Actor, now: datetime) -> Decision:
    alert = s.alert
    if any(r.is_(actor) for r in alert.responders):
        return Decision(Reason.ALREADY_DONE, alert)
    mine = Responder(actor.person_id, actor.name, actor.role, now)
    lead = _lead(alert)
    still = tuple(p for p in alert.declined if p != actor.person_id)  # they can go after all
    alert = replace(alert, responders=(*alert.responders, mine), declined=still)
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
    until = _lease_until(alert, (mine,))
    alert = replace(alert, state=State.ACCEPTED, lease_until=until, next_step_at=until)
    return Decision(Reason.ACCEPTED, alert, (*effects, HelpComing(mine)))


def _on_decline(s: Situation, actor: Actor, now: datetime) -> Decision:
    alert = s.alert
    rest = tuple(r for r in alert.responders if not r.is_(actor))
    if actor.person_id in alert.declined and rest == alert.responders:
        return Decision(Reason.ALREADY_DONE, alert)
    alert = replace(alert, declined=(*alert.declined, actor.person_id))
    if rest:
        alert = replace(alert, responders=rest)
        if any(r.on_scene_at for r in rest):
            return Decision(Reason.DECLINED, alert)
        # Whoever is left is on the way, and nobody at the door any more. The resident is told of
        # another only when the one they were told of can't come.
        news = (HelpComing(rest[0]),) if s.alert.responders[0].is_(actor) else ()
        until = _lease_until(alert, rest)
        alert = replace(alert, state=State.ACCEPTED, lease_until=until, next_step_at=until)
        return Decision(Reason.DECLINED, alert, news)
    # Nobody else is going: a "can't" is worth more than the rest of the wait.
    freed = replace(alert, state=State.OPEN, responders=(), lease_until=None)
    rest_of_us = Situation(freed, s.roster.without(actor.person_id), s.told)
    return replace(climb(rest_of_us, now), reason=Reason.DECLINED)


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
    """The end. That of a worklist is its gravest flat's: nobody reads that all are well, or counts
    it so, when one of them went with the ambulance."""
    items = tuple(replace(i, outcome=outcome) if i.outcome is None else i for i in s.alert.items)
    ends = [i.outcome for i in items if i.outcome is not None]
    outcome = max(ends, key=GRAVITY.index, default=outcome)
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


def _on_pressed_again(s: Situation, event: PressedAgain, now: datetime) -> Decision:
    presses = s.alert.presses + event.times
    alert = replace(s.alert, presses=presses, fall=s.alert.fall or event.fall)
    quiet = alert.again_at is not None and now < alert.again_at + AGAIN_EVERY
    if alert.state is State.OPEN or quiet:  # open: the ladder is already calling
        return Decision(Reason.PRESSED_AGAIN, alert)
    alert = replace(alert, again_at=now)
    if _left_since(alert, now):
        return _call_anew(replace(s, alert=alert), now)
    tell = tuple(
        Tell(p, Template.AGAIN, alert.step, alert.presses)
        for r in alert.responders
        if (p := _person(s, r.person_id)) is not None
    )
    # Taken at the desk, or by somebody without a telephone: the care centre is to hear it.
    return Decision(Reason.PRESSED_AGAIN, alert, tell or duty_hears(s, now))


def _left_since(alert: Alert, now: datetime) -> bool:
    """Whether whoever came to the door is probably gone: they have been there for as long as we
    wait before asking about them, and nobody has said how it ended."""
    if alert.state is not State.ON_SCENE or alert.ladder is None:
        return False
    came = max((r.on_scene_at for r in alert.responders if r.on_scene_at), default=None)
    return came is None or now >= came + timedelta(seconds=alert.ladder.on_scene_s)


def _call_anew(s: Situation, now: datetime) -> Decision:
    """A press after the visit is a new call for help: the first step's people and the care centre
    at once, and from there the ladder goes on. The promise of the earlier visit is spent."""
    alert = s.alert
    assert alert.ladder is not None
    calls = _call(s, 0, _seconds(alert, now))
    rest = tuple(t for t in duty_hears(s, now) if t.person.id not in {c.person.id for c in calls})
    alert = replace(
        alert,
        state=State.OPEN,
        responders=(),
        declined=(),
        step=max(alert.step, 1),
        next_step_at=now + timedelta(seconds=alert.ladder.steps[0].wait_s),
    )
    return Decision(Reason.PRESSED_AGAIN, alert, (*calls, *rest))


def duty_hears(s: Situation, now: datetime) -> tuple[Tell, ...]:
    """The care centre by SMS, out of the ladder's turn."""
    attempt = _seconds(s.alert, now)
    duty = s.roster.people((Target.DUTY,))
    return tuple(Tell(p, Template.DUTY, s.alert.step, attempt) for p in duty)


def _seconds(alert: Alert, now: datetime) -> int:
    """Since the opening: tells one telling of a person from another."""
    return int((now - alert.opened_at).total_seconds())


def _on_cancelled(s: Situation) -> Decision:
    if s.alert.cancelled_by_resident:
        return Decision(Reason.ALREADY_DONE, s.alert)
    alert = replace(s.alert, cancelled_by_resident=True)
    tell = tuple(Tell(p, Template.CANCELLED, alert.step) for p in _others(s))
    return Decision(Reason.CANCELLED_BY_RESIDENT, alert, tell)


def _on_delivery_failed(s: Situation, event: DeliveryFailed, now: datetime) -> Decision:
    """This person by another channel, if one is left that may lead to them. Else: one steward
    reached is enough to wait for; with none, the care centre hears at once."""
    alert = s.alert
    if alert.state is not State.OPEN or alert.ladder is None:
        return Decision(Reason.UNREACHABLE, alert)
    other = _other_channel(s, event)
    if other is not None:
        step = max(alert.step - 1, 0)
        words = call_for(alert, other[0].role)
        tell = Tell(other[0], words, step, alert.repeats, channel=other[1])
        return Decision(Reason.OTHER_CHANNEL, alert, (tell,))
    if alert.exhausted:
        return Decision(Reason.UNREACHABLE, alert)
    told = {**s.told, event.person_id: s.told.get(event.person_id, Delivery.FAILED)}
    gone = {p.id for p in s.roster.everyone() if not p.reachable}  # opted out since
    if not all(state in UNREACHED or person in gone for person, state in told.items()):
        return Decision(Reason.UNREACHABLE, alert)
    return replace(climb(s, now, until_duty=True), reason=Reason.UNREACHABLE)


def _other_channel(s: Situation, event: DeliveryFailed) -> tuple[Person, Channel] | None:
    """Whom to try how, when the error calls for another channel and one is untried."""
    person = _person(s, event.person_id)
    if person is None or event.remedy is not Remedy.OTHER_CHANNEL:
        return None
    tried = s.tried.get(person.id, frozenset()) | {event.channel}
    left = next((c for c in Channel if c not in tried), None)
    return (person, left) if left is not None else None


def _on_settled(
    s: Situation, residents: Collection[int], outcome: Outcome, actor: Actor | None, now: datetime
) -> Decision:
    """Flats of a worklist are done: by a person, or by their residents' own late check-ins."""
    alert = s.alert
    items = tuple(
        replace(i, outcome=outcome) if i.outcome is None and i.resident_id in residents else i
        for i in alert.items
    )
    if items == alert.items:
        return Decision(Reason.ALREADY_DONE, alert)
    s = replace(s, alert=replace(alert, items=items))
    if all(i.outcome is not None for i in items):
        return _on_resolve(s, actor, outcome, "", now)
    if actor is None:
        if not _spared(alert, items):
            return Decision(Reason.ITEM_SETTLED, s.alert)
        return _news(s, _news_at(alert, now))
    # Who ticks a flat needs no text for it; but a text that still waits must not name it as left.
    waits = alert.news_at is not None and now < alert.news_at
    return _news(s, alert.news_at) if waits else Decision(Reason.ITEM_SETTLED, s.alert)


def _spared(before: Alert, items: Sequence[Item]) -> bool:
    """Whether a door less is to be walked to: of two who live there, one may be awaited still."""
    left = {i.flat_id for i in items if i.outcome is None}
    return not {i.flat_id for i in before.items if i.outcome is None} <= left


def _news(s: Situation, at: datetime | None) -> Decision:
    """Those told of the list hear who is left on it, in place of what they were about to hear."""
    people = _others(s)
    if not people:
        return Decision(Reason.ITEM_SETTLED, s.alert)
    settled = sum(i.outcome is not None for i in s.alert.items)
    tell = tuple(
        Tell(p, Template.FEWER, s.alert.step, settled, not_before=at) for p in people
    )
    return Decision(
        Reason.ITEM_SETTLED, replace(s.alert, news_at=at), (WithdrawNews(), *tell)
    )


def _news_at(alert: Alert, now: datetime) -> datetime:
    """When a late check-in is told: at once where few were on the list; where many were, when the
    others had time to follow; and never twice within NEWS_EVERY."""
    last = alert.news_at
    if last is not None and now < last:
        return last  # one text waits already, and will say this too
    soon = now + NEWS_SETTLES if len(alert.items) > LONG_LIST else now
    return soon if last is None else max(soon, last + NEWS_EVERY)
