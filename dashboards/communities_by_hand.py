"""Communities by hand: one that is new, before its first house; and what one is called.

A community stays once it is registered: whoever is anywhere near it is found by it.
"""

from fastapi import APIRouter

from dashboards.form_pages import Act, Facts, Field, FormPage, Section, add
from dashboards.reader import Reader

CRUMB = ("/register", "register", dict[str, str]())


def _names(name: str = "", street: str = "", district: str = "") -> Section:
    return Section("community", (
        Field("name", "community", value=name, needed=True),
        Field("street", "street", value=street),
        Field("district", "district", value=district),
    ), hint="community")  # fmt: skip


def _new(_facts: Facts) -> FormPage:
    return FormPage("community_new", CRUMB, (_names(),), submit="register", notice="community_new")


def _edit(facts: Facts) -> FormPage:
    return FormPage("community_names", CRUMB, (_names(**facts["named"]),), seen=facts["seen"])


def _to_register(_number: int) -> str:
    return "/register"


def router(reader: Reader) -> APIRouter:
    """GET and POST /communities/new and /communities/{community_id}/edit."""
    routes = APIRouter(include_in_schema=False)
    add(routes, reader,
        Act("/communities/new", "register", "new", "community.add", _new, _to_register, wide=True))
    add(routes, reader,
        Act("/communities/{community_id}/edit", "register", "community", "community.change", _edit,
            _to_register, "community_id", wide=True))
    return routes  # fmt: skip
