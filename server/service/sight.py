"""Our own sight: what gateways and canaries say of it, and what is written down when we are blind.

One outage is one row, one fault while it lasts, one journal entry after it, and, when it lasts
long, one SMS to the duty phones: whoever is away from the screen must hear of it too. Nothing here
judges a resident or a device; it only says when that must not be done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping

from server.core import sight as core
from server.core.messages import Subject, compose
from server.core.words import Fault, Role, Template
from server.database import Tx
from server.service import effects, raising
from server.service.house import House
from server.store import alerts, journal, outbox, rosters, signals
from server.store import sight as store
from server.tables import to_ms

HEARTBEATS_MISSED = 2.5
"""A device is silent when this many of its intervals passed without a word."""
GATEWAY_GAP = timedelta(seconds=60)
"""A gateway that said nothing for so long (it asks for commands every 20 s) left us blind."""
SETTLE = timedelta(seconds=15)
"""After blindness, what was queued comes in first; only then is anybody judged. What the broker
kept is told by the canary; this is for terminals, to come back to it and send again."""
FORGET = timedelta(hours=24)
"""A gateway unheard for so long, while others are heard, was taken out of service."""
TOLD_AFTER = timedelta(minutes=5)
"""Blind for so long, and the duty phones are texted, once an outage."""
ABOUT = "gateway"
FAULTS = (Fault.BLIND, Fault.CANARY_LOST)


@dataclass(frozen=True, slots=True)
class Canary:
    """One canary that came through, and how long ago it was sent. `returned_age_ms`: how long ago
    the newest one was sent whose receipt got back to it, `rtt_ms` after."""

    lane: Literal["sos", "bulk"]
    age_ms: int
    returned_age_ms: int | None = None
    rtt_ms: int | None = None


def limits(real: timedelta) -> core.Limits:
    """The limits, `real` being one real second by the clock (a demo runs faster)."""

    def span(of: timedelta) -> timedelta:
        return of.total_seconds() * real

    return core.Limits(span(GATEWAY_GAP), span(SETTLE), span(FORGET), real)


def _limits(tx: Tx) -> core.Limits:
    return limits(tx.real(timedelta(seconds=1)))


def heard(
    tx: Tx,
    gateway_id: str,
    canary_every_s: float | None = None,
    canaries: Sequence[Canary] = (),
) -> None:
    """A gateway spoke, perhaps of canaries. After a gap, the time since is noted as blind."""
    known = store.gateway(tx.conn, gateway_id)
    if known is None:
        _first_word(tx, gateway_id, canary_every_s)
    else:
        old = tx.now - known.heard_at > _limits(tx).gap / 12  # not a write for every batch
        other_rhythm = canary_every_s is not None and (canary_every_s or None) != known.every_s
        if old or other_rhythm or canaries:
            # On PostgreSQL another of its batches may be writing the row. An SOS must not wait for
            # the end of that one only to say what it says too; a canary is said once, and waits.
            mine = store.hold_gateway(
                tx.conn, gateway_id, wait=other_rhythm or bool(canaries)
            )
            if mine is not None:
                _heard_again(tx, mine, canary_every_s)
    if canaries:
        _canaries(tx, gateway_id, canaries)


def _heard_again(tx: Tx, known: core.Gateway, canary_every_s: float | None) -> None:
    lims = _limits(tx)
    if core.ails(known, tx.now, lims) is core.Part.GATEWAY:
        # While another one sees this is no blindness; the sweep closes what is none.
        _begin(tx, core.look(store.gateways(tx.conn), tx.now, lims))
        store.set_gateway(tx.conn, known.id, last_heard_at=tx.now, resumed_at=tx.now)
    elif tx.now - known.heard_at > lims.gap / 12:
        store.set_gateway(tx.conn, known.id, last_heard_at=tx.now)
    if canary_every_s is not None and (canary_every_s or None) != known.every_s:
        _expect_canaries(tx, known.id, canary_every_s)


def _first_word(tx: Tx, gateway_id: str, canary_every_s: float | None) -> None:
    store.put_gateway(tx.conn, gateway_id, last_heard_at=tx.now, resumed_at=tx.now)
    if canary_every_s:
        _expect_canaries(tx, gateway_id, canary_every_s)
    journal.note(tx, "gateway_heard", gateway=gateway_id)


def _expect_canaries(tx: Tx, gateway_id: str, every_s: float) -> None:
    """From now on canaries are awaited (or, with 0, no longer)."""
    since = tx.now if every_s else None
    store.set_gateway(
        tx.conn, gateway_id, canary_every_s=every_s or None, canary_sos_at=since,
        canary_bulk_at=since, canary_returned_at=since,
    )  # fmt: skip


def _canaries(tx: Tx, gateway_id: str, canaries: Sequence[Canary]) -> None:
    known, lims = store.gateway(tx.conn, gateway_id), _limits(tx)
    if known is None or known.every_s is None:
        return

    def sent_at(age_ms: int | None) -> datetime | None:
        return None if age_ms is None else tx.now - age_ms / 1000 * lims.second

    newest: dict[str, Any] = {}

    def later(column: str, before: datetime | None, at: datetime | None) -> None:
        if at is not None and (before is None or at > newest.get(column, before)):
            newest[column] = at

    for c in canaries:
        lane_before = known.sos_at if c.lane == "sos" else known.bulk_at
        later(f"canary_{c.lane}_at", lane_before, sent_at(c.age_ms))
        later("canary_returned_at", known.returned_at, sent_at(c.returned_age_ms))
        if c.rtt_ms is not None:
            newest["canary_rtt_ms"] = c.rtt_ms
    if not newest:
        return
    was = core.ails(known, tx.now, lims)
    store.set_gateway(tx.conn, gateway_id, **newest)
    after = store.gateway(tx.conn, gateway_id)
    assert after is not None, "its row was changed in this very transaction"
    blinding = (core.Part.BROKER, core.Part.SOS_LANE, core.Part.BULK_LANE)
    if was in blinding and core.ails(after, tx.now, lims) not in blinding:
        # The sweep may not have looked in time: the outage is written down all the same.
        _begin(tx, core.look([*_others(tx, gateway_id), known], tx.now, lims))
        # What was published while this canary was on its way still stands behind it: judging waits
        # for one that is sent from now on.
        store.set_gateway(tx.conn, gateway_id, resumed_at=tx.now)


def _others(tx: Tx, gateway_id: str) -> list[core.Gateway]:
    return [g for g in store.gateways(tx.conn) if g.id != gateway_id]


def _begin(tx: Tx, seen: core.Sight) -> None:
    if seen.blind is not None and seen.since is not None:
        store.begin(tx.conn, seen.since, seen.blind.value)


def blind(tx: Tx, house: House) -> bool:
    """Whether nobody can be judged: we are blind, or what was queued is still coming in.

    Keeps the faults and the interval that say so.
    """
    seen = core.look(store.gateways(tx.conn), tx.now, _limits(tx))
    _tell_impaired(tx, house, seen.impaired)
    if seen.blind is not None:
        assert seen.since is not None, "whoever is blind was seeing before"
        _begin(tx, seen)
        row = store.current(tx.conn)
        assert row is not None, "an interval was begun in this very transaction"
        if seen.blind.value not in row["parts"] or row["ended_at"] is not None:
            parts = list(dict.fromkeys([*row["parts"], seen.blind.value]))
            store.change(tx.conn, row["id"], parts=parts, ended_at=None)
        detail = f"{seen.blind.value} {seen.since.isoformat(timespec='seconds')}"
        fault = raising.fault(tx, house, Fault.BLIND, ABOUT, detail=detail)
        if fault is not None:
            journal.note(tx, "blind", part=seen.blind.value, blind_from=seen.since.isoformat())
        _tell_duty(tx, row["id"], row["started_at"], row["told_at"], seen.blind)
        return True
    raising.fault_over(tx, house, Fault.BLIND, [ABOUT])
    row = store.current(tx.conn)
    if row is not None and row["ended_at"] is None:
        ended_at = max(row["started_at"], seen.back_at or tx.now)
        store.change(tx.conn, row["id"], ended_at=ended_at)
    if not seen.settled:
        return True
    if row is not None:
        _drained(tx, row["id"])
    return False


def _drained(tx: Tx, interval_id: int) -> None:
    """The outage is over and what was queued is in: devices get their intervals anew (nobody could
    hear them), the outage is told, and judging goes on."""
    row = store.current(tx.conn)
    assert row is not None
    assert row["id"] == interval_id
    parts = row["parts"]
    up_since = tx.up_since
    if parts == [core.Part.GATEWAY.value] and up_since is not None and (
        row["started_at"] < up_since <= row["ended_at"] < up_since + tx.real(GATEWAY_GAP)
    ):
        parts = [core.Part.SERVER.value]  # it was not the gateway that could not be heard
    store.change(tx.conn, interval_id, current=None, drained_at=tx.now, parts=parts)
    signals.heartbeats_anew(tx.conn, tx.now, HEARTBEATS_MISSED)
    journal.note(
        tx, "sight_regained", parts=parts, blind_from=row["started_at"].isoformat(),
        blind_to=row["ended_at"].isoformat(), drained=tx.now.isoformat(),
    )  # fmt: skip


def _tell_impaired(tx: Tx, house: House, impaired: Mapping[str, core.Part]) -> None:
    """One fault for each gateway that fails while others see, with the part in its detail."""
    standing = _impaired(alerts.open_faults(tx.conn, [Fault.CANARY_LOST]))
    about = {g: part.value for g, part in impaired.items()}
    over = [g for g, detail in standing.items() if about.get(g) != detail]
    if over:
        raising.fault_over(tx, house, Fault.CANARY_LOST, over)
    for g, detail in about.items():
        if standing.get(g) != detail:
            raising.fault(tx, house, Fault.CANARY_LOST, g, detail=detail)


def _impaired(faults: Sequence[RowMapping]) -> dict[str, str]:
    """What is said now, by gateway."""
    prefix = raising.subject(Fault.CANARY_LOST, "")
    mine = [f for f in faults if f["fault"] == Fault.CANARY_LOST]
    return {f["subject"].removeprefix(prefix): f["detail"] for f in mine}


def _tell_duty(
    tx: Tx, interval_id: int, since: datetime, told_at: datetime | None, part: core.Part
) -> None:
    """One SMS to each duty phone when the outage has lasted long."""
    if told_at is not None or tx.now - since < tx.real(TOLD_AFTER):
        return
    store.change(tx.conn, interval_id, told_at=tx.now)
    waited = int((tx.now - since) / tx.real(timedelta(minutes=1)))
    for person in rosters.on_duty(tx.conn, tx.now):
        body = compose(
            Template.BLIND, Subject(building=0, waited_min=waited), person.lang,
            f"part.{part.value}",
        )  # fmt: skip
        outbox.enqueue(
            tx.conn, alert_id=None, person_id=person.id, role=Role.DUTY.value, step=-1,
            attempt=to_ms(tx.now), template=Template.BLIND.value, lane=effects.ROUND_LANE,
            phone=person.phone, body=body, due_at=tx.now, created_at=tx.now,
        )  # fmt: skip
    journal.note(tx, "blind_told", minutes=waited, part=part.value)
    tx.queued(effects.ROUND_LANE)


def worth_a_look(
    conn: Connection, now: datetime, real: timedelta, faults: Sequence[RowMapping]
) -> bool:
    """Whether `blind` would change or decide anything, beside an outage that is not drained yet;
    asked without the write lock. `faults`: those that are open, of our kinds among others."""
    seen = core.look(store.gateways(conn), now, limits(real))
    if seen.blind is not None or any(f["fault"] == Fault.BLIND for f in faults):
        return True
    return {g: p.value for g, p in seen.impaired.items()} != _impaired(faults)


def canary_age_s(conn: Connection, now: datetime, real: timedelta) -> float | None:
    """How old the newest proof of the whole chain is, in real seconds: the best gateway's older
    lane. None while no gateway sends canaries."""
    sent = [min(g.sos_at, g.bulk_at) for g in store.gateways(conn) if g.sos_at and g.bulk_at]
    return max(0.0, (now - max(sent)) / real) if sent else None
