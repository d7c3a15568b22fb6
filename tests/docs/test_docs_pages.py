"""docs/pages.md lists every page, every column of the table and every mark."""

import re

import pages
from fastapi.routing import APIRoute

from dashboards import (
    buildings,
    buildings_by_hand,
    greetings_page,
    history_page,
    hours_page,
    kiosk,
    people_by_hand,
    reports,
    requests_page,
    residents,
    residents_by_hand,
    terminals_page,
    visits_page,
)
from dashboards.reader import Reader
from dashboards.reports_csv import COLUMNS
from server.core.strip import Mark


def _codes(heading: str) -> list[str]:
    """Every word in code type in the first cells of the tables under a heading."""
    part = ("\n" + pages.read("docs/pages.md")).partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", part, re.MULTILINE)
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell)]


def test_every_page_of_the_register_is_listed() -> None:
    """By its address; what a form posts to is part of its page."""
    reader: Reader = None  # type: ignore[assignment]  # nothing is read before a request
    modules = (buildings, residents, kiosk, reports, buildings_by_hand, residents_by_hand,
               people_by_hand, history_page, requests_page, visits_page, greetings_page,
               hours_page, terminals_page)  # fmt: skip
    routers = [module.router(reader) for module in modules]
    served = {
        route.path for router in routers for route in router.routes
        if isinstance(route, APIRoute) and "GET" in route.methods
    }  # fmt: skip
    assert len(served) == 40
    listed = {re.sub(r"\{id\}", "{resident_id}", page) for page in _codes("# The pages")}
    assert served <= listed


def test_every_column_of_the_table_is_explained_in_its_order() -> None:
    """The list is the header of the CSV."""
    assert tuple(_codes("## Reports")) == COLUMNS


def test_every_mark_is_explained() -> None:
    """The shapes of the last rounds."""
    assert _codes("## The last fourteen rounds") == [m.value for m in Mark]
