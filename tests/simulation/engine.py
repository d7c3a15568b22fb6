"""The simulation's time: a heap of moments, one generator, and processes that can die or stall.

Each process has an event loop of asyncio's that lives in this time, so that the server's own tasks,
futures and time-outs run as they are. It must never read a real clock: the same seed is the same
story, word for word.
"""

import asyncio
import heapq
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from server.clock import Clock

REQUEST_TIMEOUT_S = 10.0


class Violation(BaseException):  # the server's own `except Exception` must not swallow it
    """An invariant does not hold."""


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


class Died(BaseException):  # nor may the server's own `except Exception` keep a process alive
    """The process dies here."""

    def __init__(self, point: str, name: str, *, committed: bool) -> None:
        super().__init__(point, name)
        self.point = point
        self.committed = committed
        """Whether the transaction that it dies in is in the database."""


class Handle:
    """A call that an event loop has still to make."""

    __slots__ = ("args", "callback", "context", "over")

    def __init__(
        self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.callback, self.args = callback, args
        self.context = context if context is not None else copy_context()
        self.over = False

    def cancel(self) -> None:
        """Not to be made any more."""
        self.over = True

    def cancelled(self) -> bool:
        """As asyncio's."""
        return self.over


class Loop(asyncio.AbstractEventLoop):
    """asyncio's event loop of one life of one process, in the world's time: the server's own tasks,
    futures, events and time-outs run on it, one call at a time, in the order of the heap."""

    def __init__(self, process: "Process") -> None:
        self.process, self.world = process, process.world
        self.dead = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._many = 64

    # what asyncio asks of a loop

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        """At this very moment, behind all that was asked for before."""
        handle = Handle(callback, args, context)
        self.world.at(self.world.now_s, self._run, handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any,
        context: Context | None = None,
    ) -> Handle:  # fmt: skip
        """In `delay` seconds."""
        handle = Handle(callback, args, context)
        self.world.after(delay, self._run, handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        """At `time()`."""
        return self.call_later(when - self.world.now_s, callback, *args, context=context)

    def time(self) -> float:
        """Seconds that never jump."""
        return self.world.now_s

    def create_future(self) -> "asyncio.Future[Any]":
        """One of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, **_more: Any
    ) -> "asyncio.Task[Any]":
        """One of this loop; a crash takes it."""
        task = asyncio.Task(coro, loop=self, name=name)
        self._tasks[task] = None
        if len(self._tasks) > self._many:
            self._tasks = {t: None for t in self._tasks if not t.done()}
            self._many = 64 + 2 * len(self._tasks)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: "Pool", func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """In one of the pools of this process."""
        future = self.create_future()

        def done(result: Any, error: Exception | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        executor.work(func, args, done)
        return future

    def get_debug(self) -> bool:
        """Never."""
        return False

    def is_running(self) -> bool:
        """Until the process dies."""
        return not self.dead

    def is_closed(self) -> bool:
        """Once it is dead."""
        return self.dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What the server does not look after, production only logs; a broken invariant is ours."""
        if isinstance(context.get("exception"), Violation):
            raise context["exception"]

    # the simulation's

    def _run(self, handle: Handle) -> None:
        if handle.over or self.dead:
            return
        if not self.process.runs:
            self.world.at(self.process.stalled_until_s, self._run, handle)
            return
        asyncio._set_running_loop(self)
        try:
            handle.context.run(handle.callback, *handle.args)
        finally:
            asyncio._set_running_loop(None)

    def die(self) -> None:
        """Everything that was under way is gone. Its `finally` clauses run, as they do when memory
        is freed, and reach nobody."""
        self.dead = True
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                task.get_coro().close()  # type: ignore[union-attr]
        self._tasks.clear()


class Pool:
    """Stands for a pool of threads: what it is given is done a moment later, and may find the
    process dead before it, or kill it after it."""

    def __init__(
        self, loop: Loop, before: str, after: str, delay: tuple[float, float],
        latency_s: Callable[[Callable[..., Any]], float],
    ) -> None:  # fmt: skip
        """`before`, `after`: the points; `delay`: s until it begins; `latency_s`: s until the one
        who asked has the answer."""
        self._loop, self._process, self._world = loop, loop.process, loop.world
        self._before, self._after = before, after
        self._delay, self._latency_s = delay, latency_s

    def submit(self, func: Callable[..., Any], *args: Any) -> "Future[Any]":
        """As an executor's: what a worker begins without its loop."""
        future: Future[Any] = Future()

        def done(result: Any, error: Exception | None) -> None:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.work(func, args, done, "between hand-over and send")
        return future

    def shutdown(self, *, wait: bool = True) -> None:
        """Nothing to free."""

    def work(
        self, func: Callable[..., Any], args: tuple[Any, ...],
        done: Callable[[Any, Exception | None], None], before: str = "",
    ) -> None:  # fmt: skip
        """Do it, and say so."""
        wait_s = self._world.between(*self._delay) if self._delay[1] else 0.0
        self._world.after(wait_s, self._begin, before or self._before, func, args, done)

    def _begin(
        self, before: str, func: Callable[..., Any], args: tuple[Any, ...], done: Any
    ) -> None:
        if self._loop.dead:
            return
        if not self._process.runs:
            self._world.at(self._process.stalled_until_s, self._begin, before, func, args, done)
            return
        if before and self._process.dies(before):
            return
        result, error = None, None
        try:
            result = func(*args)
            if isinstance(result, Coroutine):
                result = at_once(result)
        except Died as died:
            self._process.crash(died.point)
            return
        except Exception as raised:  # noqa: BLE001 (whoever asked hears of it)
            error = raised
        latency_s = self._latency_s(func)
        if not self._process.dies(self._after):
            self._world.after(latency_s, self._end, result, error, done)

    def _end(self, result: Any, error: Exception | None, done: Any) -> None:
        if self._loop.dead:
            return
        if not self._process.runs:
            self._world.at(self._process.stalled_until_s, self._end, result, error, done)
            return
        asyncio._set_running_loop(self._loop)
        try:
            done(result, error)
        finally:
            asyncio._set_running_loop(None)


def at_once(coro: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine that waits for nothing returns, or raises."""
    try:
        coro.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


@dataclass(eq=False)
class Process:
    """One server process: all it holds in memory is on its loop, and a crash takes it."""

    world: World
    name: str
    crash_odds: Callable[[str], float]
    alive: bool = False
    up_since_s: float = 0.0
    """By the servers' clock: since when it has run without a pause."""
    stalled_until_s: float = 0.0
    loop: Loop = field(init=False)
    on_crash: Callable[["Process", str], None] | None = None
    _asked: dict["asyncio.Task[Any]", Callable[[BaseException | None], Any]] = field(
        default_factory=dict
    )
    """Whoever waits for an answer of this process."""

    @property
    def runs(self) -> bool:
        """Neither dead nor frozen."""
        return self.alive and self.stalled_until_s <= self.world.now_s

    def dies(self, point: str) -> bool:
        """Whether it dies at this point. A point is where it waits: there it may also stall or be
        overtaken by the other server."""
        if not self.world.chance(self.crash_odds(point)):
            return False
        self.world.fault(f"crash {point}")
        self.crash(point)
        return True

    def spawn(
        self, coro: Coroutine[Any, Any, Any], name: str,
        done: Callable[[Any], Any], failed: Callable[[BaseException | None], Any],
    ) -> None:  # fmt: skip
        """Start a task; `failed(None)` means that the process died under it."""
        assert self.alive
        task = self.loop.create_task(coro)
        self._asked[task] = failed

        def over(_task: Any) -> None:
            if self._asked.pop(task, None) is None:
                return
            error = task.exception()
            if isinstance(error, Violation):
                raise error
            if error is None:
                done(task.result())
            else:
                self.world.tell(self.name, f"{name} failed: {error!r:.200}")
                failed(error)

        task.add_done_callback(over)

    def request(
        self, ask: Callable[[], Coroutine[Any, Any, Any]], name: str,
        done: Callable[[Any], Any], failed: Callable[[], Any],
    ) -> None:  # fmt: skip
        """A client's call: answered, refused, or timed out (it may still be carried out)."""
        answered = [False]

        def once(what: Callable[..., Any], *args: Any) -> None:
            if not answered[0]:
                answered[0] = True
                what(*args)

        if not self.alive:
            self.world.after(0.05, once, failed)
            return
        self.world.after(REQUEST_TIMEOUT_S, once, failed)
        self.spawn(ask(), name, lambda result: once(done, result), lambda _error: once(failed))

    def crash(self, where: str) -> None:
        """Kill it: memory is gone, the database is not."""
        if not self.alive:
            return
        self.world.tell(self.name, f"CRASH at {where}")
        self.down()
        if self.on_crash is not None:
            self.on_crash(self, where)

    def down(self) -> None:
        """End it, and let those who waited for it know."""
        self.alive = False
        asked, self._asked = self._asked, {}
        self.loop.die()
        for failed in asked.values():
            failed(None)
