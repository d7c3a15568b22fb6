"""The ladder: who is told of an alert, in which order, and how long we wait between.

A ladder is frozen into its alert when the alert opens, so a later edit never changes a run that
people are already acting on. Who a target *is* (steward 1 of building 11) is looked up when the
step is taken, so that a new phone number or an absence counts at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, time
from enum import StrEnum
from operator import attrgetter
from typing import Any

from server.core.words import Channel, Role


class Policy(StrEnum):
    """The ladders of a house. A resident of class A who misses a round climbs the last."""

    SOS = "sos"
    MISSED = "missed"
    MISSED_HIGH_RISK = "missed_high_risk"


class Target(StrEnum):
    """Whom a step can name. `steward_1` is the senior one, the building's head (楼长)."""

    STEWARDS = "stewards"
    STEWARD_1 = "steward_1"
    STEWARD_2 = "steward_2"
    SUBSTITUTES = "substitutes"
    KEY_HOLDERS = "key_holders"
    BEFRIENDERS = "befrienders"
    FAMILY = "family"
    DUTY = "duty"
    STREET = "street"
    DISTRICT = "district"


STEWARDS = frozenset({Target.STEWARDS, Target.STEWARD_1, Target.STEWARD_2})
OF_THE_HOUSE = STEWARDS | {Target.SUBSTITUTES}
"""Who answers for a whole house; all others stand beside one resident, or at a desk."""
OFFICES = frozenset({Target.DUTY, Target.STREET, Target.DISTRICT})
"""Desks, not neighbours: they are told that nobody has come, and send somebody."""


@dataclass(frozen=True, slots=True)
class Step:
    """Tell `targets` by each of `channels`, then wait `wait_s` seconds for a person before the
    next step."""

    targets: tuple[Target, ...]
    wait_s: int
    channels: tuple[Channel, ...] = (Channel.SMS,)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Steps from first to last. The last is repeated every `wait_s` until a person accepts.

    `lease_s`: how long an acceptance holds before the person must be at the door.
    `on_scene_s`: how long after arrival we ask whether all is well.
    `version`: which edition of the policy this is, for those who ask later what was in force.
    """

    steps: tuple[Step, ...]
    lease_s: int
    on_scene_s: int
    version: str = ""

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("a ladder needs at least one step; add one that tells `duty`")
        if Target.DUTY not in self.steps[-1].targets:
            raise ValueError("the last step must tell `duty`: no ladder may end without a human")
        if not all(step.channels for step in self.steps):
            raise ValueError("every step needs a channel; write `sms` or `voice`")
        if min(self.lease_s, self.on_scene_s, *(step.wait_s for step in self.steps)) < 1:
            raise ValueError("every time of a ladder is in seconds and at least 1")

    def ringing(self) -> "Ladder":
        """The same ladder, with a call at every step."""
        return replace(
            self,
            steps=tuple(
                s if Channel.VOICE in s.channels
                else replace(s, channels=(*s.channels, Channel.VOICE))
                for s in self.steps
            ),
        )  # fmt: skip

    def beside_the_list(self) -> "Ladder":
        """The same ladder without those who hear of the resident by their house's worklist."""
        return replace(
            self,
            steps=tuple(
                replace(s, targets=tuple(t for t in s.targets if t not in OF_THE_HOUSE))
                for s in self.steps
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """The form that is frozen into an alert's row."""
        return {
            "steps": [
                {"targets": list(s.targets), "wait_s": s.wait_s, "channels": list(s.channels)}
                for s in self.steps
            ],
            "lease_s": self.lease_s,
            "on_scene_s": self.on_scene_s,
            "version": self.version,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Ladder":
        """The inverse of `to_json`. Raises KeyError or ValueError on a form it does not know."""
        return Ladder(
            steps=tuple(
                Step(
                    tuple(Target(t) for t in s["targets"]),
                    int(s["wait_s"]),
                    tuple(Channel(c) for c in s.get("channels", [Channel.SMS])),  # as above
                )
                for s in data["steps"]
            ),
            lease_s=int(data["lease_s"]),
            on_scene_s=int(data["on_scene_s"]),
            version=str(data.get("version", "")),  # rows from before there were editions
        )


BOTH = (Channel.SMS, Channel.VOICE)
SOS_LADDER = Ladder(
    # Both stewards at once; after two minutes without a "yes" those with a key and whoever looks
    # after this resident; after four the care centre, after eight the street office as well.
    # Guangdan's fifteen minutes from press to door leave no room for more waiting.
    # By day the first step only texts: most presses are tests or slips, and two volunteers who
    # are rung for each of them stop being volunteers. At night every step rings (`at_night`).
    steps=(
        Step((Target.STEWARDS,), wait_s=120),
        Step(
            (Target.SUBSTITUTES, Target.KEY_HOLDERS, Target.BEFRIENDERS, Target.STEWARDS),
            wait_s=120,
            channels=BOTH,
        ),
        Step((Target.DUTY,), 120, BOTH),
        Step((Target.DUTY,), 120, BOTH),
        Step((Target.DUTY, Target.STREET), 120, BOTH),
    ),
    lease_s=8 * 60,
    on_scene_s=20 * 60,
)
MISSED_LADDER = Ladder(
    # A worklist is for the round that is just being walked, so it can wait longer.
    steps=(
        Step((Target.STEWARDS,), wait_s=20 * 60),
        Step((Target.SUBSTITUTES, Target.STEWARDS), wait_s=20 * 60),
        Step((Target.DUTY,), wait_s=30 * 60),
    ),
    lease_s=60 * 60,
    on_scene_s=60 * 60,
)
MISSED_HIGH_RISK_LADDER = Ladder(
    # Whom nobody would notice in time is looked for by name, and by those with a key.
    steps=(
        Step((Target.STEWARDS,), wait_s=5 * 60),
        Step(
            (Target.SUBSTITUTES, Target.KEY_HOLDERS, Target.BEFRIENDERS, Target.STEWARDS),
            wait_s=5 * 60,
            channels=BOTH,
        ),
        Step((Target.DUTY,), 10 * 60, BOTH),
    ),
    lease_s=15 * 60,
    on_scene_s=20 * 60,
)
DEFAULT_LADDERS: Mapping[str, Ladder] = {
    Policy.SOS: SOS_LADDER,
    Policy.MISSED: MISSED_LADDER,
    Policy.MISSED_HIGH_RISK: MISSED_HIGH_RISK_LADDER,
}
"""What server/ladders/default.yaml says (a test compares them): in force when nothing else is."""


@dataclass(frozen=True, slots=True)
class Night:
    """The hours in which a text wakes nobody, in the community's time; `starts` may be later than
    `ends` (over midnight). Equal: there is no night."""

    starts: time = time(22)
    ends: time = time(6)

    def has(self, at: time) -> bool:
        """Whether a local time is in the night."""
        if self.starts <= self.ends:
            return self.starts <= at < self.ends
        return at >= self.starts or at < self.ends


def at_night(ladder: Ladder, night: Night, local: time) -> Ladder:
    """The ladder as it is for an alert that opens at this local time: at night a text sleeps beside
    the sleeper, so every step rings from the first on."""
    return ladder.ringing() if night.has(local) else ladder


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be told. `reachable` is false after an opt-out, and during an absence.

    `absent_until` is set only while they are away: then somebody stands in for them. `on_shift` is
    false while the rota gives the care centre's duty, or the house, to others; `shift_changes_at`:
    when that changes.
    """

    id: int
    name: str
    phone: str
    lang: str
    role: Role
    reachable: bool = True
    absent_until: datetime | None = None
    on_shift: bool = True
    shift_changes_at: datetime | None = None


def _on_shift(people: tuple[Person, ...]) -> tuple[Person, ...]:
    return tuple(p for p in people if p.on_shift)


def _reached(people: tuple[Person, ...]) -> bool:
    return any(p.reachable for p in people)


@dataclass(frozen=True, slots=True)
class Roster:
    """Who stands behind each target for one resident's door, as of now."""

    stewards: tuple[Person, ...] = ()
    substitutes: tuple[Person, ...] = ()
    key_holders: tuple[Person, ...] = ()
    duty: tuple[Person, ...] = ()
    befrienders: tuple[Person, ...] = ()
    family: tuple[Person, ...] = ()
    street: tuple[Person, ...] = ()
    district: tuple[Person, ...] = ()

    def __post_init__(self) -> None:
        """Refuse to mix: no steward may hear of a rehearsal, and no rehearsal list of a real call,
        whatever stands in the register."""
        roles = {p.role for group in _groups(self) for p in group}
        if Role.REHEARSAL in roles and roles != {Role.REHEARSAL}:
            raise ValueError("a roster is a rehearsal's or a real one's, never both")

    @property
    def rehearsal(self) -> bool:
        """Whether these are the people of a rehearsal."""
        return any(group[0].role is Role.REHEARSAL for group in _groups(self) if group)

    @staticmethod
    def rehearsed(people: tuple["Person", ...]) -> "Roster":
        """Everybody a ladder may name in a rehearsal: the rehearsal list, from the first step to
        the last. Its people stand there in no other role."""
        listed = tuple(replace(p, role=Role.REHEARSAL) for p in people)
        return Roster(stewards=listed, duty=listed)

    def people(self, targets: tuple[Target, ...]) -> tuple[Person, ...]:
        """Everyone the targets name who can be reached, each once, in the order named."""
        chosen: dict[int, Person] = {}
        for target in targets:
            for person in self.behind(target):
                if person.reachable:
                    chosen.setdefault(person.id, person)
        return tuple(chosen.values())

    def behind(self, target: Target) -> tuple[Person, ...]:
        """Who stands behind a target, reachable or not. While a steward is away or off shift the
        substitutes stand with the other one: there are always to be two. Of the house, and of the
        care centre, it is whoever is on shift; where none of these can be reached, a rota holds no
        longer and it is everybody: it must never silence a call for help."""
        people = self.named(target)
        if target is Target.DUTY:
            return _on_shift(people) if _reached(_on_shift(people)) else people
        if target not in OF_THE_HOUSE:
            return people
        stand_in, missed = self.substitutes, any(p.absent_until is not None for p in people)
        if _reached(_on_shift(self.stewards + self.substitutes)):
            missed = missed or not all(p.on_shift for p in people)
            people, stand_in = _on_shift(people), _on_shift(stand_in)
        return people + stand_in if target in STEWARDS and missed else people

    def named(self, target: Target) -> tuple[Person, ...]:
        """Everybody whom the register puts behind a target, on shift or not, there or away."""
        match target:
            case Target.STEWARD_1:
                return self.stewards[:1]
            case Target.STEWARD_2:
                return self.stewards[1:2]
            case _:
                people: tuple[Person, ...] = getattr(self, target.value)
                return people

    def everyone(self) -> tuple[Person, ...]:
        """All groups, reachable or not, each person once."""
        chosen: dict[int, Person] = {}
        for group in _groups(self):
            for person in group:
                chosen.setdefault(person.id, person)
        return tuple(chosen.values())

    def without(self, person_id: int | None) -> "Roster":
        """The same, but for one neighbour who can't go. A desk stays a desk."""
        kept = {
            group: tuple(p for p in getattr(self, group) if p.id != person_id)
            for group in GROUPS
            if group not in OFFICES
        }
        return replace(self, **kept)


GROUPS = tuple(group.name for group in fields(Roster))
_groups: Callable[[Roster], tuple[tuple[Person, ...], ...]] = attrgetter(*GROUPS)
