"""Counts what happened to alerts and messages, each once and only when it is committed.

It must never change anything: a figure that fails is missing, an alert that fails is a person.
"""

from sqlalchemy import RowMapping

from server import metrics
from server.core import alerts as core
from server.core.words import Delivery
from server.database import Tx
from server.store import alerts, gauges

FIRST = {
    Delivery.SENT: (metrics.SENT_SECONDS, (Delivery.SENT, Delivery.DELIVERED)),
    Delivery.DELIVERED: (metrics.TOLD_SECONDS, (Delivery.DELIVERED,)),
}


def opened(tx: Tx, stored: alerts.Stored) -> None:
    """An alert came up."""
    tx.after.append(metrics.OPENED.labels(stored.row["kind"]).inc)


def decided(tx: Tx, before: alerts.Stored, after: core.Alert) -> None:
    """A decision changed an alert: was it the first to go, the first at the door?"""
    kind, seconds = before.row["kind"], (tx.now - before.row["opened_at"]).total_seconds()
    if after.responders and not before.alert.responders:
        tx.after.append(lambda: metrics.ACCEPTED_SECONDS.labels(kind).observe(seconds))
    if _at_the_door(after) and not _at_the_door(before.alert):
        tx.after.append(lambda: metrics.DOOR_SECONDS.labels(kind).observe(seconds))


def _at_the_door(alert: core.Alert) -> bool:
    return any(r.on_scene_at is not None for r in alert.responders)


def delivery(tx: Tx, message: RowMapping, state: Delivery) -> None:
    """The provider's word on a message, and whether it is the alert's first such word.

    `message`: the row as it was before.
    """
    tx.after.append(metrics.DELIVERIES.labels(message["channel"], state.value).inc)
    if state not in FIRST or message["alert_id"] is None:
        return
    figure, as_good = FIRST[state]
    found = gauges.first_word(tx.conn, message["alert_id"], message["id"], as_good)
    if found is not None:
        kind, opened_at = found
        seconds = (tx.now - opened_at).total_seconds()
        tx.after.append(lambda: figure.labels(kind).observe(seconds))
