"""A rehearsal on a live system: a building in which nobody lives, with simulated terminals.

It stands in the register beside the real ones and goes through everything they go through. Its
messages go to the rehearsal list and to nobody else (`core.ladder.Roster`, `store/rosters.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from server.core import alerts as core
from server.core.houses import SPAN, numbered, series, sign
from server.core.rounds import next_deadline
from server.core.words import Outcome, Role, TerminalState
from server.database import Tx
from server.service import acting, assigning, moving, terminals
from server.service.house import House
from server.service.refusals import Refused, Unknown
from server.store import communities, journal, rehearsals
from server.store.communities import CommunityFacts

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
    tx: Tx, *, building: int | None, flats: int, listed: Sequence[Listed], who: str, why: str,
    community: str = "",
) -> list[str]:
    """A building of a rehearsal with so many simulated terminals, and who is told; returns the
    terminals' ids. `building`: its number in the installation; None takes the next free one of the
    `community` of this name, without a name of the first. Raises Refused for what must not be."""
    facts = _community(tx, building, community)
    if building is None:
        least, below = (numbered(facts.series, n) for n in (LEAST_NUMBER, SPAN))
        building = rehearsals.next_number(tx.conn, least, below)
    if sign(building) < LEAST_NUMBER or not 1 <= flats <= MOST_FLATS:
        raise Refused(
            f"a rehearsal's building has a number from {LEAST_NUMBER} and 1 to {MOST_FLATS} flats",
            zh=f"演练楼号从 {LEAST_NUMBER} 起,户数 1 至 {MOST_FLATS}。",
        )
    for one in listed:
        assigning.assign(
            tx,
            assigning.Wanted(
                Role.REHEARSAL, name=one.name, phone=one.phone, lang=one.lang,
                community_id=facts.id,
            ),
            who=who,
            why=why,
        )
    if not rehearsals.listed(tx.conn, facts.id):
        raise Refused("a rehearsal needs somebody on its list: give a name and a telephone",
                      zh="演练名单不能为空。")  # fmt: skip
    due_at = next_deadline(facts.plans_of(RISK_CLASS), facts.zone, tx.now)
    ids = rehearsals.add_building(
        tx.conn, facts.id, building, flats, due_at, birth_date=date(1940, 1, 1),
        risk_class=RISK_CLASS,
    )  # fmt: skip
    if not ids:
        # Nor is a number of a rehearsal that has ended taken again: what its terminals say would be
        # taken for what those before them have said.
        raise Refused(f"there is or was a building {building} already; take another number",
                      zh=f"{building}栋已经用过,请换一个号。")  # fmt: skip
    journal.note(tx, "rehearsal_set_up", terminals=len(ids), by=who, why=why)
    return ids


def _community(tx: Tx, building: int | None, name: str) -> CommunityFacts:
    """Whose rehearsal it is. Raises Refused where that is nobody's."""
    known = communities.every(tx.conn)
    if not known:
        raise Refused("the register is empty; load a community first", zh="登记表是空的。")
    wanted = [
        facts for facts in known
        if name in ("", facts.name) and (building is None or facts.series == series(building))
    ]
    if not wanted:
        names = ", ".join(facts.name for facts in known)
        raise Refused(f"no community is called {name!r} and has a building {building} (there are: "
                      f"{names})", zh=f"没有这个社区或楼号。现有:{names}。")  # fmt: skip
    return wanted[0]


@dataclass(frozen=True, slots=True)
class Ended:
    """What the end of a rehearsal took away, and what it found and left alone."""

    building: int
    alerts: int
    residents: int
    terminals: tuple[str, ...]
    listed: int
    """How many came off the rehearsal list, which goes with its community's last rehearsal."""
    real: tuple[str, ...]
    """Real terminals that stand in its building by mistake: each wants a resident."""


def end(
    tx: Tx, house: House, *, building: int, outcome: Outcome, who: str, why: str
) -> Ended:
    """Close a rehearsal's alerts by a person's word, end its residents, revoke its terminals. The
    building stays as what it was, for whoever reads its alerts. Whatever is real stays untouched.

    Raises Unknown where no rehearsal runs, or Refused (and nothing is changed) where a simulated
    terminal was given to a real resident whose SOS is open.
    """
    running = rehearsals.running(tx.conn)
    if building not in running:
        known = ", ".join(str(n) for n in sorted(running)) or "none runs"
        raise Unknown(f"no rehearsal runs in building {building} (running: {known})")
    building_id, community_id = running[building]["id"], running[building]["community_id"]
    actor = acting.operator(who)
    alerts = rehearsals.open_alerts(tx.conn, building_id)
    for alert_id in alerts:
        acting.act(tx, house, alert_id, core.Resolve(actor, outcome, why), actor)
    found = rehearsals.terminals(tx.conn, building_id, building)
    simulated = tuple(row["id"] for row in found if row["simulated"])
    for terminal in simulated:
        terminals.set_state(tx, house, terminal, TerminalState.REVOKED, who=who, why=why)
    residents = rehearsals.residents(tx.conn, building_id)
    for resident_id in residents:
        moving.end(tx, house, resident_id, "other", who=who, why=why)
    last = sum(row["community_id"] == community_id for row in running.values()) == 1
    listed = rehearsals.listed(tx.conn, community_id) if last else []
    for assignment_id in listed:
        assigning.remove(tx, assignment_id, who=who, why=why)
    ended = Ended(
        building, len(alerts), len(residents), simulated, len(listed),
        tuple(row["id"] for row in found if not row["simulated"]),
    )  # fmt: skip
    journal.note(
        tx, "rehearsal_ended", building_id=building_id, alerts=ended.alerts,
        residents=ended.residents, terminals=len(simulated), by=who, why=why,
    )  # fmt: skip
    return ended
