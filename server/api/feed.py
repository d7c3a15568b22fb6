"""The whole picture, what changes in it, and the journal behind both."""

from collections.abc import AsyncIterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials
from fastapi.sse import EventSourceResponse, ServerSentEvent

from server.api.answers import STAFF
from server.api.deps import (
    COOKIE,
    RecordDep,
    RuntimeDep,
    StaffDep,
    bearer,
    program,
    session_principal,
)
from server.service import auditing
from server.store import outbox
from server.tables import to_ms

router = APIRouter(prefix="/api/v1", tags=["feed"], responses=STAFF)
Json = dict[str, Any]
Seq = Annotated[int, Query(ge=0, le=2**53)]


@router.get("/snapshot")
async def snapshot(runtime: RuntimeDep, staff: StaffDep) -> Json:
    """Every building and every unresolved alert, with the journal number they are true for."""
    found = await runtime.feed.snapshot(staff.scope)
    runtime.saw(staff.name, "wall_opened")
    return found


@router.get("/stream", response_class=EventSourceResponse)
async def stream(
    runtime: RuntimeDep,
    request: Request,
    staff: StaffDep,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    after: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> AsyncIterable[ServerSentEvent]:
    """Server-sent events: `change`, `heartbeat` every five seconds, `reset` (load the snapshot
    again). Resume with `after` = the last number seen."""
    async def still_in() -> bool:
        """A stream ends with its session, or with the token that opened it: at the latest with
        the next heartbeat."""
        if given is not None:
            return await program(runtime, given) == staff
        return await session_principal(runtime, request.cookies.get(COOKIE)) == staff

    runtime.saw(staff.name, "feed_opened")
    async for event in runtime.feed.events(after, staff.scope, still_in):
        yield ServerSentEvent(
            event=event.kind,
            data=event.data,
            id=str(event.seq) if event.seq is not None else None,
        )


@router.get("/journal")
async def read_journal(
    runtime: RuntimeDep,
    staff: RecordDep,
    after: Seq = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> dict[str, list[Json]]:
    """What happened, in order; ask on with `after` = the last `seq`."""
    found = await runtime.feed.entries(after, limit)
    runtime.saw(staff.name, "journal_listed")
    return {"entries": found}


@router.get("/messages")
async def messages(
    runtime: RuntimeDep,
    staff: RecordDep,
    after: Seq = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> dict[str, list[Json]]:
    """The outbox: what was queued, for whom, and what became of it. Links are blanked."""
    rows = await runtime.database.read(lambda c: outbox.after(c, after, limit))
    runtime.later(
        lambda tx: auditing.saw(tx, staff.name, "messages_listed", after=after, count=len(rows))
    )
    return {
        "messages": [
            {
                "id": m["id"], "alert_id": m["alert_id"], "person_id": m["person_id"],
                "role": m["role"], "step": m["step"], "attempt": m["attempt"],
                "channel": m["channel"], "template": m["template"], "state": m["state"],
                "phone": m["phone"], "body": m["body"], "provider_id": m["provider_id"],
                "error": m["error"], "created_ms": to_ms(m["created_at"]),
                "sent_ms": to_ms(m["sent_at"]) if m["sent_at"] else None,
            }
            for m in rows
        ]
    }  # fmt: skip
