"""Claims about what staff and stewards read: who else was told, the desk's load, one alert."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from staff_kit import login, make_account
from town import GRANNY, HEAD, SECOND, Town, a_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A watched town on the morning of 14 March."""
    async with a_town(tmp_path) as running:
        yield running


async def others(town: Town, number: str) -> str:
    """The part of this steward's page that says who else was told, as text."""
    (link,) = re.findall(r"https?://\S+/s/[\w-]+", " ".join(await town.phone(number)))[-1:]
    async with httpx.AsyncClient() as client:
        page = (await client.get(link)).raise_for_status().text
    found = re.search(r'<ul class="others">(.*?)</ul>', page, re.S)
    return re.sub(r"<[^>]+>|\s+", " ", found[1]) if found else ""


async def detail(town: Town) -> dict[str, Any]:
    """The one SOS, whole."""
    answer = await town.api.get(f"/api/v1/alerts/{(await town.sos())['id']}")
    whole: dict[str, Any] = answer.raise_for_status().json()
    return whole


async def test_a_steward_sees_that_the_other_was_told_and_has_not_answered(town: Town) -> None:
    """Silence is told in words: the other steward was told; no phone number stands there."""
    await town.press()
    await town.forget_sms()
    await town.reply(HEAD, "1")
    words = await others(town, HEAD)
    assert "已通知" in words or "told" in words.lower()
    assert "+86" not in words


async def test_a_steward_sees_that_the_other_cannot_come(town: Town) -> None:
    """A "0" of the other one is shown as such, not as silence."""
    await town.press()
    await town.forget_sms()
    await town.reply(SECOND, "0")
    await town.forget_sms()
    await town.reply(HEAD, "1")
    assert "去不了" in await others(town, HEAD)


async def test_the_load_counts_the_alarms_of_ten_minutes(town: Town) -> None:
    """Two presses for one emergency are one alarm; after ten minutes it is none."""

    async def load() -> int:
        return int((await town.api.get("/api/v1/snapshot")).json()["alarms_10min"])

    assert await load() == 0
    await town.press()
    await town.press()
    assert await load() == 1
    town.hand.at_s += 601
    assert await load() == 0


async def test_an_alert_has_its_ladder_with_what_comes_next(town: Town) -> None:
    """First both stewards, taken; the next step with its time; the rest later; then climbing."""
    await town.press()
    await town.settled()
    first = await detail(town)
    assert [s["state"] for s in first["ladder"]["steps"]] == ["taken", "next", *["later"] * 3]
    assert first["ladder"]["steps"][1]["at_ms"] == first["next_step"]["at_ms"]
    assert len(first["ladder"]["steps"][0]["people"]) == 2
    assert first["resident"]
    await town.move(121)
    second = await detail(town)
    states = [s["state"] for s in second["ladder"]["steps"]]
    assert states == ["taken", "taken", "next", "later", "later"]
    assert (await town.api.get("/api/v1/alerts/4711")).status_code == 404


async def test_whole_numbers_are_for_those_who_may_have_to_dial(town: Town) -> None:
    """Whoever only looks reads the last digits of those behind the ladder, in the API and on the
    page; who acts has the number in the link, and no page shows it to the eye."""
    await town.press()
    await town.settled()
    number = (await town.sos())["id"]
    seen = {}
    for role in ("auditor", "operator"):
        await make_account(town, role + "-1", role)
        async with await login(town, role + "-1") as browser:
            found = (await browser.get(f"/api/v1/alerts/{number}")).json()
            seen[role] = [p for s in found["ladder"]["steps"] for p in s["people"]]
            page = (await browser.get(f"/alerts/{number}")).text
        assert (f'href="tel:{HEAD}"' in page) == (role == "operator")
        assert f'title="{HEAD[:6]}****{HEAD[-4:]}"' in page or role == "auditor"
        assert HEAD not in page.replace(f'href="tel:{HEAD}"', "")
    assert all(p["phone_masked"].endswith(p["phone"][-4:]) for p in seen["operator"])
    assert len(seen["auditor"]) == len(seen["operator"]) > 2
    assert not any("phone" in p for p in seen["auditor"])
    assert not any(p["phone"] in str(seen["auditor"]) for p in seen["operator"])


async def test_the_access_notes_are_not_in_the_detail(town: Town) -> None:
    """The way in needs a logged look; the alert's own body does not carry it."""
    await town.press()
    whole = str(await detail(town))
    answer = await town.api.post(
        f"/api/v1/residents/{(await town.sos())['resident_id']}/access", json={"reason": "test"}
    )
    assert answer.json()["access_notes"] not in whole
    assert GRANNY in whole
