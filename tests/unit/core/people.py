"""The cast of the core's tests, and short ways to build a situation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from server.core.alerts import Actor, Alert, Decision, Event, Situation, Tell, decide, open_alert
from server.core.ladder import MISSED_LADDER, SOS_LADDER, Person, Roster
from server.core.words import Channel, Delivery, Kind, Role

T0 = datetime(2026, 3, 13, 22, 10, tzinfo=UTC)  # 06:10 on 14 March in Guangzhou

LIN = Person(1, "林桂芳", "+8610011000101", "zh", Role.STEWARD)
HE = Person(2, "何国强", "+8610011000102", "zh", Role.STEWARD)
SU = Person(3, "苏佩琼", "+8610012000101", "zh", Role.SUBSTITUTE)
MAI = Person(4, "麦少芬", "+8610011000200", "zh", Role.KEY_HOLDER)
DUTY = Person(5, "黎瑞芳", "+8610000000101", "zh", Role.DUTY)
STREET = Person(6, "唐志明", "+8610000000201", "zh", Role.STREET)
BEFRIENDER = Person(7, "郭惠贞", "+8610011000301", "zh", Role.BEFRIENDER)
ROSTER = Roster((LIN, HE), (SU,), (MAI,), (DUTY,))
OPERATOR = Actor(None, "operator", Role.OPERATOR)
COLLEAGUE = Actor(None, "colleague", Role.OPERATOR)


def later(seconds: float) -> datetime:
    """An instant so many seconds after the press."""
    return T0 + timedelta(seconds=seconds)


def actor(person: Person) -> Actor:
    """A contact as an actor."""
    return Actor(person.id, person.name, person.role)


def told(decision: Decision) -> list[tuple[str, str]]:
    """(name, template) of everybody a decision tells, by whichever channel."""
    found = [(e.person.name, e.template.value) for e in decision.effects if isinstance(e, Tell)]
    return list(dict.fromkeys(found))


def rung(decision: Decision) -> list[str]:
    """Names of everybody a decision rings."""
    tells = [e for e in decision.effects if isinstance(e, Tell)]
    return [e.person.name for e in tells if e.channel is Channel.VOICE]


class Story:
    """An alert carried through events, remembering who was told as the outbox would."""

    def __init__(self, roster: Roster = ROSTER, kind: Kind = Kind.SOS, **alert: Any) -> None:
        ladder = SOS_LADDER if kind is Kind.SOS else MISSED_LADDER
        self.roster = roster
        self.told: dict[int, Delivery] = {}
        self.tried: dict[int, frozenset[Channel]] = {}
        self.arrives = Delivery.DELIVERED
        fresh = Alert(kind=kind, ladder=ladder, opened_at=T0, **alert)
        self.last = self._take(open_alert(fresh, roster, T0))

    @property
    def alert(self) -> Alert:
        """The alert now."""
        return self.last.alert

    def after(self, seconds: float, event: Event) -> Decision:
        """What `event` does, so many seconds after the press."""
        situation = Situation(self.alert, self.roster, dict(self.told), dict(self.tried))
        self.last = self._take(decide(situation, event, later(seconds)))
        return self.last

    def undelivered(self, person: Person) -> None:
        """Nothing to this person arrives, from now on."""
        self.told[person.id] = Delivery.UNDELIVERED

    def without(self, person: Person) -> None:
        """This person can no longer be texted."""
        gone = replace(person, reachable=False)
        self.roster = Roster(
            *(
                tuple(gone if p.id == person.id else p for p in group)
                for group in (
                    self.roster.stewards, self.roster.substitutes,
                    self.roster.key_holders, self.roster.duty,
                )
            )
        )  # fmt: skip

    def _take(self, decision: Decision) -> Decision:
        for effect in decision.effects:
            if isinstance(effect, Tell):
                who = effect.person.id
                self.told.setdefault(who, self.arrives)
                self.tried[who] = self.tried.get(who, frozenset()) | {effect.channel}
        return decision
