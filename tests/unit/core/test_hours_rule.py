"""The table of what a deed is worth. Read it aloud: each line is somebody's time."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from server.core.hours_rule import Deed, Responded, RoundWalked, SawTo, Why, worth
from server.core.words import Kind, Role

T0 = datetime(2026, 3, 14, 6, 10, tzinfo=ZoneInfo("Asia/Shanghai"))


def went(minutes: float | None = 40, **more: object) -> Responded:
    """A steward who accepted, was at the door after six minutes, and stayed."""
    facts: dict[str, object] = {
        "person_id": 5, "role": Role.STEWARD, "kind": Kind.SOS, "accepted_at": T0,
        "on_scene_at": T0 + timedelta(minutes=6),
        "resolved_at": None if minutes is None else T0 + timedelta(minutes=minutes),
    }  # fmt: skip
    return Responded(**{**facts, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("deed", "minutes", "why"),
    [
        # A round is half an hour, whoever of the two walked it.
        (RoundWalked(5), 30, Why.WALKED),
        (RoundWalked(None), 0, Why.NO_NAME),
        (RoundWalked(5, rehearsal=True), 0, Why.REHEARSAL),
        # A response is the time from "I am going" to its end, in quarters of an hour.
        (went(40), 45, Why.WENT),
        (went(45), 45, Why.WENT),
        (went(45.02), 60, Why.WENT),
        (went(3), 30, Why.WENT),  # half an hour at least
        (went(60 * 9), 240, Why.WENT),  # four hours at most
        (went(role=Role.KEY_HOLDER), 45, Why.WENT),
        (went(role=Role.BEFRIENDER), 45, Why.WENT),
        (went(role=Role.SUBSTITUTE), 45, Why.WENT),
        (went(role=Role.FAMILY), 0, Why.NO_VOLUNTEER),
        (went(role=Role.DUTY), 0, Why.NO_VOLUNTEER),
        (went(person_id=None, role=Role.OPERATOR), 0, Why.NO_NAME),
        (went(on_scene_at=None), 0, Why.NOT_THERE),
        (went(on_scene_at=None, closed_it=True), 45, Why.WENT),  # "3" without "2" before it
        (went(None), 0, Why.NOT_OVER),
        (went(test=True), 0, Why.TEST),
        (went(rehearsal=True), 0, Why.REHEARSAL),
        (went(kind=Kind.MISSED), 0, Why.WORKLIST),
        # A request is what whoever saw to it says it took.
        (SawTo(5, 50), 60, Why.HELPED),
        (SawTo(5, 1), 15, Why.HELPED),
        (SawTo(5, 6000), 240, Why.HELPED),
        (SawTo(5, 0), 0, Why.NO_TIME),
        (SawTo(None, 50), 0, Why.NO_NAME),
    ],
)
def test_what_a_deed_is_worth(deed: Deed, minutes: int, why: Why) -> None:
    """Minutes, and the reason that staff can read out."""
    found = worth(deed)
    assert (found.minutes, found.why) == (minutes, why)
