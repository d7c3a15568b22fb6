"""The people and the place as the embedded edition describes them: a community, frozen.

Facts only, and the one rule that turns three of them into a risk class. It must never hold a
database row or read a file; importers and the sample both produce it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

Lang = Literal["zh", "en"]
Living = Literal["alone", "couple", "family"]
Profile = Literal["early", "regular", "forgetful", "away"]
RiskClass = Literal["A", "B", "C"]
Sex = Literal["f", "m"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a telephone. Two persons are the same when their numbers are."""

    name: str
    phone: str  # E.164
    lang: Lang = "zh"


@dataclass(frozen=True, slots=True)
class Steward:
    """A fixed steward of a building."""

    person: Person
    position: Literal[1, 2]  # 1: the building head (楼长)


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Somebody who holds a key to a flat."""

    person: Person
    relation: Literal["neighbour", "relative"]
    key_where: str


@dataclass(frozen=True, slots=True)
class Resident:
    """A person of 65 or more who has a terminal; one to a flat."""

    name: str
    sex: Sex
    birth_date: date
    living: Living
    health_flag: bool  # known to fall or to be frail; no diagnosis is kept
    risk_class: RiskClass
    terminal_id: str  # [a-z0-9-]{1,32}
    profile: Profile  # how the simulated resident keeps the rounds
    access_notes: str  # how to get in, where to look; empty when nothing is known
    key_holder: KeyHolder | None
    story: str | None = None

    def age_on(self, day: date) -> int:
        """Full years on that day."""
        return age_on(self.birth_date, day)


@dataclass(frozen=True, slots=True)
class Flat:
    """A flat; `label` is unique in its building: "301", or "A301" where there are stairwells."""

    label: str
    floor: int
    stairwell: str
    resident: Resident | None


@dataclass(frozen=True, slots=True)
class Building:
    """A building without a lift, its two stewards and the one who stands in for them."""

    number: int
    storeys: int
    stairwells: tuple[str, ...]
    flats: tuple[Flat, ...]
    stewards: tuple[Steward, Steward]
    substitute: Person  # a steward of a neighbouring building: the same Person

    @property
    def name(self) -> str:
        """As people say it: "11栋"."""
        return f"{self.number}栋"


@dataclass(frozen=True, slots=True)
class Round:
    """A round of the day; times are local, "HH:MM"."""

    name: Literal["morning", "evening"]
    opens: str
    prompt: str
    due: str


@dataclass(frozen=True, slots=True)
class Community:
    """The whole sample."""

    name: str
    tz: str
    rounds: tuple[Round, ...]
    buildings: tuple[Building, ...]
    duty: tuple[Person, ...]  # the care centre's telephones

    def flats_with_residents(self) -> Iterator[tuple[Building, Flat, Resident]]:
        """Every resident with the flat and the building, in order of address."""
        for building in self.buildings:
            for flat in building.flats:
                if flat.resident is not None:
                    yield building, flat, flat.resident


def age_on(birth: date, day: date) -> int:
    """Full years on `day`; somebody born on 29 February is a year older on 1 March."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def risk_class(age: int, living: Living, health_flag: bool) -> RiskClass:
    """How closely somebody is watched, from age in years, company and health.

    A: 90 or more; or living alone and either 80 or more or frail. Nobody would notice in time.
    B: living alone, or 80 or more, or frail: one of the reasons, not two.
    C: everybody else.
    After the classes by age, health and living situation that communities with home-care
    information platforms use; the thresholds are ours.
    """
    alone = living == "alone"
    if age >= 90 or (alone and (age >= 80 or health_flag)):
        return "A"
    if alone or age >= 80 or health_flag:
        return "B"
    return "C"
