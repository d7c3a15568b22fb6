"""What one entry in the audit stands for: a page that is opened, and then fetches itself anew, is
one look. Pure: `now_s` is passed in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PAUSE_S: Final = 600.0
"""So long nobody asked for it again, and whoever asks then has opened it anew."""
MOST: Final = 10_000
"""So many looks are remembered; who is forgotten is written down once more."""
Look = tuple[str, str, tuple[tuple[str, Any], ...]]


def look(who: str, what: str, about: Mapping[str, Any]) -> Look:
    """A look as it is told from others."""
    return who, what, tuple(sorted(about.items()))


@dataclass(slots=True)
class Looks:
    """When each look was last asked for, the oldest first."""

    _last: dict[Look, float] = field(default_factory=dict)

    def opened(self, one: Look, now_s: float) -> bool:
        """Whether this is an opening, and no page that stands open asking again."""
        before = self._last.pop(one, None)
        self._last[one] = now_s
        if len(self._last) > MOST:
            del self._last[next(iter(self._last))]
        return before is None or now_s - before >= PAUSE_S

    def forget(self, one: Look) -> None:
        """It could not be written down: the next time is an opening."""
        self._last.pop(one, None)
