"""SMS to us. Answered empty: what we have to say goes through the outbox."""

from fastapi import APIRouter, HTTPException, Response

from server.api.deps import RuntimeDep
from server.api.webhooks.signed import PREFIX, FormDep
from server.service import answering

router = APIRouter(prefix=PREFIX, tags=["webhooks"])
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


@router.post("/inbound")
async def inbound(runtime: RuntimeDep, form: FormDep) -> Response:
    """An SMS to us."""
    try:
        sms = answering.Sms(form["MessageSid"], form["From"], form.get("Body", ""))
    except KeyError as error:
        raise HTTPException(422, f"the field {error} is missing") from error
    await runtime.database.write(
        lambda tx: answering.take_reply(tx, runtime.house, sms), urgent=True
    )
    return Response(EMPTY_TWIML, media_type="text/xml")
