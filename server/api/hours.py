"""The ledger of hours. Entries come from what was done; only a counter-entry is written by hand."""

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict

from server import hours_view
from server.api.answers import STAFF
from server.api.changing import Reason, change
from server.api.deps import CommonDep, CommunityDep, RuntimeDep, StaffDep
from server.api.register import Id, Json
from server.service import auditing
from server.service.help import hours
from server.store import scopes

router = APIRouter(prefix="/api/v1/hours", tags=["services"], responses=STAFF)


class Counter(BaseModel):
    """Why an entry is put right."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason


@router.get("")
async def balance(runtime: RuntimeDep, _staff: CommonDep, community: CommunityDep) -> Json:
    """What a community was given, what is saved of it and what was drawn, in minutes."""
    now = runtime.clock.now()
    return await runtime.database.read(lambda c: hours_view.balance(c, now, community))


@router.get("/{person_id}")
async def statement(person_id: Id, runtime: RuntimeDep, staff: StaffDep) -> Json:
    """One volunteer's savings and entries, newest first."""
    now = runtime.clock.now()
    found = await runtime.database.read(
        lambda c: hours_view.statement(c, person_id, now, staff.scope)
    )
    if found is None:
        raise HTTPException(404, f"there is no person {person_id}")
    runtime.later(
        lambda tx: auditing.saw(tx, staff.name, "hours_looked_at", person_id=person_id)
    )
    return found


@router.post("/entries/{entry_id}/counter")
async def counter(entry_id: Id, why: Counter, runtime: RuntimeDep, staff: CommonDep) -> Json:
    """Undo one entry by its opposite; answers the balance of the entry's community. Refused where
    the minutes are gone already."""
    await change(runtime, lambda tx: hours.counter(
        tx, entry_id, why.reason, by=staff.name, scope=staff.scope
    ))  # fmt: skip
    now = runtime.clock.now()
    return await runtime.database.read(
        lambda c: hours_view.balance(c, now, scopes.community_of_entry(c, entry_id))
    )
