"""One's own account (password, second factor, sessions), and for administrators everybody's.

Works without scripts. What is shown once (a one-time password, a token, recovery codes) stands in
the answer to a POST, never in an address, a history or a cache. Decides nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.alert_page import staff_form
from dashboards.cookies import remember_device
from dashboards.forms import refuse_foreign
from dashboards.reader import ActionRefused, Reader, User
from dashboards.render import request_lang
from dashboards.staff import enter, number_of, staff_page

OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "password": ("old", "new"),
    "totp": ("password",),
    "totp_confirm": ("code",),
    "totp_drop": ("password",),
    "end": ("begins",),
}
KEEPING: Final = ("reset", "close", "open", "regrade")


def router(reader: Reader) -> APIRouter:
    """GET /account and POST its acts; GET and POST /accounts, POST /tokens and theirs."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/account")
    async def own(request: Request) -> Response:
        user = await enter(reader, request, None)
        return await _own(reader, request, user)

    @routes.post("/account/{action}")
    async def own_act(request: Request, action: str) -> Response:
        user, form = await staff_form(reader, request, OWN.get(action, ()), None)
        if action not in OWN or (user.must_change and action != "password"):
            raise HTTPException(404 if action not in OWN else 403)
        try:
            once = await reader.own_act(user, action, form)
        except ActionRefused as refused:
            return await _own(reader, request, user, refused=refused)
        if once:
            return await _own(reader, request, user, once=once)
        if action == "password":
            response = RedirectResponse("/account?done=password", 303)
            remember_device(response, await reader.device_pass(user), request)
            return response
        return RedirectResponse("/account", 303)

    @routes.get("/accounts")
    async def every(request: Request) -> Response:
        user = await enter(reader, request, "accounts")
        return await _every(reader, request, user)

    @routes.post("/accounts")
    async def make(request: Request) -> Response:
        return await _keep(reader, request, "make", 0)

    @routes.post("/accounts/{account_id}/{action}")
    async def keep(request: Request, account_id: str, action: str) -> Response:
        if action not in KEEPING:
            raise HTTPException(404)
        return await _keep(reader, request, action, number_of(account_id))

    @routes.post("/tokens")
    async def token(request: Request) -> Response:
        return await _keep(reader, request, "token", 0)

    @routes.post("/tokens/{token_id}/revoke")
    async def revoke(request: Request, token_id: str) -> Response:
        return await _keep(reader, request, "revoke", number_of(token_id))

    return routes


async def _own(
    reader: Reader, request: Request, user: User, *,
    refused: ActionRefused | None = None, once: Mapping[str, Any] | None = None,
) -> Response:  # fmt: skip
    found = await reader.own_account(user)
    facts = {
        "o": found, "once": once or {}, "tz": found["tz"], "now_ms": found["now_ms"],
        "done": request.query_params.get("done") == "password",
        "refused": refused.message(request_lang(request)) if refused else None,
    }  # fmt: skip
    return staff_page(request, "account.html", user, facts, status=409 if refused else 200)


async def _every(
    reader: Reader, request: Request, user: User, *,
    refused: ActionRefused | None = None, once: Mapping[str, Any] | None = None,
) -> Response:  # fmt: skip
    found = await reader.all_accounts(user)
    reader.looked(user, "accounts_listed")
    facts = {
        "e": found, "once": once or {}, "tz": found["tz"], "now_ms": found["now_ms"],
        "refused": refused.message(request_lang(request)) if refused else None,
    }  # fmt: skip
    return staff_page(request, "accounts.html", user, facts, status=409 if refused else 200)


async def _keep(reader: Reader, request: Request, action: str, number: int) -> Response:
    refuse_foreign(request)
    user = await enter(reader, request, "accounts")
    form = await request.form(max_files=0, max_fields=40)
    fields = {key: [v for v in form.getlist(key) if isinstance(v, str)] for key in form}
    try:
        once = await reader.keep_accounts(user, action, number, fields)
    except ActionRefused as refused:
        return await _every(reader, request, user, refused=refused)
    if once:
        return await _every(reader, request, user, once=once)
    return RedirectResponse("/accounts", 303)
