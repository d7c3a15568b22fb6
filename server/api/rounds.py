"""Rounds: the plan, the last fourteen as they were walked, and staff's word for a steward's."""

from datetime import time
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from server import past_rounds
from server.api.answers import STAFF
from server.api.changing import Reason, change
from server.api.deps import (
    ActDep,
    CommonDep,
    CommunityDep,
    RuntimeDep,
    SeenCommunityDep,
    StaffDep,
    within,
)
from server.api.register import Id
from server.core.numbers import MOST
from server.core.risk import RiskClass
from server.core.rounds import Plan
from server.database import Tx
from server.service import planning, walks
from server.service.refusals import Unknown
from server.store import assigning, communities

router = APIRouter(prefix="/api/v1", tags=["rounds"], responses=STAFF)
Json = dict[str, Any]
Number = Annotated[int, Field(ge=1, le=MOST)]
Clock = Annotated[str, Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class PlanIn(BaseModel):
    """One round of the day, in the community's time. `classes`: who owes it; `call_at`: when those
    still awaited are rung."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=32)]
    opens: Clock
    prompt: Clock
    due: Clock
    grace_s: Annotated[int, Field(ge=0, le=3600)] = 300
    classes: Annotated[list[RiskClass], Field(min_length=1, max_length=3)] = ["A", "B", "C"]
    call_at: Clock | None = None


class PlanChange(BaseModel):
    """All rounds of the day."""

    model_config = ConfigDict(extra="forbid")
    rounds: Annotated[list[PlanIn], Field(min_length=1, max_length=8)]
    reason: Reason


class Report(BaseModel):
    """A building was walked. `as_person_id`: a steward told the desk."""

    model_config = ConfigDict(extra="forbid")
    building: Number
    as_person_id: Id | None = None
    reason: Reason


def _plan(conn: Connection, community_id: int | None) -> Json:
    community = communities.by_id(conn, community_id) if community_id is not None else None
    if community is None:
        return {"tz": None, "rounds": [], "problems": []}
    return {
        "tz": str(community.zone),
        "rounds": [communities.plan_to_json(p) for p in community.plans],
        "problems": list(community.problems),
    }


@router.get("/rounds/plan")
async def read_plan(
    runtime: RuntimeDep, _staff: StaffDep, community: SeenCommunityDep
) -> Json:
    """The rounds of the day in the community's zone, and which classes owe them."""
    return await runtime.database.read(lambda c: _plan(c, community))


@router.put("/rounds/plan")
async def change_plan(
    plan: PlanChange, runtime: RuntimeDep, staff: CommonDep, community: CommunityDep
) -> Json:
    """Replace a community's rounds of the day; the next deadline of all its houses follows."""

    def run(tx: Tx) -> Json:
        plans = [
            Plan(p.name, time.fromisoformat(p.opens), time.fromisoformat(p.prompt),
                 time.fromisoformat(p.due), p.grace_s, frozenset(p.classes),
                 time.fromisoformat(p.call_at) if p.call_at is not None else None)
            for p in plan.rounds
        ]  # fmt: skip
        planning.set_rounds(
            tx, plans, who=staff.name, why=plan.reason, community_id=community
        )
        return _plan(tx.conn, community)

    return await change(runtime, run)


@router.get("/rounds")
async def last_rounds(
    runtime: RuntimeDep,
    staff: StaffDep,
    building: Annotated[int | None, Query(ge=1, le=MOST, description="its number")] = None,
    limit: Annotated[int, Query(ge=1, le=60)] = past_rounds.SHOWN,
) -> dict[str, list[Json]]:
    """The last rounds by building: who owed, checked in, was missed; reported or not."""
    now = runtime.clock.now()

    def read(conn: Connection) -> list[Json]:
        wanted = assigning.building_id_of(conn, building) if building is not None else None
        if building is not None and wanted is None:
            raise Unknown(f"there is no building {building}")
        found = past_rounds.walked(conn, now, wanted, limit)
        for walked in found:
            walked["buildings"] = [
                b for b in walked["buildings"] if staff.scope.shows(b["building_id"])
            ]
        return found

    try:
        found = await runtime.database.read(read)
    except Unknown as error:
        raise HTTPException(404, str(error)) from error
    runtime.saw(staff.name, "rounds_listed", building=building)
    return {"rounds": found}


@router.post("/rounds/report")
async def report_round(report: Report, runtime: RuntimeDep, staff: ActDep) -> Json:
    """A building's round was walked; for the round that opened last."""
    await within(runtime, staff, building=report.building)
    return await change(
        runtime,
        lambda tx: walks.report_for(
            tx, runtime.house, report.building, who=staff.name, person_id=report.as_person_id,
            why=report.reason,
        ),
    )


@router.get("/residents/{resident_id}/rounds")
async def rounds_of(
    resident_id: Id,
    runtime: RuntimeDep,
    staff: StaffDep,
    limit: Annotated[int, Query(ge=1, le=60)] = past_rounds.SHOWN,
) -> dict[str, list[Json]]:
    """What became of a resident's last rounds."""
    now = runtime.clock.now()
    found = await runtime.database.read(
        lambda c: past_rounds.of_resident(c, resident_id, now, limit)
    )
    if found is None:
        raise HTTPException(404, f"there is no resident {resident_id}")
    runtime.saw(staff.name, "rounds_looked_at", resident_id=resident_id)
    return {"rounds": found}
