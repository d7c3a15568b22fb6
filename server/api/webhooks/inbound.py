"""SMS to us. Answered empty: what we have to say goes through the outbox."""

from fastapi import APIRouter, HTTPException, Response

from server.api.answers import PROVIDER, fields
from server.api.deps import RuntimeDep
from server.api.webhooks.signed import PREFIX, FormDep, TwiML
from server.service import answering

router = APIRouter(prefix=PREFIX, tags=["webhooks"], responses=PROVIDER)
FORM = fields({"MessageSid": "its id with the provider", "From": "who wrote, E.164"},
              {"Body": "what they wrote"})  # fmt: skip
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


@router.post("/inbound", response_class=TwiML, openapi_extra=FORM)
async def inbound(runtime: RuntimeDep, form: FormDep) -> Response:
    """An SMS to us."""
    try:
        sms = answering.Sms(form["MessageSid"], form["From"], form.get("Body", ""))
    except KeyError as error:
        raise HTTPException(422, f"the field {error} is missing") from error
    await runtime.database.write(
        lambda tx: answering.take_reply(tx, runtime.house, sms), urgent=True
    )
    return TwiML(EMPTY_TWIML)
