"""Runs the command `xunlou` as a person does: a process, its output, Ctrl-C."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

XUNLOU = [sys.executable, "-m", "xunlou"]
FREE = ("--port", "0", "--mqtt-port", "0")
"""Ports of its own for a demo: of two that start in one moment both would find 1883 free."""
START_WITHIN_S = 60.0


@dataclass
class Running:
    """A command that goes on until it is stopped."""

    process: subprocess.Popen[str]
    folder: Path

    def until_printed(self, words: str) -> str:
        """Everything printed up to and with the line that holds `words`."""
        assert self.process.stdout is not None
        seen = []
        end = time.monotonic() + START_WITHIN_S
        for line in self.process.stdout:
            seen.append(line)
            if words in line:
                return "".join(seen)
            assert time.monotonic() < end, "".join(seen)
        raise AssertionError(f"ended without {words!r}: {''.join(seen)} {self.errors()}")

    def errors(self) -> str:
        """What went to standard error so far (kept in a file, so that no pipe fills up)."""
        return (self.folder / "stderr").read_text()

    def stop(self) -> tuple[int, float]:
        """Ctrl-C; returns the exit code and how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(10)
        return code, time.monotonic() - began

    def family(self) -> list[int]:
        """Processes that run in this command's folder: itself and all its children."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                    if str(self.folder).encode() in words:
                        found.append(int(entry.name))
        return found


@contextlib.contextmanager
def running(folder: Path, *words: str, **environment: str) -> Iterator[Running]:
    """Start a command in `folder`; whatever is left of it at the end is killed."""
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [*XUNLOU, *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**clean_environment(), "XUNLOU_TEST_FOLDER": str(folder), **environment},
        )
    command = Running(process, folder)
    try:
        yield command
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)
        assert process.stdout is not None
        process.stdout.close()


def clean_environment() -> dict[str, str]:
    """Ours, without anything that would configure Xunlou."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("XUNLOU_", "TWILIO_"))}


def once(
    folder: Path, *words: str, within_s: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*XUNLOU, *words], cwd=folder, capture_output=True, text=True, timeout=within_s,
        env={**clean_environment(), **environment}, check=False,
    )  # fmt: skip


def json_lines(text: str) -> list[dict[str, Any]]:
    """Each line as JSON; a line that is none fails the test."""
    return [json.loads(line) for line in text.splitlines()]
