"""Full jitter: how long to wait before trying again, so that many clients never return as one.

It must never give up; callers loop until they succeed or are told to stop.
"""

import random


class Backoff:
    """Waits drawn evenly from 0 to a ceiling that doubles up to `cap_s`.

    Even from zero ("full jitter") spreads a crowd better than a fixed delay with noise on top
    (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
    """

    def __init__(self, *, base_s: float, cap_s: float, rng: random.Random | None = None) -> None:
        if not 0 < base_s <= cap_s:
            raise ValueError("need 0 < base_s <= cap_s")
        self._base_s = base_s
        self._cap_s = cap_s
        self._ceiling_s = base_s
        self._rng = rng or random.SystemRandom()

    def next_s(self) -> float:
        """Seconds to wait now; the ceiling doubles for the next time."""
        delay_s = self._rng.uniform(0.0, self._ceiling_s)
        self._ceiling_s = min(self._cap_s, self._ceiling_s * 2)
        return delay_s

    def reset(self) -> None:
        """Something worked: start small again."""
        self._ceiling_s = self._base_s
