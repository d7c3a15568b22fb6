"""Mistakes that must be caught: each breaks one rule of the server, and some invariant must notice.

A simulation that cannot fail proves nothing.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

from server import records
from server.channels.base import Sent
from server.core import alerts as core
from server.core import speech
from server.core.words import Outcome, Role
from server.jobs import EVERY_S
from server.outbox import Worker
from server.service import (
    absences,
    answering,
    ingest,
    parents,
    raising,
    receipts,
    sweep,
    worklists,
)
from server.store import alerts, communities, events, opening, outbox, rosters, signals, upkeep
from tests.simulation.provider import Calls, Provider


@contextmanager
def _all_of(*mistakes: AbstractContextManager[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for mistake in mistakes:
            stack.enter_context(mistake)
        yield


def record_before_send() -> AbstractContextManager[Any]:
    """Marked as sent, and only then sent: a crash between loses the message for good."""
    real = Worker._hand_over

    async def hand_over(self: Worker, message: Any, line: Any, begin_by_s: float) -> Any:
        lot = [(message["id"], Sent("SM-soon"))]
        self._database.transact(lambda tx: self._records.ended_so(tx, lot))
        return await real(self, message, line, begin_by_s)

    return mock.patch.object(Worker, "_hand_over", hand_over)


def ignore_the_lookup() -> AbstractContextManager[Any]:
    """After a crash or a time-out the message is simply sent again."""
    return mock.patch.object(Provider, "find", lambda *_args: [])  # noqa: PT008


def lease_nothing() -> AbstractContextManager[Any]:
    """A leased message stays due, so that the next worker takes it too."""
    real = outbox.lease

    def lease(
        conn: Any, lanes: Any, now: Any, _until: Any, limit: int, providers: Any, sender: str
    ) -> Any:
        rows = real(conn, lanes, now, now, limit, providers, sender)
        for row in rows:
            outbox.set_message(conn, row["id"], state=row["state"])
        return rows

    return mock.patch.object(outbox, "lease", lease)


def close_on_cancel() -> AbstractContextManager[Any]:
    """The resident's *cancel* closes the alert."""

    def cancelled(s: core.Situation) -> core.Decision:
        nobody = core.Actor(None, "the resident", Role.OPERATOR)
        return core.decide(s, core.Resolve(nobody, Outcome.FALSE_ALARM), s.alert.opened_at)

    return mock.patch.object(core, "_on_cancelled", cancelled)


def judge_blindly() -> AbstractContextManager[Any]:
    """Our own outage is taken for the residents' silence."""
    return mock.patch.object(sweep, "blind", lambda _tx, _house: False)  # noqa: PT008


def pass_over_the_silent() -> AbstractContextManager[Any]:
    """A missed round moves the deadline on, and nobody is looked for."""

    def passed_over(tx: Any, _house: Any, lists: Any) -> int:
        missed = [m for w in lists for m in w.missed]
        for m in missed:
            signals.set_next_due(tx.conn, [m.resident_id], m.next_due_at)
        return len(missed)

    return mock.patch.object(worklists, "raise_all", passed_over)


def trust_an_acceptance_for_ever() -> AbstractContextManager[Any]:
    """Who said yes is never asked again whether they arrived."""
    real = core._on_accept

    def accept(*args: Any) -> core.Decision:
        decision = real(*args)
        if decision.reason is not core.Reason.ACCEPTED:
            return decision
        return replace(decision, alert=replace(decision.alert, next_step_at=None))

    return mock.patch.object(core, "_on_accept", accept)


def _one_sweep_late(module: Any, name: str) -> AbstractContextManager[Any]:
    real = getattr(module, name)
    late = timedelta(seconds=EVERY_S)
    return mock.patch.object(
        module, name, lambda c, now, n: real(c, now - late, n)
    )


def step_late() -> AbstractContextManager[Any]:
    """Steps are taken one sweep too late."""
    return _one_sweep_late(alerts, "steps_due")


def call_120_late() -> AbstractContextManager[Any]:
    """The clock of 120 is looked at one sweep too late."""
    return _one_sweep_late(alerts, "emergencies_due")


def judge_late() -> AbstractContextManager[Any]:
    """A round is judged one sweep too late."""
    return _one_sweep_late(signals, "residents_overdue")


def chime_late() -> AbstractContextManager[Any]:
    """The chime comes one sweep too late; each of the simulation's is 15 minutes before the end."""
    real, before = signals.claim_prompt, timedelta(minutes=15, seconds=-EVERY_S)
    return mock.patch.object(
        signals, "claim_prompt",
        lambda c, community, due, now: now >= due - before and real(c, community, due, now),
    )  # fmt: skip


def absences_never_end() -> AbstractContextManager[Any]:
    """Who has come home is not watched again."""
    return mock.patch.object(absences, "end_those_over", lambda _tx, _most: 0)  # noqa: PT008


def lease_for_ever() -> AbstractContextManager[Any]:
    """What a dead server had in its hands is never taken over, and its lease does not end."""
    real, ever = outbox.lease, timedelta(days=3650)

    def lease(conn: Any, lanes: Any, now: Any, _until: Any, *rest: Any) -> Any:
        return real(conn, lanes, now, now + ever, *rest)

    return _all_of(
        mock.patch.object(outbox, "lease", lease),
        mock.patch.object(outbox, "release", lambda *_: 0),  # noqa: PT008
        mock.patch.object(upkeep, "orphans_due", lambda *_: 0),  # noqa: PT008
    )


def trust_the_hand_over() -> AbstractContextManager[Any]:
    """What a transaction hands over to its sender is taken for as good as sent: nobody looks for it
    again."""
    real = Worker.lease_here

    def lease_here(self: Worker, tx: Any) -> Any:
        handed = real(self, tx)
        for message in handed.lot.messages:
            outbox.set_message(tx.conn, message["id"], due_at=None)
        return handed

    return mock.patch.object(Worker, "lease_here", lease_here)


def hand_over_before_the_commit() -> AbstractContextManager[Any]:
    """What is leased in a transaction leaves before its commit, which may fail."""
    real = Worker.lease_here

    def lease_here(self: Worker, tx: Any) -> Any:
        handed = real(self, tx)
        handed.ended(committed=True)
        return type(handed)(self, type(handed.lot)())

    return mock.patch.object(Worker, "lease_here", lease_here)


def lose_the_press() -> AbstractContextManager[Any]:
    """Presses for help are not stored, and their terminals get a receipt all the same."""
    real = events.insert
    return mock.patch.object(
        events, "insert",
        lambda conn, rows, known: real(
            conn, [r for r in rows if r[3] not in ("sos", "fall")], known
        ),
    )  # fmt: skip


def store_and_forget() -> AbstractContextManager[Any]:
    """Presses for help are stored, and nobody is called."""
    return mock.patch.object(ingest, "_alarm_at_least", lambda *_: None)  # noqa: PT008


def hear_no_stop() -> AbstractContextManager[Any]:
    """Somebody's STOP is written down as any other word."""
    return mock.patch.object(answering, "opted_out", lambda *_: None)  # noqa: PT008


def call_who_opted_out() -> AbstractContextManager[Any]:
    """A STOP is noted, and nobody reads the note."""
    real = rosters._person

    def person(row: Any, at: datetime) -> Any:
        away = row.absent_until is not None and row.absent_until > at
        return replace(real(row, at), reachable=not away)

    return mock.patch.object(rosters, "_person", person)


def a_drill_like_any() -> AbstractContextManager[Any]:
    """A test press calls as a real one does."""
    real = raising.sos
    return mock.patch.object(raising, "sos", lambda *a, **k: real(*a, **{**k, "test": False}))


def ring_a_drill_as_real() -> AbstractContextManager[Any]:
    """The call of a drill does not say that it is one."""
    return mock.patch.object(speech, "TEST", {"zh": "", "en": ""})


def ask_again_at_once() -> AbstractContextManager[Any]:
    """A provider that is busy is asked again without a wait."""
    return mock.patch.object(records, "BACKOFF_S", (0,) * 5)


def one_channel_is_enough() -> AbstractContextManager[Any]:
    """Whose text can't arrive is not rung."""
    return mock.patch.object(core, "_other_channel", lambda *_: None)  # noqa: PT008


def never_once_more() -> AbstractContextManager[Any]:
    """What got lost for a moment's reason is not sent once more."""
    return mock.patch.object(receipts, "_tried_again", lambda *_: False)  # noqa: PT008


def reuse_codes() -> AbstractContextManager[Any]:
    """Codes are not looked up before they are given."""
    return mock.patch.object(opening, "CODE_REST", timedelta(0))


def date_by_arrival() -> AbstractContextManager[Any]:
    """A press that waited through our outage counts from when it reached us."""
    return mock.patch.object(ingest, "_seen_at", lambda _signal, now: now)


def every_flat_for_itself() -> AbstractContextManager[Any]:
    """A dark building's terminals are faults of their own, although the building's is open."""
    return mock.patch.object(parents._Standing, "building", return_value=None)


def ring_again_without_asking() -> AbstractContextManager[Any]:
    """After a crash or a time-out the telephone simply rings again."""
    return mock.patch.object(Calls, "find", lambda *_args: [])  # noqa: PT008


def call_who_is_away() -> AbstractContextManager[Any]:
    """An absence is written down, and nobody reads it."""
    real = rosters._person

    def person(row: Any, at: datetime) -> Any:
        return replace(real(row, at), reachable=row.opted_out_at is None)

    return mock.patch.object(rosters, "_person", person)


def everybody_owes_every_round() -> AbstractContextManager[Any]:
    """A round is asked of those as well who do not owe it."""
    return mock.patch.object(
        communities.CommunityFacts, "plans_of", lambda facts, _class: facts.plans
    )


def one_speaks_for_the_house() -> AbstractContextManager[Any]:
    """One late sign of life ends the worklist of everybody on it."""

    def heard(
        s: core.Situation, _residents: Any, outcome: Outcome, by: Any, now: datetime
    ) -> core.Decision:
        items = tuple(replace(i, outcome=i.outcome or outcome) for i in s.alert.items)
        ended = replace(s, alert=replace(s.alert, items=items))
        return core.decide(ended, core.Resolve(by, outcome), now)

    return mock.patch.object(core, "_on_settled", heard)


def receipt_for_nothing() -> AbstractContextManager[Any]:
    """A terminal hears that its press is safe, and nothing was stored."""
    return mock.patch.object(
        events, "insert", lambda _conn, rows, _known: {tuple(r[:3]) for r in rows}
    )
