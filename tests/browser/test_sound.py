"""Claims about the wall's voice: when which tone is due, and that the lamp is honest about it.

The timing is a pure module, run in the browser that will run it, with a clock the test passes in.
"""

import contextlib
import re
from typing import Any

import pytest
from dashboards_fake import NOW_MS, alert
from playwright.async_api import Browser, Page, expect
from playwright.async_api import Error as PlaywrightError

from tests.browser.test_wall_live import heartbeat, sos_change, wall

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEP_MS = 200


async def heard(page: Page, seconds: float, script: str) -> list[list[float]]:
    """Plays the plan through `seconds` in steps of 200 ms; `script` is the body of a function
    (plan, now) → [level, sos ids]. Returns [ms, hz] of each beep."""
    return await page.evaluate(
        """async ([seconds, step, body]) => {
          const { SoundPlan } = await import("/static/sound_plan.js");
          const plan = new SoundPlan();
          const what = new Function("plan", "now", body);
          const beeps = [];
          for (let now = 0; now < seconds * 1000; now += step) {
            const [level, ids] = what(plan, now);
            for (const beep of plan.due(now, level, ids)) beeps.push([now + beep.at, beep.hz]);
          }
          return beeps;
        }""",
        [seconds, STEP_MS, script],
    )


async def scripts(page: Page, url: str) -> None:
    """A page of the house without a content policy, so that a test may write scripts."""
    await page.goto(f"{url}/static/favicon.svg")


@pytest.mark.parametrize(
    ("level", "seconds", "beeps"),
    [("high", 10, 10), ("high", 30, 30), ("medium", 25, 3), ("medium", 50, 6), ("low", 60, 2)],
)
async def test_the_patterns_are_those_of_the_standard(
    browser: Browser, level: str, seconds: int, beeps: int
) -> None:
    """High 3+2 twice in 10 s, medium 3 in 25 s, low 1 in 30 s, and over again."""
    async with wall(browser) as (served, page):
        await scripts(page, served.url)
        assert len(await heard(page, seconds, f"return ['{level}', []]")) == beeps


async def test_silence_when_nothing_is_open(browser: Browser) -> None:
    """No level, no tone."""
    async with wall(browser) as (served, page):
        await scripts(page, served.url)
        assert await heard(page, 120, "return [null, []]") == []


async def test_a_higher_priority_does_not_wait_for_a_lower_pattern(browser: Browser) -> None:
    """An SOS a second after a worklist sounds within the same look, high and not medium."""
    async with wall(browser) as (served, page):
        await scripts(page, served.url)
        beeps = await heard(page, 2, "return now < 1000 ? ['medium', []] : ['high', [5]]")
        assert min(at for at, hz in beeps if hz == 880) == 1000


async def test_a_mute_ends_by_itself_and_a_new_sos_ends_it_at_once(browser: Browser) -> None:
    """Muted at 1 s: silent until 121 s. With another SOS at 30 s: heard from 30 s on."""
    async with wall(browser) as (served, page):
        await scripts(page, served.url)
        mute = "if (now === 1000) plan.mute(now);"
        same = await heard(page, 130, mute + "return ['high', [5]]")
        after = [at for at, _ in same if at > 4_000]
        assert min(after) == 121_000
        other = await heard(page, 60, mute + "return ['high', now < 30000 ? [5] : [5, 6]]")
        assert min(at for at, _ in other if at > 4_000) == 30_000


@pytest.mark.parametrize(
    ("alerts", "lost", "level"),
    [
        ([alert(1)], False, "high"),
        ([alert(1, test=True)], False, None),
        ([alert(1, state="accepted")], False, None),
        ([alert(1, kind="missed"), alert(2, state="accepted")], False, "medium"),
        ([alert(1, kind="missed", state="accepted")], False, None),
        ([alert(1, kind="fault", opened_ms=NOW_MS - 1_000)], False, "low"),
        ([alert(1, kind="fault", opened_ms=NOW_MS - 121_000)], False, None),
        ([], True, "low"),
        ([alert(1)], True, "high"),
        ([], False, None),
    ],
)
async def test_the_worst_open_thing_gives_the_priority(
    browser: Browser, alerts: list[dict[str, Any]], lost: bool, level: str | None
) -> None:
    """SOS, then worklists, then fresh faults and a lost feed; what is taken up is silent."""
    async with wall(browser) as (served, page):
        await scripts(page, served.url)
        found = await page.evaluate(
            """async ([alerts, lost, now]) => {
              const { priority } = await import("/static/sound_plan.js");
              return priority(alerts, { now, feedLost: lost });
            }""",
            [alerts, lost, NOW_MS],
        )
        assert found == level


async def test_the_lamp_says_whether_it_could_be_heard(browser: Browser) -> None:
    """Not armed until somebody has tested it; muted by M, and a new SOS brings it back."""
    async with wall(browser) as (served, page):
        lamp = page.locator("#sound")
        await expect(lamp).to_have_attribute("data-state", "unarmed")
        await page.keyboard.press("m")
        await expect(lamp).to_have_attribute("data-state", "unarmed")
        await lamp.click()
        await expect(lamp).to_have_attribute("data-state", "armed")
        await page.keyboard.press("m")
        await expect(lamp).to_have_attribute("data-state", "muted")
        await expect(lamp).to_contain_text("静音 01:5")
        await served.script.send("change", sos_change(101))
        await expect(lamp).to_have_attribute("data-state", "armed")


COUNTED = """
  const { start } = AudioScheduledSourceNode.prototype;
  AudioScheduledSourceNode.prototype.start = function (at) {
    const { dataset } = document.documentElement;
    dataset.tones = Number(dataset.tones ?? 0) + 1;
    return start.call(this, at);
  };
"""
BURST = re.compile(r"^1[0-9]$")
"""So many tones as the pattern of an SOS has, and those of what sounded before it."""
SHUT = """
  // A browser that lets no page sound before it was touched.
  let touched = false;
  for (const touch of ["pointerdown", "keydown"])
    addEventListener(touch, () => { touched = true; }, { capture: true });
  const { resume } = AudioContext.prototype;
  const state = Object.getOwnPropertyDescriptor(BaseAudioContext.prototype, "state");
  AudioContext.prototype.resume = function () {
    return touched ? resume.call(this) : new Promise(() => {}); };
  Object.defineProperty(BaseAudioContext.prototype, "state", {
    get() { return touched ? state.get.call(this) : "suspended"; } });
"""


async def test_a_new_sos_is_heard_while_a_detail_is_read(browser: Browser) -> None:
    """What the wall leads to opens in one second tab: the wall stays, hears, and sounds."""
    old = {"kind": "fault", "fault": "offline", "opened_ms": NOW_MS - 5_400_000}
    quiet = [alert(8, **old), alert(9, test=True)]
    async with wall(browser) as (served, page):
        served.reader.data["alerts"] = quiet
        await page.reload()
        await served.script.streams(2)
        await page.evaluate(f"() => {{ {COUNTED} }}")
        await page.locator("#sound").click()
        await expect(page.locator("#sound")).to_have_attribute("data-state", "armed")
        async with page.expect_popup() as opened:
            await page.click('[data-alert="8"] a.detail')
        detail = await opened.value
        await detail.wait_for_url("**/alerts/8")
        await expect(page.locator("html")).not_to_have_attribute("data-tones", BURST)
        await served.script.send("change", sos_change(101))
        await expect(page.locator("html")).to_have_attribute("data-tones", BURST)
        await page.click('[data-alert="9"] a.detail')
        await detail.wait_for_url("**/alerts/9")
        for way in ("account", "buildings", "handover"):
            target = page.locator(f'header a[href="/{way}"]')
            await expect(target).to_have_attribute("target", "xunlou-detail")
        async with detail.expect_event("close"):
            with contextlib.suppress(PlaywrightError):  # it may be gone before the click is over
                await detail.click("a.back")
        assert page.url.endswith("/wall")


async def test_the_shifts_test_outlives_a_reload(browser: Browser) -> None:
    """The wall loads itself anew when houses change; after it an SOS sounds without a click."""
    async with wall(browser) as (served, page):
        await page.locator("#sound").click()
        await expect(page.locator("#sound")).to_have_attribute("data-state", "armed")
        await page.add_init_script(COUNTED)
        await page.evaluate("location.reload()")
        await expect(page.locator("#sound")).to_have_attribute("data-state", "armed")
        await served.script.streams(2)
        await served.script.send("change", sos_change(101))
        await expect(page.locator("html")).to_have_attribute("data-tones", BURST)


async def test_a_browser_that_wants_a_touch_first_is_told_of(browser: Browser) -> None:
    """After a reload the browser may keep the page silent: the lamp says so; any key ends it."""
    async with wall(browser) as (_served, page):
        await page.locator("#sound").click()
        await page.add_init_script(SHUT)
        await page.reload()
        lamp = page.locator("#sound")
        await expect(lamp).to_have_attribute("data-state", "blocked")
        await expect(lamp).to_contain_text("没有声音:点这里")
        await page.keyboard.press("j")
        await expect(lamp).to_have_attribute("data-state", "armed")


HOUR_MS = 3_600_000


async def test_a_test_is_of_one_shift(browser: Browser) -> None:
    """Twelve hours on, and after a handover, the lamp asks for a test again, over a reload too, and
    the wall sounds all the same; one more press is the new shift's test."""
    async with wall(browser) as (served, page):
        lamp = page.locator("#sound")
        await lamp.click()
        await expect(lamp).to_have_attribute("data-state", "armed")
        await served.script.send("heartbeat", heartbeat(now_ms=NOW_MS + 12 * HOUR_MS - 60_000))
        await expect(page.locator("#clock")).to_have_text(re.compile("^18:09"))
        await expect(lamp).to_have_attribute("data-state", "armed")
        await served.script.send("heartbeat", heartbeat(now_ms=NOW_MS + 12 * HOUR_MS))
        await expect(lamp).to_have_attribute("data-state", "stale")
        await expect(lamp).to_have_text("请试音")
        served.reader.data["now_ms"] = NOW_MS + 12 * HOUR_MS
        await page.add_init_script(COUNTED)
        await page.evaluate("location.reload()")
        await served.script.streams(2)
        await expect(lamp).to_have_attribute("data-state", "stale")
        await served.script.send("change", sos_change(101))
        await expect(page.locator("html")).to_have_attribute("data-tones", BURST)
        await lamp.click()
        await expect(lamp).to_have_attribute("data-state", "armed")
        before = {"now_ms": NOW_MS + 13 * HOUR_MS, "handed_over_ms": NOW_MS + 11 * HOUR_MS}
        await served.script.send("heartbeat", heartbeat(**before))
        await expect(page.locator("#clock")).to_have_text(re.compile("^19:10"))
        await expect(lamp).to_have_attribute("data-state", "armed")
        after = before | {"handed_over_ms": NOW_MS + 13 * HOUR_MS}
        await served.script.send("heartbeat", heartbeat(**after))
        await expect(lamp).to_have_attribute("data-state", "stale")
        await page.keyboard.press("m")
        await expect(lamp).to_have_attribute("data-state", "muted")
