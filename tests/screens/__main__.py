"""`make screenshots`: takes the pictures of docs/screens.md anew.

    python -m tests.screens [name …]

A picture is one line of `SCREENS`; a page of yours is one more line there.
"""

import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.screens import morning, png
from tests.town import PASSWORD, Town, a_town

FOLDER = Path(__file__).parents[2] / "docs" / "screens"
MOST_BYTES = 150_000
DESK, PHONE, PAPER = (1920, 1080), (390, 844), (1100, 800)

Step = Callable[[Page, Town], Awaitable[object]]


async def nothing(_page: Page, _town: Town) -> None:
    """The page as it opens."""


@dataclass(frozen=True)
class Screen:
    """One picture: of which page, when in the story, and in which dress."""

    name: str
    path: str
    """{sos}: the open SOS. {link}: the steward's page."""
    after: str = "busy"
    """calm, busy, accepted, on_scene or resolved: where in the story it is taken."""
    size: tuple[int, int] = DESK
    theme: str = "dark"
    lang: str = "zh"
    login: bool = True
    whole: bool = False
    """The whole length of the page rather than the window."""
    grey: bool = False
    step: Step = field(default=nothing)


async def _reason(page: Page, _town: Town) -> None:
    await page.fill("#reason", "邻居来电,要开门")
    await page.click("#access button")
    await page.wait_for_selector("#access .way")


async def _hand_over(page: Page, _town: Town) -> None:
    await page.fill("#outgoing", "周明")
    await page.fill("#incoming", "李文静")


SCREENS = [
    Screen("wall-calm", "/wall", "calm"),
    Screen("wall-calm-grey", "/wall", "calm", grey=True),
    Screen("wall-busy", "/wall"),
    Screen("wall-busy-grey", "/wall", grey=True),
    Screen("wall-busy-light-en", "/wall", theme="light", lang="en"),
    Screen("alert", "/alerts/{sos}", size=PAPER, whole=True, step=_reason),
    Screen("alert-light-en", "/alerts/{sos}", size=PAPER, whole=True, theme="light", lang="en"),
    Screen("handover", "/handover", size=PAPER, whole=True, theme="light", step=_hand_over),
    Screen("login", "/login", size=(900, 620), login=False, theme="light"),
    Screen("error", "/nowhere", size=(900, 620), theme="light"),
    Screen("steward-1-before", "{link}", size=PHONE, login=False, theme="light"),
    Screen("steward-2-accepted", "{link}", "accepted", PHONE, "light", login=False),
    Screen("steward-3-at-the-door", "{link}", "on_scene", PHONE, "light", login=False),
    Screen("steward-3-at-the-door-dark-en", "{link}", "on_scene", PHONE, "dark", "en", False),
    Screen("steward-4-done", "{link}", "resolved", PHONE, "light", login=False),
    Screen("steward-unknown", "/s/" + "x" * 22, size=PHONE, login=False, theme="light"),
]


async def dressed(browser: Browser, town: Town, screen: Screen) -> BrowserContext:
    """A browser in the screen's theme, language and size; logged in where the page needs it."""
    context = await browser.new_context(
        viewport={"width": screen.size[0], "height": screen.size[1]},
        color_scheme="light" if screen.theme == "light" else "dark",
        reduced_motion="reduce",
    )
    wishes = {"theme": screen.theme, "lang": screen.lang}
    await context.add_cookies([{"name": n, "value": v, "url": town.url} for n, v in wishes.items()])
    if screen.login:
        form = {"username": "operator", "password": PASSWORD}
        await context.request.post(f"{town.url}/login", form=form, max_redirects=0)
    return context


async def take(browser: Browser, blank: Page, town: Town, screen: Screen, link: str) -> None:
    """One picture, written to docs/screens."""
    open_sos = await town.alerts(kind="sos", state="unresolved", building=11)
    sos = open_sos[0]["id"] if open_sos else 0
    context = await dressed(browser, town, screen)
    page = await context.new_page()
    await page.goto(town.url + screen.path.format(sos=sos, link=link))
    if screen.path == "/wall":
        await page.wait_for_selector('body[data-feed="live"]')
        await expect(page.locator("#clock")).not_to_contain_text("-")
    await screen.step(page, town)
    if screen.grey:
        await page.evaluate("document.documentElement.style.filter = 'grayscale(1)'")
    await page.evaluate("document.fonts.ready")
    raw = await page.screenshot(full_page=screen.whole, animations="disabled")
    await context.close()
    small = await png.small(blank, raw)
    if len(small) > MOST_BYTES:
        raise SystemExit(f"{screen.name}: {len(small)} bytes; make the picture smaller")
    (FOLDER / f"{screen.name}.png").write_bytes(small)
    sys.stdout.write(f"{screen.name}.png {len(small) // 1024} KB\n")


async def story(town: Town, browser: Browser, wanted: list[Screen]) -> None:
    """Lives through the morning and takes each picture at its time."""
    blank = await browser.new_page()
    link = ""

    async def pictures(after: str) -> None:
        for screen in wanted:
            if screen.after == after:
                await take(browser, blank, town, screen, link)

    async def tap(action: str) -> None:
        answer = await town.api.post(f"{link}/{action}")
        assert answer.status_code == 303, answer.text

    await morning.a_week(town)
    asleep = await morning.a_calm_morning(town)
    await pictures("calm")
    link = await morning.a_press(town, asleep)
    await pictures("busy")
    for action, after in (("accept", "accepted"), ("on_scene", "on_scene"),
                          ("resolve:safe", "resolved")):  # fmt: skip
        await tap(action)
        await pictures(after)


async def main(names: list[str]) -> None:
    """Takes the pictures whose names match, or all."""
    wanted = [s for s in SCREENS if not names or any(re.search(n, s.name) for n in names)]
    FOLDER.mkdir(exist_ok=True)
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium fonts-noto-cjk")
    with tempfile.TemporaryDirectory() as folder:
        async with (
            a_town(Path(folder), morning.START, buildings=51) as town,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--disable-gpu"]
            )
            await story(town, browser, wanted)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
