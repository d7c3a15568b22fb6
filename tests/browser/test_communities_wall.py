"""The wall of an account that sees two communities, over the real server."""

import contextlib
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from test_real_server import logged_in

from tests import neighbour
from tests.town import a_town

pytestmark = pytest.mark.asyncio(loop_scope="session")

TWO = '.building[data-number="2"]'


async def ask_for_a_number(page: Page) -> None:
    """Press / until the dialog is there, as a person would. On a machine with nothing to spare a
    single press was once not answered in thirty seconds, by a page that was otherwise alive."""
    dialog = page.locator("#find")
    for _ in range(10):
        await page.keyboard.press("/")
        with contextlib.suppress(AssertionError):
            await expect(dialog).to_be_visible(timeout=1_000)
            return
    await expect(dialog).to_be_visible()


async def test_an_alert_of_the_second_community_is_at_its_own_house(
    browser: Browser, tmp_path: Path
) -> None:
    """Both have a house 2. The feed puts the press at theirs, the card names it, each community
    has a line with its own round, and a number that is looked for twice is each of them once."""
    async with a_town(tmp_path) as town:
        community = await neighbour.move_in(town)
        page = await logged_in(browser, town)
        heads = page.locator("h2.community")
        await expect(heads).to_have_count(2)
        await expect(heads.nth(1)).to_contain_text(neighbour.NAME)
        ours, theirs = page.locator(TWO).nth(0), page.locator(TWO).nth(1)
        await expect(theirs).to_have_attribute("data-name", f"{neighbour.NAME}2栋")
        await expect(theirs.locator(".name")).to_have_text("2栋")
        head = heads.nth(1).locator("[data-slot=round]")
        await expect(head).to_contain_text("05:00")

        alone = next(f.resident for f in community.buildings[1].flats if f.resident)
        await town.press(terminal=alone.terminal_id)
        await expect(theirs.locator(".word")).to_have_text("SOS")
        await expect(ours.locator(".word")).not_to_have_text("SOS")
        await expect(page.locator(".card .pick")).to_contain_text(f"{neighbour.NAME}2栋")

        for house in (ours, theirs):
            await ask_for_a_number(page)
            await page.fill("#find-number", "2")
            await page.keyboard.press("Enter")
            await expect(house).to_have_attribute("aria-pressed", "true")
        await page.close()
