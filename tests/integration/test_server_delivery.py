"""The way of an SMS: refused, lost, late, doubled, cut off in the middle. Someone is still told."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update
from town import (
    ACCOUNT,
    HEAD,
    SECOND,
    SENDER,
    TOKEN,
    Town,
    a_town,
    bound,
    serving,
)

from firmware_sim.phones import PhonesConfig
from firmware_sim.phones import create_app as create_phones
from server import tables as t
from server.channels.base import Ambiguous, Busy
from server.channels.console import NoProvider
from server.channels.twilio import TwilioSms
from server.channels.twilio_account import Account, Credentials

DUTY = ("+8610000000101", "+8610000000102")
MESSAGE = t.table(t.Message)
NOWHERE = "http://127.0.0.1:9"


async def at_provider(town: Town, number: str) -> int:
    """How many SMS to this phone the provider was given, arrived or not."""
    answer = await town.phones.get(f"/phones/{number}/messages")
    return sum(m["direction"] == "in" for m in answer.json()["messages"])


async def states(town: Town) -> dict[str, str]:
    """Phone → state of its SOS message."""
    rows = (await town.api.get("/api/v1/messages")).json()["messages"]
    return {m["phone"]: m["state"] for m in rows if m["template"] == "sos"}


@pytest.mark.parametrize(
    ("kind", "code", "state"),
    [("undelivered", 30008, "undelivered"), ("undelivered", 30003, "undelivered"),
     ("failed", 30006, "failed"), ("failed", 30008, "failed")],
)  # fmt: skip
async def test_one_steward_can_not_be_reached(
    town: Town, kind: str, code: int, state: str
) -> None:
    """The building head's phone is dead: staff see it at once, with whose; the other steward has
    been told, hears that they go alone, and is awaited as long as ever."""
    await town.fault(kind, HEAD, error_code=code)
    await town.press()
    told = await town.phone(SECOND)
    assert ["SOS" in words for words in told] == [True, False]
    assert "can't reach" in told[1]
    await town.no_more_sms()
    told = [m for m in (await town.sos())["told"] if m["name"] == "邝彩霞"]
    assert (told[0]["state"], told[0]["error"]) == (state, str(code))
    # A dead handset is not rung; whatever only the text could not pass, is.
    assert [m["channel"] for m in told[1:]] == ([] if code == 30003 else ["voice"])
    assert await town.faults() == ["steward_unreachable"]
    (fault,) = await town.alerts(kind="fault")
    assert "邝彩霞" in fault["detail"]
    assert str(code) in fault["detail"]
    await town.move(119)
    await town.no_more_sms()
    await town.move(1)
    await town.expect_sms(HEAD, "求助")
    assert await town.faults() == [], "the second SMS arrived: the number lives"


async def test_neither_steward_can_be_reached(town: Town) -> None:
    """Both stewards' phones are dead: nobody waits two minutes for them. Those with a key and the
    care centre are called in the same breath."""
    for number in (HEAD, SECOND):
        await town.fault("undelivered", number, count=9, error_code=30003)
    await town.press()
    for number in ("+8610012000101", "+8610011000200", "+8610011000309"):
        await town.expect_sms(number, "求助")
    for number in DUTY:
        await town.expect_sms(number, "尚未了结")
    assert await town.faults() == ["steward_unreachable"] * 2
    await town.no_more_sms()


@pytest.mark.parametrize(("number", "error"), [("+861", "21211"), (HEAD, "21610")])
async def test_a_number_the_provider_refuses(town: Town, number: str, error: str) -> None:
    """A number that is none, and one that has opted out at the provider without our knowing:
    refused at once, a fault at once, the other steward is told."""
    if number != HEAD:
        person = t.table(t.Person)
        mistyped = update(person).where(person.c.phone == HEAD).values(phone=number)
        await town.sql(lambda c: c.execute(mistyped))
    else:
        await town.phones.post(f"/phones/{HEAD}/send", json={"body": "STOP"})
        await town.expect_sms(SECOND, "can't reach")
        person = t.table(t.Person)
        forgotten = update(person).where(person.c.phone == HEAD).values(opted_out_at=None)
        await town.sql(lambda c: c.execute(forgotten))
        await town.forget_sms()
    await town.press()
    first, *more = await town.phone(SECOND)
    assert "SOS" in first
    # Who goes alone is to know it; once.
    assert ["can't reach" in words for words in more] == ([] if number == HEAD else [True])
    assert "steward_unreachable" in await town.faults()
    assert error in {m["error"] for m in (await town.sos())["told"]}
    await town.no_more_sms()


@pytest.mark.parametrize("twist", ["out_of_order", "duplicate_callbacks"])
async def test_the_providers_word_in_any_order_and_twice(town: Town, twist: str) -> None:
    """`delivered` before `sent`, each callback twice: the message is delivered, told once, and one
    entry of the journal says so."""
    await town.fault(twist, count=10)
    await town.press()
    await town.expect_sms(HEAD, "求助")
    await town.expect_sms(SECOND, "SOS")
    assert set((await states(town)).values()) == {"delivered"}
    kinds = [e["kind"] for e in await town.journal()]
    assert kinds.count("message_delivered") == 2
    await town.no_more_sms()


@pytest.mark.parametrize("fault", ["503", "429"])
async def test_a_busy_provider_is_asked_again(town: Town, fault: str) -> None:
    """The provider is overloaded twice for one steward: tried again within seconds, told once; the
    other steward did not wait for it."""
    await town.fault(fault, HEAD, count=2)
    await town.press()
    await town.expect_sms(SECOND, "SOS")
    assert await town.phone(HEAD) == []
    for _ in range(2):
        await town.move(5)
    await town.expect_sms(HEAD, "求助")
    assert await at_provider(town, HEAD) == 1
    assert await town.faults() == []
    await town.no_more_sms()


async def test_whoever_opts_out_meanwhile_is_not_asked_again(town: Town) -> None:
    """The provider was busy; until it is asked again, another text to this number has come back as
    opted out. What waited goes nowhere, and the alert goes on without them."""
    await town.fault("429", HEAD, count=1)
    await town.press()
    await town.expect_sms(SECOND, "SOS")
    person, now = t.table(t.Person), town.runtime.clock.now()
    gone = update(person).where(person.c.phone == HEAD).values(opted_out_at=now)
    await town.sql(lambda c: c.execute(gone))
    await town.move(5)
    assert await town.phone(HEAD) == []
    assert await at_provider(town, HEAD) == 0
    (theirs,) = [m for m in (await town.sos())["told"] if m["error"]]
    assert (theirs["state"], theirs["error"]) == ("failed", "opted_out")


async def test_taken_and_then_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider takes the SMS and then says nothing: we look it up before sending again, so the
    steward's phone rings once."""
    monkeypatch.setattr("server.channels.twilio_account.TIMEOUT_S", 0.5)
    async with a_town(tmp_path) as town:
        await town.fault("timeout_after_accept", HEAD)
        await town.press()
        await town.expect_sms(SECOND, "SOS")
        await town.move(5)
        await town.expect_sms(HEAD, "求助")
        await town.move(60)
        assert await at_provider(town, HEAD) == 1
        assert set((await states(town)).values()) == {"delivered"}
        await town.no_more_sms()


async def test_a_504_may_have_been_taken() -> None:
    """The provider takes the SMS and answers 504: that is no refusal. The channel says that it
    does not know, and the look-up finds the one copy. A 503 was surely not taken."""
    phones_sock, phones_url = bound()
    config = PhonesConfig(
        account_sid=ACCOUNT, auth_token=TOKEN, from_number=SENDER, webhook_base=NOWHERE,
        hold_s=0.0, clock=time.time,
    )  # fmt: skip
    channel = TwilioSms(Account(Credentials(ACCOUNT, TOKEN, SENDER, phones_url, NOWHERE)))
    async with serving(create_phones(config), phones_sock), httpx.AsyncClient() as tester:
        for kind, doubt in (("timeout_after_accept", Ambiguous), ("503", Busy)):
            await tester.post(f"{phones_url}/faults", json={"kind": kind})
            with pytest.raises(doubt, match=r"50[34]"):
                await channel.send(HEAD, f"words after {kind}", 0)
        since = datetime(2026, 1, 1, tzinfo=UTC)
        taken = await channel.find(HEAD, "words after timeout_after_accept", since)
        assert len(taken) == 1
        assert await channel.find(HEAD, "words after 503", since) == []


async def crashed_between(town: Town, number: str) -> None:
    """As if the sender had died after leasing this phone's message and before recording it."""
    now = town.runtime.clock.now()
    change = (
        update(MESSAGE)
        .where(MESSAGE.c.phone == number)
        .values(state="sending", due_at=now - timedelta(seconds=1), provider_id=None)
    )
    await town.sql(lambda c: c.execute(change))


async def test_a_crash_after_the_provider_had_it(town: Town) -> None:
    """The sender died after the SMS left and before it wrote that down: the next one finds it at
    the provider and sends nothing again."""
    await town.press()
    await town.expect_sms(HEAD, "求助")
    await town.expect_sms(SECOND, "SOS")
    town.delivers = False  # the provider's word on it came and went before the crash
    await crashed_between(town, HEAD)
    await town.ring()
    assert (await states(town))[HEAD] == "sent"
    assert await at_provider(town, HEAD) == 1
    await town.no_more_sms()


async def test_a_crash_before_the_provider_had_it(town: Town) -> None:
    """The sender died before the SMS left: the next one doesn't find it there, and sends it."""
    await town.fault("503", HEAD)
    await town.press()
    await town.expect_sms(SECOND, "SOS")
    await crashed_between(town, HEAD)
    await town.ring()
    await town.expect_sms(HEAD, "求助")
    assert await at_provider(town, HEAD) == 1
    await town.no_more_sms()


async def test_the_provider_is_down_for_ten_minutes(town: Town) -> None:
    """Nothing leaves for ten minutes, and staff see why within the first two. What was not sent in
    time is not sent late; when the provider is back, everybody on the ladder is called within two
    minutes: the telephone rings, because nobody was ever reached."""
    await town.fault("down", count=10_000)
    await town.press()
    for _ in range(12):
        await town.move(10)
    assert "sms_provider" in await town.faults()
    for _ in range(48):
        await town.move(10)
    await town.no_more_sms()
    assert (await town.sos())["exhausted"]
    (await town.phones.delete("/faults")).raise_for_status()
    for _ in range(13):
        await town.move(10)
    for number in (HEAD, SECOND, *DUTY):  # by text or not: the telephone rings
        await town.rings(number)
    rows = (await town.api.get("/api/v1/messages")).json()["messages"]
    assert await at_provider(town, HEAD) == sum(
        m["phone"] == HEAD and m["state"] == "delivered" for m in rows
    )
    await town.over("sms_provider")


async def test_without_an_sms_account_staff_know(tmp_path: Path) -> None:
    """No account is configured: nobody outside can be told, and the desk sees so at the press, with
    the alert open and red."""
    async with a_town(tmp_path, channel=NoProvider()) as town:
        await town.press()
        await town.settled()
        assert "sms_provider" in await town.faults()
        alert = await town.sos()
        assert alert["state"] == "open"
        assert {m["state"] for m in alert["told"]} == {"failed"}
        await town.no_more_sms()
