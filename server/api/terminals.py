"""Terminals: enrolled in batches, lost, revoked, swapped. Each with a reason, journalled."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from server.api.answers import STAFF
from server.api.changing import Reason, change
from server.api.deps import RuntimeDep, StaffDep, WideDep, within
from server.core.words import TerminalState
from server.database import Tx
from server.service import device_keys, terminals

router = APIRouter(prefix="/api/v1", tags=["register"], responses=STAFF)
Json = dict[str, Any]
TerminalId = Annotated[str, Field(pattern="^[a-z0-9-]{1,32}$")]
InPath = Annotated[str, Path(pattern="^[a-z0-9-]{1,32}$")]


class Batch(BaseModel):
    """New terminals by their ids, as they stand on the devices."""

    model_config = ConfigDict(extra="forbid")
    ids: Annotated[list[TerminalId], Field(min_length=1, max_length=terminals.MOST_AT_ONCE)]
    reason: Reason


@router.post("/terminals/enrol")
async def enrol(batch: Batch, runtime: RuntimeDep, staff: WideDep) -> Json:
    """Register terminals that are nobody's yet. Sent again it changes nothing."""

    def run(tx: Tx) -> Json:
        return {"new": terminals.enrol(tx, batch.ids, who=staff.name, why=batch.reason)}

    return await change(runtime, run)


class NewState(BaseModel):
    """What a terminal shall be: `active`, `lost` or `revoked`."""

    model_config = ConfigDict(extra="forbid")
    state: TerminalState
    reason: Reason


@router.post("/terminals/{terminal_id}/state")
async def set_state(
    terminal_id: InPath, wanted: NewState, runtime: RuntimeDep, staff: StaffDep
) -> Json:
    """A terminal is lost, revoked, or back in service; it is nobody's then. One that is nobody's
    already is not for the account of one building."""

    def run(tx: Tx) -> Json:
        terminals.demand_scope(tx, staff.scope, terminal_id)
        terminals.set_state(
            tx, runtime.house, terminal_id, wanted.state, who=staff.name, why=wanted.reason
        )
        return {"id": terminal_id, "state": wanted.state.value}

    return await change(runtime, run)


class Swap(BaseModel):
    """The terminal that takes another's place."""

    model_config = ConfigDict(extra="forbid")
    new: TerminalId
    reason: Reason


@router.post("/terminals/{terminal_id}/swap")
async def swap(terminal_id: InPath, wanted: Swap, runtime: RuntimeDep, staff: StaffDep) -> Json:
    """Give the resident another terminal and revoke this one, in one step."""
    await within(runtime, staff, terminal_id=wanted.new)

    def run(tx: Tx) -> Json:
        whose = terminals.swap(
            tx, runtime.house, terminal_id, wanted.new, who=staff.name, why=wanted.reason
        )
        return {"id": wanted.new, "resident_id": whose, "revoked": terminal_id}

    return await change(runtime, run)


class Why(BaseModel):
    """Why its password is changed."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason


@router.post("/terminals/{terminal_id}/key")
async def change_key(
    terminal_id: InPath, wanted: Why, runtime: RuntimeDep, staff: StaffDep
) -> Json:
    """Give the terminal another password for the broker, over the air. One that is nobody's is not
    for the account of one building."""

    def run(tx: Tx) -> Json:
        terminals.demand_scope(tx, staff.scope, terminal_id)
        version = device_keys.offer(
            tx, runtime.house, terminal_id, who=staff.name, why=wanted.reason
        )
        return {"id": terminal_id, "version": version}

    return await change(runtime, run)
