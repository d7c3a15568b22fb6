"""Claims about the steward's page on a small phone, in a real Chromium without scripts."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from browser_house import House, chromium, house
from dashboards_fake import TOKEN, FakeReader, steward_view
from playwright.async_api import Browser, Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def phone(browser: Browser) -> AsyncIterator[tuple[House, Page]]:
    """A 360×640 phone without JavaScript."""
    async with house(FakeReader()) as served:
        page = await browser.new_page(
            viewport={"width": 360, "height": 640}, java_script_enabled=False
        )
        yield served, page
        await page.close()


async def test_from_the_message_to_the_end_in_three_taps(browser: Browser) -> None:
    """我去 → 我到门口 → 平安: each tap leads to the next, and the private part opens in between."""
    async with phone(browser) as (served, page):
        await page.goto(f"{served.url}/s/{TOKEN}")
        await expect(page.locator("body")).not_to_contain_text("何婉仪")
        await page.click("button.first")
        await expect(page.locator("body")).to_contain_text("何婉仪")
        await page.click("button.first")
        await page.click('button:has-text("平安")')
        await expect(page.locator("body")).to_contain_text("已结束")
        assert [act for _, act, _ in served.reader.acts] == ["accept", "on_scene", "resolve:safe"]
        assert page.url == f"{served.url}/s/{TOKEN}"


async def test_ticks_of_a_missed_round_travel_with_the_outcome(browser: Browser) -> None:
    """The tick list and the buttons belong to one form, without any script."""
    async with phone(browser) as (served, page):
        served.reader.views[TOKEN] = steward_view("on_scene", mine=True, kind="missed")
        await page.goto(f"{served.url}/s/{TOKEN}")
        await page.check('input[value="902"]')
        await page.click('button:has-text("平安")')
        await page.wait_for_load_state()
        assert served.reader.acts == [(TOKEN, "resolve:safe", {"resident_id": ["902"]})]


@pytest.mark.parametrize(
    ("state", "own"),
    [("open", None), ("accepted", "accepted"), ("on_scene", "accepted"), ("on_scene", "on_scene")],
)
async def test_buttons_are_large_and_under_the_thumb(
    browser: Browser, state: str, own: str | None
) -> None:
    """Every target 64 px high or more, the whole bar in the lower half, text at least 20 px."""
    async with phone(browser) as (served, page):
        served.reader.views[TOKEN] = steward_view(state, my_state=own)
        await page.goto(f"{served.url}/s/{TOKEN}")
        for box in [await b.bounding_box() for b in await page.locator(".b, .tel").all()]:
            assert box is not None
            assert box["height"] >= 64
        first = await page.locator(".b").first.bounding_box()
        assert first is not None
        assert first["y"] >= 320
        bars = page.locator(".bar a[href='tel:120']")
        await expect(bars).to_be_in_viewport()
        size = await page.locator("body").evaluate("(el) => getComputedStyle(el).fontSize")
        assert float(size.removesuffix("px")) >= 20


SIZES = """() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const words = walk.currentNode.textContent.trim(), at = walk.currentNode.parentElement;
    if (words && at.getClientRects().length)
      found.push([words, parseFloat(getComputedStyle(at).fontSize)]);
  }
  return found;
}"""
"""Every text that can be seen, with its size in px."""

STATES = [
    steward_view(), steward_view("on_scene", my_state="accepted"),
    steward_view("on_scene", mine=True), steward_view("resolved", mine=True),
    steward_view("accepted", mine=True, kind="missed"),
]  # fmt: skip


async def sizes(page: Page, url: str) -> list[tuple[str, float]]:
    """Every text of the page with its size in px."""
    await page.goto(url)
    return [(words, px) for words, px in await page.evaluate(SIZES)]


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_no_letter_is_too_small_for_seventy(browser: Browser, lang: str) -> None:
    """On a small phone no text is under 18 px, and no Chinese under 20, in any state."""
    async with phone(browser) as (served, page):
        small = []
        for view in [*STATES, None]:
            served.reader.views = {TOKEN: view} if view else {}
            for words, px in await sizes(page, f"{served.url}/s/{TOKEN}?lang={lang}"):
                if px < (20 if re.search("[\u4e00-\u9fff]", words) else 18):
                    small.append((words, px))
        assert small == []


async def test_the_readers_own_letters_count() -> None:
    """Who has set the browser to larger letters gets them larger here as well, nothing is cut off
    at the side, and the bar no longer sticks over what it is about."""
    async with chromium("--blink-settings=defaultFontSize=28") as large, phone(large) as (
        served, page,
    ):  # fmt: skip
        for view in STATES:
            served.reader.views[TOKEN] = view
            found = await sizes(page, f"{served.url}/s/{TOKEN}")
            assert min(px for _, px in found) >= 28
            assert max(px for words, px in found if words == "11栋3楼301" or "栋" in words) >= 35
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await page.evaluate(wide) == 0
            bar = page.locator(".bar")
            assert await bar.evaluate("(el) => getComputedStyle(el).position") == "static"


async def test_a_tap_that_did_not_get_through_is_kept_said_and_sent_again(browser: Browser) -> None:
    """No signal in the stairwell: the page says 未送达 until the server has answered, sends by
    itself when there is signal, and a reload in between forgets nothing."""
    async with house(FakeReader()) as served:
        page = await browser.new_page(viewport={"width": 360, "height": 640})
        await page.goto(f"{served.url}/s/{TOKEN}")
        posts = f"**/s/{TOKEN}/*"
        await page.route(posts, lambda route: route.abort())
        await page.click("button.first")
        await expect(page.locator("#unsent")).to_contain_text("我去")
        await expect(page.locator("#unsent")).to_contain_text("未送达。")
        assert served.reader.acts == []
        await page.reload()
        await expect(page.locator("#unsent")).to_contain_text("未送达")
        await page.unroute(posts)
        await expect(page.locator("body")).to_contain_text("何婉仪", timeout=15_000)
        await expect(page.locator("#unsent")).to_be_hidden()
        assert [act for _, act, _ in served.reader.acts] == ["accept"]
        await page.click("button.first")
        await expect(page.locator("body")).to_contain_text("您到门口了")
        assert [act for _, act, _ in served.reader.acts] == ["accept", "on_scene"]
        await page.close()


async def test_a_tap_outlives_the_tab_and_other_links_taps_are_swept(browser: Browser) -> None:
    """The tab is closed in the stairwell; the link opened again within ten minutes sends the tap.
    What is kept of another link, a key to another home, is gone with its time."""
    async with house(FakeReader()) as served:
        context = await browser.new_context(viewport={"width": 360, "height": 640})
        page = await context.new_page()
        await page.goto(f"{served.url}/s/{TOKEN}")
        posts = f"**/s/{TOKEN}/*"
        await context.route(posts, lambda route: route.abort())
        await page.click("button.first")
        await expect(page.locator("#unsent")).to_contain_text("未送达。")
        await page.evaluate("""() => {
          localStorage.setItem("unsent /s/old", JSON.stringify({ at: Date.now() - 11 * 60e3 }));
          localStorage.setItem("unsent /s/new", JSON.stringify({ at: Date.now() }));
        }""")
        await page.close()
        await context.unroute(posts)
        again = await context.new_page()
        await again.goto(f"{served.url}/s/{TOKEN}")
        await expect(again.locator("body")).to_contain_text("何婉仪")
        assert [act for _, act, _ in served.reader.acts] == ["accept"]
        assert await again.evaluate("Object.keys(localStorage)") == ["unsent /s/new"]
        await context.close()


@pytest.mark.parametrize("broken", ["getItem", "setItem", "everything"])
async def test_a_phone_that_keeps_nothing_still_sends_the_tap(
    browser: Browser, broken: str
) -> None:
    """Storage full or denied: the browser sends the form itself, and no error stops the tap."""
    async with house(FakeReader()) as served:
        page = await browser.new_page(viewport={"width": 360, "height": 640})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        deny = "throw new DOMException('denied', 'SecurityError');"
        await page.add_init_script(
            f"Object.defineProperty(window, 'localStorage', {{ get() {{ {deny} }} }});"
            if broken == "everything"
            else f"Storage.prototype.{broken} = () => {{ {deny} }};"
        )
        await page.goto(f"{served.url}/s/{TOKEN}")
        await page.click("button.first")
        await expect(page.locator("body")).to_contain_text("何婉仪")
        assert [act for _, act, _ in served.reader.acts] == ["accept"]
        assert errors == []
        await page.close()


@pytest.mark.parametrize("status", [200, 404])
async def test_a_strangers_answer_is_no_delivery(browser: Browser, status: int) -> None:
    """A network's login page answers in our place: the tap stays unsent, our page stays, and the
    tap is delivered once we answer ourselves."""
    async with house(FakeReader()) as served:
        page = await browser.new_page(viewport={"width": 360, "height": 640})
        await page.goto(f"{served.url}/s/{TOKEN}")
        posts = f"**/s/{TOKEN}/*"
        portal = "<!doctype html><html><body>Welcome to Free WiFi</body></html>"
        await page.route(posts, lambda route: route.fulfill(
            status=status, content_type="text/html", body=portal
        ))  # fmt: skip
        await page.click("button.first")
        await expect(page.locator("#unsent")).to_contain_text("未送达。")
        await expect(page.locator("body")).not_to_contain_text("Free WiFi")
        await page.unroute(posts)
        await expect(page.locator("body")).to_contain_text("何婉仪", timeout=15_000)
        assert [act for _, act, _ in served.reader.acts] == ["accept"]
        await page.close()


async def test_no_outcome_of_a_worklist_without_a_tick(browser: Browser) -> None:
    """平安 with nothing ticked is of no flat: nothing is sent, and the page says what to do."""
    async with house(FakeReader()) as served:
        served.reader.views[TOKEN] = steward_view("on_scene", mine=True, kind="missed")
        page = await browser.new_page(viewport={"width": 360, "height": 640})
        await page.goto(f"{served.url}/s/{TOKEN}")
        await page.click('button:has-text("平安")')
        await expect(page.locator("#unsent")).to_contain_text("请先勾选去过的住户")
        assert served.reader.acts == []
        await page.click('button:has-text("没人应门")')
        await expect(page.locator("#unsent")).to_be_hidden()
        await page.check('input[value="901"]')
        await page.click('button:has-text("平安")')
        await expect(page.locator("body")).to_contain_text("已结束")
        acts = [(act, fields) for _, act, fields in served.reader.acts]
        assert acts == [("no_answer", {}), ("resolve:safe", {"resident_id": ["901"]})]
        await page.close()


async def test_an_old_tap_is_given_up_and_that_is_said(browser: Browser) -> None:
    """An acceptance of an hour ago helps nobody: it is not sent; the page asks for a new tap."""
    async with house(FakeReader()) as served:
        page = await browser.new_page(viewport={"width": 360, "height": 640})
        await page.clock.install()
        await page.goto(f"{served.url}/s/{TOKEN}")
        posts = f"**/s/{TOKEN}/*"
        await page.route(posts, lambda route: route.abort())
        await page.click("button.first")
        await expect(page.locator("#unsent")).to_contain_text("未送达")
        await page.unroute(posts)
        await page.clock.set_system_time(
            await page.evaluate("Date.now() + 11 * 60 * 1000")
        )
        await page.evaluate("dispatchEvent(new Event('online'))")
        await expect(page.locator("#unsent")).to_contain_text("已过时")
        assert served.reader.acts == []
        await page.close()


async def test_a_double_tap_is_one_tap(browser: Browser) -> None:
    """Two quick taps on 我去 are one request with scripts, and harmless without."""
    for scripts in (True, False):
        async with house(FakeReader()) as served:
            page = await browser.new_page(
                viewport={"width": 360, "height": 640}, java_script_enabled=scripts
            )
            await page.goto(f"{served.url}/s/{TOKEN}")
            await page.locator("button.first").dblclick(no_wait_after=True)
            await expect(page.locator("body")).to_contain_text("何婉仪")
            acts = [act for _, act, _ in served.reader.acts]
            assert set(acts) == {"accept"}, "the second tap never falls on the next button"
            assert not scripts or acts == ["accept"], "one tap, one request"
            await page.close()


async def test_a_refusal_is_shown_and_nothing_is_sent_twice(browser: Browser) -> None:
    """The server said no: that is an answer, not a lost message."""
    async with house(FakeReader()) as served:
        served.reader.refuse = {"zh": "陈国栋已经结束了这件事。", "en": "closed"}
        page = await browser.new_page(viewport={"width": 360, "height": 640})
        await page.goto(f"{served.url}/s/{TOKEN}")
        await page.click("button.first")
        await expect(page.locator(".notice.bad[role=alert]")).to_contain_text("陈国栋已经结束了")
        await expect(page.locator("#unsent")).to_be_hidden()
        await page.close()


READ_AGAIN = 10_000


@asynccontextmanager
async def open_page(browser: Browser) -> AsyncIterator[tuple[House, Page, list[str]]]:
    """A phone with scripts whose time a test moves on, and the looks that the server was asked for
    by the page itself, by their answer's status."""
    async with house(FakeReader()) as served:
        page = await browser.new_page(viewport={"width": 360, "height": 640})
        await page.clock.install()
        looks: list[str] = []
        page.on("response", lambda answer: looks.append(f"{answer.request.method} {answer.status}")
                if answer.request.resource_type == "fetch" else None)  # fmt: skip
        yield served, page, looks
        await page.close()


async def test_an_open_page_shows_what_others_did(browser: Browser) -> None:
    """Somebody else goes, arrives, and it ends: the open page says so within ten seconds each, by
    looking alone; when it is over it looks no more, and what has not changed comes as 304."""
    async with open_page(browser) as (served, page, looks):
        await page.goto(f"{served.url}/s/{TOKEN}")
        for state, words in (("accepted", "已有人前往"), ("on_scene", "已有人到门口")):
            served.reader.views[TOKEN] = steward_view(state)
            await page.clock.run_for(READ_AGAIN)
            await expect(page.locator("main")).to_contain_text(words)
        await page.clock.run_for(READ_AGAIN)
        await expect(page.locator("#stale")).to_be_hidden()
        await page.wait_for_timeout(50)
        assert looks == ["GET 200", "GET 200", "GET 304"]
        served.reader.views[TOKEN] = steward_view("resolved") | {"outcome": "safe"}
        await page.clock.run_for(READ_AGAIN)
        await expect(page.locator("main")).to_contain_text("已结束")
        await expect(page.locator("button")).to_have_count(0)
        await page.clock.run_for(3 * READ_AGAIN)
        await page.wait_for_timeout(50)
        assert len(looks) == 4
        assert served.reader.acts == []


async def test_ticks_place_and_focus_stay_while_a_flat_checks_in(browser: Browser) -> None:
    """Two flats are ticked, the page is scrolled, and one of the others checks in: its line says
    so, the ticks stand, the focus and the place as well, and the outcome is of the ticked ones."""
    async with open_page(browser) as (served, page, _):
        view = steward_view("on_scene", mine=True, kind="missed")
        view["items"] = [
            {"resident_id": n, "label": f"{n}01", "state": "open"} for n in range(1, 15)
        ]
        served.reader.views[TOKEN] = view
        await page.goto(f"{served.url}/s/{TOKEN}")
        await page.check('input[value="12"]')
        await page.check('input[value="13"]')
        before = await page.evaluate("scrollY")
        assert before > 0
        view["items"][2]["state"] = "cleared"
        view["others"] = [{"name": "陈国栋", "state": "accepted"}]
        await page.clock.run_for(READ_AGAIN)
        await expect(page.locator(".items li").nth(2)).to_contain_text("已补报")
        await expect(page.locator("main")).to_contain_text("前往中")
        assert await page.locator("input:checked").evaluate_all("all => all.map(b => b.value)") == [
            "12", "13",
        ]  # fmt: skip
        assert await page.evaluate("document.activeElement.value") == "13"
        assert abs(await page.evaluate("scrollY") - before) < 4
        await page.click('button:has-text("平安")')
        await expect(page.locator("body")).to_contain_text("已结束")
        assert served.reader.acts == [(TOKEN, "resolve:safe", {"resident_id": ["12", "13"]})]


async def test_the_finger_is_not_on_another_button_all_of_a_sudden(browser: Browser) -> None:
    """Buttons stay the same elements while nothing about them changes, so that a tap is never
    lost; where they do change they take a moment before they can be pressed."""
    async with open_page(browser) as (served, page, _):
        await page.goto(f"{served.url}/s/{TOKEN}")
        await page.evaluate("document.getElementById('act').dataset.same = 'yes'")
        await page.evaluate("document.getElementById('act').removeAttribute('data-same')")
        await page.evaluate("window.bar = document.getElementById('act')")
        served.reader.views[TOKEN] = steward_view("accepted")
        await page.clock.run_for(READ_AGAIN)
        await expect(page.locator("main")).to_contain_text("已有人前往")
        assert await page.evaluate("window.bar === document.getElementById('act')")
        served.reader.views[TOKEN] = steward_view("accepted", mine=True)
        await page.clock.run_for(READ_AGAIN)
        await expect(page.locator("button.first")).to_contain_text("我到门口了")
        name = "getComputedStyle(document.querySelector('button.first')).animationName"
        assert await page.evaluate(name) == "settle"
        await page.wait_for_timeout(700)
        await page.click("button.first")
        await expect(page.locator("body")).to_contain_text("您到门口了")
        assert [act for _, act, _ in served.reader.acts] == ["on_scene"]


async def test_a_page_that_hears_nothing_says_so(browser: Browser) -> None:
    """Twice no answer, or another's answer: what is shown may be old, and the page says that until
    it has heard from us; a refusal stays until the next tap."""
    async with open_page(browser) as (served, page, _):
        served.reader.refuse = {"zh": "陈国栋已经结束了这件事。", "en": "closed"}
        await page.goto(f"{served.url}/s/{TOKEN}")
        await page.click("button.first")
        await expect(page.locator(".notice.bad[role=alert]")).to_contain_text("陈国栋已经结束了")
        pages = f"**/s/{TOKEN}"
        await page.route(pages, lambda route: route.fulfill(
            status=200, content_type="text/html", body="<!doctype html><p>Free WiFi</p>"
        ))  # fmt: skip
        await page.clock.run_for(READ_AGAIN)
        await page.wait_for_timeout(50)
        await expect(page.locator("#stale")).to_be_hidden()
        await page.clock.run_for(READ_AGAIN)
        await expect(page.locator("#stale")).to_contain_text("可能不是最新")
        await page.unroute(pages)
        served.reader.views[TOKEN] = steward_view("accepted")
        await page.clock.run_for(READ_AGAIN)
        await expect(page.locator("main")).to_contain_text("已有人前往")
        await expect(page.locator("#stale")).to_be_hidden()
        await expect(page.locator(".notice.bad[role=alert]")).to_contain_text("陈国栋已经结束了")
        served.reader.views[TOKEN] = steward_view("expired")
        await page.clock.run_for(READ_AGAIN)
        await expect(page.locator("h1")).to_contain_text("已经失效")
