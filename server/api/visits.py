"""Visits that are owed, and who paid them."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from server import help_view
from server.api.answers import STAFF
from server.api.changing import Reason, change
from server.api.deps import ActDep, RuntimeDep, StaffDep, within
from server.api.instants import Day
from server.api.register import Id, Json
from server.core.access import EVERYWHERE
from server.core.numbers import MOST
from server.core.visits import Cause
from server.database import Tx
from server.runtime import Runtime
from server.service.help import visits
from server.store import visits as store

router = APIRouter(prefix="/api/v1/visits", tags=["services"], responses=STAFF)
Note = Annotated[str, Field(max_length=visits.MOST_NOTE)]


class Owed(BaseModel):
    """To whom, and why."""

    model_config = ConfigDict(extra="forbid")
    resident_id: Id
    cause: Cause
    why: Note = ""


class Paid(BaseModel):
    """Who went (a contact, somebody by `name`, or whoever asks), on which local day (today)."""

    model_config = ConfigDict(extra="forbid")
    as_person_id: Id | None = None
    name: Annotated[str, Field(max_length=40)] = ""
    on: Day | None = None
    note: Note = ""


class Dropped(BaseModel):
    """Why nobody will go."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason


async def _told(runtime: Runtime, visit_id: int) -> Json:
    now = runtime.clock.now()

    def read(conn: Connection) -> Json | None:
        row = store.one(conn, visit_id)
        return help_view.visit_json(row, now) if row is not None else None

    found = await runtime.database.read(read)
    if found is None:
        raise HTTPException(404, f"there is no visit {visit_id}")
    return found


@router.get("")
async def listed(
    runtime: RuntimeDep,
    staff: StaffDep,
    resident: Annotated[int | None, Query(ge=1, le=MOST)] = None,
    limit: Annotated[int, Query(ge=1, le=help_view.MOST)] = help_view.MOST,
) -> Json:
    """`owed`, the longest overdue first, with whose visit it is; `closed`, newest first."""
    now = runtime.clock.now()
    found = await runtime.database.read(lambda c: help_view.visits_listed(
        c, now, staff.scope if resident is None else EVERYWHERE, resident_id=resident, limit=limit
    ))  # fmt: skip
    runtime.saw(staff.name, "visits_listed", resident_id=resident)
    return found


@router.post("", status_code=201)
async def owe(owed: Owed, runtime: RuntimeDep, staff: ActDep) -> Json:
    """A visit is owed from now on; its due date follows the cause."""
    await within(runtime, staff, resident_id=owed.resident_id)

    def run(tx: Tx) -> int | None:
        return visits.owe(tx, owed.resident_id, owed.cause, by=staff.name, why=owed.why)

    made = await change(runtime, run)
    assert made is not None, "without a key every word is a visit"
    return await _told(runtime, made)


async def _done(runtime: Runtime, visit_id: int, run: Any) -> Json:
    await change(runtime, run)
    return await _told(runtime, visit_id)


@router.post("/{visit_id}/done")
async def done(visit_id: Id, paid: Paid, runtime: RuntimeDep, staff: ActDep) -> Json:
    """Somebody went."""
    await within(runtime, staff, person_id=paid.as_person_id)
    return await _done(runtime, visit_id, lambda tx: visits.pay(
        tx, visit_id, by=staff.name, visitor=paid.name, visitor_id=paid.as_person_id, on=paid.on,
        note=paid.note,
    ))  # fmt: skip


@router.post("/{visit_id}/drop")
async def drop(visit_id: Id, dropped: Dropped, runtime: RuntimeDep, staff: ActDep) -> Json:
    """Nobody will go."""
    return await _done(runtime, visit_id, lambda tx: visits.drop(
        tx, visit_id, dropped.reason, by=staff.name
    ))  # fmt: skip
