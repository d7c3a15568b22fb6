"""The simulation's time: a heap of moments, one generator, and processes that can die or stall.

It must never read a real clock: the same seed is the same story, word for word.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from server.clock import Clock

REQUEST_TIMEOUT_S = 10.0


class Violation(BaseException):  # the server's own `except Exception` must not swallow it
    """An invariant does not hold."""


class Point:
    """A place in the server's code where it waits: there it may die, stall or be overtaken."""

    def __init__(self, what: str, delay_s: float = 0.0) -> None:
        self.what = what
        self.delay_s = delay_s

    def __await__(self) -> Generator["Point", None, None]:
        yield self


class Join(Point):
    """Waits until several tasks are over."""

    def __init__(self, left: int) -> None:
        super().__init__("join")
        self.left = left
        self.parent: Task | None = None
        self.error: Exception | None = None


class World:
    """True time, the servers' clock error, and everything that is going to happen."""

    def __init__(self, seed: int, start: datetime, verbose: bool = False) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.now_s = start.timestamp()
        self.skew_s = 0.0
        """How far the servers' clock runs ahead of true time."""
        self.verbose = verbose
        self.story: deque[str] = deque(maxlen=60)
        self.events = 0
        self.faults: Counter[str] = Counter()
        """What went wrong so far, by kind: a fault that never happens proves nothing."""
        self.calm = False
        """True in the last hours: nothing breaks any more, so everything must come to rest."""
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._order = 0

    @property
    def server_s(self) -> float:
        """Epoch seconds by the servers' clock."""
        return self.now_s + self.skew_s

    def clock(self) -> Clock:
        """The clock that the server's code is given."""
        return Clock(source=lambda: self.server_s)

    def chance(self, p: float) -> bool:
        """Whether something of this probability happens; never in the calm."""
        return self.rng.random() < p and not self.calm

    def between(self, low: float, high: float) -> float:
        """A duration in seconds."""
        return self.rng.uniform(low, high)

    def after(self, delay_s: float, what: Callable[..., Any], *args: Any) -> None:
        """Let `what` happen in `delay_s` seconds."""
        self.at(self.now_s + delay_s, what, *args)

    def at(self, at_s: float, what: Callable[..., Any], *args: Any) -> None:
        """Let `what` happen at true time `at_s`."""
        self._order += 1
        heapq.heappush(self._heap, (max(at_s, self.now_s), self._order, what, args))

    def run(self, until_s: float) -> None:
        """Live until `until_s`."""
        while self._heap and self._heap[0][0] <= until_s:
            self.now_s, _, what, args = heapq.heappop(self._heap)
            self.events += 1
            what(*args)
        self.now_s = until_s

    def fault(self, kind: str) -> None:
        """Count a fault that has just been injected."""
        self.faults[kind] += 1

    def tell(self, who: str, what: str) -> None:
        """One line of the story."""
        at = datetime.fromtimestamp(self.now_s, UTC)
        line = f"{at:%m-%d %H:%M:%S}.{at.microsecond // 1000:03} {who:<9} {what}"
        self.story.append(line)
        if self.verbose:
            print(line)  # noqa: T201


@dataclass(slots=True, eq=False)
class Task:
    """A coroutine of one process; `done` gets its result, `failed` what ended it."""

    coro: Coroutine[Any, Any, Any]
    name: str
    done: Callable[[Any], Any] | None = None
    failed: Callable[[BaseException | None], Any] | None = None


@dataclass(eq=False)
class Process:
    """One server process: all it holds in memory is its tasks, and a crash takes them."""

    world: World
    name: str
    crash_odds: Callable[[Point], float]
    alive: bool = False
    up_since_s: float = 0.0
    """By the servers' clock: since when it has run without a pause."""
    stalled_until_s: float = 0.0
    tasks: set[Task] = field(default_factory=set)
    on_crash: Callable[["Process", str], None] | None = None

    @property
    def runs(self) -> bool:
        """Neither dead nor frozen."""
        return self.alive and self.stalled_until_s <= self.world.now_s

    def spawn(
        self,
        coro: Coroutine[Any, Any, Any],
        name: str,
        done: Callable[[Any], Any] | None = None,
        failed: Callable[[BaseException | None], Any] | None = None,
    ) -> Task:
        """Start a task; `failed(None)` means that the process died under it."""
        assert self.alive
        task = Task(coro, name, done, failed)
        self.tasks.add(task)
        self._step(task)
        return task

    async def together(self, coros: list[Coroutine[Any, Any, Any]]) -> None:
        """As asyncio.gather: all of them, and then the first error, if any."""
        if not coros:
            return
        join = Join(len(coros))

        def one_less(error: Any = None) -> None:
            join.left -= 1
            if isinstance(error, Exception) and join.error is None:
                join.error = error
            if join.left == 0 and join.parent is not None:
                self.world.after(0.0, self._step, join.parent)

        for coro in coros:
            self.world.after(
                self.world.between(0.0, 0.01), self._spawn_later, coro, one_less, join
            )
        await join
        if join.error is not None:
            raise join.error

    def _spawn_later(
        self, coro: Coroutine[Any, Any, Any], over: Callable[..., None], join: Join
    ) -> None:
        if join.parent not in self.tasks:
            coro.close()  # the process died first
            return
        self.spawn(coro, "send", lambda _result: over(), over)

    def request(
        self,
        coro: Coroutine[Any, Any, Any],
        name: str,
        done: Callable[[Any], Any],
        failed: Callable[[], Any],
    ) -> None:
        """A client's call: answered, refused, or timed out (it may still be carried out)."""
        answered = [False]

        def once(what: Callable[..., Any], *args: Any) -> None:
            if not answered[0]:
                answered[0] = True
                what(*args)

        if not self.alive:
            coro.close()
            self.world.after(0.05, once, failed)
            return
        self.world.after(REQUEST_TIMEOUT_S, once, failed)
        self.spawn(coro, name, lambda result: once(done, result), lambda _error: once(failed))

    def _step(self, task: Task) -> None:
        if task not in self.tasks:
            return
        if not self.runs:
            self.world.at(self.stalled_until_s + self.world.between(0, 0.05), self._step, task)
            return
        try:
            point = task.coro.send(None)
        except StopIteration as stop:
            self.tasks.discard(task)
            if task.done:
                task.done(stop.value)
        except Violation:
            raise
        except Exception as error:
            self.tasks.discard(task)
            if task.failed is None:
                raise
            self.world.tell(self.name, f"{task.name} failed: {error!r}")
            task.failed(error)
        else:
            if isinstance(point, Join):
                point.parent = task
                return
            if self.world.chance(self.crash_odds(point)):
                self.world.fault(f"crash {point.what}")
                self.crash(f"{task.name}, {point.what}")
                return
            self.world.after(point.delay_s, self._step, task)

    def crash(self, where: str) -> None:
        """Kill it: memory is gone, the database is not."""
        if not self.alive:
            return
        self.world.tell(self.name, f"CRASH at {where}")
        self.alive = False
        tasks, self.tasks = self.tasks, set()
        for task in sorted(tasks, key=lambda t: t.name):
            task.coro.close()
            if task.failed is not None and task.name != "send":
                task.failed(None)
        if self.on_crash is not None:
            self.on_crash(self, where)
