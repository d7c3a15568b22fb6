"""Silent and dark terminals: each a fault of its own, or many of them one fault of their building
or area (server/core/parents.py).

1. Some are due to be judged. How many of their neighbours are in the same trouble?
2. A parent that stands explains them; a new one is opened when they are many, and takes over the
   faults that were opened before it was seen.
3. When most are back the parent ends. Whoever is still in trouble is judged again a little later,
   and then stands alone.

A bridge that other makers' buttons hang on is a parent of its own kind: one terminal, which says of
itself that it is there, and on which they say that they hang (`terminal.via`). While it is lost
their silence says nothing.

All of it is in the database, so that it outlives a restart. It knows nothing of presses: a parent
never hides an SOS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, assert_never

from sqlalchemy import Connection, RowMapping

from server.core import parents as core
from server.core.parents import Because, Counts
from server.core.words import Fault, Outcome
from server.database import Tx
from server.service import raising
from server.service.house import House
from server.store import alerts, devices, journal, rosters, signals
from server.store import sight as sights

TOGETHER_WITHIN = timedelta(minutes=30)
"""Trouble of the same cause shows within this: two heartbeats of fifteen minutes."""
MAINS_WAIT = timedelta(seconds=60)
"""A loss of mains is judged so long after it was told: its neighbours may tell of theirs. (By the
clock people live by, as all three: it is their power, not our machinery.)"""
AFTER_PARENT = timedelta(minutes=10)
"""So long after the parent is mended may a child take to come back by itself."""
BRIDGE_DOUBT = timedelta(seconds=120)
"""A bridge that must be heard within this, or its grace after a will ends, is judged before those
that hang on it."""
NAMED = 10
"""So many of a bridge's terminals stand in its fault by name."""
AREA = "all"
OUTAGES = 8
"""The newest of our own times of blindness; a round that is judged fell into one of these or none.
"""


class Trouble(Enum):
    """What is shared. Each value: the fault of one flat, of a building, of the area."""

    NETWORK = (Fault.OFFLINE, Fault.BUILDING_NETWORK, Fault.AREA_NETWORK)
    POWER = (Fault.MAINS_LOST, Fault.BUILDING_POWER, Fault.AREA_POWER)

    @property
    def own(self) -> Fault:
        """The fault of one terminal."""
        return self.value[0]

    @property
    def building(self) -> Fault:
        """The fault of a building."""
        return self.value[1]

    @property
    def area(self) -> Fault:
        """The fault of everything around."""
        return self.value[2]


PARENTS = tuple(f for trouble in Trouble for f in (trouble.building, trouble.area))


@dataclass(frozen=True, slots=True)
class _Standing:
    """The parents that are open now, by what explains which trouble."""

    rows: Sequence[RowMapping]

    def area(self, trouble: Trouble) -> Fault | None:
        """The open fault of the area that explains this trouble."""
        found = {r["fault"] for r in self.rows}
        return next((f for f in self._causes(trouble, "area") if f.value in found), None)

    def building(self, trouble: Trouble, building_id: int) -> Fault | None:
        """The open fault of this building that explains this trouble."""
        found = {r["fault"] for r in self.rows if r["building_id"] == building_id}
        return next((f for f in self._causes(trouble, "building") if f.value in found), None)

    @staticmethod
    def _causes(trouble: Trouble, level: str) -> tuple[Fault, ...]:
        # Without power a terminal falls silent in the end; without network it keeps its power.
        causes = (trouble, Trouble.POWER) if trouble is Trouble.NETWORK else (trouble,)
        return tuple(getattr(c, level) for c in causes)


def silent(tx: Tx, house: House, limit: int) -> int:
    """Judge up to `limit` terminals whose heartbeat is overdue; returns how many."""
    due = signals.devices_overdue(tx.conn, tx.now, limit)
    judged = _without_doubt(tx, due)
    if judged:
        devices.lost(tx.conn, [r["id"] for r in judged], tx.now)
        vias = {r["via"] for r in judged if r["via"] not in ("", r["id"])}
        there = devices.bridges(tx.conn, vias)
        gone = {bridge for bridge, (status, _) in there.items() if status == "lost"}
        behind = [r for r in judged if r["via"] in gone and r["via"] != r["id"]]
        _note_explained(tx, Trouble.NETWORK, [(r, Fault.OFFLINE) for r in behind])
        alone = [r for r in judged if r not in behind]
        _judge(tx, house, Trouble.NETWORK, alone)
    return len(due)


def _without_doubt(tx: Tx, due: Sequence[RowMapping]) -> list[RowMapping]:
    """Those that can be judged now. Whoever hangs on a bridge that is about to be judged itself
    waits for that: a moment later it is known to be lost, or there."""
    mine = {r["id"] for r in due}
    vias = {r["via"] for r in due if r["via"] and r["via"] not in mine}
    soon = tx.now + tx.real(BRIDGE_DOUBT)
    doubtful = {
        bridge: due_at for bridge, (status, due_at) in devices.bridges(tx.conn, vias).items()
        if status != "lost" and due_at is not None and due_at <= soon
    }  # fmt: skip
    for bridge, due_at in doubtful.items():
        waiting = [r["id"] for r in due if r["via"] == bridge]
        devices.judge_after(tx.conn, waiting, max(due_at, tx.now) + timedelta(seconds=1))
    return [r for r in due if r["via"] not in doubtful]


def bridges_back(tx: Tx, ids: Sequence[str]) -> None:
    """These are heard again, or out of service: whoever of those that hang on them is still silent
    is judged again a little later, and then stands alone."""
    if ids:
        children = [i for some in devices.hanging(tx.conn, ids).values() for i in some]
        devices.judge_again_at(tx.conn, tx.now + AFTER_PARENT, children)


def dark(tx: Tx, house: House, limit: int) -> int:
    """Judge up to `limit` terminals that lost their mains; returns how many."""
    due = devices.mains_overdue(tx.conn, tx.now, limit)
    if due:
        devices.mains_judged(tx.conn, [r["id"] for r in due])
        _judge(tx, house, Trouble.POWER, due)
    return len(due)


def _since(tx: Tx) -> datetime:
    return tx.now - TOGETHER_WITHIN


def _counted(tx: Tx, trouble: Trouble) -> dict[int, Counts]:
    match trouble:
        case Trouble.NETWORK:
            return devices.quiet_by_building(tx.conn, tx.now, _since(tx))
        case Trouble.POWER:
            return devices.dark_by_building(tx.conn, _since(tx))
        case _:
            assert_never(trouble)


def _real(conn: Connection, counted: Mapping[int, Counts]) -> list[Counts]:
    """The counts without buildings of a rehearsal: a simulated blackout must hide no real fault."""
    rehearsing = rosters.rehearsals(conn, counted)
    return [counts for building_id, counts in counted.items() if building_id not in rehearsing]


def _judge(tx: Tx, house: House, trouble: Trouble, due: Sequence[RowMapping]) -> None:
    if not due:
        return
    counted = _counted(tx, trouble)
    standing = _Standing(alerts.open_faults(tx.conn, PARENTS))
    area = standing.area(trouble)
    if area is None and core.area(_real(tx.conn, counted)) is Because.TOGETHER:
        area = trouble.area
        _open_parent(tx, house, trouble, None, counted)
    causes: dict[int, Fault | None] = {}
    explained: list[tuple[RowMapping, Fault]] = []
    for row in due:
        tx.give_way()  # a fault each, where nothing explains them: many at once are long
        building_id = row["building_id"]
        if building_id is None:
            _alone(tx, house, trouble, row)
            continue
        if building_id not in causes:
            cause = area or standing.building(trouble, building_id)
            if cause is None and (
                core.building(counted.get(building_id, Counts(0, 0))) is Because.TOGETHER
            ):
                cause = trouble.building
                _open_parent(tx, house, trouble, building_id, counted)
            causes[building_id] = cause
        because = causes[building_id]
        if because is None:
            _alone(tx, house, trouble, row)
        else:
            explained.append((row, because))
    _note_explained(tx, trouble, explained)


def _alone(tx: Tx, house: House, trouble: Trouble, row: RowMapping) -> None:
    raising.fault(
        tx, house, trouble.own, row["id"], building_id=row["building_id"],
        resident_id=row["resident_id"], terminal_id=row["id"],
        detail=_hanging(tx, row["id"]) if trouble is Trouble.NETWORK else "",
    )  # fmt: skip


def _hanging(tx: Tx, terminal_id: str) -> str:
    """How many terminals can't be heard for the silence of this one, and which."""
    names = devices.hanging(tx.conn, [terminal_id]).get(terminal_id, [])
    more = " …" if len(names) > NAMED else ""
    return f"{len(names)}: {', '.join(names[:NAMED])}{more}" if names else ""


def _note_explained(
    tx: Tx, trouble: Trouble, explained: Sequence[tuple[RowMapping, Fault]]
) -> None:
    kind = "device_lost" if trouble is Trouble.NETWORK else "device_dark"
    journal.append(
        tx,
        [
            {"kind": kind, "building_id": row["building_id"], "flat_id": row["flat_id"],
             "data": {"terminal": row["id"], "suppressed_by": because.value}}
            for row, because in explained
        ],
    )  # fmt: skip


def _open_parent(
    tx: Tx, house: House, trouble: Trouble, building_id: int | None, counted: Mapping[int, Counts]
) -> None:
    """Open the fault of a building (None: of the area), which takes over what it explains."""
    mine = [c for b, c in counted.items() if building_id in (None, b)]
    troubled, size = sum(c.troubled for c in mine), sum(c.size for c in mine)
    raising.fault(
        tx, house, trouble.area if building_id is None else trouble.building,
        AREA if building_id is None else str(building_id), building_id=building_id,
        detail=f"{troubled}/{size}",
    )  # fmt: skip
    parent = trouble.area if building_id is None else trouble.building
    children = [trouble.own] if building_id is not None else [trouble.own, trouble.building]
    for row in alerts.open_faults(tx.conn, children):
        lately = row["opened_at"] >= _since(tx)
        if lately and (building_id is None or row["building_id"] == building_id):
            what = Fault(row["fault"])
            about = row["subject"].removeprefix(raising.subject(what, ""))
            raising.fault_over(
                tx, house, what, [about], outcome=Outcome.OTHER, suppressed_by=parent.value
            )


def worth_a_look(conn: Connection, now: datetime, faults: Sequence[RowMapping]) -> bool:
    """Whether a parent is mended; asked without the write lock. `faults`: those that are open,
    of our kinds among others."""
    return bool(_mended(conn, now, [f for f in faults if f["fault"] in PARENTS]))


def mended(tx: Tx, house: House) -> int:
    """End the parents most of whose terminals are back. Those still in trouble are judged again a
    little later, as their own. Returns 0: done in one go."""
    for row in _mended(tx.conn, tx.now, alerts.open_faults(tx.conn, PARENTS)):
        what, building_id = Fault(row["fault"]), row["building_id"]
        raising.fault_over(tx, house, what, [AREA if building_id is None else str(building_id)])
        closed(tx, row)
    return 0


@dataclass(frozen=True, slots=True)
class Causes:
    """Why nothing may have been heard lately: parents' faults, and our own blindness."""

    faults: Sequence[RowMapping]
    outages: Sequence[RowMapping]

    def explain(self, building_id: int, due_at: datetime) -> bool:
        """Whether we know why nothing was heard from a building in the round that was due then: its
        power or network, or the area's, was gone until shortly before, or we were blind then."""
        until = due_at - AFTER_PARENT
        return any(
            row["building_id"] in (None, building_id)
            and (row["resolved_at"] is None or row["resolved_at"] >= until)
            for row in self.faults
        ) or any(
            o["started_at"] <= due_at and (o["drained_at"] is None or o["drained_at"] >= due_at)
            for o in self.outages
        )


def causes(conn: Connection, due_at: datetime) -> Causes:
    """What may explain the silence of rounds that were due then or later."""
    return Causes(
        alerts.faults_until(conn, PARENTS, due_at - AFTER_PARENT), sights.intervals(conn, OUTAGES)
    )


def closed(tx: Tx, row: Mapping[Any, Any]) -> None:
    """A parent was closed, by itself or by a person: whoever it explained and is still in trouble
    is judged again a little later, and so is a bridge whose fault a person closed while it is still
    lost. Other alerts are passed over."""
    if row["fault"] == Fault.OFFLINE and row["detail"]:
        devices.judge_again_at(tx.conn, tx.now + AFTER_PARENT, [row["terminal_id"]])
    if row["fault"] not in PARENTS:
        return
    at, since = tx.now + AFTER_PARENT, row["opened_at"] - TOGETHER_WITHIN
    where = None if row["building_id"] is None else [row["building_id"]]
    # A dark building's silent terminals were explained by the power, so both are asked again.
    devices.judge_silence_at(tx.conn, at, since, where)
    if row["fault"] in (Trouble.POWER.building, Trouble.POWER.area):
        devices.judge_mains_at(tx.conn, at, since, where)


def _mended(
    conn: Connection, now: datetime, standing: Sequence[RowMapping]
) -> list[RowMapping]:
    if not standing:
        return []
    found = []
    since = min(r["opened_at"] for r in standing) - TOGETHER_WITHIN
    everywhere = any(r["building_id"] is None for r in standing)
    where = None if everywhere else {r["building_id"] for r in standing}
    counted = {
        Trouble.NETWORK: devices.quiet_by_building(conn, now, since, where),
        Trouble.POWER: devices.dark_by_building(conn, since, where),
    }
    for row in standing:
        for trouble, counts in counted.items():
            if row["fault"] == trouble.area.value:
                if core.area_still(_real(conn, counts)) is Because.MENDED:
                    found.append(row)
            elif row["fault"] == trouble.building.value:
                its = counts.get(row["building_id"], Counts(0, 0))
                if core.building_still(its) is Because.MENDED:
                    found.append(row)
    return found
