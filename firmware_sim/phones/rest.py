"""The provider's REST interface: send a text, look one up, list them.

It must never answer a caller who has not shown the account's sid and token.
"""

import asyncio
import base64
import binascii
import hmac
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData

from firmware_sim.phones.exchange import Exchange
from firmware_sim.phones.ledger import Message
from firmware_sim.phones.resource import ListQuery, ProviderError, message_json, page_json

MAX_BODY_CHARS = 1600
E164 = re.compile(r"\+[1-9]\d{6,14}")
_SERVICE_SID = re.compile(r"MG[0-9a-fA-F]{32}")

router = APIRouter(prefix="/2010-04-01/Accounts")


def exchange_of(request: Request) -> Exchange:
    """The exchange of the application that serves this request."""
    exchange = request.app.state.exchange
    assert isinstance(exchange, Exchange)
    return exchange


def account_of(request: Request, account_sid: str) -> Exchange:
    """The exchange, once Basic authentication names this account; ProviderError 20003 if not."""
    exchange = exchange_of(request)
    config = exchange.config
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
    except binascii.Error:
        given = b""
    wanted = f"{config.account_sid}:{config.auth_token}".encode()
    if not hmac.compare_digest(given, wanted) or account_sid != config.account_sid:
        raise ProviderError(401, 20003, "Authenticate")
    if exchange.faults.take_outage():
        raise ProviderError(503, 20503, "Service Unavailable")
    return exchange


@router.get("/{account_sid}.json")
async def getaccount_of(request: Request, account_sid: str) -> dict[str, object]:
    """The account itself: what a server asks for to prove that its credentials work."""
    account_of(request, account_sid)
    return {
        "sid": account_sid,
        "friendly_name": "Simulation",
        "status": "active",
        "type": "Trial",
        "uri": f"/2010-04-01/Accounts/{account_sid}.json",
    }


@dataclass(frozen=True, slots=True)
class Order:
    """The form of a POST to Messages, as far as it is understood here."""

    to: str
    from_: str
    body: str
    status_callback: str
    service_sid: str

    @classmethod
    def read(cls, form: FormData) -> "Order":
        """The fields of the form; one that is absent is empty."""
        names = ("To", "From", "Body", "StatusCallback", "MessagingServiceSid")
        return cls(*(str(form.get(name, "")) for name in names))


@router.post("/{account_sid}/Messages.json", status_code=201)
async def create_message(request: Request, account_sid: str) -> JSONResponse:
    """Accept a text. Refusals carry the provider's code; faults set by a tester come first."""
    exchange = account_of(request, account_sid)
    order = Order.read(await request.form())
    fault = exchange.faults.take_request(order.to)
    if (fault and fault.kind == "503") or exchange.faults.take_text(order.to):
        raise ProviderError(503, 20503, "Service Unavailable")
    if fault and fault.kind == "429":
        raise ProviderError(429, 20429, "Too Many Requests")
    if fault and fault.kind == "refused":
        raise ProviderError(401, fault.error_code, "Refused")
    if fault and fault.kind == "slow_ms":
        await asyncio.sleep(fault.ms / 1000)
    _check(exchange, order)
    message = exchange.submit(
        order.to,
        order.body,
        status_callback=order.status_callback or None,
        messaging_service_sid=order.service_sid or None,
        twist=exchange.faults.take_delivery(order.to),
    )
    # The answer is written before the carrier has moved: the provider says "queued" always.
    answer = JSONResponse(message_json(message, account_sid), status_code=201)
    if fault and fault.kind == "timeout_after_accept":
        await keep_waiting(request, exchange.config.hold_s)
        raise ProviderError(504, 20504, "Gateway Timeout")
    return answer


def _check(exchange: Exchange, order: Order) -> None:
    """ProviderError with the provider's code for the first thing it would refuse."""
    ours = exchange.config.from_number
    wrong_sender = order.from_ and not order.service_sid and order.from_ != ours
    refusals: tuple[tuple[bool, int, str], ...] = (
        (not order.to, 21604, "A 'To' phone number is required."),
        (not (order.from_ or order.service_sid), 21603, "A 'From' phone number is required."),
        (not order.body, 21602, "Message body is required."),
        (not E164.fullmatch(order.to), 21211, f"Invalid 'To' Phone Number: {order.to}"),
        (
            bool(order.service_sid) and not _SERVICE_SID.fullmatch(order.service_sid),
            21701,
            f"The Messaging Service {order.service_sid} does not exist.",
        ),
        (
            bool(wrong_sender),
            21606,
            f"The 'From' phone number provided ({order.from_}) is not a valid message-capable "
            "Twilio phone number for this destination/account.",
        ),
        (order.to == ours, 21266, "'To' and 'From' number cannot be the same"),
        (
            len(order.body) > MAX_BODY_CHARS,
            21617,
            "The concatenated message body exceeds the 1600 character limit",
        ),
        (
            bool(order.status_callback) and not is_url(order.status_callback),
            21609,
            f"The 'StatusCallback' URL {order.status_callback} is not a valid URL.",
        ),
        (
            (order.to, ours) in exchange.opted_out,
            21610,
            "Attempt to send to unsubscribed recipient",
        ),
    )
    for refused, code, words in refusals:
        if refused:
            raise ProviderError(400, code, words)
    if exchange.in_flight >= exchange.config.max_in_flight:
        raise ProviderError(429, 20429, "Too Many Requests")


def is_url(text: str) -> bool:
    """Whether the provider would take this address."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


async def keep_waiting(request: Request, hold_s: float) -> None:
    """Answer nothing until the caller hangs up, or for `hold_s` real seconds."""
    try:
        async with asyncio.timeout(hold_s):
            while not await request.is_disconnected():
                await asyncio.sleep(0.05)
    except TimeoutError:
        return


@router.get("/{account_sid}/Messages.json")
async def list_messages(request: Request, account_sid: str) -> dict[str, object]:
    """A page of messages, newest first, filtered by To, From and DateSent."""
    exchange = account_of(request, account_sid)
    query = ListQuery.parse(request.query_params)
    return page_json(exchange.ledger.newest_first(), query, account_sid)


@router.get("/{account_sid}/Messages/{sid}.json")
async def fetch_message(request: Request, account_sid: str, sid: str) -> dict[str, object]:
    """One message; 20404 if there is none."""
    message: Message | None = account_of(request, account_sid).ledger.get(sid)
    if message is None:
        raise ProviderError(404, 20404, f"The requested resource {request.url.path} was not found")
    return message_json(message, account_sid)
