"""One path for each person, through the whole house as `xunlou demo` starts it: real broker, real
gateway, real server, the simulated terminal, the page of phones, real Chromium.

She presses. The tester sees both phones ring and answers for the head. The steward opens the page
in the message. The operator watches all of it on the wall, and hands over the shift.
"""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.e2e.running import FREE, Running, running
from tests.parts import require

pytestmark = pytest.mark.asyncio(loop_scope="session")

GRANNY = "gd-11-301"
THE_DOOR = re.compile("11栋3楼301|Bldg 11 floor 3 flat 301")
SOON_MS = 20_000
"""Generous: seven processes share a machine here. What is quick is measured in tests/bench."""


@dataclass
class Demo:
    """The running house, from outside."""

    command: Running
    url: str
    phones_url: str
    password: str

    async def press(self, kind: str = "sos") -> None:
        """The senior's hand on her terminal."""
        async with httpx.AsyncClient(base_url=self.phones_url) as sim:
            answer = await sim.post(f"/sim/terminals/{GRANNY}/press", json={"kind": kind})
            assert answer.status_code == 200, answer.text

    async def terminal(self) -> dict[str, object]:
        """What her terminal knows."""
        async with httpx.AsyncClient(base_url=self.phones_url) as sim:
            found: dict[str, object] = (await sim.get(f"/sim/terminals/{GRANNY}")).json()
            return found

    def server(self) -> int:
        """The process id of `xunlou serve`."""
        for pid in self.command.family():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"serve" in words:
                    return pid
        raise AssertionError("no server process in the demo")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Demo]:
    """The demo, in real time, with nobody who answers or presses by themselves."""
    require("mosquitto")
    folder = tmp_path_factory.mktemp("demo")
    quiet = (*FREE, "--sos-per-hour", "0", "--speed", "1")
    with running(folder, "demo", *quiet) as command:
        banner = await asyncio.to_thread(command.until_printed, "Ctrl-C")
        lines = (folder / ".demo" / "demo.env").read_text().splitlines()
        env = dict(line.split("=", 1) for line in lines)
        login = re.search(r"operator  /  (\S+)", banner)
        assert login is not None
        async with httpx.AsyncClient(base_url=env["XUNLOU_PHONES_URL"]) as phones:
            (await phones.post("/auto", json={"on": False})).raise_for_status()
            (await phones.post("/sim/quiet")).raise_for_status()
        yield Demo(command, env["XUNLOU_URL"], env["XUNLOU_PHONES_URL"], login[1])
        await asyncio.to_thread(command.stop)


async def at_the_desk(browser: Browser, demo: Demo) -> Page:
    """The operator's wall, in a browser of their own."""
    context = await browser.new_context(viewport={"width": 1920, "height": 1080})
    page = await context.new_page()
    await page.goto(f"{demo.url}/wall")
    await page.fill("#username", "operator")
    await page.fill("#password", demo.password)
    await page.click("button.main")
    await expect(page.locator("body")).to_have_attribute("data-feed", "live", timeout=SOON_MS)
    return page


async def test_each_person_walks_their_path(browser: Browser, demo: Demo) -> None:
    """Press → both phones → 1 → the page in the message → at the door → safe; the wall shows
    each step, the terminal says that somebody comes, the shift is handed over in between."""
    wall = await at_the_desk(browser, demo)
    # Operator: the sound is tested at the start of the shift.
    await wall.click("#sound")
    await expect(wall.locator("#sound")).to_have_attribute("data-state", "armed")
    # Senior.
    await demo.press()
    card = wall.locator('[data-group="sos"] .card')
    await expect(card.locator(".pick")).to_have_text("11栋3楼301", timeout=SOON_MS)
    # Tester: both phones of building 11 have it; the head answers 1.
    phones = await browser.new_page()
    await phones.goto(demo.phones_url)
    rang = phones.locator(".phone", has_text=THE_DOOR)
    await expect(rang).to_have_count(2, timeout=SOON_MS)
    head = rang.filter(has_text="11栋3楼301").first
    await head.locator(".keys .k1").click()
    link = head.locator(".bubble.theirs a").last
    await expect(link).to_be_visible(timeout=SOON_MS)
    address = str(await link.get_attribute("href"))
    await expect(wall.locator('[data-group="claimed"] .who')).to_contain_text("前往中")
    # Senior: the terminal says that help is coming, and who.
    async with asyncio.timeout(SOON_MS / 1000):
        while not (await demo.terminal())["who"]:
            await asyncio.sleep(0.1)
    # Steward: the page in the message.
    phone = await browser.new_page(viewport={"width": 360, "height": 740})
    await phone.goto(address)
    await expect(phone.locator("body")).to_contain_text("怎么进门")
    await phone.click("button.first")
    await expect(phone.locator("body")).to_contain_text("您到门口了")
    await expect(wall.locator('[data-group="claimed"] .who')).to_contain_text("已到门口")
    # Operator: hands over in between, in a second tab; the open SOS stands on the sheet.
    async with wall.expect_popup() as opened:
        await wall.click('a[href="/handover"]')
    sheet = await opened.value
    await expect(sheet.locator("main")).to_contain_text("11栋3楼301")
    await sheet.fill("#outgoing", "周明")
    await sheet.fill("#incoming", "李文静")
    await sheet.click("button.main")
    await expect(sheet.locator("h1")).to_contain_text("交接班")
    await expect(sheet.locator("main")).to_contain_text("周明 → 李文静")
    await sheet.close()
    await phone.click('button:has-text("平安")')
    await expect(phone.locator("body")).to_contain_text("已结束")
    await expect(wall.locator(".card")).to_have_count(0, timeout=SOON_MS)
    for page in (phone, phones):
        await page.close()
    await wall.context.close()


async def test_a_frozen_server_is_seen_on_the_wall(browser: Browser, demo: Demo) -> None:
    """The process stands still with its connections open, which no error tells: after 12 s the
    wall says so, after 30 s it says since when it knows nothing; with the server it is back."""
    wall = await at_the_desk(browser, demo)
    server, watcher = demo.server(), demo.command.process.pid
    os.kill(watcher, signal.SIGSTOP)  # it would start a hung server again within twenty seconds
    os.kill(server, signal.SIGSTOP)
    try:
        body = wall.locator("body")
        await expect(body).to_have_attribute("data-feed", "late", timeout=20_000)
        await expect(wall.locator("#band")).to_be_visible()
        await expect(body).to_have_attribute("data-feed", "blind", timeout=30_000)
        await expect(wall.locator("#blind")).to_contain_text("起没有任何消息")
    finally:
        os.kill(server, signal.SIGCONT)
        os.kill(watcher, signal.SIGCONT)
    await expect(body).to_have_attribute("data-feed", "live", timeout=60_000)
    await expect(wall.locator("#blind")).to_be_hidden()
    await wall.context.close()
