"""What survives a power cut: boot counter, sequence, unconfirmed events, the alarm's lamp.

A terminal never touches a store itself: its state machine puts `Persist(image)` before anything
that leaves the house, and a driver writes it. A store replaces the whole image or nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from firmware_sim.wire import Kind, Ref, StoredEvent


class Led(StrEnum):
    """The lamp, in the order in which a call for help goes."""

    IDLE = "idle"
    SENDING = "sending"
    CENTRE_HAS_IT = "centre_has_it"
    HELP_COMING = "help_coming"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One call for help, from its first press until it is dealt with; it may hold many presses."""

    refs: tuple[Ref, ...]
    stage: Led
    since_ms: int
    who: str | None = None
    buzz_at_ms: int | None = None  # local buzzer when no receipt came by then
    clears_at_ms: int | None = None  # when "resolved" goes back to idle


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """What the centre may set from afar; `hb_s` in seconds, volume 0 to 10."""

    cfg_v: int = 0
    hb_s: int = 900
    lang: str = "zh"
    volume: int = 7


@dataclass(frozen=True, slots=True)
class Keys:
    """Passwords for the broker. Without any, the one from setting up counts. `coming` is kept
    beside the one in use until the broker has taken it: of the two one always works."""

    key: str = field(default="", repr=False)
    version: int = 0
    coming: str = field(default="", repr=False)
    coming_version: int = 0

    def taken(self) -> Keys:
        """The coming one is in use now, and the old one is gone."""
        return Keys(self.coming, self.coming_version)


@dataclass(frozen=True, slots=True)
class FlashImage:
    """Everything that a terminal knows after a power cut."""

    boot: int = 0
    seq: int = 0
    events: tuple[StoredEvent, ...] = ()
    alarm: Alarm | None = None
    config: DeviceConfig = field(default_factory=DeviceConfig)
    keys: Keys = field(default_factory=Keys)
    mains_told: bool = True
    """Whether the centre knows the plug as having power: a change that came while nobody looked
    is told at the next start."""
    # Written along with the rest, never a reason to write: flash wears out.
    seen: tuple[tuple[str, str], ...] = field(default=(), compare=False)


class Flash(Protocol):
    """One terminal's store."""

    def load(self) -> FlashImage:
        """The newest image; an empty one for a terminal that was never switched on."""

    def save(self, image: FlashImage) -> None:
        """Replace the image, whole or not at all. Raises OSError when it can't."""


class FlashBank(Protocol):
    """The stores of a fleet."""

    def of(self, terminal: str) -> Flash:
        """The store of one terminal."""

    def close(self) -> None:
        """Let go of files; no store may be used afterwards."""


@dataclass(slots=True)
class MemoryFlash:
    """A store that lives as long as the process; `writes` counts for tests."""

    image: FlashImage = field(default_factory=FlashImage)
    writes: int = 0

    def load(self) -> FlashImage:
        """The newest image."""
        return self.image

    def save(self, image: FlashImage) -> None:
        """Replace the image."""
        self.image = image
        self.writes += 1


class MemoryBank:
    """Stores of a fleet, in memory.

    `first_boot` is where blank boot counters start. A fleet without a file gives it from the
    wall clock: a second run against the same server must not repeat identities, for the server
    would rightly take its presses for duplicates.
    """

    def __init__(self, first_boot: int = 0) -> None:
        self._blank = FlashImage(boot=first_boot)
        self._stores: dict[str, MemoryFlash] = {}

    def of(self, terminal: str) -> MemoryFlash:
        """The store of one terminal."""
        return self._stores.setdefault(terminal, MemoryFlash(self._blank))

    def close(self) -> None:
        """Nothing to let go of."""


def image_from_json(text: str) -> FlashImage:
    """The image that `asdict` wrote as JSON. Raises ValueError or KeyError when it is damaged."""
    raw: dict[str, Any] = json.loads(text)
    alarm = raw["alarm"]
    return FlashImage(
        boot=raw["boot"],
        seq=raw["seq"],
        events=tuple(
            StoredEvent(**{**event, "kind": Kind(event["kind"]), "ref": Ref(**event["ref"])})
            for event in raw["events"]
        ),
        alarm=None
        if alarm is None
        else Alarm(
            **{
                **alarm,
                "refs": tuple(Ref(**ref) for ref in alarm["refs"]),
                "stage": Led(alarm["stage"]),
            }
        ),
        config=DeviceConfig(**raw["config"]),
        keys=Keys(**raw.get("keys", {})),
        mains_told=raw.get("mains_told", True),
        seen=tuple((cmd_id, result) for cmd_id, result in raw["seen"]),
    )
