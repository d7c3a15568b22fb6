"""What is said for foreign devices beside their own words: how often each is to be heard, and that
those which a last will guards are still there.

Pure: no I/O, no clock. It must never stand before a press: presses go first, and what is said here
can be said again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.adapters.nouns import Alive, Habit, Presence, Press, Reading, Unknown

AGAIN_MS: Final = 60_000
"""A promise is said again with each word, though not more often than this: the terminal may have
been entered in the register since the last one."""


@dataclass(slots=True)
class Roll:
    """`habits`: of every terminal that is entered. Bounded by them."""

    habits: Mapping[str, Habit]
    promised: dict[str, int] = field(default_factory=dict)
    here: dict[str, int] = field(default_factory=dict)
    """Terminals that a will guards and that are there, with when they were last spoken for."""

    def after(self, readings: Iterable[Reading], now_ms: int) -> list[Reading]:
        """The readings of one message in the order to say them in, and the promises with them."""
        said = sorted(readings, key=lambda r: not isinstance(r, Press | Unknown))
        for reading in list(said):
            match reading:
                case Presence(terminal, online):
                    self._present(terminal, online, now_ms)
                case Press(terminal) | Alive(terminal) if self._owes(terminal, now_ms):
                    said.append(Presence(terminal, True))
                    self.promised[terminal] = now_ms
        return said

    def due(self, now_ms: int) -> list[Reading]:
        """What is to be said for those that are there and have nothing to say. Call it often."""
        found = [
            terminal for terminal, last_ms in self.here.items()
            # Below 0: our clock was set back, and nobody may be silent for that.
            if not 0 <= now_ms - last_ms < self.habits[terminal].heartbeat_s * 1000
        ]  # fmt: skip
        self.here |= dict.fromkeys(found, now_ms)
        return [Presence(terminal, True) for terminal in found]

    def _owes(self, terminal: str, now_ms: int) -> bool:
        last_ms = self.promised.get(terminal)
        return last_ms is None or not 0 <= now_ms - last_ms < AGAIN_MS

    def _present(self, terminal: str, online: bool, now_ms: int) -> None:
        if online:
            self.promised[terminal] = now_ms
        if online and self.habits[terminal].guarded:
            self.here[terminal] = now_ms
        else:
            self.here.pop(terminal, None)
