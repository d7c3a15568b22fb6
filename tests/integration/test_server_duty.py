"""The desk: whose shift it is, the holes in the rota, and the clock of 15 minutes."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from town import GRANNY, GZ, HEAD, SECOND, Town, a_town

EARLY, LATE, NIGHT = (
    (f"+861000000010{n}", f"+861000000010{n + 1}") for n in (1, 3, 5)
)
EVENING = datetime(2026, 3, 14, 21, 27, tzinfo=GZ)


@pytest.fixture
async def evening(tmp_path: Path) -> AsyncIterator[Town]:
    """The town three minutes before the night shift comes on."""
    async with a_town(tmp_path, EVENING) as town:
        await town.gateway_lives()
        yield town


async def set_shifts(town: Town, number: str, *shifts: dict[str, Any]) -> int:
    """Give somebody of the desk these shifts; the answer's status."""
    body = {"shifts": list(shifts), "reason": "new rota"}
    path = f"/api/v1/people/{await town.person(number)}/shifts"
    return (await town.api.put(path, json=body)).status_code


async def away(town: Town, number: str, hours: float) -> None:
    """This person is away for so long."""
    until = town.runtime.clock.now() + timedelta(hours=hours)
    body = {"until": until.isoformat(), "reason": "ill"}
    path = f"/api/v1/people/{await town.person(number)}/absence"
    (await town.api.post(path, json=body)).raise_for_status()


async def gap(town: Town) -> list[str]:
    """The hole that staff are told of."""
    found = await town.alerts(kind="fault", state="unresolved")
    return [a["detail"] for a in found if a["fault"] == "rota_gap"]


async def test_whoever_has_the_shift_is_called(evening: Town) -> None:
    """Pressed at 21:27: the desk hears at 21:31 and it is the night shift's desk by then; the
    late shift sleeps. What is explained beforehand is what happens."""
    asked = {"resident": GRANNY, "at": evening.runtime.clock.now().isoformat()}
    answer = (await evening.api.get("/api/v1/ladder/explain", params=asked)).json()
    third = answer["steps"][2]
    names = {p.phone: p.name for p in evening.community.duty}
    assert {p["name"] for p in third["told"]} == {names[n] for n in NIGHT}
    assert all(p["shift_until_ms"] for p in third["told"])
    assert {(p["name"], p["why"]) for p in third["passed_over"]} == {
        (names[n], "off_shift") for n in (*EARLY, *LATE)
    }
    await evening.press()
    await evening.watch(120)
    await evening.forget_sms()
    await evening.watch(120)
    for number in NIGHT:
        await evening.expect_sms(number, "求助4分钟")
    await evening.no_more_sms()


async def test_nobody_on_shift_and_all_of_the_desk_is_called(evening: Town) -> None:
    """Both of the night are ill: staff see the hole before it comes, and in it everybody who ever
    has the duty is called. Better woken than unheard."""
    assert await gap(evening) == []
    for number in NIGHT:
        await away(evening, number, 24)
    await evening.ring()
    assert await gap(evening) == ["03-14 21:30 – 03-15 05:30"]
    await evening.watch(60)
    assert len(await gap(evening)) == 1, "one entry, not one a minute"
    await evening.press()
    await evening.watch(120)
    await evening.forget_sms()
    await evening.watch(120)
    for number in (*EARLY, *LATE):
        await evening.expect_sms(number, "求助4分钟")
    await evening.no_more_sms()


async def test_a_hole_in_the_rota_is_foreseen_and_mended(town: Town) -> None:
    """Nobody is left for Saturday's night: staff see it in the morning, and it closes by itself
    when somebody is given that night."""
    weekdays = {"days": [1, 2, 3, 4, 5], "starts": "21:30", "ends": "05:30"}
    for number in NIGHT:
        assert await set_shifts(town, number, weekdays) == 200
    await town.ring()
    assert await gap(town) == ["03-14 21:30 – 03-15 05:30"]
    rota = (await town.api.get("/api/v1/rota")).json()
    assert [len(p["shifts"]) for p in rota["duty"]] == [1] * 6
    assert [p["on_shift"] for p in rota["duty"]] == [True, True, False, False, False, False]
    assert len(rota["gaps"]) == 1
    weekend = {"days": [6, 7], "starts": "21:30", "ends": "05:30"}
    assert await set_shifts(town, NIGHT[0], weekdays, weekend) == 200
    await town.ring()
    assert await gap(town) == []
    noted = [e["data"] for e in await town.journal() if e["kind"] == "shifts_set"]
    assert len(noted) == 3
    assert (noted[0]["by"], noted[0]["why"]) == ("api", "new rota")
    await town.no_more_sms()


async def test_shifts_that_can_not_be(town: Town) -> None:
    """The street office has no rota, a shift has days and hours, and nobody is nobody."""
    early = {"days": [1], "starts": "06:00", "ends": "14:00"}
    listed = (await town.api.get("/api/v1/assignments")).json()["assignments"]
    street = next(a["person_id"] for a in listed if a["role"] == "street")
    put = {"shifts": [early], "reason": "new rota"}
    assert (await town.api.put(f"/api/v1/people/{street}/shifts", json=put)).status_code == 409
    assert await set_shifts(town, EARLY[0], {**early, "days": []}) == 422
    assert await set_shifts(town, EARLY[0], {**early, "starts": "6"}) == 422
    body = {"shifts": [], "reason": "nobody"}
    assert (await town.api.put("/api/v1/people/99999/shifts", json=body)).status_code == 404


async def calls_for_120(town: Town) -> list[list[str]]:
    """What each of those on shift has been texted about 120 since the last look."""
    return [[b for b in await town.phone(p) if "请打120" in b] for p in EARLY]


async def test_eight_minutes_without_a_yes_and_the_desk_is_to_call_120(town: Town) -> None:
    """Nobody answers: from the eighth minute the card says to call 120, since when, and what to
    read out; once in the journal, and to the desk's telephones in the ladder's own turn. Somebody
    at the door, and it asks no more."""
    await town.press()
    assert (await town.sos())["emergency"]["prompt"] is False
    begins = (await town.sos())["emergency"]["begins_ms"]
    await town.move(8 * 60 - 1)
    assert (await town.sos())["emergency"]["prompt"] is False
    await town.move(1)
    assert [len(told) for told in await calls_for_120(town)] == [1, 1]
    emergency = (await town.sos())["emergency"]
    assert (emergency["prompt"], emergency["since_ms"]) == (True, begins)
    assert emergency["read_out"] == {
        "zh": "广东省广州市天河区榕影路188号广氮小区,救护车走东门,11栋3楼301,84岁独居",
        "en": "Guangdan Estate, 188 Rongying Road, Tianhe District, Guangzhou, Guangdong; "
        "ambulances take the east gate, building 11, floor 3, flat 301, aged 84, alone",
    }
    await town.move(60)
    prompted = [e for e in await town.journal() if e["kind"] == "emergency_prompted"]
    assert len(prompted) == 1
    assert prompted[0]["data"]["nobody_going"] is True
    sos = await town.sos()
    await town.act(sos["id"], "on-scene", as_person_id=await town.person(HEAD))
    assert (await town.sos())["emergency"]["prompt"] is False
    await town.act(sos["id"], "resolve", outcome="helped")
    assert (await town.sos())["emergency"] is None


async def test_what_a_press_waited_for_a_line_counts(town: Town) -> None:
    """Pressed twelve minutes before it reached us: the desk is asked for 120 at once, on its
    telephones too, counted from the press; with somebody on the way, three minutes later."""
    pressed_ms = int((town.hand.at_s - 12 * 60) * 1000)
    await town.press(buffered=True, ts=pressed_ms, ts_ok=True)
    await town.ring()
    emergency = (await town.sos())["emergency"]
    assert (emergency["prompt"], emergency["since_ms"]) == (True, pressed_ms + 8 * 60_000)
    assert [len(told) for told in await calls_for_120(town)] == [1, 1]
    prompted = [e for e in await town.journal() if e["kind"] == "emergency_prompted"]
    assert len(prompted) == 1
    await town.reply(HEAD, "1")
    assert (await town.sos())["emergency"]["prompt"] is False
    await town.move(3 * 60)
    assert (await town.sos())["emergency"]["prompt"] is True


async def test_somebody_on_the_way_has_until_the_fifteenth_minute(town: Town) -> None:
    """One says in the eighth minute that they go, and is not at the door 15 minutes after the
    press: 120, though their own eight minutes are not over and no step of the ladder is due. Told
    once."""
    await town.press()
    await town.move(7 * 60 + 30)
    await town.reply(HEAD, "1")
    await town.move(7 * 60 + 29)
    assert (await town.sos())["emergency"]["prompt"] is False
    await town.move(1)
    emergency = (await town.sos())["emergency"]
    assert emergency["prompt"] is True
    assert [len(told) for told in await calls_for_120(town)] == [1, 1]
    await town.watch(25)
    assert [len(told) for told in await calls_for_120(town)] == [0, 0]
    prompted = [e for e in await town.journal() if e["kind"] == "emergency_prompted"]
    assert [e["data"]["nobody_going"] for e in prompted] == [False]


async def test_a_test_press_calls_no_ambulance(town: Town) -> None:
    """A test proves the chain; it asks nobody for 120."""
    await town.press(test=True)
    await town.move(20 * 60)
    assert (await town.sos())["emergency"]["prompt"] is False
    assert await calls_for_120(town) == [[], []]


async def test_a_real_press_in_the_middle_of_a_drill_is_a_real_call(town: Town) -> None:
    """A drill is open when she falls: a new alert with new words, an SOS's clock of 120 and the
    whole ladder; the drill ends without a word, for the next thing that anybody hears is this."""
    await town.press(test=True)
    await town.expect_sms(HEAD, "测试")
    await town.forget_sms()
    await town.move(60)
    await town.press()
    real, drill = sorted(await town.alerts(kind="sos"), key=lambda a: a["test"])
    assert (drill["test"], drill["state"]) == (True, "resolved")
    assert (real["test"], real["state"]) == (False, "open")
    assert "测试" not in await town.expect_sms(HEAD, "求助")
    assert [c["cmd"] for c in await town.commands()] == []
    await town.reply(SECOND, "1")
    assert [c["cmd"] for c in await town.commands()] == ["help_coming"]
    await town.press(test=True)
    again = await town.alerts(kind="sos", state="unresolved")
    assert [a["id"] for a in again] == [real["id"]], "a test press makes no drill of a real call"
    await town.move(16 * 60)
    found = next(a for a in await town.alerts(kind="sos") if a["id"] == real["id"])
    assert found["emergency"]["prompt"] is True


async def test_cannot_go_while_another_goes_sends_nothing_to_the_resident(town: Town) -> None:
    """The head is on the way; the second can't: the terminal is told of the head once, and the
    second's word is on record."""
    await town.press()
    await town.reply(HEAD, "1")
    assert [c["cmd"] for c in await town.commands()] == ["help_coming"]
    await town.reply(SECOND, "0")
    assert await town.commands() == []
    declined = [e for e in await town.journal() if e["kind"] == "declined"]
    assert len(declined) == 1
    assert (await town.sos())["responder"]["name"] == "邝彩霞"
