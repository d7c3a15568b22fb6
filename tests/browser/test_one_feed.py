"""Claims about many tabs of one browser: one stream for all, and it outlives any of them."""

import contextlib

import pytest
from browser_house import House, house
from dashboards_fake import FakeReader, alert
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.test_wall_live import WINDOW, heartbeat, sos_change

pytestmark = pytest.mark.asyncio(loop_scope="session")

# No heartbeat is sent here: a silent stream must not be given up while many tabs load.
QUICK = {"backoff-min-ms": 20, "backoff-max-ms": 100, "late-ms": 60_000, "blind-ms": 90_000}


async def tabs(context: BrowserContext, served: House, *paths: str) -> list[Page]:
    """Pages of one browser, opened one after the other."""
    pages = []
    for path in paths:
        page = await context.new_page()
        await page.goto(served.url + path)
        pages.append(page)
    await served.script.streams(1)
    return pages


async def test_ten_tabs_share_one_stream_and_all_of_them_work(browser: Browser) -> None:
    """Ten streams would be over the six connections a browser gives to a host: the eleventh page
    would never load. With one, an SOS is on every wall, and the next page opens."""
    async with house(FakeReader(busy=True), QUICK) as served:
        context = await browser.new_context()
        pages = await tabs(context, served, *["/wall"] * 7, *["/alerts/6"] * 3)
        await served.script.send("change", sos_change(101))
        for page in pages[:7]:
            await expect(page.locator(WINDOW)).to_have_attribute("data-state", "sos")
        assert len(served.script.queues) == 1
        assert served.script.after == [100]
        (last,) = await tabs(context, served, "/login?x")
        await expect(last.locator("h1")).to_be_visible()
        await context.close()


async def test_the_feed_outlives_the_tab_that_opened_it(browser: Browser) -> None:
    """The first tab is closed; the others hear the next SOS over the same stream."""
    async with house(FakeReader(), QUICK) as served:
        context = await browser.new_context()
        first, second, third = await tabs(context, served, "/wall", "/wall", "/wall")
        await first.close()
        await served.script.send("change", sos_change(101))
        for page in (second, third):
            await expect(page.locator(WINDOW)).to_have_attribute("data-state", "sos")
        assert served.script.after == [100]
        await context.close()


async def test_a_tab_that_was_loaded_earlier_is_told_what_it_missed(browser: Browser) -> None:
    """A page drawn at 100 joins a feed that is at 101: the change is repeated from memory."""
    async with house(FakeReader(), QUICK) as served:
        context = await browser.new_context()
        (first,) = await tabs(context, served, "/wall")
        await served.script.send("change", sos_change(101))
        await expect(first.locator(WINDOW)).to_have_attribute("data-state", "sos")
        (late,) = await tabs(context, served, "/wall")  # the fake still draws number 100
        await expect(late.locator(WINDOW)).to_have_attribute("data-state", "sos")
        assert served.script.after == [100]
        await context.close()


@pytest.mark.parametrize("lack", ["no workers here", "the worker died"])
async def test_without_the_worker_a_page_follows_the_feed_alone(
    browser: Browser, lack: str
) -> None:
    """An old browser has no shared workers, and a worker may be killed; the wall goes on."""
    async with house(FakeReader(), QUICK | {"late-ms": 500}) as served:
        page = await browser.new_page()
        if lack == "no workers here":
            await page.add_init_script("delete window.SharedWorker")
        else:
            await page.add_init_script(
                """window.SharedWorker = class {
                  constructor() {
                    this.port = { postMessage() {}, close() {} };
                  }
                  addEventListener() {}
                }"""
            )
        await page.goto(f"{served.url}/wall")
        await served.script.streams(1)
        # On a busy machine the page may have given a first stream up as late, as it should: the
        # script repeats nothing to the next one by itself, a server does.
        for _ in range(20):
            await served.script.send("heartbeat", heartbeat())
            await served.script.send("change", sos_change(101))
            with contextlib.suppress(AssertionError):
                await expect(page.locator(WINDOW)).to_have_attribute(
                    "data-state", "sos", timeout=500
                )
                break
        await expect(page.locator(WINDOW)).to_have_attribute("data-state", "sos")
        await page.close()


async def test_the_page_of_an_alert_takes_up_a_change_without_a_reload(browser: Browser) -> None:
    """Accepted elsewhere: the page says so in place, keeps its scroll, and a half-written note
    stays until its writer is done."""
    async with house(FakeReader(busy=True), QUICK) as served:
        page = await browser.new_page(viewport={"width": 900, "height": 500})
        await page.goto(f"{served.url}/alerts/5")
        await served.script.streams(1)
        await page.evaluate("window.sameDocument = true")
        going = {"name": "梁玉珍", "role": "steward", "person_id": 21}
        going |= {"accepted_ms": 1, "on_scene_ms": None}
        changes = {"state": "accepted", "version": 2, "responders": [going]}
        served.reader.data["alerts"][0] |= changes
        await served.script.send("change", sos_change(101, **changes))
        await expect(page.locator(".head")).to_contain_text("梁玉珍")
        await page.fill("#note", "邻居说")
        served.reader.data["alerts"][0] |= {"version": 3}
        await served.script.send("change", {**sos_change(102), "alerts": [alert(5, version=3)]})
        await expect(page.locator("#stale")).to_contain_text("情况有变")
        await expect(page.locator("#note")).to_have_value("邻居说")
        assert await page.evaluate("window.sameDocument")
        await page.close()
