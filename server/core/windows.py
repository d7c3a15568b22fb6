"""What one window on the wall shows. Pure, and the only place that ranks the states."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.core.rounds import Occurrence


class Window(StrEnum):
    """The states, worst last."""

    NONE = "none"
    AWAY = "away"
    CHECKED = "checked"
    WAITING = "waiting"
    OFFLINE = "offline"
    LATE = "late"
    LATE_OFFLINE = "late_offline"
    CLAIMED = "claimed"
    SOS = "sos"


RANK = {state: rank for rank, state in enumerate(Window)}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one resident and their terminal."""

    watched: bool
    has_terminal: bool
    next_due_at: datetime | None
    missed: bool
    sos_open: bool
    sos_claimed: bool
    device_lost: bool


def window(facts: Facts, current: Occurrence, now: datetime) -> Window:
    """The one state to show. An SOS outranks everything; a silent device never hides a late
    person, and is said beside them: it changes what a steward expects at the door."""
    if facts.sos_open:
        return Window.SOS
    if facts.sos_claimed:
        return Window.CLAIMED
    if facts.missed:
        return Window.LATE_OFFLINE if facts.device_lost and facts.has_terminal else Window.LATE
    if not facts.has_terminal:
        return Window.NONE
    if not facts.watched:
        return Window.AWAY
    if facts.device_lost:
        return Window.OFFLINE
    awaited = facts.next_due_at is not None and facts.next_due_at <= current.deadline
    if awaited and current.opens_at <= now:
        return Window.WAITING
    return Window.CHECKED


def worst(states: list[Window]) -> Window:
    """The state a building's label carries, or a flat with several residents shows."""
    return max(states, key=RANK.__getitem__, default=Window.NONE)
