"""The addresses as staff edit them: what whoever calls 120 reads out."""

from collections.abc import Mapping

from sqlalchemy import RowMapping

from server.database import Tx
from server.service import history
from server.service.history import Via
from server.service.refusals import Refused, Unknown
from server.store import addresses, doors, journal, register


def set_community(
    tx: Tx, address: Mapping[str, str], *, who: str, why: str, via: str = Via.API,
    community_id: int | None = None,
) -> None:  # fmt: skip
    """A community's address (None: the first's) in both languages. Raises Refused without a
    community, or where the Chinese one is empty: 120 is called in Chinese."""
    row = register.community(tx.conn, community_id)
    if row is None:
        raise Refused("the register is empty; load a community first", zh="登记为空,请先导入社区。")
    if not address["zh"]:
        raise Refused("an address in Chinese is needed: it is read out to 120",
                      zh="请写中文地址:打120时要照着读。")  # fmt: skip
    addresses.save_community(tx.conn, row["id"], address)
    journal.note(tx, "address_set", address=dict(address), by=who, why=why)
    history.note(
        tx, f"community:{row['id']}", _changed(row, address), who=who, why=why, via=via
    )


def set_building(
    tx: Tx, number: int, address: Mapping[str, str], *, who: str, why: str, via: str = Via.API
) -> None:
    """A building's own address, where it stands on another road; empty in both languages: the
    community's again. Raises Unknown."""
    row = doors.building(tx.conn, number)
    if row is None:
        raise Unknown(f"there is no building {number}")
    addresses.save_building(tx.conn, row["id"], address)
    journal.note(
        tx, "address_set", building_id=row["id"], address=dict(address), by=who, why=why
    )
    history.note(tx, f"building:{row['id']}", _changed(row, address), who=who, why=why, via=via)


def _changed(row: RowMapping, address: Mapping[str, str]) -> dict[str, history.Change]:
    was = addresses.words(row)
    return {"address": (was["zh"], address["zh"]), "address_en": (was["en"], address["en"])}
