"""Check-ins a second through broker, gateway and server, until each has its receipt.

The ceiling is the bare floor: one MQTT client writes batches into SQLite (WAL, synchronous FULL)
and acks by hand; no checks, no deadlines, no receipts, no server.

    python -m tests.bench.ingest
"""

import asyncio
import contextlib
import sqlite3
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho

from tests.bench.kit import House, a_house, emit
from xunlou.broker_files import GATEWAY_USER

MESSAGES = 12_000
SENDERS = 8
WITHIN_S = 120.0
BATCH = 500


def flood(house: House, kind: str, boot: int) -> float:
    """Publish MESSAGES events as fast as the broker takes them; returns when it began."""
    each = MESSAGES // SENDERS
    clients = [(t, house.client(t)) for t in house.terminals[:SENDERS]]
    began = time.perf_counter()

    def send(terminal: str, client: paho.Client) -> None:
        for seq in range(each):
            payload = b'{"boot":%d,"seq":%d,"bat":90,"mains":true}' % (boot, seq)
            client.publish(f"xunlou/v1/t/{terminal}/evt/{kind}", payload, qos=1)

    threads = [threading.Thread(target=send, args=pair) for pair in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    house.senders = [client for _, client in clients]
    return began


def close(house: House) -> None:
    """Disconnect the senders of a flood."""
    for client in house.senders:
        client.loop_stop()
        client.disconnect()


def product(house: House) -> float:
    """Events a second, from the first publish until the last is stored with its receipt due."""
    began = flood(house, "checkin", 1)
    path = house.place.directory / "xunlou.db"
    end = time.perf_counter() + WITHIN_S
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        while True:
            (stored,) = reader.execute("select count(*) from signal").fetchone()
            if stored >= MESSAGES:
                break
            if time.perf_counter() > end:
                raise TimeoutError(f"only {stored} of {MESSAGES} stored in {WITHIN_S} s")
            time.sleep(0.02)
    took_s = time.perf_counter() - began
    close(house)
    return MESSAGES / took_s


def floor(house: House, folder: Path) -> float:
    """Events a second of the bare floor, on the same broker."""
    waiting: list[tuple[int, int, bytes]] = []
    done = threading.Event()
    lock = threading.Condition()
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2, client_id="bench-floor", manual_ack=True
    )
    client.username_pw_set(GATEWAY_USER, house.place.keys.mqtt_gateway_password)
    client.max_inflight_messages_set(1000)

    def heard(_c: object, _u: object, message: paho.MQTTMessage) -> None:
        with lock:
            waiting.append((message.mid, message.qos, message.payload))
            lock.notify()

    def write() -> None:
        db = sqlite3.connect(folder / "floor.db", isolation_level=None)
        db.execute("pragma journal_mode=WAL")
        db.execute("pragma synchronous=FULL")
        db.execute("create table e (payload blob)")
        total = 0
        while total < MESSAGES:
            with lock:
                lock.wait_for(lambda: waiting, 10)
                batch, waiting[:] = waiting[:BATCH], waiting[BATCH:]
            db.execute("begin immediate")
            db.executemany("insert into e values (?)", [(p,) for _, _, p in batch])
            db.execute("commit")
            for mid, qos, _ in batch:
                client.ack(mid, qos)
            total += len(batch)
        done.set()

    client.on_message = heard
    client.connect("127.0.0.1", house.place.mqtt_port)
    client.subscribe("xunlou/v1/t/+/evt/mains_restored", qos=1)
    client.loop_start()
    writer = threading.Thread(target=write)
    writer.start()
    began = flood(house, "mains_restored", 2)
    if not done.wait(WITHIN_S):
        raise TimeoutError("the floor did not finish")
    took_s = time.perf_counter() - began
    client.loop_stop()
    close(house)
    return MESSAGES / took_s


async def main() -> None:
    """One line: events a second of product and floor, and the ratio."""
    async with a_house() as house:
        ours = await asyncio.to_thread(product, house)
    async with a_house(broker_only=True) as house:
        bare = await asyncio.to_thread(floor, house, house.place.directory)
    emit(bench="ingest_per_s", messages=MESSAGES, per_s=ours, floor_per_s=bare, ratio=ours / bare)


if __name__ == "__main__":
    asyncio.run(main())
