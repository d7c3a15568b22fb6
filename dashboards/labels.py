"""The sheet of labels for terminals that are nobody's yet: each id as text and as a QR code.

A label is seen by whoever visits: it carries the terminal's id and nothing else. What lets a
terminal speak is put into it over a cable, from a file that never leaves the office.
"""

from typing import Final

import segno
from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from dashboards.reader import Reader, User
from dashboards.staff import for_staff, staff_page

MOST: Final = 500


def qr(text: str) -> Markup:
    """A QR code as SVG, without a style of its own (the pages' policy allows none)."""
    code = segno.make(text, error="m", micro=False)
    svg = code.svg_inline(border=2, omitsize=True, svgclass="qr", lineclass=None)
    return Markup(svg)  # noqa: S704  (a path of figures: the text itself is not in it)


def router(reader: Reader) -> APIRouter:
    """GET /terminals/labels."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/terminals/labels")
    async def labels(request: Request) -> Response:
        async def answer(user: User) -> Response:
            ids = await reader.terminals_in_stock(MOST)
            facts = {"labels": [{"id": i, "code": qr(i)} for i in ids]}
            return staff_page(request, "labels.html", user, facts)

        return await for_staff(reader, request, answer)

    return routes
