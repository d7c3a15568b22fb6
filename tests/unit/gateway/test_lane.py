"""A lane between a broker connection and a server that both do as the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from gateway.batch import Entry
from gateway.counters import Counters
from gateway.delivery import Received
from gateway.lane import Lane
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

    async def post_signals(self, entries: Sequence[Entry]) -> Answer:
        self.asked.set()
        await self.answering.wait()
        if self.bug:
            self.bug = False
            raise RuntimeError("a bug of ours")
        if self.ill:
            return Unavailable("ill")
        self.posts.append([entry.body for entry in entries])
        return Answered(tuple("stored" for entry in entries if entry.kind == "signals"))


class Rig:
    """A running lane and its two neighbours."""

    def __init__(self, **more: Any) -> None:
        self.link, self.server, self.counters = Link(), Server(), Counters()
        health = Health(lambda: None, lambda: 0.0)
        values = {
            "concurrency": 1, "batch_max": 500, "batch_wait_s": 0.0, "backoff_max_s": 0.01,
            "auth_retry_s": 0.01, "hold_max": 100,
        }  # fmt: skip
        server = cast(ServerClient, self.server)
        self.lane = Lane("test", server, health, self.counters, **(values | more))
        self.lane.attach(cast(MqttLink, self.link))

    def event(self, seq: int, *, generation: int = 1, mid: int | None = None) -> None:
        body = json.dumps({"boot": 1, "seq": seq}).encode()
        number = seq if mid is None else mid
        topic = f"xunlou/v1/t/{T}/evt/checkin"
        self.lane.offer(Received(topic, body, False, 1, number, generation))

    def beat(self, t: str, bat: int) -> None:
        body = json.dumps({"bat": bat}).encode()
        self.lane.offer(Received(f"xunlou/v1/t/{t}/hb", body, False, 0, 0, 1))

    async def settled(self) -> None:
        async with asyncio.timeout(5):
            while self.lane.holding or self.lane._heartbeats:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def rig(**more: Any) -> AsyncIterator[Rig]:
    """Run a lane for the length of the block and stop it cleanly."""
    made = Rig(**more)
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
