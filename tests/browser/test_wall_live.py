"""Claims about the live wall, in a real Chromium against a real server with a scripted feed."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count, cycle, pairwise
from typing import Any

import pytest
from browser_house import House, house
from dashboards_fake import NOW_MS, FakeReader, alert, flat_id, responder, told
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from xunlou.sample import guangdan

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLAT = flat_id(11, 3, 1)
WINDOW = f'[data-flat="{FLAT}"]'
BUILDING = '[data-building="11"]'


@asynccontextmanager
async def wall(
    browser: Browser, *, busy: bool = False, times_ms: dict[str, int] | None = None, **context: Any
) -> AsyncIterator[tuple[House, Page]]:
    """The wall, opened and connected. Fails the test on any error in the browser's console."""
    quick = {"backoff-min-ms": 20, "backoff-max-ms": 100}
    async with house(FakeReader(busy=busy), quick | (times_ms or {})) as served:
        page = await browser.new_page(viewport={"width": 1920, "height": 1080}, **context)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))

        def note(message: ConsoleMessage) -> None:
            if "Content Security" in message.text:
                errors.append(message.text)

        page.on("console", note)
        await page.goto(f"{served.url}/wall")
        await served.script.streams(1)
        yield served, page
        await page.close()
        assert errors == []


def sos_change(seq: int, **changes: Any) -> dict[str, Any]:
    """The change event of an SOS in building 11, flat 301."""
    return {
        "seq": seq,
        "entries": [],
        "flats": {str(FLAT): "sos"},
        "buildings": {"11": "sos"},
        "alerts": [alert(5, **changes)],
        "counts": {"sos": 1, "claimed": 0, "missed": 0, "faults": 0},
        "round": None,
    }


def heartbeat(seq: int = 100, **changes: Any) -> dict[str, Any]:
    """A heartbeat at the time of the snapshot."""
    return {"now_ms": NOW_MS, "speed": 1.0, "seq": seq, "ingest_lag_ms": 500} | changes


def sample_buildings() -> list[dict[str, Any]]:
    """The sample community as a snapshot gives it, everybody checked in."""
    numbers = count(1)
    return [
        {
            "id": built.number, "number": built.number, "name": f"{built.number}栋",
            "worst": "ok", "stairwells": list(built.stairwells),
            "flats": [
                {"id": next(numbers), "label": f.label, "floor": f.floor, "terminal": True,
                 "stairwell": f.stairwell, "state": "checked"}
                for f in built.flats
            ],
        }
        for built in guangdan().buildings
    ]  # fmt: skip


async def test_an_sos_flips_its_window_and_brings_a_card(browser: Browser) -> None:
    """One change event: the window, the building's word, the count and the card, all in place."""
    async with wall(browser) as (served, page):
        same = await page.evaluate_handle(f"document.querySelector('{WINDOW}')")
        await expect(page.locator(f"{BUILDING} .word")).to_have_text("22/22")
        await served.script.send("change", sos_change(101))
        await expect(page.locator(WINDOW)).to_have_attribute("data-state", "sos")
        assert await same.evaluate("(el) => el.isConnected && el.dataset.state === 'sos'")
        await expect(page.locator(f"{BUILDING} .word")).to_have_text("SOS")
        await expect(page.locator('[data-count="sos"] dd')).to_have_text("1")
        card = page.locator('[data-group="sos"] .card')
        await expect(card.locator(".pick")).to_have_text("11栋3楼301")
        await expect(card.locator("time")).to_have_text(re.compile(r"^01:1\d$"))
        await expect(card).to_contain_text("短信 未送达")
        await expect(card.locator(".next")).to_have_text(re.compile(r"^00:4\d 后通知 冯志强$"))
        await expect(page.locator("#announce")).to_have_text("新的求助:11栋3楼301")


async def test_accepting_and_resolving_move_the_card_along_and_away(browser: Browser) -> None:
    """Claimed: the other group, who goes, no pulse. Resolved: gone, and said so."""
    async with wall(browser, busy=True) as (served, page):
        accepted = {
            "state": "accepted",
            "version": 2,
            "responder": {"name": "梁玉珍", "role": "steward"},
            "lease_until_ms": NOW_MS + 480_000,
            "actions": ["on_scene", "resolve"],
        }
        change = sos_change(101, **accepted) | {
            "flats": {str(FLAT): "claimed"},
            "buildings": {"11": "claimed"},
        }
        await served.script.send("change", change)
        card = page.locator('[data-group="claimed"] [data-alert="5"]')
        await expect(card.locator(".who")).to_have_text("梁玉珍(巡楼员)前往中")
        await expect(card.locator(".next")).to_contain_text("内应到门口")
        await expect(page.locator(f"{BUILDING} .word")).to_have_text("前往")
        pulse = f"getComputedStyle(document.querySelector('{WINDOW}'), '::after').animationName"
        assert await page.evaluate(pulse) == "none"
        await served.script.send("change", sos_change(102, state="open", version=1))
        await expect(card, "older news never reopens a claimed alert").to_be_visible()
        done = change | {"seq": 103, "flats": {str(FLAT): "checked"}, "buildings": {"11": "ok"}}
        done["alerts"] = [alert(5, state="resolved", outcome="safe", version=3)]
        await served.script.send("change", done)
        await expect(card).to_have_count(0)
        await expect(page.locator("#last-resolved")).to_contain_text("11栋3楼301 平安")


async def test_staff_accept_from_the_card_and_see_who_did_it(browser: Browser) -> None:
    """The button posts once to the JSON API with the header, and shows the answer."""
    async with wall(browser, busy=True) as (served, page):
        served.script.post_answer = (
            200,
            alert(
                5,
                state="accepted",
                version=2,
                responder={"name": "李文静", "role": "operator"},
                actions=["on_scene", "resolve"],
            ),
        )
        await page.click('[data-alert="5"] [data-act="accept"]')
        card = page.locator('[data-group="claimed"] [data-alert="5"]')
        await expect(card.locator(".who")).to_have_text("李文静(值班员)前往中")
        assert served.script.posts == [("5/accept", {}, "xunlou")]


async def test_staff_accept_on_behalf_of_a_steward_who_phoned(browser: Browser) -> None:
    """Choosing who goes sends that person, so that the record names the one at the door."""
    async with wall(browser, busy=True) as (served, page):
        served.script.post_answer = (200, alert(5, version=2))
        await page.select_option('[data-alert="5"] select', label="陈国栋")
        async with page.expect_response("**/accept"):
            await page.click('[data-alert="5"] [data-act="accept"]')
        assert served.script.posts == [("5/accept", {"as_person_id": 22}, "xunlou")]


async def test_who_goes_stays_chosen_while_others_are_told(browser: Browser) -> None:
    """A phoned-in choice survives the news that the next on the ladder was told meanwhile."""
    async with wall(browser, busy=True) as (served, page):
        select = page.locator('[data-alert="5"] select')
        await select.select_option(label="陈国栋")
        more = [*alert(5)["told"], told("冯志强", "substitute", "sent", 23)]
        await served.script.send("change", sos_change(101, version=2, told=more))
        await expect(select.locator("option")).to_have_count(4)
        await expect(select).to_have_value("22")


async def test_who_says_how_it_ended_is_asked_and_sent(browser: Browser) -> None:
    """The outcome comes with a person: one who goes or was told, or whoever is logged in; the
    choice for one alert is not carried over to the next."""
    async with wall(browser, busy=True) as (served, page):
        served.script.post_answer = (200, alert(6, version=2))
        await page.click('[data-alert="6"] [data-act="resolve"]')
        who = page.locator("#resolve-who")
        await expect(who.locator("option")).to_have_text(["李文静", "吴秀兰", "罗建华"])
        await who.select_option(label="吴秀兰")
        await page.check('#resolve [value="safe"]')
        async with page.expect_response("**/resolve"):
            await page.click("#resolve button.strong")
        fields = {"outcome": "safe", "as_person_id": 41}
        assert served.script.posts == [("6/resolve", fields, "xunlou")]
        await page.click('[data-alert="5"] [data-act="resolve"]')
        await expect(who).to_have_value("")
        await expect(who.locator("option")).to_have_text(["李文静", "梁玉珍", "陈国栋"])


async def test_at_the_door_is_the_one_who_went_and_not_the_desk(browser: Browser) -> None:
    """The button says it for the first who goes; for a member of staff it says so itself."""
    async with wall(browser, busy=True) as (served, page):
        served.script.post_answer = (200, alert(5, version=2))
        async with page.expect_response("**/on-scene"):
            await page.click('[data-alert="6"] [data-act="on_scene"]')
        desk = responder("李文静", "operator", None)
        await served.script.send("change", sos_change(
            101, state="accepted", version=9, responders=[desk], actions=["on_scene", "resolve"],
            responder={"name": "李文静", "role": "operator"},
        ))  # fmt: skip
        async with page.expect_response("**/on-scene"):
            await page.click('[data-alert="5"] [data-act="on_scene"]')
        assert served.script.posts == [
            ("6/on-scene", {"as_person_id": 41}, "xunlou"), ("5/on-scene", {}, "xunlou"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (409, {"detail": "已由梁玉珍受理"}, "没有办成:已由梁玉珍受理"),
        (500, {}, "没有办成:HTTP 500"),
        (401, {"detail": "x"}, "登录已过期"),
    ],
)
async def test_a_refused_action_says_so_on_the_card(
    browser: Browser, status: int, body: dict[str, str], words: str
) -> None:
    """Nothing fails silently, and the button can be pressed again."""
    async with wall(browser, busy=True) as (served, page):
        served.script.post_answer = (status, body)
        button = page.locator('[data-alert="5"] [data-act="escalate"]')
        await button.click()
        await expect(page.locator('[data-alert="5"] .failure')).to_contain_text(words)
        await expect(button).to_be_enabled()


async def test_an_unreachable_server_says_so_on_the_card(browser: Browser) -> None:
    """A dead line is told in words within the time-out."""
    async with wall(browser, busy=True) as (_served, page):
        await page.route("**/api/v1/alerts/**", lambda route: route.abort())
        await page.click('[data-alert="5"] [data-act="accept"]')
        await expect(page.locator('[data-alert="5"] .failure')).to_contain_text("服务器没有回应")


async def test_resolving_demands_an_outcome(browser: Browser) -> None:
    """Without an outcome nothing is sent; with one, the outcome and the note are."""
    async with wall(browser, busy=True) as (served, page):
        await page.click('[data-alert="6"] [data-act="resolve"]')
        dialog = page.locator("#resolve")
        await expect(dialog).to_contain_text("32栋5楼502")
        await expect(dialog).to_contain_text("由 李文静 操作")
        await dialog.locator("button.strong").click()
        await expect(dialog).to_be_visible()
        assert served.script.posts == []
        served.script.post_answer = (409, {"detail": "先到门口"})
        await dialog.locator('[value="helped"]').check()
        await dialog.locator("textarea").fill("扶起来了")
        await dialog.locator("button.strong").click()
        await expect(dialog.locator(".failure")).to_contain_text("先到门口")
        served.script.post_answer = (200, alert(6, state="resolved", outcome="helped", version=9))
        await dialog.locator("button.strong").click()
        await expect(dialog).to_be_hidden()
        await expect(page.locator('[data-alert="6"]')).to_have_count(0)
        fields = {"outcome": "helped", "note": "扶起来了"}
        assert served.script.posts == [("6/resolve", fields, "xunlou")] * 2


async def test_each_flat_of_a_missed_round_has_its_own_outcome(browser: Browser) -> None:
    """Pressing a flat in the worklist resolves that item and no other."""
    async with wall(browser, busy=True) as (served, page):
        served.script.post_answer = (200, alert(7, kind="missed", version=2))
        await page.click('[data-alert="7"] .item:text-is("404")')
        await expect(page.locator("#resolve")).to_contain_text("20栋 404")
        await page.check('#resolve [value="safe"]')
        async with page.expect_response("**/resolve"):
            await page.click("#resolve button.strong")
        fields = {"outcome": "safe", "item_resident_id": 902}
        assert served.script.posts == [("7/resolve", fields, "xunlou")]


async def test_silence_becomes_visible_in_two_steps_and_heals(browser: Browser) -> None:
    """Amber band first, then windows without fill and since when; fresh news clears both."""
    times = {"late-ms": 1000, "blind-ms": 4000}
    async with wall(browser, busy=True, times_ms=times) as (served, page):
        served.script.snapshot_status = 502
        fill = f"getComputedStyle(document.querySelector('[data-flat=\"{flat_id(1, 1, 1)}\"]'))"
        lit = await page.evaluate(f"{fill}.backgroundColor")
        await expect(page.locator("body")).to_have_attribute("data-feed", "late")
        await expect(page.locator("#band")).to_contain_text("没有收到消息")
        assert await page.evaluate(f"{fill}.backgroundColor") == lit
        await expect(page.locator("body")).to_have_attribute("data-feed", "blind")
        await expect(page.locator("#blind")).to_contain_text("自 06:10:00 起没有任何消息")
        assert await page.evaluate(f"{fill}.backgroundColor") == "rgba(0, 0, 0, 0)"
        ring = f"getComputedStyle(document.querySelector('{WINDOW}')).boxShadow"
        assert "rgb(229, 53, 43)" in await page.evaluate(ring), "a known SOS keeps its ring"
        await expect(page.locator('[data-group="sos"] .card')).to_have_count(1)
        served.script.snapshot_status = 200
        await expect(page.locator("body")).to_have_attribute("data-feed", "live")
        await expect(page.locator("#band")).to_be_hidden()
        await expect(page.locator("#blind")).to_be_hidden()


HIDDEN_BY_THE_NOTICE = """() => {
  const notice = document.getElementById('blind').getBoundingClientRect();
  const panes = [...document.querySelectorAll('[data-flat]')];
  const over = (b) => b.left < notice.right && b.right > notice.left
    && b.top < notice.bottom && b.bottom > notice.top;
  const seen = (pane) => {
    const b = pane.getBoundingClientRect();
    const hit = document.elementFromPoint(b.left + b.width / 2, b.top + b.height / 2);
    return hit !== null && pane.closest('.building').contains(hit)
      && getComputedStyle(pane).boxShadow.includes('rgb(229, 53, 43)');
  };
  return {
    covered: panes.filter((pane) => over(pane.getBoundingClientRect())).length,
    rings: panes.filter((pane) => pane.dataset.state === 'sos').map(seen),
    cut: document.getElementById('blind').scrollHeight > notice.height,
    bottom: Math.max(...panes.map((pane) => pane.getBoundingClientRect().bottom)),
    outside: [...document.querySelectorAll('.building')].filter((house) =>
      house.querySelector('.facade').getBoundingClientRect().top <
      house.getBoundingClientRect().top - 0.5).length,
  };
}"""


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 768)])
async def test_not_knowing_hides_no_window(
    browser: Browser, lang: str, width: int, height: int
) -> None:
    """The notice has a place of its own: with an SOS in every house each ring stays in sight."""
    reader = FakeReader()
    reader.data["buildings"] = sample_buildings()
    for building in reader.data["buildings"]:
        building["flats"][0]["state"] = "sos"
    async with house(reader, {"late-ms": 300, "blind-ms": 900}) as served:
        served.script.snapshot_status = 502
        page = await browser.new_page(viewport={"width": width, "height": height})
        await page.context.add_cookies([{"name": "lang", "value": lang, "url": served.url}])
        await page.goto(f"{served.url}/wall")
        await expect(page.locator("body")).to_have_attribute("data-feed", "blind")
        facts = await page.evaluate(HIDDEN_BY_THE_NOTICE)
        await page.close()
    assert facts["covered"] == 0
    assert facts["rings"] == [True] * 51
    assert not facts["cut"]
    assert facts["bottom"] <= height
    assert facts["outside"] == 0


async def test_a_silent_connection_is_given_up_and_opened_again(browser: Browser) -> None:
    """Half-open connections report nothing; the wall doesn't wait for them."""
    async with wall(browser, times_ms={"late-ms": 400}) as (served, _page):
        await served.script.streams(2)
        assert served.script.after[:2] == [100, 100]


async def test_the_feed_resumes_after_the_last_change_it_saw(browser: Browser) -> None:
    """A dropped connection asks for what came after 101, not for everything again."""
    async with wall(browser) as (served, page):
        await served.script.send("change", sos_change(101))
        await expect(page.locator(WINDOW)).to_have_attribute("data-state", "sos")
        await served.script.cut()
        await served.script.streams(2)
        assert served.script.after == [100, 101]


async def test_bad_gateways_do_not_end_the_feed_and_the_gap_is_closed(browser: Browser) -> None:
    """EventSource dies of one 502; the wall goes on, and loads the snapshot to be sure."""
    async with wall(browser) as (served, page):
        served.script.refuse_streams = 3
        served.reader.data["seq"] = 140
        served.reader.data["buildings"][10]["flats"][8]["state"] = "late"
        changed = served.reader.data["buildings"][10]["flats"][8]["id"]
        await served.script.cut()
        await served.script.streams(5)
        await expect(page.locator(f'[data-flat="{changed}"]')).to_have_attribute(
            "data-state", "late"
        )
        assert served.script.after[0] == 100
        assert served.script.after[-1] == 140


async def test_a_reset_loads_the_snapshot(browser: Browser) -> None:
    """After `reset` whatever is not in the snapshot is over, and what is in it is shown."""
    # The longest back-off also bounds the wait for the snapshot: 100 ms are few on a busy machine.
    async with wall(browser, busy=True, times_ms={"backoff-max-ms": 4_000}) as (served, page):
        await expect(page.locator(".card")).to_have_count(5)
        served.reader.data = FakeReader().data | {"seq": 300}
        await served.script.send("reset", {})
        await expect(page.locator(".card")).to_have_count(0)
        await expect(page.locator(WINDOW)).to_have_attribute("data-state", "checked")
        await expect(page.locator(".calm")).to_be_visible()
        await served.script.streams(2)
        assert served.script.after == [100, 300]


async def test_heartbeats_ahead_of_what_arrived_are_a_gap(browser: Browser) -> None:
    """Told twice of a change that never came, the wall fetches the snapshot."""
    async with wall(browser) as (served, _page):
        served.reader.data["seq"] = 105
        await served.script.send("heartbeat", heartbeat(105))
        await served.script.send("heartbeat", heartbeat(105))
        await served.script.streams(2)
        assert served.script.after == [100, 105]


async def test_a_live_feed_over_dead_ingestion_is_not_called_calm(browser: Browser) -> None:
    """The canary's lag puts up the band although heartbeats keep coming."""
    async with wall(browser) as (served, page):
        await expect(page.locator(".calm")).to_be_visible()
        await served.script.send("heartbeat", heartbeat(ingest_lag_ms=180_000))
        await expect(page.locator("#band")).to_contain_text("终端信号已 03:00 没有进来")
        await expect(page.locator(".calm")).to_be_hidden()
        await served.script.send("heartbeat", heartbeat())
        await expect(page.locator("#band")).to_be_hidden()


async def test_the_clock_is_the_servers_and_runs_at_its_speed(browser: Browser) -> None:
    """At speed 600 the community's clock passes ten minutes in a second, in its own zone."""
    async with wall(browser, timezone_id="America/New_York") as (served, page):
        await expect(page.locator("#clock")).to_have_text(re.compile(r"^06:10:0\d$"))
        await served.script.send("heartbeat", heartbeat(speed=600.0))
        await expect(page.locator("#clock")).to_have_text(re.compile(r"^06:[2-5]\d:\d\d$"))
        await expect(page.locator(".round-name")).to_have_text(re.compile(r"^早巡 \d+/\d+$"))


async def test_a_building_and_its_cards_find_each_other(browser: Browser) -> None:
    """Pressing a façade marks its cards; pressing a card marks its façade; again unmarks."""
    async with wall(browser, busy=True) as (_served, page):
        await page.click(BUILDING)
        await expect(page.locator('[data-alert="5"]')).to_have_attribute("data-marked", "true")
        await expect(page.locator('[data-alert="6"]')).to_have_attribute("data-marked", "false")
        await page.click('[data-alert="6"] .pick')
        await expect(page.locator('[data-building="32"]')).to_have_attribute("aria-pressed", "true")
        await expect(page.locator(BUILDING)).to_have_attribute("aria-pressed", "false")
        await page.click('[data-alert="6"] .pick')
        await expect(page.locator('.building[aria-pressed="true"]')).to_have_count(0)


async def test_a_test_press_is_shown_as_a_test_and_announced_as_nothing(browser: Browser) -> None:
    """Two thirds of all presses are tests: visible, marked, last in their group, no alarm."""
    async with wall(browser, busy=True) as (served, page):
        change = sos_change(101) | {"flats": {}, "buildings": {}}
        change["alerts"] = [alert(12, test=True, opened_ms=NOW_MS - 900_000)]
        await served.script.send("change", change)
        cards = page.locator('[data-group="sos"] .card')
        await expect(cards).to_have_count(2)
        await expect(cards.nth(1)).to_contain_text("测试")
        await expect(page.locator("#announce")).to_have_text("")


async def test_a_second_attempt_replaces_the_first_and_follow_ups_do_not_count(
    browser: Browser,
) -> None:
    """One line a person: is help being asked for, not what was said afterwards."""
    async with wall(browser) as (served, page):
        messages = [
            told("梁玉珍", "steward", "undelivered", 21) | {"template": "sos"},
            told("梁玉珍", "steward", "sent", 21) | {"template": "sos"},
            told("陈国栋", "steward", "failed", 22) | {"template": "sos"},
            told("陈国栋", "steward", "delivered", 22) | {"template": "other_goes"},
        ]
        await served.script.send("change", sos_change(101, told=messages, fall=True))
        rows = page.locator('[data-alert="5"] .told tr')
        await expect(rows).to_have_text(["梁玉珍巡楼员短信 已发出", "陈国栋巡楼员短信 发送失败"])
        await expect(page.locator('[data-alert="5"] .facts')).to_contain_text("跌倒")


async def test_a_fault_without_an_address_is_named_by_its_kind(browser: Browser) -> None:
    """Trouble of the house itself has no building; its card still has a heading."""
    async with wall(browser) as (served, page):
        fault = {"kind": "fault", "building_id": None, "building": None, "address": ""}
        change = sos_change(101, **fault, fault="blind", flat_ids=[]) | {"flats": {}}
        await served.script.send("change", change)
        await expect(page.locator('[data-group="fault"] .pick')).to_have_text("收不到终端信号")


async def test_values_are_text_and_never_markup(browser: Browser) -> None:
    """A steward's name that is markup is read, not run."""
    async with wall(browser) as (served, page):
        nasty = "<img src=x onerror=document.title=1><b>x</b>"
        change = sos_change(
            101,
            address=nasty,
            responder={"name": nasty, "role": nasty},
            told=[told(nasty, nasty, nasty, 9)],
            next_step={"at_ms": NOW_MS + 60_000, "text": nasty},
            code=nasty,
            items=[{"resident_id": 1, "flat_id": 1, "label": nasty, "state": nasty}],
        )
        await served.script.send("change", change)
        await expect(page.locator(".card .pick")).to_have_text(nasty)
        await expect(page.locator(".card img, .card b")).to_have_count(0)


@pytest.mark.parametrize("way", ["reduced motion", "button"])
async def test_the_pulse_can_be_stilled(browser: Browser, way: str) -> None:
    """For those who asked their system for less motion, and for anyone by a button."""
    motion: dict[str, Any] = {"reduced_motion": "reduce"} if way == "reduced motion" else {}
    async with wall(browser, busy=True, **motion) as (_served, page):
        pulse = f"getComputedStyle(document.querySelector('{WINDOW}'), '::after').animationName"
        if way == "button":
            assert await page.evaluate(pulse) == "pulse"
            length = pulse.replace("animationName", "animationDuration")
            assert await page.evaluate(length) == "0.667s", "1.5 Hz"
            await page.click("#pulse-toggle")
        assert await page.evaluate(pulse) == "none"


async def test_51_buildings_fit_the_screen_without_scrolling(browser: Browser) -> None:
    """At 1920×1080: all façades visible and inside their plots, wall 73 %, one storey height for
    all, one window width in a house, labels 22 px or more."""
    async with wall(browser, busy=True) as (_served, page):
        facts = await page.evaluate(
            """() => {
              const boxes = [...document.querySelectorAll('.building')]
                .map((b) => b.getBoundingClientRect());
              const panes = [...document.querySelectorAll('[data-flat]')]
                .map((w) => w.getBoundingClientRect());
              const facades = [...document.querySelectorAll('.building')].filter((b) =>
                b.querySelector('.facade').getBoundingClientRect().top <
                b.getBoundingClientRect().top - 0.5 || b.scrollWidth > b.clientWidth + 1 ||
                b.querySelector('.facade').getBoundingClientRect().width >
                b.getBoundingClientRect().width);
              return {
                count: boxes.length, right: Math.max(...boxes.map((b) => b.right)),
                bottom: Math.max(...boxes.map((b) => b.bottom)), overflowing: facades.length,
                heights: new Set([...document.querySelectorAll('[data-flat]:not([data-state=sos])')]
                  .map((w) => w.getBoundingClientRect().height.toFixed(1))).size,
                widths: Math.max(...[...document.querySelectorAll('.facade')].map((f) => new Set(
                  [...f.querySelectorAll('[data-flat]')].map((w) => w.offsetWidth)).size)),
                width: Math.min(...panes.map((p) => p.width)),
                height: Math.min(...panes.map((p) => p.height)),
                label: parseFloat(getComputedStyle(document.querySelector('.label')).fontSize),
                share: document.querySelector('.left').getBoundingClientRect().width / 1920,
              };
            }"""
        )
        assert facts["count"] == 51
        assert facts["bottom"] <= 1080
        assert facts["right"] <= 1920 * 0.73
        assert facts["overflowing"] == 0
        assert facts["heights"] == 1
        assert facts["widths"] == 1
        assert facts["width"] >= 16
        assert facts["height"] >= 11
        assert facts["label"] >= 21.5
        assert facts["share"] == pytest.approx(0.73, abs=0.005)


LABELS = """() => [...document.querySelectorAll('.building')].map((house) => {
  const label = house.querySelector('.label'), small = [];
  const walk = document.createTreeWalker(label, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const at = walk.currentNode.parentElement, words = walk.currentNode.textContent.trim();
    const px = parseFloat(getComputedStyle(at).fontSize);
    if (words && at.getClientRects().length && px < 22) small.push([words, px]);
  }
  const [name, word] = ['.name', '.word'].map(
    (e) => label.querySelector(e).getBoundingClientRect());
  const plot = house.getBoundingClientRect();
  const inside = name.left >= plot.left && word.right <= plot.right && name.right <= word.left;
  const week = house.querySelector('.week').getBoundingClientRect();
  const ring = house.dataset.worst === 'sos' ? 2 : 0;
  const clear = week.height >= 8 && week.top >= word.bottom + ring && week.bottom <= plot.bottom;
  return { said: label.innerText.replace(/\\s+/g, ' '), small, inside, clear };
})"""
"""Of each house's label: what is said, which words of it are under 22 px, whether all of it has its
place, and whether the strip of the last rounds below it is high enough and clear of the words."""


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_every_word_of_a_label_is_read_from_three_metres(browser: Browser, lang: str) -> None:
    """At 1920×1080 with 51 houses each word under a house is 22 px or more in either language, and
    the longest has its place: two calls, two on the way, twelve late, twelve offline, all in."""
    reader = FakeReader()
    states = (("sos", 2), ("claimed", 2), ("late", 12), ("offline", 12), ("none", 99), ("", 0))
    for house_, (state, count_) in zip(reader.data["buildings"], cycle(states), strict=False):
        house_["worst"] = state if state not in ("", "none") else "ok"
        for flat in house_["flats"][:count_]:
            flat["state"] = state
    async with house(reader) as served:
        page = await browser.new_page(viewport={"width": 1920, "height": 1080})
        await page.context.add_cookies([{"name": "lang", "value": lang, "url": served.url}])
        await page.goto(f"{served.url}/wall")
        await served.script.streams(1)
        labels = await page.evaluate(LABELS)
        assert len(labels) == 51
        assert [label for label in labels if label["small"]] == []
        assert [label["said"] for label in labels if not label["inside"]] == []
        assert [label["said"] for label in labels if not label["clear"]] == []
        said = {re.sub("^[0-9]+栋?", "", label["said"]).strip() for label in labels}
        longest = {"en": {"SOS 2", "going 2", "late 12", "off 12"},
                   "zh": {"SOS 2", "前往 2", "迟 12", "离线 12"}}  # fmt: skip
        assert longest[lang] < said
        await page.close()


READ_FROM_AFAR = (
    ".place", ".clock", ".round", ".counts", ".load", ".sound", ".feed", ".legend", ".group h2",
    ".none", ".pick", ".card time", ".facts", ".who", ".next", ".emergency", ".items", ".calm",
)  # fmt: skip
"""What says on the wall how things are. Its buttons, and who was told by which SMS, are for the
desk before it."""
SMALL_OR_CUT = """(selectors) => {
  const found = [];
  for (const place of document.querySelectorAll(selectors)) {
    const walk = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const at = walk.currentNode.parentElement, words = walk.currentNode.textContent.trim();
      const px = parseFloat(getComputedStyle(at).fontSize);
      // Of a flat that is seen to, the reason is the desk's.
      if (words && !at.matches(".why") && at.getClientRects().length && px < 22)
        found.push(`${words}: ${px} px`);
    }
    const box = place.getBoundingClientRect();
    if (!box.width) continue;
    if (place.scrollWidth > place.clientWidth + 1 || box.right > innerWidth)
      found.push(`${place.className}: cut off`);
    for (const part of place.children)
      if (part.getBoundingClientRect().right > box.right + 1)
        found.push(`${part.textContent}: outside`);
  }
  return found;
}"""


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("busy", [True, False])
async def test_every_word_that_tells_is_read_from_three_metres(
    browser: Browser, lang: str, busy: bool
) -> None:
    """At 1920×1080 with 51 houses: date, round, counts, load, lamp, feed, legend, and of the queue
    the heads, the addresses, who goes and what comes next: 22 px or more, and nothing cut off."""
    reader = FakeReader(busy=busy)
    reader.data["buildings"] = sample_buildings()
    async with house(reader) as served:
        page = await browser.new_page(viewport={"width": 1920, "height": 1080})
        await page.context.add_cookies([{"name": "lang", "value": lang, "url": served.url}])
        await page.goto(f"{served.url}/wall")
        await served.script.streams(1)
        await served.script.send("heartbeat", heartbeat(alarms_10min=12))
        await expect(page.locator("#load")).to_have_attribute("data-band", "flood")
        await expect(page.locator(".group h2:visible")).to_have_count(4)
        assert await page.locator(".building").count() == 51
        assert await page.evaluate(SMALL_OR_CUT, ", ".join(READ_FROM_AFAR)) == []
        await page.close()


HEAD_AT_ITS_LONGEST = """(most) => {
  const texts = JSON.parse(document.getElementById("texts").textContent);
  const say = (place, key) => {
    document.querySelector(place).textContent = (texts[key] ?? key)
      .replace("{time}", "01:59").replace("{age}", "29").replace("{since}", "06:08:13");
  };
  const head = [...document.querySelectorAll(".top > *")], found = [];
  const legend = document.querySelector(".legend");
  if (legend.scrollWidth > legend.clientWidth) found.push("legend");
  const top = document.querySelector(".top");
  say('[data-slot="n"]', "12");
  say(".round-name", most.round);
  for (const load of most.load) for (const sound of most.sound) for (const feed of most.feed) {
    say('#load [data-slot="band"]', `live.load.${load}`);
    say('#sound [data-slot="words"]', `live.sound.${sound}`);
    say('#feed [data-slot="words"]', `live.feed.${feed}`);
    document.getElementById("load").dataset.band = load;
    document.getElementById("sound").dataset.state = sound;
    document.body.dataset.feed = feed;
    const box = (e) => e.getBoundingClientRect();
    const wrong = head.filter((e, i) => e.scrollWidth > e.clientWidth + 1
      || box(e).right > (i + 1 < head.length ? box(head[i + 1]).left : innerWidth)
      || box(e).top < 0 || box(e).bottom > box(top).bottom);
    if (wrong.length) found.push([load, sound, feed, ...wrong.map((e) => e.className)].join(" "));
  }
  return found;
}"""


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 768)])
async def test_the_head_has_its_place_in_its_longest_words(
    browser: Browser, lang: str, width: int, height: int
) -> None:
    """A flood of alarms, a lamp that wants a touch, a feed that was cut off, a round of a thousand:
    side by side all the same, in every combination; and the legend below ends where it has to."""
    async with house(FakeReader(busy=True)) as served:
        page = await browser.new_page(viewport={"width": width, "height": height})
        await page.context.add_cookies([{"name": "lang", "value": lang, "url": served.url}])
        await page.goto(f"{served.url}/wall")
        await served.script.streams(1)
        most = {
            "load": ["calm", "busy", "excess", "flood"],
            "sound": ["unarmed", "blocked", "armed", "stale", "muted"],
            "feed": ["live", "late", "blind"],
            "round": {"zh": "早巡 1234/1293", "en": "Morning round 1234/1293"}[lang],
        }
        assert await page.evaluate(HEAD_AT_ITS_LONGEST, most) == []
        await page.close()


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 768)])
async def test_the_head_has_its_place_while_a_round_runs(
    browser: Browser, lang: str, width: int, height: int
) -> None:
    """Round, counts, sound, feed and the way out stand side by side on the screen, none cut off or
    over another; the queue beside the houses ends where the screen does."""
    async with house(FakeReader(busy=True)) as served:
        page = await browser.new_page(viewport={"width": width, "height": height})
        await page.context.add_cookies([{"name": "lang", "value": lang, "url": served.url}])
        await page.goto(f"{served.url}/wall")
        await served.script.streams(1)
        await expect(page.locator(".round-name")).to_contain_text("/")
        boxes = await page.locator(".top > *, .queue").evaluate_all(
            "all => all.map((e) => { const b = e.getBoundingClientRect();"
            " return [e.className, b.left, b.right, e.scrollWidth - e.clientWidth]; })"
        )
        (*head, (_, _, queue_ends, _)) = boxes
        assert head[-1][2] <= width
        assert queue_ends <= width
        assert [name for name, _, _, cut in head if cut > 1] == []
        for (_, _, right, _), (_, left, _, _) in pairwise(head):
            assert right <= left
        await page.close()


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 768)])
async def test_the_sample_community_fits_with_every_stairwell(
    browser: Browser, width: int, height: int
) -> None:
    """51 houses of up to 8 storeys, 3 stairwells and 40 flats: no façade touches its neighbour,
    none is a sliver of its plot, no window is too small to see."""
    reader = FakeReader()
    reader.data |= {"buildings": sample_buildings()}
    async with house(reader) as served:
        page = await browser.new_page(viewport={"width": width, "height": height})
        await page.goto(f"{served.url}/wall")
        await served.script.streams(1)
        facts = await page.evaluate(
            """() => {
              const box = (e) => e.getBoundingClientRect();
              const facades = [...document.querySelectorAll('.facade')].map(box);
              const plots = [...document.querySelectorAll('.building')].map(box);
              const panes = [...document.querySelectorAll('[data-flat]')].map(box);
              return {
                outside: facades.filter((f, i) => f.left < plots[i].left - 0.5
                  || f.right > plots[i].right + 0.5 || f.top < plots[i].top - 0.5).length,
                slimmest: Math.min(...facades.map((f, i) => f.width / plots[i].width)),
                width: Math.min(...panes.map((p) => p.width)),
                height: Math.min(...panes.map((p) => p.height)),
                bottom: Math.max(...plots.map((p) => p.bottom)),
                head: [...document.querySelectorAll('.top > *')].map(box)
                  .filter((b) => b.right > innerWidth || b.bottom > box(
                    document.querySelector('.top')).bottom).length,
              };
            }"""
        )
        await page.close()
    small = width < 1500
    assert facts["outside"] == 0
    assert facts["head"] == 0, "the head of the wall stands in one row"
    assert facts["bottom"] <= height
    assert facts["slimmest"] >= 0.55
    assert facts["width"] >= (8 if small else 12)
    assert facts["height"] >= (6.5 if small else 11)


async def test_late_and_offline_is_counted_as_late_and_looks_different(browser: Browser) -> None:
    """The house says "late", the count is late's, the window carries both colours."""
    async with wall(browser) as (served, page):
        change = sos_change(101, kind="missed") | {
            "flats": {str(FLAT): "late_offline"},
            "buildings": {"11": "late"},
        }
        await served.script.send("change", change)
        await expect(page.locator(f"{BUILDING} .word")).to_have_text("迟 1")
        await expect(page.locator('tr[data-row="11"] [data-cell="late"]')).to_have_text("1")
        paint = f"getComputedStyle(document.querySelector('{WINDOW}')).backgroundImage"
        colours = await page.evaluate(paint)
        assert "rgb(255, 176, 0)" in colours
        assert "rgb(34, 184, 207)" in colours
        await served.script.send("change", change | {"seq": 102, "flats": {str(FLAT): "checked"}})
        await expect(page.locator('tr[data-row="11"] [data-cell="late"]')).to_have_text("0")


async def test_the_load_of_the_desk_is_told_in_bands(browser: Browser) -> None:
    """Alarms in ten minutes after EEMUA 191: one is normal, ten is a flood."""
    async with wall(browser) as (served, page):
        load = page.locator("#load")
        for number, band in ((1, "calm"), (2, "busy"), (5, "excess"), (10, "flood")):
            await served.script.send("heartbeat", heartbeat(alarms_10min=number))
            await expect(load).to_have_attribute("data-band", band)
            await expect(load).to_contain_text(f"{number} 条警报")


async def test_a_flip_paints_and_never_lays_out(browser: Browser) -> None:
    """No state has a border, a generated box or another size than the next, and no length depends
    on a container: each of these once cost 240 ms of layout per flip on a wall of 51 houses. Only
    the rare SOS has a box, whose opacity pulses without painting."""
    states = ["checked", "waiting", "late", "late_offline", "claimed", "offline", "away", "none"]
    async with wall(browser) as (_served, page):
        shapes = await page.evaluate(
            """(states) => states.map((state) => {
              const pane = document.querySelector('[data-flat]');
              pane.dataset.state = state;
              const style = getComputedStyle(pane);
              const extra = ['::before', '::after'].map((p) => getComputedStyle(pane, p).content);
              return [style.width, style.height, style.borderTopWidth, style.contain, ...extra,
                getComputedStyle(pane.closest('.cell')).containerType].join(' ');
            })""",
            states,
        )
        assert len(set(shapes)) == 1
        assert shapes[0].endswith(" 0px size layout style none none normal")
        moves = await page.evaluate(
            """() => {
              document.querySelector('[data-flat]').dataset.state = 'sos';
              const frames = document.getAnimations().flatMap((a) => a.effect.getKeyframes());
              const own = ['offset', 'computedOffset', 'easing', 'composite'];
              return [...new Set(frames.flatMap(Object.keys))].filter((k) => !own.includes(k));
            }"""
        )
        assert moves == ["opacity"], "only what the compositor moves by itself"


async def test_a_flood_is_drawn_ten_times_a_second_and_a_call_at_once(browser: Browser) -> None:
    """A hundred check-ins in a row paint the wall a few times, and all of them are in it; the SOS
    among them does not wait for the rest."""
    async with wall(browser) as (served, page):
        await page.evaluate(
            """() => {
              window.drawn = [];
              const wanted = { subtree: true, attributes: true, attributeFilter: ['data-state'] };
              new MutationObserver((list) => {  // lamps have states too
                const flats = list.filter((m) => 'flat' in m.target.dataset);
                if (flats.length) window.drawn.push(flats.map((m) => m.target.dataset.state));
              }).observe(document.body, wanted);
            }"""
        )  # fmt: skip
        flats = [f["id"] for b in served.reader.data["buildings"] for f in b["flats"]][:100]
        quiet = {"alerts": [], "entries": [], "buildings": {}, "round": None, "counts": {}}
        for n, flat in enumerate(flats):
            await served.script.send("change", quiet | {"seq": 101 + n, "flats": {flat: "late"}})
        last = page.locator(f'[data-flat="{flats[-1]}"]')
        await expect(last).to_have_attribute("data-state", "late")
        assert await page.locator('.skyline [data-state="late"]').count() == 100
        drawn = await page.evaluate("window.drawn")
        assert len(drawn) < 30, "each drawing takes in all that came meanwhile"
        await page.evaluate("window.drawn = []")
        await served.script.send("change", quiet | {"seq": 201, "flats": {flats[0]: "checked"}})
        await served.script.send("change", sos_change(202))
        await expect(page.locator(WINDOW)).to_have_attribute("data-state", "sos")
        assert ["checked", "sos"] in await page.evaluate("window.drawn")


async def test_an_expired_login_is_said_on_the_wall(browser: Browser) -> None:
    """The wall doesn't vanish behind a login page; it says that it no longer knows."""
    async with wall(browser) as (served, page):
        served.script.snapshot_status = 401
        served.script.refuse_streams = 1000
        await served.script.cut()
        await expect(page.locator("#band")).to_contain_text("登录已过期")
        await expect(page.locator("#band a")).to_be_visible()


async def test_backoff_grows_to_its_ceiling_with_jitter(browser: Browser) -> None:
    """0.5 s doubling to 15 s, each between half and all of its ceiling."""
    async with wall(browser) as (_served, page):
        waits = await page.evaluate(
            """async () => {
              const { backoffMs } = await import('/static/feed.js');
              const both = (n) => [backoffMs(n, 500, 15000, 0), backoffMs(n, 500, 15000, 1)];
              return [0, 1, 4, 5, 50].map(both);
            }"""
        )
        assert waits == [[250, 500], [500, 1000], [4000, 8000], [7500, 15000], [7500, 15000]]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"canary_age_s": 300}, "终端信号已 05:00 没有进来"),
        ({"blind_since": NOW_MS - 120_000}, "终端信号已 02:0"),
        ({"blind_since": "2026-03-13T22:08:00+00:00"}, "终端信号已 02:0"),
    ],
)
async def test_the_canary_and_the_servers_own_word_show_dead_ingestion(
    browser: Browser, told: dict[str, Any], words: str
) -> None:
    """Heartbeats keep coming and gateways say that they live; nothing gets through all the same."""
    async with wall(browser) as (served, page):
        await served.script.send("heartbeat", heartbeat(canary_age_s=20, blind_since=None))
        await expect(page.locator(".calm")).to_be_visible()
        await served.script.send("heartbeat", heartbeat(**told))
        await expect(page.locator("#band")).to_contain_text(words)
        await expect(page.locator(".calm")).to_be_hidden()


async def test_what_to_read_out_to_120_stands_on_the_card(browser: Browser) -> None:
    """The address as it is said, in the page's language, beside a number that can be dialled."""
    async with wall(browser) as (served, page):
        words = {"zh": "广氮社区11栋3楼301", "en": "Building 11, third floor, 301"}
        emergency = {"prompt": True, "read_out": words}
        await served.script.send("change", sos_change(101, emergency=emergency))
        place = page.locator(".card .emergency")
        await expect(place).to_contain_text("照着念:广氮社区11栋3楼301")
        await expect(place.locator("a")).to_have_attribute("href", "tel:120")


async def test_an_english_wall_names_houses_and_doors_in_english(browser: Browser) -> None:
    """The façade, the card, and what is said of it; Chinese stays where only people's names are."""
    async with house(FakeReader(busy=True)) as served:
        page = await browser.new_page()
        await page.goto(f"{served.url}/wall?lang=en")
        await served.script.streams(1)
        card = page.locator('[data-alert="5"]')
        await expect(card.locator(".pick")).to_have_text("Bldg 11 floor 3 flat 301")
        await expect(page.locator('[data-building="11"] .name')).to_have_text("Bldg 11")
        label = await page.locator('[data-building="11"]').get_attribute("aria-label")
        assert label is not None
        assert label.startswith("Bldg 11 ")
        seen = await page.locator("body").inner_text()
        assert re.findall(r"\d+(?:栋|楼)", seen) == []
        await page.close()


async def test_the_last_week_stands_under_each_house(browser: Browser) -> None:
    """One mark a round; in words for those who hear the table; a new round's end draws it anew."""
    async with wall(browser) as (served, page):
        week = page.locator('tr[data-row="10"] [data-cell="week"]')
        await expect(week).to_have_text("全到 12 次,漏报 1 次,中断 1 次")
        strip = page.locator('[data-building="10"] .week .in')
        marks = "(path) => path.getAttribute('d').split('M').length - 1"
        assert await strip.evaluate(marks) == 12
        change = sos_change(101) | {"rounds": {"10": "o" * 14}}
        await served.script.send("change", change)
        await expect(week).to_have_text("全到 14 次,漏报 0 次,中断 0 次")
        assert await strip.evaluate(marks) == 14
