"""The watchman is watched: stuck work is repaired, or people hear of it past the outbox."""

import asyncio
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from server.auditor import Auditor
from server.jobs import Sweeper
from tests.town import HEAD, SECOND, Town, a_town, bound, serving

DUTY = ("+8610000000101", "+8610000000102")


async def nobody_rings() -> None:
    """A sweep that is dead."""


def auditor(town: Town, ring: object = nobody_rings, **more: object) -> Auditor:
    """An auditor of this town with its real channel."""
    from server.channels.twilio import TwilioSms

    runtime = town.runtime
    channel = TwilioSms(runtime.settings)
    return Auditor(runtime.database, runtime.house, channel, ring, **more)  # type: ignore[arg-type]


async def test_all_is_well_while_nothing_is_overdue(tmp_path: Path) -> None:
    """A step that is not yet due, or due a moment ago, worries nobody."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.settled()
        town.hand.at_s += 170  # due at 120 s: overdue by 50, under a minute
        verdict = await auditor(town).audit()
        assert (verdict.stuck, verdict.well) == ((), True)


async def test_a_dead_sweep_is_told_to_the_duty_phones_past_the_outbox(tmp_path: Path) -> None:
    """A step a minute overdue that the bell does not mend: a fault on the wall, one SMS to each
    duty phone, none again for ten minutes."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.expect_sms(HEAD, "求助")
        await town.expect_sms(SECOND, "SOS")
        watch = auditor(town)
        town.hand.at_s += 181
        assert (await watch.audit()).stuck == ("steps",)
        for phone in DUTY:
            await town.expect_sms(phone, "steps", "卡住")
        assert await town.faults() == ["stuck"]
        town.hand.at_s += 300
        await watch.audit()
        await town.no_more_sms()
        town.hand.at_s += 301
        await watch.audit()
        for phone in DUTY:
            await town.expect_sms(phone, "steps")


async def test_a_lost_ring_is_rung_again(tmp_path: Path) -> None:
    """The auditor's own ring takes the overdue step; no duty phone is bothered, no fault stays."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.forget_sms()
        for seconds in (0, 50, 50, 50, 31):
            town.hand.at_s += seconds
            await town.gateway_lives()
        sweeper = Sweeper(town.runtime.database, town.runtime.house)
        verdict = await auditor(town, sweeper.ring).audit()
        assert (verdict.repaired, verdict.well) == (True, True)
        await town.expect_sms(HEAD, "求助")
        assert await town.faults() == []
        assert await town.phone(DUTY[0]) == []


async def test_what_was_stuck_and_moves_again_is_closed_as_restored(tmp_path: Path) -> None:
    """The fault goes when the work is done."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.settled()
        town.hand.at_s += 181
        await auditor(town).audit()
        assert await town.faults() == ["stuck"]
        await town.gateway_lives()
        await town.ring()
        assert (await auditor(town).audit()).well
        assert await town.faults() == []


async def test_an_auditor_that_can_not_look_says_so(tmp_path: Path) -> None:
    """With the database out of reach the last known duty phones are texted."""
    async with a_town(tmp_path) as town:
        watch = auditor(town)
        await watch.audit()

        async def broken(_query: object) -> None:
            raise OSError("disk gone")

        watch.database.read = broken  # type: ignore[method-assign,assignment]
        try:
            assert (await watch.audit()).stuck == ("audit",)
        finally:
            del watch.database.read
        await town.expect_sms(DUTY[0], "audit")


async def test_the_outside_is_pinged_only_while_all_is_well(tmp_path: Path) -> None:
    """Pings come while nothing is overdue, stop when something is stuck or we are blind."""
    pings = 0
    heard = asyncio.Event()
    outside = FastAPI()

    @outside.get("/alive")
    async def alive() -> str:
        nonlocal pings
        pings += 1
        heard.set()
        return "thanks"

    sock, url = bound()
    async with serving(outside, sock), a_town(tmp_path) as town:
        stop = asyncio.Event()
        watch = auditor(town, deadman_url=f"{url}/alive", every_s=0.01)
        task = asyncio.create_task(watch.run(stop))
        await asyncio.wait_for(heard.wait(), 5)
        await town.press()
        await town.settled()
        town.hand.at_s += timedelta(minutes=4).total_seconds()
        async with asyncio.timeout(5):
            while await town.faults() != ["stuck"]:
                await asyncio.sleep(0.01)
        before = pings
        audits = len(await town.phone(DUTY[0]))
        assert audits == 1
        heard.clear()
        for _ in range(10):
            await watch.audit()
        assert pings - before <= 1  # one may have been on its way
        stop.set()
        await asyncio.wait_for(task, 5)
