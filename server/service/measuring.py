"""Counts what happened to alerts and messages, each once and only when it is committed.

It must never change anything: a figure that fails is missing, an alert that fails is a person.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from sqlalchemy import RowMapping

from server import metrics
from server.core import alerts as core
from server.core.words import Delivery, Kind
from server.database import Tx
from server.store import alerts, gauges

FIRST = {
    Delivery.SENT: (metrics.SENT_SECONDS, (Delivery.SENT, Delivery.DELIVERED)),
    Delivery.DELIVERED: (metrics.TOLD_SECONDS, (Delivery.DELIVERED,)),
}


def opened(tx: Tx, kind: Kind, count: int = 1) -> None:
    """So many alerts of a kind came up."""
    tx.after.append(partial(metrics.OPENED.labels(kind.value).inc, count))


def decided(tx: Tx, before: alerts.Stored, after: core.Alert) -> None:
    """A decision changed an alert: was it the first to go, the first at the door?"""
    kind, seconds = before.row["kind"], (tx.now - before.row["opened_at"]).total_seconds()
    if after.responders and not before.alert.responders:
        tx.after.append(lambda: metrics.ACCEPTED_SECONDS.labels(kind).observe(seconds))
    if _at_the_door(after) and not _at_the_door(before.alert):
        tx.after.append(lambda: metrics.DOOR_SECONDS.labels(kind).observe(seconds))


def _at_the_door(alert: core.Alert) -> bool:
    return any(r.on_scene_at is not None for r in alert.responders)


def deliveries(tx: Tx, messages: Sequence[RowMapping], state: Delivery) -> None:
    """The provider's word on messages, and of which alerts it is the first such word.

    `messages`: the rows as they were before.
    """
    for channel, count in Counter(message["channel"] for message in messages).items():
        tx.after.append(partial(metrics.DELIVERIES.labels(channel, state.value).inc, count))
    if state not in FIRST:
        return
    figure, as_good = FIRST[state]
    of = {m["id"]: m["alert_id"] for m in messages if m["alert_id"] is not None}
    for kind, opened_at in gauges.first_words(tx.conn, of, as_good):
        seconds = (tx.now - opened_at).total_seconds()
        tx.after.append(partial(figure.labels(kind).observe, seconds))
