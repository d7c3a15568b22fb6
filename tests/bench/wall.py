"""The wall in a real Chromium: how soon a press is red on it, and what a storm costs it.

    python -m tests.bench.wall [press | storm]

First line: from the SOS at the server's door (POST /signals) to the flipped window, as the page's
own observer sees it. The ceiling is the bare way: one server-sent event through the same Chromium
into one attribute, no server of ours, no database.

Second line: a wall of 51 houses with 40 flats, a hundred updates a second, the frames a second that
are left, and how busy the page's main thread is (1: always). The yardstick is the same page with a
hundred bare attribute flips a second and nothing else: what Chromium itself needs to paint them on
this machine, now. Frames depend on whoever else uses the machine; how busy the thread is much less.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from playwright.async_api import Browser, CDPSession, Page, async_playwright, expect
from starlette.responses import HTMLResponse, Response, StreamingResponse

from tests.bench.kit import emit, percentile
from tests.town import PASSWORD, Town, a_town, bound, serving

PRESSES = 60
UPDATES_PER_S = 100
STORM_S = 10.0
FLIPPED_S = 10.0
BUILDINGS, FLOORS, DOORS = 51, 8, 5

# Notes the epoch time (ms) of every window's flip to `sos`; one machine, one clock. (Playwright's
# own wait_for_function evaluates strings, which the pages' policy forbids.)
WATCH = """() => {
  window.flips = {};
  window.flipped = async (flat, withinMs) => {
    const began = performance.now();
    while (!window.flips[flat] && performance.now() - began < withinMs) {
      await new Promise((done) => setTimeout(done, 5));
    }
    return window.flips[flat];
  };
  new MutationObserver((list) => {
    for (const { target } of list) {
      if (target.dataset.state === 'sos') window.flips[target.dataset.flat] ??= Date.now();
    }
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ['data-state'] });
}"""

FRAMES = """async (ms) => {
  let frames = 0;
  let longest = 0;
  const began = performance.now();
  let last = began;
  while (last - began < ms) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    frames += 1;
  }
  return { fps: frames / ((last - began) / 1000), longest };
}"""


# A hundred flips a second without feed, words, counts or table.
BARE_FLIPS = """() => {
  const panes = [...document.querySelectorAll('[data-flat]')];
  const states = ['checked', 'waiting', 'late', 'offline', 'late_offline', 'away'];
  let n = 0;
  const began = performance.now();
  window.bare = setInterval(() => {
    for (; n < (performance.now() - began) / 10; n += 1) {
      panes[(n * 37) % panes.length].dataset.state = states[n % states.length];
    }
  }, 2);
}"""


async def logged_in(browser: Browser, town: Town) -> Page:
    """The wall of a logged-in operator, live."""
    context = await browser.new_context(viewport={"width": 1920, "height": 1080})
    form = {"username": "operator", "password": PASSWORD}
    await context.request.post(f"{town.url}/login", form=form, max_redirects=0)
    page = await context.new_page()
    await page.goto(f"{town.url}/wall")
    await page.wait_for_selector('body[data-feed="live"]')
    return page


async def presses(town: Town, page: Page) -> list[float]:
    """Milliseconds from each SOS at the server to its red window."""
    await page.evaluate(WATCH)
    flats = {
        r["terminal_id"]: r["flat_id"]
        for r in (await town.api.get("/api/v1/residents")).json()["residents"]
        if r["terminal_id"]
    }
    took = []
    for terminal, flat in list(flats.items())[:PRESSES]:
        body = {"gateway": "gw-1", "signals": [town.event("sos", terminal)]}
        began = time.time() * 1000
        (await town.gateway.post("/api/v1/signals", json=body)).raise_for_status()
        took.append(await flip(page, flat) - began)
        await town.settled()
    await page.close()
    return took


async def flip(page: Page, flat: int) -> float:
    """When this window turned red, epoch ms. Raises TimeoutError."""
    at = await page.evaluate("(flat) => window.flipped(flat, 10000)", flat)
    if at is None:
        raise TimeoutError(f"the window of flat {flat} did not turn red within {FLIPPED_S} s")
    return float(at)


async def bare(browser: Browser) -> list[float]:
    """The same way without us: POST → server-sent event → one attribute."""
    app, queue = FastAPI(), asyncio.Queue[str]()

    @app.get("/")
    async def page_() -> HTMLResponse:
        return HTMLResponse(
            "<body><i data-flat=0></i><script>new EventSource('/stream').onmessage = (event) => {"
            "document.querySelector('i').dataset.flat = event.data;"
            "document.querySelector('i').dataset.state = '';"
            "document.querySelector('i').dataset.state = 'sos'; }</script>"
        )

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def events() -> Any:
            while True:
                yield f"data: {await queue.get()}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.post("/flip/{number}")
    async def post(number: int) -> Response:
        await queue.put(str(number))
        return Response()

    sock, url = bound()
    took = []
    async with serving(app, sock), httpx.AsyncClient(base_url=url) as client:
        page = await browser.new_page()
        await page.goto(url)
        await page.evaluate(WATCH)
        for number in range(1, PRESSES // 2):
            began = time.time() * 1000
            await client.post(f"/flip/{number}")
            took.append(await flip(page, number) - began)
        await page.close()
    return took


def big_snapshot(fake: Any) -> dict[str, Any]:
    """51 houses of 40 flats, everybody waiting."""
    houses = [
        {
            "id": b, "number": b, "name": f"{b}栋", "worst": "waiting", "rounds": "o" * 14,
            "stairwells": ["A"],
            "flats": [
                {"id": b * 1000 + f * 10 + d, "label": f"{f}0{d}", "floor": f, "stairwell": "A",
                 "state": "waiting", "terminal": True}
                for f in range(1, FLOORS + 1)
                for d in range(1, DOORS + 1)
            ],
        }
        for b in range(1, BUILDINGS + 1)
    ]  # fmt: skip
    return dict(fake) | {"buildings": houses}


async def busy_s(cdp: CDPSession) -> float:
    """Seconds that the page's main thread has worked so far."""
    metrics = (await cdp.send("Performance.getMetrics"))["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


async def frames(page: Page, cdp: CDPSession) -> dict[str, float]:
    """Frames a second over the next STORM_S, the longest one, and the busy share of the thread."""
    before, began = await busy_s(cdp), time.perf_counter()
    found: dict[str, float] = await page.evaluate(FRAMES, STORM_S * 1000)
    took = time.perf_counter() - began
    return found | {"busy": (await busy_s(cdp) - before) / took}


async def storm(browser: Browser) -> tuple[dict[str, float], dict[str, float], int]:
    """Frames with bare flips, frames of the wall in the storm, updates that it took."""
    # The scripted server of the browser tests: what is measured here is the page.
    for folder in ("", "browser", "unit/dashboards"):
        sys.path.insert(0, str(Path(__file__).parents[1] / folder))
    from browser_house import house  # type: ignore[import-not-found]
    from dashboards_fake import FakeReader  # type: ignore[import-not-found]

    reader = FakeReader()
    reader.data = big_snapshot(reader.data)
    states = ["checked", "waiting", "late", "offline", "late_offline", "away"]
    flats = [(b["id"], f["id"]) for b in reader.data["buildings"] for f in b["flats"]]
    async with house(reader) as served:
        page = await browser.new_page(viewport={"width": 1920, "height": 1080})
        await page.goto(f"{served.url}/wall")
        await served.script.streams(1)
        cdp = await page.context.new_cdp_session(page)
        await cdp.send("Performance.enable")
        await page.evaluate(BARE_FLIPS)
        floor = await frames(page, cdp)
        await page.evaluate("clearInterval(window.bare)")
        measuring = asyncio.create_task(frames(page, cdp))
        began, sent = time.perf_counter(), 0
        while (now := time.perf_counter() - began) < STORM_S:
            while sent < now * UPDATES_PER_S:
                building, flat = flats[sent * 37 % len(flats)]
                state = states[sent % len(states)]
                sent += 1
                await served.script.send(
                    "change",
                    {"seq": 100 + sent, "flats": {str(flat): state}, "alerts": [], "entries": [],
                     "buildings": {str(building): "late"}, "round": None,
                     "counts": {"sos": 0, "claimed": 0, "missed": sent, "faults": 0}},
                )  # fmt: skip
            await asyncio.sleep(0.002)
        busy = await measuring
        last = page.locator("[data-count=missed] dd")
        await expect(last).to_have_text(str(sent), timeout=FLIPPED_S * 1000)
        await page.close()
    return floor, busy, sent


async def press_to_red(browser: Browser) -> None:
    """The first line."""
    with tempfile.TemporaryDirectory(prefix="xunlou-bench-") as folder:
        async with a_town(Path(folder), buildings=51) as town:
            ours = await presses(town, await logged_in(browser, town))
    floor = await bare(browser)
    emit(
        bench="sos_on_the_wall_ms", presses=len(ours),
        p50=percentile(ours, 0.5), p95=percentile(ours, 0.95),
        floor_p50=percentile(floor, 0.5), floor_p95=percentile(floor, 0.95),
        ratio_p50=percentile(ours, 0.5) / max(1.0, percentile(floor, 0.5)),
    )  # fmt: skip


async def frames_in_a_storm(browser: Browser) -> None:
    """The second line."""
    floor, busy, sent = await storm(browser)
    emit(
        bench="wall_in_a_storm", windows=BUILDINGS * FLOORS * DOORS, updates=sent,
        updates_per_s=sent / STORM_S, fps=busy["fps"], longest_frame_ms=busy["longest"],
        floor_fps=floor["fps"], floor_longest_ms=floor["longest"], ratio=busy["fps"] / floor["fps"],
        busy=busy["busy"], floor_busy=floor["busy"],
    )  # fmt: skip


async def main(wanted: list[str]) -> None:
    """Both lines, or the one that is named."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        print(json.dumps({"bench": "wall", "skipped": "no Chromium here"}))  # noqa: T201
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        if "storm" not in wanted:
            await press_to_red(browser)
        if "press" not in wanted:
            await frames_in_a_storm(browser)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
