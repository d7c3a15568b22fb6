"""Claims about help that can wait: one procedure, a name at every step, a date that is kept."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from server.core.help_requests import (
    Ending,
    Event,
    Finish,
    HandOn,
    Helper,
    HelpRequest,
    Reason,
    Stage,
    Take,
    Want,
    Withdraw,
    decide,
    due_at,
    figures,
)

GZ = ZoneInfo("Asia/Shanghai")
T0 = datetime(2026, 3, 14, 9, 0, tzinfo=GZ)
MAI, SU = Helper("麦秀珍", 3), Helper("苏伟")


def asked(**more: object) -> HelpRequest:
    """A repair, asked for in the morning."""
    return HelpRequest(Want.REPAIR, T0, due_at(Want.REPAIR, T0, GZ), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("want", "at", "due"),
    [
        (Want.REPAIR, (14, 9), 15),  # today, that is: before tomorrow begins
        (Want.REPAIR, (14, 15), 15),
        (Want.REPAIR, (14, 16), 16),  # the office closes: counts as asked for tomorrow
        (Want.ERRAND, (14, 9), 16),
        (Want.OTHER, (14, 9), 18),
        (Want.HAIRCUT, (14, 9), 22),
        (Want.COMPLAINT, (14, 9), 22),
        (Want.WISH, (1, 9), 32),
    ],
)
def test_when_it_is_due(want: Want, at: tuple[int, int], due: int) -> None:
    """By kind, at the end of a day of the community, whatever zone the clock is in."""
    asked_at = datetime(2026, 3, at[0], at[1], tzinfo=GZ).astimezone(UTC)
    expected = datetime(2026, 3, 1, tzinfo=GZ) + timedelta(days=due - 1)
    assert due_at(want, asked_at, GZ) == expected


TAKEN = {"stage": Stage.TAKEN, "helper": MAI, "taken_at": T0}
DONE = {**TAKEN, "stage": Stage.DONE, "closed_at": T0, "ending": Ending.SOLVED}
GONE = {"stage": Stage.WITHDRAWN, "closed_at": T0, "why": "typed twice"}


@pytest.mark.parametrize(
    ("before", "event", "reason", "stage"),
    [
        ({}, Take(MAI), Reason.TAKEN, Stage.TAKEN),
        (TAKEN, Take(MAI), Reason.ALREADY, Stage.TAKEN),
        (TAKEN, Take(SU), Reason.HAS_A_HELPER, Stage.TAKEN),
        (DONE, Take(SU), Reason.CLOSED, Stage.DONE),
        (TAKEN, HandOn(SU, "has a cold"), Reason.HANDED_ON, Stage.TAKEN),
        (TAKEN, HandOn(SU, ""), Reason.NO_WHY, Stage.TAKEN),
        (TAKEN, HandOn(MAI, "again"), Reason.ALREADY, Stage.TAKEN),
        ({}, HandOn(SU, "why not"), Reason.NOBODY_HAS_IT, Stage.OPEN),
        (GONE, HandOn(SU, "why not"), Reason.CLOSED, Stage.WITHDRAWN),
        (TAKEN, Finish(Ending.SOLVED), Reason.DONE, Stage.DONE),
        (TAKEN, Finish(Ending.PASSED_ON), Reason.NO_WHY, Stage.TAKEN),
        (TAKEN, Finish(Ending.PASSED_ON, "housing office"), Reason.DONE, Stage.DONE),
        (TAKEN, Finish(Ending.NOT_POSSIBLE, "no spare part"), Reason.DONE, Stage.DONE),
        ({}, Finish(Ending.SOLVED), Reason.NOBODY_HAS_IT, Stage.OPEN),
        (DONE, Finish(Ending.SOLVED), Reason.ALREADY, Stage.DONE),
        (DONE, Finish(Ending.NOT_POSSIBLE, "x"), Reason.CLOSED, Stage.DONE),
        (GONE, Finish(Ending.SOLVED), Reason.CLOSED, Stage.WITHDRAWN),
        ({}, Withdraw("typed twice"), Reason.WITHDRAWN, Stage.WITHDRAWN),
        (TAKEN, Withdraw(""), Reason.NO_WHY, Stage.TAKEN),
        (GONE, Withdraw("again"), Reason.ALREADY, Stage.WITHDRAWN),
        (DONE, Withdraw("again"), Reason.CLOSED, Stage.DONE),
    ],
)
def test_one_procedure(
    before: dict[str, object], event: Event, reason: Reason, stage: Stage
) -> None:
    """Whatever is refused changes nothing; whatever is said twice changes nothing twice."""
    request = asked(**before)
    decision = decide(request, event, T0 + timedelta(hours=1))
    assert (decision.reason, decision.request.stage) == (reason, stage)
    moved = {Reason.TAKEN, Reason.HANDED_ON, Reason.DONE, Reason.WITHDRAWN}
    assert (decision.request == request) == (reason not in moved)


def test_who_has_it_and_since_when() -> None:
    """Handing on is a new name with a new time."""
    taken = decide(asked(), Take(MAI), T0).request
    later = T0 + timedelta(hours=2)
    given = decide(taken, HandOn(SU, "has a cold"), later).request
    assert (given.helper, given.taken_at) == (SU, later)


def test_overdue_and_in_time_meet_at_the_stroke() -> None:
    """At the due instant itself it is late, and no closed request is ever overdue."""
    request = asked()
    just = request.due_at - timedelta(milliseconds=1)
    assert (request.overdue(just), request.overdue(request.due_at)) == (False, True)
    taken = decide(request, Take(MAI), T0).request
    early = decide(taken, Finish(Ending.SOLVED), just).request
    late = decide(taken, Finish(Ending.SOLVED), request.due_at).request
    assert (early.in_time, late.in_time) == (True, False)
    assert not late.overdue(request.due_at + timedelta(days=9))
    assert not decide(request, Withdraw("well"), T0).request.in_time


def test_the_figures_count_every_request_once() -> None:
    """By kind; the kinds nobody asked for stand there with noughts."""
    now = T0 + timedelta(days=3)
    requests = [asked(), asked(**TAKEN), asked(**DONE), asked(**GONE)]
    found = figures(requests, now)
    repair = found[Want.REPAIR]
    assert (repair.asked, repair.done, repair.in_time) == (4, 1, 1)
    assert (repair.withdrawn, repair.waiting, repair.overdue) == (1, 2, 2)
    assert set(found) == set(Want)
    assert found[Want.WISH].asked == 0
