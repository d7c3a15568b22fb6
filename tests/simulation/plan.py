"""From a seed to a small community and the list of what will go wrong there."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from xunlou.community import (
    Building,
    Community,
    Flat,
    KeyHolder,
    Person,
    Resident,
    RiskClass,
    Round,
    Steward,
)

PLACES = (
    ("Asia/Shanghai", date(2026, 3, 14)),
    ("Asia/Shanghai", date(2026, 3, 14)),
    ("Asia/Kolkata", date(2026, 6, 1)),
    ("Europe/Berlin", date(2026, 3, 28)),  # the night without 02:30 is the second
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),  # the night with 02:30 twice
)
CLASSES: tuple[RiskClass, ...] = ("A", "B", "C")
USUAL = (Round("morning", "04:30", "05:45", "06:00"), Round("evening", "17:30", "18:45", "19:00"))
NIGHTLY = (Round("morning", "00:40", "02:15", "02:30"), USUAL[1])
PERSONAS = ("prompt", "prompt", "slow", "silent", "wrong", "twice", "declines", "careless", "stops")


@dataclass(frozen=True, slots=True)
class Plan:
    """How rough the days of one seed are. Probabilities are per occasion unless named a day."""

    seed: int
    zone: ZoneInfo
    start: datetime
    days: int
    community: Community
    servers: int
    sos_a_day: float
    forgets: float
    offline: float
    late_network: float
    crash_send: float
    crash_other: float
    crashes_a_day: float
    stalls_a_day: float
    jumps_a_day: float
    gateway_outages_a_day: float
    provider_outages_a_day: float
    busy: float
    timeout: float
    lookup_lag: float
    undelivered: float
    callback_lost: float
    callback_twice: float
    stops: float
    personas: dict[str, str]
    storms_a_day: float = 0.0
    """A building, or all of them, without power or network."""
    away_a_day: float = 0.0
    """How often somebody who is told goes away for some hours, and a resident for a day or two."""
    rings_residents: bool = False
    """Whether those still awaited are rung before the round is due."""
    refusals: float = 0.0
    """How often the provider refuses a text or a call outright, for one of many reasons."""
    drills_a_day: float = 0.0
    """How often somebody tries their terminal out, by a test press."""
    restarts_a_day: float = 0.0
    """How often a server is stopped as for an upgrade, with its grace of two seconds."""
    commits_fail: float = 0.0
    """How often the disk refuses a commit."""
    neighbours: Community | None = None
    """A second community in the same installation: its own zone, rounds, desk and houses."""

    @property
    def communities(self) -> tuple[Community, ...]:
        """All of them, in the order in which they are registered."""
        return (self.community, self.neighbours) if self.neighbours else (self.community,)


def plan(seed: int, days: int = 1) -> Plan:
    """The plan of a seed; each kind of trouble is on in about half of the seeds, and all of them at
    once in every tenth."""
    rng = Random(f"plan:{seed}")
    tz, day = rng.choice(PLACES)
    zone = ZoneInfo(tz)
    rounds = NIGHTLY if tz == "Europe/Berlin" else USUAL
    floors = classes(seed)
    if "C" in floors:
        rounds = (rounds[0], replace(rounds[1], classes=("A", "B")))
    town = community(tz, rounds, floors)

    def maybe(high: float, odds: float = 0.5) -> float:
        on, much = rng.random() < odds, rng.random()
        if all_at_once:
            return high * (0.4 + 0.6 * much)
        return high * much if on else 0.0

    all_at_once = seed % 10 == 0
    least = 1 if all_at_once else -3
    # Some seeds are without any fault: there nothing may be sent twice at all.
    quiet = rng.random() < 0.15 and not all_at_once
    rough = 0.0 if quiet else 1.0
    beside = neighbours(seed, tz)
    towns = (town, beside) if beside else (town,)
    people = sorted({s.person.phone for c in towns for b in c.buildings for s in b.stewards}
                    | {p.phone for c in towns for p in c.duty})  # fmt: skip
    return Plan(
        seed=seed, zone=zone, start=datetime.combine(day, datetime.min.time(), zone), days=days,
        community=town, servers=rng.choice((1, 2, 2)), sos_a_day=rng.uniform(1.5, 4),
        forgets=rng.uniform(0.03, 0.15), offline=rough * maybe(0.15),
        late_network=rough * maybe(0.3), crash_send=rough * maybe(0.12),
        crash_other=rough * maybe(0.006), crashes_a_day=rough * maybe(6),
        stalls_a_day=rough * maybe(4, 0.3), jumps_a_day=rough * maybe(3, 0.3),
        gateway_outages_a_day=rough * maybe(5), provider_outages_a_day=rough * maybe(5),
        busy=rough * maybe(0.2), timeout=rough * maybe(0.15), lookup_lag=rough * maybe(20, 0.3),
        undelivered=rough * maybe(0.2), callback_lost=rough * maybe(0.3),
        callback_twice=rough * maybe(0.3), stops=maybe(0.15),
        personas={p: rng.choice(PERSONAS) for p in people},
        # Drawn apart, so that the seeds of old stay the stories they were but for their storms.
        storms_a_day=rough * max(0.0, Random(f"storms:{seed}").uniform(least, 4)),
        away_a_day=max(0.0, Random(f"away:{seed}").uniform(least, 6)),
        rings_residents=all_at_once or Random(f"rings:{seed}").random() < 0.4,
        refusals=rough * max(0.0, Random(f"refusals:{seed}").uniform(0.02 * least, 0.1)),
        drills_a_day=Random(f"drills:{seed}").uniform(0.3, 1.5),
        restarts_a_day=rough * max(0.0, Random(f"restarts:{seed}").uniform(least, 4)),
        neighbours=beside,
        commits_fail=rough * max(0.0, Random(f"commits:{seed}").uniform(0.003 * least, 0.006)),
    )  # fmt: skip


NEIGHBOURS = 0.4
"""In what part of the new seeds a second community lives beside the first."""
SECOND = 4
"""The second's people, telephones and terminals are numbered from here on."""
USUAL_FLOORS: tuple[RiskClass, ...] = ("B", "B", "A", "A")
OLD_STORIES = 100_000
"""Seeds below this have the usual floors: they are the stories that showed a mistake once."""


def classes(seed: int) -> tuple[RiskClass, ...]:
    """The risk class of each floor. Of A everybody who misses a round is looked for by themselves,
    unless a cause explains the silence; the others are on their building's one worklist, and those
    of C owe the morning alone."""
    rng = Random(f"classes:{seed}")
    if seed < OLD_STORIES or rng.random() < 0.3:
        return USUAL_FLOORS
    return tuple(rng.choice(CLASSES) for _ in USUAL_FLOORS)


def neighbours(seed: int, tz: str) -> Community | None:
    """In some seeds a second community of two houses, in another zone and with other rounds."""
    rng = Random(f"neighbours:{seed}")
    if seed < OLD_STORIES or rng.random() >= NEIGHBOURS:
        return None
    west = "Asia/Urumqi" if tz != "Asia/Kolkata" else "Asia/Shanghai"
    rounds = (
        Round("morning", "05:00", "07:15", "07:30"), Round("evening", "18:00", "20:15", "20:30"),
    )
    floors = tuple(rng.choice(CLASSES) for _ in USUAL_FLOORS)
    return community(west, rounds, floors, 2, SECOND)


def community(
    tz: str, rounds: tuple[Round, ...], floors: tuple[RiskClass, ...], houses: int = 3,
    first: int = 0,
) -> Community:  # fmt: skip
    """So many buildings with four residents each; each building's substitute is a neighbour.
    `first`: what tells its people, telephones and terminals from those of another."""
    numbers = range(1, houses + 1)
    stewards = {
        n: (
            Steward(Person(f"甲{first + n}", f"+861000{first + n}000101"), 1),
            Steward(
                Person(f"Yi{first + n}", f"+861000{first + n}000102", "en" if n == 2 else "zh"), 2
            ),
        )
        for n in numbers
    }
    buildings = tuple(
        Building(n, 4, ("",), tuple(_flat(n, f, c, first) for f, c in enumerate(floors, 1)),
                 stewards[n], stewards[n % houses + 1][0].person)
        for n in numbers
    )  # fmt: skip
    duty = (Person(f"值班{first or ''}", f"+861000{first}000901"),)
    return Community("邻居" if first else "模拟", tz, rounds, buildings, duty)


def _flat(number: int, floor: int, risk_class: RiskClass, first: int) -> Flat:
    building = first + number
    holder = Person(f"邻{building}{floor}", f"+861000{building}00020{floor}")
    key = KeyHolder(holder, "neighbour", "玄关") if floor % 2 else None
    # What the rule makes of age, company and health (server/core/risk.py).
    born = 1959 if risk_class == "C" else 1940
    resident = Resident(
        name=f"住{building}{floor}", sex="f", birth_date=date(born, floor, number),
        living="alone" if risk_class == "A" else "couple",
        health_flag=floor == 4 and risk_class != "C", risk_class=risk_class,
        terminal_id=f"sim-{building}-{floor}01", profile="regular", access_notes="敲三下",
        key_holder=key,
    )  # fmt: skip
    return Flat(f"{floor}01", floor, "", resident)


def moments(rng: Random, a_day: float, days: int) -> list[float]:
    """Seconds from the start at which something rare happens, `a_day` times a day on average."""
    found, at = [], 0.0
    while a_day > 0:
        at += rng.expovariate(a_day / 86400)
        if at > timedelta(days=days).total_seconds():
            break
        found.append(at)
    return found
