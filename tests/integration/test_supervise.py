"""Children are restarted when they crash, and none outlives its parent."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from xunlou.supervise import STOP_WITHIN_S, Child, ChildSpec, Supervisor

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " print('up', flush=True); time.sleep(600)"
)


def python(name: str, code: str, **more: object) -> ChildSpec:
    """A child that runs a line of Python."""
    return ChildSpec(name, [sys.executable, "-c", code], **more)  # type: ignore[arg-type]


async def until(true: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
    """Poll for something only the outside world knows."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def up(child: Child) -> None:
    """Until the child has printed its first line."""
    await until(
        lambda: child.log_path.exists() and "up" in child.log_path.read_text(), "the child is up"
    )


async def test_a_crashed_child_is_started_again_and_reported(tmp_path: Path) -> None:
    """kill -9: an alarm with the exit code, then a new process."""
    alarms: list[str] = []
    async with Supervisor(tmp_path, lambda name, line: alarms.append(f"{name}: {line}")) as all_:
        child = all_.start(python("one", SLEEPER, backoff_base_s=0.01))
        await up(child)
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: child.starts == 2 and child.pid not in (None, first), "a second start")
        assert alarms == ["one: ended with -9; starting it again"]


async def test_restarts_come_slower_and_slower(tmp_path: Path) -> None:
    """A child that can't live is not started in a tight loop."""
    async with Supervisor(tmp_path, lambda *_: None) as all_:
        child = all_.start(
            ChildSpec("gone", ["/bin/false"], backoff_base_s=0.2, backoff_max_s=30.0)
        )
        await until(lambda: child.starts >= 2, "a second start")
        began = time.monotonic()
        await until(lambda: child.starts >= 4, "a fourth start")
        assert time.monotonic() - began >= (0.4 + 0.8) / 2


async def test_a_program_that_does_not_exist_is_an_alarm_not_an_error(tmp_path: Path) -> None:
    """The others live on; the missing one is tried again."""
    alarms: list[str] = []
    async with Supervisor(tmp_path, lambda _, line: alarms.append(line)) as all_:
        all_.start(ChildSpec("absent", ["/nonexistent/program"], backoff_base_s=0.01))
        await until(lambda: any("can't be started" in line for line in alarms), "the alarm")


async def test_a_child_that_may_end_is_left_ended(tmp_path: Path) -> None:
    """restart=False: it ran once, its exit code is known."""
    async with Supervisor(tmp_path, lambda *_: None) as all_:
        child = all_.start(python("once", "raise SystemExit(3)", restart=False))
        await asyncio.wait_for(child.ended.wait(), 10)
        assert (child.starts, child.last_exit) == (1, 3)


async def test_stop_ends_even_those_who_will_not_in_time(tmp_path: Path) -> None:
    """SIGTERM first; who ignores it gets SIGKILL; all of it within the bound."""
    all_ = Supervisor(tmp_path, lambda *_: None)
    children = [all_.start(python("mild", SLEEPER)), all_.start(python("stubborn", STUBBORN))]
    for child in children:
        await up(child)
    pids = [child.pid for child in children]
    began = time.monotonic()
    await all_.stop()
    assert time.monotonic() - began < STOP_WITHIN_S
    assert [child.last_exit for child in children] == [-signal.SIGTERM, -signal.SIGKILL]
    assert not any(alive(pid) for pid in pids if pid is not None)


async def test_grandchildren_end_with_their_group(tmp_path: Path) -> None:
    """A helper the child started is ended too, though it holds the log pipe open."""
    code = (
        "import subprocess, sys;"
        f"p = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]);"
        "print('helper', p.pid, flush=True); p.wait()"
    )
    all_ = Supervisor(tmp_path, lambda *_: None)
    child = all_.start(python("parent", code))
    await until(
        lambda: (
            child.log_path.exists() and {"helper", "up"} <= set(child.log_path.read_text().split())
        ),
        "the helper",
    )
    words = child.log_path.read_text().split()
    helper = int(words[words.index("helper") + 1])
    await all_.stop()
    await until(lambda: not alive(helper), "the helper is gone", 2.0)


async def test_no_orphan_survives_a_parent_killed_with_9(tmp_path: Path) -> None:
    """The kernel ends the children of a supervisor that had no chance to."""
    program = f"""
import asyncio, sys
from pathlib import Path
from xunlou.supervise import ChildSpec, Supervisor
async def main():
    all_ = Supervisor(Path({str(tmp_path)!r}), lambda *_: None)
    child = all_.start(ChildSpec("kid", [sys.executable, "-c", {SLEEPER!r}]))
    await child.running.wait()
    print(child.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    kid = int(await asyncio.wait_for(parent.stdout.readline(), 15))
    assert alive(kid)
    parent.kill()
    await parent.wait()
    await until(lambda: not alive(kid), "the orphan is gone", 3.0)


async def test_every_line_is_logged_and_only_warnings_alarm(tmp_path: Path) -> None:
    """The log has all of it, privately; the console only what someone must read."""
    alarms: list[str] = []
    async with Supervisor(tmp_path, lambda _, line: alarms.append(line)) as all_:
        code = "print('hello'); print('WARNING careful');"
        code += "print('WARNING as ever'); print('x' * 200_000); print('bye')"
        child = all_.start(python("talker", code, restart=False, harmless=("as ever",)))
        await asyncio.wait_for(child.ended.wait(), 10)
        text = child.log_path.read_text()
        assert "hello" in text
        assert text.endswith("bye\n")
        assert alarms == ["WARNING careful"]
        assert child.log_path.stat().st_mode & 0o777 == 0o600


async def test_a_name_is_used_once(tmp_path: Path) -> None:
    """Two children of one name would write over each other's log."""
    async with Supervisor(tmp_path, lambda *_: None) as all_:
        all_.start(python("one", SLEEPER))
        with pytest.raises(ValueError, match="already"):
            all_.start(python("one", SLEEPER))


async def test_a_child_that_hangs_is_killed_and_started_again(tmp_path: Path) -> None:
    """SIGSTOP: it lives, holds its sockets and answers nothing; somebody says so and acts. A child
    that hangs before its first answer has longer, not for ever."""
    alarms: list[str] = []
    answers = True

    async def answering() -> bool:
        return answers

    async with Supervisor(tmp_path, lambda _name, line: alarms.append(line)) as all_:
        spec = python(
            "one", SLEEPER, backoff_base_s=0.01, alive=answering, hung_after_s=0.5,
            start_within_s=4.0,
        )  # fmt: skip
        child = all_.start(spec)
        await asyncio.wait_for(child.answers.wait(), 10)
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        answers = False
        await until(lambda: child.starts == 2, "a second start", 20)
        assert "no answer" in alarms[0]
        assert not child.answers.is_set()
        await until(lambda: child.starts == 3, "killed in its start", 20)
