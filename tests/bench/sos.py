"""From press to the HTTP request at the SMS provider, nothing else going on.

The ceiling is the bare way: broker → one MQTT client → HTTP request, nothing stored, no rules.

    python -m tests.bench.sos
"""

import asyncio
import json
import time
import urllib.request

import paho.mqtt.client as paho

from tests.bench.kit import House, a_house, emit, percentile
from xunlou.broker_files import GATEWAY_USER

PRESSES = 150
WARM_UP = 10
WITHIN_S = 10.0


async def product(house: House) -> list[float]:
    """Milliseconds from each press to its first SMS at the provider."""
    took = []
    pressers = [house.client(t) for t in house.terminals[: PRESSES + WARM_UP]]
    try:
        for index, (terminal, client) in enumerate(
            zip(house.terminals, pressers, strict=False)
        ):
            before = house.sink.count
            payload = json.dumps({"boot": 1, "seq": index}).encode()
            began = time.perf_counter()
            client.publish(f"xunlou/v1/t/{terminal}/evt/sos", payload, qos=1)
            await house.sink.until(before + 1, WITHIN_S)
            first = min(t for times in house.sink.arrived.values() for t in times if t > began)
            await house.sink.until(before + 2, WITHIN_S)  # the second steward's
            if index >= WARM_UP:
                took.append((first - began) * 1000)
            await asyncio.sleep(0.02)  # let records be written: this is the idle case
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
    for index in range(PRESSES // 3):
        before = house.sink.count
        began = time.perf_counter()
        presser.publish(f"xunlou/v1/t/{terminal}/evt/test", b'{"boot":9,"seq":%d}' % index, qos=1)
        await house.sink.until(before + 1, WITHIN_S)
        took.append((house.sink.arrived["floor"][-1] - began) * 1000)
    for client in (listener, presser):
        client.loop_stop()
        client.disconnect()
    return took


async def main() -> None:
    """One line: p50 and p99 of product and floor."""
    async with a_house() as house:
        ours = await product(house)
        bare = await floor(house, house.place.sms["TWILIO_API_BASE_URL"])
    emit(
        bench="sos_idle_ms",
        presses=len(ours),
        p50=percentile(ours, 0.5),
        p99=percentile(ours, 0.99),
        floor_p50=percentile(bare, 0.5),
        floor_p99=percentile(bare, 0.99),
        ratio_p50=percentile(ours, 0.5) / percentile(bare, 0.5),
    )


if __name__ == "__main__":
    asyncio.run(main())
