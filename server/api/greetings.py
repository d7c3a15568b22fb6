"""The daily list of greeting calls. No sign of life, and no part of any alert."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from server import help_view
from server.api.answers import STAFF
from server.api.changing import change
from server.api.deps import ActDep, RuntimeDep, StaffDep
from server.api.register import Id, Json
from server.core.access import Right
from server.core.greetings import GreetingOutcome
from server.core.help_requests import Want
from server.service import auditing
from server.service.help import greetings

router = APIRouter(prefix="/api/v1", tags=["services"], responses=STAFF)


class Greeted(BaseModel):
    """What came of a call. `note`: what they want, where they want something (`kind`); `turn`:
    which call of the day it is, so that the same twice is one call."""

    model_config = ConfigDict(extra="forbid")
    outcome: GreetingOutcome
    note: Annotated[str, Field(max_length=greetings.MOST_NOTE)] = ""
    kind: Want = Want.OTHER
    turn: Annotated[int | None, Field(ge=1, le=99)] = None


@router.get("/greetings")
async def today(runtime: RuntimeDep, staff: StaffDep) -> Json:
    """Who lives alone, and where each stands today. Telephones with the right `access` alone."""
    now = runtime.clock.now()
    phones = Right.ACCESS in staff.rights
    found = await runtime.database.read(
        lambda c: help_view.greeting_list(c, now, staff.scope, phones=phones)
    )
    count = len(found["people"])
    runtime.later(lambda tx: auditing.saw(tx, staff.name, "greetings_listed", count=count))
    return found


@router.post("/residents/{resident_id}/greeting", status_code=201)
async def greet(resident_id: Id, greeted: Greeted, runtime: RuntimeDep, staff: ActDep) -> Json:
    """Tick one off; what they want becomes a help request, whose id is answered."""
    request_id = await change(runtime, lambda tx: greetings.greet(
        tx, resident_id, greeted.outcome, by=staff.name, note=greeted.note, want=greeted.kind,
        turn=greeted.turn,
    ))  # fmt: skip
    return {"resident_id": resident_id, "outcome": greeted.outcome, "request_id": request_id}
