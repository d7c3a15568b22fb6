"""A provider that is down and says nothing when it is asked holds up no message."""

import asyncio
import threading
from datetime import datetime, timedelta
from pathlib import Path

from server import migrate
from server.channels.base import Busy, Sent
from server.channels.lines import BACKUP, MAIN, Line, Lines
from server.clock import Clock
from server.core.failover import DOWN_AFTER
from server.core.words import Channel, Template
from server.database import Database, Tx
from server.outbox import Worker
from server.service.effects import SOS_LANE
from server.service.house import House
from server.store import outbox, people
from tests.town import MARCH_14, Hand
from xunlou.sample import guangdan
from xunlou.seed import load


class Silent:
    """A provider, at the other end of the wire, that takes its whole time-out for each question."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    async def send(self, phone: str, body: str, reference: int) -> Sent:  # noqa: ARG002
        """It takes nothing."""
        raise Busy("503")

    async def find(self, phone: str, body: str, since: datetime) -> list[Sent]:  # noqa: ARG002
        """It can't be asked."""
        raise Busy("503")

    async def alive(self) -> bool:
        """Nothing comes back for a long time."""
        self.asked.set()
        await asyncio.to_thread(self.let_go.wait, 60)
        return False


class Well(Silent):
    """One that is well."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.has = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    async def send(self, phone: str, body: str, reference: int) -> Sent:  # noqa: ARG002
        """Taken."""
        self.sent.append(body)
        self.loop.call_soon_threadsafe(self.has.set)
        return Sent(f"SM{reference}")


async def test_a_question_that_hangs_holds_up_no_message(tmp_path: Path) -> None:
    """The first provider is down, and hangs when it is asked whether it is back. A message for an
    SOS whose time to be tried again has come meanwhile goes by the second, without a wait."""
    url = f"sqlite:///{tmp_path}/town.db"
    migrate.upgrade(url)
    hand = Hand(MARCH_14)
    database = Database(url, Clock(source=hand))
    community = guangdan(seed=271, buildings=3)
    await database.write(lambda tx: load(tx.conn, community, tx.now))
    phone = community.buildings[0].stewards[0].person.phone
    person = await database.read(lambda c: people.person_by_phone(c, phone)["id"])
    silent, well, stop = Silent(), Well(), asyncio.Event()
    first = Line(MAIN, Channel.SMS, silent)
    lines = Lines([first, Line(BACKUP, Channel.SMS, well)])
    now = database.clock.now()
    for at in (now - DOWN_AFTER, now):
        lines.failed(first, at)
    worker = Worker(database, House("https://x.example", b"a key of the test"), lines, [SOS_LANE])
    running = asyncio.create_task(worker.run(stop))
    try:
        assert await asyncio.to_thread(silent.asked.wait, 10)

        def due_soon(tx: Tx) -> None:
            outbox.enqueue(
                tx.conn, person_id=person, role="", template=Template.SOS.value, attempt=0, step=0,
                lane=SOS_LANE, phone=phone, body="求助", due_at=tx.now + timedelta(seconds=1),
                created_at=tx.now,
            )  # fmt: skip

        await database.write(due_soon)
        hand.at_s += 1
        await asyncio.wait_for(well.has.wait(), 10)
    finally:
        silent.let_go.set()
        stop.set()
        await running
        database.close()
    assert well.sent == ["求助"]
