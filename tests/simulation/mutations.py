"""Mistakes that must be caught: each breaks one rule of the server, and some invariant must notice.

A simulation that cannot fail proves nothing.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

from server.channels.base import Sent
from server.core import alerts as core
from server.core.words import Outcome, Role
from server.outbox import Worker
from server.service import ingest, parents, sweep
from server.store import alerts, outbox, people, signals
from tests.simulation.provider import Calls, Provider


def record_before_send() -> AbstractContextManager[Any]:
    """Marked as sent, and only then sent: a crash between loses the message for good."""
    real = Worker._send

    async def send(self: Worker, message: Any, providers: Any) -> None:
        await self._record(message, Sent("SM-soon"))
        await real(self, message, providers)

    return mock.patch.object(Worker, "_send", send)


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
    return mock.patch.object(sweep, "_worklists", lambda *_: [])  # noqa: PT008


def trust_an_acceptance_for_ever() -> AbstractContextManager[Any]:
    """Who said yes is never asked again whether they arrived."""
    real = core._on_accept

    def accept(*args: Any) -> core.Decision:
        decision = real(*args)
        if decision.reason is not core.Reason.ACCEPTED:
            return decision
        return replace(decision, alert=replace(decision.alert, next_step_at=None))

    return mock.patch.object(core, "_on_accept", accept)


def sweep_late() -> AbstractContextManager[Any]:
    """Steps are taken half a minute after their time."""
    real = alerts.steps_due
    wait = timedelta(seconds=30)
    return mock.patch.object(
        alerts, "steps_due", lambda c, now, n, **how: real(c, now - wait, n, **how)
    )


def reuse_codes() -> AbstractContextManager[Any]:
    """Codes are not looked up before they are given."""
    return mock.patch.object(alerts, "CODE_REST", timedelta(0))


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
    real = people._person

    def person(row: Any, at: datetime) -> Any:
        return replace(real(row, at), reachable=row["opted_out_at"] is None)

    return mock.patch.object(people, "_person", person)


def everybody_owes_every_round() -> AbstractContextManager[Any]:
    """A round is asked of those as well who do not owe it."""
    return mock.patch.object(people.CommunityFacts, "plans_of", lambda facts, _class: facts.plans)


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
        signals, "insert_signals", lambda _conn, rows: {tuple(r[:3]) for r in rows}
    )
