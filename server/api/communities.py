"""The communities of the installation: which there are, one that is new, and what one is called."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from server.api.answers import STAFF
from server.api.changing import Reason, change
from server.api.deps import Principal, RuntimeDep, StaffDep, needs
from server.core.access import Right
from server.core.numbers import MOST
from server.database import Tx
from server.runtime import Runtime
from server.service.history import Via
from server.service.register import naming
from server.service.register.forms import Misfit, Said
from server.store import scopes
from server.store.communities import CommunityFacts

router = APIRouter(prefix="/api/v1", tags=["register"], responses=STAFF)
Json = dict[str, Any]
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)]
WideDep = Annotated[Principal, Depends(needs(Right.REGISTER, wide=True))]
"""Whoever answers for more than one building; for which communities, the use-case asks."""


class Names(BaseModel):
    """What a community, its street and its district are called; the latter two may have no name."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[Name, Field(min_length=1)]
    street: Name = ""
    district: Name = ""
    reason: Reason

    def said(self, who: str) -> Said:
        """Who says so, and why."""
        return Said(who, self.reason, Via.API)

    def named(self) -> dict[str, str]:
        """The names alone."""
        return {"name": self.name, "street": self.street, "district": self.district}


@router.get("/communities")
async def read_communities(runtime: RuntimeDep, staff: StaffDep) -> dict[str, list[Json]]:
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


@router.post("/communities", status_code=201)
async def add_community(names: Names, runtime: RuntimeDep, staff: WideDep) -> Json:
    """Register a community without houses yet, with the built-in rounds and zone. For accounts of
    the whole installation, or of the street or district that it lies in."""

    def run(tx: Tx) -> int:
        return naming.add(tx, names.named(), said=names.said(staff.name), scope=staff.scope)

    made = await _kept(runtime, run)
    return {"id": made, **names.named()}


@router.patch("/communities/{community_id}")
async def name_community(
    community_id: Annotated[int, Field(ge=1, le=MOST)], names: Names, runtime: RuntimeDep,
    staff: WideDep,
) -> Json:
    """Call a community, its street and its district so. Accounts of a street or district find
    their houses by these names."""

    def run(tx: Tx) -> int:
        naming.name(
            tx, names.named(), seen=MOST, said=names.said(staff.name), community_id=community_id,
            scope=staff.scope,
        )  # fmt: skip
        return community_id

    return {"id": await _kept(runtime, run), **names.named()}


async def _kept(runtime: Runtime, run: Any) -> int:
    try:
        return int(await change(runtime, run))
    except Misfit as wrong:
        raise HTTPException(422, str(wrong)) from wrong
