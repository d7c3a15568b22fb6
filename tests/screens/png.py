"""Screenshots as small PNG files: at most 256 colours, chosen by the browser that took them.

A page has few colours and large areas of one; a palette makes a tenth of a true-colour file of it.
"""

import base64
import struct
import zlib

from playwright.async_api import Page

# Counts the colours, keeps the most frequent and spreads the rest over the nearest of them.
_TO_PALETTE = """async (png) => {
  const image = await createImageBitmap(await (await fetch('data:image/png;base64,' + png)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  const count = new Map();
  for (let i = 0; i < data.length; i += 4) {
    const colour = ((data[i] & 252) << 16) | ((data[i + 1] & 252) << 8) | (data[i + 2] & 252);
    const entry = count.get(colour);
    if (entry) entry.n += 1;
    else count.set(colour, { n: 1, rgb: [data[i], data[i + 1], data[i + 2]] });
  }
  const kept = [...count.values()].sort((a, b) => b.n - a.n).slice(0, 256).map((c) => c.rgb);
  const nearest = new Map();
  const indices = new Uint8Array(data.length / 4);
  for (let i = 0; i < data.length; i += 4) {
    const colour = ((data[i] & 252) << 16) | ((data[i + 1] & 252) << 8) | (data[i + 2] & 252);
    let index = nearest.get(colour);
    if (index === undefined) {
      let best = Infinity;
      kept.forEach(([r, g, b], k) => {
        const d = (r - data[i]) ** 2 + (g - data[i + 1]) ** 2 + (b - data[i + 2]) ** 2;
        if (d < best) [best, index] = [d, k];
      });
      nearest.set(colour, index);
    }
    indices[i / 4] = index;
  }
  let text = '';
  for (let i = 0; i < indices.length; i += 8192) {
    text += String.fromCharCode(...indices.subarray(i, i + 8192));
  }
  return { width: image.width, height: image.height, kept: kept.flat(), pixels: btoa(text) };
}"""


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


async def small(blank: Page, png: bytes) -> bytes:
    """The same picture with a palette. `blank`: any page without a content policy."""
    found = await blank.evaluate(_TO_PALETTE, base64.b64encode(png).decode())
    width, height = found["width"], found["height"]
    pixels = base64.b64decode(found["pixels"])
    rows = b"".join(b"\0" + pixels[y * width : (y + 1) * width] for y in range(height))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(found["kept"])),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        ]
    )
