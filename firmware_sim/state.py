"""A terminal's memory, and the small questions asked of it. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Final

from firmware_sim import keys
from firmware_sim.battery import Battery
from firmware_sim.flash import Alarm, DeviceConfig, FlashImage, Keys, Led
from firmware_sim.hardware import Hardware
from firmware_sim.outputs import Output, Say
from firmware_sim.texts import spoken
from firmware_sim.wire import ALARM_KINDS, NEVER_EXPIRES, Kind, Ref, StoredEvent

BUZZ_AFTER_MS: Final = 10_000
RESOLVED_SHOWN_MS: Final = 60_000
KEPT_MS: Final = 24 * 3_600_000  # check-ins and reports; alarms have no end
MAX_PENDING: Final = 128  # events in flash
MAX_SEEN: Final = 64  # command ids remembered against repeats

# Offsets of the resends from the first attempt of a connection, then the steady spacing.
ALARM_RESENDS_MS: Final = (2_000, 4_000, 8_000, 15_000)
ALARM_EVERY_MS: Final = 15_000
# The contract leaves the check-in's spacing open: quick enough that a lost receipt is mended
# within the round, sparse enough that a thousand terminals don't press on a server in trouble.
QUIET_RESENDS_MS: Final = (10_000, 30_000, 60_000, 120_000, 300_000)
QUIET_EVERY_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Traits:
    """What distinguishes one terminal from another, fixed at the factory."""

    fw: str = "1.0"
    seed: int = 0
    hb_jitter: float = 0.1  # share of hb_s
    rssi: int = -61
    clock_ok: bool = True  # False: a clock that was never set until a `time` command
    clock_cell: bool = True  # the clock has a coin cell of its own and outlives a power cut
    drift_ppm: int = 0  # of the crystal; cheap ones stay within 100


def made(traits: Traits, now_ms: int) -> Hardware:
    """The facts as they leave the factory: a full battery on the mains, and its own clock."""
    return Hardware(
        battery=Battery(since_ms=now_ms),
        clock_ok=traits.clock_ok,
        drift_ppm=traits.drift_ppm,
        set_ms=now_ms,
        rssi=traits.rssi,
    )


@dataclass(frozen=True, slots=True)
class Pending:
    """An event without a receipt. `attempt` lives in RAM and starts anew after a power cut."""

    event: StoredEvent
    attempt: int = 0
    buffered: bool = False
    sends: int = 0  # in this connection
    base_ms: int = 0  # first attempt of this connection
    next_ms: int | None = None  # None: waits for a connection

    @property
    def urgent(self) -> bool:
        """Whether it is an alarm or news of one."""
        return self.event.kind in NEVER_EXPIRES

    @property
    def expires_ms(self) -> int | None:
        """When it is of no use any more; None for alarms."""
        return None if self.urgent else self.event.stored_ms + KEPT_MS


@dataclass(frozen=True, slots=True)
class State:
    """All that a switched-on terminal knows."""

    t: str
    traits: Traits
    config: DeviceConfig
    boot: int
    seq: int
    booted_ms: int
    clock_ok: bool
    skew_ms: int = 0
    drift_ppm: int = 0
    set_ms: int = 0  # since when the drift adds up
    connected: bool = False
    pending: tuple[Pending, ...] = ()
    alarm: Alarm | None = None
    buzzing: bool = False
    battery: Battery = field(default_factory=Battery)
    hb_at_ms: int = 0
    hb_count: int = 0
    seen: tuple[tuple[str, str], ...] = ()
    drain_at_ms: int | None = None  # when to empty the backlog after the server came back
    red: keys.Key = keys.UP
    green: keys.Key = keys.UP
    rssi: int = -61
    rssi_spread: int = 0
    hung_ms: int | None = None  # since when the firmware loops
    keys: Keys = field(default_factory=Keys)
    mains_told: bool = True  # what the centre was told last of the plug

    @property
    def hardware(self) -> Hardware:
        """The facts that outlive the program."""
        return Hardware(
            battery=self.battery,
            clock_ok=self.clock_ok,
            skew_ms=self.skew_ms,
            drift_ppm=self.drift_ppm,
            set_ms=self.set_ms,
            rssi=self.rssi,
            rssi_spread=self.rssi_spread,
        )

    def on(self, hardware: Hardware) -> State:
        """The same program on other facts."""
        return replace(
            self,
            battery=hardware.battery,
            clock_ok=hardware.clock_ok,
            skew_ms=hardware.skew_ms,
            drift_ppm=hardware.drift_ppm,
            set_ms=hardware.set_ms,
            rssi=hardware.rssi,
            rssi_spread=hardware.rssi_spread,
        )

    @property
    def led(self) -> Led:
        """What the lamp shows."""
        return Led.IDLE if self.alarm is None else self.alarm.stage

    @property
    def load(self) -> float:
        """How hard the terminal works, as a multiple of its idle current."""
        if self.buzzing:
            return 4.0
        sending = self.alarm is not None and self.alarm.stage is Led.SENDING
        return 2.5 if sending else 1.0 if self.alarm is None else 1.3

    @property
    def image(self) -> FlashImage:
        """What must lie in flash for this state to survive a power cut."""
        return FlashImage(
            boot=self.boot,
            seq=self.seq,
            events=tuple(pending.event for pending in self.pending),
            alarm=self.alarm,
            config=self.config,
            keys=self.keys,
            mains_told=self.mains_told,
            seen=self.seen,
        )

    def stores_more_than(self, before: State) -> bool:
        """Whether flash must be written after this step. Most change nothing of what lies there,
        which is seen without an image of either side."""
        same = all(getattr(self, name) is getattr(before, name) for name in STORED)
        return not same and self.image != before.image


STORED: Final = ("boot", "seq", "pending", "alarm", "config", "keys", "mains_told")
"""What of a state its image is made of, but for `seen`, which is no reason to write."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """The next state and what to do, in order."""

    state: State
    outputs: tuple[Output, ...]


def own_time_ms(state: State, now_ms: int) -> int:
    """What the terminal's own clock shows: jumped, and drifted since it was set."""
    return state.hardware.clock_ms(now_ms)


def rssi_now(state: State, now_ms: int) -> int:
    """How well the radio hears, dBm; it wanders from minute to minute."""
    if not state.rssi_spread:
        return state.rssi
    rng = random.Random(f"{state.traits.seed}:{state.t}:rssi:{now_ms // 60_000}")
    return state.rssi + rng.randint(-state.rssi_spread, state.rssi_spread)


def say(state: State, key: str, **values: object) -> Say:
    """The catalogue's sentence in the terminal's language."""
    return Say(spoken(key, state.config.lang, **values), key)


def alarm_pending(state: State) -> bool:
    """Whether a call for help still waits for its receipt."""
    return any(pending.event.kind in ALARM_KINDS for pending in state.pending)


def resend_at_ms(pending: Pending) -> int:
    """When to send again, after `pending.sends` attempts in this connection (at least one)."""
    offsets, every = (
        (ALARM_RESENDS_MS, ALARM_EVERY_MS) if pending.urgent else (QUIET_RESENDS_MS, QUIET_EVERY_MS)
    )
    beyond = pending.sends - len(offsets)
    if beyond <= 0:
        return pending.base_ms + offsets[pending.sends - 1]
    return pending.base_ms + offsets[-1] + beyond * every


def settled(state: State, ref: Ref) -> State:
    """The state without the pending event `ref`."""
    return replace(state, pending=tuple(p for p in state.pending if p.event.ref != ref))


def kind_of(state: State, ref: Ref) -> Kind | None:
    """The kind of the pending event `ref`; None when it is not pending."""
    return next((p.event.kind for p in state.pending if p.event.ref == ref), None)
