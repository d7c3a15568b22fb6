"""Planned absences of residents, and of those who are told. Each has an end."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from server.api.answers import STAFF
from server.api.changing import Reason, change
from server.api.deps import ActDep, RuntimeDep
from server.api.instants import Instant
from server.api.register import Id, Json, resident_json
from server.database import Tx
from server.service import absences
from server.store import people
from server.tables import to_ms

router = APIRouter(prefix="/api/v1", tags=["register"], responses=STAFF)


class Absence(BaseModel):
    """Away until an instant with its zone; at most 90 days."""

    model_config = ConfigDict(extra="forbid")
    until: Instant | None = None
    reason: Reason


@router.post("/residents/{resident_id}/absence")
async def resident_away(
    resident_id: Id, absence: Absence, runtime: RuntimeDep, staff: ActDep
) -> Json:
    """A resident is away until then: not awaited, and watched again by itself. SOS still counts."""

    def run(tx: Tx) -> Json:
        absences.begin(tx, resident_id, absence.until, who=staff.name, why=absence.reason)
        return resident_json(tx.conn, resident_id, tx.now)

    return await change(runtime, run)


@router.delete("/residents/{resident_id}/absence")
async def resident_back(resident_id: Id, runtime: RuntimeDep, staff: ActDep) -> Json:
    """A resident is back before the time."""

    def run(tx: Tx) -> Json:
        absences.end_early(tx, resident_id, who=staff.name)
        return resident_json(tx.conn, resident_id, tx.now)

    return await change(runtime, run)


def _person(tx: Tx, person_id: int) -> Json:
    roles = people.roles_of(tx.conn, person_id)
    ends = [r["absent_until"] for r in roles if r["absent_until"] is not None]
    return {
        "id": person_id,
        "name": people.person(tx.conn, person_id)["name"],
        "roles": sorted({r["role"] for r in roles}),
        "absent_until_ms": to_ms(max(ends)) if ends else None,
    }


@router.post("/people/{person_id}/absence")
async def person_away(
    person_id: Id, absence: Absence, runtime: RuntimeDep, staff: ActDep
) -> Json:
    """A steward (or substitute, key holder, duty) is passed over until then."""

    def run(tx: Tx) -> Json:
        absences.person_away(
            tx, runtime.house, person_id, absence.until, who=staff.name, why=absence.reason
        )
        return _person(tx, person_id)

    return await change(runtime, run)


@router.delete("/people/{person_id}/absence")
async def person_back(person_id: Id, runtime: RuntimeDep, staff: ActDep) -> Json:
    """This person is asked again from now on."""

    def run(tx: Tx) -> Json:
        absences.person_back(tx, person_id, who=staff.name)
        return _person(tx, person_id)

    return await change(runtime, run)
