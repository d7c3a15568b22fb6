"""The people behind the terminals: presses buttons when `behaviour` says they would.

Uses the fleet's heap of virtual time. It decides nothing itself, and stops beginning anything
new when told to be quiet, so that a run can settle before it is reconciled.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from typing import Final

from firmware_sim import behaviour
from firmware_sim import outputs as out
from firmware_sim.behaviour import SosPlan, Window
from firmware_sim.fleet import Fleet
from firmware_sim.manifest import Manifest, TerminalEntry
from firmware_sim.wire import Kind

# A run that begins inside a window: those who "have pressed already" do so over this time.
CATCH_UP_MS: Final = 60_000
PLAN_AHEAD_MS: Final = 2 * 3_600_000
"""How long before it opens a round's check-ins are planned."""
# Ten thousand people's habits are not drawn in one go: their terminals' lines come first.
PLANNED_AT_ONCE: Final = 250
PAUSE_S: Final = 0.25


@dataclass(slots=True)
class Residents:
    """Drives a fleet's buttons. Who plays a part in a scenario presses only as it says (`cast`);
    `story` terminals make no calls of their own."""

    manifest: Manifest
    fleet: Fleet
    seed: int
    sos_per_hour: float = 0.0
    accidents_per_hour: float = 0.0
    """Presses that were not meant, each taken back by the resident."""
    blows_per_hour: float = 0.0
    """What the fall detector feels: falls, hard sit-downs and dropped pendants, a third each."""
    ramp_s: float = 0.0
    """Over so many virtual seconds the rates rise from nothing to what they are."""
    quiet: bool = False
    cast: frozenset[str] = frozenset()
    _began_ms: int = field(default=0, init=False)
    _known: set[tuple[str, date]] = field(default_factory=set, init=False)
    _tried: date = field(default=date.min, init=False)

    def start(self) -> None:
        """Begin, after the fleet was started: plan the windows that are open or soon will be, and
        the calls."""
        self.fleet.watch(self._noticed)
        now_ms = self._began_ms = self.fleet.clock.now_ms()
        self._look()
        for purpose, per_hour in (
            ("sos", self.sos_per_hour),
            ("accident", self.accidents_per_hour),
            ("blow", self.blows_per_hour),
        ):
            self._plan_call(purpose, per_hour, 0, now_ms)

    def _look(self) -> None:
        """Plan what begins soon, and look again before the next round and with the next day."""
        now_ms, tz = self.fleet.clock.now_ms(), self.manifest.tz
        ahead = behaviour.windows(self.manifest.rounds, tz, now_ms)
        if not ahead:
            return  # a community without rounds
        soon = [w for w in ahead if w.opens_ms <= now_ms + PLAN_AHEAD_MS]
        plans = [self._plan_window(w, now_ms) for w in soon if (w.name, w.day) not in self._known]
        self._known = {(w.name, w.day) for w in soon}
        today = behaviour.day_of(now_ms, tz)
        if self._tried != today:
            self._tried = today
            plans.append(self._plan_trials(today, now_ms))
        self._work_on(chain(*plans))
        looks = [w.opens_ms - PLAN_AHEAD_MS for w in ahead if w not in soon]
        looks.append(behaviour.day_begins_ms(today + timedelta(days=1), tz))
        self.fleet.timers.at_ms(min(looks), self._look)

    def _work_on(self, plans: Iterator[None]) -> None:
        """Some of it now, and the rest after a real pause each."""
        for _ in plans:
            now_ms, speed = self.fleet.clock.now_ms(), self.fleet.clock.speed
            pause_ms = int(PAUSE_S * 1000 * speed)
            self.fleet.timers.at_ms(now_ms + pause_ms, lambda: self._work_on(plans))
            return

    def _some(self) -> Iterator[TerminalEntry | None]:
        """All terminals, and None wherever a pause is due."""
        for number, entry in enumerate(self.manifest.terminals, 1):
            yield entry
            if number % PLANNED_AT_ONCE == 0:
                yield None

    def _plan_window(self, window: Window, began_ms: int) -> Iterator[None]:
        late = random.Random(f"{self.seed}:{window.day}:{window.name}:late")
        for entry in self._some():
            if entry is None:
                yield
                continue
            at_ms = behaviour.checkin_ms(self.seed, entry.id, entry.profile, window)
            if at_ms is not None:
                if at_ms < began_ms:
                    now_ms = self.fleet.clock.now_ms()
                    room_ms = min(CATCH_UP_MS, max(0, window.due_ms - now_ms) // 2)
                    at_ms = now_ms + int(late.random() * room_ms)
                self._press_at(at_ms, entry.id, Kind.CHECKIN)

    def _plan_trials(self, day: date, now_ms: int) -> Iterator[None]:
        for entry in self._some():
            if entry is None:
                yield
                continue
            at_ms = behaviour.trial_press_ms(
                self.seed,
                entry.id,
                entry.profile,
                day,
                self.manifest.tz,
            )
            if at_ms is not None and at_ms > now_ms:
                self._press_at(at_ms, entry.id, Kind.TEST)

    def _plan_call(self, purpose: str, per_hour: float, number: int, after_ms: int) -> None:
        if per_hour <= 0:
            return
        callers = tuple(
            entry.id
            for entry in self.manifest.terminals
            if entry.story is None
            and entry.id not in self.cast
            and self._at_home(entry, after_ms)
        )
        plan = behaviour.next_sos(self.seed, number, callers, per_hour, after_ms, purpose)
        if plan is not None:
            self.fleet.timers.at_ms(plan.at_ms, lambda: self._call(purpose, per_hour, plan))

    def _at_home(self, entry: TerminalEntry, now_ms: int) -> bool:
        day = behaviour.day_of(now_ms, self.manifest.tz)
        return behaviour.at_home(self.seed, entry.id, entry.profile, day)

    def _call(self, purpose: str, per_hour: float, plan: SosPlan) -> None:
        # Chosen while at home, and perhaps taken in since: then it happens there, unheard.
        there = self._at_home(self.fleet.entry(plan.terminal), plan.at_ms)
        if there and not self.quiet and self._ramped_up(purpose, plan):
            match purpose:
                case "sos":
                    self.fleet.press(plan.terminal, Kind.SOS)
                case "accident":
                    self.fleet.press(plan.terminal, Kind.SOS)
                    after_ms = behaviour.takes_back_ms(self.seed, plan.number)
                    self._press_at(plan.at_ms + after_ms, plan.terminal, Kind.SOS_CANCEL)
                case "blow":
                    kind = tuple(behaviour.BLOWS)[plan.number % len(behaviour.BLOWS)]
                    peak_g = behaviour.blow(self.seed, plan.number, kind)
                    node = self.fleet.node(plan.terminal)
                    self.fleet.apply(node, out.Impact(peak_g, still=True))
        self._plan_call(purpose, per_hour, plan.number + 1, plan.at_ms)

    def _ramped_up(self, purpose: str, plan: SosPlan) -> bool:
        """A rising rate is a full one of which only a rising share happens."""
        since_s = (plan.at_ms - self._began_ms) / 1000
        if since_s >= self.ramp_s:
            return True
        draw = random.Random(f"{self.seed}:{purpose}:{plan.number}:ramp").random()
        return draw < since_s / self.ramp_s

    def _press_at(self, at_ms: int, terminal: str, kind: Kind) -> None:
        def press() -> None:
            if not self.quiet and terminal not in self.cast:
                self.fleet.press(terminal, kind)

        self.fleet.timers.at_ms(at_ms, press)

    def _noticed(self, terminal: str, output: out.Output) -> None:
        """A chime in the flat: somebody may get up and press."""
        if not isinstance(output, out.Chime) or self.quiet:
            return
        entry: TerminalEntry = self.fleet.entry(terminal)
        now_ms = self.fleet.clock.now_ms()
        delay_ms = behaviour.answer_delay_ms(
            self.seed, terminal, entry.profile, now_ms, self.manifest.tz
        )
        if delay_ms is not None:
            self._press_at(now_ms + delay_ms, terminal, Kind.CHECKIN)
