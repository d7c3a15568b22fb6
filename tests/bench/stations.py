"""Where the time of a press goes: `python -m tests.bench.sos --stations`.

Server and gateway then run through this module, which puts a stamp at each station of a press and
writes it to the file in XUNLOU_STATIONS, one a line. Nothing of this is in the product: its
functions are wrapped from outside. Writing them takes a few tenths of a millisecond of each press.
"""

import contextvars
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.lane import Lane
from gateway.upstream import ServerClient

FILE = "XUNLOU_STATIONS"
STATIONS = (
    "gateway", "POST", "server", "asked", "thread", "gate", "begun", "decided", "leased",
    "committed", "sender", "provider",
)  # fmt: skip
"""In the order in which a press comes to them: read by the gateway, its POST begun, at the server,
the transaction asked for, a thread for it awake, the gate passed, BEGIN said, decided and written,
its texts leased, committed, the sender's thread awake, the request at the provider."""
_arrived: contextvars.ContextVar[float] = contextvars.ContextVar("arrived", default=0.0)


def stamp(station: str, at: float | None = None) -> None:
    """A press is at this station now, or was `at` (perf_counter, one clock for all here)."""
    os.write(_out, f"{at or time.perf_counter():.6f} {station}\n".encode())


def between(file: Path, presses: Sequence[tuple[float, float]]) -> dict[str, list[float]]:
    """Milliseconds from each press to its first stamp at each station. `presses`: from when to when
    each was under way, one after the other."""
    lines = (line.split() for line in file.read_text().splitlines())
    stamps = sorted((float(at), station) for at, station in lines)
    took: dict[str, list[float]] = {station: [] for station in STATIONS}
    for began, ended in presses:
        seen = {"provider": ended}
        for at, station in stamps:
            if began <= at <= ended:
                seen.setdefault(station, at)
        for station, at in seen.items():
            took[station].append((at - began) * 1000)
    return {station: each for station, each in took.items() if each}


def _before(owner: Any, name: str, say: Any) -> None:
    """Call `say` with the arguments of `owner.name`, before it."""
    plain = getattr(owner, name)

    def call(*args: Any, **named: Any) -> Any:
        say(*args, **named)
        return plain(*args, **named)

    setattr(owner, name, call)


class _Press:
    """The use-case of a press, with stamps around it."""

    def __init__(self, use_case: Any) -> None:
        self._use_case = use_case

    def __call__(self, tx: Any) -> Any:
        stamp("begun")
        found = self._use_case(tx)
        stamp("decided")
        return found


def _server() -> None:
    from server.app import BoundedBodies
    from server.channels.twilio import TwilioSms
    from server.database import Database
    from server.outbox import Worker

    plain_write, plain_lease = Database.write, Worker.lease_here

    def write(self: Any, use_case: Any, *, urgent: bool = False) -> Any:
        if urgent and _arrived.get():
            stamp("server", _arrived.get())
            stamp("asked")
            use_case = _Press(use_case)
        return plain_write(self, use_case, urgent=urgent)

    def lease(self: Any, tx: Any) -> Any:
        found = plain_lease(self, tx)
        if found.lot.messages:
            stamp("leased")
        return found

    def at(station: str) -> Any:
        def say(_self: Any, use_case: Any, *_args: Any, **_named: Any) -> None:
            if isinstance(use_case, _Press):
                stamp(station)

        return say

    def handed(_self: Any, lot: Any, *, committed: bool) -> None:
        if committed and lot.messages:
            stamp("committed")

    Database.write, Worker.lease_here = write, lease  # type: ignore[method-assign]
    _before(BoundedBodies, "__call__", lambda *_: _arrived.set(time.perf_counter()))
    _before(Database, "transact", at("thread"))
    _before(Database, "_once", at("gate"))
    _before(Worker, "handed", handed)
    _before(TwilioSms, "send", lambda *_: stamp("sender"))


def _gateway() -> None:
    def offered(self: Any, _received: Any) -> None:
        if self._name == "sos":
            stamp("gateway")

    def asked(_self: Any, entries: Any) -> None:
        if any(e.kind == "signals" and e.body["type"] == "sos" for e in entries):
            stamp("POST")

    _before(Lane, "offer", offered)
    _before(ServerClient, "post_signals", asked)


if __name__ == "__main__":
    from xunlou.cli import main

    _out = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    {"serve": _server, "gateway": _gateway}[sys.argv[1]]()
    raise SystemExit(main())
