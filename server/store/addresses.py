"""Where the houses stand in the city: what is read out to 120 and to the offices far away."""

from collections.abc import Mapping

from sqlalchemy import Connection, RowMapping, select, update

from server import tables as t
from server.core.emergency import street

COMMUNITY, BUILDING = t.table(t.Community), t.table(t.Building)


def words(row: RowMapping | None) -> dict[str, str]:
    """The address of a row of `community` or `building` in both languages."""
    return {"zh": row["address"], "en": row["address_en"]} if row else {"zh": "", "en": ""}


_HOUSES = select(
    BUILDING.c.id, BUILDING.c.address, BUILDING.c.address_en,
    COMMUNITY.c.address.label("common"), COMMUNITY.c.address_en.label("common_en"),
).join(COMMUNITY, COMMUNITY.c.id == BUILDING.c.community_id)  # fmt: skip


def _street(row: RowMapping) -> dict[str, str]:
    return street({"zh": row["common"], "en": row["common_en"]}, words(row))


def buildings(conn: Connection) -> dict[int, dict[str, str]]:
    """Building id → its address in both languages: its own, or its community's."""
    return {row["id"]: _street(row) for row in conn.execute(_HOUSES).mappings()}


def building(conn: Connection, building_id: int) -> dict[str, str]:
    """The address of one building (which must exist) in both languages."""
    found = conn.execute(_HOUSES.where(BUILDING.c.id == building_id)).mappings().one()
    return _street(found)


def own(conn: Connection) -> list[RowMapping]:
    """The buildings that have an address of their own, by number."""
    query = select(BUILDING).where((BUILDING.c.address != "") | (BUILDING.c.address_en != ""))
    return list(conn.execute(query.order_by(BUILDING.c.number)).mappings())


def save_community(conn: Connection, community_id: int, address: Mapping[str, str]) -> None:
    """Replace the community's address."""
    values = {"address": address["zh"], "address_en": address["en"]}
    conn.execute(update(COMMUNITY).where(COMMUNITY.c.id == community_id).values(values))


def save_building(conn: Connection, building_id: int, address: Mapping[str, str]) -> None:
    """Replace a building's own address; empty: its community's."""
    values = {"address": address["zh"], "address_en": address["en"]}
    conn.execute(update(BUILDING).where(BUILDING.c.id == building_id).values(values))
