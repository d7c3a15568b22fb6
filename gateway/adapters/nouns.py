"""What an adapter makes of a foreign message, and the identity that it gives a press.

Pure: no I/O, no clock; `now_ms` is passed in. An adapter must never invent a press (a retained
replay, a level that has not changed) and never drop one for want of an identity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

WINDOW_MS: Final = 3_000
"""Devices without an identity repeat one press within this time (zigbee2mqtt: the same action from
several routers; a finger that bounces)."""
DAY_MS: Final = 86_400_000
_ROOM: Final = 16
"""Kinds of event that one millisecond has numbers for; 16 of each day's fit into 31 bits."""
_KINDS: Final = (
    "battery_low", "checkin", "fall", "mains_lost", "mains_restored", "sos", "sos_cancel", "tamper",
    "test", "help",
)  # fmt: skip
"""A kind's number is its place here, for ever: a new one is put at the end, or a press that is
delivered again after the upgrade would count as another."""


def identity(event_type: str, stamp_ms: int) -> tuple[int, int]:
    """(boot, seq) of a foreign event: the day, and the millisecond in it with the kind.

    The kind belongs to it: one report may say two things (`sos` and `battery_low`), and the server
    takes two events of one identity for one, whatever they say.
    """
    day, ms = divmod(stamp_ms, DAY_MS)
    return day, ms * _ROOM + _KINDS.index(event_type)


@dataclass(frozen=True, slots=True)
class Press:
    """A press or a device's own report: `type` is one of the contract's event types.

    `stamp_ms` tells this press from all others of the device: the device's or network's own time
    of it where there is one, so that a redelivery is the same press.
    """

    terminal: str
    type: str
    stamp_ms: int
    battery: int | None = None
    rssi: int | None = None

    @property
    def identity(self) -> tuple[int, int]:
        """(boot, seq) as the contract wants them; see `identity`."""
        return identity(self.type, self.stamp_ms)


@dataclass(frozen=True, slots=True)
class Alive:
    """The device was heard; nothing about the person."""

    terminal: str
    battery: int | None = None
    rssi: int | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """The device, or a bridge, is there or not."""

    terminal: str
    online: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """A device that nobody has entered. Its message is kept for staff, who need it to enter it; its
    alarm must reach them at once."""

    name: str
    alarm: bool
    stamp_ms: int


Reading = Press | Alive | Presence | Unknown


@dataclass(frozen=True, slots=True)
class Habit:
    """How a device can be expected to be heard, which the server must know before it can miss it:
    it calls a terminal silent after two and a half of its intervals, and takes 900 s for one that
    never said."""

    heartbeat_s: int
    guarded: bool = False
    """The broker speaks its last will when it is gone, so it is well while it is said to be there:
    what it says by itself may be nothing for weeks."""
    via: str = ""
    """The terminal id of the bridge that it hangs on."""


BATTERY_S: Final = 10 * 3600
"""For a button on a battery that reports now and then: called silent after 25 h, as zigbee2mqtt
does."""


class Adapter(Protocol):
    """One family of devices."""

    @property
    def topics(self) -> tuple[str, ...]:
        """What to subscribe to."""

    @property
    def habits(self) -> Mapping[str, Habit]:
        """Each terminal that it may speak for."""

    def read(self, topic: str, payload: bytes, retained: bool, now_ms: int) -> list[Reading]:
        """What a message says; nothing for one that says nothing. Never raises."""


@dataclass(slots=True)
class Window:
    """Remembers each device's last press of each kind; bounded by the devices that are entered."""

    last: dict[tuple[str, str], int] = field(default_factory=dict)

    def stamp(self, device: str, what: str, now_ms: int) -> int | None:
        """The stamp of a new press; None when it repeats the one before."""
        before_ms = self.last.get((device, what))
        if before_ms is not None and 0 <= now_ms - before_ms < WINDOW_MS:
            return None
        self.last[device, what] = now_ms
        return now_ms


@dataclass(slots=True)
class Edges:
    """Levels as last seen, to find the moment in which one rises."""

    levels: dict[tuple[str, str], bool] = field(default_factory=dict)

    def rises(self, device: str, name: str, level: bool) -> bool:
        """Whether the level was low, or never seen, and is high now."""
        before = self.levels.get((device, name), False)
        self.levels[device, name] = level
        return level and not before
