"""Opening alerts: an SOS, a fault. One open alert a subject. (Missed rounds: worklists.py.)"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from server.core import alerts as core
from server.core.emergency import emergency
from server.core.ladder import Policy
from server.core.messages import Subject, compose
from server.core.words import Fault, Kind, Outcome, Role, Template
from server.database import Stale, Tx
from server.service import effects, measuring
from server.service.house import House
from server.store import alerts, opening, outbox, rosters, signals
from server.tables import to_ms

TRY_AGAIN = timedelta(seconds=60)


def _open(
    tx: Tx, house: House, alert: core.Alert, why: dict[str, Any], **facts: Any
) -> alerts.Stored | None:
    """Create, take the first step, queue its messages. None: somebody else opened it first."""
    decision = None
    if alert.ladder is not None:
        # Decided before it is stored: an SOS is written once, not opened and then changed.
        decision = core.open_alert(alert, effects.roster_of(tx, facts), tx.now)
    first = decision.alert if decision else alert
    if alert.kind is Kind.SOS:
        clock = emergency(first, tx.now, test=facts["test"])
        # A press that waited long for a line asks for 120 at once.
        facts["emergency_look_at"] = tx.now if clock.prompts(tx.now) else clock.look_at
    stored = opening.create(tx.conn, first, tx.now, **facts)
    if stored is None:
        return None
    measuring.opened(tx, alert.kind)
    effects.entry_(tx, stored, "alert_opened", **why)
    if decision is not None:
        effects.entry_(tx, stored, decision.reason.value)
        effects.enact(tx, house, stored, decision.effects)
    return stored


def sos_subject(resident_id: int | None, terminal_id: str) -> str:
    """What a press is about: one open SOS a resident, or a terminal that nobody was given."""
    return f"sos:{resident_id}" if resident_id is not None else f"sos:terminal:{terminal_id}"


def sos(
    tx: Tx,
    house: House,
    *,
    terminal_id: str,
    identity: tuple[int, int] | None,
    resident_id: int | None,
    building_id: int | None,
    fall: bool,
    test: bool,
    late: bool,
    pressed_at: datetime,
    times: int = 1,
) -> alerts.Stored:
    """A press for help (or a fall): a new alert, or one more press on the resident's open one.
    `identity`: boot and seq; without one nothing can be said to the terminal about it. `times`: as
    often was it pressed on an alert that is open, in one breath."""
    boot, seq = identity or (None, None)
    about = sos_subject(resident_id, terminal_id)
    open_now = alerts.open_by_subject(tx.conn, [about]).get(about)
    if open_now is not None and open_now.row["test"] and not test:
        _end_drill(tx, house, open_now)
    elif open_now is not None:
        decision = core.decide(
            effects.situation(tx, open_now), core.PressedAgain(fall, times), tx.now
        )
        return effects.commit(tx, house, open_now, decision, presses=decision.alert.presses)
    community = effects.community(tx, building_id)
    ladder = (
        house.ladder_at(Policy.SOS, tx.now, community.zone) if community is not None else None
    )
    stored = _open(
        tx,
        house,
        core.Alert(
            kind=Kind.SOS, ladder=ladder, opened_at=tx.now, fall=fall, pressed_at=pressed_at
        ),
        {"boot": boot, "seq": seq, "terminal": terminal_id, "late": late or None},
        subject=about,
        resident_id=resident_id,
        building_id=building_id,
        terminal_id=terminal_id,
        boot=boot,
        seq=seq,
        test=test,
        late=late,
    )
    if stored is None:
        raise Stale(f"{about} was opened by another writer since we looked")
    return stored


def past_the_rota(
    tx: Tx, house: House, terminal_id: str, *, fall: bool, test: bool, pressed_at: datetime
) -> None:
    """The last resort for a press that failed twice, as when who stands behind the ladder can't be
    told: everybody who ever has the duty is texted, without rota and absences, and an alert stays
    open whose ladder is tried again every minute. Pressed again, they are texted again, at most
    once a minute."""
    community = effects.community(tx, None)
    assert community is not None, "a terminal that is known has a community"
    alert = core.Alert(
        kind=Kind.SOS, ladder=house.ladder_at(Policy.SOS, tx.now, community.zone),
        opened_at=tx.now, fall=fall, pressed_at=pressed_at, next_step_at=tx.now + TRY_AGAIN,
    )  # fmt: skip
    about = sos_subject(None, terminal_id)
    stored = opening.create(
        tx.conn, alert, tx.now, subject=about, terminal_id=terminal_id, test=test,
        emergency_look_at=emergency(alert, tx.now, test=test).look_at,
    )  # fmt: skip
    if stored is not None:
        effects.entry_(tx, stored, "alert_opened", terminal=terminal_id)
    else:
        stored = alerts.shown(tx.conn, alerts.open_ids(tx.conn, [about])[0])
        assert stored is not None, "one on this subject is open"
    subject = Subject(building=0, terminal=terminal_id, code=stored.row["code"], test=test)
    with contextlib.suppress(*alerts.CORRUPT):  # where its door can be read, it is named
        subject = effects.subject_of(tx, stored)
    for person in rosters.desk(tx.conn):
        outbox.enqueue(
            tx.conn, alert_id=stored.id, person_id=person["id"], role=Role.DUTY.value, step=-1,
            attempt=to_ms(tx.now) // 60_000, template=Template.DUTY.value, lane=effects.SOS_LANE,
            phone=person["phone"], due_at=tx.now, created_at=tx.now,
            body=compose(Template.DUTY, subject, person["lang"], "", house.ways),
        )  # fmt: skip
    tx.queued(effects.SOS_LANE)


def unplaced(
    tx: Tx,
    house: House,
    what: Fault,
    terminal_id: str,
    *,
    new: bool,
    fall: bool,
    pressed_at: datetime,
    test: bool = False,
    detail: str = "",
) -> None:
    """A press that can be given to no resident: of a terminal unknown, lost or revoked, or in bytes
    that can't be read. Staff see what is wrong (`what`); if the press is `new`, the care centre is
    called to find out who it was, as for a terminal that nobody was given. Where a resident of the
    terminal has an open SOS already, somebody has been called. A simulated terminal calls nobody.
    """
    known = signals.terminals(tx.conn, [terminal_id]).get(terminal_id)
    resident_id = known.resident_id if known else None
    fault(
        tx, house, what, terminal_id, terminal_id=terminal_id, detail=detail,
        building_id=known.building_id if known else None, resident_id=resident_id,
    )  # fmt: skip
    if not new or signals.is_simulated(tx.conn, terminal_id):
        return
    if resident_id is not None:
        open_now = alerts.open_by_subject(tx.conn, [sos_subject(resident_id, terminal_id)])
        if any(not stored.row["test"] for stored in open_now.values()):
            return
    sos(
        tx, house, terminal_id=terminal_id, identity=None, resident_id=None, building_id=None,
        fall=fall, test=test, late=False, pressed_at=pressed_at,
    )  # fmt: skip


def _end_drill(tx: Tx, house: House, drill: alerts.Stored) -> None:
    """A drill is open and a real press comes: it gets an alert of its own, with words, clock and
    ladder of its own. What of the drill still waits to be sent is not sent; nobody is told that it
    ended, and the terminal is not: the next thing they hear is the call for help."""
    actor = core.Actor(None, "system", Role.OPERATOR)
    decision = core.decide(
        effects.situation(tx, drill), core.Resolve(actor, Outcome.OTHER), tx.now
    )
    quiet = tuple(e for e in decision.effects if isinstance(e, core.CancelQueued))
    effects.commit(
        tx, house, drill, replace(decision, effects=quiet), outcome=Outcome.OTHER.value,
        real_press=True,
    )  # fmt: skip


def mind_emergency(tx: Tx, house: House, alert_id: int) -> None:
    """Look at an SOS's clock of 120: when it asks for the call, put that into the journal and tell
    whoever has the duty, once, unless the ladder has just told them; and say when to look again."""
    stored = alerts.load(tx.conn, alert_id)
    assert stored is not None
    clock = emergency(stored.alert, tx.now, test=stored.row["test"])
    since = stored.row["emergency_since"]
    now_since = clock.begins_at if clock.prompts(tx.now) else None
    alerts.set_facts(
        tx.conn, alert_id, emergency_look_at=clock.look_at, emergency_since=now_since
    )
    if now_since is not None and since is None:
        effects.entry_(
            tx, stored, "emergency_prompted", since=now_since.isoformat(),
            nobody_going=not stored.alert.responders,
        )  # fmt: skip
        if not outbox.said(tx.conn, alert_id, Template.CALL_120):
            situation = effects.situation(tx, stored)
            effects.enact(tx, house, stored, core.duty_hears(situation, tx.now))


def subject(what: Fault, about: str) -> str:
    """What one open fault is about: the same trouble of the same thing is one fault."""
    return f"fault:{what.value}:{about}"


def fault(
    tx: Tx,
    house: House,
    what: Fault,
    about: str,
    *,
    building_id: int | None = None,
    resident_id: int | None = None,
    terminal_id: str | None = None,
    detail: str = "",
) -> alerts.Stored | None:
    """A fault for staff to see, once while it lasts. None when it is open already."""
    return _open(
        tx,
        house,
        core.Alert(kind=Kind.FAULT, ladder=None, opened_at=tx.now),
        {"fault": what.value},
        subject=subject(what, about),
        fault=what.value,
        building_id=building_id,
        resident_id=resident_id,
        terminal_id=terminal_id,
        detail=detail,
    )


def broken(tx: Tx, house: House, alert_id: int) -> None:
    """An alert that could not be acted on: staff look after it."""
    fault(tx, house, Fault.BROKEN_ALERT, str(alert_id), detail=str(alert_id))


def fault_over(
    tx: Tx,
    house: House,
    what: Fault,
    abouts: Sequence[str],
    *,
    outcome: Outcome = Outcome.RESTORED,
    **why: Any,
) -> None:
    """Faults that mended themselves are closed as such; `why` goes into the journal."""
    subjects = [subject(what, about) for about in abouts]
    for stored in alerts.open_by_subject(tx.conn, subjects).values():
        actor = core.Actor(None, "system", Role.OPERATOR)
        event = core.Resolve(actor, outcome)
        decision = core.decide(effects.situation(tx, stored), event, tx.now)
        effects.commit(tx, house, stored, decision, outcome=outcome.value, **why)
