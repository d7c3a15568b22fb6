"""Claims about the screens over the real server: a press reaches the wall, and a tap the terminal.

Nothing is scripted here: real server, real database, real SMS client against its stand-in, real
Chromium. Only the clock belongs to the test.
"""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.town import GRANNY, HEAD, PASSWORD, SECOND, Town, a_town, page_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

BUILDING = '.building[data-number="11"]'


async def logged_in(browser: Browser, town: Town) -> Page:
    """The wall, after the login a person would do."""
    page = await browser.new_page(viewport={"width": 1920, "height": 1080})
    await page.goto(f"{town.url}/wall")
    await page.fill("#username", "operator")
    await page.fill("#password", PASSWORD)
    await page.click("button.main")
    await page.wait_for_url("**/wall")
    await expect(page.locator("body")).to_have_attribute("data-feed", "live")
    return page


async def window_of(town: Town) -> str:
    """The selector of the window that the woman of 84 lives behind."""
    residents = (await town.api.get("/api/v1/residents", params={"building": 11})).json()
    (flat,) = [r["flat_id"] for r in residents["residents"] if r["terminal_id"] == GRANNY]
    return f'[data-flat="{flat}"]'


async def test_a_press_is_on_the_wall_and_accepting_reaches_the_terminal(
    browser: Browser, tmp_path: Path
) -> None:
    """Press → red window and card (how soon: tests/bench/wall.py); accepted on the wall for the
    steward who phoned → help_coming is queued; at the door is that steward and nobody else;
    resolved from the wall → the window is calm again."""
    async with a_town(tmp_path) as town:
        page = await logged_in(browser, town)
        window = page.locator(await window_of(town))
        await expect(page.locator(".card")).to_have_count(0)
        await town.press()
        await expect(window).to_have_attribute("data-state", "sos")
        card = page.locator('[data-group="sos"] .card')
        await expect(card.locator(".pick")).to_have_text("11栋3楼301")
        await expect(page.locator(f"{BUILDING} .word")).to_have_text("SOS")
        head = await town.person(HEAD)
        await card.locator("select").select_option(str(head))
        await card.locator('[data-act="accept"]').click()
        claimed = page.locator('[data-group="claimed"] .card')
        await expect(claimed.locator(".who")).to_contain_text("前往中")
        await expect(window).to_have_attribute("data-state", "claimed")
        coming = [c for c in await town.commands() if c["cmd"] == "help_coming"]
        assert [c["t"] for c in coming] == [GRANNY]
        await claimed.locator('[data-act="on_scene"]').click()
        await expect(claimed.locator(".who")).to_contain_text("已到门口")
        at_the_door = [r["person_id"] for r in (await town.sos())["responders"]]
        assert at_the_door == [head], "the desk that pressed for them goes nowhere"
        await claimed.locator('[data-act="resolve"]').click()
        await page.check('#resolve [value="helped"]')
        await page.click("#resolve button.strong")
        await expect(page.locator(".card")).to_have_count(0)
        await expect(window).not_to_have_attribute("data-state", re.compile("sos|claimed"))
        assert (await town.sos())["outcome"] == "helped"
        await page.close()


async def test_the_steward_goes_from_the_sms_to_safe_in_the_browser(
    browser: Browser, tmp_path: Path
) -> None:
    """SMS → link → 我去 → 我到门口 → 平安, without scripts; the other steward is named as told, and
    the private part opens only in between."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.expect_sms(SECOND)
        await town.expect_sms(HEAD, "求助")
        await town.reply(HEAD, "1")
        link = re.search(r"https?://\S+/s/[\w-]+", " ".join(await town.phone(HEAD)))
        assert link is not None, "the confirmation carries the page's link"
        page = await browser.new_page(
            viewport={"width": 360, "height": 640}, java_script_enabled=False
        )
        await page.goto(link[0])
        body = page.locator("body")
        await expect(body).to_contain_text("怎么进门")
        await expect(page.locator(".others")).to_contain_text("已通知")
        await page.click("button.first")
        await expect(body).to_contain_text("您到门口了")
        await page.click('button:has-text("平安")')
        await expect(body).to_contain_text("已结束")
        await expect(body).not_to_contain_text("怎么进门")
        alert = await town.sos()
        assert (alert["state"], alert["outcome"]) == ("resolved", "safe")
        await page.close()


async def test_the_alerts_own_page_acts_and_logs_each_look_at_the_way_in(
    browser: Browser, tmp_path: Path
) -> None:
    """The detail page shows who was told and what comes next; the way in costs a reason, which
    stands in the journal with the name of who looked."""
    async with a_town(tmp_path) as town:
        wall = await logged_in(browser, town)
        await town.press()
        await town.settled()
        async with wall.expect_popup() as opened:
            await wall.locator(".card a.detail").click()
        page = await opened.value
        await expect(page.locator("h1")).to_have_text("11栋3楼301")
        await expect(page.locator("table.told tbody tr")).to_have_count(2)
        await expect(page.locator(".ladder .next")).to_contain_text("01:")
        await expect(page.locator("body")).not_to_contain_text("天井")
        await page.fill("#reason", "邻居来电")
        await page.click("#access button")
        await expect(page.locator("#access")).to_contain_text("天井")
        looks = [e["data"] for e in await town.journal() if e["kind"] == "access_looked_at"]
        assert [(look["by"], look["why"]) for look in looks] == [("operator", "邻居来电")]
        await page.check('[value="false_alarm"]')
        await page.click(".resolve button.strong")
        await expect(page.locator(".head")).to_contain_text("已结束:误报")
        async with page.expect_event("close"):
            await page.click("a.back")
        await expect(wall.locator(".card")).to_have_count(0)
        await wall.close()


async def test_guessing_is_slowed_down_and_the_wall_stays_logged_in(
    browser: Browser, tmp_path: Path
) -> None:
    """After the free guesses even the right password has to wait; the open session and an SOS are
    untouched, and the pause ends with the clock."""
    async with a_town(tmp_path) as town:
        page = await logged_in(browser, town)
        form = {"username": "operator", "password": "wrong"}
        answers = [await town.api.post("/login", data=form) for _ in range(7)]
        assert [a.status_code for a in answers] == [401] * 6 + [429]
        right = {"username": "operator", "password": PASSWORD}
        assert (await town.api.post("/login", data=right)).status_code == 429
        await town.press()
        await expect(page.locator('[data-group="sos"] .card')).to_have_count(1)
        await page.reload()
        await expect(page.locator('[data-group="sos"] .card')).to_have_count(1)
        town.hand.at_s += 15
        assert (await town.api.post("/login", data=right)).status_code == 303
        await page.close()


@pytest.mark.parametrize("accepted", [False, True])
async def test_a_robot_that_opens_the_link_changes_nothing(
    browser: Browser, tmp_path: Path, *, accepted: bool
) -> None:
    """Previews run whole browsers, scripts and all: opened three times and reloaded, the alert and
    the journal are as they were, nobody goes or has looked, and the title names nobody."""
    async with a_town(tmp_path) as town:
        await town.press()
        if accepted:
            await town.forget_sms()
            await town.reply(SECOND, "1")
        path = page_in(" ".join(await town.phone(SECOND)))
        before, journal = await town.sos(), await town.journal()
        for _ in range(3):
            robot = await browser.new_page()
            await robot.goto(f"{town.url}{path}")
            await robot.reload()
            await robot.wait_for_load_state("networkidle")
            assert "301" not in await robot.title()
            await robot.close()
        assert await town.sos() == before
        assert await town.journal() == journal
