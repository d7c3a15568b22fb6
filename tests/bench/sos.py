"""From press to the HTTP request at the SMS provider: idle, while 2,500 check-ins a second flow,
and in a flood at full speed.

The ceiling is the bare way: broker → one MQTT client → HTTP request, nothing stored, no rules.

    python -m tests.bench.sos [presses a round]
    python -m tests.bench.sos --stations    # where the time goes, station by station
"""

import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import paho.mqtt.client as paho

from tests.bench import stations
from tests.bench.kit import House, Load, a_house, cpu_s, emit, percentile
from xunlou import embedded
from xunlou.broker_files import GATEWAY_USER

PRESSES = 60
WARM_UP = 10
ROUNDS = 3
WITHIN_S = 20.0
FLOW_PER_S = 2_500
CROWD = 100
"""Terminals of the load; the pressers are others."""


async def press(
    house: House, first: int, count: int, pause_s: float = 0.02,
    when: list[tuple[float, float]] | None = None,
) -> list[float]:  # fmt: skip
    """Milliseconds from each press to its first SMS at the provider, for `count` residents from
    the `first` on: each presses once, so each press opens an alert. `when`: gets from when to when
    each was under way."""
    took = []
    terminals = house.terminals[CROWD + first : CROWD + first + count]
    assert len(terminals) == count, "not enough residents for so many presses"
    pressers = [house.client(t) for t in terminals]
    try:
        for index, (terminal, client) in enumerate(zip(terminals, pressers, strict=True)):
            before = house.sink.count
            payload = json.dumps({"boot": 1, "seq": index}).encode()
            began = time.perf_counter()
            client.publish(f"xunlou/v1/t/{terminal}/evt/sos", payload, qos=1)
            await house.sink.until(before + 1, WITHIN_S)
            first_at = min(t for times in house.sink.arrived.values() for t in times if t > began)
            await house.sink.until(before + 2, WITHIN_S)  # the second steward's
            took.append((first_at - began) * 1000)
            if when is not None:
                when.append((began, first_at))
            await asyncio.sleep(pause_s)  # let records be written
    finally:
        for client in pressers:
            client.loop_stop()
            client.disconnect()
    return took


async def floor(house: House, url: str) -> list[float]:
    """The same way without us: a subscriber posts what it hears, one thread, no store."""
    listener = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="floor")
    listener.username_pw_set(GATEWAY_USER, house.place.keys.mqtt_gateway_password)

    def post(_c: object, _u: object, message: paho.MQTTMessage) -> None:
        form = b"Body=floor"
        request = urllib.request.Request(f"{url}/floor", form, method="POST")
        urllib.request.urlopen(request, timeout=5).read()

    listener.on_message = post
    listener.connect("127.0.0.1", house.place.mqtt_port)
    listener.subscribe("xunlou/v1/t/+/evt/test", qos=1)
    listener.loop_start()
    terminal = house.terminals[-1]
    presser = house.client(terminal)
    took = []
    for index in range(50):
        before = house.sink.count
        began = time.perf_counter()
        presser.publish(f"xunlou/v1/t/{terminal}/evt/test", b'{"boot":9,"seq":%d}' % index, qos=1)
        await house.sink.until(before + 1, WITHIN_S)
        took.append((house.sink.arrived["floor"][-1] - began) * 1000)
    for client in (listener, presser):
        client.loop_stop()
        client.disconnect()
    return took


def say(bench: str, took: list[float], **more: object) -> None:
    """One line of p50 and p99."""
    emit(bench=bench, presses=len(took), p50=percentile(took, 0.5), p99=percentile(took, 0.99),
         worst=max(took), **more)  # fmt: skip


async def where(house: House, file: Path, first: int, presses: int) -> None:
    """Says when idle presses and those of a flow and a flood came to each station."""
    await press(house, first, WARM_UP)
    at = first + WARM_UP
    for name, per_s, each in (("idle", 0, 0), ("flow", FLOW_PER_S, 400), ("flood", 0, 400)):
        when: list[tuple[float, float]] = []
        load = each and await Load.start(
            house, kind="checkin", boot=2 + (not per_s), each=each, per_s=per_s,
            terminals=house.terminals[:CROWD],
        )  # fmt: skip
        ended = asyncio.create_task(load.ended()) if load else None
        while len(when) < presses and not (ended and ended.done()):
            await press(house, at, 10, 0.05, when)
            at += 10
        if ended:
            await ended
        found = stations.between(file, when)
        for part in (0.5, 0.9):
            emit(bench=f"sos_{name}_stations_ms", part=part, presses=len(when),
                 **{s: percentile(took, part) for s, took in found.items()})  # fmt: skip


async def main(presses: int = PRESSES) -> None:
    """One line for each case."""
    if "--stations" in sys.argv:
        with tempfile.TemporaryDirectory(prefix="xunlou-bench-") as folder:
            file = Path(folder) / "stations"
            os.environ[stations.FILE] = str(file)
            embedded.command = lambda *words: [sys.executable, "-m", stations.__name__, *words]
            async with a_house() as house:
                await where(house, file, 0, 50)
        return
    async with a_house() as house:
        url = house.place.sms["TWILIO_API_BASE_URL"]
        await press(house, 0, WARM_UP)
        at, rounds, firsts = WARM_UP, [], []
        before = cpu_s()
        for _ in range(ROUNDS):
            # While so many connect, the house has rested for a second: the first press is a case of
            # its own (docs/performance.md).
            first, *others = await press(house, at, presses + 1)
            firsts.append(first)
            rounds.append(others)
            at += presses + 1
        used = {n: (s - before[n]) / (at - WARM_UP) * 1000 for n, s in cpu_s().items()}
        bare_first, *bares = await floor(house, url)
        best = min(rounds, key=lambda took: percentile(took, 0.99))
        say("sos_idle_ms", best, rounds_p50=[percentile(r, 0.5) for r in rounds],
            rounds_p99=[percentile(r, 0.99) for r in rounds], after_a_rest=firsts,
            floor_p50=percentile(bares, 0.5), floor_p99=percentile(bares, 0.99),
            floor_after_a_rest=bare_first,
            ratio_p50=percentile(best, 0.5) / percentile(bares, 0.5), cpu_ms=used)  # fmt: skip
        crowd = house.terminals[:CROWD]
        for name, per_s, each in (("flow", FLOW_PER_S, 400), ("flood", 0, 400)):
            load = await Load.start(
                house, kind="checkin", boot=2 + (not per_s), each=each, terminals=crowd,
                per_s=per_s,
            )  # fmt: skip
            took: list[float] = []
            ended = asyncio.create_task(load.ended())
            while not ended.done() and len(took) < 50:
                took += await press(house, at, 10, 0.05)
                at += 10
            # Only presses made while the load still flowed would say anything.
            under_load = not ended.done()
            saw = await ended
            say(f"sos_{name}_ms", took, load_per_s=saw["total"] / (saw["ended"] - saw["began"]),
                load_lasted=under_load)  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main(*(int(word) for word in sys.argv[1:] if word.isdigit())))
