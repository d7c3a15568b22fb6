"""What people do to an alert: staff at the desk, stewards by SMS or on their page."""

from sqlalchemy import RowMapping

from server.core import alerts as core
from server.core.words import OUTCOMES_OF_PEOPLE, Kind, Outcome, Role
from server.database import Tx
from server.service import effects
from server.service.house import House
from server.store import alerts, journal, people


class Refused(Exception):
    """The act is not possible; the words say why and what to do instead.

    `reason` and `facts` name the same for a screen that speaks another language ("" where there is
    nothing but the words).
    """

    def __init__(self, words: str, reason: str = "", **facts: str) -> None:
        super().__init__(words)
        self.reason, self.facts = reason, facts


class Unknown(Exception):
    """There is no such alert, person or resident."""


def actor_for(tx: Tx, stored: alerts.Stored, person_id: int) -> core.Actor:
    """A contact as an actor, in the role they hold for this alert's door."""
    person = effects.person_of(effects.roster_of(tx, stored.row), person_id)
    if person is None:
        raise Unknown(f"person {person_id} stands on no step for this alert; check the register")
    return core.Actor(person.id, person.name, person.role)


def operator(name: str) -> core.Actor:
    """A member of the care centre's staff, by account name."""
    return core.Actor(None, name, Role.OPERATOR)


def load(tx: Tx, alert_id: int) -> alerts.Stored:
    """The alert, or Unknown."""
    stored = alerts.load(tx.conn, alert_id)
    if stored is None:
        raise Unknown(f"there is no alert {alert_id}")
    return stored


def act(
    tx: Tx, house: House, alert_id: int, event: core.Event, actor: core.Actor
) -> alerts.Stored:
    """Apply a person's act. The same act twice changes nothing the second time.

    Raises Unknown, or Refused when the alert is closed or of a kind that can't take it.
    """
    stored = load(tx, alert_id)
    decision = core.decide(effects.situation(tx, stored), event, tx.now)
    if decision.reason is core.Reason.ALREADY_RESOLVED:
        if isinstance(event, core.Resolve) and stored.row["resolved_by"] == actor.name:
            return stored
        raise Refused(
            f"alert {alert_id} was closed by {stored.row['resolved_by']}"
            f" ({stored.row['outcome']}); nothing is left to do",
            "closed", by=str(stored.row["resolved_by"]), outcome=str(stored.row["outcome"]),
        )  # fmt: skip
    if isinstance(event, core.Escalate) and stored.alert.kind is Kind.FAULT:
        raise Refused("a fault has no ladder; call the technician, then resolve it", "no_ladder")
    outcome = decision.alert.outcome
    return effects.commit(
        tx, house, stored, decision, by=actor.name, role=actor.role.value,
        outcome=outcome.value if outcome else None,
    )  # fmt: skip


def outcome_of(text: str | None) -> Outcome:
    """The outcome a person gave. Raises Refused when it is missing or not one a person can say."""
    allowed = ", ".join(OUTCOMES_OF_PEOPLE)
    try:
        outcome = Outcome(text or "")
    except ValueError:
        raise Refused(f"say how it ended: outcome must be one of {allowed}", "outcome") from None
    if outcome not in OUTCOMES_OF_PEOPLE:
        raise Refused(
            f"{outcome} is not for people to say; outcome must be one of {allowed}", "outcome"
        )
    return outcome


def look_at_access(
    tx: Tx, resident_id: int, *, who: str, why: str, alert_id: int | None = None
) -> tuple[RowMapping, list[RowMapping]]:
    """The way into a resident's home, and who holds a key. Every look is journalled: who, why."""
    resident = people.resident(tx.conn, resident_id)
    if resident is None:
        raise Unknown(f"there is no resident {resident_id}")
    journal.note(
        tx, "access_looked_at", building_id=resident["building_id"], flat_id=resident["flat_id"],
        alert_id=alert_id, by=who, why=why[:200],
    )  # fmt: skip
    return resident, list(people.key_holders(tx.conn, resident_id))
