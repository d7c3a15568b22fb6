"""Cases other systems' users had to ask for: clock jumps, hanging providers, slips."""

import asyncio
from datetime import datetime, timedelta

from server import jobs
from tests.town import GZ, HEAD, SECOND, Town

MORNING = datetime(2026, 3, 14, 5, 30, tzinfo=GZ)


async def test_a_clock_that_is_set_forward_alarms_nobody(town: Town) -> None:
    """Three days in one second, the gateway talking all the while: nobody is called missed, staff
    are told, and the next round is judged as ever."""
    await town.gateway_lives()
    seconds = 0.0
    sweeper = jobs.Sweeper(town.runtime.database, town.runtime.house, lambda: seconds)
    await sweeper.ring()
    town.hand.at_s += timedelta(days=3).total_seconds()
    seconds += 1.0
    await town.gateway_lives()
    await sweeper.ring()
    for _ in range(20):
        town.hand.at_s += 1
        seconds += 1.0
        await town.gateway_lives()
        await sweeper.ring()
    assert await town.alerts(kind="missed") == []
    assert "clock_jumped" in await town.faults()
    await town.no_more_sms()
    jumped = [e for e in await town.journal() if e["kind"] == "clock_jumped"]
    assert len(jumped) == 1
    assert jumped[0]["data"]["residents_not_judged"] > 50


async def test_an_sos_does_not_wait_behind_a_message_that_hangs(town: Town) -> None:
    """The provider hangs on the first press's messages; a second press's go out meanwhile."""
    for number in (HEAD, SECOND):
        await town.fault("slow_ms", number, ms=4000)
    await town.press()
    await town.press(terminal=_someone_in(town, 3))
    told = town.community.buildings[2].stewards[0].person.phone
    async with asyncio.timeout(3):
        while not (await town.phones.get(f"/phones/{told}/messages")).json()["messages"]:
            await asyncio.sleep(0.02)
    states = {m["phone"]: m["state"] for m in (await town.api.get("/api/v1/messages")).json()[
        "messages"]}  # fmt: skip
    assert states[HEAD] == "sending"
    await town.settled()


def _someone_in(town: Town, number: int) -> str:
    """A terminal of this building."""
    return next(
        r.terminal_id for b, _, r in town.community.flats_with_residents() if b.number == number
    )


async def test_five_replies_that_nobody_understands_bring_a_person(town: Town) -> None:
    """Four are answered with the digits; at the fifth the desk is told to call, and no machine
    goes on talking."""
    for _ in range(4):
        await town.reply(HEAD, "今晚吃什么")
        await town.expect_sms(HEAD, "1=我去")
    await town.reply(HEAD, "喂?")
    await town.no_more_sms()
    assert await town.faults() == ["many_wrong_replies"]


async def test_the_failure_of_an_older_copy_does_not_undo_the_newer(town: Town) -> None:
    """After a doubtful send there may be two copies; the word on the one we do not count on
    changes nothing."""
    await town.press()
    await town.forget_sms()
    message = (await town.api.get("/api/v1/messages")).json()["messages"][0]
    await town.sql(
        lambda c: c.exec_driver_sql(
            f"UPDATE message SET state='sent' WHERE id={message['id']}"
        )
    )
    from server.core.words import Delivery
    from server.service import receipts

    house = town.runtime.house
    await town.runtime.database.write(
        lambda tx: receipts.take_delivery(
            tx, house, message["id"], Delivery.UNDELIVERED, "30008", provider_id="SM-other"
        )
    )
    again = (await town.api.get("/api/v1/messages")).json()["messages"][0]
    assert again["state"] == "sent"
    assert await town.faults() == []
    await town.runtime.database.write(
        lambda tx: receipts.take_delivery(
            tx, house, message["id"], Delivery.UNDELIVERED, "30008",
            provider_id=message["provider_id"],
        )
    )  # fmt: skip
    assert await town.faults() == ["steward_unreachable"]
