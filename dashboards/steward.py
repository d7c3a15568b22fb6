"""The steward's page `/s/{token}`, opened from an SMS, without login and without JavaScript.

A GET changes nothing (robots open links); a POST answers 303, so a double tap or a reload only
shows the state again. The page shows what `steward_view` gives and holds no knowledge of its own.
Its script asks for it again every ten seconds and is told 304 while nothing has changed.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dashboards.cookies import PREFERENCE_AGE_S, set_cookie
from dashboards.headers import HTML_HEADERS
from dashboards.i18n import LANGS
from dashboards.reader import ActionRefused, Reader
from dashboards.render import page, request_lang

ACTIONS: Final = (
    "accept",
    "decline",
    "on_scene",
    "no_answer",
    "resolve:safe",
    "resolve:ambulance",
    "resolve:false_alarm",
)
OUTCOMES: Final = ("resolve:safe", "resolve:ambulance", "resolve:false_alarm")

# The one thing to do next, by how far this person has come; each is shown only if the view offers
# it. Several in a row are all primary: at the door there are three ways it can end.
_PRIMARY: Final[dict[str, tuple[str, ...]]] = {
    "open": ("accept",),
    "accepted": ("on_scene",),
    "on_scene": OUTCOMES,
}
PREFIX: Final = "/s/"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")

# The link is the key to a home. It is not stored, not passed on and not listed.
_HEADERS: Final[dict[str, str]] = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}


def buttons(view: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The view's actions as (primary, secondary), in the order in which they are shown.

    What comes next is this person's own: the alert may say that somebody is at the door while a
    second helper is still on the stairs. A steward who has not accepted is offered to go even
    while somebody else is on the way or at the door: a second pair of hands is welcome, and
    closing the alert is not theirs.
    """
    offered = [action for action in ACTIONS if action in view["actions"]]
    wanted = _PRIMARY[view["my_state"] or "open"]
    primary = [action for action in wanted if action in offered]
    return primary, [action for action in offered if action not in primary]


def ago(opened_ms: int, now_ms: int) -> tuple[str, dict[str, int]]:
    """How long ago, as a key of the catalogue with its figures; never a negative time."""
    minutes = max(0, now_ms - opened_ms) // 60_000
    if minutes < 1:
        return "s.ago.now", {}
    if minutes < 60:
        return "s.ago.minutes", {"n": minutes}
    return "s.ago.hours", {"h": minutes // 60, "m": minutes % 60}


def silent(heard_ms: int, now_ms: int) -> tuple[str, dict[str, int]]:
    """How long nobody has heard of a resident, in the one unit that matters: hours for two days,
    then days. Never a negative time."""
    hours = max(0, now_ms - heard_ms) // 3_600_000
    if hours < 48:
        return "s.silent.hours", {"n": hours}
    return "s.silent.days", {"n": hours // 24}


def error_page(request: Request, status: int) -> Response:
    """What went wrong under a link, with the way back to its page and 120, and the headers of that
    page: the address is the key to a home here as well."""
    token = request.url.path.removeprefix(PREFIX).partition("/")[0]
    facts = {"path": f"{PREFIX}{token}" if _TOKEN.fullmatch(token) else None}
    response = page(request, "steward_error.html", facts, status=status)
    response.headers.update(HTML_HEADERS | _HEADERS)
    return response


def router(reader: Reader) -> APIRouter:
    """GET /s/{token} and POST /s/{token}/{action}. The latter's address stays in the bar after a
    refusal: who loads that again gets the page."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/s/{token}")
    async def show(request: Request, token: str) -> Response:
        response = _answer(request, token, await _view(reader, token))
        chosen = request.query_params.get("lang", "")
        if chosen in LANGS:  # the phone's own, for the next page as well; nothing of ours changes
            set_cookie(response, "lang", chosen, PREFERENCE_AGE_S, request)
        return _unless_known(request, response)

    @routes.post("/s/{token}/{action}")
    async def act(request: Request, token: str, action: str) -> Response:
        # No origin check: this page sends no referrer, so its forms come with `Origin: null`,
        # and the token in the path is the permission that a stranger's site doesn't have.
        view = await _view(reader, token)
        if view is None or view["state"] == "expired" or action not in ACTIONS:
            return _answer(request, token, None if action not in ACTIONS else view)
        form = await request.form(max_files=0, max_fields=200)
        fields = {key: [v for v in form.getlist(key) if isinstance(v, str)] for key in form}
        try:
            await reader.steward_act(token, action, fields)
        except ActionRefused as refused:
            current = await _view(reader, token)
            return _answer(request, token, current, status=409, refused=refused)
        response = RedirectResponse(f"/s/{token}", 303)
        response.headers.update(_HEADERS)
        return response

    @routes.get("/s/{token}/{action}")
    async def back(request: Request, token: str) -> Response:
        if await _view(reader, token) is None:
            return _answer(request, token, None)
        return RedirectResponse(f"{PREFIX}{token}", 303, headers=_HEADERS)

    return routes


def _unless_known(request: Request, response: Response) -> Response:
    """The page, or 304 for a script that has it already. A proxy may mark the tag as weak."""
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:24]}"'  # no secret: an abbreviation
    response.headers["ETag"] = tag
    if request.headers.get("if-none-match", "").removeprefix("W/") != tag:
        return response
    return Response(status_code=304, headers=_HEADERS | {"ETag": tag})


async def _view(reader: Reader, token: str) -> Mapping[str, Any] | None:
    return await reader.steward_view(token) if _TOKEN.fullmatch(token) else None


def _answer(
    request: Request,
    token: str,
    view: Mapping[str, Any] | None,
    *,
    status: int = 200,
    refused: ActionRefused | None = None,
) -> Response:
    lang = request_lang(request, None if view is None else view.get("lang"))
    other = next(each for each in LANGS if each != lang)
    if view is None or view["state"] == "expired":
        known = view is not None
        facts: dict[str, Any] = {"known": known, "path": f"/s/{token}", "other": other}
        response = page(
            request, "steward_gone.html", facts, status=410 if known else 404, lang=lang
        )
    else:
        primary, secondary = buttons(view)
        ago_key, ago_params = ago(view["opened_ms"], view["now_ms"])
        facts = {
            "v": view,
            "path": f"/s/{token}",
            "other": other,
            "silent": silent,
            "primary": primary,
            "secondary": secondary,
            "ago_key": ago_key,
            "ago_params": ago_params,
            "refused": refused.message(lang) if refused else None,
            "company": any(o["state"] in {"accepted", "on_scene"} for o in view["others"]),
        }
        response = page(request, "steward.html", facts, status=status, lang=lang)
    response.headers.update(_HEADERS)
    return response
