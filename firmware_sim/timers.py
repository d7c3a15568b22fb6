"""One heap of virtual-time callbacks for a whole fleet, driven by the event loop.

A task or a loop timer per terminal would cost more than the terminals. It never runs for long:
a batch at a time, so that sockets get their turn, and it looks at the clock at least once a
second, so that a step of the computer's clock is noticed.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable
from typing import Final

from firmware_sim.clock import Clock

BATCH: Final = 200
LONGEST_SLEEP_S: Final = 1.0
log = logging.getLogger(__name__)


class Timers:
    """Callbacks at virtual instants (epoch ms), in the order of their times."""

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._handle: asyncio.TimerHandle | None = None
        self._closed = False

    def at_ms(self, due_ms: int, call: Callable[[], None]) -> None:
        """Call `call` at `due_ms` or soon after. An exception in it is logged and stays there."""
        if self._closed:
            return
        heapq.heappush(self._heap, (due_ms, next(self._order), call))
        if self._heap[0][0] == due_ms:
            self._arm()

    def close(self) -> None:
        """Call nothing any more."""
        self._closed = True
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._heap and not self._closed:
            delay_s = min(LONGEST_SLEEP_S, self._clock.real_delay_s(self._heap[0][0]))
            self._handle = self._loop.call_later(delay_s, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now_ms = self._clock.now_ms()
        for _ in range(BATCH):
            if not self._heap or self._heap[0][0] > now_ms:
                break
            _, _, call = heapq.heappop(self._heap)
            try:
                call()
            except Exception:
                # One terminal's bug must not stop the time of all others.
                log.exception("a timer's callback failed")
        self._arm()
