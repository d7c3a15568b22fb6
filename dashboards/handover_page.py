"""The handover of a shift: a sheet to read together, two names, and the sheets before it.

Works without scripts and prints. Decides nothing: what is on the sheet comes from
`Reader.handover`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, HTTPException, Path, Request
from starlette.responses import RedirectResponse, Response

from dashboards.alert_page import span
from dashboards.forms import refuse_foreign
from dashboards.reader import ActionRefused, Reader, User
from dashboards.render import page, request_lang
from dashboards.staff import Desk, desk, enter

HandoverId = Annotated[int, Path(ge=1, le=2**31 - 1)]


def moment(zone: tzinfo, at_ms: int) -> str:
    """Day and time of day, to the minute, in the community's zone: 03-14 06:25."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).strftime("%m-%d %H:%M")


def router(reader: Reader) -> APIRouter:
    """GET and POST /handover, GET /handover/{id}."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/handover")
    async def show(request: Request) -> Response:
        user = await enter(reader, request, common=True)
        return await _sheet(reader, request, user, await desk(reader, request, user))

    @routes.get("/handover/{handover_id}")
    async def show_written(request: Request, handover_id: HandoverId) -> Response:
        user = await enter(reader, request, common=True)
        found = await reader.handover_written(handover_id)
        if found is None:
            raise HTTPException(404)
        at = await desk(reader, request, user, found["community"])
        reader.looked(user, "handover_looked_at", handover_id=handover_id)
        facts = {"user": user, "h": found, "p": found["picture"], "now_ms": found["at_ms"]}
        return page(request, "handover_written.html", facts | _common(at))

    @routes.post("/handover")
    async def write(
        request: Request,
        outgoing: Annotated[str, Form(max_length=200)] = "",
        incoming: Annotated[str, Form(max_length=200)] = "",
        note: Annotated[str, Form(max_length=2000)] = "",
        last_id: Annotated[int, Form(ge=0, le=2**53)] = 0,
        community: Annotated[str, Form(max_length=10)] = "",
    ) -> Response:
        refuse_foreign(request)
        user = await enter(reader, request, "act", common=True)
        at = await desk(reader, request, user, community)
        try:
            written = await reader.hand_over(user, outgoing, incoming, note, last_id, at.id)
        except ActionRefused as refused:
            form = {"outgoing": outgoing, "incoming": incoming, "note": note}
            return await _sheet(reader, request, user, at, form=form, refused=refused)
        return RedirectResponse(f"/handover/{written}", 303)

    return routes


def _common(at: Desk) -> dict[str, Any]:
    return {"moment": partial(moment, ZoneInfo(at.tz)), "span": span, "desk": at}


async def _sheet(
    reader: Reader,
    request: Request,
    user: User,
    at: Desk,
    *,
    form: Mapping[str, str] | None = None,
    refused: ActionRefused | None = None,
) -> Response:
    sheet = await reader.handover(at.id)
    reader.looked(user, "handover_looked_at")
    words = refused.message(request_lang(request)) if refused else None
    facts = {
        "user": user,
        "s": sheet,
        "p": sheet["picture"],
        "now_ms": sheet["now_ms"],
        "form": form or {"outgoing": sheet["on_duty"] or "", "incoming": "", "note": ""},
        "refused": words,
    }
    return page(
        request, "handover.html", facts | _common(at), status=409 if refused else 200
    )
