"""Logging in with an account of the house's identity provider: there, and back again.

A link on the login page leads away; the way back ends in a session or at the login page with words
that say what to do. Whatever fails there, the form with the password stands beside the words.
"""

from typing import Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.cookies import (
    SESSION_AGE_S,
    SESSION_COOKIE,
    remember_device,
    set_cookie,
)
from dashboards.forms import local_path
from dashboards.reader import LoginError, Reader

NOTE_COOKIE: Final = "xunlou_elsewhere"
NOTE_AGE_S: Final = 600
PATH: Final = "/login/elsewhere"
REASONS: Final = frozenset({"stranger", "unproven", "provider_down"})
"""Words of the catalogue, `login.error.<reason>`."""


def router(reader: Reader) -> APIRouter:
    """GET /login/elsewhere and /login/elsewhere/back."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(PATH)
    async def away(request: Request) -> Response:
        if not reader.elsewhere:
            raise HTTPException(404)
        following = local_path(request.query_params.get("next"))
        begun = await reader.begin_elsewhere(following)
        if isinstance(begun, LoginError):
            return RedirectResponse(f"/login?failed={begun.reason}", 303)
        response = RedirectResponse(begun.address, 303)
        set_cookie(response, NOTE_COOKIE, begun.note, NOTE_AGE_S, request)
        return response

    @routes.get(f"{PATH}/back")
    async def back(request: Request) -> Response:
        if not reader.elsewhere:
            raise HTTPException(404)
        note = request.cookies.get(NOTE_COOKIE, "")
        answer = await reader.finish_elsewhere(note, request)
        if isinstance(answer, LoginError):
            response = RedirectResponse(f"/login?failed={answer.reason}", 303)
        else:
            login, following = answer
            response = RedirectResponse(local_path(following), 303)
            set_cookie(response, SESSION_COOKIE, login.token, SESSION_AGE_S, request)
            remember_device(response, login.device, request)
        # The note is worth one way there and back.
        response.delete_cookie(NOTE_COOKIE)
        return response

    return routes
