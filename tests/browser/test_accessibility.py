"""Claims about every page for people who hear, zoom or contrast it: axe-core finds no violation.

The file under vendor/ is evaluated by the test in the page; the pages load nothing of it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from browser_house import House, house
from dashboards_fake import NOW_MS, TOKEN, FakeReader, steward_view
from fastapi import FastAPI
from playwright.async_api import Browser, Page, Response, expect
from starlette.routing import Route

from dashboards.pages import mount
from dashboards.reader import User
from server.core.access import Right

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text("utf-8")
HANDOVERS = ("/handover", "/handover/1")
STAFF = (
    "/alerts/5", "/alerts/7", "/alerts/8", "/account", "/nowhere", *HANDOVERS,
    "/accounts", "/register", "/terminals/labels", "/terminals", "/terminals/gd-11-301",
    "/terminals/gd-stock-1",
)  # fmt: skip
ABSENT = "/nowhere"
NO_PAGE = {
    "/", "/reports.csv", "/hours/{person_id}/statement.csv", "/static/palette.css",
    "/login/elsewhere", "/login/elsewhere/back", "/s/{token}/{action}",
}
"""What answers a GET and is no page: a redirect, a table, a style sheet."""
LOOKS = [("dark", "zh"), ("light", "en")]
"""What a page is opened in; `violations` looks at its colours in the other theme too."""
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules that ask for colours. All others see a page's words and structure, which are the same
in both themes."""


async def violations(page: Page) -> list[str]:
    """What axe-core finds, in the colours of both themes: rule, and the first element it is
    about."""
    await page.evaluate(AXE)
    found = await _axe(page, {})
    async with other_theme(page):
        return found + await _axe(page, {"runOnly": COLOURS})


async def _axe(page: Page, options: dict[str, Any]) -> list[str]:
    found = await page.evaluate(
        "(more) => axe.run(document, { resultTypes: ['violations'], ...more })", options
    )
    return [
        f"{v['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for v in found["violations"]
        for node in v["nodes"][:2]
    ]


@asynccontextmanager
async def other_theme(page: Page) -> AsyncIterator[None]:
    """The page in the other theme, chosen or preferred, for the time of the body."""
    was_dark = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    await _turn(page, "light" if was_dark else "dark")
    yield
    await _turn(page, "dark" if was_dark else "light")


async def _turn(page: Page, theme: Literal["dark", "light"]) -> None:
    await page.emulate_media(color_scheme=theme)
    await page.evaluate(
        """(theme) => { const root = document.documentElement;
             if (root.dataset.theme !== 'auto') root.dataset.theme = theme; }""", theme,
    )  # fmt: skip


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
    await go(page, served, path)
    return page


async def go(page: Page, served: House, path: str) -> None:
    """Another page in the same look."""
    answer = await page.goto(served.url + path)
    assert answer is not None
    # A refusal or an error would be looked at in the page's place, and nobody would notice.
    assert (answer.status == 200) == (path != ABSENT), f"{path}: {answer.status}"


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
async def test_staff_pages_have_no_violation(browser: Browser, theme: str, lang: str) -> None:
    """Wall with everything on it, its dialogs, the pages of an SOS, a worklist and a fault."""
    reader = FakeReader(busy=True)
    every_right = frozenset(right.value for right in Right)
    reader.user = User("李文静", "administrator", rights=every_right)
    async with house(reader) as served:
        wall = await visit(browser, served, "/wall", theme, lang)
        await served.script.streams(1)
        assert await violations(wall) == []
        await wall.click("#table-toggle")
        assert await violations(wall) == []
        await wall.click("#help-open")
        assert await violations(wall) == []
        for path in STAFF:
            await go(wall, served, path)
            assert await violations(wall) == [], path
        await wall.context.close()


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
@pytest.mark.parametrize(
    ("feed", "times_ms"),
    [
        ("late", {"late-ms": 300, "blind-ms": 600_000}),
        ("blind", {"late-ms": 300, "blind-ms": 600}),
        ("live", {"late-ms": 600_000, "blind-ms": 900_000}),  # axe may take twelve seconds
    ],
)
async def test_a_wall_that_does_not_know_has_no_violation(
    browser: Browser, theme: str, lang: str, feed: str, times_ms: dict[str, int]
) -> None:
    """Late, blind, and live over terminals that nobody hears (deaf), each in its own colours."""
    reader = FakeReader(busy=True)
    del reader.data["buildings"][12:]  # of the same kind, and axe looks at each window
    async with house(reader, times_ms) as served:
        if feed != "live":
            served.script.snapshot_status = 502
        page = await visit(browser, served, "/wall", theme, lang)
        await served.script.streams(1)
        if feed == "live":
            deaf = {"now_ms": NOW_MS, "speed": 1.0, "seq": 100, "canary_age_s": 300}
            await served.script.send("heartbeat", deaf)
            await expect(page.locator("body")).to_have_attribute("data-deaf", "true")
            # "All devices are well" is what nobody knows then.
            await expect(page.locator(".none").first).to_have_css("visibility", "hidden")
        await expect(page.locator("body")).to_have_attribute("data-feed", feed)
        await expect(page.locator("#band")).to_be_visible()
        assert await violations(page) == []
        await expect(page.locator("body")).to_have_attribute("data-feed", feed)
        await page.context.close()


@pytest.mark.parametrize(("theme", "lang"), LOOKS)
async def test_refusals_and_errors_have_no_violation(
    browser: Browser, theme: str, lang: str
) -> None:
    """A wall without houses; a page of others (403); a refused handover; a crash (500); a form sent
    after the login ended (401); a wrong password. Each is the page it should be."""
    reader = FakeReader(busy=True)
    reader.data["buildings"] = []
    async with house(reader) as served:
        page = await visit(browser, served, "/wall", theme, lang)
        await expect(page.locator(".empty")).to_be_visible()
        assert await violations(page) == []

        async def seen(answer: Response | None, status: int) -> None:
            assert answer is not None
            assert answer.status == status
            assert await violations(page) == [], status

        async def sent() -> Response | None:
            async with page.expect_navigation() as going:
                await page.evaluate("document.querySelector('main form').submit()")  # no script's
            return await going.value

        await seen(await page.goto(f"{served.url}/accounts"), 403)
        await go(page, served, "/handover")
        await page.fill("#outgoing", "周明")
        await page.fill("#incoming", "李文静")
        reader.refuse = "周明刚刚已交给陈海"
        await seen(await sent(), 409)
        user, reader.user = reader.user, None
        await seen(await sent(), 401)
        reader.user, whole = user, reader.sheet
        reader.sheet = {}
        await seen(await page.goto(f"{served.url}/handover"), 500)
        reader.user, reader.sheet = None, whole
        await go(page, served, "/login")
        await page.fill("input[name=username]", "operator")
        await page.fill("input[name=password]", "wrong")
        await seen(await sent(), 401)
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
                  ("on_scene", True, "missed"), ("resolved", True, "sos"),
                  ("expired", True, "sos")]  # fmt: skip
        for state, mine, kind in states:
            reader.views[TOKEN] = steward_view(state, mine=mine, kind=kind)
            await page.goto(f"{served.url}/s/{TOKEN}")
            assert await violations(page) == [], (state, kind)
        await page.goto(f"{served.url}/s/{'x' * 22}")
        assert await violations(page) == []
        await page.context.close()


async def test_no_page_is_left_out() -> None:
    """Whatever answers a GET with a page is looked at by axe-core, here, in test_register.py,
    test_by_hand.py or test_services.py, in both themes and both languages; a page that is added is
    missed here."""
    import test_by_hand
    import test_register  # which import from here
    import test_services

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    mount(app, FakeReader())
    seen = ["/wall", "/login", f"/s/{TOKEN}", *STAFF, *test_register.SEEN,
            test_register.NAMELESS, *test_by_hand.SEEN, *test_services.SEEN]  # fmt: skip
    routes = [r for part in app.routes for r in getattr(part, "original_router", app).routes]
    pages = [
        route
        for route in routes
        if isinstance(route, Route)
        and "GET" in (route.methods or ())
        and route.path not in NO_PAGE
    ]
    assert len(pages) >= 15, "the search itself must keep finding the pages"
    assert [r.path for r in pages if not any(r.path_regex.fullmatch(path) for path in seen)] == []


async def test_bad_colours_are_found_in_either_theme(browser: Browser) -> None:
    """The look at the other theme's colours can fail, and leaves the page as it was."""
    async with house(FakeReader(logged_in=False)) as served:
        page = await visit(browser, served, "/login", "dark", "zh")
        assert await violations(page) == []
        for theme in ("dark", "light"):
            await page.evaluate(
                """(theme) => { const pale = new CSSStyleSheet();
                     pale.replaceSync(`:root[data-theme=${theme}] * {
                       color: #777 !important; background: #888 !important }`);
                     document.adoptedStyleSheets = [pale]; }""", theme,
            )  # fmt: skip
            found = await violations(page)
            assert {v.split(":")[0] for v in found} == {"color-contrast"}, theme
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
        await page.context.close()
