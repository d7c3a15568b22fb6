"""Child processes of the embedded edition: started, watched, restarted, and surely ended.

It must never leave an orphan: each child has its own process group, which is ended as a whole, and
asks the kernel to be killed when the parent dies, however the parent dies.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

STOP_WITHIN_S = 2.5
"""From the word to stop until nothing is left, for all children together."""
_KILL_AFTER_S = 1.9  # what is still there then gets SIGKILL, and the rest of the time to vanish
_STEADY_AFTER_S = 30.0  # a child that ran this long starts again without the earlier waits
_HELD_LOOK_S = 0.1
_HUNG_LOOKS = 3  # and at least so many looks: a parent that was itself asleep proves nothing
_LOG_LIMIT_BYTES = 20_000_000
_PR_SET_PDEATHSIG = 1
_ALARMING = ("WARNING", "ERROR", "CRITICAL", "Traceback", "Error:", "Warning:")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run. `user` is an account to switch to before the program starts (root only)."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    """The whole environment; None inherits ours."""
    user: str | None = None
    restart: bool = True
    """Whether an exit that nobody asked for starts it again."""
    backoff_base_s: float = 0.2
    backoff_max_s: float = 10.0
    alive: Callable[[], Awaitable[bool]] | None = None
    """Asked every second; must answer within a few. A program that hangs is no better than one that
    died, and nobody else would notice: it is killed and so started again."""
    hung_after_s: float = 15.0
    """How long it may stay silent once it has answered for the first time."""
    start_within_s: float = 90.0
    """How long its first answer may take: one that hangs while it starts is killed too."""
    harmless: Sequence[str] = ()
    """Parts of warnings that are known and expected: logged, but no alarm."""


@dataclass(slots=True)
class Child:
    """A supervised program. `starts` counts how often it was started."""

    spec: ChildSpec
    log_path: Path
    starts: int = 0
    process: asyncio.subprocess.Process | None = None
    last_exit: int | None = None
    held: bool = False
    """Whether it is kept down on purpose (a rehearsal of its failure)."""
    running: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while its newest process has answered `alive` at least once."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it will not be started again."""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        if self.process is None or self.process.returncode is not None:
            return None
        return self.process.pid


class Supervisor:
    """Starts children with `start`, ends all of them with `stop`.

    Every line a child prints goes to `<log_dir>/<name>.log`; warnings and worse also go to
    `on_alarm(name, line)`. Use as an async context manager, or call `stop()` in a `finally`.
    """

    def __init__(self, log_dir: Path, on_alarm: Callable[[str, str], None] | None = None) -> None:
        self._log_dir = log_dir
        self._on_alarm = on_alarm or (lambda name, line: logger.warning("[%s] %s", name, line))
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.children: dict[str, Child] = {}
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> "Supervisor":
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    def start(self, spec: ChildSpec) -> Child:
        """Start a child and watch it. Raises ValueError for a name in use.

        Returns at once; a program that can't be started is an alarm and is tried again.
        """
        if spec.name in self.children:
            raise ValueError(f"a child named {spec.name} is already supervised")
        self._log_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        child = Child(spec, self._log_dir / f"{spec.name}.log")
        self.children[spec.name] = child
        self._tasks[spec.name] = asyncio.create_task(self._watch(child), name=f"watch-{spec.name}")
        return child

    def hold(self, name: str) -> None:
        """Kill a child and keep it down until `release`, as a rehearsal of its failure."""
        child = self.children[name]
        child.held = True
        _signal_group(child, signal.SIGKILL)

    def release(self, name: str) -> None:
        """Let a held child start again."""
        self.children[name].held = False

    async def stop(self) -> None:
        """SIGTERM to every group, SIGKILL to what is left; all within `STOP_WITHIN_S`."""
        self._stopping.set()
        deadline = time.monotonic() + _KILL_AFTER_S
        for child in self.children.values():
            _signal_group(child, signal.SIGTERM)
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, deadline - time.monotonic()))
        for child in self.children.values():
            _signal_group(child, signal.SIGKILL)
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_WITHIN_S - _KILL_AFTER_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, child: Child) -> None:
        backoff_s = child.spec.backoff_base_s
        try:
            while not self._stopping.is_set():
                began_s = time.monotonic()
                await self._run_once(child)
                if self._stopping.is_set() or not child.spec.restart:
                    return
                if child.held:
                    self._on_alarm(child.spec.name, "kept down by the tester")
                    while child.held and not self._stopping.is_set():
                        await asyncio.sleep(_HELD_LOOK_S)
                    continue
                if time.monotonic() - began_s >= _STEADY_AFTER_S:
                    backoff_s = child.spec.backoff_base_s
                self._on_alarm(child.spec.name, f"ended with {child.last_exit}; starting it again")
                with contextlib.suppress(TimeoutError):
                    # Half to whole: never at once, as the cause is often a port not yet free.
                    async with asyncio.timeout(backoff_s * random.uniform(0.5, 1.0)):  # noqa: S311
                        await self._stopping.wait()
                backoff_s = min(child.spec.backoff_max_s, backoff_s * 2)
        finally:
            child.ended.set()

    async def _run_once(self, child: Child) -> None:
        spec = child.spec
        try:
            process = await asyncio.create_subprocess_exec(
                *spec.argv,
                env=None if spec.env is None else dict(spec.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # its own group, and no Ctrl-C from our terminal
                # After the switch of user: the kernel forgets the wish on a change of account.
                preexec_fn=_die_with(os.getpid()),
                **_account(spec.user),
            )
        except OSError as exc:
            child.last_exit = None
            self._on_alarm(spec.name, f"can't be started: {exc}")
            return
        child.process = process
        child.starts += 1
        child.running.set()
        if self._stopping.is_set():  # stop() came while it was being started
            _signal_group(child, signal.SIGTERM)
        looking = asyncio.create_task(self._kill_when_hung(child))
        try:
            await self._forward(child, process)
            child.last_exit = await process.wait()
        finally:
            looking.cancel()
            child.running.clear()
            child.answers.clear()
            # Also grandchildren: a program may die and leave its helpers in the group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    async def _kill_when_hung(self, child: Child) -> None:
        alive = child.spec.alive
        if alive is None:
            return
        answered_s, silent_looks = time.monotonic(), 0
        while not self._stopping.is_set():
            await asyncio.sleep(1.0)
            if await alive():
                answered_s, silent_looks = time.monotonic(), 0
                child.answers.set()
                continue
            silent_looks += 1
            silent_s = time.monotonic() - answered_s
            spec = child.spec
            patience_s = spec.hung_after_s if child.answers.is_set() else spec.start_within_s
            if silent_looks >= _HUNG_LOOKS and silent_s >= patience_s:
                self._on_alarm(child.spec.name, f"ERROR no answer for {silent_s:.0f} s; killed")
                _signal_group(child, signal.SIGKILL)
                return

    async def _forward(self, child: Child, process: asyncio.subprocess.Process) -> None:
        """Copy lines until the program itself ends, even if a grandchild keeps the pipe open."""
        stdout = process.stdout
        if stdout is None:
            return
        waiting = asyncio.create_task(process.wait())
        reading = asyncio.create_task(self._copy_lines(child, stdout))
        try:
            await asyncio.wait({waiting, reading}, return_when=asyncio.FIRST_COMPLETED)
            await waiting
            await asyncio.wait({reading}, timeout=0.2)  # the last words
        finally:
            waiting.cancel()
            reading.cancel()
            await asyncio.gather(waiting, reading, return_exceptions=True)

    async def _copy_lines(self, child: Child, stdout: asyncio.StreamReader) -> None:
        if child.log_path.exists() and child.log_path.stat().st_size > _LOG_LIMIT_BYTES:
            child.log_path.replace(child.log_path.with_suffix(".log.1"))
        with child.log_path.open("a", encoding="utf-8", buffering=1) as log:
            os.chmod(child.log_path, 0o600)
            while True:
                try:
                    raw = await stdout.readline()
                except ValueError:
                    continue  # longer than the reader's limit: that line is dropped
                if not raw:
                    return
                line = raw.decode("utf-8", "replace").rstrip("\n")
                log.write(line + "\n")
                if any(word in line for word in _ALARMING) and not any(
                    known in line for known in child.spec.harmless
                ):
                    self._on_alarm(child.spec.name, line)


def _signal_group(child: Child, signum: signal.Signals) -> None:
    if child.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signum)


def _account(user: str | None) -> dict[str, Any]:
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


_libc = ctypes.CDLL(None)  # what is already loaded; looking it up would start a compiler


def _die_with(parent_pid: int) -> Callable[[], None]:
    """A hook for the new child: SIGKILL when the parent dies (Linux; elsewhere it does nothing)."""

    def hook() -> None:
        prctl = getattr(_libc, "prctl", None)
        if prctl is None:
            return
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before the wish was spoken
            os._exit(1)

    return hook
