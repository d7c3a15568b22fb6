"""Claims about the forms of the register, the rota and the history in a real browser: for
everybody, without scripts, and nothing that was typed is lost."""

import pytest
from browser_house import house
from dashboards_fake import FakeReader
from playwright.async_api import Browser, expect
from test_accessibility import LOOKS, violations, visit

from dashboards.reader import User
from server.core.access import Right

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORMS = (
    "/residents/new", "/residents/901/edit", "/residents/901/move", "/residents/901/end",
    "/residents/901/away", "/buildings/new", "/buildings/11/edit", "/people/101",
    "/people/101/away", "/people/101/shifts", "/duty/add", "/duty/remove", "/duty/community",
    "/duty/shifts/201", "/communities/new",
)  # fmt: skip
OTHERS = ("/duty", "/residents/901/history", "/buildings/11/history", "/people/101/history",
          "/duty/history")  # fmt: skip
SEEN = (*FORMS, *OTHERS)
SMALL = """(least) => [
    ...document.querySelectorAll('main a[href], button, input, select, textarea')]
  .filter((e) => e.checkVisibility() && getComputedStyle(e).display !== 'inline')
  .map((e) => [e.id || e.textContent.trim().slice(0, 30), e.getBoundingClientRect()])
  .filter(([, b]) => b.width && b.right > 0 && (b.width < least || b.height < least))
  .map(([what]) => what)"""


def everything() -> FakeReader:
    """A reader whose user has every right, so that every form is there."""
    reader = FakeReader(busy=True)
    reader.short = {11: 1, 12: 0}
    reader.user = User("李文静", "administrator", rights=frozenset(r.value for r in Right))
    return reader


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
async def test_no_form_has_a_violation_or_scrolls_sideways(
    browser: Browser, theme: str, lang: str
) -> None:
    """axe-core on every form, the rota and the histories; both widths; targets of 24 px."""
    async with house(everything()) as served:
        page = await visit(browser, served, SEEN[0], theme, lang)
        for path in (*SEEN, "/buildings", "/buildings/11"):
            answer = await page.goto(served.url + path)
            assert answer is not None
            assert answer.status == 200, path
            assert await violations(page) == [], path
            assert await page.evaluate(SMALL, 24) == [], path
            for width in (1280, 390):
                await page.set_viewport_size({"width": width, "height": 900})
                wide = await page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (path, width, wide)
        await page.context.close()


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
async def test_a_refused_form_names_its_fields_and_shows_what_changed(
    browser: Browser, theme: str, lang: str
) -> None:
    """The words belong to their field also for whoever hears the page; what was typed is there."""
    async with house(everything()) as served:
        page = await visit(browser, served, "/residents/901/edit", theme, lang)
        await page.fill("#f-name", "何桂芬")
        await page.fill("#f-access_notes", "从二楼平台进")
        await page.fill("#f-reason", "改名")
        await page.click(".by-hand .act.strong")
        await expect(page.locator("#f-name")).to_have_value("何桂芬")
        await expect(page.locator("#f-access_notes")).to_have_value("从二楼平台进")
        await expect(page.locator("#f-name")).to_have_attribute("aria-invalid", "true")
        await expect(page.locator("#f-name")).to_have_accessible_description(
            "请写明原因" if lang == "zh" else "say why"
        )
        await expect(page.locator(".changes")).to_contain_text("100 1100 0555")
        await expect(page.locator('input[name="seen"]')).to_have_value("9")
        assert await violations(page) == []
        await page.context.close()


async def test_whoever_may_not_change_the_register_is_offered_no_form(browser: Browser) -> None:
    """An operator sees a contact and may note an absence; the buttons of the register are not
    there, and its forms are refused in words."""
    async with house(FakeReader(busy=True)) as served:
        page = await visit(browser, served, "/people/101", "light", "zh")
        await expect(page.locator(".by-hand")).to_have_count(0)
        await page.goto(f"{served.url}/residents/901")
        await expect(page.locator('a[href$="/away"]')).to_have_count(1)
        await expect(page.locator('a[href$="/edit"]')).to_have_count(0)
        answer = await page.goto(f"{served.url}/residents/901/edit")
        assert answer is not None
        assert answer.status == 403
        await expect(page.locator("main")).not_to_be_empty()
        await page.context.close()
