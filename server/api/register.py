"""Residents and terminals; the way into a home only with a reason, and logged."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, RowMapping

from server.api import changing
from server.api.answers import STAFF
from server.api.deps import AccessDep, RecordDep, RuntimeDep, StaffDep, within
from server.core.numbers import MOST
from server.core.risk import RiskClass, age_on
from server.database import Tx
from server.service import acting, auditing, classing, moving
from server.store import communities, people, signals
from server.tables import to_ms

router = APIRouter(prefix="/api/v1", tags=["register"], responses=STAFF)
Json = dict[str, Any]
Id = Annotated[int, Field(ge=1, le=MOST)]


class ResidentChange(BaseModel):
    """What staff may overrule. `risk_class` null: what the rule says."""

    model_config = ConfigDict(extra="forbid")
    risk_class: RiskClass | None
    reason: Annotated[str, Field(min_length=3, max_length=200)]


def _resident(r: RowMapping, day: date) -> Json:
    return {
        "id": r["id"], "name": r["name"], "age": age_on(r["birth_date"], day),
        "living": r["living"], "state": r["state"], **classing.explained(r, day),
        "building": r["building_number"], "flat": r["label"], "floor": r["floor"],
        "flat_id": r["flat_id"], "terminal_id": r["terminal_id"],
        "next_due_ms": to_ms(r["next_due_at"]) if r["next_due_at"] else None,
        "last_sign_ms": to_ms(r["last_sign_at"]) if r["last_sign_at"] else None,
        "absent_until_ms": to_ms(r["absent_until"]) if r["absent_until"] else None,
        "ended_ms": to_ms(r["ended_at"]) if r["ended_at"] else None, "ended_how": r["ended_how"],
    }  # fmt: skip


def resident_json(conn: Connection, resident_id: int, now: datetime) -> Json:
    """One resident (who must exist) as the list shows them."""
    (row,) = people.residents(conn, resident_id=resident_id)[:1]
    return _resident(row, communities.local_day(conn, now, row["building_id"]))


@router.get("/residents")
async def residents(
    runtime: RuntimeDep,
    staff: StaffDep,
    building: Annotated[int | None, Query(ge=1, le=MOST, description="its number")] = None,
) -> dict[str, list[Json]]:
    """Who is watched, with door, terminal and next deadline. No access notes here."""
    now = runtime.clock.now()

    def read(conn: Connection) -> list[Json]:
        day = communities.local_day(conn, now)
        found = people.residents(conn, building)
        return [_resident(r, day) for r in found if staff.scope.shows(r["building_id"])]

    listed = await runtime.database.read(read)
    runtime.later(
        lambda tx: auditing.saw(tx, staff.name, "residents_listed", building=building,
                                count=len(listed))
    )  # fmt: skip
    return {"residents": listed}


@router.patch("/residents/{resident_id}")
async def change_resident(
    resident_id: Id, change: ResidentChange, runtime: RuntimeDep, staff: StaffDep
) -> Json:
    """Overrule the risk class, with a reason; journalled. Their next deadline follows it."""

    def run(tx: Tx) -> Json:
        classing.set_class(
            tx, resident_id, change.risk_class, who=staff.name, why=change.reason
        )
        return resident_json(tx.conn, resident_id, tx.now)

    return await changing.change(runtime, run)


class End(BaseModel):
    """Why a resident is no longer watched."""

    model_config = ConfigDict(extra="forbid")
    how: Literal["died", "moved_away", "other"]
    reason: changing.Reason


@router.post("/residents/{resident_id}/end")
async def end_resident(resident_id: Id, end: End, runtime: RuntimeDep, staff: StaffDep) -> Json:
    """A resident has died or moved away: watched no more. Their terminal is to be fetched; an SOS
    of it still calls the stewards."""

    def run(tx: Tx) -> Json:
        moving.end(tx, runtime.house, resident_id, end.how, who=staff.name, why=end.reason)
        return resident_json(tx.conn, resident_id, tx.now)

    return await changing.change(runtime, run)


class Move(BaseModel):
    """The door a resident lives behind now."""

    model_config = ConfigDict(extra="forbid")
    building: Annotated[int, Field(ge=1, le=MOST, description="its number")]
    flat: Annotated[str, Field(min_length=1, max_length=32)]
    reason: changing.Reason


@router.post("/residents/{resident_id}/move")
async def move_resident(
    resident_id: Id, move: Move, runtime: RuntimeDep, staff: StaffDep
) -> Json:
    """A resident moved to another flat. The ways into the old one are taken off the record."""
    await within(runtime, staff, building=move.building)

    def run(tx: Tx) -> Json:
        left = moving.move(
            tx, resident_id, move.building, move.flat, who=staff.name, why=move.reason
        )
        return {**resident_json(tx.conn, resident_id, tx.now), **left}

    return await changing.change(runtime, run)


class Handover(BaseModel):
    """Whose terminal it is now; null: nobody's."""

    model_config = ConfigDict(extra="forbid")
    resident_id: Id | None
    reason: changing.Reason


@router.post("/terminals/{terminal_id}/assign")
async def assign_terminal(
    terminal_id: Annotated[str, Path(pattern="^[a-z0-9-]{1,32}$")], handover: Handover,
    runtime: RuntimeDep, staff: StaffDep,
) -> Json:
    """Give a terminal to another resident, or to nobody; audited."""
    await within(runtime, staff, resident_id=handover.resident_id)

    def run(tx: Tx) -> Json:
        moving.assign_terminal(
            tx, runtime.house, terminal_id, handover.resident_id, who=staff.name,
            why=handover.reason,
        )
        return {"id": terminal_id, "resident_id": handover.resident_id}

    return await changing.change(runtime, run)


class Look(BaseModel):
    """Why somebody has to know the way in. In the body, because an address ends up in logs."""

    model_config = ConfigDict(extra="forbid")
    reason: Annotated[str, Field(min_length=3, max_length=200)]


@router.post("/residents/{resident_id}/access")
async def access(resident_id: Id, look: Look, runtime: RuntimeDep, staff: AccessDep) -> Json:
    """How to get in, and who holds a key. Needs a `reason`; every look is in the journal."""
    try:
        resident, holders = await runtime.database.write(
            lambda tx: acting.look_at_access(tx, resident_id, who=staff.name, why=look.reason)
        )
    except acting.Unknown as error:
        raise HTTPException(404, str(error)) from error
    return {
        "resident_id": resident_id,
        "name": resident["name"],
        "phone": resident["phone"],
        "access_notes": resident["access_notes"],
        "risks": resident["risks"],
        "key_holders": [
            {"name": h["name"], "phone": h["phone"], "where": h["key_place"]} for h in holders
        ],
    }


@router.get("/terminals")
async def terminals(runtime: RuntimeDep, staff: StaffDep) -> dict[str, list[Json]]:
    """Every terminal as it last spoke."""
    rows = await runtime.database.read(people.terminals)
    runtime.saw(staff.name, "terminals_listed")
    return {
        "terminals": [
            {
                "id": r["id"], "resident_id": r["resident_id"], "state": r["state"],
                "status": r["status"], "boot": r["boot"], "firmware": r["firmware"],
                "battery": r["battery"], "mains": r["mains"], "rssi": r["rssi"],
                "last_seen_ms": to_ms(r["last_seen_at"]) if r["last_seen_at"] else None,
                "key": {"version": r["key_v"], "coming": r["key_next"], "state": r["key_state"],
                        "since_ms": to_ms(r["key_at"]) if r["key_at"] else None},
            }
            for r in rows
            if staff.scope.shows(r["building_id"])
        ]
    }  # fmt: skip


@router.get("/quarantine")
async def quarantine(
    runtime: RuntimeDep, staff: RecordDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> dict[str, list[Json]]:
    """What could not be taken: topic, reason, how often, and the bytes as text where they are."""
    rows = await runtime.database.read(lambda c: signals.quarantined(c, limit))
    runtime.saw(staff.name, "quarantine_listed")
    return {
        "quarantine": [
            {
                "topic": r["topic"], "reason": r["reason"], "count": r["count"],
                "payload": bytes(r["payload"]).decode("utf-8", "replace"),
                "first_ms": to_ms(r["first_at"]), "last_ms": to_ms(r["last_at"]),
            }
            for r in rows
        ]
    }  # fmt: skip
