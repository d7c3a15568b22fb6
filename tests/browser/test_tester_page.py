"""The tester's page on a really running fleet: press, see, cut, move the clock; and its absence."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from server import migrate
from server.app import build, create_app
from server.settings import Settings
from tests.integration.sim_kit import running_sim
from tests.parts import require

session_loop = pytest.mark.asyncio(loop_scope="session")


@session_loop
async def test_a_tester_works_a_terminal_from_the_page(browser: Browser, tmp_path: Path) -> None:
    """Finds one, holds the red key in panic, cancels, cuts its building's power, moves the clock,
    wishes the broker away; lamp, voice and figures follow, and the frame never scrolls away."""
    require("mosquitto")
    async with running_sim(tmp_path) as sim:
        page = await browser.new_page(viewport={"width": 1400, "height": 700})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.goto(f"{sim.url}/sim")
        await page.fill("#q", "11栋")
        await expect(page.locator("#terminals li")).to_have_count(10)
        await page.click("#terminals button >> nth=0")
        await page.click("text=按住红键")
        await expect(page.locator("#lamp")).to_have_attribute("data-led", "centre_has_it")
        await expect(page.locator("#voice")).to_contain_text("中心已经收到")
        terminal = str(await page.locator("#terminals li >> nth=0").get_attribute("data-id"))
        pressed = [key for key in sim.gateway.seen if key[0] == terminal]
        assert len(pressed) == 1, "holding on is one SOS, and takes nothing back"
        await page.click("text=按住绿键")
        await expect(page.locator("#voice")).to_contain_text("取消")

        await page.click(".building >> text=全黑")
        await expect(page.locator("#lamp")).to_have_attribute("data-led", "dark")
        await expect(page.locator("#figures")).to_contain_text("没电 10")
        await page.click(".building >> text=恢复")
        await expect(page.locator("#figures")).to_contain_text("在线 30/30", timeout=20_000)

        before_ms = sim.clock.now_ms()
        await page.click("text=快进 1 小时")
        await page.select_option("#speed", "60")
        await expect(page.locator("#now")).to_contain_text("05:5")
        assert sim.clock.now_ms() >= before_ms + 3_600_000
        assert sim.clock.speed == 60
        await page.click("text=消息服务器断")
        await expect(page.locator("[data-broker=on]")).to_be_enabled()
        assert (sim.switches / "broker-off").exists()

        await page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        await expect(page.locator(".simulation")).to_be_in_viewport()
        await expect(page.locator(".frame")).to_be_in_viewport()
        assert problems == []
        await page.close()


@session_loop
async def test_without_the_switch_there_is_no_such_page(tmp_path: Path) -> None:
    """A simulator that was not asked for it serves none, and moves nobody's clock."""
    require("mosquitto")
    async with running_sim(tmp_path, tester=False) as sim:
        assert (await sim.http.get("/sim")).status_code == 404
        assert (await sim.http.post("/sim/clock", json={"by_s": 60})).status_code == 404
        assert (await sim.http.post("/sim/broker", json={"on": False})).status_code in {404, 405}


def test_production_does_not_even_route_it(tmp_path: Path) -> None:
    """The server knows `/sim` only where XUNLOU_SIM_URL names a simulator."""

    def paths(sim_url: str) -> set[str]:
        url = f"sqlite:///{tmp_path / 'x.db'}"
        migrate.upgrade(url)
        settings = Settings(
            database_url=url, secret="a-secret-of-enough-characters", gateway_token="token",
            sim_url=sim_url,
        )  # fmt: skip
        runtime = build(settings)
        try:
            return {getattr(route, "path", "") for route in create_app(runtime).routes}
        finally:
            runtime.database.close()

    assert not [path for path in paths("") if path.startswith("/sim")]
    assert "/sim" in paths("http://127.0.0.1:8001/")
