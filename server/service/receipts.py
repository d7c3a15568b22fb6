"""The provider's word on what we sent: in any order, repeated, or late. What a code means is in
core/delivery.py; what follows from a failure is decided in core/alerts.py."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import RowMapping

from server.core import alerts as core
from server.core import delivery, keypress
from server.core.houses import sign
from server.core.messages import Subject
from server.core.words import UNREACHED, Channel, Delivery, Fault, Role, Template
from server.database import Tx
from server.service import effects, measuring, mending, raising
from server.service.house import House
from server.store import alerts, journal, outbox, people, rosters

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
CALL_STATES: Mapping[str, tuple[Delivery, str | None]] = {
    "queued": (Delivery.SENDING, None), "initiated": (Delivery.SENDING, None),
    "ringing": (Delivery.SENT, None), "in-progress": (Delivery.SENT, None),
    "busy": (Delivery.FAILED, "busy"), "no-answer": (Delivery.FAILED, "no_answer"),
    "canceled": (Delivery.FAILED, "canceled"), "failed": (Delivery.FAILED, "call_failed"),
}  # fmt: skip
OURS = frozenset({delivery.NOT_IN_TIME, delivery.PROVIDER_DOWN})
"""Ends that we wrote because we could not know better: the provider's "delivered" corrects them."""
AGAIN_AFTER = timedelta(seconds=5)


def call_ended(status: str, answered_by: str) -> tuple[Delivery, str | None] | None:
    """What a call's status says of the message: its state and error; None for one we do not know.

    A call that ended well reached a person only if the provider heard one.
    """
    if status != "completed":
        return CALL_STATES.get(status)
    if answered_by == keypress.HUMAN:
        return Delivery.DELIVERED, None
    machine = keypress.is_machine(answered_by)
    return Delivery.UNDELIVERED, delivery.MACHINE if machine else delivery.UNHEARD


def take_delivery(
    tx: Tx,
    house: House,
    message_id: int,
    state: Delivery,
    error: str | None = None,
    *,
    provider_id: str | None = None,
) -> None:
    """Take the provider's word on one of our messages.

    A message never goes back (a late `sent` after `delivered` is ignored). A failure moves the
    ladder at once where nobody else was reached. `provider_id`: which copy the word is about.
    """
    row = outbox.by_id(tx.conn, message_id)
    if row is None:
        return
    corrects = state is Delivery.DELIVERED and row["error"] in OURS
    if RANK[state] <= RANK.get(Delivery(row["state"]), 9) and not corrects:
        return
    ours = row["provider_id"]
    if state in UNREACHED and provider_id is not None and ours not in (None, provider_id):
        return  # another copy of it failed; the one we count on may still arrive
    outbox.set_message(
        tx.conn, message_id, state=state.value, error=error, due_at=None, updated_at=tx.now,
        **({"sent_at": tx.now} if row["sent_at"] is None and state not in UNREACHED else {}),
        # The answer to our POST may have been lost: this copy is ours all the same.
        **({"provider_id": provider_id} if ours is None and provider_id is not None else {}),
    )  # fmt: skip
    if row["resident_id"] is not None:
        _of_a_resident(tx, row, state, error)
        return
    _noted(tx, house, [row], state, error)
    if state is Delivery.DELIVERED:
        people.set_person(tx.conn, row["person_id"], failing_since=None)
        raising.fault_over(tx, house, Fault.STEWARD_UNREACHABLE, [str(row["person_id"])])
        raising.fault_over(tx, house, Fault.SMS_PROVIDER, [row["channel"]])
    elif state in UNREACHED:
        _once_more_or_lost(tx, house, row, state, error)


def take_sent(tx: Tx, house: House, taken: Mapping[int, str]) -> None:
    """What the provider has just taken from us: message id → its own id of it. `take_delivery` of
    `sent` for all of them, in a handful of statements however many they are."""
    if not taken:
        return
    rows = outbox.by_ids(tx.conn, taken)
    # The status webhook may have been faster than the answer to our POST: its word stands.
    fresh = [r for r in rows if RANK.get(Delivery(r["state"]), 9) < RANK[Delivery.SENT]]
    outbox.mark_sent(tx.conn, rows, taken, {r["id"] for r in fresh}, tx.now)
    for row in fresh:
        if row["resident_id"] is not None:
            _of_a_resident(tx, row, Delivery.SENT, None)
    to_people = [r for r in fresh if r["resident_id"] is None]
    _noted(tx, house, to_people, Delivery.SENT, None)


def _noted(
    tx: Tx, house: House, rows: Sequence[RowMapping], state: Delivery, error: str | None
) -> None:
    """Messages to people have come to `state`: counted, and in the journal of their alerts."""
    measuring.deliveries(tx, rows, state)
    about = alerts.briefs(tx.conn, {r["alert_id"] for r in rows if r["alert_id"] is not None})
    for row in rows:
        if row["alert_id"] is not None:
            brief = about[row["alert_id"]]
            journal.note(
                tx, f"message_{state.value}", alert_id=brief.id, building_id=brief.building_id,
                flat_id=brief.flat_id, alert_kind=brief.kind, state=brief.state,
                message_id=row["id"], template=row["template"], channel=row["channel"],
                **({"error": error} if error is not None else {}),
            )  # fmt: skip
    if state is Delivery.SENT and any(r["channel"] == Channel.VOICE for r in rows):
        raising.fault_over(tx, house, Fault.SMS_PROVIDER, [Channel.VOICE.value])  # it can be rung


def _of_a_resident(tx: Tx, row: RowMapping, state: Delivery, error: str | None) -> None:
    resident = people.resident(tx.conn, row["resident_id"])
    assert resident is not None
    journal.note(
        tx, f"resident_call_{state.value}", building_id=resident["building_id"],
        flat_id=resident["flat_id"], **({"error": error} if error else {}),
    )  # fmt: skip


def _once_more_or_lost(
    tx: Tx, house: House, row: RowMapping, state: Delivery, error: str | None
) -> None:
    """Send it once more where that is the remedy; but not to whom it is no longer to go."""
    if delivery.remedy(error) is delivery.Remedy.RETRY:
        end = outbox.unwanted(tx.conn, row["id"], tx.now)
        if end is not None and end[0] is Delivery.CANCELLED:
            return  # help is no longer needed
        if end is not None:
            error = end[1]  # they have opted out or gone away since
    if not _tried_again(tx, row, error):
        _lost(tx, house, row, state, error)


def _tried_again(tx: Tx, row: RowMapping, error: str | None) -> bool:
    """Send it once more where that is the remedy and its time is not over."""
    if delivery.remedy(error) is not delivery.Remedy.RETRY:
        return False
    urgent = row["lane"] == effects.SOS_LANE
    tried_for = tx.now - (row["tried_at"] or row["created_at"])
    patience = tx.real(delivery.SOS_WITHIN if urgent else delivery.ROUND_WITHIN)
    if tried_for >= patience:
        return False
    outbox.again(tx.conn, row, tx.now + tx.real(AGAIN_AFTER))
    tx.queued(row["lane"])
    return True


def _lost(
    tx: Tx, house: House, row: RowMapping, state: Delivery, error: str | None
) -> None:
    """Show staff whose trouble it is, and let the alert go on."""
    person_id = row["person_id"]
    match delivery.blame(error):
        case delivery.Blame.PROVIDER:
            raising.fault(
                tx, house, Fault.SMS_PROVIDER, row["channel"], detail=error or state.value
            )
        case delivery.Blame.NUMBER:
            opted = {"opted_out_at": tx.now} if error == delivery.OPTED_OUT else {}
            people.set_person(tx.conn, person_id, failing_since=tx.now, **opted)
            name = people.person(tx.conn, person_id)["name"]
            unreachable(tx, house, person_id, name, error or state.value)
        case delivery.Blame.MOMENT:
            pass  # a busy line is nobody's fault
    if row["alert_id"] is not None:
        remedy = delivery.remedy(error, calls=house.ways.calls)
        event = core.DeliveryFailed(person_id, Channel(row["channel"]), remedy)
        failed(tx, house, row["alert_id"], event)


def unreachable(tx: Tx, house: House, person_id: int, name: str, why: str) -> None:
    """A fault today, not a surprise in an emergency. The other steward hears of it too, once; in
    the middle of an alert as well, behind its texts: who goes alone is to know it."""
    roles = people.roles_of(tx.conn, person_id)
    # Many stewards are substitutes of a neighbouring house too; the fault is their own house's.
    own = [a["building_id"] for a in roles if a["role"] == Role.STEWARD and a["building_id"]]
    elsewhere = [a["building_id"] for a in roles if a["building_id"]]
    fresh = raising.fault(
        tx, house, Fault.STEWARD_UNREACHABLE, str(person_id),
        building_id=next(iter(own or elsewhere), None), detail=f"{name} ({why})",
    )  # fmt: skip
    if fresh is None:
        return
    for building in dict.fromkeys(own):
        _tell_partner(tx, house, building, person_id, name)


def _tell_partner(tx: Tx, house: House, building: int, person_id: int, name: str) -> None:
    subject = Subject(building=sign(people.building_number(tx.conn, building)))
    for other in rosters.rosters(tx.conn, [(building, None)], tx.now)[building, None].stewards:
        if other.id != person_id and other.reachable:
            row = people.person(tx.conn, other.id)
            said = effects.named(tx, subject, building, row)
            effects.answer(
                tx, house, row, Template.PARTNER_UNREACHABLE, said, about=name,
                lane=effects.ROUND_LANE,
            )  # fmt: skip


def failed(tx: Tx, house: House, alert_id: int, event: core.DeliveryFailed) -> None:
    """Let the alert decide what follows."""
    # Both stewards' texts may be lost at one instant: each would take the other for reached.
    alerts.hold(tx.conn, alert_id)
    mending.happens(tx, house, alert_id, event)
