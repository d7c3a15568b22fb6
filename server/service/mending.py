"""Alerts whose rows can't be read any more: a disk's fault, a hand in the database, a bug of ours.

Whoever pressed still waits at the door, so such an alert is made readable again: with today's
ladder; where more is lost, with nobody on the way; where its step is lost, from the first. It must
never stay one that nobody can climb, take on or close; and it must cost no other alert its time.
"""

import logging
from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import RowMapping

from server.core import alerts as core
from server.core.ladder import Policy
from server.core.words import Kind, State
from server.database import Tx
from server.service import effects, raising
from server.service.house import House
from server.store import alerts

log = logging.getLogger(__name__)
WHERE_IT_STOOD: dict[str, Any] = {
    "state": State.OPEN.value, "responders": [], "declined": [], "lease_until": None,
    "news_at": None,
}  # fmt: skip
"""Nobody is known to be on the way, and the ladder goes on from the step it had come to: whoever
was told before would get no second message of the same step."""
AT_FIRST: dict[str, Any] = {
    **WHERE_IT_STOOD, "step": 0, "presses": 1, "again_at": None, "outcome": None,
    "resolved_at": None, "pressed_at": None,
}  # fmt: skip
"""An alert as it opens. Who was on their way is called once more: better twice than nobody."""


def minding(tx: Tx, house: House, alert_id: int, act: Callable[[], object]) -> bool:
    """Do something with an alert that may be spoilt: mend it where it is, and try again. False when
    that did not help; staff see which one it is either way."""
    for _ in range(2):
        try:
            with tx.attempt():
                act()
            return True
        except alerts.CORRUPT:
            log.exception("alert %s could not be acted on", alert_id)
        raising.broken(tx, house, alert_id)
        if mended(tx, house, alert_id) is None:
            break
    return False


def happens(tx: Tx, house: House, alert_id: int, event: core.Event, **why: Any) -> bool:
    """Decide and save what an event that no person brings about does to an alert (its time has
    come, a text was lost), as `minding` does; `why` goes into the journal."""

    def act() -> None:
        stored = alerts.load(tx.conn, alert_id)
        assert stored is not None
        decision = core.decide(effects.situation(tx, stored), event, tx.now)
        effects.commit(tx, house, stored, decision, **why)

    return minding(tx, house, alert_id, act)


def mended(tx: Tx, house: House, alert_id: int) -> alerts.Stored | None:
    """Make a spoilt alert readable. None when there is nothing to mend, or it can't be."""
    try:
        with tx.attempt():
            if _can_be_read(tx, alert_id):
                return None
            alerts.drop_unreadable_instants(tx.conn, alert_id, tx.now)
            row = alerts.row(tx.conn, alert_id)
            if row is None or row["state"] == State.RESOLVED:
                return None
            stored = alerts.repaired(tx.conn, alert_id, _attempts(tx, house, row))
            effects.entry_(tx, stored, "alert_mended")
    except alerts.CORRUPT:
        log.exception("alert %s could not be mended", alert_id)
        return None
    log.warning("alert %s could not be read and was mended", alert_id)
    return stored


def _attempts(tx: Tx, house: House, row: RowMapping) -> list[dict[str, Any]]:
    """What to put in place of what can't be read, the least first."""
    ladder = {"ladder": _ladder(tx, house, row)}
    now = {"next_step_at": tx.now if ladder["ladder"] else None}
    here = {**WHERE_IT_STOOD, **now}
    # The steps it may have taken before are in the outbox: its messages need numbers of their own.
    passed_s = int((tx.now - row["opened_at"]).total_seconds())
    first = {**AT_FIRST, **now, "repeats": max(1, passed_s)}
    return [{}, ladder, here, {**here, **ladder}, first, {**first, **ladder}]


def mended_about(tx: Tx, house: House, subjects: Collection[str]) -> bool:
    """`mended` for the open alerts on these subjects; whether one was."""
    found = [mended(tx, house, alert_id) for alert_id in alerts.open_ids(tx.conn, subjects)]
    return any(found)


def _can_be_read(tx: Tx, alert_id: int) -> bool:
    try:
        return alerts.load(tx.conn, alert_id) is not None
    except alerts.CORRUPT:
        return False


def _ladder(tx: Tx, house: House, row: RowMapping) -> dict[str, Any] | None:
    """Today's ladder for such an alert; None for a fault, which has none."""
    community = effects.community(tx, row["building_id"])
    if row["kind"] == Kind.FAULT or community is None:
        return None
    policy = Policy.MISSED if row["resident_id"] is None else Policy.MISSED_HIGH_RISK
    if row["kind"] == Kind.SOS:
        policy = Policy.SOS
    return house.ladder_at(policy, tx.now, community.zone).to_json()
