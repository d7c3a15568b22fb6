"""What waits in a lane for the server: as it came, or by turns.

By turns no terminal stands before another's press, however often it presses itself. Pure; nothing
is ever dropped here.
"""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Protocol

from gateway.batch import MAX_BATCH_BYTES, Entry

AT_ONCE = 50
"""Most entries of one terminal that may be under way to the server: far more than a person presses
in an outage. The server stores so many well within the SOS lane's time-out, also where it has to
act on each, and other workers of the lane stay free for others."""


class Waiting(Protocol):
    """A queue of entries. Who has taken one says `done`, or puts it back."""

    def __len__(self) -> int: ...

    @property
    def ready(self) -> bool:
        """Whether `take` would give anything."""

    def add(self, entry: Entry) -> None:
        """Last in the queue."""

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Before all others, in this order."""

    def take(self, most: int) -> list[Entry]:
        """The next ones, at most so many and no more than one POST holds."""

    def done(self, entry: Entry) -> None:
        """It is on its way no more."""


class AsTheyCame:
    """First come, first served."""

    def __init__(self) -> None:
        self._queue: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def ready(self) -> bool:
        return bool(self._queue)

    def add(self, entry: Entry) -> None:
        self._queue.append(entry)

    def put_back(self, entries: Sequence[Entry]) -> None:
        self._queue.extendleft(reversed(entries))

    def take(self, most: int) -> list[Entry]:
        batch: list[Entry] = []
        weight = 0
        while self._queue and len(batch) < most and weight < MAX_BATCH_BYTES:
            entry = self._queue.popleft()
            weight += entry.weight
            batch.append(entry)
        return batch

    def done(self, entry: Entry) -> None:
        pass


class ByTurns:
    """One of each terminal, then a second of each; each terminal's own stay in their order."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._queues: dict[str, deque[Entry]] = {}
        self._out: Counter[str] = Counter()
        self._free: dict[str, None] = {}  # of whom one can be taken, whose turn is next first
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def ready(self) -> bool:
        return bool(self._free)

    def add(self, entry: Entry) -> None:
        self._queue_of(entry).append(entry)
        self._size += 1
        self._look_at(sender(entry))

    def put_back(self, entries: Sequence[Entry]) -> None:
        for entry in reversed(entries):
            self._queue_of(entry).appendleft(entry)
            self._size += 1
            self.done(entry)

    def take(self, most: int) -> list[Entry]:
        batch: list[Entry] = []
        weight = 0
        while self._free and len(batch) < most and weight < MAX_BATCH_BYTES:
            name = next(iter(self._free))
            entry = self._queues[name].popleft()
            self._size -= 1
            self._out[name] += 1
            del self._free[name]  # the last in turn from now on
            if not self._queues[name]:
                del self._queues[name]
            self._look_at(name)
            weight += entry.weight
            batch.append(entry)
        return batch

    def done(self, entry: Entry) -> None:
        name = sender(entry)
        self._out[name] -= 1
        if self._out[name] <= 0:
            del self._out[name]
        self._look_at(name)

    def _queue_of(self, entry: Entry) -> deque[Entry]:
        return self._queues.setdefault(sender(entry), deque())

    def _look_at(self, name: str) -> None:
        if name in self._queues and self._out[name] < self._at_once:
            self._free.setdefault(name)


def sender(entry: Entry) -> str:
    """Whose it is: the broker lets nobody publish below another's name, `xunlou/v1/t/<id>`."""
    return "/".join(entry.received.topic.split("/", 4)[:4])
