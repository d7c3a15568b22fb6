"""Claims about what is printed: black on white in every theme, nothing that can only be pressed,
and no more sheets than somebody carries."""

from typing import Any

import pytest
from browser_house import house
from dashboards_fake import NOW_MS, FakeReader, told
from playwright.async_api import Browser
from test_accessibility import LOOKS, other_theme, visit
from test_register import A4_PT, pages_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRINTED = ("/alerts/5", "/alerts/7", "/alerts/8", "/handover", "/handover/1",
           "/buildings/11/sheet", "/greetings/sheet", "/residents/901/card")  # fmt: skip
MOST_SHEETS = 2
INK = """() => {
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const shades = (colour) => colour.match(/[\\d.]+/g).map(Number);
  while (walk.nextNode()) {
    const words = walk.currentNode.textContent.trim(), at = walk.currentNode.parentElement;
    if (!words || !at.checkVisibility() || !at.getClientRects().length) continue;
    const grounds = [];
    for (let e = at; e; e = e.parentElement)
      grounds.push(shades(getComputedStyle(e).backgroundColor));
    const ground = grounds.find((g) => g.length < 4 || g[3] > 0) ?? [255, 255, 255];
    if (Math.max(...shades(getComputedStyle(at).color).slice(0, 3)) > 0
        || Math.min(...ground.slice(0, 3)) < 255) found.push(words);
  }
  return found;
}"""
"""Every text that would not be black on white."""
PRESSED = """() => [...document.querySelectorAll(
  'nav, .bar, .paper-bar, .nav, form, button, select, input, textarea, [popover]')]
  .filter((e) => e.checkVisibility()).map((e) => e.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
async def test_paper_is_black_on_white_and_has_no_buttons(
    browser: Browser, theme: str, lang: str
) -> None:
    """An alert of each kind, the handover and its written sheet, the round sheet, the greeting list
    and the card: every word black, every ground white, no navigation and no form; A4 (the card: A5)
    and two sheets at most."""
    reader = FakeReader(busy=True)
    async with house(reader) as served:
        page = await visit(browser, served, PRINTED[0], theme, lang)
        for path in PRINTED:
            answer = await page.goto(served.url + path)
            assert answer is not None
            assert answer.status == 200, path
            await page.emulate_media(media="print")
            assert await page.evaluate(INK) == [], path
            async with other_theme(page):
                assert await page.evaluate(INK) == [], path
            assert await page.evaluate(PRESSED) == [], path
            assert await page.locator("h1").is_visible(), path
            await page.emulate_media(media="null")
            sizes = pages_of(await page.pdf(prefer_css_page_size=True))
            assert 1 <= len(sizes) <= MOST_SHEETS, (path, sizes)
            assert len(set(sizes)) == 1
            assert (set(sizes) == {A4_PT}) == (not path.endswith("/card")), path
        await page.context.close()


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("alert_id", [5, 7])
async def test_a_long_night_is_two_sheets(browser: Browser, alert_id: int, lang: str) -> None:
    """Twenty messages, thirty entries and, on a worklist, all forty flats of a house."""
    reader = FakeReader(busy=True)
    asked = reader.alert_detail

    async def long(user: Any, wanted: int) -> Any:
        found = dict(await asked(user, wanted) or {})
        found["told"] = [told(f"陈国{n}", "steward", "delivered", n) for n in range(20)]
        found["timeline"] = [
            {"seq": n, "at_ms": NOW_MS - n * 60_000, "kind": "climbed", "data": {"by": "李文静"}}
            for n in range(30)
        ]
        if alert_id == 7:
            found["items"] = [
                {"resident_id": n, "flat_id": n, "label": f"{n:03}", "state": "open"}
                for n in range(40)
            ]
        return found

    reader.alert_detail = long  # type: ignore[method-assign]
    async with house(reader) as served:
        page = await visit(browser, served, f"/alerts/{alert_id}", "dark", lang)
        sizes = pages_of(await page.pdf(prefer_css_page_size=True))
        assert set(sizes) == {A4_PT}
        assert 1 <= len(sizes) <= MOST_SHEETS
        await page.context.close()
