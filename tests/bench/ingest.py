"""Check-ins a second through broker, gateway and server, until each terminal has its receipt.

The ceiling is the bare floor: one MQTT client writes batches into SQLite (WAL, synchronous FULL)
and acks by hand; no checks, no deadlines, no receipts, no server. Both are driven by the same load
process, and take turns, so that other work on the machine hits both alike.

    python -m tests.bench.ingest [database URL, SQLite in a temporary place by default]
"""

import asyncio
import sqlite3
import sys
import threading
from pathlib import Path

import paho.mqtt.client as paho

from tests.bench.kit import House, Load, a_house, cpu_s, emit
from xunlou.broker_files import GATEWAY_USER

TERMINALS = 200
EACH = 100
MESSAGES = TERMINALS * EACH
ROUNDS = 3
WITHIN_S = 120.0
BATCH = 500


async def product(house: House, boot: int) -> tuple[float, dict[str, float]]:
    """Events a second, from the first publish until the last receipt is in a terminal's hands;
    and microseconds of CPU an event, by process."""
    load = await Load.start(
        house, kind="checkin", boot=boot, each=EACH, terminals=house.terminals[:TERMINALS]
    )
    before = cpu_s()
    saw = await load.ended()
    assert saw["receipts"] >= MESSAGES, f"only {saw['receipts']} of {MESSAGES} receipts came"
    used = {name: (s - before[name]) / MESSAGES * 1e6 for name, s in cpu_s().items()}
    return MESSAGES / (saw["ended"] - saw["began"]), used


class Floor:
    """The bare floor: paho in, SQLite in batches, manual acks out."""

    def __init__(self, house: House, folder: Path) -> None:
        self._file = folder / "floor.db"
        self._waiting: list[tuple[int, int, bytes]] = []
        self._some = threading.Condition()
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id="bench-floor", manual_ack=True
        )
        self._client.username_pw_set(GATEWAY_USER, house.place.keys.mqtt_gateway_password)
        self._client.on_message = self._heard
        self._client.connect("127.0.0.1", house.place.mqtt_port)
        self._client.subscribe("xunlou/v1/t/+/evt/#", qos=1)
        self._client.loop_start()

    def _heard(self, _c: object, _u: object, message: paho.MQTTMessage) -> None:
        with self._some:
            self._waiting.append((message.mid, message.qos, message.payload))
            self._some.notify()

    def write(self, total: int) -> None:
        """Store and ack so many messages. Blocking."""
        db = sqlite3.connect(self._file, isolation_level=None)
        db.execute("pragma journal_mode=WAL")
        db.execute("pragma synchronous=FULL")
        db.execute("create table if not exists e (payload blob)")
        while total > 0:
            with self._some:
                if not self._some.wait_for(lambda: self._waiting, 10):
                    raise TimeoutError("the floor starves")
                batch, self._waiting[:] = self._waiting[:BATCH], self._waiting[BATCH:]
            db.execute("begin immediate")
            db.executemany("insert into e values (?)", [(p,) for _, _, p in batch])
            db.execute("commit")
            for mid, qos, _ in batch:
                self._client.ack(mid, qos)
            total -= len(batch)
        db.close()

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


async def bare(house: House, floor: Floor, boot: int) -> float:
    """Events a second of the bare floor, on a broker of its own."""
    writing = asyncio.create_task(asyncio.to_thread(floor.write, MESSAGES))
    load = await Load.start(
        house, kind="checkin", boot=boot, each=EACH, terminals=house.terminals[:TERMINALS],
        receipts=False,
    )  # fmt: skip
    await writing
    now = asyncio.get_running_loop().time()  # perf_counter's clock, on Linux
    return MESSAGES / (now - (await load.ended())["began"])


async def main(database_url: str = "") -> None:
    """One line: events a second of product and floor, the ratio, and CPU an event."""
    ours, bares = [], []
    async with a_house(database_url=database_url) as house, a_house(broker_only=True) as other:
        floor = Floor(other, other.place.directory)
        for boot in range(1, ROUNDS + 1):
            bares.append(await bare(other, floor, boot))
            ours.append(await product(house, boot))
        floor.close()
    ratios = sorted(our[0] / best for our, best in zip(ours, bares, strict=True))
    emit(
        bench="ingest_per_s",
        database=database_url.split(":", maxsplit=1)[0] or "sqlite",
        messages=MESSAGES,
        rounds=ROUNDS,
        per_s=max(rate for rate, _ in ours),
        floor_per_s=max(bares),
        ratio=ratios[len(ratios) // 2],
        cpu_us=ours[-1][1],
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
