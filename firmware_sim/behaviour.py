"""How residents live with their terminals: when they check in, answer a chime, test, or call.

Pure and seeded: the same seed, terminal and day give the same habit. Nothing here presses; the
driver in `residents` does. The shares are plausible, not measured, except where a source stands.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from firmware_sim.manifest import Profile, Round

DAY_MS: Final = 86_400_000
# One test press a month: of all presses at a centre about two thirds were tests, and welcome.
TEST_CHANCE_PER_DAY: Final = 1 / 30
FORGETS: Final = 0.12
NEEDS_THE_CHIME: Final = 0.18
# Who does not check in unasked still answers the chime, mostly.
ANSWERS: Final = {
    Profile.EARLY: 0.95,
    Profile.REGULAR: 0.9,
    Profile.FORGETFUL: 0.6,
    Profile.AWAY: 0.0,
    Profile.HOSPITAL: 0.9,
}
STAY_DAYS: Final = 8
STAY_EVERY_DAYS: Final = 28
"""Of those who are often in hospital: eight days of each four weeks."""
# How hard blows are, in g: mean and spread. Plausible, not measured.
BLOWS: Final = {"fall": (3.6, 0.6), "sits_down_hard": (2.1, 0.4), "drops_it": (4.2, 0.8)}


@dataclass(frozen=True, slots=True)
class Window:
    """One round on one day, epoch milliseconds."""

    name: str
    day: date
    opens_ms: int
    prompt_ms: int
    due_ms: int


def _epoch_ms(day: date, at: time, tz: ZoneInfo) -> int:
    # fold=0: an hour that comes twice counts from its first coming, one that is skipped from
    # where the clocks land.
    return int(datetime.combine(day, at, tz).timestamp() * 1000)


def windows(rounds: tuple[Round, ...], tz: ZoneInfo, now_ms: int) -> list[Window]:
    """The windows of yesterday's to tomorrow's date that are not over, by their opening."""
    today = day_of(now_ms, tz)
    found = [
        Window(
            name=each.name,
            day=day,
            opens_ms=_epoch_ms(day, each.opens, tz),
            prompt_ms=_epoch_ms(day, each.prompt, tz),
            due_ms=_epoch_ms(day, each.due, tz),
        )
        for day in (today + timedelta(days=d) for d in (-1, 0, 1))
        for each in rounds
    ]
    return sorted((w for w in found if w.due_ms > now_ms), key=lambda w: w.opens_ms)


def _rng(seed: int, *parts: object) -> random.Random:
    return random.Random(":".join(map(str, (seed, *parts))))


def checkin_ms(seed: int, terminal: str, profile: Profile, window: Window) -> int | None:
    """When this resident checks in unasked in this window; None: not at all.

    Early risers press in the first third, regulars before the chime; the forgetful skip some
    rounds and leave others to the chime; nobody is at home when away.
    """
    if not at_home(seed, terminal, profile, window.day):
        return None
    rng = _rng(seed, terminal, window.day, window.name, "checkin")
    to_prompt_ms = window.prompt_ms - window.opens_ms
    match profile:
        case Profile.EARLY:
            share = rng.betavariate(2, 4) * 0.45
        case Profile.REGULAR | Profile.HOSPITAL | Profile.AWAY:
            share = rng.betavariate(5, 3)
        case Profile.FORGETFUL:
            draw = rng.random()
            if draw < FORGETS + NEEDS_THE_CHIME:
                return None
            share = rng.betavariate(4, 2)
    return window.opens_ms + int(share * to_prompt_ms)


def at_home(seed: int, terminal: str, profile: Profile, day: date) -> bool:
    """Whether anybody is there to press on this day. Whatever presses asks this first: nobody
    answers a chime, tries a key or falls in an empty flat."""
    if profile is Profile.HOSPITAL:
        return not in_hospital(seed, terminal, day)
    return profile is not Profile.AWAY


def day_of(now_ms: int, tz: ZoneInfo) -> date:
    """The community's date at an instant, epoch milliseconds."""
    return datetime.fromtimestamp(now_ms / 1000, tz).date()


def day_begins_ms(day: date, tz: ZoneInfo) -> int:
    """The first instant of a date in the community, epoch milliseconds."""
    return _epoch_ms(day, time(0), tz)


def in_hospital(seed: int, terminal: str, day: date) -> bool:
    """Whether somebody who is often in hospital is there on this day."""
    first = _rng(seed, terminal, "stay").randrange(STAY_EVERY_DAYS)
    return (day.toordinal() + first) % STAY_EVERY_DAYS < STAY_DAYS


def blow(seed: int, number: int, kind: str) -> float:
    """How hard the accelerometer is hit, in g, by the nth fall, hard sit-down or drop."""
    mean, spread = BLOWS[kind]
    return max(0.0, _rng(seed, "blow", kind, number).gauss(mean, spread))


def takes_back_ms(seed: int, number: int) -> int:
    """How long after an accidental press the resident cancels it."""
    return int(_rng(seed, "oops", number).triangular(4_000, 40_000, 9_000))


def answer_delay_ms(
    seed: int, terminal: str, profile: Profile, asked_ms: int, tz: ZoneInfo
) -> int | None:
    """How long after a chime this resident presses; None: does not."""
    rng = _rng(seed, terminal, asked_ms // 60_000, "answer")
    if not at_home(seed, terminal, profile, day_of(asked_ms, tz)):
        return None
    if rng.random() >= ANSWERS[profile]:
        return None
    return int(rng.triangular(8_000, 300_000, 45_000))


def trial_press_ms(
    seed: int, terminal: str, profile: Profile, day: date, tz: ZoneInfo
) -> int | None:
    """When this resident tries the terminal on this day, between 09:00 and 17:00; mostly None."""
    rng = _rng(seed, terminal, day, "test")
    if not at_home(seed, terminal, profile, day) or rng.random() >= TEST_CHANCE_PER_DAY:
        return None
    start = datetime(day.year, day.month, day.day, 9, tzinfo=tz)
    return int(start.timestamp() * 1000) + int(rng.random() * 8 * 3_600_000)


@dataclass(frozen=True, slots=True)
class SosPlan:
    """The next call for help somewhere in the community; `number` counts them."""

    number: int
    at_ms: int
    terminal: str


def next_sos(
    seed: int,
    number: int,
    terminals: tuple[str, ...],
    per_hour: float,
    after_ms: int,
    purpose: str = "sos",
) -> SosPlan | None:
    """The call for help (or what else the purpose is) that follows `after_ms`: a Poisson process
    over all terminals.

    None when the rate is 0 or nobody is there.
    """
    if per_hour <= 0 or not terminals:
        return None
    rng = _rng(seed, purpose, number)
    gap_ms = int(rng.expovariate(per_hour) * 3_600_000)
    return SosPlan(number, after_ms + gap_ms, rng.choice(terminals))
