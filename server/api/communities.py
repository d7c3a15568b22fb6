"""The communities that an account has to do with, for whoever has to name one."""

from typing import Any

from fastapi import APIRouter

from server.api.answers import STAFF
from server.api.deps import RuntimeDep, StaffDep
from server.store import scopes
from server.store.people import CommunityFacts

router = APIRouter(prefix="/api/v1", tags=["register"], responses=STAFF)
Json = dict[str, Any]


@router.get("/communities")
async def communities(runtime: RuntimeDep, staff: StaffDep) -> dict[str, list[Json]]:
    """Those of which the asker sees a house, in the order of their registration. `whole`: the asker
    answers for it as a whole, with its desk, rota, rounds, address and hours."""
    found = await runtime.database.read(lambda c: scopes.seen(c, staff.scope))
    return {
        "communities": [
            {
                "id": row["id"], "series": row["series"], "name": row["name"],
                "street": row["street"], "district": row["district"],
                "zone": str(CommunityFacts(row).zone), "whole": staff.scope.answers_for(row["id"]),
            }
            for row in found
        ]
    }  # fmt: skip
