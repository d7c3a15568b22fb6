"""Errors as pages for people and as JSON for programs.

Words say what happened and what to do next; never a stack trace, never a detail of the inside.
"""

from collections.abc import Awaitable
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from dashboards import steward
from dashboards.headers import HTML_HEADERS
from dashboards.render import page

EXPLAINED: Final = (400, 401, 403, 404, 409, 413, 422, 429, 500)
_FOR_PROGRAMS: Final = ("/api/", "/webhooks/", "/static/", "/healthz", "/readyz")


def wants_page(request: Request) -> bool:
    """Whether a person's browser is asking, rather than a program."""
    if request.url.path.startswith(_FOR_PROGRAMS):
        return False
    if request.url.path.startswith(steward.PREFIX):  # whatever opens a link from an SMS
        return True
    return "text/html" in request.headers.get("accept", "")


def explained(status: int) -> int:
    """The error page that explains `status`: its own, or the nearest in meaning."""
    if status in EXPLAINED:
        return status
    return 404 if status in {405, 410} else 400 if 400 <= status < 500 else 500


def error_page(request: Request, status: int) -> Response:
    """The page for an HTTP error status, in the reader's language."""
    if request.url.path.startswith(steward.PREFIX):
        return steward.error_page(request, status)
    return page(request, "error.html", {"code": explained(status)}, status=status)


def not_understood(error: RequestValidationError) -> int:
    """The status of a page for what a person asked: 404 where the address itself has no page (a
    word where a number stands), 422 where a form's field is wrong."""
    return 404 if all(e["loc"][:1] == ("path",) for e in error.errors()) else 422


def add_handlers(app: FastAPI) -> None:
    """People get pages; programs keep the JSON `{"detail": …}` that `app` had for them."""
    for_programs = app.exception_handlers[RequestValidationError]

    async def on_unreadable(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError) and wants_page(request):
            return error_page(request, not_understood(error))
        answer = for_programs(request, error)
        return await answer if isinstance(answer, Awaitable) else answer

    async def on_http_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        if error.status_code < 400 or not wants_page(request):
            return await http_exception_handler(request, error)
        response = error_page(request, error.status_code)
        response.headers.update(error.headers or {})
        return response

    async def on_crash(request: Request, _error: Exception) -> Response:
        # Starlette re-raises after this answer, so the log keeps the whole story.
        if wants_page(request):
            response = error_page(request, 500)
            for name, value in HTML_HEADERS.items():  # it is outside the middleware that adds these
                response.headers.setdefault(name, value)
            return response
        return JSONResponse({"detail": "internal error: try again, then tell staff"}, 500)

    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_unreadable)
    app.add_exception_handler(500, on_crash)
