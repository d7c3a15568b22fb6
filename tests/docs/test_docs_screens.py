"""Every page has a picture, and every picture a place in docs/screens.md."""

import re

import pages
from fastapi import FastAPI
from starlette.routing import Route

from dashboards.pages import mount
from dashboards.reader import Reader
from tests.screens.__main__ import FOLDER, SCREENS

NO_PICTURE = {
    "/", "/reports.csv", "/hours/{person_id}/statement.csv", "/static/palette.css",
    "/login/elsewhere", "/login/elsewhere/back", "/s/{token}/{action}",
}
"""What answers a GET and is no page: a redirect, a table, a style sheet."""


def test_every_page_has_a_picture() -> None:
    """By the address it is taken from; a page that is added is missed here."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    reader: Reader = None  # type: ignore[assignment]  # nothing is read before a request
    mount(app, reader)
    taken = {
        re.sub(r"\{\w+\}", "7", re.sub(r"\{(link|list)\}", "/s/" + "x" * 22, screen.path))
        .partition("?")[0]
        for screen in SCREENS
    } | {screen.leads for screen in SCREENS}  # fmt: skip
    routes = [r for part in app.routes for r in getattr(part, "original_router", app).routes]
    shown = [
        r for r in routes
        if isinstance(r, Route) and "GET" in (r.methods or ()) and r.path not in NO_PICTURE
    ]  # fmt: skip
    assert len(shown) >= 40, "the search itself must keep finding the pages"
    assert [r.path for r in shown if not any(r.path_regex.fullmatch(p) for p in taken)] == []


def test_every_picture_is_taken_and_shown() -> None:
    """No name is left of a picture that is gone, and none lies about that nobody sees."""
    names = [screen.name for screen in SCREENS]
    assert len(names) == len(set(names))
    there = {path.stem for path in FOLDER.glob("*.png")}
    assert there == set(names)
    shown = re.findall(r"\]\(screens/([\w-]+)\.png\)", pages.read("docs/screens.md"))
    assert sorted(shown) == sorted(names)
