"""Residents and terminals; the way into a home only with a reason, and logged."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, RowMapping

from server.api.deps import RuntimeDep, StaffDep
from server.core.risk import RiskClass, age_on
from server.database import Tx
from server.service import acting, classing
from server.store import people, signals
from server.tables import to_ms

router = APIRouter(prefix="/api/v1", tags=["register"])
Json = dict[str, Any]
Id = Annotated[int, Field(ge=1, le=2**53)]


class ResidentChange(BaseModel):
    """What staff may overrule. `risk_class` null: what the rule says."""

    model_config = ConfigDict(extra="forbid")
    risk_class: RiskClass | None
    reason: Annotated[str, Field(min_length=3, max_length=200)]


def _resident(r: RowMapping, now: datetime) -> Json:
    return {
        "id": r["id"], "name": r["name"], "age": age_on(r["birth_date"], now.date()),
        "living": r["living"], "state": r["state"], "risk_class": r["risk_class"],
        "risk_class_by_rule": classing.by_rule(r, now),
        "building": r["building_number"], "flat": r["label"], "floor": r["floor"],
        "flat_id": r["flat_id"], "terminal_id": r["terminal_id"],
        "next_due_ms": to_ms(r["next_due_at"]) if r["next_due_at"] else None,
        "last_sign_ms": to_ms(r["last_sign_at"]) if r["last_sign_at"] else None,
        "absent_until_ms": to_ms(r["absent_until"]) if r["absent_until"] else None,
    }  # fmt: skip


def resident_json(conn: Connection, resident_id: int, now: datetime) -> Json:
    """One resident (who must exist) as the list shows them."""
    (row,) = people.residents(conn, resident_id=resident_id)[:1]
    return _resident(row, now)


@router.get("/residents")
async def residents(
    runtime: RuntimeDep,
    _staff: StaffDep,
    building: Annotated[int | None, Query(ge=1, le=99_999, description="its number")] = None,
) -> dict[str, list[Json]]:
    """Who is watched, with door, terminal and next deadline. No access notes here."""
    rows = await runtime.database.read(lambda c: people.residents(c, building))
    now = runtime.clock.now()
    return {"residents": [_resident(r, now) for r in rows]}


@router.patch("/residents/{resident_id}")
async def change_resident(
    resident_id: Id, change: ResidentChange, runtime: RuntimeDep, staff: StaffDep
) -> Json:
    """Overrule the risk class, with a reason; journalled."""

    def run(tx: Tx) -> Json:
        classing.set_class(
            tx, resident_id, change.risk_class, who=staff.name, why=change.reason
        )
        return resident_json(tx.conn, resident_id, tx.now)

    try:
        return await runtime.database.write(run)
    except acting.Unknown as error:
        raise HTTPException(404, str(error)) from error


@router.get("/residents/{resident_id}/access")
async def access(
    resident_id: Id,
    runtime: RuntimeDep,
    staff: StaffDep,
    reason: Annotated[str, Query(min_length=3, max_length=200)],
) -> Json:
    """How to get in, and who holds a key. Needs a `reason`; every look is in the journal."""
    try:
        resident, holders = await runtime.database.write(
            lambda tx: acting.look_at_access(tx, resident_id, who=staff.name, why=reason)
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
async def terminals(runtime: RuntimeDep, _staff: StaffDep) -> dict[str, list[Json]]:
    """Every terminal as it last spoke."""
    rows = await runtime.database.read(people.terminals)
    return {
        "terminals": [
            {
                "id": r["id"], "resident_id": r["resident_id"], "state": r["state"],
                "status": r["status"], "boot": r["boot"], "firmware": r["firmware"],
                "battery": r["battery"], "mains": r["mains"], "rssi": r["rssi"],
                "last_seen_ms": to_ms(r["last_seen_at"]) if r["last_seen_at"] else None,
            }
            for r in rows
        ]
    }  # fmt: skip


@router.get("/quarantine")
async def quarantine(
    runtime: RuntimeDep, _staff: StaffDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> dict[str, list[Json]]:
    """What could not be taken: topic, reason, how often, and the bytes as text where they are."""
    rows = await runtime.database.read(lambda c: signals.quarantined(c, limit))
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
