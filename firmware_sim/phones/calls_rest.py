"""The provider's REST interface for calls: place one, look one up, list them.

It must never answer a caller who has not shown the account's sid and token.
"""

import asyncio
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData

from firmware_sim.phones.calls import API_VERSION, Call
from firmware_sim.phones.exchange import Exchange
from firmware_sim.phones.resource import MAX_PAGE_SIZE, ProviderError, rfc2822
from firmware_sim.phones.rest import E164, account_of, is_url, keep_waiting

router = APIRouter(prefix="/2010-04-01/Accounts")


def call_json(call: Call, account_sid: str) -> dict[str, object]:
    """One Call resource, as the official client reads it."""
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Calls/{call.sid}.json"
    lasted = call.ended_s - call.started_s if call.ended_s and call.started_s else None
    return {
        "sid": call.sid, "account_sid": account_sid, "api_version": API_VERSION,
        "to": call.phone, "to_formatted": call.phone, "from": call.from_number,
        "from_formatted": call.from_number, "phone_number_sid": None, "parent_call_sid": None,
        "status": call.status, "direction": "outbound-api", "answered_by": call.answered_by,
        "date_created": rfc2822(call.created_s), "date_updated": rfc2822(call.created_s),
        "start_time": rfc2822(call.started_s), "end_time": rfc2822(call.ended_s),
        "duration": None if lasted is None else str(int(lasted)), "price": None,
        "price_unit": "USD", "annotation": None, "forwarded_from": None, "group_sid": None,
        "caller_name": None, "queue_time": "0", "trunk_sid": None, "uri": uri,
        "subresource_uris": {},
    }  # fmt: skip


@router.post("/{account_sid}/Calls.json", status_code=201)
async def create_call(request: Request, account_sid: str) -> JSONResponse:
    """Place a call. Refusals carry the provider's code; faults set by a tester come first."""
    exchange = account_of(request, account_sid)
    form = await request.form()
    to = str(form.get("To", ""))
    fault = exchange.faults.take_request(to)
    if fault and fault.kind == "503":
        raise ProviderError(503, 20503, "Service Unavailable")
    if fault and fault.kind == "429":
        raise ProviderError(429, 20429, "Too Many Requests")
    if fault and fault.kind == "refused":
        raise ProviderError(401, fault.error_code, "Refused")
    if fault and fault.kind == "slow_ms":
        await asyncio.sleep(fault.ms / 1000)
    _check(exchange, form)
    call = exchange.place(
        Call(
            phone=to,
            from_number=str(form["From"]),
            created_s=exchange.config.clock(),
            url=str(form["Url"]),
            status_callback=str(form.get("StatusCallback", "")),
            events=tuple(str(e) for e in form.getlist("StatusCallbackEvent")) or ("completed",),
            detects=str(form.get("MachineDetection", "")) in ("Enable", "DetectMessageEnd"),
            timeout_s=float(str(form.get("Timeout", "60"))),
        )
    )
    answer = JSONResponse(call_json(call, account_sid), status_code=201)
    if fault and fault.kind == "timeout_after_accept":
        await keep_waiting(request, exchange.config.hold_s)
        raise ProviderError(504, 20504, "Gateway Timeout")
    return answer


def _check(exchange: Exchange, form: FormData) -> None:
    to, url = str(form.get("To", "")), str(form.get("Url", ""))
    refusals: tuple[tuple[bool, int, str], ...] = (
        (not to, 21201, "No 'To' number specified"),
        (not form.get("From"), 21213, "No 'From' number specified"),
        (not E164.fullmatch(to), 21211, f"Invalid 'To' Phone Number: {to}"),
        (
            form.get("From") != exchange.config.from_number,
            21210,
            "'From' phone number not verified",
        ),
        (not is_url(url), 21205, f"Url is not a valid URL: {url}"),
    )
    for refused, code, words in refusals:
        if refused:
            raise ProviderError(400, code, words)


@router.get("/{account_sid}/Calls.json")
async def list_calls(request: Request, account_sid: str) -> dict[str, object]:
    """Calls, newest first, filtered by To and From, in pages. The next page is found by the last
    call of this one, so that calls placed between two requests shift nothing."""
    exchange = account_of(request, account_sid)
    query = request.query_params
    size = min(int(query.get("PageSize", 50)), MAX_PAGE_SIZE)
    matching = iter([
        c for c in exchange.calls.newest_first()
        if query.get("To") in (None, c.phone) and query.get("From") in (None, c.from_number)
    ])  # fmt: skip
    if after := query.get("PageToken"):
        any(f"PA{c.sid}" == after for c in matching)  # leaves those behind it
    rest = list(matching)
    found = rest[:size]
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Calls.json"
    filters = [(name, query[name]) for name in ("To", "From") if name in query]
    more = urlencode([*filters, ("PageSize", size), ("PageToken", f"PA{found[-1].sid}")]
                     if found else [])  # fmt: skip
    return {
        "calls": [call_json(c, account_sid) for c in found], "page": 0, "page_size": size,
        "start": 0, "end": max(len(found) - 1, 0), "uri": uri, "first_page_uri": uri,
        "next_page_uri": f"{uri}?{more}" if len(rest) > size else None,
        "previous_page_uri": None,
    }  # fmt: skip


@router.get("/{account_sid}/Calls/{sid}.json")
async def fetch_call(request: Request, account_sid: str, sid: str) -> dict[str, object]:
    """One call; 20404 if there is none."""
    call = account_of(request, account_sid).calls.get(sid)
    if call is None:
        raise ProviderError(404, 20404, f"The requested resource {request.url.path} was not found")
    return call_json(call, account_sid)
