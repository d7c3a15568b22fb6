"""Rows of the register that can't be read. Whoever they are about is told and watched all the same
(a shift that can't be read: always on duty; an absence: there; a class: every round is owed); staff
see which row it is, and enter it anew."""

from collections.abc import Collection

from sqlalchemy import Connection

from server.core import rounds
from server.core.words import Fault
from server.database import Tx
from server.service import raising
from server.service.house import House
from server.store import alerts, signals, unreadable
from server.store.communities import CommunityFacts

WHAT = Fault.REGISTER_BROKEN


def resident(tx: Tx, house: House, resident_id: int, building_id: int | None, what: str) -> None:
    """Staff see that `what` of a resident's row can't be read."""
    raising.fault(
        tx, house, WHAT, f"resident:{resident_id}", building_id=building_id,
        resident_id=resident_id, detail=what,
    )  # fmt: skip


def of_the_desks(conn: Connection, shifts: Collection[int]) -> str | None:
    """What can't be read of the rota, or None. Asked at every ring. `shifts`: whose can't be."""
    found = [f"shift of person {p}" for p in shifts]
    found += [f"absence of person {p}" for p in unreadable.absences_of_desks(conn)]
    return ", ".join(found) or None


def look(
    tx: Tx, house: House, opening: rounds.Occurrence, community: CommunityFacts
) -> None:
    """Once a round of a community, as it opens: find such rows of its houses, and close what is
    mended. Whose deadline can't be read would never be missed, so they are awaited in this round.
    Those who stand by houses and residents are looked at with the first community's."""
    about = set()
    for row in unreadable.residents(tx.conn, community.id):
        about.add(f"resident:{row['id']}")
        resident(tx, house, row["id"], row["building_id"], row["what"])
        if row["lost"]:
            signals.set_next_due(tx.conn, [row["id"]], opening.deadline)
    first = community.series == 0
    for person_id in unreadable.absences(tx.conn) if first else ():
        about.add(f"person:{person_id}")
        raising.fault(tx, house, WHAT, f"person:{person_id}", detail="absent_until")
    standing = _standing_in(tx, community.id)
    if first:
        standing |= _standing(tx, "person:").keys()
    raising.fault_over(tx, house, WHAT, sorted(standing - about))


def _standing(tx: Tx, kind: str) -> dict[str, int | None]:
    """What such faults are about, and the building of each."""
    prefix = raising.subject(WHAT, "")
    found = {
        f["subject"].removeprefix(prefix): f["building_id"]
        for f in alerts.open_faults(tx.conn, [WHAT])
    }
    return {about: building for about, building in found.items() if about.startswith(kind)}


def _standing_in(tx: Tx, community_id: int) -> set[str]:
    """Those about residents of this community."""
    found = _standing(tx, "resident:")
    buildings = {building for building in found.values() if building is not None}
    theirs = unreadable.houses_of(tx.conn, community_id, buildings) if buildings else set()
    return {about for about, building in found.items() if building in theirs}
