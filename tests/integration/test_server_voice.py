"""The telephone rings: what it says, what a key does, and what is no person."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update
from town import GZ, HEAD, SECOND, TOKEN, Town, a_town
from twilio.request_validator import RequestValidator

from server import tables as t
from server.core.words import Delivery
from server.service import receipts

SUBSTITUTE, KEY_HOLDER, DUTY = "+8610012000101", "+8610011000200", "+8610000000101"
NIGHT_DUTY = "+8610000000105"
NIGHT = datetime(2026, 3, 14, 3, 0, tzinfo=GZ)


async def voice(town: Town, path: str, *, good: bool = True, **form: str) -> tuple[int, str]:
    """A webhook of a call, signed as Twilio signs: status and answer."""
    url = f"/webhooks/twilio/voice{path}"
    right = RequestValidator(TOKEN).compute_signature(town.url + url, form)
    headers = {"X-Twilio-Signature": right if good else "AAAA"}
    answer = await town.gateway.post(url, data=form, headers=headers)
    await town.settled()
    return answer.status_code, answer.text


async def call_of(town: Town, number: str) -> int:
    """Our id of the call to this phone."""
    rows = (await town.api.get("/api/v1/messages")).json()["messages"]
    return next(
        int(m["id"]) for m in reversed(rows) if (m["phone"], m["channel"]) == (number, "voice")
    )


async def second_step(town: Town) -> None:
    """Two minutes after the press: nobody has said yes, and the telephones ring."""
    await town.press()
    await town.move(120)
    await town.forget_sms()


async def test_a_steward_picks_up_and_goes(town: Town) -> None:
    """The call says the address first and twice, door figure by figure, no name; 9 says it again;
    1 is a yes like any SMS: noted, both know, the terminal hears that help is coming."""
    await second_step(town)
    said = await town.pick_up(HEAD)
    assert said.startswith("巡楼求助。11栋,3楼,3 0 1。")
    assert "请按1" in said
    resident = (await town.residents())["301"]
    assert resident["name"] not in said
    assert "84" not in said
    assert await town.key(HEAD, "9") == said
    assert "已记下,您前往11栋" in await town.key(HEAD, "1")
    alert = await town.sos()
    assert alert["state"] == "accepted"
    await town.expect_sms(HEAD, "已记您")
    await town.expect_sms(SECOND, "is going")
    assert [c["cmd"] for c in await town.commands()] == ["help_coming"]
    (call,) = await town.calls(HEAD)
    assert (call["status"], call["keys"]) == ("completed", ["9", "1"])


async def test_an_english_steward_hears_english(town: Town) -> None:
    """And can say no: the next people are called at once."""
    await second_step(town)
    said = await town.pick_up(SECOND)
    assert "building 11, floor 3, flat 3 0 1" in said
    assert "calling others" in await town.key(SECOND, "0")
    await town.expect_sms(DUTY, "尚未了结")
    assert (await town.sos())["state"] == "open"


@pytest.mark.parametrize("machine", ["machine", "fax"])
async def test_an_answering_machine_is_no_person(town: Town, machine: str) -> None:
    """It is hung up on, counts as not reached, and accepts nothing whatever it "presses"."""
    await second_step(town)
    call = await town.on_call(HEAD, machine)
    assert (call["status"], call["said"]) == ("completed", [])
    m = await call_of(town, HEAD)
    _, words = await voice(town, f"/key?m={m}&n=1", CallSid=call["sid"], Digits="1",
                           AnsweredBy="machine_start")  # fmt: skip
    assert "<Say" not in words
    alert = await town.sos()
    assert alert["state"] == "open"
    mine = [t for t in alert["told"] if t["channel"] == "voice" and t["name"] == "邝彩霞"]
    assert [(t["state"], t["error"]) for t in mine] == [("undelivered", "machine")]
    assert await town.faults() == [], "a mailbox is nobody's fault"


@pytest.mark.parametrize("end", ["busy", "no-answer", "failed"])
async def test_nobody_else_reached_and_the_ladder_moves_at_once(tmp_path: Path, end: str) -> None:
    """At night both telephones ring with the text. Both texts are lost, both calls end so: nobody
    waits out the two minutes."""
    async with a_town(tmp_path, start=NIGHT) as town:
        for number in (HEAD, SECOND):
            await town.fault("undelivered", number, error_code=30003)
        await town.press()
        for number in (HEAD, SECOND):
            await town.rings(number)
        # Each is told of the other, behind the call for help; those texts get through.
        await town.expect_sms(HEAD, "到不了")
        await town.expect_sms(SECOND, "can't reach")
        await town.no_more_sms()
        await town.on_call(HEAD, end)
        if end == "failed":  # the number's fault once more, after a text that got through
            await town.expect_sms(SECOND, "can't reach")
        await town.no_more_sms()
        await town.on_call(SECOND, end)
        await town.expect_sms(SUBSTITUTE, "求助")
        await town.expect_sms(NIGHT_DUTY, "尚未了结")


async def test_a_carrier_takes_the_text_and_the_telephone_rings_at_once(town: Town) -> None:
    """30007: the steward is rung within the same second, and says yes by a key."""
    await town.fault("undelivered", HEAD, error_code=30007)
    await town.press()
    await town.pick_up(HEAD)
    await town.key(HEAD, "1")
    assert (await town.sos())["state"] == "accepted"


async def test_a_key_told_twice_acts_once(town: Town) -> None:
    """The provider repeats its question: the same answer, one act. A stranger's signature changes
    nothing."""
    await second_step(town)
    await town.pick_up(HEAD)
    m, form = await call_of(town, HEAD), {"CallSid": "CA1", "Digits": "0"}
    assert (await voice(town, f"/key?m={m}&n=1", good=False, **form))[0] == 403
    first = await voice(town, f"/key?m={m}&n=1", **form)
    await town.forget_sms()
    assert await voice(town, f"/key?m={m}&n=1", **form) == first
    kinds = [e["kind"] for e in await town.journal()]
    assert kinds.count("declined") == 1
    await town.no_more_sms()


async def test_a_matter_that_is_over_says_so(town: Town) -> None:
    """Closed while the telephone rang: no need to go, and a late key opens nothing."""
    await second_step(town)
    await town.rings(HEAD)
    await town.rings(SECOND)
    await town.pick_up(SECOND)
    await town.act((await town.sos())["id"], "resolve", outcome="safe")
    assert "已经了结" in await town.pick_up(HEAD)
    assert "closed" in await town.key(SECOND, "1")
    assert (await town.sos())["state"] == "resolved"


async def test_a_wrong_key_and_somebody_already_going(town: Town) -> None:
    """A 5 is asked again; who picks up after another said yes hears so, and may go too."""
    await second_step(town)
    await town.pick_up(HEAD)
    assert "没有听清" in await town.key(HEAD, "5")
    await town.key(HEAD, "1")
    assert "already going" in await town.pick_up(SECOND)
    await town.key(SECOND, "1")
    assert len((await town.sos())["responders"]) == 2


async def test_callbacks_in_any_order_and_twice(town: Town) -> None:
    """`completed` before `ringing`, each twice, and states we do not know: the call reached a
    person, and stays so."""
    await second_step(town)
    await town.pick_up(HEAD)
    m = await call_of(town, HEAD)
    for status in ("completed", "completed", "ringing", "in-progress", "busy", "strange"):
        code, _ = await voice(town, f"/status?m={m}", CallSid="CA1", CallStatus=status,
                              AnsweredBy="human")  # fmt: skip
        assert code == 204
    rows = (await town.api.get("/api/v1/messages")).json()["messages"]
    assert next(r["state"] for r in rows if r["id"] == m) == "delivered"


async def test_a_call_placed_in_doubt_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider takes the call and says nothing: looked up, and the telephone rings once."""
    monkeypatch.setattr("server.channels.twilio_account.TIMEOUT_S", 0.5)
    async with a_town(tmp_path) as town:
        await town.fault("undelivered", HEAD, error_code=30007)
        await town.press()
        await town.settled()
        async with asyncio.timeout(10):
            while not await town.calls(HEAD):
                await asyncio.sleep(0.05)
        first = len(await town.calls(HEAD))
        await town.fault("timeout_after_accept", SUBSTITUTE, count=2)
        await town.move(120)
        await town.move(10)
        assert first == 1
        assert len(await town.calls(SUBSTITUTE)) == 1


async def test_a_lost_text_is_not_sent_again_for_an_alert_that_is_over(town: Town) -> None:
    """The loss of 30001 is told after somebody has said how it ended: "SOS, reply 1" of a closed
    alert would send a neighbour up the stairs for nothing."""
    await town.press()
    await town.forget_sms()
    alert = await town.sos()
    await town.act(alert["id"], "resolve", outcome="safe")
    await town.forget_sms()
    message = t.table(t.Message)
    first = message.c.template == "sos"
    await town.sql(lambda c: c.execute(update(message).where(first).values(state="sent")))
    ids = select(message.c.id).where(first)
    lost = await town.sql(lambda c: c.execute(ids).scalars().all())
    for message_id in lost:
        await town.runtime.database.write(
            lambda tx, m=message_id: receipts.take_delivery(
                tx, town.runtime.house, m, Delivery.UNDELIVERED, "30001"
            )
        )
    await town.move(6)
    await town.no_more_sms()


async def test_a_lost_text_that_may_pass_is_sent_once_more(town: Town) -> None:
    """30001, the provider's queue overflowed: the same words once more within seconds, and once,
    however often the loss is told; the steward reads it, and nobody is blamed."""
    await town.fault("undelivered", HEAD, error_code=30001)
    await town.fault("duplicate_callbacks", HEAD)
    await town.press()
    await town.expect_sms(SECOND, "SOS")
    await town.move(6)
    await town.expect_sms(HEAD, "求助")
    assert await town.faults() == []
    await town.no_more_sms()
