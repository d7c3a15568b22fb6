"""The provider's word on an SMS of ours; states we do not know are passed over."""

from typing import Annotated

from fastapi import APIRouter, Query

from server.api.answers import PROVIDER, fields
from server.api.deps import RuntimeDep
from server.api.webhooks.signed import PREFIX, FormDep
from server.core.numbers import MOST
from server.service import receipts

router = APIRouter(prefix=PREFIX, tags=["webhooks"], responses=PROVIDER)
FORM = fields({}, {"MessageSid": "its id with the provider", "MessageStatus": "what became of it",
                   "ErrorCode": "why it failed"})  # fmt: skip
MessageId = Annotated[int, Query(ge=1, le=MOST, description="our id of the message")]


@router.post("/status", status_code=204, openapi_extra=FORM)
async def status(runtime: RuntimeDep, form: FormDep, m: MessageId) -> None:
    """What became of an SMS: in any order, repeated, or late."""
    state = receipts.PROVIDER_STATES.get(form.get("MessageStatus", ""))
    if state is None:
        return
    error = form.get("ErrorCode") or None
    copy = form.get("MessageSid")
    await runtime.database.write(
        lambda tx: receipts.take_delivery(tx, runtime.house, m, state, error, provider_id=copy),
        urgent=True,
    )
