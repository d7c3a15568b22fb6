"""`make screenshots`: takes the pictures of docs/screens.md anew.

    python -m tests.screens [name …]

A picture is one line of `SCREENS`; a page of yours is one more line there.
"""

import asyncio
import io
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from playwright.async_api import (
    Browser,
    BrowserContext,
    FilePayload,
    Page,
    Route,
    async_playwright,
    expect,
)
from pydantic import SecretStr
from sqlalchemy import text, update

from dashboards.cookies import SESSION_COOKIE
from dashboards.register_files import XLSX
from server import tables
from server.database import Tx
from server.service import account_keeping as keeping
from tests.screens import morning, png
from tests.town import HEAD, PASSWORD, Town, a_town

FOLDER = Path(__file__).parents[2] / "docs" / "screens"
WEEK = "/reports?from=2026-03-08&to=2026-03-14"
HALL = "the-hall-of-the-pictures"
GUARD = "+8610000000101"
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
    """{sos}: the open SOS. {fault}: a terminal's. {link}: the steward's page. {missed}, {list}: a
    worklist, and the page of a steward of it. {request}: one for help. {head}: the head steward of
    building 11. {guard}: one on duty. {her}: the woman of 84. {hall}: the token of the hall's
    screen."""
    after: str = "busy"
    """calm, busy, accepted, on_scene, resolved or next_day: where in the story it is taken."""
    size: tuple[int, int] = DESK
    theme: str = "dark"
    lang: str = "zh"
    login: bool = True
    office: bool = False
    """Logged in as the coordinator, who keeps the register."""
    chief: bool = False
    """Logged in as the administrator, who keeps the accounts."""
    whole: bool = False
    """The whole length of the page rather than the window."""
    grey: bool = False
    silent: str = ""
    """late or blind: the server has not said a word for so long."""
    step: Step = field(default=nothing)
    leads: str = ""
    """The address where the step ends, if it is another page's."""


async def _reason(page: Page, _town: Town) -> None:
    await page.fill("#reason", "邻居来电,要开门")
    await page.click("#access button")
    await page.wait_for_selector("#access .way")


async def _hand_over(page: Page, _town: Town) -> None:
    await page.fill("#outgoing", "周明")
    await page.fill("#incoming", "李文静")


async def _search(page: Page, _town: Town) -> None:
    await page.fill("input[name=words], input[type=search]", "11-301")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def _saved(page: Page, reason: str) -> None:
    await page.fill("#f-reason", reason)
    async with page.expect_navigation():
        await page.click(".by-hand .act.strong")


async def _too_late(page: Page, town: Town) -> None:
    """Her telephone is changed by somebody else while the form lies open."""
    other = await page.context.new_page()
    await other.goto(page.url)
    await other.fill("#f-phone", "100 1100 0555")
    await _saved(other, "a new SIM card")
    await other.close()
    await page.fill("#f-name", "何桂芬")
    await _saved(page, "her identity card")


async def _a_rota(page: Page, town: Town) -> None:
    """Two by day, one by night on working days: the nights of the weekend are holes."""
    people = await page.locator('a[href^="/duty/shifts/"]').evaluate_all("e => e.map(a => a.href)")
    plan = [("12345", "08:00", "20:00"), ("12345", "20:00", "08:00"), ("67", "08:00", "20:00")]
    for n, href in enumerate(people):
        days, starts, ends = plan[n % len(plan)]
        await page.goto(href)
        for day in "1234567":
            box = page.locator(f'input[name="days:0"][value="{day}"]')
            await box.set_checked(day in days)
        await page.fill("#f-starts-0", starts)
        await page.fill("#f-ends-0", ends)
        await _saved(page, "三月排班")
    await page.goto(f"{town.url}/duty")


async def _a_carton(page: Page, town: Town) -> None:
    """Three new ones."""
    await page.click("summary")
    await page.fill("#ids", "gd-61-0001 gd-61-0002 gd-61-0003")
    await page.fill("#why", "三月到货")
    await page.click('form[action="/terminals/enrol"] button')
    await page.goto(f"{town.url}/terminals")


async def _opened(page: Page, town: Town) -> None:
    """The form that gives it to somebody."""
    await page.locator("summary").first.click()


async def _kept(page: Page, town: Town) -> None:
    """What a morning in the office leaves in the history."""
    here = page.url
    await page.goto(here.replace("/history", "/edit"))
    await page.select_option("#f-risk_class", "B")
    await page.fill("#f-access_notes", "从天井上二楼平台")
    await page.fill("#f-family", "何小妹")
    await page.fill("#f-family_phone", "100 1100 0790")
    await _saved(page, "上门核对")
    await page.goto(here.replace("/history", "/away"))
    await page.fill("#f-until", "2026-03-20T18:00")
    await _saved(page, "住院")
    await page.goto(here)


async def _house_kept(page: Page, town: Town) -> None:
    """A third substitute and an address for 120."""
    here = page.url
    await page.goto(here.replace("/history", "/edit"))
    await page.fill("#f-substitute", "何小妹")
    await page.fill("#f-substitute_phone", "100 1100 0791")
    await page.fill("#f-address", "广东省广州市黄埔区广氮路11号,东门进")
    await _saved(page, "三月核对")
    await page.goto(here)


async def _compared(page: Page, town: Town) -> None:
    """The register as it is, with one name put right, compared and not yet taken."""
    answer = await page.context.request.post(
        f"{town.url}/register/export", form={"reason": "核对姓名"}
    )
    book = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(await answer.body())) as old, zipfile.ZipFile(book, "w") as new:
        for part in old.namelist():
            new.writestr(part, old.read(part).replace("何桂芳".encode(), "何桂芬".encode()))
    file: FilePayload = {"name": "名册.xlsx", "mimeType": XLSX, "buffer": book.getvalue()}
    await page.set_input_files("#file", file)
    async with page.expect_navigation():
        await page.click('form[action="/register/import"] button')


async def _deaf(page: Page, town: Town) -> None:
    """No gateway is heard; the feed goes on. The clock stands, so nothing comes of it."""
    silent = town.runtime.clock.now() - timedelta(minutes=4)
    gateway = tables.table(tables.Gateway)
    await town.sql(lambda c: c.execute(update(gateway).values(last_heard_at=silent)))
    await page.wait_for_selector('body[data-deaf="true"]', timeout=20_000)


async def _in_the_hall(page: Page, town: Town) -> None:
    """The cookie that the hall's token has left opens the wall without names."""
    await page.goto(f"{town.url}/kiosk/wall")


async def _full(page: Page, town: Town) -> None:
    """Forty flats in every house, each with somebody in it."""
    await morning.full_houses(town)
    await page.reload()
    await page.wait_for_selector('body[data-feed="live"]')


async def _unsent(page: Page, _town: Town) -> None:
    """The network is gone when the steward taps."""
    await page.context.set_offline(True)
    await page.click("main button.first, button.first")
    await expect(page.get_by_text("未送达").first).to_be_visible()


async def _signed_out(page: Page, _town: Town) -> None:
    """The login ends while the sheet lies open; then it is sent."""
    await _hand_over(page, _town)
    await page.context.clear_cookies(name=SESSION_COOKIE)
    async with page.expect_navigation():
        await page.evaluate("document.querySelector('main form').submit()")


async def _broken(page: Page, town: Town) -> None:
    """A table is gone: whoever reads it meets our own failure."""
    await town.sql(lambda c: c.execute(text("ALTER TABLE handover RENAME TO lost")))
    await page.goto(f"{town.url}/handover")
    await town.sql(lambda c: c.execute(text("ALTER TABLE lost RENAME TO handover")))


async def _table(page: Page, _town: Town) -> None:
    await page.click("#table-toggle")


async def _keys(page: Page, _town: Town) -> None:
    await page.click("#help-open")


async def _tick(page: Page, _town: Town) -> None:
    await page.check("input[name=resident_id] >> nth=0")


async def _wrong(page: Page, _town: Town) -> None:
    await page.fill("input[name=username]", "operator")
    await page.fill("input[name=password]", "not-this-one")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".notice.bad")


async def _written(page: Page, town: Town) -> None:
    await _hand_over(page, town)
    await page.click("main form button")
    await page.wait_for_url("**/handover/*")


SCREENS = [
    Screen("wall-calm", "/wall", "calm"),
    Screen("wall-calm-grey", "/wall", "calm", grey=True),
    Screen("wall-busy", "/wall"),
    Screen("wall-busy-grey", "/wall", grey=True),
    Screen("wall-busy-light-en", "/wall", theme="light", lang="en"),
    Screen("wall-table", "/wall", size=(1720, 968), step=_table),
    Screen("wall-keys", "/wall", step=_keys),
    Screen("wall-late", "/wall", silent="late"),
    Screen("wall-blind", "/wall", silent="blind"),
    Screen("wall-blind-light-en", "/wall", theme="light", lang="en", silent="blind"),
    Screen("alert-worklist", "/alerts/{missed}", size=PAPER, whole=True),
    Screen("buildings", "/buildings", size=PAPER, whole=True),
    Screen("building", "/buildings/11", size=PAPER, whole=True),
    Screen("building-light-en", "/buildings/11", size=PAPER, whole=True, theme="light", lang="en"),
    Screen("sheet", "/buildings/11/sheet", "calm", PAPER, "light", whole=True),
    Screen("residents", "/residents", size=(1100, 620), step=_search),
    Screen("resident", "/residents/{her}", size=PAPER, whole=True),
    Screen("resident-light-en", "/residents/{her}", size=PAPER, whole=True, theme="light",
           lang="en"),
    Screen("building-new", "/buildings/new", size=PAPER, whole=True, office=True, theme="light"),
    Screen("community-new", "/communities/new", size=PAPER, whole=True, office=True,
           theme="light"),
    Screen("resident-edit", "/residents/{her}/edit", size=PAPER, whole=True, office=True),
    Screen("resident-new", "/residents/new", size=PAPER, whole=True, office=True, theme="light"),
    Screen("resident-move", "/residents/{her}/move", size=PAPER, whole=True, office=True,
           theme="light"),
    Screen("resident-end-en", "/residents/{her}/end", size=PAPER, whole=True, office=True,
           theme="light", lang="en"),
    Screen("duty-add", "/duty/add", size=PAPER, whole=True, office=True, theme="light"),
    Screen("building-edit", "/buildings/11/edit", size=PAPER, whole=True, office=True,
           theme="light"),
    Screen("card", "/residents/{her}/card", "calm", (760, 1000), "light", whole=True),
    Screen("kiosk", "/kiosk/{hall}", "calm", login=False),
    Screen("wall-deaf", "/wall", "calm", step=_deaf),
    Screen("kiosk-busy-en", "/kiosk/{hall}", login=False, theme="light", lang="en"),
    Screen("kiosk-wall", "/kiosk/{hall}", login=False, step=_in_the_hall, leads="/kiosk/wall"),
    Screen("kiosk-closed", "/kiosk", size=(900, 620), login=False, theme="light"),
    Screen("reports", WEEK, "resolved", (1100, 1500), "light"),
    Screen("reports-dark-en", WEEK, "resolved", (1100, 1500), lang="en"),
    Screen("handover-written", "/handover", "resolved", PAPER, "light", whole=True, step=_written,
           leads="/handover/1"),
    Screen("login-refused", "/login", size=(900, 620), login=False, theme="light", step=_wrong),
    Screen("steward-worklist", "{list}", size=PHONE, login=False, theme="light", step=_tick),
    Screen("steward-expired", "{link}", "next_day", PHONE, "light", login=False),
    Screen("alert", "/alerts/{sos}", size=PAPER, whole=True, step=_reason),
    Screen("alert-light-en", "/alerts/{sos}", size=PAPER, whole=True, theme="light", lang="en"),
    Screen("handover", "/handover", size=PAPER, whole=True, theme="light", step=_hand_over),
    Screen("login", "/login", size=(900, 620), login=False, theme="light"),
    Screen("error", "/nowhere", size=(900, 620), theme="light"),
    Screen("error-403", "/accounts", size=(900, 620), theme="light"),
    Screen("steward-1-before", "{link}", size=PHONE, login=False, theme="light"),
    Screen("steward-2-accepted", "{link}", "accepted", PHONE, "light", login=False),
    Screen("steward-unsent", "{link}", "accepted", PHONE, "light", login=False, step=_unsent),
    Screen("steward-3-at-the-door", "{link}", "on_scene", PHONE, "light", login=False),
    Screen("steward-3-at-the-door-dark-en", "{link}", "on_scene", PHONE, "dark", "en", False),
    Screen("steward-4-done", "{link}", "resolved", PHONE, "light", login=False),
    Screen("steward-unknown", "/s/" + "x" * 22, size=PHONE, login=False, theme="light"),
    Screen("requests", "/requests", "resolved", PAPER, "light", whole=True),
    Screen("request", "/requests/{request}", "resolved", PAPER, "light", whole=True),
    Screen("visits", "/visits", "resolved", PAPER, "light", whole=True),
    Screen("greetings", "/greetings", "resolved", PAPER, "light"),
    Screen("greetings-sheet", "/greetings/sheet", "resolved", PAPER, "light"),
    Screen("hours", "/hours", "resolved", PAPER, "light"),
    Screen("hours-statement", "/hours/{head}", "resolved", PAPER, "light", whole=True),
    Screen("person", "/people/{head}", "resolved", PAPER, "light", whole=True, office=True),
    Screen("resident-away", "/residents/{her}/away", "resolved", PAPER, "light", whole=True,
           office=True),
    Screen("register", "/register", "resolved", PAPER, "light", whole=True, chief=True),
    Screen("accounts", "/accounts", "resolved", PAPER, "light", whole=True, chief=True),
    Screen("account", "/account", "resolved", PAPER, "light", whole=True, chief=True),
    Screen("alert-fault", "/alerts/{fault}", "resolved", PAPER, whole=True),
    Screen("person-away", "/people/{head}/away", "resolved", PAPER, "light", whole=True),
    Screen("person-shifts", "/people/{head}/shifts", "resolved", PAPER, "light", whole=True,
           office=True),
    Screen("duty-remove", "/duty/remove", "resolved", PAPER, "light", whole=True, office=True),
    Screen("duty-community", "/duty/community", "resolved", PAPER, "light", whole=True,
           office=True),
    Screen("error-401", "/handover", "resolved", (900, 620), "light", step=_signed_out),
    Screen("error-500", "/handover", "resolved", (900, 620), "light", step=_broken),
    Screen("register-compared", "/register", "resolved", PAPER, "light", whole=True, chief=True,
           step=_compared),
    Screen("labels", "/terminals/labels", "resolved", PAPER, "light"),
    # Last, because they change what is registered.
    Screen("resident-stale-en", "/residents/{her}/edit", "resolved", PAPER, "light", "en",
           office=True, step=_too_late),
    Screen("history", "/residents/{her}/history", "resolved", PAPER, "light", whole=True,
           office=True, step=_kept),
    Screen("building-history", "/buildings/11/history", "resolved", PAPER, "light", whole=True,
           office=True, step=_house_kept),
    Screen("person-history", "/people/{head}/history", "resolved", PAPER, "light", whole=True,
           office=True),
    Screen("duty", "/duty", "resolved", (1400, 900), whole=True, office=True, step=_a_rota),
    Screen("duty-shifts", "/duty/shifts/{guard}", "resolved", PAPER, "light", whole=True,
           office=True),
    Screen("duty-history", "/duty/history", "resolved", PAPER, "light", whole=True, office=True),
    Screen("terminals", "/terminals", "resolved", (1400, 900), office=True, step=_a_carton),
    Screen("terminal-light-en", "/terminals/gd-61-0001", "resolved", PAPER, "light", "en",
           whole=True, office=True, step=_opened),
    Screen("wall-forty-flats", "/wall", "resolved", step=_full),
]


async def dressed(browser: Browser, town: Town, screen: Screen) -> BrowserContext:
    """A browser in the screen's theme, language and size; logged in where the page needs it."""
    context = await browser.new_context(
        viewport={"width": screen.size[0], "height": screen.size[1]},
        color_scheme="light" if screen.theme == "light" else "dark",
        reduced_motion="reduce",
        locale="zh-CN" if screen.lang == "zh" else "en-GB",
    )
    wishes = {"theme": screen.theme, "lang": screen.lang}
    await context.add_cookies([{"name": n, "value": v, "url": town.url} for n, v in wishes.items()])
    if screen.login:
        who = "chief" if screen.chief else "mai" if screen.office else "operator"
        form = {"username": who, "password": PASSWORD}
        await context.request.post(f"{town.url}/login", form=form, max_redirects=0)
    return context


async def places(town: Town, links: dict[str, str]) -> dict[str, object]:
    """What stands for the braces of a screen's path now."""
    sos = await town.alerts(kind="sos", state="unresolved", building=11)
    missed = await town.alerts(kind="missed", state="unresolved")
    asked = (await town.api.get("/api/v1/requests")).json()["requests"]
    faults = await town.alerts(kind="fault", state="unresolved")
    return {
        "fault": faults[0]["id"] if faults else 0, "guard": await town.person(GUARD),
        "request": asked[0]["id"] if asked else 0, "head": await town.person(HEAD),
        "sos": sos[0]["id"] if sos else 0, "missed": missed[0]["id"] if missed else 0,
        "her": (await town.residents())["301"]["id"], "hall": HALL, **links,
    }  # fmt: skip


async def silenced(context: BrowserContext, page: Page) -> None:
    """From now on no word of the server reaches this page's feed; it keeps what it was served."""
    await page.add_init_script("delete window.SharedWorker")  # whose requests nobody can cut

    async def cut(route: Route) -> None:
        await route.abort()

    await context.route(re.compile("/api/v1/(stream|snapshot)"), cut)


async def take(
    browser: Browser, blank: Page, town: Town, screen: Screen, links: dict[str, str]
) -> None:
    """One picture, written to docs/screens."""
    context = await dressed(browser, town, screen)
    page = await context.new_page()
    if screen.silent:
        await silenced(context, page)
    await page.goto(town.url + screen.path.format(**await places(town, links)))
    if screen.silent:
        await page.wait_for_selector(f'body[data-feed="{screen.silent}"]', timeout=40_000)
    elif screen.path == "/wall":
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


async def _an_account(town: Town, username: str, name: str, role: str) -> None:
    """An account with its one-time password changed."""
    locks = town.runtime.locks

    def run(tx: Tx) -> None:
        number, once = keeping.make(
            tx, keeping.one_time(locks), keeping.Keeper("office"), username=username, name=name,
            role=role,
        )  # fmt: skip
        new = keeping.renewal(tx.conn, locks, number, once, PASSWORD)
        keeping.set_own_password(tx, number, new, "")

    await town.runtime.database.write(run)


async def story(town: Town, browser: Browser, wanted: list[Screen]) -> None:
    """Lives through the morning and takes each picture at its time."""
    blank = await browser.new_page()
    links = {"link": "", "list": ""}

    async def pictures(after: str) -> None:
        for screen in wanted:
            if screen.after == after:
                await take(browser, blank, town, screen, links)

    async def tap(action: str) -> None:
        answer = await town.api.post(f"{links['link']}/{action}")
        assert answer.status_code == 303, answer.text

    await _an_account(town, "mai", "麦兆棠", "coordinator")
    await _an_account(town, "chief", "何建国", "administrator")
    await morning.a_week(town)
    asleep = await morning.a_calm_morning(town)
    await morning.a_battery(town)
    await pictures("calm")
    links = {
        "link": await morning.a_press(town, asleep), "list": await morning.a_worklist(town)
    }  # fmt: skip
    await pictures("busy")
    for action, after in (("accept", "accepted"), ("on_scene", "on_scene"),
                          ("resolve:safe", "resolved")):  # fmt: skip
        await tap(action)
        if after == "resolved":
            await morning.an_hour_in_the_office(town)
        await pictures(after)
    await town.watch(13 * 3600)
    await pictures("next_day")


async def main(names: list[str]) -> None:
    """Takes the pictures whose names match, or all."""
    wanted = [s for s in SCREENS if not names or any(re.search(n, s.name) for n in names)]
    FOLDER.mkdir(exist_ok=True)
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium fonts-noto-cjk")
    with tempfile.TemporaryDirectory() as folder:
        async with (
            a_town(Path(folder), morning.START, buildings=51, kiosk_token=SecretStr(HALL),
                   kiosk_wall=True) as town,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--disable-gpu"]
            )
            await story(town, browser, wanted)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
