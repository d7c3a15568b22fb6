"""The ladder explained: who would be told, when, how."""

from datetime import UTC
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query

from server.api.answers import STAFF
from server.api.deps import RuntimeDep, StaffDep
from server.api.instants import Instant
from server.core.words import Kind
from server.service.acting import Unknown
from server.service.explaining import explain

router = APIRouter(prefix="/api/v1/ladder", tags=["ladder"], responses=STAFF)


@router.get("/explain")
async def explain_ladder(
    runtime: RuntimeDep,
    staff: StaffDep,
    resident: Annotated[str, Query(min_length=1, max_length=32, description="id, or terminal")],
    at: Annotated[Instant | None, Query(description="ISO instant; now without it")] = None,
    kind: Literal["sos", "missed"] = "sos",
) -> dict[str, Any]:
    """Who would be told of this resident at that time, step by step, and who is passed over."""
    when = (at or runtime.clock.now()).astimezone(UTC)
    try:
        found = await runtime.database.read(
            lambda c: explain(c, runtime.house, resident, when, Kind(kind))
        )
    except Unknown as error:
        raise HTTPException(404, str(error)) from error
    runtime.saw(staff.name, "ladder_explained", resident=resident)
    return found
