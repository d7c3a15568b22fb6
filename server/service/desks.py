"""What ails the desks and their ladders, for staff to see while it does: nobody on duty, a hole in
the rota, rounds that can't be read, a ladder file, notes or a register that can't be.

A desk is its community's. The first community's faults have the names that they always had; those
of the others have its series in the subject and its name in the words.

Asked at every ring. Where there are many communities each ring looks at a few of them, by turns.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping

from server.core import rota
from server.core.words import Fault
from server.database import Tx
from server.service import raising, shifts, unreadable
from server.service.house import House
from server.store import alerts, clocks, rosters

FILE, NOTES, REGISTER, DUTY, ROTA, ROUNDS = "file", "notes", "register", "duty", "rota", "rounds"
OF_ALL = {
    FILE: Fault.LADDER_BROKEN,  # it can't be used; its last good edition is
    NOTES: Fault.NOTES_LOCKED,  # no ladder needs them, whoever goes to the door does
    REGISTER: Fault.REGISTER_BROKEN,  # whose shift or absence can't be read is called
}
OF_A_DESK = {
    DUTY: Fault.LADDER_BROKEN,  # nobody at all stands at the ladders' end
    ROTA: Fault.ROTA_GAP,
    ROUNDS: Fault.ROUNDS_BROKEN,
}
FEW = 8
"""So many communities are looked at in every ring."""
RINGS = 100
"""Of more, each is looked at once in at most so many rings: within two minutes."""
LEAST = 4
"""So many at least of more: a turn costs the asking rather than the desks."""


class Look(NamedTuple):
    """What one ring looks at. `register`: the rows of everybody's shifts and absences as well,
    which are of no community in particular, once a turn."""

    desks: tuple[clocks.Desk, ...]
    register: bool


def look(conn: Connection, house: House, communities: int) -> Look:
    """Whose turn it is (`House.ring`), of so many `communities`."""
    if communities <= FEW:
        return Look(clocks.desks(conn, 0, communities), register=communities > 0)
    at_once = max(LEAST, -(-communities // RINGS))
    turn = house.ring.number % -(-communities // at_once)
    return Look(clocks.desks(conn, turn * at_once, at_once), register=turn == 0)


def differ(conn: Connection, house: House, now: datetime, looked: Look) -> bool:
    """Whether staff are shown anything else than what is found."""
    return _found(conn, house, now, looked) != _standing(conn, looked)


def show(tx: Tx, house: House, looked: Look) -> None:
    """Open the faults that are found and not shown, and end those that are over."""
    found, standing = _found(tx.conn, house, tx.now, looked), _standing(tx.conn, looked)
    of = dict(_about(looked))
    for about, said in standing.items():
        if found.get(about) != said:
            raising.fault_over(tx, house, of[about], [about])
    for about, detail in found.items():
        if standing.get(about) != detail:
            raising.fault(tx, house, of[about], about, detail=detail)


def _about(looked: Look) -> Iterator[tuple[str, Fault]]:
    """What can be found in this look: what a fault is about, and its kind."""
    for what, fault in OF_ALL.items():
        if looked.register or what != REGISTER:
            yield what, fault
    for desk, (what, fault) in itertools.product(looked.desks, OF_A_DESK.items()):
        yield _of(desk, what), fault


def _of(desk: clocks.Desk, what: str) -> str:
    return f"{what}:{desk.series}" if desk.series else what


def _found(conn: Connection, house: House, now: datetime, looked: Look) -> dict[str, str]:
    """What ails the ladders and rounds: about → detail."""
    found = {}
    if problems := house.ladder_file.problems:
        found[FILE] = problems[0]
    if locked := house.vault.problem:
        found[NOTES] = locked
    if not looked.desks:
        return found
    duty = rosters.duty(conn, [desk.id for desk in looked.desks])
    # When the register is looked at, everybody's, once for both.
    of = None if looked.register else {row["person_id"] for row in duty}
    own, spoilt = rosters.rota_as_read(conn, of)
    for desk, what, detail in _of_the_desks(now, looked.desks, duty, own):
        found[_of(desk, what)] = f"{desk.name}: {detail}" if desk.series else detail
    if looked.register and (problem := unreadable.of_the_desks(conn, spoilt)):
        found[REGISTER] = problem
    return found


def _of_the_desks(
    now: datetime, desks: Sequence[clocks.Desk], duty: Sequence[RowMapping],
    own: Mapping[int, tuple[rota.Shift, ...]],
) -> Iterator[tuple[clocks.Desk, str, str]]:  # fmt: skip
    """What ails these desks: by who has the duty, and their shifts."""
    behind: defaultdict[int, list[RowMapping]] = defaultdict(list)
    for row in duty:
        behind[row["community_id"]].append(row)
    for desk in desks:
        standing = behind[desk.id]
        if not any(there(row, now) for row in standing):
            yield desk, DUTY, "nobody stands on duty: no ladder has a human at its end; add one"
        elif gap := shifts.first_gap(standing, own, desk.clock.zone, now):
            yield desk, ROTA, gap
        if desk.clock.problems:
            yield desk, ROUNDS, desk.clock.problems[0]


def there(row: RowMapping, now: datetime) -> bool:
    """Whether somebody with the duty is neither opted out nor away. Whose absence can't be read is
    there."""
    away = row["absent_until"] is not None and row["absent_until"] > now
    return row["opted_out_at"] is None and not away


def _standing(conn: Connection, looked: Look) -> dict[str, str]:
    """What staff are shown of it: about → detail."""
    subjects = {raising.subject(fault, about): about for about, fault in _about(looked)}
    found = alerts.open_by_subject(conn, list(subjects))
    return {subjects[s]: stored.row["detail"] for s, stored in found.items()}
