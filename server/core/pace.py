"""How many messages may leave now: a token bucket for each sender. Pure: `now` is passed in.

A carrier lets a number send only so fast and queues the rest *behind* one another, where no lane
helps any more. So the queue is kept here, and the SOS lane does not wait in it: it takes what it
needs, into debt if need be, and the others wait until the debt is paid.
"""

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Bucket:
    """`per_s` messages a second, at most one second's worth saved up (and never less than one
    message). `per_s` 0: no limit."""

    per_s: float
    level: float = 1.0
    at: datetime | None = None

    @property
    def most(self) -> float:
        """The fullest it gets."""
        return max(1.0, self.per_s)


def refilled(bucket: Bucket, now: datetime) -> Bucket:
    """The bucket as of `now`; a clock that went back adds nothing."""
    if bucket.at is None:
        return replace(bucket, level=bucket.most, at=now)
    passed_s = max(0.0, (now - bucket.at).total_seconds())
    level = min(bucket.most, bucket.level + passed_s * bucket.per_s)
    return replace(bucket, level=level, at=now)


def shared(bucket: Bucket, per_s: float, servers: int) -> Bucket:
    """The bucket of one of `servers` that send by one sender, which may send `per_s` in all. What
    was saved up for more is gone at the next refill; a debt stays."""
    return replace(bucket, per_s=per_s / max(1, servers))


def allowed(bucket: Bucket, wanted: int, *, urgent: bool) -> int:
    """How many of `wanted` may leave now. Urgent ones always may."""
    if urgent or bucket.per_s <= 0:
        return wanted
    return max(0, min(wanted, int(bucket.level)))


def spent(bucket: Bucket, sent: int) -> Bucket:
    """The bucket after `sent` messages; the debt is bounded, so that it is paid within seconds."""
    return replace(bucket, level=max(-10 * bucket.most, bucket.level - sent))
