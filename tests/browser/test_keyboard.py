"""Claims about the wall's keys: quick for those who know them, harmless for a sleeve."""

import pytest
from dashboards_fake import alert
from playwright.async_api import Browser, expect

from tests.browser.test_wall_live import sos_change, wall

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_j_and_k_walk_through_the_cards(browser: Browser) -> None:
    """Down, down, up; the ends hold."""
    async with wall(browser, busy=True) as (_served, page):
        chosen = page.locator(".card:focus")
        for key, number in (("k", "9"), ("j", "9"), ("k", "8"), ("k", "7"), ("j", "8")):
            await page.keyboard.press(key)
            await expect(chosen).to_have_attribute("data-alert", number)


async def test_c_accepts_only_the_chosen_card(browser: Browser) -> None:
    """Without a chosen card C does nothing; with one it is one POST for that alert."""
    async with wall(browser, busy=True) as (served, page):
        served.script.post_answer = (200, alert(5, version=2))
        await page.keyboard.press("c")
        await page.keyboard.press("j")
        async with page.expect_response("**/accept"):
            await page.keyboard.press("c")
        assert served.script.posts == [("5/accept", {}, "xunlou")]
        async with page.expect_response("**/escalate"):
            await page.keyboard.press("e")
        assert [path for path, _, _ in served.script.posts] == ["5/accept", "5/escalate"]


async def test_the_choice_survives_a_card_that_moves(browser: Browser) -> None:
    """Accepted from the keyboard, the card changes its group and keeps the focus."""
    async with wall(browser, busy=True) as (served, page):
        await page.keyboard.press("j")
        await expect(page.locator(".card:focus")).to_have_attribute("data-alert", "5")
        change = sos_change(101, state="accepted", version=2, actions=["on_scene", "resolve"])
        await served.script.send("change", change)
        moved = page.locator('[data-group="claimed"] .card:focus')
        await expect(moved).to_have_attribute("data-alert", "5")


async def test_enter_opens_the_details(browser: Browser) -> None:
    """From the keyboard to the alert's own page, in the one second tab; the wall stays."""
    async with wall(browser, busy=True) as (_served, page):
        await page.keyboard.press("j")
        async with page.expect_popup() as opened:
            await page.keyboard.press("Enter")
        detail = await opened.value
        await detail.wait_for_url("**/alerts/5")
        await expect(detail.locator("h1")).to_have_text("11栋3楼301")
        assert page.url.endswith("/wall")
        await detail.close()


async def test_the_help_lists_the_keys_and_can_switch_them_off(browser: Browser) -> None:
    """? opens the list; with single keys off only ? works, after a reload too."""
    async with wall(browser, busy=True) as (_served, page):
        await page.keyboard.press("?")
        dialog = page.locator("#help")
        await expect(dialog).to_be_visible()
        await expect(dialog.locator("kbd")).to_have_count(9)
        await dialog.locator("[data-keys]").uncheck()
        await page.keyboard.press("Escape")
        await page.reload()
        await page.keyboard.press("j")
        await expect(page.locator(".card:focus")).to_have_count(0)
        await page.keyboard.press("?")
        await expect(dialog).to_be_visible()


async def test_a_building_is_found_by_its_number(browser: Browser) -> None:
    """/ 3 2 Enter marks building 32, and typing there triggers no shortcut."""
    async with wall(browser, busy=True) as (served, page):
        await page.keyboard.press("/")
        await page.keyboard.type("c32")
        await page.keyboard.press("Home")
        await page.keyboard.press("Delete")
        await page.keyboard.press("Enter")
        await expect(page.locator('[data-building="32"]')).to_have_attribute("aria-pressed", "true")
        assert served.script.posts == []


async def test_a_building_that_is_not_there_is_said_so(browser: Browser) -> None:
    """An unknown number, and none, keep the dialog open and say it; the next number is found; the
    next search begins without the old words."""
    async with wall(browser, busy=True) as (_served, page):
        dialog, words = page.locator("#find"), page.locator("#find .failure")
        await page.keyboard.press("/")
        for typed in ("Enter", "9", "9", "Enter"):
            await page.keyboard.press(typed)
        await expect(words).to_have_text("没有这栋楼")
        await expect(dialog).to_be_visible()
        await page.keyboard.type("32")  # over what was typed
        await page.keyboard.press("Enter")
        await expect(dialog).to_be_hidden()
        await expect(page.locator('[data-building="32"]')).to_have_attribute("aria-pressed", "true")
        await page.keyboard.press("/")
        await expect(words).to_be_hidden()
