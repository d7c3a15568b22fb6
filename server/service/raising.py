"""Opening alerts: an SOS, a building's missed round, a fault. One open alert a subject."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from server.core import alerts as core
from server.core.ladder import Policy
from server.core.words import Fault, Kind, Outcome, Role
from server.database import Tx
from server.service import effects
from server.service.house import House
from server.store import alerts


def _open(
    tx: Tx, house: House, alert: core.Alert, why: dict[str, Any], **facts: Any
) -> alerts.Stored | None:
    """Create, take the first step, queue its messages. None: somebody else opened it first."""
    decision = None
    if alert.ladder is not None:
        # Decided before it is stored: an SOS is written once, not opened and then changed.
        decision = core.open_alert(alert, effects.roster_of(tx, facts), tx.now)
    first = decision.alert if decision else alert
    stored = alerts.create(tx.conn, first, tx.now, **facts)
    if stored is None:
        return None
    effects.entry_(tx, stored, "alert_opened", **why)
    if decision is not None:
        effects.entry_(tx, stored, decision.reason.value)
        effects.enact(tx, house, stored, decision.effects)
    return stored


def sos(
    tx: Tx,
    house: House,
    *,
    terminal_id: str,
    identity: tuple[int, int],
    resident_id: int | None,
    building_id: int | None,
    fall: bool,
    test: bool,
    late: bool,
) -> alerts.Stored:
    """A press for help (or a fall): a new alert, or one more press on the resident's open one."""
    about = f"sos:{resident_id}" if resident_id is not None else f"sos:terminal:{terminal_id}"
    open_now = alerts.open_by_subject(tx.conn, [about]).get(about)
    if open_now is not None:
        decision = core.decide(
            effects.situation(tx, open_now), core.PressedAgain(fall), tx.now
        )
        return effects.commit(tx, house, open_now, decision, presses=decision.alert.presses)
    ladder = house.ladders[Policy.SOS] if resident_id is not None else None
    stored = _open(
        tx,
        house,
        core.Alert(kind=Kind.SOS, ladder=ladder, opened_at=tx.now, fall=fall),
        {"boot": identity[0], "seq": identity[1], "terminal": terminal_id, "late": late or None},
        subject=about,
        resident_id=resident_id,
        building_id=building_id,
        terminal_id=terminal_id,
        boot=identity[0],
        seq=identity[1],
        test=test,
        late=late,
    )
    assert stored is not None, "the subject was free in this very transaction"
    return stored


def missed(
    tx: Tx, house: House, building_id: int, due_at: datetime, items: Sequence[core.Item]
) -> alerts.Stored:
    """The worklist of one building for one round: new, or with flats added to the open one."""
    about = f"missed:{building_id}:{int(due_at.timestamp())}"
    return _missed(
        tx, house, about, items, Policy.MISSED, building_id=building_id, round_due_at=due_at
    )


def missed_alone(
    tx: Tx, house: House, building_id: int, due_at: datetime, item: core.Item
) -> alerts.Stored:
    """A worklist of one resident of class A, with the fast ladder and the key holders."""
    about = f"missed:resident:{item.resident_id}:{int(due_at.timestamp())}"
    return _missed(
        tx, house, about, [item], Policy.MISSED_HIGH_RISK, building_id=building_id,
        resident_id=item.resident_id, round_due_at=due_at,
    )  # fmt: skip


def _missed(
    tx: Tx, house: House, about: str, items: Sequence[core.Item], policy: Policy, **facts: Any
) -> alerts.Stored:
    open_now = alerts.open_by_subject(tx.conn, [about]).get(about)
    if open_now is not None:
        event = core.AddItems(tuple(items))
        decision = core.decide(effects.situation(tx, open_now), event, tx.now)
        return effects.commit(tx, house, open_now, decision)
    alert = core.Alert(
        kind=Kind.MISSED, ladder=house.ladders[policy], opened_at=tx.now, items=tuple(items)
    )
    why = {"flats": [i.flat_id for i in items], "policy": policy.value}
    stored = _open(tx, house, alert, why, subject=about, **facts)
    assert stored is not None, "the subject was free in this very transaction"
    return stored


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


def fault_over(tx: Tx, house: House, what: Fault, abouts: Sequence[str]) -> None:
    """Faults that mended themselves are closed as such."""
    subjects = [subject(what, about) for about in abouts]
    for stored in alerts.open_by_subject(tx.conn, subjects).values():
        actor = core.Actor(None, "system", Role.OPERATOR)
        event = core.Resolve(actor, Outcome.RESTORED)
        decision = core.decide(effects.situation(tx, stored), event, tx.now)
        effects.commit(tx, house, stored, decision, outcome=Outcome.RESTORED.value)
