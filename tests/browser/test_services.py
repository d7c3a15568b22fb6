"""Claims about the pages of requests, visits, greetings, hours and terminals in a real
browser: legible for everybody, large enough for a finger, and without a script that they would
need."""

import pytest
from browser_house import house
from dashboards_fake import FakeReader
from playwright.async_api import Browser
from test_accessibility import LOOKS, violations, visit
from test_register import A4_PT, SMALL, WIDTHS, opened, pages_of

from dashboards.reader import User

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAPER = "/greetings/sheet"
SEEN = ("/requests", "/requests/5", "/requests/6", "/visits", "/greetings", "/hours", "/hours/101",
        "/terminals", "/terminals/gd-11-301", "/terminals/gd-stock-1", PAPER)  # fmt: skip


def reader() -> FakeReader:
    """Somebody who may do everything here."""
    fake = FakeReader(busy=True)
    rights = frozenset({"look", "act", "access", "report", "register"})
    fake.user = User("李文静", "coordinator", rights=rights)
    return fake


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
async def test_no_violation_nothing_sideways_all_within_reach(
    browser: Browser, theme: str, lang: str
) -> None:
    """axe-core with every form open; no scrolling sideways; 24 px for everything to be touched."""
    async with house(reader()) as served:
        page = await visit(browser, served, SEEN[0], theme, lang)
        for path in SEEN:
            answer = await page.goto(served.url + path)
            assert answer is not None
            assert answer.status == 200, path
            await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = 1")
            assert await violations(page) == [], path
            for width in WIDTHS:
                await page.set_viewport_size({"width": width, "height": 900})
                wide = await page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (path, width, wide)
                assert await page.evaluate(SMALL, 24) == [], (path, width)
        await page.context.close()


async def test_a_greeting_is_ticked_off_without_a_script(browser: Browser) -> None:
    """The button alone does it, with the person's name in it for those who hear the page."""
    fake = reader()
    async with house(fake) as served:
        page = await opened(browser, served, "/greetings", "light", "zh")
        await page.locator("#r901 button").first.click()
        await page.wait_for_url("**/greetings")
        await page.context.close()
    assert fake.help_acts[0][:2] == ("greet", 901)
    assert fake.help_acts[0][2]["outcome"] == "well"


async def test_the_list_for_paper_is_one_sheet(browser: Browser) -> None:
    """A4, black and white, three people on one page."""
    async with house(reader()) as served:
        page = await opened(browser, served, PAPER, "dark", "zh")
        assert pages_of(await page.pdf(prefer_css_page_size=True)) == [A4_PT]
        await page.context.close()
