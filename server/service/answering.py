"""SMS that come to us, and the provider's word on those we sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import RowMapping

from server.core import alerts as core
from server.core import delivery, replies
from server.core.messages import Subject
from server.core.words import UNREACHED, Delivery, Fault, Outcome, Role, Template
from server.database import Tx
from server.service import acting, effects, measuring, raising
from server.service.house import House
from server.store import alerts, journal, outbox, people

RANK = {
    Delivery.QUEUED: 0, Delivery.SENDING: 1, Delivery.SENT: 2, Delivery.DELIVERED: 3,
    Delivery.UNDELIVERED: 3, Delivery.FAILED: 3,
}  # fmt: skip
PROVIDER_STATES: Mapping[str, Delivery] = {
    "accepted": Delivery.SENDING, "scheduled": Delivery.SENDING, "queued": Delivery.SENDING,
    "sending": Delivery.SENDING, "sent": Delivery.SENT, "delivered": Delivery.DELIVERED,
    "read": Delivery.DELIVERED, "undelivered": Delivery.UNDELIVERED, "failed": Delivery.FAILED,
    "canceled": Delivery.FAILED,
}  # fmt: skip
MOST_WRONG, WRONG_WITHIN = 5, timedelta(hours=1)
OPT_OUT_WORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke",
                           "optout"})  # fmt: skip
OPT_IN_WORDS = frozenset({"start", "unstop"})


@dataclass(frozen=True, slots=True)
class Sms:
    """One SMS to us, as the provider handed it over."""

    provider_id: str
    phone: str
    body: str


def take_reply(tx: Tx, house: House, sms: Sms) -> None:
    """Act on an inbound SMS once, however often the provider delivers it.

    An unknown number gets no answer and is shown to staff. Nothing a person writes is lost: what
    is not understood is in the journal and answered with the four digits.
    """
    person = people.person_by_phone(tx.conn, sms.phone)
    row = {
        "provider_id": sms.provider_id, "phone": sms.phone, "body": sms.body[:1600],
        "received_at": tx.now, "person_id": person["id"] if person else None,
    }  # fmt: skip
    if not outbox.add_inbound(tx.conn, row):
        return
    if person is None:
        raising.fault(tx, house, Fault.UNKNOWN_NUMBER, sms.phone, detail=masked(sms.phone))
        journal.note(tx, "reply_from_unknown_number")
        return
    word = sms.body.strip().lower()
    if word in OPT_OUT_WORDS:
        opted_out(tx, house, person)
        meaning = "opted_out"
    elif word in OPT_IN_WORDS:
        people.set_person(tx.conn, person["id"], opted_out_at=None)
        raising.fault_over(tx, house, Fault.STEWARD_UNREACHABLE, [str(person["id"])])
        meaning = "opted_in"
    else:
        meaning = _act_on(tx, house, person, sms)
    outbox.set_inbound(tx.conn, sms.provider_id, meaning=meaning)


def _act_on(tx: Tx, house: House, person: RowMapping, sms: Sms) -> str:
    open_alerts = alerts.told_open(tx.conn, person["id"])
    nothing = Subject(building=0)
    reply = replies.understand(sms.body)
    if reply is None:
        return _not_understood(tx, house, person)
    theirs = [replies.OpenAlert(a["id"], a["code"]) for a in open_alerts]
    reply = replies.unglue(reply, theirs)
    chosen = replies.choose(reply, theirs)
    if chosen is replies.Miss.OLD_CODE and not alerts.was_told(
        tx.conn, person["id"], reply.code or ""
    ):  # a slip of the finger: "that matter is closed" would keep somebody from going
        journal.note(tx, "reply_with_unknown_code", by=person["name"])
        if not theirs:
            return _not_understood(tx, house, person)
        chosen = replies.Miss.SEVERAL_OPEN
    match chosen:
        case replies.Miss.NOTHING_OPEN:
            effects.answer(tx, person, Template.NOTHING_OPEN, nothing)
            return chosen.value
        case replies.Miss.OLD_CODE:
            journal.note(tx, "reply_to_old_code", by=person["name"])
            effects.answer(tx, person, Template.OLD_CODE, nothing)
            return chosen.value
        case replies.Miss.SEVERAL_OPEN:
            codes = tuple(a["code"] for a in open_alerts)
            which = Subject(building=0, labels=codes, code=codes[-1])
            effects.answer(tx, person, Template.WHICH, which)
            return chosen.value
        case int():
            pass
    outbox.set_inbound(tx.conn, sms.provider_id, alert_id=chosen)
    stored = acting.load(tx, chosen)
    try:
        actor = acting.actor_for(tx, stored, person["id"])
    except acting.Unknown:  # told earlier, on no step any more: still a person who wants to go
        actor = core.Actor(person["id"], person["name"], Role.SUBSTITUTE)
    acting.act(tx, house, chosen, event_for(reply.action, actor), actor)
    return reply.action.value


def _not_understood(tx: Tx, house: House, person: RowMapping) -> str:
    """Answer with the four digits; after five such replies in an hour a person takes over."""
    journal.note(tx, "reply_not_understood", by=person["name"])
    before = outbox.count_inbound(
        tx.conn, person["id"], "not_understood", tx.now - WRONG_WITHIN
    )
    if before + 1 >= MOST_WRONG:
        raising.fault(
            tx, house, Fault.MANY_WRONG_REPLIES, str(person["id"]), detail=person["name"]
        )
    else:
        effects.answer(tx, person, Template.NOT_UNDERSTOOD, Subject(building=0))
    return "not_understood"


def event_for(action: replies.Action, actor: core.Actor) -> core.Event:
    """What a steward's word does to an alert."""
    match action:
        case replies.Action.ACCEPT:
            return core.Accept(actor)
        case replies.Action.ARRIVE:
            return core.Arrive(actor)
        case replies.Action.SAFE:
            return core.Resolve(actor, Outcome.SAFE)
        case replies.Action.DECLINE:
            return core.Decline(actor)


def opted_out(tx: Tx, house: House, person: RowMapping) -> None:
    """This person can no longer be texted: a fault today, not a surprise in an emergency."""
    people.set_person(tx.conn, person["id"], opted_out_at=tx.now)
    outbox.fail_queued(tx.conn, person["id"], "opted_out", tx.now)
    _unreachable(tx, house, person["id"], person["name"], "opted_out")
    for row in alerts.told_open(tx.conn, person["id"]):
        _failed(tx, house, row["id"], person["id"])


def _unreachable(tx: Tx, house: House, person_id: int, name: str, why: str) -> None:
    building = next(
        (a["building_id"] for a in people.roles_of(tx.conn, person_id) if a["building_id"]), None
    )
    raising.fault(
        tx, house, Fault.STEWARD_UNREACHABLE, str(person_id), building_id=building,
        detail=f"{name} ({why})",
    )  # fmt: skip


def _failed(tx: Tx, house: House, alert_id: int, person_id: int) -> None:
    stored = alerts.load(tx.conn, alert_id)
    assert stored is not None
    decision = core.decide(
        effects.situation(tx, stored), core.DeliveryFailed(person_id), tx.now
    )
    effects.commit(tx, house, stored, decision)


def take_delivery(
    tx: Tx,
    house: House,
    message_id: int,
    state: Delivery,
    error: str | None = None,
    *,
    provider_id: str | None = None,
) -> None:
    """The provider's word on one of our messages: in any order, repeated, or late.

    A message never goes back (a late `sent` after `delivered` is ignored). A failure moves the
    ladder at once where nobody else was reached. `provider_id`: which copy the word is about.
    """
    row = outbox.by_id(tx.conn, message_id)
    if row is None or RANK[state] <= RANK.get(Delivery(row["state"]), 9):
        return
    ours = row["provider_id"]
    if state in UNREACHED and provider_id is not None and ours not in (None, provider_id):
        return  # another copy of it failed; the one we count on may still arrive
    outbox.set_message(
        tx.conn, message_id, state=state.value, error=error, due_at=None, updated_at=tx.now,
        **({"sent_at": tx.now} if row["sent_at"] is None and state not in UNREACHED else {}),
    )  # fmt: skip
    measuring.delivery(tx, row, state)
    if row["alert_id"] is not None:
        stored = alerts.load(tx.conn, row["alert_id"])
        assert stored is not None
        effects.entry_(
            tx, stored, f"message_{state.value}", message_id=message_id, error=error,
            template=row["template"],
        )  # fmt: skip
    person_id = row["person_id"]
    if state is Delivery.DELIVERED:
        people.set_person(tx.conn, person_id, failing_since=None)
        raising.fault_over(tx, house, Fault.STEWARD_UNREACHABLE, [str(person_id)])
        raising.fault_over(tx, house, Fault.SMS_PROVIDER, ["sms"])
    elif state in UNREACHED:
        if delivery.blame(error) is delivery.Blame.PROVIDER:
            raising.fault(tx, house, Fault.SMS_PROVIDER, "sms", detail=error or state.value)
        else:
            opted = {"opted_out_at": tx.now} if error == delivery.OPTED_OUT else {}
            people.set_person(tx.conn, person_id, failing_since=tx.now, **opted)
            name = people.person(tx.conn, person_id)["name"]
            _unreachable(tx, house, person_id, name, error or state.value)
        if row["alert_id"] is not None:
            _failed(tx, house, row["alert_id"], person_id)


def masked(phone: str) -> str:
    """A phone number as far as it may be shown."""
    return f"{phone[:6]}****{phone[-4:]}" if len(phone) > 10 else "****"
