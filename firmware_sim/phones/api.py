"""What a tester and the page of phones may do: read a phone, answer from it, set faults.

No log-in: it plays with numbers that cannot exist and belongs on the loopback address. It must
never touch the provider's side of the house except through the exchange.
"""

from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from firmware_sim.phones.exchange import Exchange
from firmware_sim.phones.ledger import Message
from firmware_sim.phones.rest import exchange_of

MAX_ROWS = 10_000

router = APIRouter()


class SendIn(BaseModel):
    """A text typed on a phone."""

    body: str = Field(min_length=1, max_length=1600)


class FaultIn(BaseModel):
    """A switch to turn on; see `faults.KINDS` for what each kind does."""

    kind: str
    number: str | None = None
    count: int = 1
    error_code: int = 30008
    ms: int = 2_000


class AutoIn(BaseModel):
    """Whether the phones answer by themselves."""

    on: bool


def normal_number(exchange: Exchange, number: str) -> str:
    """The number as the ledger writes it; 404 when no such phone exists.

    A plus sign in a path is easily lost to a space or left out; all three spellings are meant.
    """
    plain = unquote(number).strip().lstrip("+")
    full = f"+{plain}"
    if not exchange.ledger.knows(full):
        raise HTTPException(404, f"no phone {full}: see GET /phones for the phone book")
    return full


def message_view(message: Message) -> dict[str, object]:
    """A message as the phones API shows it; times in epoch milliseconds."""
    return {
        "sid": message.sid,
        "direction": "out" if message.direction == "inbound" else "in",  # as its owner sees it
        "author": message.author,
        "body": message.body,
        "at_ms": int((message.sent_s or message.created_s) * 1000),
        "status": message.status,
        "read": message.read,
        "num_segments": message.num_segments,
        "webhook": message.webhook,
    }


@router.get("/phones")
async def list_phones(request: Request, active: bool = False) -> dict[str, object]:
    """Every phone with its unread count and last message; `active=true` skips silent ones."""
    ledger = exchange_of(request).ledger
    active_first = ledger.active_numbers()
    seen = set(active_first)
    silent = [] if active else [n for n in ledger.book if n not in seen]
    phones = []
    for number in [*active_first, *silent][:MAX_ROWS]:
        entry = ledger.entry(number)
        messages = ledger.on_phone(number)
        phones.append(
            {
                "number": number,
                "name": entry.name,
                "role": entry.role,
                "building": entry.building,
                "lang": entry.lang,
                "unread": ledger.unread(number),
                "opted_out": _opted_out(exchange_of(request), number),
                "last_message": message_view(messages[-1]) if messages else None,
            }
        )
    return {"phones": phones, "seq": ledger.seq}


def _opted_out(exchange: Exchange, number: str) -> bool:
    return (number, exchange.config.from_number) in exchange.opted_out


@router.get("/phones/{number}/messages")
async def phone_messages(request: Request, number: str) -> dict[str, object]:
    """What lies on one phone, oldest first. Looking here does not mark anything read."""
    exchange = exchange_of(request)
    full = normal_number(exchange, number)
    return {"number": full, "messages": [message_view(m) for m in exchange.ledger.on_phone(full)]}


@router.post("/phones/{number}/send", status_code=201)
async def send(request: Request, number: str, text: SendIn) -> dict[str, object]:
    """The person answers. Returns when the server's webhook has answered, or could not."""
    exchange = exchange_of(request)
    full = normal_number(exchange, number)
    return message_view(await exchange.answer(full, text.body, author="person"))


@router.post("/phones/{number}/reply")
async def reply(
    request: Request, number: str, body: Annotated[str, Form(min_length=1, max_length=1600)]
) -> RedirectResponse:
    """The same from a plain form, for a browser without scripts."""
    exchange = exchange_of(request)
    full = normal_number(exchange, number)
    await exchange.answer(full, body, author="person")
    return RedirectResponse(f"/#p{quote(full.lstrip('+'))}", status_code=303)


@router.post("/phones/{number}/read", status_code=204)
async def mark_read(request: Request, number: str) -> None:
    """The owner has looked at the phone."""
    exchange = exchange_of(request)
    exchange.ledger.mark_read(normal_number(exchange, number))


@router.get("/auto")
async def get_auto(request: Request) -> dict[str, bool]:
    """Whether the phones answer by themselves."""
    return {"on": exchange_of(request).auto_answer}


@router.post("/auto")
async def set_auto(request: Request, wanted: AutoIn) -> dict[str, bool]:
    """Let the phones answer by themselves, or leave every alert to people."""
    exchange = exchange_of(request)
    exchange.set_auto_answer(wanted.on)
    return {"on": exchange.auto_answer}


@router.get("/faults")
async def list_faults(request: Request) -> dict[str, object]:
    """The switches that are on."""
    return {"faults": [_fault_view(f) for f in exchange_of(request).faults.all()]}


@router.post("/faults", status_code=201)
async def set_fault(request: Request, wanted: FaultIn) -> dict[str, object]:
    """Turn a switch on; 422 says which bound was broken."""
    try:
        fault = exchange_of(request).faults.set(
            wanted.kind,
            number=wanted.number,
            count=wanted.count,
            error_code=wanted.error_code,
            ms=wanted.ms,
        )
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    return _fault_view(fault)


@router.delete("/faults")
async def clear_faults(request: Request) -> dict[str, int]:
    """Turn every switch off."""
    return {"cleared": exchange_of(request).faults.clear()}


def _fault_view(fault: object) -> dict[str, object]:
    names = ("fault_id", "kind", "number", "count", "error_code", "ms")
    return {name: getattr(fault, name) for name in names}
