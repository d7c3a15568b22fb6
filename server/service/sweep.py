"""What is due: missed rounds, prompts, ladder steps, silent devices. Asked at every ring of the
bell; the cost is of the due, never of the residents. Each chunk is a transaction of its own, so
that a big round never holds the write lock from an SOS."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from server.core import alerts as core
from server.core import risk, rounds
from server.core.words import Fault
from server.database import Tx
from server.service import (
    absences,
    batteries,
    classing,
    desks,
    mending,
    parents,
    raising,
    resident_calls,
    sight,
    unreadable,
    worklists,
)
from server.service import walks as walks_
from server.service.house import House
from server.store import alerts, clocks, commands, communities, idle, journal, signals, upkeep
from server.store.communities import CommunityFacts
from server.store.signals import Overdue
from server.tables import to_ms

log = logging.getLogger(__name__)
CHUNK = 200
MISSED_CHUNK, LONG_CHUNK = 200, 600
"""Residents judged in one transaction; each may be a building with a worklist and messages. Few,
that the first texts leave soon; more in a long round, of which none leaves before its end."""
LONG_ROUND = 2000
"""Residents due at once who make a round long (docs/adr/0032)."""
BELLS_CHUNK = 4
"""Communities whose bells are rung in one transaction: each goes through all of its residents."""
ROUNDS_CHUNK = 8
RETRY_BROKEN = timedelta(seconds=60)
CLOCK_BACK = timedelta(seconds=60)


def blind(tx: Tx, house: House) -> bool:
    """Whether nobody may be judged now: we can't tell a silent resident from our own outage, or
    what was queued meanwhile is still coming in. While another server asks this it also judges, and
    this one leaves it to that: two would tell the duty phones twice."""
    return not tx.alone(blind.__name__) or sight.blind(tx, house)


def missed_rounds(tx: Tx, house: House) -> int:
    """Judge residents whose deadline has come, MISSED_CHUNK at most, in a long round LONG_CHUNK;
    returns how many.

    After a long stop several rounds may have passed: one worklist is made, for the latest one.
    Each house is judged by its own community's rounds and clock.
    """
    ring = house.ring
    most = LONG_CHUNK if ring.long else MISSED_CHUNK
    found = signals.residents_overdue(tx.conn, tx.now, most)
    if not found:
        return 0
    if len(found) == most and not ring.long:
        ring.long = signals.so_many_overdue(tx.conn, tx.now, LONG_ROUND)
    overdue = _whole_buildings(found, full=len(found) == most)
    try:
        with tx.attempt():
            return _judge(tx, house, overdue)
    except alerts.CORRUPT:
        log.exception("a round can't be judged in one; building by building")
        _judge_apart(tx, house, overdue)
    return len(overdue)


def _judge_apart(tx: Tx, house: House, overdue: Sequence[Overdue]) -> None:
    """Building by building, and where that fails resident by resident: one who can't be judged is
    told to staff and tried again, and costs nobody else their judgement."""
    by_building: defaultdict[int, list[Overdue]] = defaultdict(list)
    for row in overdue:
        by_building[row.building_id].append(row)
    left = list(by_building.values())
    while left:
        rows = left.pop()
        try:
            with tx.attempt():
                _judge(tx, house, rows)
        except alerts.CORRUPT:
            if len(rows) > 1:
                left += [[row] for row in rows]
                continue
            log.exception("resident %s can't be judged", rows[0].id)
            unreadable.resident(tx, house, rows[0].id, rows[0].building_id, "unjudged")
            signals.postpone(tx.conn, rows[0].id, tx.now + RETRY_BROKEN)


@dataclass(frozen=True, slots=True)
class _Owed:
    """What residents of one community and class owe: the deadline that has passed, and the next."""

    latest: datetime
    following: datetime


def _judge(tx: Tx, house: House, overdue: Sequence[Overdue]) -> int:
    by_building: defaultdict[int, list[Overdue]] = defaultdict(list)
    for row in overdue:
        by_building[row.building_id].append(row)
        if row.risk_class not in rounds.CLASSES:  # owes every round, as who is forgotten
            unreadable.resident(tx, house, row.id, row.building_id, "risk_class")
    owed = _owed(tx, {(row.community_id, row.risk_class) for row in overdue})
    causes = parents.causes(tx.conn, min(o.latest for o in owed.values()))
    lists: list[worklists.Worklist] = []
    for building_id, rows in sorted(by_building.items()):
        # After a long stop two classes may owe two rounds: still one walk, for the later one.
        due_at = max(owed[row.community_id, row.risk_class].latest for row in rows)
        high = [r for r in rows if r.risk_class == "A"]
        explained = causes.explain(building_id, due_at)
        alone = high if risk.apart(len(high), explained=explained) else []
        lists += _worklists(tx, rows, alone, due_at, owed)
    return _raised(tx, house, lists)


def _owed(tx: Tx, groups: Collection[tuple[int, str]]) -> dict[tuple[int, str], _Owed]:
    facts = communities.by_ids(tx.conn, {community for community, _ in groups})
    owed = {}
    for community_id, risk_class in groups:
        plans, zone = facts[community_id].plans_of(risk_class), facts[community_id].zone
        owed[community_id, risk_class] = _Owed(
            rounds.last_deadline(plans, zone, tx.now), rounds.next_deadline(plans, zone, tx.now)
        )
    return owed


def _raised(tx: Tx, house: House, lists: list[worklists.Worklist]) -> int:
    """One worklist that is open and can't be read must not hide the whole round."""
    try:
        with tx.attempt():
            return worklists.raise_all(tx, house, lists)
    except alerts.CORRUPT:
        log.exception("a worklist that is open can't be read")
    mending.mended_about(tx, house, [w.about for w in lists])
    return sum(_raised_alone(tx, house, w) for w in lists)


def _raised_alone(tx: Tx, house: House, w: worklists.Worklist) -> int:
    """One worklist; beside one that is open and can't be mended, a second: the doors on it are
    looked for all the same."""
    try:
        with tx.attempt():
            return worklists.raise_all(tx, house, [w])
    except alerts.CORRUPT:
        log.exception("worklist %s can't be mended; a second one is made", w.about)
        return worklists.raise_all(tx, house, [replace(w, about=f"{w.about}:anew")])


def _whole_buildings(rows: Sequence[Overdue], *, full: bool) -> Sequence[Overdue]:
    """Of a full chunk, leave the last building to the next one: how many missed there at once
    decides how they are looked for."""
    last = rows[-1].building_id if full else None
    return [r for r in rows if r.building_id != last] or rows


def _worklists(
    tx: Tx, rows: Sequence[Overdue], alone: Sequence[Overdue], due_at: datetime,
    owed: Mapping[tuple[int, str], _Owed],
) -> list[worklists.Worklist]:  # fmt: skip
    """One building's missed round: those who are to be looked for `alone` each by themselves, the
    rest on one worklist; when those are many, they are on it too (docs/adr/0025). Each tells of
    those of whom it is the first to do so."""
    building_id, number = rows[0].building_id, rows[0].number
    missed = {
        r.id: worklists.Missed(r.id, r.flat_id, r.absent_until, o.latest, o.following)
        for r in rows
        for o in [owed[r.community_id, r.risk_class]]
    }  # fmt: skip
    rest = [r for r in rows if r not in alone] if alone else rows
    house = worklists.of_building(
        building_id, number, due_at, [_item(r) for r in rest], [missed[r.id] for r in rest]
    )
    # A list that is open already has been texted: who is added to it now would be in no text.
    beside = risk.named_on_the_list(len(alone)) and not alerts.open_ids(tx.conn, [house.about])
    if beside:
        house = replace(house, items=tuple(_item(r) for r in rows))
    found = [
        worklists.of_resident(
            building_id, number, due_at, _item(r), missed[r.id], beside=beside
        )
        for r in alone
    ]
    return [*found, house] if house.items else found


def _item(row: Overdue) -> core.Item:
    return core.Item(
        row.id, row.flat_id, row.label, after_absence=row.absent_until
    )


def clock_jumped(tx: Tx, house: House, ahead: timedelta) -> None:
    """Our clock was set forward: nobody is silent for that. Whoever became overdue by it, in
    whichever community, gets the next deadline of the rounds they owe, devices get their intervals
    anew, and staff are told to look."""
    held = 0
    for by in clocks.shared(tx.conn):
        clock, theirs = by.clock, clocks.ids(tx.conn, by)
        for risk_class in (*sorted(rounds.CLASSES), None):
            # A class that can't be read owes every round: who has it is spared like all others.
            plans = clock.plans_of(risk_class) if risk_class is not None else clock.plans
            following = rounds.next_deadline(plans, clock.zone, tx.now)
            held += signals.spare_overdue(tx.conn, theirs, tx.now, risk_class, following)
    signals.heartbeats_anew(tx.conn, tx.now, sight.HEARTBEATS_MISSED)
    seconds = int(ahead.total_seconds())
    raising.fault(tx, house, Fault.CLOCK_JUMPED, "server", detail=f"+{seconds} s, {held}")
    journal.note(tx, "clock_jumped", seconds=seconds, residents_not_judged=held)


def clock_set_back(tx: Tx, house: House, by: timedelta) -> None:
    """Our clock was set back: what was due in two minutes still is, and staff are told to look."""
    upkeep.set_back(tx.conn, by, tx.now)
    seconds = int(by.total_seconds())
    raising.fault(tx, house, Fault.CLOCK_JUMPED, "server", detail=f"-{seconds} s")
    journal.note(tx, "clock_jumped", seconds=-seconds)
    tx.queued()


def at_start(tx: Tx, house: House) -> None:
    """Before the only server of a house takes up its work: messages that its forerunner leased are
    due, and a clock that shows less than when it last ran (no battery, a power cut) has been set
    back."""
    last = upkeep.last_instant(tx.conn)
    if last is not None and last - tx.now > tx.real(CLOCK_BACK):
        clock_set_back(tx, house, last - tx.now)
    upkeep.orphans_due(tx.conn, tx.now)


def round_bells(tx: Tx, house: House) -> int:
    """Open the rounds whose window has come, and chime on the terminals of those still awaited
    when its prompt time has: the resident is reminded before anybody else is told. Of up to
    BELLS_CHUNK communities; returns how much was done."""
    done = asked = 0
    for by in clocks.shared(tx.conn):
        for current in rounds.running(by.clock.plans, by.clock.zone, tx.now):
            lacks = clocks.wanting(current, tx.now)
            for community in clocks.lacking(
                tx.conn, by, current.due_at, lacks, BELLS_CHUNK - asked
            ):
                done += _bells_of(tx, house, community, current)
                asked += 1
    return done


def _bells_of(
    tx: Tx, house: House, community: CommunityFacts, current: rounds.Occurrence
) -> int:
    done = 0
    if signals.open_round(tx.conn, community.id, current, tx.now):
        journal.note(tx, "round_opened", round=current.name, due=current.due_at.isoformat())
        classing.birthdays(tx, community)
        unreadable.look(tx, house, current, community)
        done += 1
    if current.prompt_at <= tx.now < current.due_at and signals.claim_prompt(
        tx.conn, community.id, current.due_at, tx.now
    ):
        waiting = signals.awaited_terminals(tx.conn, community.id, current.deadline)
        for terminal_id in waiting:
            commands.add(
                tx.conn, terminal_id=terminal_id,
                payload={"cmd": "prompt", "exp": to_ms(current.due_at)},
                created_at=tx.now, expires_at=current.due_at, due_at=tx.now,
            )  # fmt: skip
        journal.note(tx, "round_prompted", round=current.name, terminals=len(waiting))
        tx.wake("commands")
        done += 1
    return done


def calls_to_residents(tx: Tx, house: House) -> int:
    """Ring those still awaited, where the round's plan says so, in up to BELLS_CHUNK communities;
    returns in how many."""
    return resident_calls.ring(tx, house, BELLS_CHUNK)


def ladder_steps(tx: Tx, house: House) -> int:
    """Take up to CHUNK due steps; returns how many alerts were looked at."""

    def step(alert_id: int) -> None:
        if not mending.happens(tx, house, alert_id, core.StepDue()):
            # One spoilt alert must not stop the others; it is tried again.
            alerts.postpone(tx.conn, alert_id, tx.now + RETRY_BROKEN)

    return _until_pressed(tx, alerts.steps_due(tx.conn, tx.now, CHUNK), step)


def _until_pressed(tx: Tx, due: Sequence[int], act: Callable[[int], None]) -> int:
    """One after the other, until a press waits for this transaction to end: what was done of them
    stands, and the rest stays due. A city's worklists take their next step all at once. Returns how
    many were done."""
    for done, each in enumerate(due, 1):
        act(each)
        if tx.overtaken():
            return done
    return len(due)


def silent_devices(tx: Tx, house: House) -> int:
    """Judge up to CHUNK silent devices; returns how many."""
    return parents.silent(tx, house, CHUNK)


def dark_devices(tx: Tx, house: House) -> int:
    """Judge up to CHUNK devices that lost their mains; returns how many."""
    return parents.dark(tx, house, CHUNK)


def parents_mended(tx: Tx, house: House) -> int:
    """End the faults of buildings and areas that are over."""
    return parents.mended(tx, house)


def battery_day(tx: Tx, house: House) -> int:
    """Read up to CHUNK batteries of today; returns how many."""
    return batteries.some(tx, house, CHUNK)


def absences_over(tx: Tx, house: House) -> int:  # noqa: ARG001 (the form of all works)
    """Watch up to CHUNK residents again whose absence is over; returns how many."""
    return absences.end_those_over(tx, CHUNK)


def ladder_file(tx: Tx, house: House) -> int:
    """Show staff what is wrong with the ladders and desks whose turn it is, while it is; they climb
    on either way."""
    looked = desks.look(tx.conn, house, _communities(clocks.shared(tx.conn)))
    desks.show(tx, house, looked)
    return 0  # done in one go, whatever it found


def _communities(by: Sequence[clocks.Shared]) -> int:
    return sum(each.communities for each in by)


def emergencies(tx: Tx, house: House) -> int:
    """Look at up to CHUNK clocks of 120; returns how many."""

    def look(alert_id: int) -> None:
        mind = partial(raising.mind_emergency, tx, house, alert_id)
        if not mending.minding(tx, house, alert_id, mind):
            alerts.set_facts(tx.conn, alert_id, emergency_look_at=tx.now + RETRY_BROKEN)

    return _until_pressed(tx, alerts.emergencies_due(tx.conn, tx.now, CHUNK), look)


def rounds_over(tx: Tx, house: House) -> int:
    """Count and supervise up to ROUNDS_CHUNK rounds that are over; returns how many."""
    return walks_.rounds_over(tx, house, ROUNDS_CHUNK)


def what_is_due(conn: Connection, now: datetime, real: timedelta, house: House) -> set[str]:
    """Names of the works that would find something, asked without the write lock: an idle ring
    must cost next to nothing. `real`: one real second by the clock."""
    due = set()
    by = clocks.shared(conn)
    house.ring.number += 1
    if desks.differ(conn, house, now, desks.look(conn, house, _communities(by))):
        due.add(ladder_file.__name__)
    asked = idle.look(conn, now)
    house.ring.next_at = asked.next_at
    for work, is_due in (
        (absences_over, asked.absences), (ladder_steps, asked.steps),
        (emergencies, asked.emergencies), (rounds_over, asked.rounds),
        (missed_rounds, asked.residents), (silent_devices, asked.devices),
        (dark_devices, asked.mains),
    ):  # fmt: skip
        if is_due:
            due.add(work.__name__)
    faults = alerts.open_faults(conn, (*parents.PARENTS, *sight.FAULTS))
    if asked.outage or sight.worth_a_look(conn, now, real, faults):
        due.add(blind.__name__)
    if parents.worth_a_look(conn, now, faults):
        due.add(parents_mended.__name__)
    if resident_calls.due(conn, house, now, by):
        due.add(calls_to_residents.__name__)
    if batteries.is_due(asked.batteries, by, now):
        due.add(battery_day.__name__)
    if any(
        clocks.lacking(conn, each, current.due_at, clocks.wanting(current, now), 1)
        for each in by
        for current in rounds.running(each.clock.plans, each.clock.zone, now)
    ):
        due.add(round_bells.__name__)
    return due


Work = Callable[[Tx, House], int]
ALWAYS: tuple[Work, ...] = (
    ladder_steps, emergencies, absences_over, round_bells, calls_to_residents, rounds_over,
    ladder_file, dark_devices, battery_day,
)
WITH_SIGHT: tuple[Work, ...] = (missed_rounds, silent_devices, parents_mended)
"""Judging residents and devices needs eyes; the ladder climbs whether we see or not."""
AT_ONCE: dict[Work, int] = {round_bells: 5, calls_to_residents: 5, rounds_over: 5}
"""Chunks of these in one ring, after which the ladders are climbed: hundreds of communities may
have one hour for their rounds."""


def alone(tx: Tx, house: House, work: Work) -> int:
    """Do a chunk of `work`, unless another server is at it. Two may climb ladders side by side,
    each alert held by one; a building's missed round must be seen whole by the one who judges."""
    if work is not ladder_steps and not tx.alone(work.__name__):
        return 0
    return work(tx, house)


