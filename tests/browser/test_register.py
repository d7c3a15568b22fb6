"""Claims about the pages of buildings, residents, papers, reports and the hall's screen in a real
browser: legible for everybody, large enough for a finger, whole on paper."""

import re
import zlib

import pytest
from browser_house import House, house
from dashboards_fake import FakeReader
from playwright.async_api import Browser, Page, expect
from register_fake import KIOSK_TOKEN, marks, resident_row
from test_accessibility import LOOKS, violations

pytestmark = pytest.mark.asyncio(loop_scope="session")

STAFF = ("/buildings", "/buildings/11", "/residents", "/residents/901", "/residents/990",
         "/reports", "/reports?from=x")  # fmt: skip
PAPERS = ("/buildings/11/sheet", "/residents/901/card")
SEEN = (*STAFF, *PAPERS, f"/kiosk/{KIOSK_TOKEN}", "/kiosk", "/buildings/99")
NAMELESS = "/kiosk/wall"
WIDTHS = (1280, 390)
A4_PT, A5_PT = (595, 842), (420, 595)


async def opened(browser: Browser, served: House, path: str, theme: str, lang: str,
                 width: int = 1280) -> Page:  # fmt: skip
    """A page in one look."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="light" if theme == "light" else
        "dark", reduced_motion="reduce",
    )  # fmt: skip
    cookies = {"theme": theme, "lang": lang}
    await context.add_cookies(
        [{"name": name, "value": value, "url": served.url} for name, value in cookies.items()]
    )
    page = await context.new_page()
    await page.goto(served.url + path)
    return page


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
async def test_no_page_has_a_violation_or_scrolls_sideways(
    browser: Browser, theme: str, lang: str
) -> None:
    """axe-core on every page, with everything on it and with nothing; both widths."""
    async with house(FakeReader(busy=True)) as served:
        page = await opened(browser, served, SEEN[0], theme, lang)
        for path in SEEN:
            await page.set_viewport_size({"width": WIDTHS[0], "height": 900})
            await page.goto(served.url + path)
            assert await violations(page) == [], path
            for width in WIDTHS:
                await page.set_viewport_size({"width": width, "height": 900})
                wide = await page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (path, width, wide)
        await page.context.close()


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
async def test_the_wall_without_names_has_no_violation_and_its_place(
    browser: Browser, theme: str, lang: str
) -> None:
    """On a hall's screen: all of it is seen at once, and there is nothing to press."""
    reader = FakeReader(busy=True)
    reader.wall_in_hall = True
    async with house(reader) as served:
        page = await opened(browser, served, f"/kiosk/{KIOSK_TOKEN}", theme, lang, 1920)
        await page.set_viewport_size({"width": 1920, "height": 1080})
        await page.goto(served.url + NAMELESS)
        assert await violations(page) == []
        assert await page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        ) == [1920, 1080]
        assert await page.locator("a, button, input, form").count() == 0
        await page.context.close()


SMALL = """(least) => [...document.querySelectorAll(
  'a[href], button, input, select, summary')].filter((e) => e.checkVisibility()).map((e) => {
    const b = e.getBoundingClientRect();
    return { what: (e.textContent || e.id).trim().slice(0, 30), w: b.width, h: b.height,
             inline: getComputedStyle(e).display === 'inline', left: b.right < 0 };
  }).filter((t) => !t.inline && !t.left && (t.w < least || t.h < least))"""


@pytest.mark.parametrize("width", WIDTHS)
async def test_everything_to_be_touched_is_large_enough(browser: Browser, width: int) -> None:
    """24 px for everything (WCAG 2.5.8), 48 px for windows, calls and buttons of care."""
    async with house(FakeReader(busy=True)) as served:
        for path in (*STAFF, *PAPERS):
            page = await opened(browser, served, path, "light", "zh", width)
            assert await page.evaluate(SMALL, 24) == [], path
            # What is folded away is touched as well, once it is open.
            await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            for wanted in ("a.window .w", "a.call", ".act", ".button", ".nav a"):
                for box in [await e.bounding_box() for e in await page.locator(wanted).all()]:
                    assert box is None or min(box["width"], box["height"]) >= 47.9, (path, wanted)
            await page.context.close()


def pages_of(pdf: bytes) -> list[tuple[int, int]]:
    """The size of each page of a PDF in points, rounded."""
    parts = [pdf]
    for stream in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            parts.append(zlib.decompress(stream[1]))
        except zlib.error:
            continue
    text = b"\n".join(parts)
    sizes = re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", text)
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", text)) == len(sizes)
    return [(round(float(w)), round(float(h))) for w, h in sizes]


def full_house(reader: FakeReader, floors: int, wells: int, landing: int) -> None:
    """Building 11 with a resident behind every door, each with a flag."""
    flats = [
        {"id": 110_000 + floor * 100 + well * 10 + door, "floor": floor, "terminal": True,
         "label": f"{'ABC'[well] if wells > 1 else ''}{floor}{door:02}",
         "stairwell": "ABC"[well], "state": "checked"}
        for floor in range(1, floors + 1) for well in range(wells)
        for door in range(1, landing + 1)
    ]  # fmt: skip
    reader.data["buildings"][10] |= {"flats": flats, "stairwells": list("ABC"[:wells])}


@pytest.mark.parametrize(
    ("floors", "wells", "landing"), [(10, 1, 4), (5, 2, 4), (6, 3, 2), (10, 2, 2), (20, 1, 2)]
)
@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_the_sheet_of_forty_flats_fits_on_two_sheets_of_a4(
    browser: Browser, floors: int, wells: int, landing: int, lang: str
) -> None:
    """Every shape of a house of up to forty flats, everybody home and flagged."""
    reader = FakeReader()
    full_house(reader, floors, wells, landing)
    whole = reader.building

    async def flagged(number: int, scope: object = None) -> object:
        found = await whole(number)
        assert found is not None
        for people in found["residents"].values():
            people[0] |= {"missed_last": True, "family_name": "欧阳"}
        return found

    reader.building = flagged  # type: ignore[method-assign,assignment]
    async with house(reader) as served:
        page = await opened(browser, served, "/buildings/11/sheet", "dark", lang)
        await expect(page.locator(".doors td .door")).to_have_count(floors * wells * landing)
        sizes = pages_of(await page.pdf(prefer_css_page_size=True))
        assert 1 <= len(sizes) <= 2
        assert set(sizes) == {A4_PT}
        await page.context.close()


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_the_card_is_one_sheet_of_a5(browser: Browser, lang: str) -> None:
    """With the most there can be on it."""
    async with house(FakeReader()) as served:
        page = await opened(browser, served, "/residents/901/card", "dark", lang)
        assert pages_of(await page.pdf(prefer_css_page_size=True)) == [A5_PT]
        await page.context.close()


async def test_paper_is_black_on_white_in_the_dark_theme(browser: Browser) -> None:
    """No theme reaches it, and nothing that is only for the screen."""
    async with house(FakeReader()) as served:
        for path in PAPERS:
            page = await opened(browser, served, path, "dark", "zh")
            await page.emulate_media(media="print")
            style = "(e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
            assert await page.locator(".paper").evaluate(style) == [
                "rgb(0, 0, 0)", "rgb(255, 255, 255)",
            ]  # fmt: skip
            await expect(page.locator(".paper-bar")).to_be_hidden()
            await page.context.close()


async def test_the_reports_print_without_their_form(browser: Browser) -> None:
    """Figures and meanings on paper; buttons are not."""
    async with house(FakeReader()) as served:
        page = await opened(browser, served, "/reports", "dark", "zh")
        await page.emulate_media(media="print")
        await expect(page.locator(".period")).to_be_hidden()
        await expect(page.locator(".figure").first).to_be_visible()
        assert 1 <= len(pages_of(await page.pdf(format="A4"))) <= 6
        await page.context.close()


async def test_a_page_stays_fresh_and_shows_when_it_is_not(browser: Browser) -> None:
    """A new SOS comes onto the open page by itself, with the focus where it was; when the server
    is gone the age says so; when the login has ended it says that."""
    reader = FakeReader(busy=False)
    async with house(reader) as served:
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        await page.clock.install()
        await page.goto(served.url + "/buildings/11?lang=zh")
        window = page.locator(".window", has_text="301").locator(".w")
        await expect(window).to_have_attribute("data-state", "checked")
        await page.locator("a.window", has_text="302").focus()
        reader.data["buildings"][10]["flats"][8]["state"] = "sos"
        label = reader.data["buildings"][10]["flats"][8]["label"]
        await page.clock.run_for(16_000)
        changed = page.locator(".window", has_text=label).locator(".w")
        await expect(changed).to_have_attribute("data-state", "sos")
        focused = await page.evaluate("document.activeElement.textContent")
        assert "302" in focused
        await context.set_offline(True)
        await page.clock.run_for(70_000)
        await expect(page.locator("#age")).to_contain_text("没有更新")
        await expect(page.locator("body")).to_have_attribute("data-stale", "true")
        await context.set_offline(False)
        await page.clock.run_for(16_000)
        await expect(page.locator("body")).to_have_attribute("data-stale", "false")
        reader.user = None
        await page.clock.run_for(16_000)
        await expect(page.locator("#age")).to_contain_text("登录已过期")
        await context.close()


async def test_the_halls_screen_fits_and_keeps_no_secret_in_its_address(browser: Browser) -> None:
    """51 houses on a television, no scrolling; big words; the address is bare."""
    async with house(FakeReader(busy=True)) as served:
        context = await browser.new_context(viewport={"width": 1920, "height": 1080})
        page = await context.new_page()
        await page.goto(f"{served.url}/kiosk/{KIOSK_TOKEN}")
        assert page.url == f"{served.url}/kiosk"
        await expect(page.locator(".gauges li")).to_have_count(51)
        high = await page.evaluate("document.documentElement.scrollHeight")
        assert high <= 1080
        size = await page.locator(".headline").evaluate("(e) => getComputedStyle(e).fontSize")
        assert float(size.removesuffix("px")) >= 60
        assert await page.evaluate("document.cookie") == "", "scripts can't read the pass"
        await context.close()


async def test_the_way_in_is_asked_for_without_scripts(browser: Browser) -> None:
    """Find → resident → reason → the way in, as on any telephone."""
    reader = FakeReader(busy=True)
    async with house(reader) as served:
        page = await browser.new_page(java_script_enabled=False)
        await page.goto(f"{served.url}/residents")
        await page.fill("#words", "何")
        await page.click(".find .act")
        assert "何" not in page.url
        await page.locator(".found a").first.click()
        await expect(page.locator("body")).not_to_contain_text("铁门")
        await page.fill("#reason", "邻居来电")
        await page.click("#access button")
        await expect(page.locator("#access")).to_contain_text("铁门")
        assert reader.resident_looks == [("李文静", 901, "邻居来电")]
        await page.close()


def test_the_fake_has_every_mark() -> None:
    """The looks above see each shape."""
    seen = {m["mark"] for m in marks()}
    assert seen == {"checked", "late", "missed", "away", "unknown"}
    flat = {"id": 1, "label": "101", "floor": 1, "stairwell": "A"}
    assert resident_row(1, flat)["marks"] == marks()
