"""Where the houses stand in the city, as it is read out to 120."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection

from server.api.answers import STAFF
from server.api.changing import Reason, change
from server.api.deps import (
    CommonDep,
    CommunityDep,
    RuntimeDep,
    SeenCommunityDep,
    StaffDep,
)
from server.core.numbers import MOST
from server.database import Tx
from server.service import addressing
from server.store import addresses, doors, register

router = APIRouter(prefix="/api/v1", tags=["register"], responses=STAFF)
Json = dict[str, Any]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class AddressChange(BaseModel):
    """Province, city, district, road and number, and the gate an ambulance takes; on one line."""

    model_config = ConfigDict(extra="forbid")
    address: Line
    address_en: Line = ""
    reason: Reason


def _addresses(conn: Connection, community: int | None) -> Json:
    row = register.community(conn, community) if community is not None else None
    return {
        "community": {"name": row["name"], **_words(addresses.words(row))} if row else None,
        "buildings": [
            {"number": b["number"], **_words(addresses.words(b))}
            for b in addresses.own(conn) if b["community_id"] == community
        ],
    }  # fmt: skip


def _words(address: dict[str, str]) -> Json:
    return {"address": address["zh"], "address_en": address["en"]}


@router.get("/addresses")
async def read_addresses(
    runtime: RuntimeDep, _staff: StaffDep, community: SeenCommunityDep
) -> Json:
    """A community's address, and those of its buildings that have another."""
    return await runtime.database.read(lambda c: _addresses(c, community))


@router.put("/addresses")
async def change_address(
    change_: AddressChange, runtime: RuntimeDep, staff: CommonDep, community: CommunityDep
) -> Json:
    """Replace a community's address."""

    def run(tx: Tx) -> Json:
        words = {"zh": change_.address, "en": change_.address_en}
        addressing.set_community(
            tx, words, who=staff.name, why=change_.reason, community_id=community
        )
        return _addresses(tx.conn, community)

    return await change(runtime, run)


@router.put("/addresses/{building}")
async def change_building_address(
    building: Annotated[int, Field(ge=1, le=MOST, description="its number")],
    change_: AddressChange,
    runtime: RuntimeDep,
    staff: StaffDep,
) -> Json:
    """Replace the address of one building; empty: its community's."""

    def run(tx: Tx) -> Json:
        words = {"zh": change_.address, "en": change_.address_en}
        addressing.set_building(tx, building, words, who=staff.name, why=change_.reason)
        row = doors.building(tx.conn, building)
        return _addresses(tx.conn, row["community_id"] if row is not None else None)

    return await change(runtime, run)
