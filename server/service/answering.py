"""SMS that come to us: once each, whatever the provider repeats. Keys of a call are calls.py's."""

import unicodedata
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import RowMapping

from server.core import alerts as core
from server.core import replies
from server.core.messages import Subject
from server.core.words import Fault, Template
from server.database import Tx
from server.service import acting, effects, raising, receipts, walks
from server.service.help import by_sms
from server.service.house import House
from server.store import alerts, journal, outbox, people

MOST_WRONG, WRONG_WITHIN = 5, timedelta(hours=1)
OPT_OUT_WORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke",
                           "optout", "退订", "退訂", "td", "拒收"})  # fmt: skip
"""The provider's own, and what people in China write (退订 or TD; a bare T is too easily typed)."""
OPT_IN_WORDS = frozenset({"start", "unstop", "恢复", "恢復"})


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
    # Keyboards for Chinese write full-width letters, and a full stop behind them.
    word = unicodedata.normalize("NFKC", sms.body).strip().rstrip(".。!").lower()
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
    walked = replies.round_done(sms.body)
    if walked is not None and walks.report_by_sms(tx, house, person, walked.building):
        return "round_done"
    open_alerts = alerts.told_open(tx.conn, person["id"])
    nothing = Subject(building=0)
    reply = replies.understand(sms.body)
    if reply is None:
        # Help that can wait is heard only of those whom no alert waits for: while one does, what
        # is not understood is answered with the four digits, whatever it says.
        if not open_alerts and by_sms.ask(tx, house, person, sms.body, sms.provider_id):
            return "request"
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
            effects.answer(tx, house, person, Template.NOTHING_OPEN, nothing)
            return chosen.value
        case replies.Miss.OLD_CODE:
            journal.note(tx, "reply_to_old_code", by=person["name"])
            effects.answer(tx, house, person, Template.OLD_CODE, nothing)
            return chosen.value
        case replies.Miss.SEVERAL_OPEN:
            codes = tuple(a["code"] for a in open_alerts)
            which = Subject(building=0, labels=codes, code=codes[-1])
            effects.answer(tx, house, person, Template.WHICH, which)
            return chosen.value
        case int():
            pass
    outbox.set_inbound(tx.conn, sms.provider_id, alert_id=chosen)
    actor = acting.actor_told(tx, acting.load(tx, house, chosen), person)
    acting.act(tx, house, chosen, acting.event_for(reply.action, actor), actor)
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
        effects.answer(tx, house, person, Template.NOT_UNDERSTOOD, Subject(building=0))
    return "not_understood"


def opted_out(tx: Tx, house: House, person: RowMapping) -> None:
    """This person can no longer be texted: a fault today, not a surprise in an emergency."""
    people.set_person(tx.conn, person["id"], opted_out_at=tx.now)
    outbox.fail_queued(tx.conn, person["id"], "opted_out", tx.now)
    receipts.unreachable(tx, house, person["id"], person["name"], "opted_out")
    for row in alerts.told_open(tx.conn, person["id"]):
        receipts.failed(tx, house, row["id"], core.DeliveryFailed(person["id"]))


def masked(phone: str) -> str:
    """A phone number as far as it may be shown."""
    return f"{phone[:6]}****{phone[-4:]}" if len(phone) > 10 else "****"
