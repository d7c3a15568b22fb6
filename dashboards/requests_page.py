"""The register of help requests: a list, each request on a page of its own, and its procedure.

Quiet on purpose: nothing here blinks, sounds or has the colour of an alarm.
"""

import secrets
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.alert_page import staff_form
from dashboards.reader import ActionRefused, Reader, User
from dashboards.render import request_lang
from dashboards.staff import enter, number_of, staff_page

KINDS: Final = ("errand", "repair", "haircut", "wish", "complaint", "other")
SOURCES: Final = ("desk", "phone", "steward")
ENDINGS: Final = ("solved", "passed_on", "not_possible")
ACTIONS: Final = ("take", "hand-on", "done", "withdraw", "correct")
ASK: Final = ("resident_id", "place", "kind", "words", "source", "key")
ACT: Final = ("person", "name", "why", "ending", "minutes", "payer", "kind", "place")


def new_key() -> str:
    """What makes one form one request, however often it is sent."""
    return secrets.token_urlsafe(12)


def router(reader: Reader) -> APIRouter:
    """GET and POST /requests, GET /requests/{id}, POST its acts."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/requests")
    async def show(request: Request) -> Response:
        user = await enter(reader, request)
        which = "closed" if request.query_params.get("which") == "closed" else "waiting"
        return await _list(reader, request, user, which)

    @routes.post("/requests")
    async def ask(request: Request) -> Response:
        user, form = await staff_form(reader, request, ASK, "act")
        try:
            made = await reader.request_ask(user, form)
        except ActionRefused as refused:
            return await _list(reader, request, user, "waiting", form=form, refused=refused)
        return RedirectResponse(f"/requests/{made}", 303)

    @routes.get("/requests/{request_id}")
    async def one(request: Request, request_id: str) -> Response:
        user = await enter(reader, request)
        return await _one(reader, request, user, number_of(request_id))

    @routes.post("/requests/{request_id}/{action}")
    async def act(request: Request, request_id: str, action: str) -> Response:
        user, form = await staff_form(reader, request, ACT, "act")
        number = number_of(request_id)
        if action not in ACTIONS:
            raise HTTPException(404)
        try:
            await reader.request_act(user, number, action, form)
        except ActionRefused as refused:
            return await _one(reader, request, user, number, refused=refused)
        return RedirectResponse(f"/requests/{number}", 303)

    return routes


def _said(request: Request, refused: ActionRefused | None) -> dict[str, Any]:
    return {"refused": refused.message(request_lang(request)) if refused else None}


async def _list(
    reader: Reader, request: Request, user: User, which: str, *,
    form: dict[str, str] | None = None, refused: ActionRefused | None = None,
) -> Response:  # fmt: skip
    found = await reader.help_requests(user, which)
    ids = [r["resident_id"] for r in found["requests"]]
    reader.looked(user, "requests_listed", which=which, count=len(ids))
    facts = {
        "l": found, "which": which, "form": form or {}, "kinds": KINDS, "sources": SOURCES,
        "key": (form or {}).get("key") or new_key(), "tz": found["tz"], "now_ms": found["now_ms"],
        **_said(request, refused),
    }  # fmt: skip
    return staff_page(request, "requests.html", user, facts, status=409 if refused else 200)


async def _one(
    reader: Reader, request: Request, user: User, request_id: int, *,
    refused: ActionRefused | None = None,
) -> Response:  # fmt: skip
    found = await reader.help_request(request_id)
    if found is None:
        raise HTTPException(404)
    reader.looked(user, "request_looked_at", request_id=request_id)
    facts = {
        "q": found, "kinds": KINDS, "endings": ENDINGS, "tz": found["tz"],
        "now_ms": found["now_ms"], **_said(request, refused),
    }  # fmt: skip
    return staff_page(request, "request.html", user, facts, status=409 if refused else 200)
