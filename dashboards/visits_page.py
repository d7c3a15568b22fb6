"""Visits that are owed: the list, and who paid them."""

from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.alert_page import staff_form
from dashboards.forms import local_path
from dashboards.reader import ActionRefused, Reader, User
from dashboards.render import request_lang
from dashboards.staff import enter, number_of, staff_page

CAUSES: Final = ("move_in", "illness", "hardship", "other")
OWE: Final = ("resident_id", "place", "cause", "why", "next")
ACT: Final = ("visitor", "on", "note", "why")


def router(reader: Reader) -> APIRouter:
    """GET and POST /visits, POST /visits/{id}/done and /drop."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/visits")
    async def show(request: Request) -> Response:
        return await _list(reader, request, await enter(reader, request))

    @routes.post("/visits")
    async def owe(request: Request) -> Response:
        user, form = await staff_form(reader, request, OWE, "act")
        try:
            await reader.visit_owe(user, form)
        except ActionRefused as refused:
            return await _list(reader, request, user, form=form, refused=refused)
        return RedirectResponse(local_path(form["next"], "/visits"), 303)

    @routes.post("/visits/{visit_id}/{action}")
    async def act(request: Request, visit_id: str, action: str) -> Response:
        user, form = await staff_form(reader, request, ACT, "act")
        number = number_of(visit_id)
        if action not in ("done", "drop"):
            raise HTTPException(404)
        try:
            await reader.visit_act(user, number, action, form)
        except ActionRefused as refused:
            return await _list(reader, request, user, refused=refused)
        return RedirectResponse("/visits", 303)

    return routes


async def _list(
    reader: Reader, request: Request, user: User, *, form: dict[str, str] | None = None,
    refused: ActionRefused | None = None,
) -> Response:  # fmt: skip
    found = await reader.visits(user)
    reader.looked(user, "visits_listed", count=len(found["owed"]))
    facts: dict[str, Any] = {
        "v": found, "causes": CAUSES, "form": form or {}, "tz": found["tz"],
        "now_ms": found["now_ms"],
        "refused": refused.message(request_lang(request)) if refused else None,
    }  # fmt: skip
    return staff_page(request, "visits.html", user, facts, status=409 if refused else 200)
