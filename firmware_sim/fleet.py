"""Thousands of simulated terminals in one process, over real MQTT.

The driver around the pure `device`: it carries outputs out in order, wakes terminals from one
heap, connects them at a steady rate and again with full jitter. Connections live in real time,
terminals in virtual time. It must never decide anything that firmware would decide.

Stopping drops the sockets without DISCONNECT: a simulator that ends is a terminal that is lost,
and the wills say so. Saying "disconnect" would leave "online" on the broker for ever.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from firmware_sim import device, wire
from firmware_sim import outputs as out
from firmware_sim.chip import PowerCut
from firmware_sim.clock import Clock
from firmware_sim.connector import Connector
from firmware_sim.flash import FlashBank, FlashImage, MemoryBank
from firmware_sim.hardware import BEFALLS, Hardware
from firmware_sim.ledger import Identity, Ledger
from firmware_sim.line import Broker, Line, LineEvents
from firmware_sim.manifest import TerminalEntry
from firmware_sim.node import Node, Summary, UnknownTerminalError
from firmware_sim.state import State, Stepped, Traits, made
from firmware_sim.timers import Timers
from firmware_sim.weather import CLEAR, PROFILES
from firmware_sim.wire import Kind, Ref, StoredEvent

REBOOT_MS: Final = 3_000
KEEP_ALIVE_SLICES: Final = 10
Watcher = Callable[[str, out.Output], None]
log = logging.getLogger(__name__)


class Fleet:
    """See the module. Use within one event loop; all methods are quick and none is thread-safe."""

    def __init__(
        self,
        terminals: Iterable[TerminalEntry],
        broker: Broker,
        clock: Clock,
        *,
        bank: FlashBank | None = None,
        ledger: Ledger | None = None,
        seed: int = 0,
        connects_per_s: float = 200.0,
        hb_jitter: float = 0.1,
    ) -> None:
        self.clock = clock
        self.ledger = ledger or Ledger()
        self.faults: Counter[str] = Counter()
        self._bank = bank or MemoryBank()
        self._nodes = {e.id: self._set_up(e, seed, hb_jitter) for e in terminals}
        self._broker = broker
        self._random = random.Random(seed)
        self._connects_per_s = connects_per_s
        self._watchers: list[Watcher] = []
        self._changed = asyncio.Event()
        self._connected = 0
        self._running = False
        self._slice = 0

    def _set_up(self, entry: TerminalEntry, seed: int, hb_jitter: float) -> Node:
        """A terminal in its flat, not switched on yet."""
        weather, now_ms = PROFILES[entry.link], self.clock.now_ms()
        traits = Traits(
            fw=entry.fw, seed=seed, hb_jitter=hb_jitter, drift_ppm=entry.drift_ppm,
            clock_ok=entry.clock_ok, clock_cell=entry.clock_cell,
        )  # fmt: skip
        heard = out.RadioRead(weather.rssi, weather.rssi_spread)
        return Node(
            entry,
            traits,
            self._bank.of(entry.id),
            hardware=made(traits, now_ms).after(heard, now_ms),
            # The same object where nothing happens to messages: then nobody rolls dice.
            weather=CLEAR if weather == CLEAR else weather,
            link=entry.link,
        )

    # ---- life ----

    async def start(self) -> None:
        """Switch all terminals on and begin to connect them; returns before they are."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.timers = Timers(self.clock, loop)
        self._connector = Connector(
            self._broker, self._random, self._connects_per_s, self._wants_line, self._open_line
        )
        self._running = True
        self._connector.start()
        for node in self._nodes.values():
            self._power_on(node)
        self._keep_alive()

    async def stop(self) -> None:
        """Drop every connection and close the flash; what is pending waits there."""
        if not self._running:
            return
        self._running = False
        self.timers.close()
        self._keep_alive_handle.cancel()
        await self._connector.stop()
        for node in self._nodes.values():
            if node.line is not None:
                node.line.drop()
                node.line = None
        self._bank.close()

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` each output of each terminal, after it was carried out."""
        self._watchers.append(watcher)

    # ---- what people and power do ----

    def press(
        self, terminal: str, kind: Kind, test: bool = False, want: str | None = None
    ) -> Ref | None:
        """Press; the new event's identity, or None when nothing came of it (dark, no alarm)."""
        stored = [
            output.ref
            for output in self.apply(self.node(terminal), out.Pressed(kind, test, want))
            if isinstance(output, out.Stored)
        ]
        return stored[0] if stored else None

    def set_mains(self, terminal: str, present: bool) -> None:
        """The plug's power comes or goes; a dark terminal starts when it comes."""
        node = self.node(terminal)
        self.apply(node, out.MainsChanged(present))
        if present and node.state is None and node.restart_ms is None:
            self._power_on(node)

    def set_battery(self, terminal: str, present: bool) -> None:
        """The backup battery is taken out, or put back. On the mains a terminal lives on without
        it; without them it is dark at once, and starts with one that has any charge."""
        node = self.node(terminal)
        self.apply(node, out.BatteryFitted(present))
        charged = self._parts(node).battery.at(self.clock.now_ms()) > 0
        if present and charged and node.state is None and node.restart_ms is None:
            self._power_on(node)

    def set_power(self, terminal: str, on: bool) -> None:
        """Everything off at once, battery too, or on again: RAM is lost, flash is not. One that has
        neither plug nor battery stays dark."""
        node = self.node(terminal)
        if not on:
            self._lose_power(node)
        elif node.state is None and node.restart_ms is None and self._parts(node).powered:
            self._power_on(node)

    def set_network(self, terminal: str, up: bool) -> None:
        """Cut the terminal's line without a word, or let it connect again."""
        node = self.node(terminal)
        if node.network_up == up:
            return
        node.network_up = up
        if up:
            self._connector.want(terminal)
        else:
            self._hang_up(node)

    # ---- looking ----

    @property
    def terminals(self) -> tuple[TerminalEntry, ...]:
        """The manifest's entries, in their order."""
        return tuple(node.entry for node in self._nodes.values())

    def entry(self, terminal: str) -> TerminalEntry:
        """The manifest's entry of one terminal."""
        return self.node(terminal).entry

    @property
    def connected(self) -> int:
        """Terminals that are connected and subscribed."""
        return self._connected

    def state(self, terminal: str) -> State | None:
        """The terminal's own state; None while it is dark."""
        return self.node(terminal).state

    def parts(self, terminal: str) -> Hardware:
        """What the terminal is made of and stands in, also while it is dark."""
        node = self.node(terminal)
        return self._parts(node) if node.state is None else node.state.hardware

    def heard(self, terminal: str) -> tuple[tuple[int, out.Say], ...]:
        """The last sentences spoken in that flat, with their virtual times."""
        return tuple(self.node(terminal).heard)

    def waiting(self) -> Iterator[Identity]:
        """Identities in flash that have no receipt yet, also of dark terminals."""
        for terminal in self._nodes:
            yield from ((terminal, event.ref) for event in self.kept(terminal))

    def kept(self, terminal: str) -> tuple[StoredEvent, ...]:
        """What lies in one terminal's flash without a receipt, also while it is dark."""
        node = self.node(terminal)
        if node.state is None:
            return node.flash.load().events
        return tuple(pending.event for pending in node.state.pending)

    def summary(self) -> Summary:
        """Figures of now."""
        return Summary(
            terminals=len(self._nodes),
            connected=self._connected,
            dark=sum(node.state is None for node in self._nodes.values()),
            figures=self.ledger.figures(self.waiting()),
            faults=dict(self.faults),
        )

    async def until(self, wanted: Callable[[], bool], timeout_s: float) -> None:
        """Wait until `wanted()` holds, looking whenever a terminal did something.

        Raises TimeoutError after `timeout_s` real seconds.
        """
        async with asyncio.timeout(timeout_s):
            while not wanted():
                self._changed.clear()
                await self._changed.wait()

    # ---- driving ----

    def node(self, terminal: str) -> Node:
        """What the driver holds of one terminal. Raises UnknownTerminalError."""
        try:
            return self._nodes[terminal]
        except KeyError:
            raise UnknownTerminalError(f"no terminal {terminal!r} in this fleet") from None

    def _power_on(self, node: Node) -> None:
        now_ms = self.clock.now_ms()
        try:
            image = node.flash.load()
        except (ValueError, KeyError, TypeError):
            log.exception("flash of %s is damaged; it starts blank", node.entry.id)
            self.faults["flash damaged"] += 1
            # Past any boot counter that the damaged image can have held.
            image = FlashImage(boot=now_ms // 1000)
        started = device.power_on(node.entry.id, node.traits, image, now_ms, node.hardware)
        self._carry_out(node, started)
        self._connector.want(node.entry.id)

    def _lose_power(self, node: Node) -> None:
        """Plug and battery are gone; a restart that was under way does not happen."""
        node.restart_ms = None
        self._stop(node)
        node.hardware = self._parts(node).without_power(node.traits.clock_cell)
        node.reset = "power"

    def _stop(self, node: Node) -> None:
        """The program runs no more; what it ran on stays as it is."""
        if node.state is None:
            return
        node.hardware = node.state.hardware
        self._hang_up(node)
        node.state = None
        self._changed.set()

    def _restart(self, node: Node, due_ms: int) -> None:
        if node.restart_ms == due_ms:  # else its power went meanwhile
            node.restart_ms = None
            self._power_on(node)

    def _parts(self, node: Node) -> Hardware:
        """A dark terminal's parts."""
        return node.hardware or made(node.traits, self.clock.now_ms())

    def apply(self, node: Node, event: out.Input) -> tuple[out.Output, ...]:
        """One input to one terminal; the outputs that were carried out. What befalls the parts of
        a dark one is found when it starts."""
        if not self._running:
            return ()
        if node.state is None:
            if isinstance(event, BEFALLS):
                node.hardware = self._parts(node).after(event, self.clock.now_ms())
                if not node.hardware.powered:
                    self._lose_power(node)
            return ()
        before = node.state.connected
        stepped = device.step(node.state, event, self.clock.now_ms())
        self._connected += stepped.state.connected - before
        return self._carry_out(node, stepped)

    def _carry_out(self, node: Node, stepped: Stepped) -> tuple[out.Output, ...]:
        node.state = stepped.state
        for number, output in enumerate(stepped.outputs):
            try:
                self._carry_out_one(node, output)
            except PowerCut:
                self.faults["power cut in a store"] += 1
                self._lose_power(node)
                return stepped.outputs[:number]
            for watcher in self._watchers:
                watcher(node.entry.id, output)
        self._schedule(node)
        self._changed.set()
        return stepped.outputs

    def _carry_out_one(self, node: Node, output: out.Output) -> None:
        t, now_ms = node.entry.id, self.clock.now_ms()
        match output:
            case out.Persist(image):
                try:
                    node.stores += 1
                    node.flash.save(image)
                except OSError:
                    # A worn-out flash must not silence an alarm: send it all the same.
                    log.exception("flash of %s can't be written", t)
                    self.faults["flash write"] += 1
            case out.Publish():
                self._through_air(node, lambda: self._publish(node, output))
                self._wake_modem(node)
            case out.Say():
                node.heard.append((now_ms, output))
            case out.Stored(ref, kind, test):
                self.ledger.stored(t, ref, kind, test, now_ms)
            case out.Receipted(ref, _):
                self.ledger.receipted(t, ref, now_ms)
            case out.Expired(ref, _):
                self.ledger.expired(t, ref)
            case out.Ignored(reason):
                self.faults[f"ignored {reason}"[:80]] += 1
            case out.Reboot(reason):
                self.faults["watchdog reset"] += reason == "watchdog"
                self._stop(node)
                node.reset = reason
                due_ms = node.restart_ms = now_ms + REBOOT_MS
                self.timers.at_ms(due_ms, lambda: self._restart(node, due_ms))
            case out.PowerOff():
                self._lose_power(node)
            case out.SetLed() | out.Chime() | out.Buzz():
                pass  # to be seen in the state; a watcher may want the moment

    def _through_air(self, node: Node, carry: Callable[[], None]) -> None:
        """Let a message pass the terminal's weather: now, later, twice or never."""
        if node.weather is CLEAR:
            carry()
            return
        arrivals = node.weather.fate(self._random)
        self.faults["lost in the air"] += not arrivals
        for after_ms in arrivals:
            self.timers.at_ms(self.clock.now_ms() + after_ms, carry)

    def _arrived(self, node: Node, topic: str, payload: bytes) -> None:
        """A message for a terminal; one whose modem sleeps gets it when it speaks again."""
        awake_s = node.weather.awake_s
        if awake_s is not None and self.clock.now_ms() > node.awake_until_ms:
            self.faults["waits for a sleeping modem"] += 1
            node.asleep.append((topic, payload))
            return
        self._through_air(node, lambda: self._message(node, topic, payload))

    def _wake_modem(self, node: Node) -> None:
        awake_s = node.weather.awake_s
        if awake_s is None:
            return
        node.awake_until_ms = self.clock.now_ms() + int(awake_s * 1000)
        self.let_through(node)

    def let_through(self, node: Node) -> None:
        """Deliver what waited in the network for a sleeping modem."""
        waiting, node.asleep = tuple(node.asleep), type(node.asleep)(maxlen=node.asleep.maxlen)
        for topic, payload in waiting:
            self._through_air(node, partial(self._message, node, topic, payload))

    def _publish(self, node: Node, message: out.Publish) -> None:
        if node.line is None or not node.line.publish(message):
            self.faults["publish refused"] += 1
            return
        if message.ref is not None and message.kind is not None:
            now_ms = self.clock.now_ms()
            self.ledger.sent(node.entry.id, message.ref, message.kind, now_ms)

    def _schedule(self, node: Node) -> None:
        """Keep one wake-up per terminal in the heap; an early one is harmless, a late one not."""
        if node.state is None:
            return
        due_ms = device.next_wakeup(node.state, self.clock.now_ms())
        if due_ms is None or (node.due_ms is not None and node.due_ms <= due_ms):
            return
        node.due_ms = due_ms
        self.timers.at_ms(due_ms, lambda: self._wake(node, due_ms))

    def _wake(self, node: Node, due_ms: int) -> None:
        if node.due_ms != due_ms:
            return  # an earlier wish took its place
        node.due_ms = None
        if node.state is not None:
            self.apply(node, out.Tick())

    # ---- lines ----

    def _wants_line(self, terminal: str) -> bool:
        node = self._nodes[terminal]
        return self._running and node.state is not None and node.network_up and node.line is None

    def _open_line(self, terminal: str) -> Line:
        node = self._nodes[terminal]
        assert node.state is not None
        assert node.line is None
        coming = node.tries_coming
        events = LineEvents(
            up=lambda: self._line_up(node, coming),
            down=lambda reason: self._line_down(node, reason),
            message=lambda topic, payload: self._arrived(node, topic, payload),
            acked=lambda ref: self.ledger.pubacked(node.entry.id, ref, self.clock.now_ms()),
        )
        will = device.will(node.state)
        entry = node.entry
        node.line = Line(
            entry.id, node.password, self._broker, will=will, events=events, loop=self._loop
        )
        return node.line

    def _line_up(self, node: Node, coming: bool) -> None:
        self._connector.reached(node.entry.id)
        node.refusals = 0
        self.apply(node, out.Connected(coming))

    def _line_down(self, node: Node, reason: str) -> None:
        node.line = None
        node.refusals += reason.startswith("refused")
        self.faults[f"line: {reason}"[:80]] += 1
        self.apply(node, out.Disconnected())
        self._connector.want_again(node.entry.id)

    def _hang_up(self, node: Node) -> None:
        if node.line is not None:
            node.line.drop()
            node.line = None
        self.apply(node, out.Disconnected())

    def _message(self, node: Node, topic: str, payload: bytes) -> None:
        leaf = topic.removeprefix(f"{wire.PREFIX}/t/{node.entry.id}/")
        if leaf == "cmd":
            self.apply(node, out.CommandArrived(payload))
        elif leaf == "cfg":
            self.apply(node, out.ConfigArrived(payload))
        elif topic == wire.SERVER_STATE_TOPIC:
            self.apply(node, out.ServerStateArrived(payload))

    def _keep_alive(self) -> None:
        """A tenth of the lines each second: pings are spread and none waits over ten."""
        for number, node in enumerate(self._nodes.values()):
            if number % KEEP_ALIVE_SLICES == self._slice and node.line is not None:
                node.line.keep_alive()
        self._slice = (self._slice + 1) % KEEP_ALIVE_SLICES
        self._keep_alive_handle = self._loop.call_later(1.0, self._keep_alive)
