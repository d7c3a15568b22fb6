"""Those who are told: who stands behind which target, and when they are on shift."""

from datetime import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from server.api.answers import STAFF
from server.api.changing import Reason, change
from server.api.deps import CommonDep, CommunityDep, RuntimeDep, StaffDep, desk, within
from server.api.register import Id
from server.core.access import Scope
from server.core.numbers import MOST
from server.core.rota import Shift
from server.core.words import Role
from server.database import Tx
from server.service import assigning, shifts
from server.service.answering import masked
from server.store import assigning as store
from server.tables import to_ms

router = APIRouter(prefix="/api/v1", tags=["people"], responses=STAFF)
Json = dict[str, Any]
Clock = Annotated[str, Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Assignment(BaseModel):
    """Who shall stand behind a target: a known person, or a new one by name and phone. `community`
    (its id): of whose desk or office, where the asker answers for several."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["steward", "substitute", "key_holder", "befriender", "family", "duty", "street",
                  "district", "rehearsal"]  # fmt: skip
    person_id: Id | None = None
    name: Annotated[str, Field(max_length=64)] = ""
    phone: Annotated[str, Field(pattern=r"^(\+[1-9][0-9]{6,14})?$")] = ""
    lang: Literal["zh", "en"] = "zh"
    building: Annotated[int, Field(ge=1, le=MOST)] | None = None
    resident_id: Id | None = None
    community: Id | None = None
    position: Annotated[int, Field(ge=0, le=2)] = 0
    key_place: Annotated[str, Field(max_length=200)] = ""
    reason: Reason


class ShiftIn(BaseModel):
    """One shift, in the community's time; `ends` at or before `starts`: on the following day."""

    model_config = ConfigDict(extra="forbid")
    days: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Field(min_length=1, max_length=7)]
    starts: Clock
    ends: Clock


class Shifts(BaseModel):
    """All shifts of a person; an empty list: always on duty."""

    model_config = ConfigDict(extra="forbid")
    shifts: Annotated[list[ShiftIn], Field(max_length=shifts.MOST_SHIFTS)]
    reason: Reason


def _listed(
    conn: Connection, scope: Scope, building: int | None, person_id: int | None
) -> list[Json]:
    wanted = store.building_id_of(conn, building) if building is not None else None
    if building is not None and wanted is None:
        return []
    return [
        {
            "id": r["id"], "person_id": r["person_id"], "name": r["name"], "role": r["role"],
            "phone_masked": masked(r["phone"]), "lang": r["lang"], "building": r["number"],
            "resident_id": r["resident_id"], "position": r["position"] or None,
            "absent_until_ms": to_ms(r["absent_until"]) if r["absent_until"] else None,
            "opted_out": r["opted_out_at"] is not None,
            "failing_since_ms": to_ms(r["failing_since"]) if r["failing_since"] else None,
        }
        for r in store.all_of(conn, building_id=wanted, person_id=person_id)
        if (scope.shows(r["house_id"]) if r["house_id"] is not None
            else scope.answers_for(r["community_id"]))
    ]  # fmt: skip


@router.get("/assignments")
async def assignments(
    runtime: RuntimeDep,
    staff: StaffDep,
    building: Annotated[int | None, Query(ge=1, le=MOST, description="its number")] = None,
    person_id: Annotated[int | None, Query(ge=1, le=MOST)] = None,
) -> dict[str, list[Json]]:
    """Who stands behind which target. No full phone numbers, and no places of keys."""
    found = await runtime.database.read(lambda c: _listed(c, staff.scope, building, person_id))
    runtime.saw(staff.name, "assignments_listed", building=building, person_id=person_id)
    return {"assignments": found}


@router.post("/assignments")
async def assign(assignment: Assignment, runtime: RuntimeDep, staff: StaffDep) -> Json:
    """Put a person behind a target. A steward's place that is taken passes to the new one."""
    fields = assignment.model_dump(exclude={"reason", "role", "community"})
    await within(
        runtime, staff, building=assignment.building, resident_id=assignment.resident_id,
        person_id=assignment.person_id, community=assignment.community,
    )  # fmt: skip
    if assignment.building is None and assignment.resident_id is None:
        fields["community_id"] = await desk(runtime, staff, assignment.community)

    def run(tx: Tx) -> Json:
        wanted = assigning.Wanted(Role(assignment.role), **fields)
        new = assigning.assign(
            tx, wanted, who=staff.name, why=assignment.reason, scope=staff.scope
        )
        row = store.by_id(tx.conn, new)
        assert row is not None
        listed = _listed(tx.conn, staff.scope, None, row["person_id"])
        return next(a for a in listed if a["id"] == new)

    return await change(runtime, run)


class Removal(BaseModel):
    """Why somebody is taken off. In the body, because an address ends up in logs."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason


@router.post("/assignments/{assignment_id}/remove", status_code=204)
async def unassign(
    assignment_id: Id, removal: Removal, runtime: RuntimeDep, staff: StaffDep
) -> None:
    """Take a person off a target; never one of the two stewards, nor the last one on duty."""
    await change(
        runtime,
        lambda tx: assigning.remove(tx, assignment_id, who=staff.name, why=removal.reason),
    )


@router.get("/rota")
async def rota(runtime: RuntimeDep, staff: CommonDep, community: CommunityDep) -> Json:
    """Who of a community's care centre has which shifts, who has the duty now, and where nobody
    has."""
    now = runtime.clock.now()
    found = await runtime.database.read(lambda c: shifts.rota_view(c, now, community))
    runtime.saw(staff.name, "duty_looked_at")
    return found


@router.put("/people/{person_id}/shifts")
async def set_shifts(person_id: Id, wanted: Shifts, runtime: RuntimeDep, staff: StaffDep) -> Json:
    """Give somebody of the care centre, a steward or a substitute these shifts. An account that
    answers for all of that person's houses may; for the care centre's, one that answers for the
    community as a whole. Such a one is answered the community's whole rota as well."""

    def run(tx: Tx) -> Json:
        own = [
            Shift(frozenset(s.days), time.fromisoformat(s.starts), time.fromisoformat(s.ends))
            for s in wanted.shifts
        ]
        shifts.set_shifts(tx, person_id, own, who=staff.name, why=wanted.reason)
        found = shifts.of_person(tx.conn, person_id, tx.now)
        whose = shifts.rota_of(tx.conn, person_id)
        if whose is None or not staff.scope.answers_for(whose.id):
            return found
        return {**found, **shifts.rota_view(tx.conn, tx.now, whose.id)}

    return await change(runtime, run)
