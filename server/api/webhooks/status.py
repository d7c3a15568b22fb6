"""The provider's word on an SMS of ours; states we do not know are passed over."""

from typing import Annotated

from fastapi import APIRouter, Query

from server.api.deps import RuntimeDep
from server.api.webhooks.signed import PREFIX, FormDep
from server.service import receipts

router = APIRouter(prefix=PREFIX, tags=["webhooks"])
MessageId = Annotated[int, Query(ge=1, le=2**53, description="our id of the message")]


@router.post("/status", status_code=204)
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
