"""A town's terminals on one broker: 10,000 connected, what they weigh in memory, and how long it
takes until 5,000 that were cut off are all back.

The ceiling for the memory is what the same processes weigh with nobody connected.

    python -m tests.bench.fleet [terminals, 10000 by default [tls: by the door for outside]]
"""

import asyncio
import sys
import time
from pathlib import Path

from tests.bench.kit import Load, a_house, children, emit

TERMINALS = 10_000
STORM = 5_000
NAMES = ("serve", "gateway", "mosquitto")
WITHIN_S = 120.0


def memory_mib() -> dict[str, float]:
    """Resident memory by process, MiB."""
    found = dict.fromkeys(NAMES, 0.0)
    for pid, words in children():
        name = next((n for n in NAMES if n in words[-1] or n in Path(words[0]).name), None)
        if name is not None:
            status = Path(f"/proc/{pid}/status").read_text()
            line = next(x for x in status.splitlines() if x.startswith("VmRSS"))
            found[name] += int(line.split()[1]) / 1024
    return found


async def main(terminals: int = TERMINALS, door: str = "") -> None:
    """One line: memory with nobody and with all, and the storm."""
    async with a_house(extra_terminals=terminals, tls=door == "tls") as house:
        crowd = [t for t in house.terminals if t.startswith("extra-")]
        before = memory_mib()
        # One check-in each, so that every terminal is known to server and gateway alike.
        load = await Load.start(
            house, kind="checkin", boot=1, each=1, terminals=crowd, per_s=500, within_s=WITHIN_S,
            stay_s=3,
        )  # fmt: skip
        said = await load.ended()  # it stays connected for a while
        after, receipts = memory_mib(), said["receipts"]
        await load.process.wait()
        began = time.perf_counter()
        storm = await Load.start(
            house, kind="checkin", boot=2, each=1, terminals=crowd[: min(STORM, terminals)],
            within_s=WITHIN_S,
        )  # fmt: skip
        back_s = time.perf_counter() - began
        told = (await storm.ended())["ended"] - began
        per_1000 = {n: (after[n] - before[n]) / terminals * 1000 for n in NAMES}
        emit(bench="fleet", terminals=terminals, door=door or "plain", receipts=receipts,
             mib_nobody=before, mib_all=after, mib_per_1000=per_1000,
             mib_per_1000_broker_and_server=per_1000["mosquitto"] + per_1000["serve"],
             storm=min(STORM, terminals), storm_connected_s=back_s,
             storm_receipts_s=told)  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main(int((sys.argv[1:2] or [TERMINALS])[0]), *sys.argv[2:3]))
