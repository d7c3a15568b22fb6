"""Claims about the forms of the staff's pages: with htmx in place, without it all the same."""

import re

import pytest
from browser_house import house
from dashboards_fake import FakeReader
from playwright.async_api import Browser, Route, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("scripts", [True, False])
async def test_an_alert_is_accepted_escalated_and_resolved(browser: Browser, scripts: bool) -> None:
    """The same buttons do the same with scripts and without."""
    async with house(FakeReader(busy=True)) as served:
        page = await browser.new_page(java_script_enabled=scripts)
        await page.goto(f"{served.url}/alerts/5")
        for button in ("accept", "escalate"):
            async with page.expect_response(f"**/alerts/5/{button}"):
                await page.click(f'form[action$="/{button}"] button')
            if scripts:  # the answer takes the place of what was there; no hand is quicker
                busy = ".htmx-request, .htmx-swapping, .htmx-settling"
                await expect(page.locator(busy)).to_have_count(0)
            await expect(page.locator("h1")).to_have_text("11栋3楼301")
        await page.check('.resolve [value="safe"]')
        async with page.expect_response("**/alerts/5/resolve"):
            await page.click(".resolve button.strong")
        await expect(page.locator("h1")).to_have_text("11栋3楼301")
        acts = [(action, fields) for _, _, action, fields in served.reader.alert_acts]
        assert acts == [("accept", {}), ("escalate", {}), ("resolve", {"outcome": "safe"})]
        await page.close()


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize(
    ("lang", "words"),
    [("zh", "这件事已由梁玉珍了结(平安)"), ("en", "closed by 梁玉珍 (safe)")],
)
async def test_a_refusal_is_in_the_language_of_the_page(
    browser: Browser, scripts: bool, lang: str, words: str
) -> None:
    """Whoever reads Chinese is not told in English why nothing happened, nor the other way."""
    async with house(FakeReader(busy=True)) as served:
        both = {"zh": "这件事已由梁玉珍了结(平安)。", "en": "closed by 梁玉珍 (safe)"}
        served.reader.refuse = both
        page = await browser.new_page(java_script_enabled=scripts)
        await page.goto(f"{served.url}/alerts/5?lang={lang}")
        await page.context.add_cookies([{"name": "lang", "value": lang, "url": served.url}])
        await page.click('form[action$="/accept"] button')
        await expect(page.locator(".notice.bad")).to_contain_text(words, ignore_case=True)
        served.script.post_answer = (
            409, {"detail": "for a log", "words": both},
        )  # fmt: skip
        if scripts:
            await page.goto(f"{served.url}/wall")
            await page.click('[data-alert="5"] [data-act="accept"]')
            failure = page.locator('[data-alert="5"] .failure')
            await expect(failure).to_contain_text(words, ignore_case=True)
        await page.close()


async def test_a_form_that_met_a_dead_line_says_so_and_keeps_what_was_written(
    browser: Browser,
) -> None:
    """On the alert's page and on the handover's."""
    async with house(FakeReader(busy=True)) as served:
        page = await browser.new_page()

        async def dead_for_posts(route: Route) -> None:
            await (route.abort() if route.request.method == "POST" else route.continue_())

        await page.route(re.compile("/alerts/5/|/handover$"), dead_for_posts)
        await page.goto(f"{served.url}/alerts/5")
        await page.check('.resolve [value="safe"]')
        await page.fill("#note", "扶起来了")
        await page.click(".resolve button.strong")
        await expect(page.locator("#stale")).to_contain_text("服务器没有回应")
        await expect(page.locator("#note")).to_have_value("扶起来了")
        await page.goto(f"{served.url}/handover")
        await page.fill("#incoming", "周明")
        await page.click("button.main")
        await expect(page.locator("#unsent")).to_contain_text("没有送达")
        await expect(page.locator("#incoming")).to_have_value("周明")
        await page.close()


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_shift_is_handed_over_by_two_names(browser: Browser, scripts: bool) -> None:
    """The one on duty stands there already, the other is written in; the written sheet opens."""
    async with house(FakeReader(busy=True)) as served:
        page = await browser.new_page(java_script_enabled=scripts)
        await page.goto(f"{served.url}/handover")
        await expect(page.locator("main")).to_contain_text("11栋3楼301")
        await expect(page.locator("#outgoing")).to_have_value("李文静")
        await page.click("button.main")
        assert served.reader.handovers == [], "the second name is required"
        await page.fill("#incoming", "周明")
        await page.fill("#note", "32栋有人在路上")
        await page.click("button.main")
        await page.wait_for_url("**/handover/1")
        await expect(page.locator("main")).to_contain_text("周明 → 李文静")
        wrote = ("李文静", "李文静", "周明", "32栋有人在路上", 1)
        assert served.reader.handovers == [wrote]
        await page.close()


@pytest.mark.parametrize("chosen", ["#who", "#says", "#item-901"])
async def test_a_choice_is_not_taken_back_by_news(browser: Browser, chosen: str) -> None:
    """Who goes, who says so, how a flat is: chosen and not yet sent, it stays when a message's fate
    changes, and the page says that there is news."""
    async with house(FakeReader(busy=True)) as served:
        page = await browser.new_page()
        number = 7 if chosen.startswith("#item") else 5
        await page.goto(f"{served.url}/alerts/{number}")
        await served.script.streams(1)
        await page.locator(chosen).select_option(index=1)
        value = await page.locator(chosen).input_value()
        assert value
        await page.locator("body").click(position={"x": 1, "y": 1})
        changed = next(a for a in served.reader.data["alerts"] if a["id"] == number)
        told = [t | {"state": "failed"} for t in changed["told"]]
        await served.script.send(
            "change", {"seq": 101, "entries": [], "alerts": [changed | {"told": told}]}
        )
        await expect(page.locator("#stale")).to_be_visible()
        await expect(page.locator(chosen)).to_have_value(value)
        await page.close()
