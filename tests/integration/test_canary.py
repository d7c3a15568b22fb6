"""The canary on real parts: Mosquitto, the gateway, the server. What stops a press stops it, and
the part that fails is named; what was queued is in before anybody is judged."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from gateway_kit import (
    BROKER_USERS,
    ServerDouble,
    Terminal,
    gateway_running,
    make_settings,
)
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import select
from town import GATEWAY_TOKEN, Town, a_town

from gateway.contract import canary_command_topic, canary_topic
from server import tables as t
from xunlou.broker import Broker
from xunlou.paho_thread import end

EVERY_S = 0.2
PATIENCE_S = 30.0
FRESH_S = 10.0
"""Less than any step of the clock in these tests."""


async def until(true: Callable[[], Any], what: str) -> Any:
    """Wait for what only the other parts know; the waits are for events, not for time."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await true()
            if found:
                return found
            await asyncio.sleep(0.05)
    raise AssertionError(what)


@contextlib.asynccontextmanager
async def watched(town: Town, broker: Broker, *ids: str) -> AsyncIterator[None]:
    """Gateways between this broker and this town's server, with quick canaries."""
    async with contextlib.AsyncExitStack() as stack:
        for gateway_id in ids or ("gw-1",):
            settings = make_settings(
                town.url, broker.port, gateway_token=GATEWAY_TOKEN, gateway_id=gateway_id,
                canary_every_s=EVERY_S,
            )  # fmt: skip
            await stack.enter_async_context(gateway_running(settings))
        yield


async def seen(town: Town) -> dict[str, Any]:
    """What staff are shown of our sight."""
    answer = await town.api.get("/api/v1/sight")
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


async def round_trip(town: Town, gateway: int = 0) -> bool:
    """Whether a canary has been all the way there and back."""
    gateways = (await seen(town))["gateways"]
    return len(gateways) > gateway and gateways[gateway]["canary_rtt_ms"] is not None


async def fresh(town: Town) -> bool:
    """Whether a canary that was sent since the clock was moved came on both lanes."""
    return bool((await seen(town))["canary_age_s"] < FRESH_S)


async def test_the_whole_chain_is_walked_and_nobody_is_alarmed(
    broker: Broker, tmp_path: Path
) -> None:
    """Canaries of two gateways go through broker, lanes, server and back. The server knows their
    age and round trip; there is no alert, no signal, no resident and no terminal of theirs."""
    async with a_town(tmp_path) as town, watched(town, broker, "gw-1", "gw-2"):
        residents = len((await town.api.get("/api/v1/residents")).json()["residents"])
        for i in (0, 1):
            await until(lambda i=i: round_trip(town, i), "both canaries come back")  # type: ignore[misc]
        for gateway in (await seen(town))["gateways"]:
            assert gateway["ails"] is None
            assert gateway["canary_every_s"] == EVERY_S
            assert 0 <= gateway["canary_rtt_ms"] < PATIENCE_S * 1000
        await town.ring()
        assert await town.alerts() == []
        assert (await town.api.get("/api/v1/residents")).json()["residents"].__len__() == residents
        stored = await town.sql(lambda c: c.execute(select(t.table(t.Signal))).all())
        assert stored == []
        ids = select(t.table(t.Terminal).c.id)
        names = await town.sql(lambda c: c.execute(ids).scalars().all())
        assert not [n for n in names if "canary" in n or n.startswith("gw")]
        kinds = {e["kind"] for e in await town.journal()}
        assert kinds <= {"gateway_heard", "round_opened", "round_prompted", "quarantined"}


async def test_a_dead_broker_is_our_blindness_not_the_residents_silence(
    broker: Broker, tmp_path: Path
) -> None:
    """The broker dies while the gateway goes on talking to the server. After the limit we are
    blind, the broker is named, nobody is judged; when it is back a fresh canary ends it."""
    async with a_town(tmp_path) as town, watched(town, broker):
        await until(lambda: round_trip(town), "the chain works")
        await broker.stop()
        # The gateway is heard all the while. A canary that it had already may reach the server
        # after the first step, and is so much younger than the other lane's.
        for _ in range(6):
            town.hand.at_s += 20
            await town.gateway_lives()
        await town.ring()
        assert await town.faults() == ["blind"]
        now = await seen(town)
        assert (now["blind_part"], now["gateways"][0]["ails"]) == ("broker", "broker")
        assert now["canary_age_s"] > 60
        since = now["blind_since"]
        again = Broker(broker.data_dir, broker.port, BROKER_USERS)
        await again.start()
        try:
            await until(lambda: fresh(town), "a canary after the outage")
            await town.ring()
            assert await town.faults() == []
            assert (await seen(town))["blind_since"] is None
            (outage,) = (await seen(town))["blind"]
            assert (outage["from_ms"], outage["parts"]) == (since, ["broker"])
            assert outage["drained_ms"] is None, "the queue may still be coming in"
            town.hand.at_s += 16
            await until(lambda: fresh(town), "canaries go on")
            await town.ring()
            (outage,) = (await seen(town))["blind"]
            assert outage["drained_ms"] is not None
        finally:
            await again.stop()


async def test_receipts_that_do_not_return_are_named(broker: Broker, tmp_path: Path) -> None:
    """Presses arrive but answers do not get back: residents are judged as ever, staff are told
    which part fails, and it closes itself."""
    async with a_town(tmp_path) as town:
        body = {"gateway": "gw-1", "canary_every_s": 20.0}
        canaries = [{"lane": lane, "age_ms": 5} for lane in ("sos", "bulk")]

        async def post(**more: Any) -> None:
            both = [{**c, **more} for c in canaries]
            (await town.gateway.post("/api/v1/signals", json={**body, "canaries": both})
             ).raise_for_status()

        await post(returned_age_ms=1000, rtt_ms=40)
        for _ in range(5):
            town.hand.at_s += 20
            await post()
        await town.ring()
        (fault,) = await town.alerts(kind="fault", state="unresolved")
        assert (fault["fault"], fault["detail"]) == ("canary_lost", "receipts")
        assert (await seen(town))["blind_since"] is None
        await post(returned_age_ms=1000, rtt_ms=40)
        await town.ring()
        assert await town.faults() == []


async def test_no_terminal_can_play_the_canary(broker: Broker) -> None:
    """A terminal's account can neither send a canary nor hear one: the broker lets it near no
    topic of theirs."""
    double = ServerDouble()
    settings = make_settings(double.url, broker.port, canary_every_s=EVERY_S)
    heard: list[str] = []
    spy = paho.Client(CallbackAPIVersion.VERSION2, client_id="gd-11-301-spy")
    spy.username_pw_set("gd-11-301", BROKER_USERS["gd-11-301"])
    spy.on_message = lambda _c, _u, message: heard.append(message.topic)
    async with (
        double.serving(),
        gateway_running(settings) as counters,
        Terminal("gd-11-301", broker.port) as terminal,
    ):
        await asyncio.to_thread(spy.connect, "127.0.0.1", broker.port)
        spy.loop_start()
        spy.subscribe([("xunlou/v1/canary/#", 1), ("#", 1)])
        try:
            forged = b'{"boot":1,"seq":1,"at_ms":1}'
            await terminal.send(canary_topic("gw-1", "sos"), forged)
            await terminal.send(canary_topic("gw-1", "lark"), forged)
            await double.until(lambda: counters.canaries_back >= 4, "canaries come and go")
        finally:
            end(spy)
    assert double.rejects == []
    assert not [topic for topic in heard if "canary" in topic]


async def test_a_canary_of_an_earlier_life_proves_nothing(broker: Broker) -> None:
    """What an earlier process left in the broker is acknowledged and told to nobody: its instants
    mean nothing now. A broken one goes to the quarantine like any message."""
    double = ServerDouble()
    settings = make_settings(double.url, broker.port, canary_every_s=EVERY_S)
    async with (
        double.serving(),
        gateway_running(settings) as counters,
        Terminal("canary-old", broker.port, user="gateway") as old,
    ):
        await double.until(lambda: counters.canaries_back >= 1, "the chain works")
        await old.send(canary_topic("gw-1", "sos"), b'{"boot":1,"seq":1,"at_ms":1}')
        before = counters.canaries_back
        await double.until(lambda: counters.canaries_back >= before + 4, "it goes on")
    assert double.rejects == []
    assert {c["lane"] for c in double.canaries} == {"sos", "bulk"}
    assert all(c["age_ms"] < PATIENCE_S * 1000 for c in double.canaries)
    assert canary_command_topic("gw-1") == "xunlou/v1/canary/gw-1/cmd"


async def test_check_ins_queued_through_the_outage_are_drained_before_the_judgement(
    broker: Broker, tmp_path: Path
) -> None:
    """The gateway is away over a round's deadline while residents check in at the broker. When it
    is back, those check-ins are in before anybody is judged: only who was silent is missed."""
    from test_server_rounds import DUE, JUDGED, NIGHT, OPENS, SILENT, check_in, labels

    async with a_town(tmp_path, NIGHT) as town:
        async with watched(town, broker):
            await until(lambda: round_trip(town), "the chain works")
        await town.watch_until(OPENS)
        await check_in(town, "301", *SILENT)
        async with Terminal("gd-11-301", broker.port) as terminal:
            at_ms = int(DUE.timestamp() * 1000) - 60_000
            await terminal.press(1, "checkin", boot=1, ts=at_ms, ts_ok=True, buffered=True)
        late_s = (JUDGED - OPENS).total_seconds() + 60
        await town.pass_unheard(late_s)
        assert await town.faults() == ["blind"]
        assert await town.alerts(kind="missed") == []
        async with watched(town, broker):
            await until(lambda: fresh(town), "a canary after the outage, on both lanes")
            await town.ring()
            assert await town.alerts(kind="missed") == []
            town.hand.at_s += 16
            await until(lambda: fresh(town), "canaries go on")
            await town.ring()
        (worklist,) = await town.alerts(kind="missed")
        assert labels(worklist) == list(SILENT), "301 checked in, in time, while we were blind"
