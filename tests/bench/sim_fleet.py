"""The tester's fleet: 10,000 simulated terminals in one process over real MQTT. How long until all
are connected and subscribed, what the process weighs, and what a round of check-ins comes to.

The ceiling for the memory is what the same process weighs with one terminal.

    python -m tests.bench.sim_fleet [terminals, 10000 by default]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from firmware_sim.app import FILES_BESIDE_LINES, allow_files
from tests.bench.kit import emit
from tests.integration.fleet_kit import GatewayDouble, RealBroker

TERMINALS = 10_000


def main(terminals: int = TERMINALS) -> None:
    """A Mosquitto of its own, and a gateway's double that answers each press."""
    allow_files(terminals + FILES_BESIDE_LINES)  # its children may have as many
    with tempfile.TemporaryDirectory() as folder:
        broker = RealBroker(Path(folder))
        broker.start()
        gateway = GatewayDouble(broker.port)
        try:
            child = subprocess.run(
                [sys.executable, "-m", "tests.bench.sim_fleet_child", str(terminals),
                 str(broker.port)],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        finally:
            gateway.close()
            broker.stop()
    emit(bench="sim_fleet", **json.loads(child.stdout))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
