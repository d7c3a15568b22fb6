"""Who may speak as the provider: whoever signs with the token of one of our accounts. A forged call
changes nothing and is answered 403."""

import logging
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Response
from twilio.request_validator import RequestValidator

from server.api.deps import RuntimeDep

log = logging.getLogger(__name__)
PREFIX = "/webhooks/twilio"
MOST_BYTES = 64 * 1024


class TwiML(Response):
    """What we say in answer, in the provider's XML."""

    media_type = "text/xml"


async def signed_form(request: Request, runtime: RuntimeDep) -> dict[str, str]:
    """The form's fields, if one of our accounts signed them. Raises 403, 413 or 503."""
    settings = runtime.settings
    tokens = [t for t in (settings.twilio_auth_token, settings.twilio_backup_auth_token) if t]
    if not tokens:
        raise HTTPException(503, "no SMS account is configured (TWILIO_AUTH_TOKEN)")
    if int(request.headers.get("content-length", 0) or 0) > MOST_BYTES:
        raise HTTPException(413, f"at most {MOST_BYTES} bytes")
    form = {k: v for k, v in (await request.form()).items() if isinstance(v, str)}
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{settings.public_url}{request.url.path}{query}"
    signature = request.headers.get("x-twilio-signature", "")
    if not any(
        RequestValidator(t.get_secret_value()).validate(url, form, signature) for t in tokens
    ):
        log.warning("a webhook with a wrong signature was refused")
        raise HTTPException(403, "wrong signature; XUNLOU_PUBLIC_URL must be the address called")
    return form


FormDep = Annotated[dict[str, str], Depends(signed_form)]
