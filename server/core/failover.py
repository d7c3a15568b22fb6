"""When a provider counts as down, and when it is asked again. Pure: `now` is passed in.

Down means: every try since `DOWN_AFTER` failed, one soon after the other. A single failure long ago
says nothing about now, so a run of failures with a long gap in it starts anew.

A provider that answers a question may still not take a message: after a probe it is on probation,
and one failed message takes it out again at once, for longer each time.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

DOWN_AFTER = timedelta(seconds=60)
"""Shorter would leave a good provider for a hiccup; longer would use up an SOS's deadline."""
GAP = timedelta(seconds=60)
"""Tries further apart than this are not one run of failures."""
PROBE_EVERY = timedelta(seconds=15)
MOST_RELAPSES = 3
"""After three the question is put every two minutes."""


class Change(StrEnum):
    """What one try has shown that was not known before."""

    WENT_DOWN = "went_down"
    CAME_BACK = "came_back"


@dataclass(frozen=True, slots=True)
class Health:
    """How one channel of one provider fares. `known`: whether it has ever answered us."""

    known: bool = False
    down: bool = False
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    probed_at: datetime | None = None
    probation: bool = False
    relapses: int = 0


def answered(health: Health) -> tuple[Health, Change | None]:
    """It answered a probe: it may be tried with a message again."""
    if not health.down:
        return health, None
    return replace(health, down=False, probation=True), Change.CAME_BACK


def worked(health: Health) -> tuple[Health, Change | None]:
    """It took a message, or refused it for a good reason. The first answer of all counts as a
    return: the process before this one may have died while it was down."""
    change = Change.CAME_BACK if health.down or not health.known else None
    return Health(known=True), change


def failed(health: Health, now: datetime, speed: float = 1.0) -> tuple[Health, Change | None]:
    """It did not answer, or said that it can't now. `speed`: of a demo's clock."""
    fresh = health.failed_at is None or now - health.failed_at > GAP * speed
    since = now if fresh or health.failing_since is None else health.failing_since
    down = health.down or health.probation or now - since >= DOWN_AFTER * speed
    after = replace(
        health, down=down, failing_since=since, failed_at=now, probation=False,
        probed_at=now if health.probation else health.probed_at,
        relapses=min(MOST_RELAPSES, health.relapses + health.probation),
    )  # fmt: skip
    return after, Change.WENT_DOWN if down and not health.down else None


def probe_due(health: Health, now: datetime, speed: float = 1.0) -> bool:
    """Whether a provider that is down should be asked again, with nothing at stake."""
    last = health.probed_at
    wait = PROBE_EVERY * speed * 2**health.relapses
    return health.down and (last is None or now - last >= wait)
