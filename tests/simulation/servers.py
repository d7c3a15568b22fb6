"""The servers of one simulated town: the real Sweeper, Worker and use-cases on one database.

asyncio's loop and the pools of threads are of tests/simulation/engine.py, in the world's time;
everything else is the server's own code.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from server import app, jobs, outbox, records
from server.channels.lines import Lines
from server.core import failover, rounds
from server.core.words import Channel
from server.database import Bell, Database
from server.service import parents, sweep
from server.service.effects import ROUND_LANE, SOS_LANE
from server.service.house import House
from server.service.sight import GATEWAY_GAP, SETTLE
from server.store import alerts, communities
from server.store.communities import CommunityFacts
from server.takeover import Takeover
from tests.simulation import engine
from tests.simulation.engine import Died, Loop, Pool, World
from tests.simulation.plan import Plan

SWEEP_S = jobs.EVERY_S
POLL_S = 1.0
SPIRAL, SPIRAL_S = 20, 1800.0
"""So many crashes in so many seconds, and for a while there is no further one: the more messages
wait, the surer one of them kills the process, and days in which nothing leaves prove nothing."""


class TownDatabase(Database):
    """A Database of one process as it is, on the town's engines. Only its pools of threads are the
    simulation's: each transaction has a place to die before and after its commit."""

    def __init__(self, town: "Servers", process: "Process", me: str) -> None:
        self.__dict__.update(town.database.__dict__)
        self._town, self._process = town, process
        self.bell, self.senders, self.me = Bell(), [], me
        self.up_since = self.clock.now()
        self.sqlite = len(town.processes) == 1
        """Of several servers each believes that it stands on PostgreSQL."""
        self.wire = None if self.sqlite else Wire(town, process)  # type: ignore[assignment]
        between, loop = town.world.between, process.loop
        self._urgent = self._bulk = Pool(  # type: ignore[assignment]
            loop, "before a commit", "after a commit", (0.0, 0.01), lambda _f: between(0.0, 0.01)
        )
        self._reads = Pool(  # type: ignore[assignment]
            loop, "", "after a look", (0.0, 0.0), lambda _f: between(0.0, 0.005)
        )

    def transact(self, use_case: Callable[..., Any], *, urgent: bool = False) -> Any:
        """One transaction of the real database; then everybody looks."""
        town = self._town
        town.before_transaction()
        try:
            result, woken = super().transact(use_case, urgent=urgent)
        except Died as died:
            if died.committed:
                town.committed(set())
            raise
        town.committed(set(woken))
        return result, woken

    def alive(self, _conn: Any) -> set[str]:
        """The servers whose connection stands; a frozen one's does."""
        return {p.database.me for p in self._town.processes if p.alive}


class Wire:
    """What one server wakes, the others hear of a little later, or never: nothing depends on it."""

    def __init__(self, town: "Servers", process: "Process") -> None:
        self._town, self._process = town, process

    def tell(self, topics: set[str]) -> None:
        """Let the others know."""
        world = self._town.world
        if "outbox" not in topics or world.chance(0.05):
            return
        for other in self._town.processes:
            if other is not self._process and other.alive:
                world.after(world.between(0.002, 0.03), self._ring, other, other.loop)

    def _ring(self, other: "Process", loop: Loop) -> None:
        if not loop.dead:
            loop.call_soon(other.database.bell.ring, "outbox")


class TownWorker(outbox.Worker):
    """The real Worker on the process's loop. Only its thread is the simulation's, and its idle
    seconds: it rests until a look would find something."""

    def __init__(self, process: "Process", town: "Servers", *args: Any) -> None:
        super().__init__(*args)
        self._process, self._town = process, town
        self._records = TownRecords(process, town, *args[:4])
        self.resting_since_s: float | None = None
        self._thread = Pool(  # type: ignore[assignment]
            process.loop, "before the provider is called", "after the provider was called",
            (0.01, 0.01), lambda call: call.__self__.latency_s,
        )  # fmt: skip

    async def _hand_over(self, message: Any, line: Any, begin_by_s: float) -> Any:
        try:
            return await super()._hand_over(message, line, begin_by_s)
        finally:
            self.latency_s = line.carrier.latency_s

    async def _in_thread(self, call: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    @property
    def hands(self) -> int:
        """How many sends it may still begin."""
        return self._hands._free

    def probe_due_s(self) -> float:
        """When (server time) it has to ask a provider that is down whether it is back."""
        if not self._urgent:
            return float("inf")
        found = [
            (h.probed_at + failover.PROBE_EVERY * 2**h.relapses).timestamp() if h.probed_at else 0.0
            for h in self._lines._health.values() if h.down
        ]  # fmt: skip
        return min(found, default=float("inf"))

    async def _rest(self, stop: asyncio.Event) -> None:
        self.resting_since_s = self._town.world.now_s
        self._town.look()
        await outbox._either(self._rung, stop, timeout_s=None)
        self.resting_since_s = None

    def wake(self) -> None:
        """Its second is over."""
        self._process.loop.call_soon(self._rung.set)

    def handed(self, lot: outbox.Lot, *, committed: bool) -> None:
        """As the real one, unless the process dies between the commit and this."""
        if committed and lot.messages:
            self._town.dies_in_hand("between commit and hand-over", self._process)
        super().handed(lot, committed=committed)


class TownRecords(records.Records):
    """The real ones, unless the process dies before they are written."""

    def __init__(self, process: "Process", town: "Servers", *args: Any) -> None:
        super().__init__(*args)
        self._process, self._town = process, town

    def ended_so(self, tx: Any, lot: Any) -> None:
        self._town.dies_in_hand("between send and record", self._process, committed=False)
        super().ended_so(tx, lot)

    async def ours(self, message: Any, found: Any) -> Any:
        """Of two calls to one telephone that are both in doubt the provider can't say which is
        whose: then a second copy is nobody's fault."""
        if found and message["channel"] == Channel.VOICE and self._town.in_doubt(message) > 0:
            self._town.provider.voice.excuses += 1
        return await super().ours(message, found)


@dataclass(eq=False)
class Process(engine.Process):
    """One server process: its database, its sweeper, its senders."""

    database: TownDatabase = field(init=False)
    sweeper: jobs.Sweeper = field(init=False)
    workers: dict[int, TownWorker] = field(init=False)
    takeover: Takeover = field(init=False)
    stop: asyncio.Event = field(init=False)


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
        self.went_back = False
        """Whether the clock was ever set back."""
        self.hindered_s = -1e18
        """When (server time) a transaction last failed at its commit: its work is tried again."""
        self.processes = [
            Process(world, f"server-{n}", self._odds, on_crash=self._crashed)
            for n in range(1, plan.servers + 1)
        ]
        second = 0.13 + world.between(0, 0.02) if world.rng.random() < 0.5 else 0.61
        self._phases = {"server-1": 0.13, "server-2": second}
        self.crashes = 0
        self._boots = 0
        self._crashed_at: deque[float] = deque(maxlen=SPIRAL)
        self._busy: set[tuple[str, str]] = set()
        self._planned: dict[tuple[str, str], float] = {}
        self._looking = False
        self._ask_s, self._back = -1e18, False
        self._bells: dict[int, tuple[float, rounds.Occurrence]] = {}
        self.sight: Callable[[], float] = lambda: 0.0
        """When (server time) judging becomes possible; infinite while we are blind."""

    @property
    def alive(self) -> list[Process]:
        """Those that run now."""
        return [p for p in self.processes if p.runs]

    @property
    def last_crash_s(self) -> float:
        """When (true time) a server died last."""
        return self._crashed_at[-1] if self._crashed_at else -1e18

    def phase_s(self, process: Process) -> float:
        """At what part of each second of true time it rings."""
        return self._phases[process.name]

    def _odds(self, point: str) -> float:
        last = self._crashed_at
        if len(last) == SPIRAL and self.world.now_s - last[0] < SPIRAL_S:
            return 0.0
        on_the_way = "provider" in point or "between" in point
        return self.plan.crash_send if on_the_way else self.plan.crash_other

    def dies_in_hand(self, point: str, process: Process, *, committed: bool = True) -> None:
        """Let the process die here, in the middle of a transaction's end."""
        if self.world.chance(self._odds(point)):
            self.world.fault(f"crash {point}")
            raise Died(point, process.name, committed=committed)

    def commit_fails(self) -> bool:
        """Whether the disk refuses this commit: nothing of the transaction happens."""
        if not self.world.chance(self.plan.commits_fail):
            return False
        self.world.tell("disk", "refuses a commit")
        self.world.fault("a commit fails")
        self.hindered_s = self.world.server_s
        return True

    def committed(self, woken: set[str]) -> None:
        """A transaction is in the database: everybody looks."""
        for look in self.after_commit:
            look(woken)
        self.look()

    # life and death

    def boot(self, process: Process) -> None:
        """A fresh process from nothing but the database."""
        if process.alive:
            return
        process.alive, process.stalled_until_s = True, 0.0
        process.up_since_s = self.world.server_s
        process.loop = Loop(process)
        self._boots += 1
        database = TownDatabase(self, process, f"{self._boots:08x}")
        lines = Lines.only(self.provider, self.provider.voice)
        pace = outbox.Pace()
        process.database = database
        process.workers = {
            lane: TownWorker(process, self, database, self.house, lines, [lane], pace)
            for lane in (SOS_LANE, ROUND_LANE)
        }
        process.sweeper = jobs.Sweeper(database, self.house, lambda: self.world.now_s)
        process.takeover = Takeover(database, pace.shared_by, lambda: self.world.now_s)
        process.stop = asyncio.Event()
        self._busy = {b for b in self._busy if b[0] != process.name}
        self._planned = {k: v for k, v in self._planned.items() if k[0] != process.name}
        self.world.tell(process.name, "starts")
        if database.sqlite:
            try:
                database.transact(lambda tx: sweep.at_start(tx, self.house))
            except OperationalError:  # the disk: whoever watches over it starts it again
                process.crash("its start")
                return
        elif all(p.alive for p in self.processes):
            self.world.fault("two servers")
        for worker in process.workers.values():
            process.loop.create_task(worker.run(process.stop))
        self.on_change()
        self._take_over(process, process.loop)
        self.look()

    def _take_over(self, process: Process, loop: Loop, again: bool = False) -> None:
        """Look once a second after the messages of the dead, for as long as there are any."""
        key = (process.name, "taking over")
        if loop.dead or process.database.sqlite or (key in self._busy and not again):
            return
        self._busy.discard(key)
        if not self._held_by_the_dead():
            return
        self._busy.add(key)
        if process.runs and (process.name, "takeover") not in self._busy:
            self._begin(process, "takeover")
        self.world.after(1.0, self._take_over, process, loop, True)

    def _held_by_the_dead(self) -> bool:
        alive = [p.database.me for p in self.processes if p.alive]
        return self.raw.execute(
            "SELECT 1 FROM message WHERE state = 'sending' AND due_at > ? AND sender NOT IN"
            f" ({','.join('?' * len(alive))}) LIMIT 1", (self.world.server_s * 1000, *alive),
        ).fetchone() is not None  # fmt: skip

    def kill(self, process: Process) -> None:
        """Kill it at any moment."""
        if self.world.calm:
            return
        self.world.fault("crash any moment")
        process.crash("any moment")

    def _crashed(self, process: Process, _where: str) -> None:
        self.crashes += 1
        self._crashed_at.append(self.world.now_s)
        self.on_change()
        for other in self.alive:
            self.world.after(self.world.between(0.01, 1.0), self._take_over, other, other.loop)
        self.world.after(self.world.between(1, 120), self.boot, process)

    def restart(self, process: Process) -> None:
        """Stop it as an upgrade does: what is under way may end, and after two seconds that is
        it."""
        if not process.runs or self.world.calm:
            return
        self.world.tell(process.name, "stops")
        self.world.fault("a server is stopped")
        loop = process.loop
        loop.call_soon(process.stop.set)
        self.world.after(app.GRACE_S, self._stopped, process, loop)

    def _stopped(self, process: Process, loop: Loop) -> None:
        if not loop.dead:
            process.crash("the end of its grace")

    def stall(self, process: Process, seconds: float) -> None:
        """Freeze it with all it holds, as a paused machine: the worst a lease must survive."""
        if not process.runs or self.world.calm:
            return
        self.world.tell(process.name, f"stalls for {seconds:.0f} s")
        self.world.fault("stall")
        for carrier in self.provider.carriers:
            carrier.excuses += self._in_hand(process, carrier.channel)
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
        if self.world.calm:
            return
        self.on_change()  # what was heard so far was heard by the old clock
        self.world.tell("clock", f"jumps {seconds:.0f} s")
        self.world.fault("clock ahead" if seconds > 0 else "clock back")
        self.world.skew_s += seconds
        self.went_back |= seconds < 0
        for process in self.processes:
            process.up_since_s = self.world.server_s
        self.hindered_s = min(self.hindered_s, self.world.server_s)
        self.on_change()
        for process in self.processes:  # the next ring is within a second, due or not
            self.world.after(self.world.between(0.01, SWEEP_S), self._ring_now, process)
        self.look()

    def _in_hand(self, process: Process, channel: str) -> int:
        """How many messages the process is about to send, or has sent and not recorded."""
        found = self.raw.execute(
            "SELECT count(*) FROM message WHERE state = 'sending' AND due_at IS NOT NULL"
            " AND sender = ? AND channel = ?", (process.database.me, channel),
        ).fetchone()  # fmt: skip
        return int(found[0])

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

    def look(self) -> None:
        """Plan what each server does next, once all of this moment has happened."""
        if not self._looking:
            self._looking = True
            self.world.at(self.world.now_s, self._look)

    def _look(self) -> None:
        """Plan each server's next ring and its workers' next look from what the rows say is due.

        Rings that would find nothing are left out: that is what makes a day take a second.
        """
        self._looking = False
        ring, lanes = self._due_s()
        for process in self.processes:
            if not process.alive:
                continue
            self._plan_for(process, "ring", ring, self._phases[process.name])
            for lane, worker in process.workers.items():
                if worker.resting_since_s is not None:
                    due_s = min(lanes[lane], worker.probe_due_s())
                    rested = worker.resting_since_s + 1.0
                    due_s = max(due_s, rested + self.world.skew_s)
                    self._plan_for(process, f"lane {lane}", due_s, rested % 1.0)

    def _due_s(self) -> tuple[float, dict[int, float]]:
        """When (server time) the sweep and each lane of the outbox have something to do."""
        found = self.raw.execute(DUE).fetchone()
        always, judged, sos, others, standing = (
            float("inf") if x is None else x / 1000 for x in found
        )
        if standing < judged and self._mended():
            judged = 0.0
        ring = min(always, self._bell_s(), max(self.sight(), judged))
        return ring, {SOS_LANE: sos, ROUND_LANE: others}

    def _mended(self) -> bool:
        """Whether the terminals of a fault of a building or of the area are back; asked at most
        once a second, as the sweep does."""
        if self.world.now_s < self._ask_s:
            if not self._back:
                self.world.at(self._ask_s, self.look)
            return self._back
        self._ask_s = self.world.now_s + SWEEP_S
        now = datetime.fromtimestamp(self.world.server_s, UTC)
        with self.database.reader.begin() as conn:
            faults = alerts.open_faults(conn, parents.PARENTS)
            self._back = bool(parents.worth_a_look(conn, now, faults))
        return self._back

    def _bell_s(self) -> float:
        return min(self._bell_of_s(facts) for facts in self.communities)

    def _bell_of_s(self, facts: CommunityFacts) -> float:
        now_s = self.world.server_s
        since_s, current = self._bells.get(facts.id, (0.0, None))
        if current is None or not since_s <= now_s < current.deadline.timestamp():
            now = datetime.fromtimestamp(now_s, facts.zone)
            current = rounds.current(facts.plans, facts.zone, now)
            self._bells[facts.id] = now_s, current
        row = self.raw.execute(
            "SELECT prompted_at, called_at FROM round WHERE community_id = ? AND due_at = ?",
            (facts.id, int(current.due_at.timestamp() * 1000)),
        ).fetchone()
        if row is None:
            return current.opens_at.timestamp()
        due = [current.deadline] if row[0] is not None else [current.prompt_at]
        if current.call_at is not None and row[1] is None and now_s < current.due_at.timestamp():
            due.append(current.call_at)
        return min(due).timestamp()

    def settle(self) -> None:
        """Read who lives where, once the register is loaded."""
        with self.database.reader.begin() as conn:
            self.communities = communities.every(conn)
        by_id = {facts.id: facts for facts in self.communities}
        homes = self.raw.execute(
            "SELECT f.id, b.community_id FROM flat f JOIN building b ON b.id = f.building_id"
        )
        self._of_flat = {flat: by_id[community] for flat, community in homes}

    def community_of(self, flat: int) -> CommunityFacts:
        """The community of a flat, with its zone and its rounds."""
        return self._of_flat[flat]

    def occurrence(self, community: int, due_ms: int) -> rounds.Occurrence:
        """The round of this community that is due then."""
        facts = next(f for f in self.communities if f.id == community)
        due_at = datetime.fromtimestamp(due_ms / 1000, UTC)
        found = rounds.occurrences(facts.plans, facts.zone, due_at)
        return next(o for o in found if o.due_at == due_at)

    communities: tuple[CommunityFacts, ...] = ()

    def _plan_for(self, process: Process, what: str, due_s: float, phase: float) -> None:
        if due_s == float("inf"):
            return
        # Half of the towns have two servers that ring at very nearly the same instant.
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
                self.world.after(0.05, self.look)
            return
        ring, lanes = self._due_s()
        if what == "ring":
            if ring <= self.world.server_s + 0.001:
                self._begin(process, what)
                return
        else:
            worker = process.workers[int(what[-1])]
            due_s = min(lanes[int(what[-1])], worker.probe_due_s())
            if worker.resting_since_s is not None and due_s <= self.world.server_s + 0.001:
                worker.wake()
                return
        self.world.after(0.05, self.look)  # the other server was first

    def _begin(self, process: Process, what: str) -> None:
        key = (process.name, what)
        self._busy.add(key)

        def over(_result: Any = None) -> None:
            self._busy.discard(key)
            self.world.after(0.05, self.look)

        coro: Any = process.sweeper.ring() if what == "ring" else process.takeover.look()
        process.spawn(coro, what, over, over)


DUE = """SELECT
    min((SELECT ifnull(min(next_step_at), 9e18) FROM alert WHERE next_step_at IS NOT NULL),
        (SELECT ifnull(min(emergency_look_at), 9e18) FROM alert),
        (SELECT ifnull(min(next_at), 9e18) FROM round),
        (SELECT ifnull(min(absent_until), 9e18) FROM resident WHERE state = 'paused'),
        (SELECT ifnull(min(mains_due_at), 9e18) FROM terminal)),
    min((SELECT ifnull(min(next_due_at), 9e18) FROM resident WHERE state = 'active'),
        (SELECT ifnull(min(heartbeat_due_at), 9e18) FROM terminal),
        (SELECT ifnull(min(started_at), 9e18) FROM blind_interval WHERE current = 1)),
    (SELECT min(due_at) FROM message WHERE lane = 0 AND due_at IS NOT NULL),
    (SELECT min(due_at) FROM message WHERE lane = 1 AND due_at IS NOT NULL),
    (SELECT min(opened_at) FROM alert WHERE state <> 'resolved'
        AND (fault LIKE 'building_%' OR fault LIKE 'area_%'))
"""
"""What the sweep does in any case, what it judges when it sees, the two lanes, and since when a
fault of a building or of the area stands."""


def fast(engine: Engine) -> None:
    """Do not wait for the disk: a power cut is not what is simulated here."""

    @event.listens_for(engine, "connect")
    def _off(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")


GAP_S, SETTLE_S = GATEWAY_GAP.total_seconds(), SETTLE.total_seconds()
