"""What changed of a resident, a building, a contact or the care centre: when, who, why, which way.

Of the way into a home and of health it says only that they changed: the server keeps no more.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from dashboards.houses import said
from dashboards.i18n import text
from dashboards.reader import Reader, User
from dashboards.render import request_lang
from dashboards.staff import Desk, desk, enter, number_of, staff_page


def _day(words: str | None) -> date | None:
    """A day of a filter. Raises ValueError."""
    return date.fromisoformat(words) if words else None


def _about(
    request: Request, user: User, kind: str, number: int, title: Mapping[str, Any], at: Desk
) -> tuple[str, str]:
    """Where the history leads back to, and what it is called."""
    lang = request_lang(request)
    if kind == "resident":
        of = {"n": title["building"], "label": title["label"], "name": title["name"]}
        return f"/residents/{number}", said(lang, "g.c.resident", of, user.names)
    if kind == "building":
        return f"/buildings/{number}", said(lang, "p.house", {"n": number}, user.names)
    if kind == "person":
        return f"/people/{number}", title["name"]
    duty = text(lang, "g.t.duty")
    return f"/duty{at.query}", f"{duty} {at.name}" if at.among else duty


def router(reader: Reader) -> APIRouter:
    """GET /history of a resident, a building, a person and the care centre."""
    routes = APIRouter(include_in_schema=False)

    def history(path: str, kind: str, named: str, *, right: str = "look", common: bool = False
                ) -> None:
        @routes.get(path)
        async def show(request: Request) -> Response:
            user = await enter(reader, request, right, common=common)
            at = await desk(reader, request, user) if common else Desk()
            number = number_of(str(request.path_params[named])) if named else at.id or 0
            asked = request.query_params
            failure, first, last = False, None, None
            try:
                first, last = _day(asked.get("from")), _day(asked.get("to"))
            except ValueError:
                failure = True
            found = await reader.changes_of(kind, number, first, last)
            if found is None:
                raise HTTPException(404)
            crumb, about = _about(request, user, kind, number, found["title"], at)
            facts = {
                "crumb": crumb, "about": about, "failure": failure,
                "first": asked.get("from", "")[:10], "last": asked.get("to", "")[:10],
                "entries": found["entries"], "more": found["more"],
                "tz": found["tz"], "now_ms": found["now_ms"], "desk": at,
            }
            reader.looked(user, "history_looked_at", kind=kind, id=number)
            return staff_page(request, "history.html", user, facts, status=422 if failure else 200)

    history("/residents/{resident_id}/history", "resident", "resident_id")
    history("/buildings/{number}/history", "building", "number")
    history("/people/{person_id}/history", "person", "person_id", right="act")
    history("/duty/history", "duty", "", common=True)
    return routes  # fmt: skip
