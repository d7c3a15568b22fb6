"""What people do to an alert: staff at the desk, stewards by SMS or on their page."""

from typing import Any

from sqlalchemy import RowMapping

from server.core import alerts as core
from server.core.replies import Action
from server.core.texts import WORDS
from server.core.words import OUTCOMES_OF_PEOPLE, Kind, Outcome, Role, State
from server.database import Tx
from server.service import effects, mending, notes, parents, raising, walks
from server.service.house import House, digest_of
from server.service.refusals import Refused, Unknown
from server.store import alerts, journal, people

__all__ = [  # who acts meets the refusals here
    "LOOKED", "OPENED", "Refused", "Unknown", "act", "actor_for", "load", "look_at_access",
    "opens_a_home", "operator", "outcome_of", "way_in",
]  # fmt: skip

LOOKED = "access_looked_at"
"""The journal's entry of a look at a way in."""
OPENED = "access_opened"
"""The journal's entry of a way in that stands open to somebody who goes, on their link's page."""
RESPONDER = "responder"
"""The reason of somebody who goes: it needs no words."""


def actor_for(tx: Tx, stored: alerts.Stored, person_id: int) -> core.Actor:
    """A contact as an actor: as they are going already, else in the role they hold for this
    alert's door. The register may change while somebody is on the way; they stay who they are."""
    for going in stored.alert.responders:
        if going.person_id == person_id:
            return core.Actor(person_id, going.name, going.role)
    person = effects.person_of(effects.roster_of(tx, stored.row), person_id)
    if person is None:
        raise Unknown(f"person {person_id} stands on no step for this alert; check the register")
    return core.Actor(person.id, person.name, person.role)


def actor_told(tx: Tx, stored: alerts.Stored, person: RowMapping) -> core.Actor:
    """Somebody who has been told, also when they stand on no step any more: still a person who
    wants to go."""
    try:
        return actor_for(tx, stored, person["id"])
    except Unknown:
        return core.Actor(person["id"], person["name"], Role.SUBSTITUTE)


def operator(name: str) -> core.Actor:
    """A member of the care centre's staff, by account name."""
    return core.Actor(None, name, Role.OPERATOR)


def load(tx: Tx, house: House, alert_id: int) -> alerts.Stored:
    """The alert, mended if it has to be. Raises Unknown, or Refused where it can't be read."""
    try:
        stored = alerts.load(tx.conn, alert_id)
    except alerts.CORRUPT:
        stored = mending.mended(tx, house, alert_id)
        if stored is None:
            raise Refused(
                f"alert {alert_id} can't be read; call the resident's stewards by telephone",
                zh="这条警报的记录读不出来,请直接打电话联系楼管员。",
            ) from None
        raising.broken(tx, house, alert_id)
    if stored is None:
        raise Unknown(f"there is no alert {alert_id}")
    return stored


def act(
    tx: Tx, house: House, alert_id: int, event: core.Event, actor: core.Actor
) -> alerts.Stored:
    """Apply a person's act. The same act twice changes nothing the second time.

    Raises Unknown, or Refused when the alert is closed or of a kind that can't take it.
    """
    stored = load(tx, house, alert_id)
    decision = core.decide(effects.situation(tx, stored), event, tx.now)
    if decision.reason is core.Reason.ALREADY_RESOLVED:
        if isinstance(event, core.Resolve) and stored.row["resolved_by"] == actor.name:
            return stored
        by, ended = stored.row["resolved_by"], stored.row["outcome"]
        raise Refused(
            f"alert {alert_id} was closed by {by} ({ended}); nothing is left to do",
            zh=f"这件事已由{by}了结({WORDS['zh'].get(ended, ended)}),不用再处理。",
        )
    if isinstance(event, core.Escalate) and stored.alert.kind is Kind.FAULT:
        raise Refused("a fault has no ladder; call the technician, then resolve it",
                      zh="故障没有上报阶梯。请联系维修人员,修好后了结。")  # fmt: skip
    outcome = decision.alert.outcome
    if isinstance(event, core.Resolve):
        parents.closed(tx, stored.row)
    saved = effects.commit(
        tx, house, stored, decision, by=actor.name, role=actor.role.value,
        outcome=outcome.value if outcome else None,
        person_id=actor.person_id if decision.reason is core.Reason.DECLINED else None,
    )  # fmt: skip
    walks.settled(tx, house, saved, actor)
    _on_other_lists(tx, house, stored, saved, actor)
    _note_opened(tx, house, stored, saved)
    return saved


def _on_other_lists(
    tx: Tx, house: House, before: alerts.Stored, after: alerts.Stored, actor: core.Actor
) -> None:
    """A resident of class A may be on the house's worklist and have an alert of their own: what is
    found behind their door is true of both."""
    open_before = {i.resident_id for i in before.alert.items if i.outcome is None}
    found = {
        i.resident_id: i.outcome for i in after.alert.items
        if i.outcome is not None and i.resident_id in open_before
    }  # fmt: skip
    if not found:
        return
    for alert_id, resident_id in alerts.open_items(tx.conn, list(found)):
        row, outcome = alerts.row(tx.conn, alert_id), found[resident_id]
        if row is not None and row["round_due_at"] == after.row["round_due_at"]:
            event = core.SettleItem(resident_id, outcome, actor)
            mending.happens(
                tx, house, alert_id, event, by=actor.name, role=actor.role.value,
                outcome=outcome.value,
            )  # fmt: skip


def opens_a_home(stored: alerts.Stored) -> bool:
    """Whether the page of who goes has a way in: a building's worklist opens no home, nor does a
    fault."""
    return stored.alert.kind is not Kind.FAULT and stored.row["resident_id"] is not None


def _note_opened(
    tx: Tx, house: House, before: alerts.Stored, saved: alerts.Stored
) -> None:
    """Journal that a way in is open from now on to whoever has said that they go and has a link.
    Not when a page is opened: a carrier's robot opens it too, and would look in their name."""
    if saved.alert.state is State.RESOLVED or not opens_a_home(saved):
        return
    for going in saved.alert.responders:
        if going.person_id is None or any(r.person_id == going.person_id
                                          for r in before.alert.responders):  # fmt: skip
            continue
        link = alerts.link(tx.conn, digest_of(house.token(saved.id, going.person_id)))
        if link is not None and link["expires_at"] >= tx.now:
            _note(tx, OPENED, saved.row["resident_id"], going.name, RESPONDER, saved.id)


def event_for(action: Action, actor: core.Actor) -> core.Event:
    """What a steward's word does to an alert, by SMS or by a key alike."""
    match action:
        case Action.ACCEPT:
            return core.Accept(actor)
        case Action.ARRIVE:
            return core.Arrive(actor)
        case Action.SAFE:
            return core.Resolve(actor, Outcome.SAFE)
        case Action.DECLINE:
            return core.Decline(actor)


def outcome_of(text: str | None) -> Outcome:
    """The outcome a person gave. Raises Refused when it is missing or not one a person can say."""
    allowed = ", ".join(OUTCOMES_OF_PEOPLE)
    try:
        outcome = Outcome(text or "")
    except ValueError:
        raise Refused(f"say how it ended: outcome must be one of {allowed}",
                      zh="请选一个结果再了结。") from None  # fmt: skip
    if outcome not in OUTCOMES_OF_PEOPLE:
        raise Refused(f"{outcome} is not for people to say; outcome must be one of {allowed}",
                      zh="这个结果由系统自动记录,请另选一个。")  # fmt: skip
    return outcome


def look_at_access(
    tx: Tx, resident_id: int, *, who: str, why: str, alert_id: int | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The way into a resident's home, and who holds a key; the look is journalled."""
    _note(tx, LOOKED, resident_id, who, why, alert_id)
    return way_in(tx, resident_id)


def _note(
    tx: Tx, kind: str, resident_id: int, who: str, why: str, alert_id: int | None
) -> None:
    """Journal whose way in was opened or looked at, by whom and why (a couple shares a door, and so
    do tenants one after the other)."""
    resident = _resident(tx, resident_id)
    journal.note(
        tx, kind, building_id=resident["building_id"], flat_id=resident["flat_id"],
        resident_id=resident_id, alert_id=alert_id, by=who, why=why[:200],
    )  # fmt: skip


def way_in(tx: Tx, resident_id: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The resident and who holds a key, with their notes open. A note that can't be read says so
    in its place. Whoever shows this journals the look, or that it stands open."""
    resident, holders = _resident(tx, resident_id), people.key_holders(tx.conn, resident_id)
    return (
        notes.of_resident(tx.vault, resident),
        [notes.of_assignment(tx.vault, holder) for holder in holders],
    )


def _resident(tx: Tx, resident_id: int) -> RowMapping:
    resident = people.resident(tx.conn, resident_id)
    if resident is None:
        raise Unknown(f"there is no resident {resident_id}")
    return resident
