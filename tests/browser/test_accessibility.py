"""Claims about every page for people who hear, zoom or contrast it: axe-core finds no violation.

The file under vendor/ is evaluated by the test in the page; the pages load nothing of it.
"""

from pathlib import Path

import pytest
from browser_house import House, house
from dashboards_fake import TOKEN, FakeReader, steward_view
from playwright.async_api import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text("utf-8")
HANDOVERS = ("/handover", "/handover/1")
LOOKS = [(theme, lang) for theme in ("dark", "light") for lang in ("zh", "en")]


async def violations(page: Page) -> list[str]:
    """What axe-core finds: rule, and the first element it is about."""
    await page.evaluate(AXE)
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{v['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for v in found["violations"]
        for node in v["nodes"][:2]
    ]


async def visit(browser: Browser, served: House, path: str, theme: str, lang: str) -> Page:
    """A page in one theme and language, by cookie and by preference."""
    context = await browser.new_context(
        viewport={"width": 1366, "height": 768},
        color_scheme="light" if theme == "light" else "dark",
        bypass_csp=False,
        reduced_motion="reduce",
    )
    await context.add_cookies(
        [
            {"name": "theme", "value": theme, "url": served.url},
            {"name": "lang", "value": lang, "url": served.url},
        ]
    )
    page = await context.new_page()
    await page.goto(served.url + path)
    return page


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
async def test_staff_pages_have_no_violation(browser: Browser, theme: str, lang: str) -> None:
    """Wall with everything on it, its dialogs, the pages of an SOS, a worklist and a fault."""
    async with house(FakeReader(busy=True)) as served:
        wall = await visit(browser, served, "/wall", theme, lang)
        await served.script.streams(1)
        assert await violations(wall) == []
        await wall.click("#table-toggle")
        assert await violations(wall) == []
        await wall.click("#help-open")
        assert await violations(wall) == []
        await wall.context.close()
        for path in ("/alerts/5", "/alerts/7", "/alerts/8", "/nowhere", *HANDOVERS):
            page = await visit(browser, served, path, theme, lang)
            assert await violations(page) == [], path
            await page.context.close()


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
async def test_the_login_and_the_stewards_page_have_no_violation(
    browser: Browser, theme: str, lang: str
) -> None:
    """Login; the steward's page before and after accepting, at the door, with a tick list, gone."""
    reader = FakeReader(logged_in=False)
    async with house(reader) as served:
        page = await visit(browser, served, "/login", theme, lang)
        assert await violations(page) == []
        states = [("open", False, "sos"), ("accepted", True, "sos"), ("on_scene", True, "sos"),
                  ("on_scene", True, "missed"), ("resolved", True, "sos")]  # fmt: skip
        for state, mine, kind in states:
            reader.views[TOKEN] = steward_view(state, mine=mine, kind=kind)
            await page.goto(f"{served.url}/s/{TOKEN}")
            assert await violations(page) == [], (state, kind)
        await page.goto(f"{served.url}/s/{'x' * 22}")
        assert await violations(page) == []
        await page.context.close()
