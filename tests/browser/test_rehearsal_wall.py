"""During a rehearsal the wall tells what is simulated from what is real, over the real server."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from test_real_server import BUILDING, logged_in

from server.core.words import Outcome
from server.service import rehearsing
from tests.town import Town, a_town

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOUSE = '.building[data-number="900"]'
SOS = '[data-group="sos"] .card'


async def begin(town: Town) -> None:
    """A rehearsal in building 900."""
    listed = [rehearsing.Listed("演练一", "+8619900000001")]
    await town.runtime.database.write(
        lambda tx: rehearsing.set_up(
            tx, building=900, flats=3, listed=listed, who="test", why="test"
        )
    )


async def dashed(page: Page, selector: str) -> str:
    """How the edge of something is drawn."""
    style: str = await page.locator(selector).evaluate("e => getComputedStyle(e).borderTopStyle")
    return style


async def test_a_simulated_press_is_told_from_a_real_one(browser: Browser, tmp_path: Path) -> None:
    """The house is framed and named; its press has a card that says so and is not counted, while a
    real one beside it is, stands first, and is drawn as ever. Ended, nothing of it is left."""
    async with a_town(tmp_path) as town:
        await begin(town)
        page = await logged_in(browser, town)
        await expect(page.locator(f"{HOUSE} .name")).to_have_text("演练 900栋")
        await expect(page.locator(HOUSE)).to_have_attribute("data-rehearsal", "yes")
        assert await page.locator("[data-rehearsal='yes']").count() == 1
        await town.press(terminal="sim-900-101")
        simulated = page.locator(f"{SOS}[data-rehearsal='true']")
        await expect(simulated.locator(".pick")).to_have_text("演练 900栋1楼101")
        await expect(simulated.locator(".fact.test")).to_have_text("演练")
        await expect(page.locator(f"{HOUSE} .word")).to_have_text("SOS")
        count = page.locator('[data-count="sos"] dd')
        await expect(count).to_have_text("0")
        assert await dashed(page, f"{SOS}[data-rehearsal='true']") == "dashed"

        await town.press()
        real = page.locator(f"{SOS}[data-rehearsal='false']")
        await expect(real.locator(".pick")).to_have_text("11栋3楼301")
        await expect(real.locator(".fact.test")).to_have_count(0)
        await expect(count).to_have_text("1")
        await expect(page.locator(f"{BUILDING} .word")).to_have_text("SOS")
        assert await dashed(page, f"{SOS}[data-rehearsal='false']") == "solid"
        first = page.locator(SOS).first
        await expect(first).to_have_attribute("data-rehearsal", "false")

        await town.runtime.database.write(
            lambda tx: rehearsing.end(
                tx, town.runtime.house, building=900, outcome=Outcome.OTHER, who="梁工", why="over"
            )
        )
        await expect(simulated).to_have_count(0)
        await expect(real).to_have_count(1)
        await page.reload()
        await expect(page.locator(BUILDING)).to_have_count(1)
        await expect(page.locator(HOUSE)).to_have_count(0)
        await page.close()


async def test_the_alerts_page_and_the_table_say_so_too(browser: Browser, tmp_path: Path) -> None:
    """In both languages: whoever opens the alert, or reads the wall as a table."""
    async with a_town(tmp_path) as town:
        await begin(town)
        await town.press(terminal="sim-900-101")
        alert = await town.sos()
        page = await logged_in(browser, town)
        for lang, word in (("zh", "演练"), ("en", "REHEARSAL")):
            await page.goto(f"{town.url}/alerts/{alert['id']}?lang={lang}")
            await expect(page.locator(".facts .test")).to_have_text(word)
            await expect(page.locator("h1")).to_contain_text(word)
            await page.goto(f"{town.url}/wall?lang={lang}")
            rows = page.locator("tr[data-row] th")
            await expect(rows.filter(has_text=word)).to_have_count(1)
            await expect(rows.filter(has_text=word)).to_contain_text("900")
        await page.close()
