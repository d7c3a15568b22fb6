"""The one process of the fleet's benchmark; `sim_fleet` starts it. Imports only the simulator, so
that what it weighs is the simulator's: the whole of it, as `xunlou sim` runs it, with a manifest,
residents who keep a round, and the page of phones."""

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from firmware_sim import app
from firmware_sim.clock import ScaledClock
from firmware_sim.node import Summary
from xunlou.ports import free_port

WITHIN_S = 240.0
LOOK_S = 0.1
MARCH_14_0510 = 1_773_436_200.0
"""In Shanghai, within the round, when early risers have pressed: here they do so within a minute,
as after any start (`residents.CATCH_UP_MS`)."""


def weight_mib(what: str = "VmRSS") -> float:
    """What this process holds now; with VmHWM, what it held at most. (`getrusage` would tell of
    whoever started it, too.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"the system tells no {what}")


def town(folder: Path, count: int) -> Path:
    """A manifest of so many early risers, and a steward for each house of thirty."""
    raw = {
        "community": "广氮", "tz": "Asia/Shanghai",
        "terminals": [
            {"id": f"b-{n:05}", "password": "x", "building": 1 + n // 30, "flat": str(n),
             "floor": 1, "profile": "early"}
            for n in range(count)
        ],
        "phones": [
            {"number": f"+86100{n:08}", "name": f"楼长{n}", "role": "steward", "building": 1 + n}
            for n in range(1 + count // 30)
        ],
        "rounds": [{"name": "morning", "opens": "04:30", "prompt": "05:45", "due": "06:00"}],
    }  # fmt: skip
    path = folder / f"{count}.json"
    path.write_text(json.dumps(raw, ensure_ascii=False), encoding="utf-8")
    return path


@dataclass
class Run:
    """One fleet from its start until everybody has checked in and has a receipt."""

    terminals: int
    began_s: float = field(default_factory=time.perf_counter)
    began_cpu_s: float = field(default_factory=time.process_time)
    start_s: float = 0.0
    start_cpu_s: float = 0.0
    round_s: float = 0.0
    mib: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self, now: Summary) -> None:
        """Note what has come about since the last look."""
        since_s = time.perf_counter() - self.began_s
        if now.connected == self.terminals and not self.start_s:
            self.start_s, self.start_cpu_s = since_s, time.process_time() - self.began_cpu_s
        if now.figures.receipts >= self.terminals and not now.figures.waiting and self.start_s:
            self.round_s = since_s
            self.mib = weight_mib()
            self.over.set()


async def fleet(folder: Path, terminals: int, port: int) -> tuple[Run, Summary]:
    """Play it, as `xunlou sim` would."""
    config = app.SimConfig(
        fleet_file=town(folder, terminals), mqtt_port=port, seed=1, phones_port=free_port(),
        twilio=app.TwilioSettings("AC1", "secret", "+8610000000000", "http://127.0.0.1:9"),
        duration_s=WITHIN_S, tell_every_s=LOOK_S,
    )  # fmt: skip
    clock = ScaledClock(time.time(), MARCH_14_0510)
    run = Run(terminals)
    result = await app.run(config, run.over, clock=clock, progress=run.look)
    assert run.over.is_set(), f"not within {WITHIN_S:g} s: {result.summary.figures}"
    return run, result.summary


async def measured(terminals: int, port: int) -> None:
    """One line."""
    with tempfile.TemporaryDirectory() as folder:
        one, _ = await fleet(Path(folder), 1, port)
        run, summary = await fleet(Path(folder), terminals, port)
    said = {
        "terminals": terminals, "start_s": run.start_s, "start_cpu_s": run.start_cpu_s,
        "mib_one": one.mib, "mib_all": run.mib,
        "mib_peak": weight_mib("VmHWM"),
        "round_s": run.round_s, **asdict(summary.figures),
    }  # fmt: skip
    print(json.dumps(said), flush=True)  # noqa: T201 (its one output)


if __name__ == "__main__":
    asyncio.run(measured(*map(int, sys.argv[1:])))
