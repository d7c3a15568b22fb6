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
    people = sorted({s.person.phone for b in town.buildings for s in b.stewards}
                    | {p.phone for p in town.duty})  # fmt: skip
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
    )  # fmt: skip


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


def community(
    tz: str, rounds: tuple[Round, ...], floors: tuple[RiskClass, ...]
) -> Community:
    """Three buildings with four residents each; each building's substitute is a neighbour."""
    stewards = {
        n: (
            Steward(Person(f"甲{n}", f"+861000{n}000101"), 1),
            Steward(Person(f"Yi{n}", f"+861000{n}000102", "en" if n == 2 else "zh"), 2),
        )
        for n in (1, 2, 3)
    }
    buildings = tuple(
        Building(n, 4, ("",), tuple(_flat(n, f, c) for f, c in enumerate(floors, 1)), stewards[n],
                 stewards[n % 3 + 1][0].person)
        for n in (1, 2, 3)
    )  # fmt: skip
    duty = (Person("值班", "+8610000000901"),)
    return Community("模拟", tz, rounds, buildings, duty)


def _flat(building: int, floor: int, risk_class: RiskClass) -> Flat:
    holder = Person(f"邻{building}{floor}", f"+861000{building}00020{floor}")
    key = KeyHolder(holder, "neighbour", "玄关") if floor % 2 else None
    # What the rule makes of age, company and health (server/core/risk.py).
    born = 1959 if risk_class == "C" else 1940
    resident = Resident(
        name=f"住{building}{floor}", sex="f", birth_date=date(born, floor, building),
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
