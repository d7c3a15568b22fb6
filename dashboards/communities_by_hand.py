"""A community by hand that is new, before its first house. What one is called stands with its desk
(people_by_hand.py).

A community stays once it is registered: whoever is anywhere near it is found by it.
"""

from fastapi import APIRouter

from dashboards.form_pages import Act, Facts, Field, FormPage, Section, add
from dashboards.reader import Reader

CRUMB = ("/register", "register", dict[str, str]())


def _new(_facts: Facts) -> FormPage:
    named = Section("community", (
        Field("name", "community", needed=True), Field("street", "street"),
        Field("district", "district"),
    ), hint="community")  # fmt: skip
    return FormPage("community_new", CRUMB, (named,), submit="register", notice="community_new")


def _to_register(_number: int) -> str:
    return "/register"


def router(reader: Reader) -> APIRouter:
    """GET and POST /communities/new."""
    routes = APIRouter(include_in_schema=False)
    add(routes, reader,
        Act("/communities/new", "register", "new", "community.add", _new, _to_register, wide=True))
    return routes
