"""The way in for terminals: one batch, one transaction, receipts in the answer.

1. Which terminals do we know? The others' events go to the quarantine (an SOS also to staff).
2. Insert the events; only those the database returns as new have any effect.
3. Alarms first, then signs of life, then the devices' own state.
4. Journal. The commit is what makes the receipts true.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.exc import DataError, IntegrityError

from server.core import alerts as core
from server.core import rounds
from server.core.help_requests import Want
from server.core.words import ALARMS, SIGNS_OF_LIFE, Fault, SignalType
from server.database import Tx
from server.service import (
    effects,
    mending,
    parents,
    presence,
    quarantine,
    raising,
    sight,
    unreadable,
)
from server.service.help import by_terminal
from server.service.house import House
from server.service.refusals import Refused, Unknown
from server.store import alerts, devices, events, journal, partitions, signals
from server.store.communities import CommunityFacts
from server.tables import LATEST_MS, from_ms, to_ms

log = logging.getLogger(__name__)
LATE = timedelta(minutes=5)
"""An event that took longer than this to reach us is flagged late."""
SAME_STORY = timedelta(hours=24)
"""So long may a terminal's earlier word come after its later one. Beyond that there is no order: a
terminal that was set up anew counts its starts from one."""
NO_REQUEST = (*alerts.CORRUPT, Refused, Unknown, IntegrityError, DataError)
"""A row that can't be read, a mistake of ours, or a database that will not take this: nothing that
trying the batch once more would mend."""
FAULTS = {
    SignalType.BATTERY_LOW: Fault.BATTERY_LOW,
    SignalType.TAMPER: Fault.TAMPER,
}


@dataclass(frozen=True, slots=True)
class SignalIn:
    """One event as the gateway read it. Times in epoch ms by the device's clock."""

    t: str
    type: SignalType
    boot: int
    seq: int
    ts: int | None = None
    ts_ok: bool = False
    buffered: bool = False
    test: bool = False
    bat: int | None = None
    mains: bool | None = None
    rssi: int | None = None
    attempt: int = 1
    held_ms: int = 0
    """How long the gateway had it: while we were down, a press in time must not become late."""
    want: str | None = None
    """What a `help` asks for, a word of `core.help_requests.Want`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one POST carries."""

    gateway: str
    signals: Sequence[SignalIn] = ()
    heartbeats: Sequence[presence.Heartbeat] = ()
    statuses: Sequence[presence.Status] = ()
    cmd_acks: Sequence[presence.CommandAck] = ()
    rejects: Sequence[quarantine.Reject] = ()
    canaries: Sequence[sight.Canary] = ()
    canary_every_s: float | None = None
    """Real seconds between this gateway's canaries, 0 when it sends none; None: it did not say."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one event: stored, duplicate, or quarantined (then: no word to the
    terminal)."""

    t: str
    boot: int
    seq: int
    result: str


@dataclass(slots=True)
class _New:
    """The new events of a batch, each with its terminal and the instant it counts for."""

    signal: SignalIn
    terminal: signals.Known
    seen_at: datetime
    late: bool
    times: int = 1
    """How many presses of its terminal it stands for."""
    fall: bool = field(init=False)
    """Whether one of them was a fall."""

    def __post_init__(self) -> None:
        self.fall = self.signal.type is SignalType.FALL


def ingest(tx: Tx, house: House, batch: Batch) -> list[Receipt]:
    """Take one batch. Returns a receipt for each of its signals, in order."""
    sight.heard(tx, batch.gateway, batch.canary_every_s, batch.canaries)
    if batch.signals:
        partitions.hold(tx.conn)
    signals.hold_residents(tx.conn, {s.t for s in batch.signals})
    ids = {s.t for s in batch.signals} | {h.t for h in batch.heartbeats}
    known = signals.terminals(tx.conn, ids | {s.t for s in batch.statuses})
    now_ms = to_ms(tx.now)
    on_time = tx.now - LATE
    looked = [(s, _seen_at(s, tx.now)) for s in batch.signals]
    rows = {
        (s.t, s.boot, s.seq): (
            s.t, s.boot, s.seq, s.type.value, s.ts, now_ms, seen_at < on_time, s.test,
        )  # as in events.COLUMNS
        for s, seen_at in looked if s.t in known
    }  # fmt: skip
    tx.give_way()
    fresh = events.insert(tx.conn, list(rows.values()), known)
    tx.give_way()
    receipts: list[Receipt] = []
    new: list[_New] = []
    for s, seen_at in looked:
        identity = (s.t, s.boot, s.seq)
        if s.t not in known:
            quarantine.unknown(
                tx, house, s.t, s.type, (s.boot, s.seq), test=s.test, seen_at=seen_at
            )
            receipts.append(Receipt(*identity, "quarantined"))
        elif identity in fresh:
            fresh.discard(identity)  # the same event twice in one batch counts once
            new.append(_New(s, known[s.t], seen_at, seen_at < on_time))
            receipts.append(Receipt(*identity, "stored"))
        else:
            receipts.append(Receipt(*identity, "duplicate"))
    _journal_signals(tx, new)
    for press in _presses(new):
        _alarm_at_least(tx, house, press)
    tx.give_way()
    _signs_of_life(tx, house, new)
    tx.give_way()
    for n in new:
        _help_wanted(tx, n)
        _device_facts(tx, house, n)
    _mains(tx, house, new)
    words = presence.Words(batch.heartbeats, batch.statuses, [n.signal for n in new])
    parents.bridges_back(tx, presence.update(tx, house, known, words))
    for terminal_id in {s.t for s in batch.statuses if s.s == "lost"} - known.keys():
        quarantine.lost(tx, house, terminal_id)
    presence.command_acks(tx, batch.cmd_acks)
    _left_behind(tx, house, known)
    for reject in batch.rejects:
        quarantine.rejected(tx, house, reject)
    tx.give_way()  # what is left are the journal and the commit
    return receipts


def _occurred_at(s: SignalIn) -> datetime | None:
    return from_ms(s.ts) if s.ts is not None else None


def _seen_at(s: SignalIn, now: datetime) -> datetime:
    reached_gateway_at = now - timedelta(milliseconds=s.held_ms)
    # A second sending is no live event either: the first one may have met our own outage.
    kept = s.buffered or s.attempt > 1
    if not kept:
        return reached_gateway_at  # as rounds.seen_at says, without asking it 10,000 times a second
    return rounds.seen_at(reached_gateway_at, _occurred_at(s), clock_ok=s.ts_ok, buffered=kept)


def _journal_signals(tx: Tx, new: Sequence[_New]) -> None:
    journal.append(
        tx,
        [
            {
                "kind": "signal",
                "building_id": n.terminal.building_id,
                "flat_id": n.terminal.flat_id,
                "data": {
                    "type": n.signal.type.value, "terminal": n.signal.t,
                    "boot": n.signal.boot, "seq": n.signal.seq,
                    **({"late": True} if n.late else {}),
                    **({"test": True} if n.signal.test else {}),
                    # Heard of while away: shown, and it ends nothing.
                    **({"away": True} if n.terminal.state == "paused" else {}),
                },
            }
            for n in new
        ],
    )  # fmt: skip


def _presses(new: Sequence[_New]) -> list[_New]:
    """The alarms and what takes them back, in order. What a terminal that presses without end says
    after its second press is counted on that one: acting on each would keep others waiting."""
    found: list[_New] = []
    open_runs: dict[tuple[str, bool], list[_New]] = {}
    for n in new:
        if n.signal.type is SignalType.SOS_CANCEL:
            open_runs.clear()
        elif n.signal.type not in ALARMS:
            continue
        else:
            run = open_runs.setdefault((n.signal.t, n.signal.test), [])
            if len(run) == 2:  # the first may open the alert, and the next is its second press
                run[1].times += 1
                run[1].fall |= n.fall
                continue
            run.append(n)
        found.append(n)
    return found


def _alarm_at_least(tx: Tx, house: House, n: _New) -> None:
    """An alert that can't be read, or a mistake of ours, must cost no press and none of the batch's
    others: then it is the care centre's, as of a terminal that nobody was given."""
    about = raising.sos_subject(n.terminal.resident_id, n.signal.t)
    for _ in range(2):
        try:
            with tx.attempt():
                _alarm(tx, house, n)
            return
        except alerts.CORRUPT:
            log.exception("a press could not be acted on; staff are told of which terminal")
        _tell_staff(tx, house, n)
        if not mending.mended_about(tx, house, [about]):
            break
    if n.signal.type not in ALARMS:
        return
    try:
        with tx.attempt():
            _press(tx, house, n, resident_id=None, building_id=None)
    except alerts.CORRUPT:
        log.exception("a press could not be given to the care centre; all of it is texted")
        if not n.terminal.simulated:  # nobody lives in a rehearsal
            raising.past_the_rota(
                tx, house, n.signal.t, fall=n.signal.type is SignalType.FALL,
                test=n.signal.test, pressed_at=n.seen_at,
            )  # fmt: skip


def _tell_staff(tx: Tx, house: House, n: _New) -> None:
    """That a press could not be acted on. It must not cost the press its last resort."""
    try:
        with tx.attempt():
            raising.fault(
                tx, house, Fault.BROKEN_ALERT, n.signal.t, building_id=n.terminal.building_id,
                resident_id=n.terminal.resident_id, terminal_id=n.signal.t,
            )  # fmt: skip
    except alerts.CORRUPT:
        log.exception("nor could staff be told of it")


def _press(
    tx: Tx, house: House, n: _New, *, resident_id: int | None, building_id: int | None
) -> None:
    raising.sos(
        tx,
        house,
        terminal_id=n.signal.t,
        identity=(n.signal.boot, n.signal.seq),
        resident_id=resident_id,
        building_id=building_id,
        fall=n.fall,
        # Of a rehearsal: told as a test (to its list), no sound, no call to 120.
        test=n.signal.test or bool(n.terminal.simulated),
        late=n.late,
        pressed_at=n.seen_at,
        times=n.times,
    )


def _alarm(tx: Tx, house: House, n: _New) -> None:
    s = n.signal
    if s.type in ALARMS:
        _press(
            tx, house, n, resident_id=n.terminal.resident_id, building_id=n.terminal.building_id
        )
    elif s.type is SignalType.SOS_CANCEL:
        subject = raising.sos_subject(n.terminal.resident_id, s.t)
        for stored in alerts.open_by_subject(tx.conn, [subject]).values():
            decision = core.decide(
                effects.situation(tx, stored), core.ResidentCancelled(), tx.now
            )
            effects.commit(tx, house, stored, decision)


_Awaited = dict[tuple[int, int, str | None], rounds.Awaited]
"""Nearly all wait for the same round."""


def _due_after(
    community: CommunityFacts, row: signals.Known, seen: Sequence[datetime], awaited: _Awaited
) -> int | None:
    """A resident's next deadline after these signs of life. Raises one of CORRUPT."""
    due_ms = row.next_due_ms
    # Every sign counts for its own round: a press after the deadline must not hide one before.
    for each in sorted(seen):
        if due_ms is None:
            break
        key = community.id, due_ms, row.risk_class
        if key not in awaited:
            plans = community.plans_of(row.risk_class or "")
            awaited[key] = rounds.awaited(plans, community.zone, from_ms(due_ms))
        due = awaited[key].after_sign_of_life(each)
        due_ms = due_ms if due is None else to_ms(due)
    return due_ms


def _last_sign(row: signals.Known, newest: datetime) -> int:
    """When a resident was last heard of. Raises one of CORRUPT."""
    newest_ms, before_ms = to_ms(newest), row.last_sign_ms
    if before_ms is None:
        return newest_ms
    if before_ms > LATEST_MS:
        raise ValueError("the last sign of life is in no year we know")
    return max(newest_ms, before_ms)


def _signs_of_life(tx: Tx, house: House, new: Sequence[_New]) -> None:
    signs: defaultdict[int, list[datetime]] = defaultdict(list)
    terminals: dict[int, signals.Known] = {}
    for n in new:
        resident_id = n.terminal.resident_id
        if resident_id is not None and n.signal.type in SIGNS_OF_LIFE:
            signs[resident_id].append(n.seen_at)
            terminals[resident_id] = n.terminal
    if not signs:
        return
    awaited: _Awaited = {}
    rows = []
    for resident_id, seen in signs.items():
        row = terminals[resident_id]
        community = effects.community(tx, row.building_id, row.community_id)
        assert community is not None, "a resident has a community"
        try:
            due_ms = _due_after(community, row, seen, awaited)
            last_ms = _last_sign(row, max(seen))
        except alerts.CORRUPT:
            # Theirs alone: planned anew by this very sign, and everybody else of the batch counts.
            log.exception("deadline or last sign of resident %s can't be read", resident_id)
            unreadable.resident(tx, house, resident_id, row.building_id, "next_due_at")
            plans = community.plans_of(row.risk_class or "")
            due = rounds.due_anew(plans, community.zone, tx.now, max(seen))
            due_ms = to_ms(due) if row.state == "active" else None
            last_ms = to_ms(max(seen))
        rows.append((resident_id, due_ms, last_ms))
    signals.mark_signs(tx.conn, rows)
    late: defaultdict[int, dict[int, datetime]] = defaultdict(dict)
    for alert_id, resident_id in alerts.open_items(tx.conn, list(signs)):
        late[alert_id][resident_id] = max(signs[resident_id])
    for alert_id, seen_by in late.items():
        heard = partial(_heard_of, tx, house, alert_id, seen_by)
        mending.minding(tx, house, alert_id, heard)


def _heard_of(
    tx: Tx, house: House, alert_id: int, seen_by: Mapping[int, datetime]
) -> None:
    """Late signs of life settle their residents' items, those that count for that round: all that
    one batch brings at once, so that people are told once."""
    stored = alerts.load(tx.conn, alert_id)
    assert stored is not None
    community = effects.community(tx, stored.row["building_id"])
    assert community is not None, "a worklist is a house's"
    deadline = stored.row["round_due_at"]
    counting = [
        resident_id for resident_id, seen_at in seen_by.items()
        if rounds.clears(community.plans, community.zone, deadline, seen_at)
    ]  # fmt: skip
    decision = core.decide(effects.situation(tx, stored), core.CheckedIn(counting), tx.now)
    effects.commit(tx, house, stored, decision, resident_ids=counting)


def _help_wanted(tx: Tx, n: _New) -> None:
    """A help request of the resident's own, which can wait. The press has counted as a sign of life
    already, and whatever becomes of the request, that stands."""
    s, resident_id = n.signal, n.terminal.resident_id
    if s.type is not SignalType.HELP or s.test or n.terminal.simulated:
        return  # a test means a test, and in a rehearsal nobody wants anything
    if resident_id is None or n.terminal.state == "ended":
        return
    try:
        with tx.attempt():
            by_terminal.ask(
                tx, terminal_id=s.t, resident_id=resident_id, want=Want(s.want or Want.OTHER),
                key=f"terminal:{s.t}:{s.boot}:{s.seq}",
            )  # fmt: skip
    except NO_REQUEST:
        log.exception("a help request of terminal %s could not be written down", s.t)


def _device_facts(tx: Tx, house: House, n: _New) -> None:
    what = FAULTS.get(n.signal.type)
    if what is not None:
        raising.fault(
            tx, house, what, n.signal.t, building_id=n.terminal.building_id,
            resident_id=n.terminal.resident_id, terminal_id=n.signal.t,
        )  # fmt: skip


def _mains(tx: Tx, house: House, new: Sequence[_New]) -> None:
    """Losses of mains are judged a little later, with their neighbours (service/parents.py). What
    counts is what a terminal said last, not what came last: a loss that had to be sent again may
    come after the word that it is over, and a house would be dark for ever."""
    spoke = {n.signal.t for n in new if n.signal.type in devices.MAINS}
    if not spoke:
        return
    last = devices.last_of_mains(tx.conn, spoke, tx.now - SAME_STORY)
    lost = [t for t, what in last.items() if what == SignalType.MAINS_LOST]
    if lost:
        devices.mains_lost(tx.conn, lost, tx.now, tx.now + parents.MAINS_WAIT)
    if back := [t for t in last if t not in lost]:
        devices.mains_back(tx.conn, back)
        raising.fault_over(tx, house, Fault.MAINS_LOST, back)


def _left_behind(tx: Tx, house: House, known: Mapping[str, signals.Known]) -> None:
    """The terminal of somebody who has died or moved away still speaks: it is to be fetched. What
    it says counts all the same; an SOS of it calls the stewards as ever."""
    for terminal_id, row in known.items():
        if row.state == "ended":
            raising.fault(
                tx, house, Fault.TERMINAL_LEFT_BEHIND, terminal_id,
                building_id=row.building_id, resident_id=row.resident_id,
                terminal_id=terminal_id,
            )  # fmt: skip
