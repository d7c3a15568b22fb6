"""What goes into a terminal's state machine and what comes out: plain values.

A driver carries outputs out in the order given. `Persist` always stands first, so a power cut
between any two outputs loses nothing that was told to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

from firmware_sim.flash import FlashImage, Led
from firmware_sim.keys import Button
from firmware_sim.wire import Kind, Ref

# ---- in ----


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker took us and our subscriptions stand; `coming`: with the coming password."""

    coming: bool = False


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button, the fall detector or the case's contact; `test` marks a drill, `want` what a
    `help` asks for."""

    kind: Kind
    test: bool = False
    want: str | None = None


@dataclass(frozen=True, slots=True)
class KeyMoved:
    """A key's contact closed or opened at `at_ms`: raw, with all its bouncing."""

    button: Button
    down: bool
    at_ms: int


@dataclass(frozen=True, slots=True)
class Impact:
    """The accelerometer felt a blow of `peak_g`; `still`: nothing moved in the seconds after."""

    peak_g: float
    still: bool


@dataclass(frozen=True, slots=True)
class RadioRead:
    """How well the radio hears: around `rssi` dBm, give or take `spread`."""

    rssi: int
    spread: int = 0


@dataclass(frozen=True, slots=True)
class TemperatureRead:
    """How warm it is in the flat, °C."""

    temp_c: float


@dataclass(frozen=True, slots=True)
class ClockDrifts:
    """From now on the terminal's own clock runs too fast (or slow) by so many parts a million."""

    ppm: int


@dataclass(frozen=True, slots=True)
class Hang:
    """The firmware is caught in a loop: nothing happens until the watchdog bites."""


@dataclass(frozen=True, slots=True)
class MainsChanged:
    """The plug has power, or has lost it."""

    present: bool


@dataclass(frozen=True, slots=True)
class ClockMoved:
    """The terminal's own clock has jumped by `by_ms`; None: it no longer knows the time."""

    by_ms: int | None


@dataclass(frozen=True, slots=True)
class BatterySet:
    """The backup battery was changed, or is worse than it was: its level in per cent."""

    level_pct: float


@dataclass(frozen=True, slots=True)
class BatteryFitted:
    """The backup battery was put in, or taken out."""

    present: bool


@dataclass(frozen=True, slots=True)
class CommandArrived:
    """Bytes on the cmd topic."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class ConfigArrived:
    """Bytes on the cfg topic."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class ServerStateArrived:
    """Bytes on the server's retained state topic."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; do what is due."""


Input = (
    Connected
    | Disconnected
    | Pressed
    | KeyMoved
    | Impact
    | RadioRead
    | TemperatureRead
    | ClockDrifts
    | Hang
    | MainsChanged
    | ClockMoved
    | BatterySet
    | BatteryFitted
    | CommandArrived
    | ConfigArrived
    | ServerStateArrived
    | Tick
)

# ---- out ----


@dataclass(frozen=True, slots=True)
class Persist:
    """Write the image before any later output. A failed write must not stop an alarm."""

    image: FlashImage


@dataclass(frozen=True, slots=True)
class Publish:
    """A message to the broker. `ref` and `kind` tell a driver's ledger which event it carries."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    ref: Ref | None = None
    kind: Kind | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class SetLed:
    """The lamp changes."""

    led: Led


@dataclass(frozen=True, slots=True)
class Say:
    """Spoken aloud; `key` names the sentence in the catalogue, or "say" for the centre's own."""

    text: str
    key: str


@dataclass(frozen=True, slots=True)
class Chime:
    """The friendly chime of a prompt."""


@dataclass(frozen=True, slots=True)
class Buzz:
    """The local buzzer: nobody has answered yet."""

    on: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """A press became an event with an identity."""

    ref: Ref
    kind: Kind
    test: bool


@dataclass(frozen=True, slots=True)
class Receipted:
    """The centre's receipt for an event came in."""

    ref: Ref
    kind: Kind


@dataclass(frozen=True, slots=True)
class Expired:
    """An event grew too old to be of use and was given up. Never an alarm."""

    ref: Ref
    kind: Kind


@dataclass(frozen=True, slots=True)
class Ignored:
    """An input that changed nothing, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reboot:
    """Start again, as after a power cut."""

    reason: str = "asked"


@dataclass(frozen=True, slots=True)
class PowerOff:
    """The battery is flat; the terminal is dark until the mains come back."""


Output = (
    Persist
    | Publish
    | SetLed
    | Say
    | Chime
    | Buzz
    | Stored
    | Receipted
    | Expired
    | Ignored
    | Reboot
    | PowerOff
)
