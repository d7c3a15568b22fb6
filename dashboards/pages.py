"""The staff's pages: login, the wall, language and theme; and `mount`, which adds every screen.

Pages read through `Reader`. Alerts are acted on through the JSON API, never through a page.
"""

from typing import Annotated, Final

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.staticfiles import StaticFiles
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from dashboards import (
    accounts,
    alert_page,
    buildings,
    buildings_by_hand,
    communities_by_hand,
    elsewhere,
    errors,
    greetings_page,
    handover_page,
    history_page,
    hours_page,
    kiosk,
    labels,
    palette,
    people_by_hand,
    register_files,
    reports,
    requests_page,
    residents,
    residents_by_hand,
    steward,
    terminals_page,
    visits_page,
)
from dashboards.cookies import (
    PREFERENCE_AGE_S,
    SESSION_AGE_S,
    SESSION_COOKIE,
    remember_device,
    set_cookie,
)
from dashboards.facade import skyline
from dashboards.forms import local_path, refuse_foreign
from dashboards.headers import SafeHeaders
from dashboards.houses import place_of
from dashboards.i18n import LANGS, live_texts
from dashboards.reader import ActionRefused, LoginError, Reader, User
from dashboards.render import STATIC, THEMES, page, request_lang
from dashboards.staff import ENDED, enter

__all__ = ["ActionRefused", "LoginError", "Reader", "User", "mount", "router"]

# When the feed is late and when it is blind (UX: 12 s amber, 30 s windows lose their fill), and
# after how much time without a gateway or a canary ingestion itself is in doubt.
WALL_TIMES_MS: Final[dict[str, int]] = {
    "late-ms": 12_000,
    "blind-ms": 30_000,
    "ingest-ms": 60_000,
    "canary-ms": 90_000,
    "backoff-min-ms": 500,
    "backoff-max-ms": 15_000,
    "post-timeout-ms": 10_000,
}


def router(reader: Reader, wall_times_ms: dict[str, int] | None = None) -> APIRouter:
    """All pages. `wall_times_ms` overrides entries of WALL_TIMES_MS (milliseconds) in tests."""
    routes = APIRouter(include_in_schema=False)
    times = WALL_TIMES_MS | (wall_times_ms or {})
    _add_login(routes, reader)
    _add_preferences(routes)

    @routes.get("/")
    async def front() -> Response:
        return RedirectResponse("/wall", 303)

    @routes.get("/wall")
    async def wall(request: Request) -> Response:
        user = await enter(reader, request)
        snapshot = await reader.snapshot(user)
        reader.sees(user, "wall_opened")
        facts = {
            "user": user,
            "snapshot": snapshot,
            "skyline": skyline(snapshot["buildings"], snapshot.get("communities", ())),
            "place": place_of(snapshot),
            "texts": live_texts(request_lang(request)),
            "times": times,
        }
        return page(request, "wall.html", facts, default_theme="dark")

    @routes.get("/static/palette.css")
    async def palette_css() -> Response:
        return Response(palette.css(), media_type="text/css", headers=_Files.HEADERS)

    return routes


def _add_login(routes: APIRouter, reader: Reader) -> None:
    @routes.get("/login")
    async def login_form(request: Request) -> Response:
        following = local_path(request.query_params.get("next"))
        if await reader.current_user(request) is not None:
            return RedirectResponse(following, 303)
        failed = request.query_params.get("failed")
        known = failed in elsewhere.REASONS or failed == ENDED
        facts = {"next": following, "error": failed if known else None,
                 "username": "", "elsewhere": reader.elsewhere}  # fmt: skip
        return page(request, "login.html", facts)

    @routes.post("/login")
    async def login(
        request: Request,
        username: Annotated[str, Form(max_length=200)] = "",
        password: Annotated[str, Form(max_length=1000)] = "",
        code: Annotated[str, Form(max_length=100)] = "",
        next: Annotated[str, Form(max_length=500)] = "/wall",
    ) -> Response:
        refuse_foreign(request)
        following = local_path(next)
        answer = await reader.login(username, password, code, request)
        if isinstance(answer, LoginError):
            facts = {"next": following, "error": answer.reason, "username": username,
                     "elsewhere": reader.elsewhere}  # fmt: skip
            status = {"locked": 429, "unavailable": 503}.get(answer.reason, 401)
            return page(request, "login.html", facts, status=status)
        response = RedirectResponse(following, 303)
        set_cookie(response, SESSION_COOKIE, answer.token, SESSION_AGE_S, request)
        remember_device(response, answer.device, request)
        return response

    @routes.post("/logout")
    async def logout(request: Request) -> Response:
        refuse_foreign(request)
        await reader.logout(request)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE)
        return response


def _add_preferences(routes: APIRouter) -> None:
    @routes.post("/lang")
    async def lang(
        request: Request,
        lang: Annotated[str, Form()] = "",
        next: Annotated[str, Form(max_length=500)] = "/wall",
    ) -> Response:
        refuse_foreign(request)
        return _remember(request, "lang", lang, LANGS, next)

    @routes.post("/theme")
    async def theme(
        request: Request,
        theme: Annotated[str, Form()] = "",
        next: Annotated[str, Form(max_length=500)] = "/wall",
    ) -> Response:
        refuse_foreign(request)
        return _remember(request, "theme", theme, THEMES, next)


def _remember(
    request: Request, name: str, value: str, allowed: tuple[str, ...], following: str
) -> Response:
    response = RedirectResponse(local_path(following), 303)
    if value in allowed:
        set_cookie(response, name, value, PREFERENCE_AGE_S, request)
    return response


class _Files(StaticFiles):
    """Static files that browsers ask about each time: an old script must not meet a new page."""

    HEADERS: Final[dict[str, str]] = {
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
    }

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with the headers above."""
        response = await super().get_response(path, scope)
        response.headers.update(self.HEADERS)
        return response


def mount(app: FastAPI, reader: Reader, wall_times_ms: dict[str, int] | None = None) -> None:
    """Adds all pages, the steward's pages, static files, error pages and headers to `app`."""
    app.include_router(router(reader, wall_times_ms))
    app.include_router(alert_page.router(reader, WALL_TIMES_MS | (wall_times_ms or {})))
    app.include_router(handover_page.router(reader))
    app.include_router(steward.router(reader))
    # The forms first: /residents/new is no resident.
    for by_hand in (residents_by_hand, buildings_by_hand, communities_by_hand, people_by_hand,
                    history_page):  # fmt: skip
        app.include_router(by_hand.router(reader))
    app.include_router(elsewhere.router(reader))
    for register in (buildings, residents, kiosk, labels, register_files, reports, accounts):
        app.include_router(register.router(reader))
    # Behind the labels, whose address is no terminal.
    for service in (requests_page, visits_page, greetings_page, hours_page, terminals_page):
        app.include_router(service.router(reader))
    app.mount("/static", _Files(directory=STATIC), name="static")
    errors.add_handlers(app)
    app.add_middleware(SafeHeaders)
