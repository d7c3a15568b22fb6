"""Each state of a window as it is drawn, seen without colours: the shape alone must tell."""

import base64
import itertools
from typing import Any

import pytest
from browser_house import house
from dashboards_fake import FakeReader
from playwright.async_api import Browser, Page
from vision import VISIONS, seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

STATES = ("checked", "waiting", "late", "late_offline", "sos", "claimed", "offline", "away", "none")
PLAIN = 20
"""CIE76: another colour at a glance."""
SHARE = 0.08
"""So much of the window has to differ plainly: 23 pixels of 19 × 15."""

PIXELS = """async (png) => {
  const image = await createImageBitmap(await (await fetch('data:image/png;base64,' + png)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  return [...context.getImageData(0, 0, image.width, image.height).data];
}"""


async def drawn(page: Page, blank: Page) -> dict[str, list[tuple[float, float, float]]]:
    """State → the pixels of one window of the wall in that state, with its surrounding."""
    pictures: dict[str, list[tuple[float, float, float]]] = {}
    pane = page.locator('[data-building="11"] .storey .w[data-flat]').nth(6)
    await pane.evaluate("(w) => { w.dataset.state = 'checked'; }")
    box = await pane.bounding_box()
    assert box is not None
    clip: Any = {"x": box["x"] - 2, "y": box["y"] - 2,
                 "width": box["width"] + 4, "height": box["height"] + 4}  # fmt: skip
    for state in STATES:
        await pane.evaluate("(w, state) => { w.dataset.state = state; }", state)
        png = await page.screenshot(clip=clip, animations="disabled")
        data = await blank.evaluate(PIXELS, base64.b64encode(png).decode())
        pictures[state] = [
            (data[i], data[i + 1], data[i + 2]) for i in range(0, len(data), 4)
        ]
    return pictures


@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768)], ids=["wall", "desk"])
async def test_every_state_is_told_by_its_shape(browser: Browser, size: tuple[int, int]) -> None:
    """All nine states, in the size they have on a wall of 51 houses, pair by pair, without red,
    without green, without blue and without any colour: enough of the window is plainly another."""
    async with house(FakeReader()) as served:
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce"
        )
        page, blank = await context.new_page(), await context.new_page()
        await page.goto(f"{served.url}/wall")
        await served.script.streams(1)
        pictures = await drawn(page, blank)
        await context.close()
    weak = []
    for vision in VISIONS:
        looks = {s: [seen(p, vision) for p in pixels] for s, pixels in pictures.items()}
        for one, other in itertools.combinations(STATES, 2):
            pairs = list(zip(looks[one], looks[other], strict=True))
            plain = sum(
                sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) > PLAIN**2 for p, q in pairs
            )
            if plain / len(pairs) < SHARE:
                weak.append(f"{vision}: {one} / {other} {plain}/{len(pairs)}")
    assert weak == []
