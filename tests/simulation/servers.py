"""The servers of one simulated town: the real Sweeper, Worker and use-cases on one database.

What asyncio does in production (waiting, threads, the bell) is done by tests/simulation/engine.py;
everything else is the server's own code.
"""

import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from server import jobs, outbox
from server.channels.base import Ambiguous, Busy
from server.channels.lines import Line, Lines
from server.clock import Clock
from server.core import rounds
from server.core.words import Channel
from server.database import Database
from server.service import parents, sweep
from server.service.effects import ROUND_LANE, SOS_LANE
from server.service.house import House
from server.service.sight import GATEWAY_GAP, SETTLE
from server.store import alerts
from tests.simulation.engine import Point, Process, World
from tests.simulation.plan import Plan

SWEEP_S = jobs.EVERY_S
POLL_S = 1.0
HANGS_S = 2.0
"""Longer than any provider that is well takes."""
SPIRAL, SPIRAL_S = 20, 1800.0
"""So many crashes in so many seconds, and for a while there is no further one: the more messages
wait, the surer one of them kills the process, and days in which nothing leaves prove nothing."""


class NoBell:
    """The simulation looks after every commit; nobody waits for a ring."""

    @contextmanager
    def listening(self, _topic: str) -> Any:
        """Never rung."""
        yield None


class Door:
    """A Database as Sweeper and Worker know it, with a place to die before and after a commit."""

    def __init__(self, town: "Servers") -> None:
        self._town = town
        self.clock: Clock = town.world.clock()
        self.bell = NoBell()
        self.me = town.database.me

    async def write(self, use_case: Callable[..., Any], *, urgent: bool = False) -> Any:
        """One transaction of the real database."""
        world = self._town.world
        await Point("before a commit", world.between(0.0, 0.01))
        result = self._town.transact(use_case, urgent=urgent)
        await Point("after a commit", world.between(0.0, 0.01))
        return result

    async def read(self, query: Callable[..., Any]) -> Any:
        """One reading of the real database."""
        with self._town.database.reader.begin() as conn:
            result = query(conn)
        await Point("after a look", self._town.world.between(0.0, 0.005))
        return result


class SteppedWorker(outbox.Worker):
    """The real Worker; only its two waits are the simulation's."""

    def __init__(self, process: Process, town: "Servers", *args: Any) -> None:
        super().__init__(*args)
        self._process, self._town = process, town

    async def _ours(self, message: Any, found: Any) -> Any:
        """Of two calls to one telephone that are both in doubt the provider can't say which is
        whose: then a second copy is nobody's fault."""
        if found and message["channel"] == Channel.VOICE and self._town.in_doubt(message) > 0:
            self._town.provider.voice.excuses += 1
        return await super()._ours(message, found)

    async def _together(self, sends: Any) -> None:
        await self._process.together(list(sends))

    async def _in_thread(self, line: Line, call: Callable[..., Any], *args: object) -> Any:
        await Point("before the provider is called", 0.01)
        channel, result, error = line.carrier, None, None
        try:
            result = call(*args)
        except (Ambiguous, Busy) as raised:
            error = raised
        latency_s: float = channel.latency_s  # type: ignore[attr-defined]
        if latency_s > HANGS_S:
            self._town.hung_until_s = self._town.world.now_s + latency_s
        await Point("after the provider was called", latency_s)
        if error is not None:
            raise error
        return result


class Servers:
    """One or two server processes, and when each of them looks for work."""

    def __init__(
        self, world: World, plan: Plan, database: Database, path: Path, house: House, provider: Any
    ) -> None:
        self.world, self.plan, self.database, self.house = world, plan, database, house
        self.provider = provider
        self.raw = sqlite3.connect(path, isolation_level=None)
        self.after_commit: list[Callable[[set[str]], None]] = []
        self.before_transaction: Callable[[], None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None
        """Called when a server comes up, goes down, or its clock jumps."""
        self.hung_until_s = 0.0
        """Until when (true time) the last send waits of those that the provider let hang."""
        self.went_back = False
        """Whether the clock was ever set back."""
        self.processes = [
            Process(world, f"server-{n}", self._odds, on_crash=self._crashed)
            for n in range(1, plan.servers + 1)
        ]
        second = 0.13 + world.between(0, 0.02) if world.rng.random() < 0.5 else 0.61
        self._phases = {"server-1": 0.13, "server-2": second}
        self.crashes = 0
        self._crashed_at: deque[float] = deque(maxlen=SPIRAL)
        self._parts: dict[str, tuple[jobs.Sweeper, dict[int, SteppedWorker]]] = {}
        self._busy: set[tuple[str, str]] = set()
        self._planned: dict[tuple[str, str], float] = {}
        self.sight: Callable[[], float] = lambda: 0.0
        """When (server time) judging becomes possible; infinite while we are blind."""

    @property
    def alive(self) -> list[Process]:
        """Those that run now."""
        return [p for p in self.processes if p.runs]

    def _odds(self, point: Point) -> float:
        last = self._crashed_at
        if len(last) == SPIRAL and self.world.now_s - last[0] < SPIRAL_S:
            return 0.0
        at_provider = "provider" in point.what
        return self.plan.crash_send if at_provider else self.plan.crash_other

    def transact(self, use_case: Callable[..., Any], *, urgent: bool = False) -> Any:
        """One transaction of the real database; then everybody looks."""
        self.before_transaction()
        result, woken = self.database.transact(use_case, urgent=urgent)
        for look in self.after_commit:
            look(set(woken))
        self.look()
        return result

    # life and death

    def boot(self, process: Process) -> None:
        """A fresh process from nothing but the database."""
        if process.alive:
            return
        process.alive, process.stalled_until_s = True, 0.0
        process.up_since_s = self.world.server_s
        door: Any = Door(self)
        lines = Lines.only(self.provider, self.provider.voice)
        workers = {
            lane: SteppedWorker(process, self, door, self.house, lines, [lane])
            for lane in (SOS_LANE, ROUND_LANE)
        }
        sweeper = jobs.Sweeper(door, self.house, lambda: self.world.now_s)
        self._parts[process.name] = (sweeper, workers)
        self._busy = {b for b in self._busy if b[0] != process.name}
        self._planned = {k: v for k, v in self._planned.items() if k[0] != process.name}
        self.world.tell(process.name, "starts")
        if len(self.processes) == 1:
            self.transact(lambda tx: sweep.at_start(tx, self.house))
        elif all(p.alive for p in self.processes):
            self.world.fault("two servers")
        self.on_change()
        self.look()

    def kill(self, process: Process) -> None:
        """Kill it at any moment."""
        self.world.fault("crash any moment")
        process.crash("any moment")

    def _crashed(self, process: Process, _where: str) -> None:
        self.crashes += 1
        self._crashed_at.append(self.world.now_s)
        self.on_change()
        self.world.after(self.world.between(1, 120), self.boot, process)

    def stall(self, process: Process, seconds: float) -> None:
        """Freeze it with all it holds, as a paused machine: the worst a lease must survive."""
        if not process.runs:
            return
        self.world.tell(process.name, f"stalls for {seconds:.0f} s")
        self.world.fault("stall")
        for carrier in self.provider.carriers:
            carrier.excuses += sum(t.name == "send" for t in process.tasks)
        process.stalled_until_s = self.world.now_s + seconds
        self.on_change()
        self.world.after(seconds + 0.001, self._thawed, process)

    def _thawed(self, process: Process) -> None:
        if process.runs:
            process.up_since_s = self.world.server_s
            self.on_change()
            self.look()

    def jump(self, seconds: float) -> None:
        """The servers' clock jumps (negative: back), for good."""
        self.on_change()  # what was heard so far was heard by the old clock
        self.world.tell("clock", f"jumps {seconds:.0f} s")
        self.world.fault("clock ahead" if seconds > 0 else "clock back")
        self.world.skew_s += seconds
        self.went_back |= seconds < 0
        for process in self.processes:
            process.up_since_s = max(process.up_since_s, self.world.server_s)
        self.on_change()
        for process in self.processes:  # the next ring is within a second, due or not
            self.world.after(self.world.between(0.01, SWEEP_S), self._ring_now, process)
        self.look()

    def _ring_now(self, process: Process) -> None:
        if process.runs and (process.name, "ring") not in self._busy:
            self._begin(process, "ring")

    # looking for work

    def in_doubt(self, but: Any) -> int:
        """How many other calls to the same telephone may have been placed and are not recorded."""
        found = self.raw.execute(
            "SELECT count(*) FROM message WHERE phone = ? AND channel = 'voice' AND state ="
            " 'sending' AND due_at IS NOT NULL AND provider_id IS NULL AND id <> ?",
            (but["phone"], but["id"]),
        ).fetchone()  # fmt: skip
        return int(found[0])

    def _min(self, sql: str, *args: object) -> float:
        found = self.raw.execute(sql, args).fetchone()[0]
        return float("inf") if found is None else found / 1000

    def look(self) -> None:
        """Plan each server's next ring and its workers' next drain from what the rows say is due.

        Rings that would find nothing are left out: that is what makes a day take a second.
        """
        ring, lanes = self._due_s()
        for process in self.processes:
            self._plan_for(process, "ring", ring)
            for lane, due in lanes.items():
                self._plan_for(process, f"lane {lane}", due)

    def _due_s(self) -> tuple[float, dict[int, float]]:
        """When (server time) the sweep and each lane of the outbox have something to do."""
        ring = min(
            self._min("SELECT min(next_step_at) FROM alert WHERE next_step_at IS NOT NULL"),
            self._bell_s(),
            self._min("SELECT min(emergency_look_at) FROM alert"),
            self._min("SELECT min(next_at) FROM round"),
            self._min("SELECT min(absent_until) FROM resident WHERE state = 'paused'"),
            max(
                self.sight(),
                min(
                    self._min("SELECT min(next_due_at) FROM resident WHERE state = 'active'"),
                    self._min("SELECT min(heartbeat_due_at) FROM terminal"),
                    self._min("SELECT min(started_at) FROM blind_interval WHERE current = 1"),
                    self._mended_s(),
                ),
            ),
            self._min("SELECT min(mains_due_at) FROM terminal"),
        )
        lanes = {
            lane: self._min(
                "SELECT min(due_at) FROM message WHERE lane = ? AND due_at IS NOT NULL", lane
            )
            for lane in (SOS_LANE, ROUND_LANE)
        }
        return ring, lanes

    def _mended_s(self) -> float:
        """Now, while a fault of a building or of the area stands whose terminals are back."""
        standing = self.raw.execute(
            "SELECT 1 FROM alert WHERE state <> 'resolved' AND (fault LIKE 'building_%'"
            " OR fault LIKE 'area_%') LIMIT 1"
        ).fetchone()
        if standing is None:
            return float("inf")
        now = datetime.fromtimestamp(self.world.server_s, UTC)
        with self.database.reader.begin() as conn:
            faults = alerts.open_faults(conn, parents.PARENTS)
            mended = parents.worth_a_look(conn, now, faults)
        return self.world.server_s if mended else float("inf")

    def _bell_s(self) -> float:
        zone, now = self.plan.zone, datetime.fromtimestamp(self.world.server_s, self.plan.zone)
        current = rounds.current(self.plans, zone, now)
        row = self.raw.execute(
            "SELECT prompted_at, called_at FROM round WHERE due_at = ?",
            (int(current.due_at.timestamp() * 1000),),
        ).fetchone()
        if row is None:
            return current.opens_at.timestamp()
        due = [current.deadline] if row[0] is not None else [current.prompt_at]
        if current.call_at is not None and row[1] is None and now < current.due_at:
            due.append(current.call_at)
        return min(due).timestamp()

    plans: tuple[rounds.Plan, ...] = ()

    def _plan_for(self, process: Process, what: str, due_s: float) -> None:
        if not process.alive or due_s == float("inf"):
            return
        # Half of the towns have two servers that look at very nearly the same instant.
        phase = self._phases[process.name]
        at = max(due_s - self.world.skew_s, self.world.now_s)
        at = ceil((at - phase) / SWEEP_S) * SWEEP_S + phase
        key = (process.name, what)
        planned = self._planned.get(key)
        if planned is not None and self.world.now_s <= planned <= at:
            return
        self._planned[key] = at
        self.world.at(at, self._go, process, what, at)

    def _go(self, process: Process, what: str, at: float) -> None:
        key = (process.name, what)
        if self._planned.get(key) != at:
            return
        del self._planned[key]
        if not process.runs or key in self._busy:
            if process.alive:
                self.world.after(0.5, self.look)
            return
        ring, lanes = self._due_s()
        if (ring if what == "ring" else lanes[int(what[-1])]) > self.world.server_s + 0.001:
            self.world.after(0.05, self.look)  # the other server was first
            return
        self._begin(process, what)

    def _begin(self, process: Process, what: str) -> None:
        key = (process.name, what)
        self._busy.add(key)
        sweeper, workers = self._parts[process.name]

        def over(_result: Any = None) -> None:
            self._busy.discard(key)
            self.world.after(0.05, self.look)

        coro = sweeper.ring() if what == "ring" else workers[int(what[-1])].drain()
        process.spawn(coro, what, over, over)


def fast(engine: Engine) -> None:
    """Do not wait for the disk: a power cut is not what is simulated here."""

    @event.listens_for(engine, "connect")
    def _off(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")


GAP_S, SETTLE_S = GATEWAY_GAP.total_seconds(), SETTLE.total_seconds()
