"""The sample community 广氮 (Guangdan): 51 buildings, their stewards, about 400 older residents.

Pure: the same seed gives the same community in every process, on every machine. It must never
describe a real person: names are drawn from lists, and every telephone number begins +86100,
which no network assigns.

The shape (51 buildings, two stewards each, two rounds a day, the iron door and the light-well
of 14 March in building 11) follows the community that the product was thought out for.
"""

from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Final, Literal

from server.core import device_key
from xunlou import names
from xunlou.community import (
    Building,
    Community,
    DutyShift,
    Flat,
    KeyHolder,
    Lang,
    Living,
    Person,
    Profile,
    Resident,
    RiskClass,
    Round,
    Sex,
    Steward,
    risk_class,
)

AS_OF: Final = date(2026, 3, 14)  # ages and risk classes are of this day
STORY: Final = "march14"
STORY_BUILDING: Final = 11
STORY_FLAT: Final = "301"
STORY_NAME: Final = "何桂芳"
STORY_BIRTH: Final = date(1941, 9, 2)  # 84 on the day
RESIDENTS_IN_51_BUILDINGS: Final = 400
#: Roads and numbers that do not exist in the city. The last houses stand on the next road.
ADDRESS: Final = (
    "广东省广州市天河区榕影路188号广氮小区,救护车走东门",
    "Guangdan Estate, 188 Rongying Road, Tianhe District, Guangzhou, Guangdong; "
    "ambulances take the east gate",
)
NEXT_ROAD: Final = (
    "广东省广州市天河区石榕巷9号广氮小区北区,救护车走石榕巷口",
    "Guangdan Estate North, 9 Shirong Lane, Tianhe District, Guangzhou, Guangdong; "
    "ambulances come in from the lane",
)
ON_THE_NEXT_ROAD: Final = frozenset({49, 50, 51})
MAX_BUILDINGS: Final = 99  # two digits of a telephone number
FAMILY_SHARE: Final = 0.25  # of residents with a relative who asked to be told
ENGLISH_SHARE: Final = 0.04  # of stewards who want their texts in English

#: (storeys, stairwells, flats on a landing): 20 to 40 flats each, small ones more often, so that
#: 51 buildings come to the 1,000 to 1,300 households of a real community of this kind.
_SHAPES: Final = (
    (5, 1, 4), (5, 2, 2), (6, 1, 4), (6, 2, 2), (7, 1, 3), (7, 2, 2), (8, 1, 3),
    (8, 1, 4), (8, 2, 2), (5, 3, 2), (6, 3, 2), (5, 2, 4),
)  # fmt: skip
_SHAPE_WEIGHTS: Final = (6, 6, 5, 5, 4, 3, 3, 2, 2, 2, 1, 1)
_STORY_SHAPE: Final = (7, 1, 4)
_PROFILES: Final[tuple[Profile, ...]] = ("early", "regular", "forgetful", "away", "hospital")
#: How often a resident of a class has access notes, and a key holder.
_NOTES_SHARE: Final[dict[RiskClass, float]] = {"A": 1.0, "B": 0.65, "C": 0.12}
_KEY_SHARE: Final[dict[RiskClass, float]] = {"A": 0.85, "B": 0.5, "C": 0.2}


def phone_number(building: int, serial: int) -> str:
    """A number that cannot exist: +86, 100, two digits of building (00: none), six more."""
    return f"+86100{building:02d}{serial:06d}"


def terminal_password(secret: str, terminal_id: str) -> str:
    """The broker password of a terminal in the embedded edition; 24 hexadecimal digits."""
    return device_key.password(secret, terminal_id)


def guangdan(seed: int = 314, buildings: int = 51) -> Community:
    """The community of this seed, with `buildings` buildings numbered from 1.

    ValueError unless 3 <= buildings <= 99 (a substitute needs a neighbour; numbers have two
    digits). Building 11 and its story are there whenever there are 11 buildings.
    """
    if not 3 <= buildings <= MAX_BUILDINGS:
        raise ValueError(f"buildings must be 3 to {MAX_BUILDINGS}, not {buildings}")
    rng = Random(f"guangdan:{seed}")  # noqa: S311  a repeatable sample, not a secret
    maker = _Maker(rng)
    stewards = {n: maker.stewards(n) for n in range(1, buildings + 1)}
    quotas = _quotas(rng, buildings)
    built = []
    for number in range(1, buildings + 1):
        # Odd and even neighbours stand in for each other, as a pair of houses does.
        neighbour = number + 1 if number % 2 and number < buildings else number - 1
        substitute = stewards[neighbour][rng.randrange(2)].person
        built.append(maker.building(number, quotas[number - 1], stewards[number], substitute))
    duty = tuple(Person(maker.name("f"), phone_number(0, serial)) for serial in range(101, 107))
    street = (Person(maker.name("m"), phone_number(0, 201)),)
    district = (Person(maker.name("f"), phone_number(0, 301)),)
    # Drawn after everything else, so that the rest of the sample stays as people know it.
    built = [maker.with_company(b) for b in built]
    rounds = (
        Round("morning", "04:30", "05:45", "06:00"),
        Round("evening", "17:30", "18:45", "19:00"),
    )
    return Community(
        "广氮", "Asia/Shanghai", rounds, tuple(built), duty, _shifts(duty), street, district,
        *ADDRESS,
    )  # fmt: skip


def _shifts(duty: tuple[Person, ...]) -> tuple[DutyShift, ...]:
    """Three shifts of two people, every day of the week: early (there before the round), late,
    night."""
    hours = (("05:30", "13:30"), ("13:30", "21:30"), ("21:30", "05:30"))
    return tuple(
        DutyShift(person, (1, 2, 3, 4, 5, 6, 7), *hours[index // 2])
        for index, person in enumerate(duty)
    )


def _quotas(rng: Random, buildings: int) -> list[int]:
    """Residents per building: 400 over 51 buildings in all, a few more here, fewer there."""
    total = round(RESIDENTS_IN_51_BUILDINGS * buildings / 51)
    quotas = [total // buildings + (n < total % buildings) for n in range(buildings)]
    for _ in range(buildings * 2):
        giver, taker = rng.randrange(buildings), rng.randrange(buildings)
        if quotas[giver] > 4 and quotas[taker] < 12:
            quotas[giver] -= 1
            quotas[taker] += 1
    return quotas


class _Maker:
    """Draws people and buildings from one generator, and no name twice."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._used = {STORY_NAME}

    def name(self, sex: Sex) -> str:
        """A full name that nobody here has yet."""
        given = names.WOMEN if sex == "f" else names.MEN
        while True:  # 1,600 names a sex, and fewer than 1,200 people in the largest sample
            name = self._rng.choice(names.SURNAMES) + self._rng.choice(given)
            if name not in self._used:
                self._used.add(name)
                return name

    def sex(self, share_of_women: float) -> Sex:
        """f or m."""
        return "f" if self._rng.random() < share_of_women else "m"

    def stewards(self, number: int) -> tuple[Steward, Steward]:
        """The two of a building; the first is its head."""
        return self._steward(number, 1), self._steward(number, 2)

    def _steward(self, number: int, position: Literal[1, 2]) -> Steward:
        lang: Lang = "en" if self._rng.random() < ENGLISH_SHARE else "zh"
        phone = phone_number(number, 100 + position)
        return Steward(Person(self.name(self.sex(0.6)), phone, lang), position)

    def building(
        self, number: int, quota: int, stewards: tuple[Steward, Steward], substitute: Person
    ) -> Building:
        """A building with `quota` residents in flats drawn by lot."""
        shape = self._rng.choices(_SHAPES, _SHAPE_WEIGHTS)[0]
        if number == STORY_BUILDING:
            shape = _STORY_SHAPE
        storeys, wells, landing = shape
        stairwells = tuple("ABC"[:wells])
        addresses = [
            (f"{well if wells > 1 else ''}{floor}{door:02d}", floor, well)
            for floor in range(1, storeys + 1)
            for well in stairwells
            for door in range(1, landing + 1)
        ]
        labels = [label for label, _, _ in addresses]
        lived_in = set(self._rng.sample(labels, quota))
        if number == STORY_BUILDING and STORY_FLAT not in lived_in:
            lived_in.remove(min(lived_in))
            lived_in.add(STORY_FLAT)
        flats = []
        for label, floor, well in addresses:
            resident = None
            if label in lived_in:
                story = number == STORY_BUILDING and label == STORY_FLAT
                resident = self._story(label) if story else self._resident(number, label, labels)
            flats.append(Flat(label, floor, well, resident))
        own = NEXT_ROAD if number in ON_THE_NEXT_ROAD else ("", "")
        return Building(number, storeys, stairwells, tuple(flats), stewards, substitute, *own)

    def _resident(self, number: int, label: str, labels: list[str]) -> Resident:
        rng = self._rng
        age = int(rng.triangular(65, 98, 73))
        # The birthday is AS_OF or in the year before it, so that the age on AS_OF is exact.
        birth = AS_OF.replace(year=AS_OF.year - age) - timedelta(days=rng.randrange(365))
        sex = self.sex(0.58)
        alone_share = 0.15 + 0.01 * (age - 65)
        living: Living = "alone"
        if rng.random() >= alone_share:
            living = "couple" if rng.random() < (0.6 if age < 80 else 0.35) else "family"
        health_flag = rng.random() < 0.08 + 0.012 * (age - 65)
        risk = risk_class(age, living, health_flag)
        notes = self._notes(sex) if rng.random() < _NOTES_SHARE[risk] else ""
        holder = None
        if rng.random() < _KEY_SHARE[risk]:
            holder = self._key_holder(number, label, labels)
        profile = rng.choices(_PROFILES, weights=(28, 50, 17, 4, 1))[0]
        return Resident(
            name=self.name(sex),
            sex=sex,
            birth_date=birth,
            living=living,
            health_flag=health_flag,
            risk_class=risk,
            terminal_id=_terminal_id(number, label),
            profile=profile,
            access_notes=notes,
            key_holder=holder,
        )

    def _notes(self, sex: Sex) -> str:
        rng = self._rng
        way_in = rng.choice(names.WAYS_IN).format(ta="她" if sex == "f" else "他")
        window = rng.choice(names.WINDOWS) if rng.random() < 0.4 else ""
        return way_in + window

    def _key_holder(self, number: int, label: str, labels: list[str]) -> KeyHolder:
        rng = self._rng
        person = Person(self.name(self.sex(0.5)), phone_number(number, self._serial(label, labels)))
        if rng.random() < 0.65:
            where = f"住{rng.choice([other for other in labels if other != label])}，"
            return KeyHolder(person, "neighbour", where + rng.choice(names.KEY_PLACES))
        return KeyHolder(person, "relative", rng.choice(names.RELATIVE_KEY_PLACES))

    def with_company(self, building: Building) -> Building:
        """The building, its residents of class A who live alone each with a befriender, and some
        of all with a relative who asked to be told."""
        labels = [f.label for f in building.flats]
        flats = tuple(
            replace(f, resident=self._company(building.number, f, f.resident, labels))
            if f.resident is not None else f
            for f in building.flats
        )  # fmt: skip
        return replace(building, flats=flats)

    def _company(self, number: int, flat: Flat, r: Resident, labels: list[str]) -> Resident:
        serial = self._serial(flat.label, labels) - 200
        befriender = family = None
        if r.risk_class == "A" and r.living == "alone":
            befriender = Person(self.name(self.sex(0.7)), phone_number(number, 300 + serial))
        if self._rng.random() < FAMILY_SHARE:
            family = Person(self.name(self.sex(0.5)), phone_number(number, 400 + serial))
        return replace(r, befriender=befriender, family=family)

    @staticmethod
    def _serial(label: str, labels: list[str]) -> int:
        """A key holder's number follows from the flat: 201 for the first, 202 for the second."""
        return 201 + labels.index(label)

    def _story(self, label: str) -> Resident:
        """The woman of 14 March; everything about her is fixed but the neighbour's name."""
        age = AS_OF.year - STORY_BIRTH.year - 1
        neighbour = Person(self.name("f"), phone_number(STORY_BUILDING, 200))
        return Resident(
            name=STORY_NAME,
            sex="f",
            birth_date=STORY_BIRTH,
            living="alone",
            health_flag=True,
            risk_class=risk_class(age, "alone", True),
            terminal_id=_terminal_id(STORY_BUILDING, label),
            profile="regular",
            access_notes=names.STORY_ACCESS,
            key_holder=KeyHolder(neighbour, "neighbour", names.STORY_KEY),
            story=STORY,
        )


def _terminal_id(building: int, label: str) -> str:
    return f"gd-{building}-{label.lower()}"


def manifest(community: Community, terminal_secret: str) -> dict[str, object]:
    """The fleet manifest that the simulator reads: terminals, telephones, rounds.

    The entry of the story's terminal alone carries "story". A telephone appears once, in the
    first of its owner's roles: steward, then key holder.
    """
    terminals: list[dict[str, object]] = []
    holders: list[tuple[Person, str, int | None]] = []
    for building, flat, resident in community.flats_with_residents():
        entry: dict[str, object] = {
            "id": resident.terminal_id,
            "password": terminal_password(terminal_secret, resident.terminal_id),
            "building": building.number,
            "flat": flat.label,
            "floor": flat.floor,
            "profile": resident.profile,
            "risk": resident.risk_class,
            # A fleet is never of one release, and no two crystals are alike.
            "fw": "0.9" if len(terminals) % 7 == 3 and not resident.story else "1.0",
            "drift_ppm": (len(terminals) * 37) % 161 - 80,
        }
        if resident.story:
            entry["story"] = resident.story
        terminals.append(entry)
        if resident.key_holder:
            holders.append((resident.key_holder.person, "key_holder", building.number))
        if resident.befriender:
            holders.append((resident.befriender, "befriender", building.number))
        if resident.family:
            holders.append((resident.family, "family", building.number))
    owners: list[tuple[Person, str, int | None]] = [(p, "duty", None) for p in community.duty]
    owners += [(p, "street", None) for p in community.street]
    owners += [(p, "district", None) for p in community.district]
    for building in community.buildings:
        owners += [(s.person, "steward", building.number) for s in building.stewards]
    owners += holders
    phones: dict[str, dict[str, object]] = {}
    for person, role, number in owners:
        line: dict[str, object] = {
            "number": person.phone,
            "name": person.name,
            "role": role,
            "building": number,
            "lang": person.lang,
        }
        phones.setdefault(person.phone, line)
    return {
        "community": community.name,
        "tz": community.tz,
        "terminals": terminals,
        "phones": list(phones.values()),
        "rounds": [
            {"name": r.name, "opens": r.opens, "prompt": r.prompt, "due": r.due}
            for r in community.rounds
        ],
    }
