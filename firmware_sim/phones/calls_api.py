"""What a tester and the page may do with a telephone that rings: answer it as a person or as a
machine, press a key, put it down. No log-in, like the rest of the phones' API."""

from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from firmware_sim.phones.api import normal_number
from firmware_sim.phones.calls import Call
from firmware_sim.phones.exchange import Exchange
from firmware_sim.phones.rest import exchange_of

Verb = Literal["answer", "machine", "fax", "unknown", "key", "hang_up", "busy", "no-answer",
               "failed"]  # fmt: skip
router = APIRouter(prefix="/phones/{number}")


class ActIn(BaseModel):
    """What the owner of the phone does."""

    verb: Verb
    digit: str = Field("", pattern=r"^[0-9*#]?$")


def call_view(call: Call) -> dict[str, object]:
    """A call as the phones API shows it; times in epoch milliseconds."""
    return {
        "sid": call.sid, "status": call.status, "answered_by": call.answered_by,
        "said": call.said, "keys": call.keys, "listens": call.action is not None,
        "at_ms": int(call.created_s * 1000),
    }  # fmt: skip


@router.get("/calls")
async def calls(request: Request, number: str) -> dict[str, object]:
    """All calls to a phone, oldest first."""
    exchange = exchange_of(request)
    full = normal_number(exchange, number)
    return {"number": full, "calls": [call_view(c) for c in exchange.calls.of(full)]}


@router.post("/call")
async def act(request: Request, number: str, wanted: ActIn) -> dict[str, object]:
    """Do something with the call on this phone; 409 when there is none."""
    exchange = exchange_of(request)
    return call_view(
        await _act(exchange, normal_number(exchange, number), wanted.verb, wanted.digit)
    )


@router.post("/call/form")
async def act_by_form(
    request: Request,
    number: str,
    verb: Annotated[str, Form(pattern=r"^(answer|machine|hang_up|key[0-9])$")],
) -> RedirectResponse:
    """The same from a plain form; `key1` presses 1."""
    exchange = exchange_of(request)
    full = normal_number(exchange, number)
    digit = verb.removeprefix("key") if verb.startswith("key") else ""
    await _act(exchange, full, "key" if digit else verb, digit)
    return RedirectResponse(f"/#p{quote(full.lstrip('+'))}", status_code=303)


async def _act(exchange: Exchange, number: str, verb: str, digit: str) -> Call:
    call = exchange.calls.current(number)
    if call is None:
        raise HTTPException(409, f"no call on {number} now")
    exchange.stewards.took_the_phone(number)
    match verb:
        case "answer":
            await exchange.calls.answer(call)
        case "machine":
            await exchange.calls.answer(call, "machine_start")
        case "fax" | "unknown":
            await exchange.calls.answer(call, verb)
        case "key":
            await exchange.calls.press(call, digit)
        case "hang_up":
            await exchange.calls.hang_up(call)
        case _:
            await exchange.calls.fail(call, verb)
    return call
