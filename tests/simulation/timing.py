"""Nothing that is due waits longer than the sweep: judged at each commit from when it was due and
when it was taken, however short the delay.

Delays count only while a server runs that could have done it, by the servers' own clock.
"""

import sqlite3
from collections.abc import Callable
from math import ceil
from typing import Any

from tests.simulation.engine import Violation, World
from tests.simulation.homes import SETTLED_S, Gateway
from tests.simulation.servers import SWEEP_S, Process, Servers

TURN_S = 0.5
"""What a ring itself takes: its looks and its transactions, of which each is a few milliseconds."""
Rows = Callable[..., list[sqlite3.Row]]


class Timing:
    """When each thing that has a time was due, as it was after the last commit."""

    def __init__(self, world: World, servers: Servers, gateway: Gateway, rows: Rows) -> None:
        self.world, self.servers, self.gateway, self._rows = world, servers, gateway, rows
        self._alerts: dict[int, tuple[int | None, int | None]] = {}
        self._messages: dict[int, tuple[int | None, int, int]] = {}
        self._homes: dict[int, tuple[str, int | None, int | None]] = {}
        self._rounds: dict[int, tuple[Any, ...]] = {}
        self.worst: dict[str, float] = {}
        """What was done latest of each kind, s after the ring that had to do it."""
        self.look()

    def since_s(self) -> float:
        """From when on (server time) a server could have done what was due."""
        running = [self._up_since_s(p) for p in self.servers.processes if p.runs]
        return max(min(running, default=float("inf")), self.servers.hindered_s)

    def _up_since_s(self, p: Process) -> float:
        """Since when it has run: what it was frozen with it does in the instant it thaws."""
        return max(p.up_since_s, p.stalled_until_s + self.world.skew_s)

    def ring_s(self, due_s: float) -> float:
        """When (server time) the first sweep rings that finds what is due then."""
        skew_s, found = self.world.skew_s, [float("inf")]
        for p in self.servers.alive:
            from_s = max(due_s, self._up_since_s(p), self.servers.hindered_s) - skew_s
            phase_s = self.servers.phase_s(p)
            found.append(ceil((from_s - phase_s) / SWEEP_S) * SWEEP_S + phase_s + skew_s)
        return min(found)

    def taken(
        self, what: str, due_ms: float | None, *, not_before_s: float = 0.0, swept: bool = True
    ) -> None:
        """Something that was due is done in this commit, by the sweep, or else by a worker. Raises
        Violation when that is late."""
        if due_ms is None:
            return
        due_s = max(due_ms / 1000, not_before_s)
        by_s = self.ring_s(due_s) if swept else max(due_s, self.since_s()) + SWEEP_S
        late_s = self.world.server_s - by_s
        self.worst[what] = max(self.worst.get(what, -SWEEP_S), late_s)
        if late_s > TURN_S:
            raise Violation(f"no {what} comes later than its time and the sweep: late_s={late_s}")

    def look(self) -> None:
        """After a commit: what has changed of that which was due?"""
        self._steps()
        self._leases()
        self._absences()
        self._bells()

    def _steps(self) -> None:
        now = {
            r[0]: (r[1], r[2]) for r in self._rows(
                "SELECT id, next_step_at, emergency_look_at FROM alert WHERE state <> 'resolved'"
            )
        }  # fmt: skip
        for alert, (step, clock) in self._alerts.items():
            step_now, clock_now = now.get(alert, (None, None))
            if step != step_now:
                self.taken("step of an alert", step)
            if clock != clock_now:
                self.taken("look at the clock of 120", clock)
        self._alerts = now

    def _leases(self) -> None:
        now = {
            r[0]: (r[1], r[2], r[3]) for r in self._rows(
                "SELECT id, due_at, tries, lane FROM message WHERE due_at IS NOT NULL"
            )
        }  # fmt: skip
        for message, (due, tries, lane) in self._messages.items():
            after = now.get(message)
            if after is not None and after[1] > tries and not self.full(lane):
                self.taken(f"message of lane {lane}", due, swept=False)
        self._messages = now

    def full(self, lane: int) -> bool:
        """Whether all hands of a lane are busy, as with a provider that hangs."""
        return any(p.workers[lane].hands == 0 for p in self.servers.alive)

    def _absences(self) -> None:
        now = {
            r[0]: (r[1], r[2], r[3]) for r in self._rows(
                "SELECT flat_id, state, absent_until, next_due_at FROM resident"
            )
        }  # fmt: skip
        for home, (state, until, _due) in self._homes.items():
            if state == "paused" and now[home][0] == "active" and until is not None:
                self.taken("end of an absence", until)
        self._before, self._homes = self._homes, now

    def judged(self, flat: int) -> None:
        """Somebody is called missed, with this commit. Asked before `look`."""
        seen_s = self.gateway.resumed_s + SETTLED_S
        self.taken("judgement of a round", self._homes[flat][2], not_before_s=seen_s)

    def _bells(self) -> None:
        now = {
            r[0]: tuple(r)[1:] for r in self._rows(
                "SELECT id, due_at, prompted_at, called_at, next_at, community_id FROM round"
                " ORDER BY id DESC LIMIT 8"
            )
        }  # fmt: skip
        for round_, (due, prompted, called, next_, community) in now.items():
            before = self._rounds.get(round_, (due, None, None, next_))
            o = self.servers.occurrence(community, due)
            if round_ not in self._rounds and self._rounds:
                self.taken("opening of a round", o.opens_at.timestamp() * 1000)
            if prompted is not None and before[1] is None:
                self.taken("chime", o.prompt_at.timestamp() * 1000)
            if called is not None and before[2] is None and o.call_at is not None:
                self.taken("ringing of those awaited", o.call_at.timestamp() * 1000)
            if next_ != before[3]:
                self.taken("end of a round", before[3])
        self._rounds = {**self._rounds, **now}
