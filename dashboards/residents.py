"""Residents: found by flat or name, each on a page of their own, and the card for their door.

A name is asked for by POST, so that it never stands in an address. The way in is shown for a
reason, by POST, and the look is logged.
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.alert_page import LEAST_REASON, staff_form
from dashboards.reader import ActionRefused, Reader, User
from dashboards.render import request_lang
from dashboards.requests_page import KINDS, new_key
from dashboards.staff import for_staff, number_of, staff_page
from dashboards.visits_page import CAUSES

MOST_WORDS: Final = 60
ROLES: Final = ("steward", "substitute", "key_holder", "befriender", "family")


def router(reader: Reader) -> APIRouter:
    """GET and POST /residents, GET /residents/{id} and its /card, POST its /access."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/residents")
    async def ask(request: Request) -> Response:
        async def answer(user: User) -> Response:
            return await _list(reader, request, user, "", None)

        return await for_staff(reader, request, answer)

    @routes.post("/residents")
    async def find(request: Request) -> Response:
        user, form = await staff_form(reader, request, ("words",), "look")
        words = " ".join(form["words"].split())[:MOST_WORDS]
        result = await reader.find_residents(words, user.scope) if words else None
        if result is not None:  # whom they found; not the words, which may be a name
            ids = [r["id"] for r in result["found"]]
            reader.looked(user, "residents_searched", resident_ids=ids)
        return await _list(reader, request, user, words, result)

    @routes.get("/residents/{resident_id}")
    async def show(request: Request, resident_id: str) -> Response:
        async def answer(user: User) -> Response:
            response = await _resident(reader, request, user, resident_id)
            reader.looked(user, "resident_looked_at", resident_id=number_of(resident_id))
            return response

        return await for_staff(reader, request, answer)

    @routes.post("/residents/{resident_id}/access")
    async def access(request: Request, resident_id: str) -> Response:
        user, form = await staff_form(reader, request, ("reason",), "access")
        reason = " ".join(form["reason"].split())[:200]
        if len(reason) < LEAST_REASON:
            return await _resident(
                reader, request, user, resident_id, status=422, failure="reason"
            )
        found = await reader.resident_access(user.name, number_of(resident_id), reason)
        return await _resident(reader, request, user, resident_id, access=found)

    @routes.post("/residents/{resident_id}/consent")
    async def consent(request: Request, resident_id: str) -> Response:
        user, form = await staff_form(
            reader, request, ("purpose", "given_by", "how"), "register"
        )
        return await _consent(reader, request, user, resident_id, form)

    @routes.post("/residents/{resident_id}/withdraw")
    async def withdraw(request: Request, resident_id: str) -> Response:
        user, form = await staff_form(reader, request, ("purpose", "reason"), "register")
        form["reason"] = " ".join(form["reason"].split())[:200]
        if len(form["reason"]) < LEAST_REASON:
            return await _resident(
                reader, request, user, resident_id, status=422, failure="reason"
            )
        return await _consent(reader, request, user, resident_id, form)

    @routes.get("/residents/{resident_id}/card")
    async def card(request: Request, resident_id: str) -> Response:
        async def answer(user: User) -> Response:
            found = await reader.contact_card(number_of(resident_id))
            if found is None:
                raise HTTPException(404)
            reader.looked(user, "card_looked_at", resident_id=found["id"])
            facts = {"c": found, "tz": found["tz"], "now_ms": found["now_ms"]}
            return staff_page(request, "card.html", user, facts)

        return await for_staff(reader, request, answer)

    return routes


async def _list(
    reader: Reader, request: Request, user: User, words: str, result: Mapping[str, Any] | None
) -> Response:
    snapshot = await reader.snapshot(user)
    facts = {
        "words": words,
        "result": result,
        "now_ms": snapshot["now_ms"],
        "tz": (snapshot["community"] or {}).get("tz"),
    }
    return staff_page(request, "residents.html", user, facts)


async def _consent(
    reader: Reader, request: Request, user: User, resident_id: str, form: Mapping[str, str]
) -> Response:
    try:
        await reader.consent(user.name, number_of(resident_id), form)
    except LookupError as error:
        raise HTTPException(404) from error
    except ActionRefused as refused:
        return await _resident(reader, request, user, resident_id, status=409, refused=refused)
    return RedirectResponse(f"/residents/{number_of(resident_id)}#consents", 303)


async def _resident(
    reader: Reader,
    request: Request,
    user: User,
    resident_id: str,
    *,
    status: int = 200,
    failure: str | None = None,
    refused: ActionRefused | None = None,
    access: Mapping[str, Any] | None = None,
) -> Response:
    found = await reader.resident(number_of(resident_id))
    if found is None:
        raise HTTPException(404)
    contacts = sorted(
        found["contacts"], key=lambda c: ROLES.index(c["role"]) if c["role"] in ROLES else 99
    )
    facts = {
        "r": found,
        "help": await reader.help_of(found["id"]),
        "help_key": new_key(),
        "kinds": KINDS,
        "causes": CAUSES,
        "contacts": contacts,
        "most": max((d["n"] for d in found["days"]), default=0) or 1,
        "failure": failure,
        "refused": refused.message(request_lang(request)) if refused else None,
        "access": access,
        "tz": found["tz"],
        "now_ms": found["now_ms"],
    }
    return staff_page(request, "resident.html", user, facts, status=status)
