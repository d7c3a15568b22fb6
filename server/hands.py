"""What a sender has in its hands: how much, how fast, and by whom it is carried."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import RowMapping

from server.core import pace


@dataclass(frozen=True, slots=True)
class Lot:
    """Messages leased together, and the provider that the lease names for each channel."""

    messages: Sequence[RowMapping] = ()
    providers: Mapping[str, str] = field(default_factory=dict)
    full: bool = False
    """Whether more may be due than were asked for."""


class Hands:
    """How many messages a worker may still lease. Taken from any thread."""

    def __init__(self, most: int) -> None:
        self._free = self._most = most
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether any is taken."""
        return self._free < self._most

    def take(self, most: int) -> int:
        """Take up to `most`; returns how many there were."""
        with self._lock:
            taken = min(most, self._free)
            self._free -= taken
            return taken

    def give(self, back: int) -> None:
        """Give some back."""
        with self._lock:
            self._free += back


class Pace:
    """The one bucket of a sender, shared by its lanes. Asked from any thread; two that ask at once
    may both take the same drops, which only makes the bucket's debt a little deeper."""

    def __init__(self, per_s: float = 0.0) -> None:
        """`per_s`: messages a second; 0 = no limit."""
        self._per_s = per_s
        self._bucket = pace.Bucket(per_s)
        self._lock = threading.Lock()

    def allowed(self, wanted: int, now: datetime, *, urgent: bool) -> int:
        """How many may leave now."""
        with self._lock:
            self._bucket = pace.refilled(self._bucket, now)
            return pace.allowed(self._bucket, wanted, urgent=urgent)

    def shared_by(self, servers: int) -> None:
        """So many servers send by this sender: to each its part of what the carrier lets pass."""
        with self._lock:
            self._bucket = pace.shared(self._bucket, self._per_s, servers)

    def spent(self, sent: int) -> None:
        """So many are leaving."""
        with self._lock:
            self._bucket = pace.spent(self._bucket, sent)
