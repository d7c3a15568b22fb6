"""Reports of a period, for the community and each building: on screen, on paper, as CSV.

No figure of a person, ever: stewards are volunteers, not competitors.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.reader import Reader, User
from dashboards.register_reader import ReportRefused
from dashboards.reports_csv import as_csv
from dashboards.staff import Times, for_staff, number_of, staff_page

OUTCOMES = ("safe", "helped", "ambulance", "false_alarm", "other")


def _day(text: str | None) -> date | None:
    """A day like 2026-03-14; None for none. Raises ReportRefused."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ReportRefused("day") from None


def seconds(value: float | None) -> str:
    """A stretch of time as people read it: 48 s, 3:05, 1:02:05; a dash where there is none."""
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent(n: float, of: float) -> str:
    """A share to one place; a dash of nothing. Never 100 % while anything is missing."""
    if not of:
        return "–"
    share = 100 * n / of
    return "99.9%" if n < of and share > 99.9 else f"{share:.1f}%".replace(".0%", "%")


async def _report(reader: Reader, request: Request, user: User) -> Mapping[str, Any]:
    """The report an address asks for. Raises ReportRefused, or 404 for an unknown building."""
    asked = request.query_params
    number = number_of(asked["building"]) if asked.get("building") else None
    community = number_of(asked["community"]) if asked.get("community") else None
    found = await reader.report(
        _day(asked.get("from")), _day(asked.get("to")), number, user.scope, community
    )
    if found is None and (number, community) != (None, None):
        raise HTTPException(404)
    if found is None:
        raise ReportRefused("empty")
    return found


def _which(found: Mapping[str, Any] | None) -> str:
    """What of an address says which part a report is of."""
    if found is None:
        return ""
    if found["number"] is not None:
        return f"&building={found['number']}"
    several = len(found["communities"]) > 1 and found["chosen"] is not None
    return f"&community={found['chosen']}" if several else ""


def _choices(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Periods at one touch, ending with the last day that is over."""
    zone = (snapshot["community"] or {}).get("tz") or "UTC"
    times = Times(zone, snapshot["now_ms"])
    today = date.fromisoformat(times.day(snapshot["now_ms"]))
    last = today - timedelta(days=1)
    spans = [(n, (last - timedelta(days=n - 1)).isoformat(), last.isoformat()) for n in (7, 30, 90)]
    return {"spans": spans, "today": today.isoformat(), "tz": zone, "now_ms": snapshot["now_ms"]}


def router(reader: Reader) -> APIRouter:
    """GET /reports and /reports.csv; `from`, `to` (days), `building` (its number), `community`
    (its id, where there are several)."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/reports")
    async def show(request: Request) -> Response:
        async def answer(user: User) -> Response:
            choices = _choices(await reader.snapshot(user))
            found, bad = None, None
            try:
                found = await _report(reader, request, user)
            except ReportRefused as refused:
                bad = refused.why
            facts = {
                **choices, "p": found, "bad": bad, "seconds": seconds, "percent": percent,
                "outcomes": OUTCOMES,
                "asked": {k: request.query_params.get(k, "") for k in ("from", "to", "building")},
                "more": _which(found),
            }  # fmt: skip
            status = 422 if bad not in (None, "empty") else 200
            return staff_page(request, "reports.html", user, facts, status=status)

        return await for_staff(reader, request, answer, "report")

    @routes.get("/reports.csv")
    async def table(request: Request) -> Response:
        async def answer(user: User) -> Response:
            try:
                found = await _report(reader, request, user)
            except ReportRefused:  # the page says what is wrong, in words
                return RedirectResponse(f"/reports?{request.url.query}", 303)
            period = {"first": found["first"], "last": found["last"], "building": found["number"]}
            reader.looked(user, "report_exported", **period)
            name = f"xunlou-{found['first']}-{found['last']}.csv"
            headers = {
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            }
            table = as_csv(found, user.names)
            return Response(table, media_type="text/csv; charset=utf-8", headers=headers)

        return await for_staff(reader, request, answer, "report")

    return routes
