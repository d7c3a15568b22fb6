"""A thread that watches the event loop, in which the auditor itself runs.

A loop that does not turn answers nobody: no press, no wall, no audit. Whoever has the duty is
texted from here, and if it still does not turn the process ends itself, so that whoever runs it
(container engine, systemd) starts it anew; what is committed is safe, and a new process takes up
where this one stood. The embedded edition's supervisor is quicker: it asks for an answer every
second and waits fifteen.

What holds the interpreter's lock stops this thread too; then the dead-man's pings have stopped, and
somebody outside knows.
"""

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)
TICK_S = 1.0
TEXT_AFTER, END_AFTER = 30, 90
"""Ticks without a beat. Ticks and not seconds: a machine that was asleep, or a process that was
stopped, has made none meanwhile."""
STUCK = 70
"""The exit code, EX_SOFTWARE of sysexits.h."""


def end_process() -> None:
    """Say where every thread stands, and be gone."""
    faulthandler.dump_traceback(sys.stderr)
    os._exit(STUCK)


class Watchdog(threading.Thread):
    """Started with the loop, told of each of its beats, stopped before it ends."""

    def __init__(self, tell: Callable[[], None], end: Callable[[], None] = end_process) -> None:
        """`tell`: texts the duty, blocking; `end`: ends the process."""
        super().__init__(name="watchdog", daemon=True)
        self._tell = tell
        self._end = end
        self._over = threading.Event()
        self._beats = self._seen = 0
        self._silent = 0

    def beat(self) -> None:
        """The loop turns."""
        self._beats += 1

    def run(self) -> None:
        """Look every second until stopped."""
        while not self._over.wait(TICK_S):
            self.look()

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()

    def look(self) -> None:
        """One tick: has the loop turned since the last?"""
        self._silent = self._silent + 1 if self._beats == self._seen else 0
        self._seen = self._beats
        if self._silent == TEXT_AFTER:
            log.critical("the event loop has not turned for %d s", TEXT_AFTER * TICK_S)
            try:
                self._tell()
            except Exception:
                log.exception("the duty could not be texted")
        elif self._silent >= END_AFTER:
            self._end()
