"""One person's rights: what they agreed to, what is held of them, and its end.

Reasons come in bodies: an address ends up in logs.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from server.api.answers import STAFF
from server.api.changing import Reason, change
from server.api.deps import AccessDep, RuntimeDep, StaffDep
from server.api.refusals import Refusal
from server.api.register import Id
from server.core.consent import GivenBy, How, Purpose
from server.database import Tx
from server.runtime import Runtime
from server.service import consenting, erasing, portability
from server.service.refusals import Refused, Unknown
from server.store import people
from server.vault import Vault

router = APIRouter(prefix="/api/v1", tags=["privacy"], responses=STAFF)
Json = dict[str, Any]


class Agreed(BaseModel):
    """What a resident, or their guardian, has agreed to."""

    model_config = ConfigDict(extra="forbid")
    purpose: Purpose
    given_by: GivenBy = GivenBy.RESIDENT
    how: How


class Wish(BaseModel):
    """Why something is asked."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason


@router.get("/residents/{resident_id}/consents")
async def consents(resident_id: Id, runtime: RuntimeDep, staff: StaffDep) -> Json:
    """What a resident has agreed to and taken back, newest first."""

    def look(conn: Connection) -> Json:
        if people.resident(conn, resident_id) is None:
            raise HTTPException(404, f"there is no resident {resident_id}")
        return {"consents": consenting.listed(conn, resident_id)}

    found = await runtime.database.read(look)
    runtime.saw(staff.name, "consents_looked_at", resident_id=resident_id)
    return found


@router.post("/residents/{resident_id}/consents")
async def consent(
    resident_id: Id, agreed: Agreed, runtime: RuntimeDep, staff: StaffDep
) -> Json:
    """Write down that they agree. Again is as good as once."""

    def run(tx: Tx) -> Json:
        consenting.give(
            tx, resident_id, agreed.purpose, agreed.given_by, agreed.how, who=staff.name
        )
        return {"consents": consenting.listed(tx.conn, resident_id)}

    return await change(runtime, run)


@router.post("/residents/{resident_id}/consents/{purpose}/withdraw")
async def withdraw(
    resident_id: Id, purpose: Purpose, wish: Wish, runtime: RuntimeDep, staff: StaffDep
) -> Json:
    """They agree no more; `follows` says what was done: `watch_ends`, `health_notes_go` or
    `access_notes_go`. A press still calls people."""

    def run(tx: Tx) -> Json:
        follows = consenting.withdraw(
            tx, runtime.house, resident_id, purpose, who=staff.name, why=wish.reason
        )
        return {"follows": follows, "consents": consenting.listed(tx.conn, resident_id)}

    return await change(runtime, run)


async def _export(
    runtime: Runtime, kind: str, row_id: int, who: str, why: str,
    gather: Callable[[Connection, Vault, int], Json],
) -> Json:
    database = runtime.database
    try:
        found = await database.read(lambda c: gather(c, database.vault, row_id))
    except Unknown as error:
        raise HTTPException(404, str(error)) from error
    await database.write(lambda tx: portability.note(tx, kind, row_id, who=who, why=why))
    return found


@router.post("/residents/{resident_id}/export")
async def export_resident(
    resident_id: Id, wish: Wish, runtime: RuntimeDep, staff: AccessDep
) -> Json:
    """Everything that is held of a resident, notes too. Logged with who and why."""
    return await _export(
        runtime, "resident", resident_id, staff.name, wish.reason, portability.resident
    )


@router.post("/people/{person_id}/export")
async def export_person(
    person_id: Id, wish: Wish, runtime: RuntimeDep, staff: AccessDep
) -> Json:
    """Everything that is held of a contact. Logged with who and why."""
    return await _export(
        runtime, "person", person_id, staff.name, wish.reason, portability.person
    )


async def _erase(runtime: Runtime, kind: str, row_id: int, who: str, why: str) -> Json:
    try:
        return await erasing.erase(runtime.database, kind, row_id, who=who, why=why)
    except Unknown as error:
        raise HTTPException(404, str(error)) from error
    except Refused as error:
        raise Refusal(error) from error


@router.post("/residents/{resident_id}/erase")
async def erase_resident(
    resident_id: Id, wish: Wish, runtime: RuntimeDep, staff: StaffDep
) -> Json:
    """Erase a resident whose watching has ended; only what figures count stays. For good.
    `contacts_left`: those who stood by nobody else, to be erased by themselves."""
    return await _erase(runtime, "resident", resident_id, staff.name, wish.reason)


@router.post("/people/{person_id}/erase")
async def erase_person(
    person_id: Id, wish: Wish, runtime: RuntimeDep, staff: StaffDep
) -> Json:
    """Erase a contact who has no role any more. For good."""
    return await _erase(runtime, "person", person_id, staff.name, wish.reason)
