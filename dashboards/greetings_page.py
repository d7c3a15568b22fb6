"""The daily list of greeting calls, on screen and on paper."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dashboards.alert_page import staff_form
from dashboards.reader import ActionRefused, Reader, User
from dashboards.render import request_lang
from dashboards.requests_page import KINDS
from dashboards.staff import enter, number_of, staff_page

FIELDS: Final = ("outcome", "note", "kind", "turn")


def router(reader: Reader) -> APIRouter:
    """GET /greetings and /greetings/sheet, POST /greetings/{resident_id}."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/greetings")
    async def show(request: Request) -> Response:
        return await _list(reader, request, await enter(reader, request), "greetings.html")

    @routes.get("/greetings/sheet")
    async def sheet(request: Request) -> Response:
        user = await enter(reader, request)
        return await _list(reader, request, user, "greetings_sheet.html")

    @routes.post("/greetings/{resident_id}")
    async def greet(request: Request, resident_id: str) -> Response:
        user, form = await staff_form(reader, request, FIELDS, "act")
        number = number_of(resident_id)
        try:
            await reader.greet(user, number, form)
        except ActionRefused as refused:
            return await _list(reader, request, user, "greetings.html", refused=refused)
        return RedirectResponse("/greetings", 303)

    return routes


async def _list(
    reader: Reader, request: Request, user: User, template: str, *,
    refused: ActionRefused | None = None,
) -> Response:  # fmt: skip
    found = await reader.greetings(user)
    what = "greetings_printed" if template == "greetings_sheet.html" else "greetings_listed"
    reader.looked(user, what, count=len(found["people"]))
    facts: dict[str, Any] = {
        "g": found, "kinds": KINDS, "tz": found["tz"], "now_ms": found["now_ms"],
        "refused": refused.message(request_lang(request)) if refused else None,
    }  # fmt: skip
    return staff_page(request, template, user, facts, status=409 if refused else 200)
