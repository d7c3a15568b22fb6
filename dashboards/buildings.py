"""The buildings: a list in their fixed order, each on a page of its own, and its round sheet.

Never sorts by state: people remember places.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from dashboards.facade import facade, skyline
from dashboards.reader import Reader, User
from dashboards.staff import for_staff, number_of, staff_page

STATES = ("sos", "claimed", "late", "offline", "waiting", "checked", "away", "none")
SHEET_COLUMNS = 6
"""Flats side by side on the paper before a landing wraps."""


def counts(building: Mapping[str, Any]) -> dict[str, int]:
    """How many windows show which state; late and offline together is late."""
    found = Counter(
        "late" if f["state"] == "late_offline" else f["state"] for f in building["flats"]
    )
    return {state: found[state] for state in STATES if found[state]}


def router(reader: Reader) -> APIRouter:
    """GET /buildings, /buildings/{number} and its /sheet."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/buildings")
    async def every(request: Request) -> Response:
        async def answer(user: User) -> Response:
            snapshot = await reader.snapshot(user)
            plan = skyline(snapshot["buildings"], snapshot.get("communities", ()))
            known = {b["id"]: counts(b) for b in snapshot["buildings"]}
            community = snapshot["community"] or {}
            short = await reader.short_of_stewards()
            numbers = {b["number"] for b in snapshot["buildings"]}
            facts = {
                "plan": plan, "counts": known, "now_ms": snapshot["now_ms"],
                "tz": community.get("tz"), "community": community.get("name"),
                "short": {n: found for n, found in short.items() if n in numbers},
            }  # fmt: skip
            return staff_page(request, "buildings.html", user, facts)

        return await for_staff(reader, request, answer)

    @routes.get("/buildings/{number}")
    async def one(request: Request, number: str) -> Response:
        async def answer(user: User) -> Response:
            found = await _building(reader, user, number)
            reader.sees(user, "building_looked_at", building=found["number"])
            short = (await reader.short_of_stewards()).get(found["number"])
            facts = {"b": found, "plan": facade(found), "counts": counts(found), "short": short}
            return staff_page(request, "building.html", user, {**facts, **_times(found)})

        return await for_staff(reader, request, answer)

    @routes.get("/buildings/{number}/sheet")
    async def sheet(request: Request, number: str) -> Response:
        async def answer(user: User) -> Response:
            found = await _building(reader, user, number)
            reader.looked(user, "sheet_looked_at", building=found["number"])
            top = max((f["floor"] for f in found["flats"]), default=1)
            facts = {"b": found, "plan": facade(found), "widest": SHEET_COLUMNS, "top": top}
            return staff_page(request, "sheet.html", user, {**facts, **_times(found)})

        return await for_staff(reader, request, answer)

    return routes


async def _building(reader: Reader, user: User, number: str) -> Mapping[str, Any]:
    found = await reader.building(number_of(number), user.scope)
    if found is None:
        raise HTTPException(404)
    return found


def _times(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"tz": found["tz"], "now_ms": found["now_ms"], "community": found["community"]}
