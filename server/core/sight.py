"""Whether we see: told from what gateways said and which canaries came through. Pure.

A canary is a message the gateway sends itself through the broker, on each of its two lanes, like a
terminal would (docs/contract.md). What counts is when the last one that arrived was *sent*: until
then everything published before it has arrived too, because a broker keeps the order of a session.

It must never call us seeing on a gateway's word alone when that gateway sends canaries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Part(StrEnum):
    """Which part of the chain fails. The worst known one is named."""

    SERVER = "server"
    """We ourselves were down; told only after the fact."""
    GATEWAY = "gateway"
    BROKER = "broker"
    SOS_LANE = "sos_lane"
    BULK_LANE = "bulk_lane"
    RECEIPTS = "receipts"
    """Presses arrive, but our answers do not get back to the terminals."""


LOST_CANARIES = 3
"""A canary is late when so many in a row did not come: one may have been in flight at a restart."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What we know of one gateway. `every_s`: its canaries' interval (real seconds), None when it
    sends none; the instants of canaries are those of their *sending*."""

    id: str
    heard_at: datetime
    resumed_at: datetime
    every_s: float | None = None
    sos_at: datetime | None = None
    bulk_at: datetime | None = None
    returned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Spans of our machinery's time, as the clock counts it. `second` is one real second."""

    gap: timedelta
    settle: timedelta
    forget: timedelta
    second: timedelta


@dataclass(frozen=True, slots=True)
class Sight:
    """What we can tell. `blind`: nothing can be judged, for this part; `since`: the last proof of
    sight. `back_at`: from when on we saw again. `settled`: what was queued has had its time.
    `impaired`: the gateways that fail while others see, or whose receipts fail."""

    blind: Part | None
    since: datetime | None
    back_at: datetime | None
    settled: bool
    impaired: Mapping[str, Part]


def canary_late_after(g: Gateway, limits: Limits) -> timedelta:
    """How old the newest canary of a gateway may be; never under the limit for its silence."""
    return max(limits.gap, LOST_CANARIES * (g.every_s or 0.0) * limits.second)


def ails(g: Gateway, now: datetime, limits: Limits) -> Part | None:
    """What is wrong with the chain through this gateway; None when nothing is known to be."""
    if now - g.heard_at > limits.gap:
        return Part.GATEWAY
    if g.every_s is None or g.sos_at is None or g.bulk_at is None:
        return None
    late = canary_late_after(g, limits)
    sos_late, bulk_late = now - g.sos_at > late, now - g.bulk_at > late
    if sos_late and bulk_late:
        return Part.BROKER
    if sos_late:
        return Part.SOS_LANE
    if bulk_late:
        return Part.BULK_LANE
    # A canary's return is told with the one after it, so one more interval is allowed.
    if g.returned_at is None or now - g.returned_at > late + g.every_s * limits.second:
        return Part.RECEIPTS
    return None


def proof(g: Gateway, part: Part | None) -> datetime:
    """The last instant up to which this gateway certainly carried what terminals said."""
    if part is Part.GATEWAY or g.sos_at is None or g.bulk_at is None:
        return g.heard_at
    return min(g.sos_at, g.bulk_at)


def _drained(g: Gateway) -> bool:
    """Whether a canary sent after this gateway's return has come on both lanes: it stood behind
    everything that was queued."""
    if g.every_s is None or g.sos_at is None or g.bulk_at is None:
        return True
    return min(g.sos_at, g.bulk_at) >= g.resumed_at


def look(gateways: Sequence[Gateway], now: datetime, limits: Limits) -> Sight:
    """The whole verdict. With no gateway ever heard there is nothing to judge by, and nothing
    broken: not blind, not settled."""
    parts = {g.id: ails(g, now, limits) for g in gateways}
    seeing = [g for g in gateways if parts[g.id] in (None, Part.RECEIPTS)]
    if not gateways:
        return Sight(None, None, None, settled=False, impaired={})
    if not seeing:
        best = max(gateways, key=lambda g: g.heard_at)
        since = max(proof(g, parts[g.id]) for g in gateways)
        return Sight(parts[best.id], since, None, settled=False, impaired={})
    settled = any(_drained(g) and now - g.resumed_at >= limits.settle for g in seeing)
    impaired = {
        g.id: part
        for g in gateways
        if (part := parts[g.id]) is not None
        # Not heard for a day: taken out of service, not failing.
        and not (part is Part.GATEWAY and now - g.heard_at > limits.forget)
    }
    back_at = min(g.resumed_at for g in seeing)
    return Sight(None, None, back_at, settled, impaired)
