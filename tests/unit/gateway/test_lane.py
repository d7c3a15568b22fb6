"""A lane between a broker connection and a server that both do as the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from gateway.batch import Entry
from gateway.counters import Counters
from gateway.delivery import Received
from gateway.lane import MOST_BACKLOG, Lane
from gateway.mqtt import MqttLink
from gateway.state import Health
from gateway.upstream import Answer, Answered, ServerClient, Unavailable

T = "gd-11-301"


class Link:
    """Writes down, in order, what a lane asks of its connection."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.generation = 1
        self.backlog = 0
        self.subscribed = asyncio.Event()

    def ack(self, message: Received) -> bool:
        fits = message.generation == self.generation
        self.said.append(f"ack {message.mid}" if fits else f"late {message.mid}")
        return fits

    def publish(self, _topic: str, payload: bytes) -> None:
        self.said.append(f"receipt {json.loads(payload)['ref']['seq']}")

    def pause(self) -> bool:
        self.said.append("pause")
        return True

    def resume(self) -> None:
        self.said.append("resume")


class Server:
    """Answers each POST when and as the test says."""

    def __init__(self) -> None:
        self.posts: list[list[dict[str, Any]]] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.asked = asyncio.Event()
        self.bug = False
        self.ill = False
        self.under_way = 0

    async def post_signals(self, entries: Sequence[Entry]) -> Answer:
        self.asked.set()
        self.under_way += 1
        try:
            await self.answering.wait()
        finally:
            self.under_way -= 1
        if self.bug:
            self.bug = False
            raise RuntimeError("a bug of ours")
        if self.ill:
            return Unavailable("ill")
        self.posts.append([entry.body for entry in entries])
        return Answered(tuple("stored" for entry in entries if entry.kind == "signals"))


class Rig:
    """A running lane and its two neighbours."""

    def __init__(self, name: str = "bulk", **more: Any) -> None:
        self.link, self.server, self.counters = Link(), Server(), Counters()
        health = Health(lambda: None, lambda: 0.0)
        values = {
            "concurrency": 1, "batch_max": 500, "batch_wait_s": 0.0, "backoff_max_s": 0.01,
            "auth_retry_s": 0.01, "hold_max": 100,
        }  # fmt: skip
        server = cast(ServerClient, self.server)
        self.lane = Lane(name, server, health, self.counters, **(values | more))
        self.lane.attach(cast(MqttLink, self.link))

    def event(self, seq: int, *, generation: int = 1, mid: int | None = None) -> None:
        body = json.dumps({"boot": 1, "seq": seq}).encode()
        number = seq if mid is None else mid
        topic = f"xunlou/v1/t/{T}/evt/checkin"
        self.lane.offer(Received(topic, body, False, 1, number, generation))

    def status(self, s: str, *, mid: int) -> None:
        payload = json.dumps({"s": s, "boot": 1, "n": mid}).encode()
        self.lane.offer(Received(f"xunlou/v1/t/{T}/status", payload, False, 1, mid, 1))

    def beat(self, t: str, bat: int) -> None:
        body = json.dumps({"bat": bat}).encode()
        self.lane.offer(Received(f"xunlou/v1/t/{t}/hb", body, False, 0, 0, 1))

    async def settled(self) -> None:
        async with asyncio.timeout(5):
            while self.lane.holding or self.lane._heartbeats:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def rig(name: str = "bulk", **more: Any) -> AsyncIterator[Rig]:
    """Run a lane for the length of the block and stop it cleanly."""
    made = Rig(name, **more)
    task = asyncio.create_task(made.lane.run())
    try:
        yield made
    finally:
        made.lane.stop()
        made.server.answering.set()
        async with asyncio.timeout(5):
            await task


async def test_receipts_of_a_batch_go_out_before_any_of_its_acks() -> None:
    """An ack never overtakes a receipt, across a whole batch."""
    async with rig() as r:
        for seq in (1, 2):
            r.event(seq)
        await r.settled()
        assert r.link.said == ["receipt 1", "receipt 2", "ack 1", "ack 2"]


async def test_only_the_newest_heartbeat_of_each_terminal_is_sent() -> None:
    """A long outage doesn't pile up heartbeats; events are never merged."""
    async with rig() as r:
        r.server.answering.clear()
        r.event(1)
        await r.server.asked.wait()
        for bat in (90, 80, 70):
            r.beat("a", bat)
        r.beat("b", 60)
        r.event(2)
        r.event(2, mid=3)
        r.server.answering.set()
        await r.settled()
        sent = [body for post in r.server.posts for body in post]
        assert [body["bat"] for body in sent if "bat" in body] == [70, 60]
        assert [body["seq"] for body in sent if "seq" in body] == [1, 2, 2]
        assert r.counters.coalesced == 2


async def test_a_lane_at_its_bound_stops_reading_and_reads_on_at_half() -> None:
    """The bound is on what is un-acked, also what a POST has under way."""
    async with rig(hold_max=4) as r:
        r.server.answering.clear()
        for seq in range(4):
            r.event(seq)
        assert r.link.said == ["pause"]
        r.server.answering.set()
        await r.settled()
        assert r.link.said[-1] == "resume"


async def test_a_redelivered_message_takes_the_place_of_its_first_copy() -> None:
    """The line broke during the POST: one entry, and the ack names the new packet id."""
    async with rig() as r:
        r.server.answering.clear()
        r.event(1, mid=7)
        await r.server.asked.wait()
        r.lane.link_down()
        r.link.generation = 2
        r.event(1, generation=2, mid=9)
        assert r.lane.holding == 1
        r.server.answering.set()
        await r.settled()
        assert r.link.said == ["receipt 1", "ack 9"]
        assert len(r.server.posts) == 1


async def test_an_answer_after_the_line_broke_acks_nothing_of_the_new_line() -> None:
    """Packet ids are used again; a late answer must not ack a stranger."""
    async with rig() as r:
        r.server.answering.clear()
        r.event(1, mid=7)
        await r.server.asked.wait()
        r.lane.link_down()
        r.link.generation = 2
        r.server.answering.set()
        await r.settled()
        assert r.link.said == ["receipt 1", "late 7"]
        r.event(1, generation=2, mid=9)
        await r.settled()
        assert r.link.said[-2:] == ["receipt 1", "ack 9"], "redelivered, asked again, acked"


async def test_a_bug_while_sending_costs_a_pause_and_no_message() -> None:
    """The batch goes back to the head of the queue and is sent in order."""
    async with rig() as r:
        r.server.bug = True
        for seq in (1, 2):
            r.event(seq)
        await r.settled()
        assert r.link.said == ["receipt 1", "receipt 2", "ack 1", "ack 2"]


async def test_a_stopped_lane_acks_nothing_it_has_no_answer_for() -> None:
    """The server is ill and the gateway stops: every message stays the broker's."""
    async with rig() as r:
        r.server.ill = True
        r.event(1)
        await r.server.asked.wait()
    assert r.link.said == []
    assert r.lane.holding == 1


async def test_a_batch_never_exceeds_its_bound() -> None:
    """1,200 entries leave in parts of at most 500, in order."""
    async with rig(hold_max=5000) as r:
        for seq in range(1200):
            r.event(seq)
        await r.settled()
        assert max(len(post) for post in r.server.posts) == 500
        assert [body["seq"] for post in r.server.posts for body in post] == list(range(1200))


async def test_a_flood_waits_for_the_way_to_the_terminals_to_clear() -> None:
    """While the broker has thousands of receipts unconfirmed the bulk lane begins no further batch,
    or the outgoing queue would drop receipts; it goes on as soon as there is room."""
    async with rig() as r:
        r.link.subscribed.set()
        r.event(1)
        await r.settled()  # the worker now waits for its next batch
        r.link.backlog = MOST_BACKLOG + 1
        r.event(2)
        await r.settled()
        r.event(3)
        await asyncio.sleep(0.05)  # nothing can be waited for: the claim is that nothing comes
        assert "receipt 3" not in r.link.said
        assert r.lane.holding == 1
        r.link.backlog = MOST_BACKLOG
        await r.settled()
        assert r.link.said[-2:] == ["receipt 3", "ack 3"]


async def test_a_lane_that_waits_for_room_goes_on_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker's confirmations come in behind messages, and Mosquitto sends many more of these
    than the receive maximum allows: a lane that stopped reading before it has them all would never
    hear that there is room again. In a flood it then moved one batch in two seconds."""
    monkeypatch.setattr("gateway.lane.MOST_UNACKED", 9)
    async with rig(hold_max=2) as r:
        r.link.subscribed.set()
        r.link.backlog = MOST_BACKLOG + 1
        r.event(1)
        await r.settled()
        await asyncio.sleep(0.01)  # the worker now waits for room
        for seq in range(2, 10):
            r.event(seq)
        assert r.lane.holding == 8
        assert "pause" not in r.link.said
        r.event(10)  # as many as MQTT has packet ids: memory ends somewhere
        assert r.link.said.count("pause") == 1
        r.link.backlog = 0
        await r.settled()


async def test_the_next_batch_is_asked_while_the_last_is_settled() -> None:
    """The server does not wait until the receipts of a batch are written."""
    async with rig(batch_max=200, hold_max=1000) as r:
        r.server.answering.clear()
        for seq in range(1, 401):
            r.event(seq)
        await asyncio.sleep(0.01)
        assert r.server.under_way == 1, "one turn, one question"
        r.server.answering.set()
        while len(r.server.posts) < 2:
            await asyncio.sleep(0)
        assert len([s for s in r.link.said if s.startswith("ack")]) < 200
        await r.settled()
        asked = [body["seq"] for post in r.server.posts for body in post]
        assert asked == list(range(1, 401))
        assert len(r.link.said) == 800, "a receipt and an ack each"


async def test_words_whose_order_counts_are_never_under_way_together() -> None:
    """With two turns, signs of life are told two batches at a time; a batch with `lost`, and the
    one with `online` behind it, one after the other."""
    async with rig(batch_max=2, hold_max=1000, concurrency=2) as r:
        r.server.answering.clear()
        for seq in range(1, 5):
            r.event(seq)
        await asyncio.sleep(0.01)
        assert r.server.under_way == 2
        r.server.answering.set()
        await r.settled()
        r.server.answering.clear()
        for n, s in enumerate(("lost", "online", "lost", "online"), 5):
            r.status(s, mid=n)
        await asyncio.sleep(0.01)
        assert r.server.under_way == 1
        r.server.answering.set()
        await r.settled()
        said = [body["s"] for post in r.server.posts for body in post if "s" in body]
        assert said == ["lost", "online", "lost", "online"]


async def test_a_press_never_waits_for_receipts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SOS lane hands its presses to the server whatever becomes of the receipts."""
    monkeypatch.setattr("gateway.lane.ROOM_WITHIN_S", 60.0)
    async with rig("sos") as r:
        r.link.subscribed.set()
        r.link.backlog = 10 * MOST_BACKLOG
        for seq in (1, 2):
            r.event(seq)
            await r.settled()
        assert r.counters.pauses == 0
        assert r.link.said == ["receipt 1", "ack 1", "receipt 2", "ack 2"]


async def test_a_broker_that_confirms_nothing_keeps_nobody_from_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a while the next batch goes to the server all the same: a terminal asks for a lost
    receipt again, a lost check-in would send somebody to a door for nothing."""
    monkeypatch.setattr("gateway.lane.ROOM_WITHIN_S", 0.02)
    async with rig() as r:
        r.link.subscribed.set()
        r.link.backlog = MOST_BACKLOG + 1
        for seq in (1, 2, 3):
            r.event(seq)
            await r.settled()
        assert r.link.said[-1] == "ack 3"
