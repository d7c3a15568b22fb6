"""A key as the firmware reads it: a contact that bounces, a short press, a held one. Pure.

The red key calls for help the moment its contact rests; how long it is held changes nothing, for
somebody in panic holds on. The green key reports at its release (a check-in), or once it has been
held for three seconds (cancel while a call stands, else a test). A contact that only chatters and
never rests is a worn key: it counts as pressed, because the alarm must get out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

REST_MS: Final = 30
"""A contact counts once it has been still for so long; makers state 5 to 20 ms of bounce."""
CHATTER_MS: Final = 200
HOLD_MS: Final = 3_000


class Button(StrEnum):
    """The two keys of a terminal."""

    RED = "red"
    GREEN = "green"


class Gesture(StrEnum):
    """What a key has told."""

    DOWN = "down"
    SHORT = "short"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Key:
    """What the firmware remembers of one contact. Times in the caller's milliseconds."""

    raw: bool = False
    down: bool = False
    moved_ms: int | None = None  # newest edge that has not come to rest
    first_ms: int = 0  # first edge since the contact last rested
    down_ms: int = 0
    held_told: bool = False

    @property
    def due_ms(self) -> int | None:
        """When it wants to be looked at again."""
        if self.moved_ms is not None:
            return min(self.moved_ms + REST_MS, self.first_ms + CHATTER_MS)
        return self.down_ms + HOLD_MS if self.down and not self.held_told else None


UP: Final = Key()


def edge(key: Key, down: bool, at_ms: int) -> tuple[Key, tuple[Gesture, ...]]:
    """The contact closed or opened at `at_ms`."""
    key, told = look(key, at_ms)
    if key.moved_ms is None:
        key = replace(key, first_ms=at_ms)
    return replace(key, raw=down, moved_ms=at_ms), told


def look(key: Key, now_ms: int) -> tuple[Key, tuple[Gesture, ...]]:
    """What has come to rest, or was held long enough, by `now_ms`."""
    told: list[Gesture] = []
    if key.moved_ms is not None and key.due_ms is not None and key.due_ms <= now_ms:
        chattered = key.moved_ms + REST_MS > key.first_ms + CHATTER_MS
        rests_down, since_ms, at_ms = key.raw or chattered, key.first_ms, key.moved_ms
        was_down = key.down
        key = replace(key, down=rests_down, moved_ms=at_ms if chattered else None)
        if chattered:
            key = replace(key, first_ms=at_ms)  # it may still come to rest
        if rests_down and not was_down:
            key = replace(key, down_ms=since_ms, held_told=False)
            told.append(Gesture.DOWN)
        elif was_down and not rests_down:
            if not key.held_told:
                told.append(Gesture.HELD if at_ms - key.down_ms >= HOLD_MS else Gesture.SHORT)
            return replace(key, held_told=False), tuple(told)
    if key.down and key.moved_ms is None and not key.held_told and now_ms >= key.down_ms + HOLD_MS:
        key = replace(key, held_told=True)
        told.append(Gesture.HELD)
    return key, tuple(told)
