"""One alert on a page of its own, for staff: who was told, what comes next, the way in.

Works without scripts; a script only keeps it fresh. The way in is asked for with a reason, by POST,
and never stands in an address, a history or a cache.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, HTTPException, Path, Request
from starlette.responses import RedirectResponse, Response

from dashboards.forms import refuse_foreign
from dashboards.i18n import live_texts
from dashboards.reader import ActionRefused, Reader, User
from dashboards.render import page, request_lang
from dashboards.staff import enter

ACTIONS: Final = ("accept", "on_scene", "resolve", "escalate")
OUTCOMES: Final = ("safe", "helped", "ambulance", "false_alarm", "other")
FIELDS: Final = ("as_person_id", "outcome", "note", "item_resident_id")
LEAST_REASON: Final = 3
# What a timeline leaves out: the message table tells the same, complete.
_MESSAGES: Final = ("message_queued", "message_sent", "message_delivered")

AlertId = Annotated[int, Path(ge=1, le=2**31 - 1)]


def span(seconds: float) -> str:
    """A stretch of time as mm:ss, from an hour on h:mm:ss; never negative."""
    whole = max(0, int(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def clock(at_ms: int, zone: tzinfo) -> str:
    """The time of day, to the second, in the community's zone."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).strftime("%H:%M:%S")


def people_told(alert: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Everybody who goes or was told, once, as choices for "who goes" and "who says so"."""
    people = [*alert["responders"], *alert["told"]]
    known = {p["person_id"]: p["name"] for p in people if p.get("person_id") is not None}
    return list(known.items())


def router(reader: Reader, times_ms: Mapping[str, int]) -> APIRouter:
    """GET /alerts/{id}, and the POSTs of its forms. `times_ms`: of the live feed."""
    routes = APIRouter(include_in_schema=False)
    show_alert = partial(_answer, reader, times_ms)

    @routes.get("/alerts/{alert_id}")
    async def show(request: Request, alert_id: AlertId) -> Response:
        user = await enter(reader, request)
        return await show_alert(request, user, alert_id)

    @routes.post("/alerts/{alert_id}/access")
    async def access(request: Request, alert_id: AlertId) -> Response:
        user, form = await staff_form(reader, request, ("reason",), "access")
        reason = " ".join(form["reason"].split())[:200]
        if len(reason) < LEAST_REASON:
            return await show_alert(request, user, alert_id, status=422, failure="reason")
        found = await reader.alert_access(user, alert_id, reason)
        return await show_alert(request, user, alert_id, access=found)

    @routes.post("/alerts/{alert_id}/{action}")
    async def act(request: Request, alert_id: AlertId, action: str) -> Response:
        user, form = await staff_form(reader, request, FIELDS, "act")
        if action not in ACTIONS:
            raise HTTPException(404)
        if action == "resolve" and form["outcome"] not in OUTCOMES:
            return await show_alert(request, user, alert_id, status=422, failure="outcome")
        try:
            await reader.alert_act(user, alert_id, action, {k: v for k, v in form.items() if v})
        except ActionRefused as refused:
            return await show_alert(request, user, alert_id, status=409, refused=refused)
        return RedirectResponse(f"/alerts/{alert_id}", 303)

    return routes


async def staff_form(
    reader: Reader, request: Request, names: tuple[str, ...], right: str | None
) -> tuple[User, dict[str, str]]:
    """The user and the form's named texts. Raises 403 for a foreign form or without the right, 401
    without login."""
    refuse_foreign(request)
    user = await enter(reader, request, right)
    form = await request.form(max_files=0, max_fields=20)
    texts = {name: form.get(name, "") for name in names}
    return user, {name: text if isinstance(text, str) else "" for name, text in texts.items()}


async def _answer(
    reader: Reader,
    times_ms: Mapping[str, int],
    request: Request,
    user: User,
    alert_id: int,
    *,
    status: int = 200,
    failure: str | None = None,
    refused: ActionRefused | None = None,
    access: Mapping[str, Any] | None = None,
) -> Response:
    alert = await reader.alert_detail(user, alert_id)
    if alert is None:
        raise HTTPException(404)
    reader.sees(user, "alert_looked_at", alert_id=alert_id)
    community = await reader.community()
    own = alert.get("tz") or (community and community["tz"])  # of the house, where they differ
    zone: tzinfo = ZoneInfo(own) if own else UTC
    lang = request_lang(request)
    facts = {
        "user": user,
        "a": alert,
        "zone": zone,
        "clock": clock,
        "span": span,
        "told_people": people_told(alert),
        "timeline": [e for e in alert["timeline"] if e["kind"] not in _MESSAGES],
        "outcomes": OUTCOMES,
        "access": access,
        "failure": failure,
        "refused": refused.message(lang) if refused else None,
        "texts": live_texts(lang),
        "times": times_ms,
    }
    return page(request, "alert.html", facts, status=status, default_theme="dark")
