"""What a radio link does to messages: loses, doubles, delays, reorders. Pure and seeded.

It stands between a terminal and its MQTT client, where a cheap modem loses things. TCP would mend
some of it; a terminal must live with all of it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

LONGEST_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Weather:
    """Chances are from 0 to 1 for each message; delays are virtual seconds.

    Raises ValueError for a chance or delay that can't be.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """A reordered message takes twice the longest delay, so that later ones overtake it."""
    delay_s: float = 0.0
    least_s: float = 0.0
    """What even the quickest message takes."""
    awake_s: float | None = None
    """A modem that sleeps hears us only for so long after it has spoken; None: always. What comes
    in between waits in the network until it speaks again."""
    rssi: int = -61
    rssi_spread: int = 0

    def __post_init__(self) -> None:
        for name in ("drop", "duplicate", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a chance: from 0 to 1")
        if not 0 <= self.delay_s <= LONGEST_S:
            raise ValueError(f"delay_s is from 0 to {LONGEST_S:g} seconds")
        if not 0 <= self.least_s <= LONGEST_S:
            raise ValueError(f"least_s is from 0 to {LONGEST_S:g} seconds")
        if self.reorder and not self._longest_ms:
            raise ValueError("reorder needs delay_s (or least_s): without any nothing is overtaken")
        if self.awake_s is not None and not 0 < self.awake_s <= LONGEST_S:
            raise ValueError(f"awake_s is above 0 and at most {LONGEST_S:g} seconds")

    @property
    def _longest_ms(self) -> int:
        return int(max(self.least_s, self.delay_s) * 1000)

    def fate(self, rng: random.Random) -> tuple[int, ...]:
        """When each copy of one message arrives, in milliseconds from now; none: it is lost."""
        if rng.random() < self.drop:
            return ()
        copies = 2 if rng.random() < self.duplicate else 1
        least_ms = int(self.least_s * 1000)
        longest_ms = self._longest_ms
        return tuple(
            2 * longest_ms if rng.random() < self.reorder else rng.randint(least_ms, longest_ms)
            for _ in range(copies)
        )


CLEAR: Final = Weather()
PROFILES: Final = {
    "clear": CLEAR,
    "wifi": Weather(least_s=0.005, delay_s=0.08, drop=0.002, rssi=-58, rssi_spread=6),
    # Narrowband networks: seconds of latency while the module wakes, and the odd loss
    # (3GPP TR 45.820 allows 10 s for an exception report).
    # Its power saving mode listens for the active timer (T3324, here 20 s) after each uplink.
    "nb_iot": Weather(
        drop=0.02, reorder=0.01, least_s=0.6, delay_s=4.0, awake_s=20.0, rssi=-97, rssi_spread=5
    ),
    "bad_cell": Weather(
        drop=0.3, duplicate=0.05, reorder=0.1, delay_s=8.0, rssi=-113, rssi_spread=8
    ),
}
"""Links as they are met in the field, by name."""
