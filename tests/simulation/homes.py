"""Residents, their terminals, and the gateway that carries their words.

A terminal keeps what was pressed and sends it again until the receipt comes, as the contract says;
the network between delays, doubles and reorders.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from server.core import rounds
from server.core.words import SignalType
from server.service import commanding, ingest, presence
from server.store.communities import CommunityFacts
from tests.simulation.engine import World
from tests.simulation.plan import SECOND, Plan, moments
from tests.simulation.servers import GAP_S, SETTLE_S, Servers

HEARTBEAT_S = 3600
POLL_S = 20.0


@dataclass(slots=True)
class Press:
    """One event in a terminal's memory."""

    terminal: str
    type: SignalType
    boot: int
    seq: int
    pressed_s: float
    """By the servers' clock, so that the invariants can judge by it."""
    ts: int
    ts_ok: bool
    buffered: bool
    test: bool = False
    """Of a drill: somebody tries the terminal out."""
    attempt: int = 0
    arrived: tuple[float, bool] | None = None
    """When its first copy reached the gateway (by the servers' clock), and whether that was live:
    then it is dated by this arrival."""


@dataclass(slots=True)
class Terminal:
    """An alarm device: what it has not got a receipt for, it still holds."""

    id: str
    building: int
    """Its number, from SECOND on in the second community."""
    community: int
    clock_ok: bool
    online: bool = True
    boot: int = 1
    seq: int = 0
    pending: dict[tuple[int, int], Press] = field(default_factory=dict)


SETTLED_S = SETTLE_S + 0.01
"""So long after a gateway is heard again nobody is judged; the hundredth is of the transaction."""


class Gateway:
    """One gateway: posts batches until they are answered, and asks for commands every 20 s."""

    def __init__(self, world: World, plan: Plan, servers: Servers) -> None:
        self.world, self.plan, self.servers = world, plan, servers
        self.up = True
        self.in_sight = False
        self.last_contact_s = -1e18
        self.resumed_s = -1e18
        self.receipt: Callable[[ingest.Receipt], None] = lambda _r: None
        self.command: Callable[[str, dict[str, Any]], None] = lambda _t, _c: None
        self._queue: list[tuple[Any, float]] = []
        self._posting = False
        self._skew_s = 0.0
        self._was_reachable = False
        self._polls_planned = 0
        servers.before_transaction = self.idle_polls
        servers.on_change = self.changed
        servers.sight = self.sight_s
        servers.after_commit.append(self._woken)

    @property
    def reachable(self) -> bool:
        """Whether gateway and at least one server can talk."""
        return self.up and bool(self.servers.alive)

    def sight_s(self) -> float:
        """From when on (server time) the servers may judge; infinite while they are blind."""
        if self.in_sight or self.world.server_s - self.last_contact_s <= GAP_S:
            return self.resumed_s + SETTLED_S
        return float("inf")

    def idle_polls(self) -> None:
        """Write down in one stroke what the idle polls since the last look would have written.

        4,320 polls a day that find nothing would be most of the simulation's cost.
        """
        now_s = self.world.server_s
        if not (self.in_sight and self._was_reachable) or now_s - self.last_contact_s <= POLL_S:
            return
        self.last_contact_s += (now_s - self.last_contact_s) // POLL_S * POLL_S
        self.servers.raw.execute(
            "UPDATE gateway SET last_heard_at = ?", (int(self.last_contact_s * 1000),)
        )

    def changed(self) -> None:
        """A server came, went, or its clock jumped; or this gateway did."""
        if self._skew_s == self.world.skew_s:
            self.idle_polls()
        elif self.in_sight:
            self.in_sight = False
            self._poll_soon(POLL_S)
        self._skew_s = self.world.skew_s
        if not self.reachable:
            self.in_sight = False
        elif not self._was_reachable:
            self._poll_soon(15.0)
        self._was_reachable = self.reachable

    def outage(self, seconds: float) -> None:
        """Nothing gets through; what terminals sent is kept."""
        if not self.up or self.world.calm:
            return
        self.world.tell("gateway", f"is cut off for {seconds:.0f} s")
        self.world.fault("gateway cut off")
        self.up = False
        self.changed()
        self.servers.look()
        self.world.after(seconds, self._back)

    def _back(self) -> None:
        self.up = True
        self.world.tell("gateway", "is back")
        self.changed()
        self._post_soon()

    def contact(self) -> None:
        """A server has just heard us, in a committed transaction."""
        now_s = self.world.server_s
        if now_s - self.last_contact_s > GAP_S:
            self.resumed_s = now_s
        if now_s - self.last_contact_s > GAP_S / 12:  # the server writes it down no more often
            self.last_contact_s = now_s
        self.in_sight = self.reachable
        self.servers.look()

    # commands

    def _woken(self, woken: set[str]) -> None:
        if "commands" in woken:
            self._poll_soon(0.5)

    def _poll_soon(self, within_s: float) -> None:
        self._polls_planned += 1
        self.world.after(self.world.between(0.05, within_s), self._poll)

    def _poll(self) -> None:
        self._polls_planned -= 1
        if not self.reachable:
            return
        process = self.world.rng.choice(self.servers.alive)

        def lease(tx: Any) -> Any:
            return commanding.lease(tx, self.servers.house, "gw-1", 100)

        async def request() -> Any:
            leased = await process.database.write(lease)
            self.contact()
            return leased

        def failed() -> None:
            if not self._polls_planned:
                self._poll_soon(10.0)

        process.request(request, "a poll", self._leased, failed)

    def _leased(self, commands: list[dict[str, Any]]) -> None:
        for c in commands:
            self.command(c["t"], c["payload"])
        if not commands or not self.reachable:
            return
        ids = [c["cmd_id"] for c in commands]
        process = self.world.rng.choice(self.servers.alive)

        async def request() -> None:
            await process.database.write(lambda tx: commanding.done(tx, ids))

        def failed() -> None:
            self.world.after(16.0, self._poll_soon, 1.0)

        process.request(request, "done", lambda _r: None, failed)

    # signals

    def take(self, what: Any) -> None:
        """Something arrives from the broker."""
        self._queue.append((what, self.world.now_s))
        self._post_soon()

    def _post_soon(self) -> None:
        if self._queue and not self._posting:
            self._posting = True
            self.world.after(self.world.between(0.02, 0.3), self._post)

    def _post(self) -> None:
        if not self.up:
            self._posting = False
            return
        items = self._queue[:100]
        presses = [(i, at) for i, at in items if isinstance(i, ingest.SignalIn)]
        batch = ingest.Batch(
            gateway="gw-1",
            signals=[self._held(i, at) for i, at in presses],
            heartbeats=[i for i, _ in items if isinstance(i, presence.Heartbeat)],
            statuses=[i for i, _ in items if isinstance(i, presence.Status)],
        )
        house = self.servers.house
        process = self.world.rng.choice(self.servers.alive or self.servers.processes)

        async def request() -> Any:
            urgent = any(s.type in ingest.ALARMS for s in batch.signals)
            receipts = await process.database.write(
                lambda tx: ingest.ingest(tx, house, batch), urgent=urgent
            )
            self.contact()
            return receipts

        def done(receipts: list[ingest.Receipt]) -> None:
            self._posting = False
            del self._queue[: len(items)]
            for receipt in receipts:
                self.receipt(receipt)
            self._post_soon()

        def failed() -> None:
            self._posting = False
            self.world.after(self.world.between(0.5, 8), self._post_soon)

        process.request(request, "a batch", done, failed)

    def _held(self, signal: ingest.SignalIn, since_s: float) -> ingest.SignalIn:
        """As it is posted: with the time it spent in here, where the server wants to know."""
        if "held_ms" not in ingest.SignalIn.__slots__:
            return signal
        from dataclasses import replace

        held: dict[str, Any] = {"held_ms": int((self.world.now_s - since_s) * 1000)}
        return replace(signal, **held)


class Homes:
    """All residents with their terminals."""

    def __init__(self, world: World, plan: Plan, gateway: Gateway) -> None:
        self.world, self.plan, self.gateway = world, plan, gateway
        gateway.receipt = self._receipt
        self.presses: dict[tuple[str, int, int], Press] = {}
        self.on_receipt: Callable[[ingest.Receipt], None] = lambda _r: None
        self.terminals = [
            Terminal(r.terminal_id, b.number + n * SECOND, n, clock_ok=world.rng.random() < 0.85)
            for n, community in enumerate(plan.communities)
            for b, _, r in community.flats_with_residents()
        ]
        self.by_id = {t.id: t for t in self.terminals}

    def live(self, communities: tuple[CommunityFacts, ...]) -> None:
        """Plan the days: heartbeats, rounds, emergencies and outages of each terminal."""
        world, plan = self.world, self.plan
        start_s = world.now_s
        for number in sorted({t.building for t in self.terminals}):
            world.after(number, self._heartbeats, number, True)
        first = datetime.fromtimestamp(start_s, plan.zone).date()
        for offset in range(plan.days):
            for n, facts in enumerate(communities):
                for p in facts.plans:
                    o = rounds.occurrence(p, first + timedelta(days=offset), facts.zone)
                    for terminal in self.terminals:
                        if terminal.community == n and o.opens_at.timestamp() >= start_s:
                            self._round(terminal, o.opens_at.timestamp(), o.deadline.timestamp())
        for at in moments(world.rng, plan.sos_a_day, plan.days):
            world.after(at, self._emergency, world.rng.choice(self.terminals))
        for at in moments(world.rng, plan.offline * 40, plan.days):
            world.after(at, self._offline, world.rng.choice(self.terminals))
        drills = Random(f"drills:{plan.seed}")
        for at in moments(drills, plan.drills_a_day, plan.days):
            world.after(at, self._drill, drills.choice(self.terminals), drills.random())
        weather = Random(f"weather:{plan.seed}")
        for at in moments(weather, plan.storms_a_day, plan.days):
            numbers = weather.choice(((1,), (2,), (3,), (1, 2, 3)))
            struck = [t for t in self.terminals if t.building in numbers]
            power, long_s = weather.random() < 0.6, weather.choice((60, 300, 1800, 7200))
            world.after(at, self._storm, struck, power, long_s)

    def _round(self, terminal: Terminal, opens_s: float, deadline_s: float) -> None:
        world = self.world
        if world.rng.random() < self.plan.forgets:
            if world.rng.random() < 0.5:  # late
                world.at(deadline_s + world.between(-5, 3600), self.press, terminal,
                         SignalType.CHECKIN)  # fmt: skip
            return
        at = deadline_s - world.rng.random() ** 2 * (deadline_s - opens_s)
        world.at(at, self.press, terminal, SignalType.CHECKIN)
        if world.rng.random() < 0.1:
            world.at(at + world.between(1, 600), self.press, terminal, SignalType.CHECKIN)

    def _emergency(self, terminal: Terminal) -> None:
        world = self.world
        kind = SignalType.FALL if world.rng.random() < 0.15 else SignalType.SOS
        self.press(terminal, kind)
        for _ in range(world.rng.choice((0, 0, 0, 1, 2))):
            world.after(world.between(1, 900), self.press, terminal, SignalType.SOS)
        if world.rng.random() < 0.25:
            world.after(world.between(2, 300), self.press, terminal, SignalType.SOS_CANCEL)

    def _drill(self, terminal: Terminal, chance: float) -> None:
        """A test press; one in four is followed by a real emergency while it is still open."""
        self.world.fault("drill")
        self.press(terminal, SignalType.SOS, test=True)
        if chance < 0.25:
            self.world.fault("an emergency in a drill")
            self.world.after(chance * 2400, self.press, terminal, SignalType.SOS)

    def _storm(self, struck: list[Terminal], power: bool, long_s: float) -> None:
        """Whole buildings lose their power (told within seconds) or their network, and in a power
        cut half of them their network too."""
        if self.world.calm:
            return
        self.world.tell("storm", f"{len(struck)} terminals, power={power}, {long_s} s")
        self.world.fault("storm")
        for n, t in enumerate(struck):
            if power:
                self.world.after(n, self.press, t, SignalType.MAINS_LOST)
                self.world.after(long_s + n, self.press, t, SignalType.MAINS_RESTORED)
            if not power or n % 2:
                self.world.after(40 + n, self._unplug, t)
                self.world.after(long_s + 90 + n, self._online, t)

    def _unplug(self, terminal: Terminal) -> None:
        terminal.online = False
        self.gateway.take(presence.Status(terminal.id, "lost", terminal.boot))

    def _offline(self, terminal: Terminal) -> None:
        if self.world.calm:
            return
        terminal.online = False
        self.world.tell(terminal.id, "is off the air")
        self.world.fault("terminal off the air")
        self.world.after(self.world.between(30, 7200), self._online, terminal)

    def _online(self, terminal: Terminal) -> None:
        if terminal.online:
            return
        terminal.online = True
        if self.world.rng.random() < 0.4:
            terminal.boot, terminal.seq = terminal.boot + 1, 0
        self.world.tell(terminal.id, f"is back (boot {terminal.boot})")
        self.gateway.take(
            presence.Status(terminal.id, "online", boot=terminal.boot, hb_s=HEARTBEAT_S)
        )
        for press in terminal.pending.values():
            press.buffered = True
            self._send(terminal, press)

    def _heartbeats(self, building: int, first: bool = False) -> None:
        for t in self.terminals:
            if t.building == building and t.online:
                if first:
                    self.gateway.take(presence.Status(t.id, "online", t.boot, hb_s=HEARTBEAT_S))
                else:
                    self.gateway.take(presence.Heartbeat(t.id, t.boot))
        self.world.after(HEARTBEAT_S, self._heartbeats, building)

    def press(self, terminal: Terminal, kind: SignalType, *, test: bool = False) -> None:
        """A hand on the terminal."""
        world = self.world
        terminal.seq += 1
        at_ms = int(world.server_s * 1000)
        ok = terminal.clock_ok
        press = Press(
            terminal.id, kind, terminal.boot, terminal.seq, world.server_s,
            at_ms if ok else at_ms - 10**10, ok, buffered=not terminal.online,
            test=test,
        )  # fmt: skip
        identity = (press.boot, press.seq)
        terminal.pending[identity] = press
        self.presses[(terminal.id, *identity)] = press
        world.tell(terminal.id, f"presses {kind.value} {identity}{' (test)' if test else ''}")
        self._send(terminal, press)

    def _send(self, terminal: Terminal, press: Press) -> None:
        if (press.boot, press.seq) not in terminal.pending or not terminal.online:
            return
        world = self.world
        press.attempt += 1
        more = {"attempt": press.attempt} if "attempt" in ingest.SignalIn.__slots__ else {}
        signal = ingest.SignalIn(
            press.terminal, press.type, press.boot, press.seq, ts=press.ts, ts_ok=press.ts_ok,
            buffered=press.buffered, test=press.test, **more,
        )  # fmt: skip
        copies = 2 if world.chance(self.plan.late_network / 2) else 1
        if copies > 1:
            world.fault("press doubled")
        def arrive() -> None:
            if press.arrived is None:
                press.arrived = (world.server_s, not signal.buffered and signal.attempt == 1)
            self.gateway.take(signal)

        for _ in range(copies):
            late = world.between(1, 120) if world.chance(self.plan.late_network) else 0.0
            if late:
                world.fault("press delayed")
            world.after(world.between(0.02, 0.4) + late, arrive)
        urgent = press.type in ingest.ALARMS
        again = min(60 if urgent else 600, (5 if urgent else 30) * 2 ** (press.attempt - 1))
        world.after(again, self._send, terminal, press)

    def _receipt(self, receipt: ingest.Receipt) -> None:
        self.on_receipt(receipt)
        if self.world.chance(self.plan.late_network / 2):
            self.world.fault("receipt to a terminal lost")
            return  # the terminal will ask again
        terminal = self.by_id[receipt.t]
        delay = self.world.between(0.02, 0.5)
        self.world.after(delay, terminal.pending.pop, (receipt.boot, receipt.seq), None)
