"""One sender, a thousand worklists, and an SOS in the middle of them."""

import asyncio
from pathlib import Path

from sqlalchemy import func, insert, select
from town import HEAD, SECOND, a_town

from server import tables as t
from server.core.words import Delivery

MESSAGE = t.table(t.Message)
RECIPIENTS = 1300


async def test_a_thousand_worklists_hold_up_no_sos(tmp_path: Path) -> None:
    """1,300 texts wait for a sender of five a second. A press in the middle of it reaches both
    stewards at once, while nearly all of the others still wait; and as the seconds pass they go."""
    async with a_town(tmp_path, sms_per_s=5.0) as town:
        person = await town.person("+8610012000101")
        now = town.runtime.clock.now()
        rows = [
            {
                "person_id": person, "role": "steward", "step": 0, "attempt": n, "channel": "sms",
                "template": "missed", "lane": 1, "phone": "+8610012000101", "body": f"list {n}",
                "state": "queued", "tries": 0, "due_at": now, "created_at": now,
            }
            for n in range(RECIPIENTS)
        ]  # fmt: skip
        await town.sql(lambda c: c.execute(insert(MESSAGE), rows))
        town.runtime.database.bell.ring("outbox")

        async def waiting() -> int:
            count = select(func.count()).where(
                MESSAGE.c.lane == 1, MESSAGE.c.state == Delivery.QUEUED.value
            )
            return int(await town.runtime.database.read(lambda c: c.execute(count).scalar_one()))

        async def texted(number: str) -> bool:
            answer = await town.phones.get(f"/phones/{number}/messages")
            return any(m["direction"] == "in" for m in answer.json()["messages"])

        async with asyncio.timeout(20):
            while await waiting() > RECIPIENTS - 5:
                await asyncio.sleep(0.01)
            assert await town.signals(town.event("sos")) == ["stored"]
            while not (await texted(HEAD) and await texted(SECOND)):
                await asyncio.sleep(0.01)
        assert await waiting() >= RECIPIENTS - 10
        town.hand.at_s += 10  # the debt is paid, and a second's worth saved up
        town.runtime.database.bell.ring("outbox")
        async with asyncio.timeout(20):
            while await waiting() > RECIPIENTS - 10:
                await asyncio.sleep(0.01)
