"""The ledger of hours: the community's balance, and a volunteer's statement, on screen and as CSV.

Never a list of volunteers by hours: those who give are not set against each other.
"""

import csv
import io
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.alert_page import staff_form
from dashboards.houses import Names, cell
from dashboards.reader import ActionRefused, Reader, User
from dashboards.render import request_lang
from dashboards.reports_csv import safe
from dashboards.staff import Times, desk, enter, number_of, staff_page

COLUMNS: Final = (
    "entry", "posted", "happened", "kind", "building", "minutes", "balance_after", "counters",
    "undone_by", "by", "why",
)  # fmt: skip


def hours(minutes: int) -> str:
    """Minutes as people read them: 1:30, 0:45."""
    sign = "−" if minutes < 0 else ""
    return f"{sign}{abs(minutes) // 60}:{abs(minutes) % 60:02}"


def as_csv(statement: Mapping[str, Any], names: Names | None = None) -> str:
    """A statement as a table for a spreadsheet: UTF-8 with a byte order mark, no formula. A house
    is the number on its wall, behind its community's name where there are several (`names`)."""
    out = io.StringIO()
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    when = Times(statement["tz"], statement["now_ms"])
    for e in statement["entries"]:
        row = [
            e["id"], when.full(e["at_ms"]), when.full(e["happened_ms"]), e["kind"],
            cell(e["building"], names or {}), e["minutes"], e["after"], e["counters"],
            e["undone_by"], e["by"], e["why"],
        ]  # fmt: skip
        writer.writerow(["" if value is None else safe(value) for value in row])
    return out.getvalue()


def router(reader: Reader) -> APIRouter:
    """GET /hours, /hours/{person_id} and its CSV, POST /hours/{person_id}/counter."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/hours")
    async def balance(request: Request) -> Response:
        user = await enter(reader, request, common=True)
        at = await desk(reader, request, user)
        found = await reader.hours_balance(at.id)
        reader.looked(user, "volunteers_listed")
        facts = {"desk": at, "b": found, "hours": hours, "tz": found["tz"],
                 "now_ms": found["now_ms"]}
        return staff_page(request, "hours.html", user, facts)

    @routes.get("/hours/{person_id}")
    async def statement(request: Request, person_id: str) -> Response:
        user = await enter(reader, request)
        return await _statement(reader, request, user, number_of(person_id))

    @routes.get("/hours/{person_id}/statement.csv")
    async def table(request: Request, person_id: str) -> Response:
        user = await enter(reader, request, "report")
        number = number_of(person_id)
        found = await reader.hours_statement(user, number)
        if found is None:
            raise HTTPException(404)
        reader.looked(user, "hours_exported", person_id=number)
        headers = {
            "Content-Disposition": f'attachment; filename="hours-{number}.csv"',
            "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
        }  # fmt: skip
        table = as_csv(found, user.names)
        return Response(table, media_type="text/csv; charset=utf-8", headers=headers)

    @routes.post("/hours/{person_id}/counter")
    async def counter(request: Request, person_id: str) -> Response:
        user, form = await staff_form(reader, request, ("entry", "why"), "register")
        number = number_of(person_id)
        if not user.common:
            raise HTTPException(403)
        try:
            await reader.hours_counter(user, number_of(form["entry"]), form["why"])
        except ActionRefused as refused:
            return await _statement(reader, request, user, number, refused=refused)
        return RedirectResponse(f"/hours/{number}", 303)

    return routes


async def _statement(
    reader: Reader, request: Request, user: User, person_id: int, *,
    refused: ActionRefused | None = None,
) -> Response:  # fmt: skip
    found = await reader.hours_statement(user, person_id)
    if found is None:
        raise HTTPException(404)
    reader.looked(user, "hours_looked_at", person_id=person_id)
    facts = {
        "s": found, "hours": hours, "tz": found["tz"], "now_ms": found["now_ms"],
        "refused": refused.message(request_lang(request)) if refused else None,
    }  # fmt: skip
    return staff_page(
        request, "hours_statement.html", user, facts, status=409 if refused else 200
    )
