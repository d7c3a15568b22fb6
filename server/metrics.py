"""What this process counts and times, for Prometheus. docs/metrics.md lists all of it (tested).

Counters are plain increments on the way of a press and may cost nothing more; what can be asked
of the database is asked when somebody scrapes (`store/gauges.py`). It must never hold a name, a
number, a terminal's id or an address: every label's values come from an enumeration of ours.
"""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
"""Ours alone: the library's own registry would add figures nobody documented."""
ProcessCollector(registry=REGISTRY)

_TO_A_DOOR_S = (1, 2, 5, 10, 20, 30, 60, 120, 240, 480, 720, 900, 1200, 1800, 3600)
"""An SOS is to be told in seconds, accepted in minutes, at the door within fifteen (900 s)."""
_FAST_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

REASONS = frozenset({
    "not_utf8", "not_json", "not_object", "oversize", "retained", "bad_topic", "unknown_type",
    "missing_field", "bad_type", "refused",
})  # fmt: skip
"""The contract's reasons (docs/contract.md); what a gateway calls otherwise counts as `other`, so
that nobody's free text becomes a label."""

SIGNALS = Counter(
    "xunlou_signals", "Signals of terminals, by type and what became of them (duplicates too)",
    ("type", "result"), registry=REGISTRY,
)  # fmt: skip
QUARANTINED = Counter(
    "xunlou_quarantined", "What could not be taken in, by the contract's reason",
    ("reason",), registry=REGISTRY,
)  # fmt: skip
OCCURRED_TO_RECEIVED = Histogram(
    "xunlou_signal_transit_seconds",
    "From the press by the device's clock to our receipt of it; live signals with a set clock only",
    buckets=_FAST_S, registry=REGISTRY,
)  # fmt: skip
RECEIVED_TO_COMMITTED = Histogram(
    "xunlou_ingest_seconds", "From a batch's arrival here to its commit, by lane of the write gate",
    ("lane",), buckets=_FAST_S, registry=REGISTRY,
)  # fmt: skip
WRITES_UNDER_WAY = Gauge(
    "xunlou_writes_under_way", "Transactions that wait for the write gate or hold it, by lane",
    ("lane",), registry=REGISTRY,
)  # fmt: skip
SWEEP_SECONDS = Histogram(
    "xunlou_sweep_seconds", "How long one ring of the bell took", buckets=_FAST_S, registry=REGISTRY
)
SWEPT = Counter(
    "xunlou_swept", "Things that were due and have been done, by kind of work",
    ("work",), registry=REGISTRY,
)  # fmt: skip
DELIVERIES = Counter(
    "xunlou_deliveries", "The provider's word on our messages, by channel and outcome",
    ("channel", "outcome"), registry=REGISTRY,
)  # fmt: skip
OPENED = Counter("xunlou_alerts_opened", "Alerts opened, by kind", ("kind",), registry=REGISTRY)
SENT_SECONDS = Histogram(
    "xunlou_alert_sent_seconds", "From an alert's opening to the first message the provider took",
    ("kind",), buckets=_TO_A_DOOR_S, registry=REGISTRY,
)  # fmt: skip
TOLD_SECONDS = Histogram(
    "xunlou_alert_told_seconds", "From an alert's opening to the first message delivered",
    ("kind",), buckets=_TO_A_DOOR_S, registry=REGISTRY,
)  # fmt: skip
ACCEPTED_SECONDS = Histogram(
    "xunlou_alert_accepted_seconds", "From an alert's opening to the first person who goes",
    ("kind",), buckets=_TO_A_DOOR_S, registry=REGISTRY,
)  # fmt: skip
DOOR_SECONDS = Histogram(
    "xunlou_alert_door_seconds", "From an alert's opening to the first person at the door",
    ("kind",), buckets=_TO_A_DOOR_S, registry=REGISTRY,
)  # fmt: skip


def lane(*, urgent: bool) -> str:
    """The label of a lane of the write gate."""
    return "urgent" if urgent else "bulk"


# Looked up once: `labels()` costs more than the increment itself.
_WRITES = {u: WRITES_UNDER_WAY.labels(lane(urgent=u)) for u in (True, False)}
_TAKING = {u: RECEIVED_TO_COMMITTED.labels(lane(urgent=u)) for u in (True, False)}


@contextmanager
def write_under_way(*, urgent: bool) -> Iterator[None]:
    """Counts one transaction as waiting or working for the time of the body."""
    gauge = _WRITES[urgent]
    gauge.inc()
    try:
        yield
    finally:
        gauge.dec()


@contextmanager
def taking(*, urgent: bool) -> Iterator[None]:
    """Times the body as the taking of one batch; a batch that fails is no figure."""
    began = time.perf_counter()
    yield
    _TAKING[urgent].observe(time.perf_counter() - began)


def timed(ring: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """`ring`, with each of its runs timed."""

    async def timed_ring() -> None:
        with SWEEP_SECONDS.time():
            await ring()

    return timed_ring
