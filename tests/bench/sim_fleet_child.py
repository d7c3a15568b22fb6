"""The one process of the fleet's benchmark; `sim_fleet` starts it. Imports only the simulator, so
that what it weighs is the simulator's."""

import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path

from firmware_sim.clock import ScaledClock
from firmware_sim.fleet import Fleet
from firmware_sim.line import Broker
from firmware_sim.manifest import TerminalEntry
from firmware_sim.wire import Kind

CONNECTS_PER_S = 4_000.0
WITHIN_S = 120.0


def weight_mib() -> float:
    """What this process holds now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the system tells no VmRSS")


def fleet_of(count: int, port: int) -> Fleet:
    """So many terminals, not yet switched on."""
    entries = [
        TerminalEntry(f"b-{n:05}", "x", building=1 + n // 30, flat=str(n), floor=1)
        for n in range(count)
    ]
    return Fleet(
        entries, Broker("127.0.0.1", port), ScaledClock(), seed=1, connects_per_s=CONNECTS_PER_S
    )


async def measured(terminals: int, port: int) -> None:
    """One line."""
    one = fleet_of(1, port)
    await one.start()
    await one.until(lambda: one.connected == 1, WITHIN_S)
    alone_mib = weight_mib()
    await one.stop()
    fleet = fleet_of(terminals, port)
    began_s, cpu_s = time.perf_counter(), time.process_time()
    await fleet.start()
    await fleet.until(lambda: fleet.connected == terminals, WITHIN_S)
    start_s, start_cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    began_s = time.perf_counter()
    for number, entry in enumerate(fleet.terminals):
        fleet.press(entry.id, Kind.CHECKIN)
        if number % 200 == 199:
            await asyncio.sleep(0.05)
    await fleet.until(lambda: not any(fleet.waiting()), WITHIN_S)
    round_s = time.perf_counter() - began_s
    figures = fleet.summary().figures
    said = {
        "terminals": terminals, "start_s": start_s, "start_cpu_s": start_cpu_s,
        "mib_one": alone_mib, "mib_all": weight_mib(),
        "mib_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "round_s": round_s, **asdict(figures),
    }  # fmt: skip
    print(json.dumps(said), flush=True)  # noqa: T201 (its one output)
    await fleet.stop()


if __name__ == "__main__":
    asyncio.run(measured(*map(int, sys.argv[1:])))
