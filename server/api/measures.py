"""`/metrics` for Prometheus: the process's own figures, and the database's at this instant.

It has a token of its own and is off without one. "Loopback only" would be no protection: behind a
reverse proxy on the same machine everybody comes from the loopback address.
"""

import hmac
import logging
from collections.abc import Iterator
from datetime import timedelta

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server.api.answers import JSON, Told
from server.api.deps import RuntimeDep
from server.metrics import REGISTRY
from server.service import sight
from server.store import gauges

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])
TOKEN: Told = {
    401: {"description": "Not the metrics token", "content": JSON},
    403: {"description": "XUNLOU_METRICS_TOKEN is not set", "content": JSON},
}
LANES = {0: "sos", 1: "rounds"}


class Figures(Response):
    """Prometheus' text."""

    media_type = CONTENT_TYPE_LATEST


@router.get("/metrics", response_class=Figures, responses=TOKEN)
async def metrics(request: Request, runtime: RuntimeDep) -> Response:
    """Figures in Prometheus' text format; needs `Authorization: Bearer <XUNLOU_METRICS_TOKEN>`."""
    wanted = runtime.settings.metrics_token
    if wanted is None:
        raise HTTPException(403, "nobody may look until XUNLOU_METRICS_TOKEN is set")
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {wanted.get_secret_value()}".encode()):
        raise HTTPException(401, "send the metrics token: Authorization: Bearer <token>")
    now = runtime.clock.now()
    second = timedelta(seconds=1) * runtime.clock.speed
    try:
        seen, canary_age_s = await runtime.database.read(
            lambda c: (gauges.look(c, now), sight.canary_age_s(c, now, second))
        )
    except Exception:
        # The process' own figures are worth most just when the database is gone.
        log.exception("the database could not be asked for its figures")
        seen, canary_age_s = None, None
    registry = CollectorRegistry()
    registry.register(Snapshot(seen, runtime.feed.listening, canary_age_s))
    page = generate_latest(REGISTRY) + generate_latest(registry)
    return Figures(page)


class Snapshot(Collector):
    """The gauges of one scrape; `seen` is None when the database could not be read."""

    def __init__(
        self, seen: gauges.Seen | None, feed_clients: int, canary_age_s: float | None
    ) -> None:
        self._seen = seen
        self._feed_clients = feed_clients
        self._canary_age_s = canary_age_s

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families; those of the database are absent, never zero, when it can't be read."""
        yield GaugeMetricFamily(
            "xunlou_feed_clients", "Open live feeds (walls)", self._feed_clients
        )
        yield GaugeMetricFamily(
            "xunlou_database_up", "1 while the database can be read", int(self._seen is not None)
        )
        if self._canary_age_s is not None:
            yield GaugeMetricFamily(
                "xunlou_canary_age_seconds",
                "Since the newest canary that came through the whole chain was sent",
                self._canary_age_s,
            )
        if self._seen is not None:
            yield from _of_database(self._seen)


def _of_database(seen: gauges.Seen) -> Iterator[GaugeMetricFamily]:
    outbox = GaugeMetricFamily(
        "xunlou_outbox_messages", "Messages that have not left for good, by lane and state",
        labels=("lane", "state"),
    )  # fmt: skip
    oldest = GaugeMetricFamily(
        "xunlou_outbox_oldest_seconds", "Age of the oldest message that has not left, 0 if none",
        labels=("lane",),
    )  # fmt: skip
    lanes = LANES | {lane: str(lane) for lane in seen.outbox_oldest_s if lane not in LANES}
    for lane, name in lanes.items():
        oldest.add_metric([name], seen.outbox_oldest_s.get(lane, 0.0))
        for state in ("queued", "sending"):
            outbox.add_metric([name, state], seen.outbox.get((lane, state), 0))
    yield outbox
    yield oldest
    yield GaugeMetricFamily(
        "xunlou_commands_waiting", "Commands to terminals that no broker has yet", seen.commands
    )
    alerts = GaugeMetricFamily(
        "xunlou_alerts_open", "Alerts that are not resolved, by kind and state",
        labels=("kind", "state"),
    )  # fmt: skip
    for kind in ("sos", "missed", "fault"):
        for state in ("open", "accepted", "on_scene"):
            alerts.add_metric([kind, state], seen.alerts.get((kind, state), 0))
    yield alerts
    overdue = GaugeMetricFamily(
        "xunlou_overdue_seconds", "For how long the most overdue thing has been due, by kind",
        labels=("what",),
    )  # fmt: skip
    for what, seconds in seen.overdue_s.items():
        overdue.add_metric([what], seconds)
    yield overdue
    if seen.gateway_heard_s is not None:
        yield GaugeMetricFamily(
            "xunlou_gateway_heard_seconds", "Since when no gateway was heard",
            seen.gateway_heard_s,
        )  # fmt: skip
    size = GaugeMetricFamily(
        "xunlou_database_bytes", "Size of the database; `wal` on SQLite only", labels=("file",)
    )
    for file, count in seen.database_bytes.items():
        size.add_metric([file], count)
    yield size
