"""The nouns of an alert: what it is, what can happen to it, what follows from a decision.

Only data. How one becomes the other is `decide` in alerts.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from server.core.delivery import Remedy
from server.core.ladder import Ladder, Person, Roster
from server.core.words import Channel, Delivery, Kind, Outcome, Role, State, Template


class Reason(StrEnum):
    """Why a decision came out as it did; journalled, and what the tests speak of."""

    CLIMBED = "climbed"
    LISTED = "listed"
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
    OTHER_CHANNEL = "other_channel"


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
        """Whether this responder and `actor` are the same person. The desk is as one: what an
        operator does after a colleague said that they go is no second person on the way."""
        if Role.OPERATOR == self.role == actor.role:
            return True
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
    after_absence: datetime | None = None
    """When an absence ended, if this is the first round after it."""


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
    declined: tuple[int | None, ...] = ()
    """Who has said that they can't go, by person id; None is the desk."""
    items: tuple[Item, ...] = ()
    news_at: datetime | None = None
    """When those told of a worklist last heard, or will hear, that it has grown shorter."""
    outcome: Outcome | None = None
    note: str = ""
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    fall: bool = False
    pressed_at: datetime | None = None
    """When the key went down, as far as we know; earlier than `opened_at` where the press had to
    wait for a line. None: when it opened."""

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
    tried: Mapping[int, frozenset[Channel]] = field(default_factory=dict)
    """person id → the channels by which they were called to this alert."""
    waiting: Collection[int] = ()
    """Those for whom a message about this alert has not left the house yet."""


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
    """The resident pressed once more while the alert was open, or `times` more in one breath."""

    fall: bool = False
    times: int = 1


@dataclass(frozen=True, slots=True)
class ResidentCancelled:
    """The resident pressed *cancel*: information for those who go, never the end."""


@dataclass(frozen=True, slots=True)
class DeliveryFailed:
    """A message to this person did not and will not arrive, by this channel; `remedy` is what its
    error calls for (core/delivery.py)."""

    person_id: int
    channel: Channel = Channel.SMS
    remedy: Remedy = Remedy.OTHER_PERSON


@dataclass(frozen=True, slots=True)
class SettleItem:
    """A person says how it is behind one door of a missed round."""

    resident_id: int
    outcome: Outcome
    actor: Actor


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """Residents who are on a missed round have given a sign of life after all: everybody of whom
    we hear in one breath, so that it is told in one text."""

    resident_ids: Collection[int]


@dataclass(frozen=True, slots=True)
class AddItems:
    """More flats of the same round turned out to be missed."""

    items: tuple[Item, ...]


Event = (
    StepDue | Escalate | Accept | Decline | Arrive | Resolve | PressedAgain | ResidentCancelled
    | DeliveryFailed | SettleItem | CheckedIn | AddItems
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
    channel: Channel = Channel.SMS
    not_before: datetime | None = None
    """When it may leave; None: at once."""


@dataclass(frozen=True, slots=True)
class HelpComing:
    """Tell the terminal who is on the way. Only ever after a person accepted."""

    responder: Responder


@dataclass(frozen=True, slots=True)
class TellTerminalResolved:
    """Tell the terminal that the matter is closed."""


@dataclass(frozen=True, slots=True)
class CancelQueued:
    """Messages that ask for help, or say who is left, and have not left yet are no longer true."""


@dataclass(frozen=True, slots=True)
class WithdrawNews:
    """What was about to be told of late check-ins is out of date; what is true now follows."""


Effect = Tell | HelpComing | TellTerminalResolved | CancelQueued | WithdrawNews


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and why."""

    reason: Reason
    alert: Alert
    effects: tuple[Effect, ...] = ()
