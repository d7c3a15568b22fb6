"""A rehearsal on a live system: a building in which nobody lives, with simulated terminals.

It stands in the register beside the real ones and goes through everything they go through. Its
messages go to the rehearsal list and to nobody else (`core.ladder.Roster`, `store.people.rosters`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from server.core.rounds import next_deadline
from server.core.words import Role
from server.database import Tx
from server.service import assigning
from server.service.refusals import Refused
from server.store import journal, people, rehearsals

LEAST_NUMBER = 900
"""Numbers from here on: nobody must look for a rehearsal's house in the street."""
MOST_FLATS = 200
RISK_CLASS = "C"


@dataclass(frozen=True, slots=True)
class Listed:
    """Somebody for the rehearsal list, by telephone (E.164)."""

    name: str
    phone: str
    lang: str = "zh"


def set_up(
    tx: Tx, *, building: int, flats: int, listed: Sequence[Listed], who: str, why: str
) -> list[str]:
    """A building of a rehearsal with so many simulated terminals, and who is told; returns the
    terminals' ids. Raises Refused for what must not be."""
    if building < LEAST_NUMBER or not 1 <= flats <= MOST_FLATS:
        raise Refused(
            f"a rehearsal's building has a number from {LEAST_NUMBER} and 1 to {MOST_FLATS} flats",
            zh=f"演练楼号从 {LEAST_NUMBER} 起,户数 1 至 {MOST_FLATS}。",
        )
    community = people.community(tx.conn)
    if community is None:
        raise Refused("the register is empty; load a community first", zh="登记表是空的。")
    for one in listed:
        assigning.assign(
            tx,
            assigning.Wanted(Role.REHEARSAL, name=one.name, phone=one.phone, lang=one.lang),
            who=who,
            why=why,
        )
    if not rehearsals.has_list(tx.conn):
        raise Refused("a rehearsal needs somebody on its list: give a name and a telephone",
                      zh="演练名单不能为空。")  # fmt: skip
    due_at = next_deadline(community.plans_of(RISK_CLASS), community.zone, tx.now)
    ids = rehearsals.add_building(
        tx.conn, community.id, building, flats, due_at, birth_date=date(1940, 1, 1),
        risk_class=RISK_CLASS,
    )  # fmt: skip
    if not ids:
        raise Refused(f"there is a building {building} already; take another number",
                      zh=f"{building}栋已经存在,请换一个号。")  # fmt: skip
    journal.note(tx, "rehearsal_set_up", terminals=len(ids), who=who, why=why)
    return ids
