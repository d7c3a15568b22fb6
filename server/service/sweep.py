"""What is due: missed rounds, prompts, ladder steps, silent devices. Asked at every ring of the
bell; the cost is of the due, never of the residents. Each chunk is a transaction of its own, so
that a big round never holds the write lock from an SOS."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping

from server.core import alerts as core
from server.core import risk, rounds
from server.core.words import Fault
from server.database import Tx
from server.service import absences, effects, presence, raising
from server.service.house import House
from server.store import alerts, journal, outbox, people, signals
from server.tables import to_ms

log = logging.getLogger(__name__)
CHUNK = 200
MISSED_CHUNK = 100
"""Fewer, as each may be a building with a worklist and messages, and an SOS waits for a chunk."""
RETRY_BROKEN = timedelta(seconds=60)
SETTLE = timedelta(seconds=15)
"""After blindness, what was queued comes in first; only then is anybody judged."""


def blind(tx: Tx, house: House) -> bool:
    """Whether we can't tell a silent resident from our own outage: no gateway was heard lately.

    Opens a fault for staff while it lasts.
    """
    gap, settle = tx.real(presence.GATEWAY_GAP), tx.real(SETTLE)
    heard = signals.gateways(tx.conn)
    lately = [g for g in heard if tx.now - g["last_heard_at"] <= gap]
    if not heard:
        return True  # nothing has ever been connected: nothing to judge by, nothing broken
    if not lately:
        since = max(g["last_heard_at"] for g in heard)
        raising.fault(tx, house, Fault.BLIND, "gateway", detail=since.isoformat())
        return True
    raising.fault_over(tx, house, Fault.BLIND, ["gateway"])
    return all(tx.now - g["resumed_at"] < settle for g in lately)


def missed_rounds(tx: Tx, house: House) -> int:
    """Judge up to MISSED_CHUNK residents whose deadline has come; returns how many.

    After a long stop several rounds may have passed: one worklist is made, for the latest one.
    """
    community = people.community(tx.conn)
    if community is None:
        return 0
    overdue = _whole_buildings(signals.residents_overdue(tx.conn, tx.now, MISSED_CHUNK))
    if not overdue:
        return 0
    following = rounds.next_deadline(community.plans, community.zone, tx.now)
    latest = max(
        o.deadline
        for o in rounds.occurrences(community.plans, community.zone, tx.now)
        if o.deadline <= tx.now
    )
    by_building: defaultdict[int, list[RowMapping]] = defaultdict(list)
    for row in overdue:
        by_building[row["building_id"]].append(row)
    signals.set_next_due(tx.conn, [row["id"] for row in overdue], following)
    lists = [
        found for _, rows in sorted(by_building.items()) for found in _worklists(rows, latest)
    ]
    raised = raising.missed(tx, house, [w for w, _ in lists])
    for stored, (_, rows) in zip(raised, lists, strict=True):
        _note_missed(tx, stored.id, latest, rows)
    return len(overdue)


def _whole_buildings(rows: Sequence[RowMapping]) -> Sequence[RowMapping]:
    """Of a full chunk, leave the last building to the next one: how many missed there at once
    decides how they are looked for."""
    last = rows[-1]["building_id"] if len(rows) == MISSED_CHUNK else None
    return [r for r in rows if r["building_id"] != last] or rows


def _worklists(
    rows: Sequence[RowMapping], due_at: datetime
) -> list[tuple[raising.Worklist, list[RowMapping]]]:
    """One building's missed round: class A each by themselves while they are few, the rest (or
    all) on one worklist (docs/adr/0010)."""
    building_id, number = rows[0]["building_id"], rows[0]["number"]
    high = [r for r in rows if r["risk_class"] == "A"]
    alone = high if risk.apart(len(high), len(rows)) else []
    listed = [r for r in rows if r not in alone]
    found = [
        (raising.worklist_alone(building_id, number, due_at, _item(row)), [row]) for row in alone
    ]
    if listed:
        items = [_item(r) for r in listed]
        found.append((raising.worklist(building_id, number, due_at, items), listed))
    return found


def _item(row: RowMapping) -> core.Item:
    return core.Item(row["id"], row["flat_id"], row["label"])


def _note_missed(tx: Tx, alert_id: int, due_at: datetime, rows: Sequence[RowMapping]) -> None:
    journal.append(
        tx,
        [
            {
                "kind": "missed", "building_id": r["building_id"], "flat_id": r["flat_id"],
                "alert_id": alert_id,
                "data": {
                    "due": due_at.isoformat(),
                    **({"after_absence_until": r["absent_until"].isoformat()}
                       if r["absent_until"] else {}),
                },
            }
            for r in rows
        ],
    )  # fmt: skip


def clock_jumped(tx: Tx, house: House, ahead: timedelta) -> None:
    """Our clock was set forward: nobody is silent for that. Whoever became overdue by it gets the
    next deadline, devices get their intervals anew, and staff are told to look."""
    community = people.community(tx.conn)
    held = 0
    if community is not None:
        following = rounds.next_deadline(community.plans, community.zone, tx.now)
        held = signals.spare_overdue(tx.conn, tx.now, following)
    signals.heartbeats_anew(tx.conn, tx.now, presence.HEARTBEATS_MISSED)
    seconds = int(ahead.total_seconds())
    raising.fault(tx, house, Fault.CLOCK_JUMPED, "server", detail=f"+{seconds} s, {held}")
    journal.note(tx, "clock_jumped", seconds=seconds, residents_not_judged=held)


def round_bells(tx: Tx, house: House) -> int:  # noqa: ARG001 (the form of all works)
    """Open the round whose window has come, and chime on the terminals of those still awaited
    when its prompt time has: the resident is reminded before anybody else is told."""
    community = people.community(tx.conn)
    if community is None:
        return 0
    current = rounds.current(community.plans, community.zone, tx.now)
    if tx.now < current.opens_at:
        return 0
    done = 0
    if signals.open_round(tx.conn, community.id, current.name, current.due_at, tx.now):
        journal.note(tx, "round_opened", round=current.name, due=current.due_at.isoformat())
        done += 1
    if current.prompt_at <= tx.now < current.due_at and signals.claim_prompt(
        tx.conn, community.id, current.due_at, tx.now
    ):
        waiting = signals.awaited_terminals(tx.conn, current.deadline)
        for terminal_id in waiting:
            outbox.add_command(
                tx.conn, terminal_id=terminal_id,
                payload={"cmd": "prompt", "exp": to_ms(current.due_at)},
                created_at=tx.now, expires_at=current.due_at, due_at=tx.now,
            )  # fmt: skip
        journal.note(tx, "round_prompted", round=current.name, terminals=len(waiting))
        tx.wake("commands")
        done += 1
    return done


def ladder_steps(tx: Tx, house: House) -> int:
    """Take up to CHUNK due steps; returns how many alerts were looked at."""
    due = alerts.steps_due(tx.conn, tx.now, CHUNK)
    for alert_id in due:
        try:
            with tx.attempt():
                stored = alerts.load(tx.conn, alert_id)
                assert stored is not None
                decision = core.decide(effects.situation(tx, stored), core.StepDue(), tx.now)
                effects.commit(tx, house, stored, decision)
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError):
            # One corrupt alert must not stop the others; staff see it, and it is tried again.
            log.exception("alert %s could not take its step", alert_id)
            alerts.postpone(tx.conn, alert_id, tx.now + RETRY_BROKEN)
            raising.fault(tx, house, Fault.BROKEN_ALERT, str(alert_id), detail=str(alert_id))
    return len(due)


def silent_devices(tx: Tx, house: House) -> int:
    """Open faults for up to CHUNK silent devices; returns how many."""
    return presence.silent_devices(tx, house, CHUNK)


def absences_over(tx: Tx, house: House) -> int:  # noqa: ARG001 (the form of all works)
    """Watch up to CHUNK residents again whose absence is over; returns how many."""
    return absences.end_those_over(tx, CHUNK)


def ladder_file(tx: Tx, house: House) -> int:
    """Show staff what is wrong with the ladders, while it is; they climb on either way."""
    about = _ladder_faults(tx.conn, house, tx.now)
    standing = _ladder_faults_open(tx.conn)
    mended = [what for what, said in standing.items() if about.get(what) != said]
    raising.fault_over(tx, house, Fault.LADDER_BROKEN, mended)
    for what, detail in about.items():
        if standing.get(what) != detail:
            raising.fault(tx, house, Fault.LADDER_BROKEN, what, detail=detail)
    return 0  # done in one go, whatever it found


def _ladder_faults(conn: Connection, house: House, now: datetime) -> dict[str, str]:
    """What ails the ladders: "file" (it can't be used), "duty" (nobody stands at their end)."""
    found = {}
    if problems := house.ladder_file.problems:
        found["file"] = problems[0]
    community = people.community(conn)
    if community is not None and not people.duty_is_manned(conn, community.id, now):
        found["duty"] = "nobody stands on duty: no ladder has a human at its end; add one"
    return found


def _ladder_faults_open(conn: Connection) -> dict[str, str]:
    subjects = {raising.subject(Fault.LADDER_BROKEN, about): about for about in ("file", "duty")}
    found = alerts.open_by_subject(conn, list(subjects))
    return {subjects[s]: stored.row["detail"] for s, stored in found.items()}


def what_is_due(conn: Connection, now: datetime, gap: timedelta, house: House) -> set[str]:
    """Names of the works that would find something, asked without the write lock: an idle ring
    must cost next to nothing."""
    due = set()
    if _ladder_faults(conn, house, now) != _ladder_faults_open(conn):
        due.add(ladder_file.__name__)
    if people.residents_back(conn, now, 1):
        due.add(absences_over.__name__)
    if alerts.steps_due(conn, now, 1):
        due.add(ladder_steps.__name__)
    if signals.residents_overdue(conn, now, 1):
        due.add(missed_rounds.__name__)
    if signals.devices_overdue(conn, now, 1):
        due.add(silent_devices.__name__)
    heard = signals.gateways(conn)
    unheard = bool(heard) and all(now - g["last_heard_at"] > gap for g in heard)
    if unheard or alerts.open_by_subject(conn, [raising.subject(Fault.BLIND, "gateway")]):
        due.add(blind.__name__)
    community = people.community(conn)
    if community is not None:
        current = rounds.current(community.plans, community.zone, now)
        opened, prompted = signals.round_rung(conn, community.id, current.due_at)
        if now >= current.opens_at and not opened:
            due.add(round_bells.__name__)
        if current.prompt_at <= now < current.due_at and not prompted:
            due.add(round_bells.__name__)
    return due


Work = Callable[[Tx, House], int]
ALWAYS: tuple[Work, ...] = (ladder_steps, absences_over, round_bells, ladder_file)
WITH_SIGHT: tuple[Work, ...] = (missed_rounds, silent_devices)
"""Judging residents and devices needs eyes; the ladder climbs whether we see or not."""


