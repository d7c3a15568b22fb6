"""The nouns of a scenario: its cast, what people and the weather do, what must then be seen.

Only data. `scenario` reads them from YAML, `runner` plays them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from firmware_sim.weather import Weather
from firmware_sim.wire import Kind


@dataclass(frozen=True, slots=True)
class CastTerminal:
    """Which terminal plays a part: the `nth` (from 1) of a `story` mark, building, floor,
    profile."""

    story: str | None = None
    building: int | None = None
    floor: int | None = None
    profile: str | None = None
    nth: int = 1


@dataclass(frozen=True, slots=True)
class CastPhone:
    """Which person's phone plays a part: the `nth` (from 1) of a role in a building."""

    role: str = "steward"
    building: int | None = None
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Where:
    """One terminal of the cast, or every terminal of a building."""

    terminal: str | None = None
    building: int | None = None


@dataclass(frozen=True, slots=True)
class Press:
    """Press a button of a terminal, or fall; `test` marks a drill, `want` says what a `help` asks
    for."""

    on: str
    kind: Kind
    test: bool = False
    want: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A text from a phone; `{name}` stands for what an earlier step captured."""

    phone: str
    body: str


@dataclass(frozen=True, slots=True)
class Switch:
    """Mains, power (battery too) or network, on or off. `half_open`: the connection stands, and
    nothing passes."""

    where: Where
    what: str
    to: bool


@dataclass(frozen=True, slots=True)
class Flap:
    """Mains, power or network go and come `times` times, `every_s` virtual seconds apart."""

    where: Where
    what: str
    times: int
    every_s: float


@dataclass(frozen=True, slots=True)
class SetWeather:
    """What the radio does to messages from now on, both ways."""

    where: Where
    weather: Weather


@dataclass(frozen=True, slots=True)
class MoveClock:
    """The terminal's own clock jumps by so many seconds; None: it forgets the time."""

    where: Where
    by_s: float | None


@dataclass(frozen=True, slots=True)
class SetBattery:
    """The backup battery stands at so many per cent (worn out, or a new one)."""

    where: Where
    level_pct: float


@dataclass(frozen=True, slots=True)
class Tear:
    """The power goes while the terminal writes its flash, after so many bytes of the next store."""

    on: str
    after_bytes: int


@dataclass(frozen=True, slots=True)
class KeyPress:
    """A finger on a key, `held_s` long; the contact bounces `bounces` times at both ends."""

    on: str
    key: str
    held_s: float
    bounces: int = 0


@dataclass(frozen=True, slots=True)
class Blow:
    """The pendant is hit with so many g; its firmware decides whether that was a fall."""

    on: str
    peak_g: float
    still: bool = True


@dataclass(frozen=True, slots=True)
class Hang:
    """The firmware loops until its watchdog bites."""

    where: Where


@dataclass(frozen=True, slots=True)
class Temperature:
    """How warm it is there, °C."""

    where: Where
    temp_c: float


@dataclass(frozen=True, slots=True)
class Drift:
    """The terminal's own clock runs too fast by so many parts a million."""

    where: Where
    ppm: int


@dataclass(frozen=True, slots=True)
class SetBroker:
    """The broker is gone, or comes back."""

    on: bool


@dataclass(frozen=True, slots=True)
class ProviderFault:
    """The SMS provider misbehaves `count` times, for one phone or for everybody."""

    what: str
    count: int
    phone: str | None = None
    error_code: int = 30008


Doing = (
    Press | KeyPress | Blow | Reply | Switch | Flap | SetWeather | MoveClock | Drift | SetBattery
    | Temperature | Hang | Tear | SetBroker | ProviderFault
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExpectSms:
    """A new text on each of these phones, holding one of each `contains` group."""

    to: tuple[str, ...]
    contains: tuple[tuple[str, ...], ...] = ()
    capture: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExpectSilence:
    """No text with one of each group reaches these phones for `for_s` virtual seconds."""

    on: tuple[str, ...]
    contains: tuple[tuple[str, ...], ...]
    for_s: float


@dataclass(frozen=True, slots=True)
class Between:
    """A reading that wanders: both ends count. Nobody can expect a battery, or a radio, to the
    digit."""

    least: float
    most: float

    def __contains__(self, reading: object) -> bool:
        return isinstance(reading, int | float) and self.least <= reading <= self.most

    def __str__(self) -> str:
        return f"from {self.least:g} to {self.most:g}"


@dataclass(frozen=True, slots=True)
class ExpectTerminal:
    """A terminal's lamp, a sentence it has spoken since the start, how many events have no receipt
    yet, and other fields of its view."""

    on: str
    led: str | None = None
    says: tuple[str, ...] = ()
    waiting: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExpectWindow:
    """The window of a terminal's flat on the wall shows one of these."""

    of: str
    shows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExpectPage:
    """A page of the server that shows one of each group."""

    path: str
    shows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ExpectAlert:
    """An alert as the server's API tells it: the one with this code, or without a code the newest
    since the start that has all the fields."""

    code: str | None
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measure:
    """Virtual seconds from one step to another, and the most it may be."""

    start: str
    end: str
    at_most_s: float


Expecting = (
    ExpectSms | ExpectSilence | ExpectTerminal | ExpectWindow | ExpectPage | ExpectAlert
)
Action = Doing | Expecting | Measure


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the story.

    An expectation has a deadline in virtual seconds (`within_s`: people) or in real ones
    (`within_real_s`: promises about the machine, which does not get faster with the clock).
    """

    id: str
    title: str
    line: int
    at_s: float
    action: Action
    within_s: float | None = None
    within_real_s: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story and its cast."""

    name: str
    about: str
    cast: dict[str, CastTerminal | CastPhone]
    steps: tuple[Step, ...]
    alone: bool = False
    """Touches what all others need (the broker): played when nobody else is."""
