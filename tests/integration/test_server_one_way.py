"""Mainland China: nobody can answer an SMS, no link gets through, and an SOS is still taken."""

from pathlib import Path

import pytest
from town import GRANNY, HEAD, SECOND, a_town, bound, settings_for

from server import migrate
from server.app import NotReady, build


async def test_the_text_announces_the_call_and_the_call_is_answered(tmp_path: Path) -> None:
    """Both stewards read the address, that a call comes and which number to dial; both telephones
    ring from the first step on, by day; a key accepts, and no message asks for a reply."""
    async with a_town(tmp_path, sms_two_way=False, duty_phone="020-81234567") as town:
        await town.press()
        text = await town.expect_sms(HEAD, "11栋3楼301求助", "来电", "020-81234567")
        assert "回1" not in text
        await town.expect_sms(SECOND, "A call comes", "020-81234567")
        await town.rings(SECOND)
        await town.pick_up(HEAD)
        await town.key(HEAD, "1")
        assert (await town.sos())["state"] == "accepted"
        confirmed = await town.expect_sms(HEAD, "已记您前往")
        assert "http" not in confirmed
        assert "回2" not in confirmed


async def test_without_calls_the_duty_telephone_stands_in_the_text(tmp_path: Path) -> None:
    """No calls either: the text says whom to phone, promises no call, and rings nobody."""
    async with a_town(tmp_path, sms_two_way=False, voice=False, duty_phone="020-81234567") as town:
        await town.press()
        text = await town.expect_sms(HEAD, "请致电020-81234567")
        assert "来电" not in text
        await town.move(120)
        assert await town.calls(HEAD) == []
        answer = await town.api.get("/api/v1/ladder/explain", params={"resident": GRANNY})
        told = [person for step in answer.json()["steps"] for person in step["told"]]
        assert {tuple(person["channels"]) for person in told} == {("sms",)}, "what can be kept"


def test_a_house_where_nobody_could_answer_does_not_start(tmp_path: Path) -> None:
    """No replies, no calls, no telephone: refused, with what to set."""
    url = f"sqlite:///{tmp_path / 'town.db'}"
    migrate.upgrade(url)
    settings = settings_for(url, bound()[1], "http://127.0.0.1:1", sms_two_way=False, voice=False)
    with pytest.raises(NotReady, match="XUNLOU_DUTY_PHONE"):
        build(settings)
