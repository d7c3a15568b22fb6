"""Alerts: look, accept, arrive, resolve, escalate."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from server import views
from server.api.answers import STAFF
from server.api.deps import ActDep, Principal, RuntimeDep, StaffDep
from server.api.refusals import Refusal
from server.core import alerts as core
from server.core.access import Right
from server.core.numbers import MOST
from server.database import Tx
from server.runtime import Runtime
from server.service import acting
from server.store import alerts, wall

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"], responses=STAFF)
Card = dict[str, Any]
Id = Annotated[int, Field(ge=1, le=MOST)]


class Act(BaseModel):
    """An act on an alert. `as_person_id`: done by this contact (who phoned the desk, say); else by
    whoever is logged in."""

    model_config = ConfigDict(extra="forbid")
    as_person_id: Id | None = None
    outcome: Annotated[str, Field(max_length=32)] | None = None
    note: Annotated[str, Field(max_length=500)] = ""
    item_resident_id: Id | None = None


class AlertList(BaseModel):
    """Alerts by id; ask on with `after` = the last id."""

    alerts: list[Card]


@router.get("")
async def list_alerts(
    runtime: RuntimeDep,
    staff: StaffDep,
    state: Literal["open", "accepted", "on_scene", "resolved", "unresolved"] | None = None,
    kind: Literal["sos", "missed", "fault"] | None = None,
    building: Annotated[int | None, Query(ge=1, le=MOST, description="its number")] = None,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> AlertList:
    """Alerts by state, kind and building number."""
    now = runtime.clock.now()

    def find(conn: Any) -> list[Card]:
        ids, common = staff.scope.buildings, True
        if building is not None:
            common = False
            ids = frozenset(
                b["id"] for b in wall.buildings(conn)
                if b["number"] == building and staff.scope.shows(b["id"])
            )  # fmt: skip
        found = alerts.search(
            conn, state=state, kind=kind, building_ids=ids, common=common, after=after, limit=limit
        )
        cards = views.Cards(conn, found, now, staff.scope).cards
        return sorted(cards, key=lambda c: int(c["id"]))

    listed = await runtime.database.read(find)
    runtime.saw(staff.name, "alerts_listed", building=building)
    return AlertList(alerts=listed)


@router.get("/{alert_id}")
async def get_alert(alert_id: Id, runtime: RuntimeDep, staff: StaffDep) -> Card:
    """One alert with its timeline, and its ladder with what comes next. Whole telephone numbers
    with the right `act` alone."""
    found = await runtime.feed.alert(
        alert_id, numbers=Right.ACT in staff.rights, scope=staff.scope
    )
    if found is None:
        raise HTTPException(404, f"there is no alert {alert_id}")
    runtime.saw(staff.name, "alert_looked_at", alert_id=alert_id)
    return found


async def _act(
    runtime: Runtime, principal: Principal, alert_id: int, verb: str, act: Act
) -> Card:
    def run(tx: Tx) -> Card:
        stored = acting.load(tx, runtime.house, alert_id)
        actor = (
            acting.actor_for(tx, stored, act.as_person_id)
            if act.as_person_id is not None
            else acting.operator(principal.name)
        )
        saved = acting.act(tx, runtime.house, alert_id, _event(verb, actor, act), actor)
        return views.Cards(tx.conn, [saved], tx.now, principal.scope).cards[0]

    try:
        return await runtime.database.write(run, urgent=True)
    except acting.Unknown as error:
        raise HTTPException(404, str(error)) from error
    except acting.Refused as error:
        raise Refusal(error) from error


def _event(verb: str, actor: core.Actor, act: Act) -> core.Event:
    match verb:
        case "accept":
            return core.Accept(actor)
        case "on-scene":
            return core.Arrive(actor)
        case "escalate":
            return core.Escalate(actor)
        case _:
            outcome = acting.outcome_of(act.outcome)
            if act.item_resident_id is not None:
                return core.SettleItem(act.item_resident_id, outcome, actor)
            return core.Resolve(actor, outcome, act.note)


@router.post("/{alert_id}/accept")
async def accept(alert_id: Id, act: Act, runtime: RuntimeDep, staff: ActDep) -> Card:
    """Somebody goes. The terminal says so; the ladder waits for eight minutes."""
    return await _act(runtime, staff, alert_id, "accept", act)


@router.post("/{alert_id}/on-scene")
async def on_scene(alert_id: Id, act: Act, runtime: RuntimeDep, staff: ActDep) -> Card:
    """Somebody is at the door."""
    return await _act(runtime, staff, alert_id, "on-scene", act)


@router.post("/{alert_id}/resolve")
async def resolve(alert_id: Id, act: Act, runtime: RuntimeDep, staff: ActDep) -> Card:
    """How it ended: `outcome` is required. With `item_resident_id`, for one flat of a worklist."""
    return await _act(runtime, staff, alert_id, "resolve", act)


@router.post("/{alert_id}/escalate")
async def escalate(alert_id: Id, act: Act, runtime: RuntimeDep, staff: ActDep) -> Card:
    """Take the ladder's next step now."""
    return await _act(runtime, staff, alert_id, "escalate", act)
