"""What a sender has leased ahead: it leaves once, in time, by whoever can carry it; and a city's
round is stored before it is told."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from server import jobs, migrate, outbox
from server import tables as t
from server.channels.base import Busy, Sent
from server.channels.lines import BACKUP, MAIN, Line, Lines
from server.channels.thread import SendersThread
from server.channels.twilio_account import TIMEOUT_S
from server.clock import Clock
from server.core.failover import DOWN_AFTER
from server.core.words import Channel, Delivery, Template
from server.database import Database, Leased, Tx
from server.outbox import AHEAD, AT_ONCE, Worker
from server.service import sweep
from server.service.effects import ROUND_LANE, SOS_LANE
from server.service.house import House
from server.store import outbox as store
from server.store import people
from tests.town import MARCH_14, Hand
from xunlou.sample import guangdan
from xunlou.seed import load

MESSAGE = t.table(t.Message)
WITHIN_S = 20.0
MORE = 8
"""Messages that wait for others to come back."""


@dataclass(eq=False)
class Provider:
    """The other end of the wire. While it hangs, who sends waits."""

    hangs: bool = False
    refuses: bool = False
    taken: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    async def send(self, phone: str, body: str, reference: int) -> Sent:  # noqa: ARG002
        """Take it, in time or late, or say late that it can't."""
        self.asked.append(body)
        if self.hangs:
            assert await asyncio.to_thread(self.go.wait, WITHIN_S)
        if self.refuses:
            raise Busy("503")
        self.taken.append(body)
        return Sent(f"SM{reference}")

    async def find(self, phone: str, body: str, since: datetime) -> list[Sent]:  # noqa: ARG002
        """Nothing is ever in doubt here."""
        raise AssertionError("looked up, though it was never begun")

    async def alive(self) -> bool:
        """Not while it hangs."""
        return not self.hangs


@dataclass
class Desk:
    """A database with messages in it, and its senders."""

    database: Database
    house: House
    lines: Lines
    person: int
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    running: list[asyncio.Task[None]] = field(default_factory=list)

    def work(self, *lanes: int) -> None:
        """A sender for each of these lanes."""
        for lane in lanes:
            worker = Worker(self.database, self.house, self.lines, [lane])
            self.running.append(asyncio.create_task(worker.run(self.stop)))

    def put(self, tx: Tx, count: int, lane: int = ROUND_LANE) -> None:
        """So many messages, due now, of which nobody is told."""
        for n in range(count):
            store.enqueue(
                tx.conn, person_id=self.person, role="", template=Template.MISSED.value,
                attempt=n, step=lane, lane=lane, phone="+8613", body=f"{lane}.{n}",
                due_at=tx.now, created_at=tx.now,
            )  # fmt: skip

    async def queue(self, count: int, lane: int = ROUND_LANE) -> None:
        """So many messages, due now."""

        def queue(tx: Tx) -> None:
            self.put(tx, count, lane)
            tx.queued(lane)

        await self.database.write(queue)

    async def states(self) -> dict[str, str]:
        """Words → state of each message."""
        query = select(MESSAGE.c.body, MESSAGE.c.state)
        found = await self.database.read(lambda c: c.execute(query).all())
        return {row.body: row.state for row in found}

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that threads do."""
        async with asyncio.timeout(WITHIN_S):
            while not true():
                await asyncio.sleep(0.005)

    async def until_sent(self, count: int) -> None:
        """Wait until so many are recorded as sent."""
        async with asyncio.timeout(WITHIN_S):
            while list((await self.states()).values()).count(Delivery.SENT.value) < count:
                await asyncio.sleep(0.005)

    async def end(self) -> None:
        """As at a shutdown."""
        self.stop.set()
        await asyncio.wait_for(asyncio.gather(*self.running), WITHIN_S)


@asynccontextmanager
async def a_desk(tmp_path: Path, *providers: Provider) -> AsyncIterator[Desk]:
    """The sample community's, with these providers."""
    url = f"sqlite:///{tmp_path}/town.db"
    migrate.upgrade(url)
    database = Database(url, Clock(source=Hand(MARCH_14)))
    community = guangdan(seed=271, buildings=3)
    await database.write(lambda tx: load(tx.conn, community, tx.now))
    phone = community.buildings[0].stewards[0].person.phone
    person = await database.read(lambda c: people.person_by_phone(c, phone)["id"])
    names = (MAIN, BACKUP)
    lines = Lines([Line(n, Channel.SMS, p) for n, p in zip(names, providers, strict=False)])
    desk = Desk(database, House("https://x.example", b"a key of the test"), lines, person)
    try:
        yield desk
    finally:
        for provider in providers:
            provider.go.set()
        await desk.end()
        database.close()


async def test_what_waits_behind_a_provider_that_goes_down_leaves_by_the_other(
    tmp_path: Path,
) -> None:
    """It hangs on as many as it is given, and does not take them in the end. It is not even asked
    for those that waited behind them: all go by the other, each once."""
    slow, well = Provider(hangs=True, refuses=True), Provider()
    async with a_desk(tmp_path, slow, well) as desk:
        await desk.queue(AT_ONCE + MORE)
        desk.work(ROUND_LANE)
        await desk.until(lambda: len(slow.asked) == AT_ONCE)
        line, now = desk.lines.of(Channel.SMS, MAIN), desk.database.clock.now()
        assert line is not None
        for at in (now - DOWN_AFTER, now):
            desk.lines.failed(line, at)
        slow.go.set()
        await desk.until_sent(AT_ONCE + MORE)
        assert len(slow.asked) == AT_ONCE
        assert sorted(well.taken) == sorted(await desk.states())


async def test_what_was_not_begun_in_time_is_leased_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that is nearly over is nobody's to send by: another server may hold the message by
    the time the provider answers. It goes back and is leased again, and leaves once."""
    well = Provider()
    async with a_desk(tmp_path, well) as desk:
        monkeypatch.setattr(outbox, "BEGUN_WITHIN_S", -1.0)
        await desk.queue(MORE)
        desk.work(ROUND_LANE)

        async def tried() -> int:
            query = select(MESSAGE.c.tries).order_by(MESSAGE.c.tries).limit(1)
            return int(await desk.database.read(lambda c: c.execute(query).scalar_one()))

        async with asyncio.timeout(WITHIN_S):
            while await tried() < 3:  # first at once, then by way of the loop
                await asyncio.sleep(0.005)
        assert well.asked == []
        monkeypatch.undo()
        await desk.until_sent(MORE)
        assert len(well.taken) == len(set(well.taken)) == MORE


async def test_a_sender_that_stops_puts_back_what_it_has_not_begun(tmp_path: Path) -> None:
    """What is under way is finished and recorded; the rest is due for whoever comes next, at once
    and without a look-up."""
    slow = Provider(hangs=True)
    async with a_desk(tmp_path, slow) as desk:
        await desk.queue(AT_ONCE + MORE)
        desk.work(ROUND_LANE)
        await desk.until(lambda: len(slow.asked) == AT_ONCE)
        desk.stop.set()
        await desk.until(lambda: not desk.database.senders)
        slow.go.set()
        await desk.end()
        states = list((await desk.states()).values())
        assert len(slow.taken) == states.count(Delivery.SENT.value) == AT_ONCE
        assert states.count(Delivery.QUEUED.value) == MORE
        now = desk.database.clock.now()
        due = await desk.database.read(lambda c: store.next_due(c, [ROUND_LANE]))
        assert due is not None
        assert due <= now


async def test_a_sender_that_stops_waits_for_a_lease_that_comes_to_nothing(tmp_path: Path) -> None:
    """A transaction has leased for it and is undone while it stops: it hears of that, and ends."""
    async with a_desk(tmp_path, Provider()) as desk:
        desk.work(ROUND_LANE)
        await desk.until(lambda: bool(desk.database.senders))
        (sender,) = desk.database.senders

        def leased(tx: Tx) -> Leased:
            desk.put(tx, 1)
            return sender.lease_here(tx)

        lease = await desk.database.write(leased)
        desk.stop.set()
        (running,) = desk.running
        for _ in range(20):  # it has nothing else to wait for by then
            await desk.database.write(lambda _tx: None)
        assert not running.done(), "it left a lease behind"
        await asyncio.to_thread(lease.ended, committed=False)
        await asyncio.wait_for(running, WITHIN_S)


async def test_where_the_system_has_no_thread_the_lane_goes_on_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be begun holds no hand: a whole lane's worth of messages leaves after it."""
    well = Provider()
    async with a_desk(tmp_path, well) as desk:
        refused, plain = threading.Event(), SendersThread.submit

        def none_left(_self: SendersThread, *_: object) -> None:
            refused.set()
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(SendersThread, "submit", none_left)
        await desk.queue(MORE)
        desk.work(ROUND_LANE)
        assert await asyncio.to_thread(refused.wait, WITHIN_S)
        await desk.until(lambda: not any(w._hands.busy for w in desk.database.senders))  # type: ignore[attr-defined]
        monkeypatch.setattr(SendersThread, "submit", plain)
        await desk.queue(AHEAD)
        await desk.until_sent(AHEAD)
        assert len(well.taken) == AHEAD


def test_no_living_sender_is_overtaken() -> None:
    """What is begun at the last moment has its whole time-out within the lease."""
    assert outbox.LEASE.total_seconds() > outbox.BEGUN_WITHIN_S + TIMEOUT_S


async def test_in_a_long_round_an_sos_is_told_and_the_round_is_told_after_it(
    tmp_path: Path,
) -> None:
    """While a city's worklists are being stored, their texts wait; a call for help does not."""
    well = Provider()
    async with a_desk(tmp_path, well) as desk:
        desk.house.ring.long = True
        desk.work(SOS_LANE, ROUND_LANE)
        await desk.queue(MORE, ROUND_LANE)
        await desk.queue(2, SOS_LANE)
        await desk.until_sent(2)
        assert {body for body, state in (await desk.states()).items() if state == "sent"} == {
            f"{SOS_LANE}.0", f"{SOS_LANE}.1"
        }
        desk.house.ring.long = False
        desk.database.bell.ring("outbox")
        await desk.until_sent(2 + MORE)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_long_round_ends_with_its_judgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """However that ends; and then the senders are rung for. The ladders that become due meanwhile
    are climbed in between, more often by chunks, which are longer."""
    async with a_desk(tmp_path, Provider()) as desk:
        climbed: list[int] = []
        judged = 0

        def judge(_tx: Tx, house: House) -> int:
            nonlocal judged
            judged += 1
            house.ring.long = judged > jobs.CHUNKS_IN_A_ROW
            if fails and judged > 2 * jobs.CHUNKS_IN_A_ROW:
                raise ValueError("a chunk that can't be judged")
            return judged <= 2 * jobs.CHUNKS_IN_A_ROW

        def climb(_tx: Tx, _house: House) -> int:
            climbed.append(judged)
            return 0

        monkeypatch.setattr(sweep, "WITH_SIGHT", (judge,))
        monkeypatch.setattr(sweep, "ALWAYS", (climb,))
        monkeypatch.setattr(sweep, "what_is_due", lambda *_: {judge.__name__, climb.__name__})
        monkeypatch.setattr(sweep, "blind", lambda *_: False)
        with desk.database.bell.listening("outbox") as rung:
            await jobs.Sweeper(desk.database, desk.house).ring()
            assert rung.is_set()
        assert not desk.house.ring.long
        assert climbed == [0, 10, 12, 15, 18]
