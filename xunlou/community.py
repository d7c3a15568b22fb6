"""The people and the place as the embedded edition describes them: a community, frozen.

Facts only. It must never hold a database row, read a file or have a rule of its own (risk classes
are the server's); importers and the sample both produce it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from server.core.risk import Living, RiskClass, age_on, risk_class

__all__ = ["Living", "RiskClass", "age_on", "risk_class"]  # the server's, for those who import us

Lang = Literal["zh", "en"]
Profile = Literal["early", "regular", "forgetful", "away", "hospital"]
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
class DutyShift:
    """When somebody of the care centre has the duty. Local times; over midnight where the end is
    not after the begin."""

    person: Person
    days: tuple[int, ...]  # ISO weekdays on which it begins
    starts: str
    ends: str


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
    befriender: Person | None = None  # the one volunteer named for somebody who lives alone
    family: Person | None = None  # a relative who asked to be told

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
    address: str = ""  # only where it stands on another road than its community
    address_en: str = ""

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
    classes: tuple[RiskClass, ...] = ("A", "B", "C")  # who owes it


@dataclass(frozen=True, slots=True)
class Community:
    """The whole sample."""

    name: str
    tz: str
    rounds: tuple[Round, ...]
    buildings: tuple[Building, ...]
    duty: tuple[Person, ...]  # the care centre's people
    shifts: tuple[DutyShift, ...] = ()
    street: tuple[Person, ...] = ()  # the offices above
    district: tuple[Person, ...] = ()
    address: str = ""  # as 120 needs it: province, city, district, road, number, gate
    address_en: str = ""

    def flats_with_residents(self) -> Iterator[tuple[Building, Flat, Resident]]:
        """Every resident with the flat and the building, in order of address."""
        for building in self.buildings:
            for flat in building.flats:
                if flat.resident is not None:
                    yield building, flat, flat.resident
