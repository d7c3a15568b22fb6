"""Terminals: the list, and one with what it last said and what may be done with it."""

import re
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.alert_page import staff_form
from dashboards.reader import ActionRefused, Reader, User
from dashboards.render import request_lang
from dashboards.staff import enter, staff_page

KINDS: Final = ("stock", "active", "lost", "revoked")
ACTIONS: Final = ("assign", "free", "swap", "lost", "revoked", "active", "key")
FIELDS: Final = ("place", "new", "reason")
ID: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)


def router(reader: Reader) -> APIRouter:
    """GET and POST /terminals, POST /terminals/enrol, GET /terminals/{id}, POST its actions."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/terminals")
    async def show(request: Request) -> Response:
        user = await enter(reader, request)
        return await _list(reader, request, user, request.query_params.get("state", ""))

    @routes.post("/terminals")
    async def find(request: Request) -> Response:
        user, form = await staff_form(reader, request, ("words", "state"), "look")
        return await _list(reader, request, user, form["state"], form["words"][:60])

    @routes.post("/terminals/enrol")
    async def enrol(request: Request) -> Response:
        user, form = await staff_form(reader, request, ("ids", "reason"), "register")
        if not user.wide:
            raise HTTPException(403)
        try:
            await reader.terminals_enrol(user, form["ids"], form["reason"])
        except ActionRefused as refused:
            return await _list(reader, request, user, "", form=form, refused=refused)
        return RedirectResponse("/terminals?state=stock", 303)

    @routes.get("/terminals/{terminal_id}")
    async def one(request: Request, terminal_id: str) -> Response:
        return await _one(reader, request, await enter(reader, request), terminal_id)

    @routes.post("/terminals/{terminal_id}/{action}")
    async def act(request: Request, terminal_id: str, action: str) -> Response:
        user, form = await staff_form(reader, request, FIELDS, "register")
        if action not in ACTIONS:
            raise HTTPException(404)
        try:
            after = await reader.terminal_act(user, terminal_id, action, form)
        except ActionRefused as refused:
            return await _one(reader, request, user, terminal_id, form=form, refused=refused,
                              action=action)  # fmt: skip
        return RedirectResponse(f"/terminals/{after}", 303)

    return routes


async def _list(
    reader: Reader, request: Request, user: User, state: str, words: str = "", *,
    form: dict[str, str] | None = None, refused: ActionRefused | None = None,
) -> Response:  # fmt: skip
    found = await reader.terminals(user, state, words)
    reader.looked(user, "terminals_listed", count=len(found["found"]))
    facts: dict[str, Any] = {
        "v": found, "kinds": KINDS, "words": words, "form": form or {}, "tz": found["tz"],
        "now_ms": found["now_ms"],
        "refused": refused.message(request_lang(request)) if refused else None,
    }  # fmt: skip
    return staff_page(request, "terminals.html", user, facts, status=409 if refused else 200)


async def _one(
    reader: Reader, request: Request, user: User, terminal_id: str, *,
    form: dict[str, str] | None = None, refused: ActionRefused | None = None, action: str = "",
) -> Response:  # fmt: skip
    found = await reader.terminal(terminal_id) if ID.fullmatch(terminal_id) else None
    if found is None:
        raise HTTPException(404)
    reader.looked(user, "terminal_looked_at", terminal=terminal_id)
    acts = {
        "stock": ("assign", "lost", "revoked", "key"), "lost": ("active", "revoked"),
        "active": ("swap", "free", "lost", "revoked", "key"), "revoked": ("active",),
    }[found["which"]]  # fmt: skip
    # The stock is one for all houses: what is nobody's is only given out by whoever has one.
    shown = [
        a for a in acts
        if (a != "key" or found["rekeys"])
        and (user.wide or found["which"] == "active" or a == "assign")
    ]  # fmt: skip
    facts: dict[str, Any] = {
        "d": found, "acts": shown if "register" in user.rights else [], "form": form or {},
        "opened": action, "tz": found["tz"], "now_ms": found["now_ms"],
        "limited": "register" in user.rights and not user.wide and found["which"] != "active",
        "refused": refused.message(request_lang(request)) if refused else None,
    }  # fmt: skip
    return staff_page(request, "terminal.html", user, facts, status=409 if refused else 200)
