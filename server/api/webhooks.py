"""Twilio's calls to us. Each is signed over the exact public address; a forged one changes nothing
and is answered 403."""

import logging
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from twilio.request_validator import RequestValidator

from server.api.deps import RuntimeDep
from server.runtime import Runtime
from server.service import answering

router = APIRouter(prefix="/webhooks/twilio", tags=["webhooks"])
log = logging.getLogger(__name__)
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
MOST_BYTES = 64 * 1024


async def _signed_form(request: Request, runtime: Runtime) -> dict[str, str]:
    """The form's fields, if Twilio signed them. Raises 403, 413 or 503."""
    token = runtime.settings.twilio_auth_token
    if token is None:
        raise HTTPException(503, "no SMS account is configured (TWILIO_AUTH_TOKEN)")
    if int(request.headers.get("content-length", 0) or 0) > MOST_BYTES:
        raise HTTPException(413, f"at most {MOST_BYTES} bytes")
    form = {k: v for k, v in (await request.form()).items() if isinstance(v, str)}
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{runtime.settings.public_url}{request.url.path}{query}"
    signature = request.headers.get("x-twilio-signature", "")
    if not RequestValidator(token.get_secret_value()).validate(url, form, signature):
        log.warning("a webhook with a wrong signature was refused")
        raise HTTPException(403, "wrong signature; XUNLOU_PUBLIC_URL must be the address called")
    return form


@router.post("/inbound")
async def inbound(request: Request, runtime: RuntimeDep) -> Response:
    """An SMS to us. Answered empty: what we have to say goes through the outbox."""
    form = await _signed_form(request, runtime)
    try:
        sms = answering.Sms(form["MessageSid"], form["From"], form.get("Body", ""))
    except KeyError as error:
        raise HTTPException(422, f"the field {error} is missing") from error
    await runtime.database.write(
        lambda tx: answering.take_reply(tx, runtime.house, sms), urgent=True
    )
    return Response(EMPTY_TWIML, media_type="text/xml")


@router.post("/status", status_code=204)
async def status(
    request: Request,
    runtime: RuntimeDep,
    m: Annotated[int, Query(ge=1, le=2**53, description="our id of the message")],
) -> None:
    """The provider's word on one of our messages; states we do not know are passed over."""
    form = await _signed_form(request, runtime)
    state = answering.PROVIDER_STATES.get(form.get("MessageStatus", ""))
    if state is None:
        return
    error = form.get("ErrorCode") or None
    copy = form.get("MessageSid")
    await runtime.database.write(
        lambda tx: answering.take_delivery(
            tx, runtime.house, m, state, error, provider_id=copy
        ),
        urgent=True,
    )
