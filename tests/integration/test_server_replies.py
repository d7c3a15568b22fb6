"""What comes from a telephone: forged, replayed, unknown, mistyped, or a wish to be left alone."""

import pytest
from sqlalchemy import select
from town import GRANNY, HEAD, SECOND, TOKEN, Town
from twilio.request_validator import RequestValidator

from server import tables as t


async def sent_in(town: Town, signed: bool | None = True, sid: str = "SM1", **form: str) -> int:
    """An inbound SMS as Twilio posts it; `signed` None: without a signature. The status."""
    path = "/webhooks/twilio/inbound"
    fields = {"MessageSid": sid, "From": HEAD, "Body": "1", **form}
    right = RequestValidator(TOKEN).compute_signature(town.url + path, fields)
    signature = {True: right, False: right[::-1], None: ""}[signed]
    headers = {"X-Twilio-Signature": signature} if signature else {}
    answer = await town.gateway.post(path, data=fields, headers=headers)
    await town.settled()
    return answer.status_code


@pytest.mark.parametrize("signed", [False, None])
async def test_a_forged_word_of_the_provider_changes_nothing(
    town: Town, signed: bool | None
) -> None:
    """Whoever can't sign as the provider can neither accept for a steward nor say that an SMS
    arrived or failed."""
    await town.press()
    await town.forget_sms()
    before = await town.sos()
    assert await sent_in(town, signed) == 403
    for state in ("failed", "delivered"):
        answer = await town.gateway.post(
            "/webhooks/twilio/status?m=1", data={"MessageSid": "SM1", "MessageStatus": state},
            headers={"X-Twilio-Signature": "AAAA"} if signed is False else {},
        )  # fmt: skip
        assert answer.status_code == 403
    assert await town.sos() == before
    await town.no_more_sms()


async def test_a_replayed_reply_acts_once(town: Town) -> None:
    """The provider delivers one steward's "can't" three times: the next people are called once."""
    await town.press()
    await town.forget_sms()
    for _ in range(3):
        assert await sent_in(town, Body="0") == 200
    assert (await town.sos())["next_step"]["step"] == 2
    await town.expect_sms("+8610012000101", "求助")


async def test_a_reply_from_an_unknown_number(town: Town) -> None:
    """A stranger's SMS accepts nothing and gets no answer; staff see that somebody wrote."""
    await town.press()
    await town.forget_sms()
    assert await sent_in(town, From="+8610099999999", Body="1") == 200
    assert (await town.sos())["state"] == "open"
    assert await town.faults() == ["unknown_number"]
    await town.no_more_sms()


@pytest.mark.parametrize(
    "words", ["98765", "什么?", "来了来了", "1 2 3", "请打电话给我", "77777777", "\x1c", "\u2028"]
)
async def test_what_is_not_understood_is_answered(town: Town, words: str) -> None:
    """Words that we can't read accept nothing and are answered: with the four digits, or with the
    code that is open. Never are they told that there is no need to go."""
    await town.press()
    await town.forget_sms()
    await town.reply(HEAD, words)
    (answer,) = await town.phone(HEAD)
    code = (await town.sos())["code"]
    assert "1=我去" in answer or f"“1 {code}”" in answer
    assert (await town.sos())["state"] == "open"
    await town.no_more_sms()


async def test_old_and_mistyped_codes(town: Town) -> None:
    """The code of a closed matter is told to be closed and never accepts the new one; a slip of the
    finger is answered with what is open, never with "no need to go"."""
    await town.press()
    old = (await town.sos())["code"]
    await town.act((await town.sos())["id"], "resolve", outcome="safe")
    await town.press()
    await town.forget_sms()
    await town.reply(HEAD, f"1 {old}")
    await town.expect_sms(HEAD, "已了结")
    (new,) = await town.alerts(kind="sos", state="open")
    slip = new["code"][:-1] + str((int(new["code"][-1]) + 1) % 10)
    await town.reply(HEAD, f"1 {slip}")
    await town.expect_sms(HEAD, new["code"])
    assert len(await town.alerts(kind="sos", state="open")) == 1
    await town.no_more_sms()


async def test_a_bare_yes_to_several_alerts_is_asked_which(town: Town) -> None:
    """Two doors call the same steward: a bare `1` takes neither and is asked which; the code
    decides."""
    await town.press()
    await town.press(terminal="gd-11-303")
    await town.forget_sms()
    await town.reply(HEAD, "1")
    first, second = await town.alerts(kind="sos")
    await town.expect_sms(HEAD, "2件", first["code"], second["code"])
    assert {first["state"], second["state"]} == {"open"}
    await town.reply(HEAD, f"1 {second['code']}")
    states = [a["state"] for a in await town.alerts(kind="sos")]
    assert states == ["open", "accepted"]


async def test_a_number_that_dies_on_a_quiet_day(town: Town) -> None:
    """No alert is open. Staff see it at once, and the other steward hears whom we can't reach,
    once; when that one's goes too, nobody is left to hear it, and staff see both."""
    await town.reply(HEAD, "STOP")
    await town.expect_sms(HEAD, "unsubscribed")
    told = await town.expect_sms(SECOND, "Bldg 11", "can't reach")
    assert "SOS" not in told
    await town.reply(HEAD, "STOP")
    await town.expect_sms(HEAD, "unsubscribed")
    assert await town.faults() == ["steward_unreachable"]
    await town.reply(SECOND, "STOP")
    await town.expect_sms(SECOND, "unsubscribed")
    assert await town.faults() == ["steward_unreachable"] * 2
    await town.no_more_sms()


async def test_a_steward_who_also_stands_in_next_door_is_missed_in_their_own_house(
    town: Town,
) -> None:
    """The head of building 4 is a substitute of the next house, and was entered as that first. The
    fault is building 4's, and its other steward hears of it."""
    number, partner = "+8610004000101", "+8610004000102"
    person = await town.person(number)
    table = t.table(t.Assignment)
    roles = select(table.c.role).where(table.c.person_id == person)
    assert await town.sql(lambda c: c.execute(roles).scalars().all()) == ["substitute", "steward"]
    await town.reply(number, "STOP")
    (fault,) = await town.alerts(kind="fault", state="unresolved")
    assert (fault["fault"], fault["building"]) == ("steward_unreachable", "4栋")
    await town.expect_sms(number, "unsubscribed")
    (told,) = await town.phone(partner)
    assert ("4栋" in told and "到不了" in told) or ("Bldg 4" in told and "can't reach" in told)
    await town.no_more_sms()


async def test_both_stewards_have_stopped_before_the_press(town: Town) -> None:
    """Nobody is left for the first step: who has a key is called, and in the same second the care
    centre; and that is what asking beforehand says."""
    for number in (HEAD, SECOND):
        await town.reply(number, "STOP")
    await town.forget_sms()
    asked = {"resident": GRANNY}
    steps = (await town.api.get("/api/v1/ladder/explain", params=asked)).json()["steps"]
    assert [s["after_s"] for s in steps] == [0, 0, 0, 120, 240]
    await town.press()
    for desk in ("+8610000000101", "+8610000000102"):
        await town.expect_sms(desk, "11栋", "尚未了结")
    await town.expect_sms("+8610012000101", "求助")
    assert await town.phone(HEAD) == []
    assert (await town.sos())["next_step"]["at_ms"] - (await town.sos())["opened_ms"] == 120_000


async def test_cant_go_twice_is_once(town: Town) -> None:
    """A steward who can't go says so, and taps again because nothing seems to happen: the others
    are called once, and have the time that they were given. Going after all is possible."""
    await town.press()
    await town.reply(HEAD, "0")
    step = (await town.sos())["next_step"]
    await town.reply(HEAD, "0")
    await town.reply(HEAD, "0")
    assert (await town.sos())["next_step"] == step
    said = [e["data"]["by"] for e in await town.journal() if e["kind"] == "declined"]
    assert len(said) == 1
    await town.reply(HEAD, "1")
    assert (await town.sos())["state"] == "accepted"


async def test_stop_and_start(town: Town) -> None:
    """A steward who writes STOP can't be called any more: staff see it today, an open alert goes
    on with the other steward, and when that one stops too the care centre is called at once.
    START undoes it."""
    await town.press()
    await town.forget_sms()
    await town.reply(HEAD, "STOP")
    await town.expect_sms(HEAD, "unsubscribed")
    assert await town.faults() == ["steward_unreachable"]
    await town.expect_sms(SECOND, "can't reach")
    await town.reply(SECOND, "STOP")
    await town.expect_sms(SECOND, "unsubscribed")
    for number in ("+8610000000101", "+8610000000102"):
        await town.expect_sms(number, "尚未了结")
    await town.forget_sms()
    for number in (HEAD, SECOND):
        await town.reply(number, "START")
        await town.expect_sms(number, "re-subscribed")
    assert await town.faults() == []
    await town.press(terminal="gd-11-303")
    await town.expect_sms(HEAD, "303")
    await town.expect_sms(SECOND, "303")
