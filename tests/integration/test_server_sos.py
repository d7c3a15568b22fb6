"""From a press to a person at the door: who is told, when, and what the resident hears of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import update
from town import GRANNY, HEAD, MARCH_14, SECOND, Hand, Town, a_town

from server import tables as t

SUBSTITUTE, KEY_HOLDER = "+8610012000101", "+8610011000200"
DUTY = ("+8610000000101", "+8610000000102")
STREET = "+8610000000201"
BEFRIENDER = "+8610011000309"
HEADS_NAME = "邝彩霞"


async def pressed(town: Town) -> str:
    """A press of which both stewards have read; the alert's code."""
    await town.press()
    await town.expect_sms(HEAD, "求助")
    await town.expect_sms(SECOND, "SOS")
    return str((await town.sos())["code"])


async def accepted(town: Town) -> str:
    """A press that the building head has accepted, all of it read; the alert's code."""
    code = await pressed(town)
    await town.reply(HEAD, "1")
    await town.forget_sms()
    return code


def said(commands: list[dict[str, object]]) -> list[object]:
    """What a terminal was told, in a word each."""
    return [c["cmd"] for c in commands]


async def test_a_press_reaches_both_stewards_and_nobody_else(town: Town) -> None:
    """Both stewards of the building read where, how old, alone, and what to answer; each in their
    own language; no name, no way in; and nobody else's phone makes a sound."""
    await town.press()
    zh = await town.expect_sms(HEAD, "11栋3楼301", "求助", "84岁", "独居", "回1")
    en = await town.expect_sms(SECOND, "Bldg 11 floor 3 flat 301", "SOS", "aged 84", "Reply 1")
    code = (await town.sos())["code"]
    assert code in zh
    assert code in en
    assert "何桂芳" not in zh + en
    await town.no_more_sms()


async def test_a_press_on_a_terminal_that_nobody_was_given(town: Town) -> None:
    """There is no door and no steward, yet somebody has pressed: the care centre reads at once
    which terminal it is, can take it by SMS, and the terminal hears that help is coming; no link,
    as the page behind it is about a door; and its own cancel reaches who was told."""
    terminal = t.table(t.Terminal)
    nobodys = update(terminal).where(terminal.c.id == GRANNY).values(resident_id=None)
    await town.sql(lambda c: c.execute(nobodys))
    await town.press()
    for number in DUTY:
        text = await town.expect_sms(number, f"终端{GRANNY}", "求助", "回1")
        assert "http" not in text
    await town.no_more_sms()
    alert = await town.sos()
    assert (alert["address"], alert["building"]) == (GRANNY, None)
    await town.reply(DUTY[0], "1")
    assert "http" not in await town.expect_sms(DUTY[0], "已记您前往", f"终端{GRANNY}")
    await town.expect_sms(DUTY[1], "已前往")
    assert "help_coming" in said(await town.commands())
    assert (await town.sos())["state"] == "accepted"
    await town.press("sos_cancel")
    for number in DUTY:
        await town.expect_sms(number, "按了取消")


async def test_silence_calls_the_next_by_the_minute(town: Town) -> None:
    """Two minutes without a yes: the neighbour's steward, the key holder, the befriender and both
    stewards again. Four: whoever has the duty, every two minutes from then on until a person
    accepts; eight: the street office as well, and the alert says that nobody is left to ask. From
    then on the desk is told to call 120, with the address to read out; the office is given the
    address too, as its people know no building 11."""
    await pressed(town)
    await town.move(119)
    await town.no_more_sms()
    await town.move(1)
    for number in (SUBSTITUTE, KEY_HOLDER, BEFRIENDER, HEAD):
        await town.expect_sms(number, "求助", "11栋3楼301")
    await town.expect_sms(SECOND, "SOS")
    await town.no_more_sms()
    await town.move(119)
    await town.no_more_sms()
    await town.move(1)
    for number in DUTY:
        await town.expect_sms(number, "求助4分钟", "尚未了结")
    await town.no_more_sms()
    await town.move(120)
    for number in DUTY:
        await town.expect_sms(number, "求助6分钟")
    await town.no_more_sms()
    assert not (await town.sos())["exhausted"]
    for minutes in (8, 10):
        await town.move(120)
        for number in DUTY:
            await town.expect_sms(number, "请打120", "榕影路188号", f"11栋3楼301求助{minutes}分钟")
        told = await town.expect_sms(STREET, "榕影路188号", "11栋3楼301求助")
        assert "120" not in told, "one call is enough"
        await town.no_more_sms()
        assert (await town.sos())["exhausted"]
    await town.reply(DUTY[0], "1")
    await town.forget_sms()
    await town.move(7 * 60)
    await town.no_more_sms()


@pytest.mark.parametrize(
    "words",
    ["1", " 1 ", "\uff11", "收到", "ok.", "{code}", "1 {code}", "1{code}", "\uff11 {code}"],
)
async def test_a_yes_in_the_ways_that_people_type_it(town: Town, words: str) -> None:
    """However a steward types yes, the alert is theirs, they get the way in, the other steward
    knows, and only now is the resident told that help is coming."""
    code = await pressed(town)
    assert said(await town.commands()) == [], "a promise before anybody promised"
    await town.reply(HEAD, words.format(code=code))
    alert = await town.sos()
    assert (alert["state"], alert["responder"]["name"]) == ("accepted", HEADS_NAME), words
    await town.expect_sms(HEAD, "已记您", "/s/")
    await town.expect_sms(SECOND, "is going")
    (command,) = await town.commands()
    assert (command["t"], command["cmd"], command["who"]) == (GRANNY, "help_coming", HEADS_NAME)
    assert command["ref"] == {"boot": 1, "seq": 1}
    assert command["eta_min"] == 8
    await town.no_more_sms()


async def test_the_whole_errand(town: Town) -> None:
    """Accepted, at the door, safe: each is recorded when it happens, the other steward hears of
    the end, the terminal too, and then nobody is disturbed for an hour."""
    await accepted(town)
    await town.commands()
    await town.move(4 * 60)
    await town.reply(HEAD, "2")
    assert (await town.sos())["state"] == "on_scene"
    assert said(await town.commands()) == []
    await town.move(5 * 60)
    await town.reply(HEAD, "3")
    alert = await town.sos()
    assert (alert["state"], alert["outcome"], alert["resolved_by"]) == (
        "resolved", "safe", HEADS_NAME,
    )  # fmt: skip
    assert alert["on_scene_ms"] - alert["opened_ms"] == 4 * 60_000
    assert said(await town.commands()) == ["resolved"]
    await town.expect_sms(SECOND, "is closed", "safe")
    for _ in range(6):
        await town.move(600)
    await town.no_more_sms()
    assert said(await town.commands()) == []


async def test_at_the_door_is_asked_after_twenty_minutes_never_taken_from_them(town: Town) -> None:
    """A steward who is at the door and silent for twenty minutes may need help: the care centre is
    asked to look; the errand stays the steward's."""
    await accepted(town)
    await town.reply(HEAD, "2")
    await town.move(20 * 60 - 1)
    await town.no_more_sms()
    await town.move(1)
    for number in DUTY:
        await town.expect_sms(number, "尚未了结")
    await town.no_more_sms()
    assert (await town.sos())["responder"]["name"] == HEADS_NAME


async def test_cannot_go_calls_the_next_at_once(town: Town) -> None:
    """A steward's "can't" is worth more than the rest of the wait: the next are called now, and
    the one who can't is left in peace."""
    await pressed(town)
    await town.reply(HEAD, "0")
    for number in (SUBSTITUTE, KEY_HOLDER, BEFRIENDER):
        await town.expect_sms(number, "求助")
    await town.expect_sms(SECOND, "SOS")
    await town.no_more_sms()


async def test_nobody_at_the_door_in_eight_minutes_reopens_the_alert(town: Town) -> None:
    """A promise lasts eight minutes. Then the next are called, the one who promised is asked, and
    a steward who arrives late is still at the door."""
    await accepted(town)
    await town.move(8 * 60 - 1)
    await town.no_more_sms()
    await town.move(1)
    alert = await town.sos()
    assert (alert["state"], alert["responder"]) == ("open", None)
    first, second = await town.phone(HEAD)
    assert "还没收到您" in first
    assert "求助" in second
    for number in (SUBSTITUTE, KEY_HOLDER, BEFRIENDER):
        await town.expect_sms(number, "求助")
    await town.expect_sms(SECOND, "SOS")
    await town.reply(HEAD, "2")
    assert (await town.sos())["state"] == "on_scene"
    await town.forget_sms()
    await town.move(10 * 60)
    await town.no_more_sms()


async def test_calling_more_people_does_not_cut_a_promise_short(town: Town) -> None:
    """The desk may call the next while a steward is on the way; the steward keeps the eight
    minutes they were given, and the resident's help stays theirs."""
    await accepted(town)
    await town.act((await town.sos())["id"], "escalate")
    await town.expect_sms(SUBSTITUTE, "求助")
    await town.forget_sms()
    await town.move(7 * 60)
    await town.no_more_sms()
    alert = await town.sos()
    assert (alert["state"], alert["responder"]["name"]) == ("accepted", HEADS_NAME)


async def test_pressing_again(town: Town) -> None:
    """A resident who presses again while nobody has come opens no second alert and no second
    round of messages; who is on the way hears of it, at most once a minute."""
    await pressed(town)
    await town.press()
    await town.no_more_sms()
    await town.reply(HEAD, "1")
    await town.forget_sms()
    await town.press()
    await town.expect_sms(HEAD, "又按了求助")
    await town.press()
    await town.no_more_sms()
    await town.move(60)
    await town.press()
    await town.expect_sms(HEAD, "又按了求助")
    await town.no_more_sms()
    assert (await town.sos())["presses"] == 5


async def test_a_cancel_is_information_never_the_end(town: Town) -> None:
    """The resident pressed cancel: those who were told know it, and are still asked to look; the
    ladder goes on."""
    await pressed(town)
    await town.press("sos_cancel")
    await town.expect_sms(HEAD, "取消", "仍请去看看")
    await town.expect_sms(SECOND, "cancel", "still look")
    assert (await town.sos())["state"] == "open"
    assert (await town.sos())["cancelled_by_resident"]
    await town.press("sos_cancel")
    await town.no_more_sms()
    await town.move(120)
    await town.expect_sms(SUBSTITUTE, "求助")


@pytest.mark.parametrize(
    ("kind", "more", "head", "second"),
    [
        ("fall", {}, "跌倒报警", "FALL"),
        ("sos", {"test": True}, "测试", "TEST!"),
        ("fall", {"test": True}, "测试", "TEST!"),
    ],
)
async def test_falls_and_tests_say_so(
    town: Town, kind: str, more: dict[str, object], head: str, second: str
) -> None:
    """A fall is told as a fall; an alarm made for a test is carried like any other and says in its
    first word that it is one."""
    await town.press(kind, **more)
    await town.expect_sms(HEAD, head)
    await town.expect_sms(SECOND, second)
    await town.no_more_sms()


@pytest.mark.parametrize("hours", [0.2, 3, 49])
async def test_a_late_press_is_flagged_and_never_dropped(town: Town, hours: float) -> None:
    """A press that lay in a terminal for hours, even for days, still calls both stewards, and says
    that it comes late."""
    at_ms = int((town.hand.at_s - hours * 3600) * 1000)
    await town.press(buffered=True, ts=at_ms, ts_ok=True)
    await town.expect_sms(HEAD, "迟到", "求助")
    await town.expect_sms(SECOND, "late alarm")
    assert (await town.sos())["late"]


async def test_two_stewards_at_once_and_two_homes(town: Town) -> None:
    """Both say yes in the same moment: one leads, both know; an SOS next door stays open and calls
    its people all the same."""
    await pressed(town)
    await asyncio.gather(town.reply(HEAD, "1"), town.reply(SECOND, "1"))
    alert = await town.sos()
    assert {r["name"] for r in alert["responders"]} == {HEADS_NAME, "罗少芬"}
    assert said(await town.commands()) == ["help_coming"]
    await town.forget_sms()
    await town.press(terminal="gd-11-303")
    await town.expect_sms(HEAD, "303", "求助")
    await town.expect_sms(SECOND, "303", "SOS")
    await town.no_more_sms()


async def test_what_a_terminal_has_not_answered_it_is_told_again(town: Town) -> None:
    """Help is coming, and the line or the broker goes down with the word of it: when her terminal
    is back it is told again, until it says that it has shown it. What is past its time is not."""
    await accepted(town)
    (first,) = await town.commands(answered=False)
    online = {"t": GRANNY, "s": "online", "boot": 1}
    await town.signals(statuses=[{**online, "t": "gd-11-303"}])
    assert await town.commands(answered=False) == [], "another terminal's"
    await town.signals(statuses=[{**online, "s": "lost"}])
    assert await town.commands(answered=False) == [], "it is not there"
    for _ in range(2):
        await town.signals(statuses=[online])
        told = await town.commands(answered=False)
        assert told == [first], "the same command: a terminal knows it by its id"
    shown = {"t": GRANNY, "cmd_id": first["cmd_id"], "result": "shown"}
    await town.signals(cmd_acks=[shown])
    await town.signals(statuses=[online])
    assert await town.commands(answered=False) == []
    await town.act((await town.sos())["id"], "resolve", outcome="safe")
    assert said(await town.commands(answered=False)) == ["resolved"]
    await town.move(2 * 3600)
    await town.signals(statuses=[online])
    assert await town.commands(answered=False) == [], "nobody cares any more"


async def test_a_terminal_that_is_silent_is_told_a_handful_of_times(town: Town) -> None:
    """It is on the line and the modem lost the word: it is told again after half a minute, and then
    ever more rarely; a foreign device that never answers hears it five times in ten minutes."""
    await accepted(town)
    (first,) = await town.commands(answered=False)
    since_s = 0
    for at_s, told in ((25, []), (31, [first]), (80, []), (91, [first]), (211, [first]),
                       (440, []), (451, [first]), (620, [])):  # fmt: skip
        await town.move(at_s - since_s)
        since_s = at_s
        assert await town.commands(answered=False) == told, f"after {at_s} s"
        assert await town.commands(answered=False) == [], "and once"


async def test_an_answer_ends_it_and_nothing_is_repeated_that_is_not_true(town: Town) -> None:
    """Who went turns back: the silent terminal does not hear once more that help is coming. Another
    goes: it hears that, again and again, until it has answered, and of the first no more."""
    await accepted(town)
    assert said(await town.commands(answered=False)) == ["help_coming"]
    await town.reply(HEAD, "0")
    assert (await town.sos())["state"] == "open"
    await town.move(31)
    assert await town.commands(answered=False) == []
    await town.signals(statuses=[{"t": GRANNY, "s": "online", "boot": 1}])
    assert await town.commands(answered=False) == [], "nor when it comes back on the line"
    await town.reply(SECOND, "1")
    (other,) = await town.commands(answered=False)
    await town.move(31)
    assert await town.commands() == [other]
    await town.move(120)
    assert await town.commands() == []


async def leave_open(_town: Town) -> None:
    """Nobody has answered."""


async def let_the_head_accept(town: Town) -> None:
    """The head is going."""
    await town.reply(HEAD, "1")


@pytest.mark.parametrize(
    ("before", "stopped_s", "expected"),
    [
        (leave_open, 60, ()),
        (leave_open, 180, (SUBSTITUTE, KEY_HOLDER, BEFRIENDER, HEAD, SECOND)),
        (leave_open, 420, (SUBSTITUTE, KEY_HOLDER, BEFRIENDER, HEAD, SECOND)),
        (let_the_head_accept, 420, ()),
    ],
)
async def test_a_stopped_server_catches_up_once(
    tmp_path: Path, before: Callable[[Town], Awaitable[None]], stopped_s: int,
    expected: tuple[str, ...],
) -> None:  # fmt: skip
    """The server stands still over one or even two due steps: those next in line get one SMS, the
    right one, and not one for every step missed. A promise made before survives the stop."""
    hand = Hand(MARCH_14)
    async with a_town(tmp_path, hand=hand) as town:
        await pressed(town)
        await before(town)
        was = await town.sos()
    hand.at_s += stopped_s
    async with a_town(tmp_path, hand=hand) as town:
        await town.gateway_lives()
        await town.ring()
        for number in expected:
            await town.expect_sms(number, "SOS" if number == SECOND else "求助")
        await town.no_more_sms()
        now = await town.sos()
        assert (now["state"], now["responder"]) == (was["state"], was["responder"])
