"""Ringing residents who are still awaited, shortly before their round is due ("press 1 if you are
well"), where the round's plan says so (`call_at`).

A person's key is a sign of life like any press on the terminal; a machine's is none. Nobody is
judged here: whoever does not answer is missed when the round is due, as ever.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection

from server.core import alerts as core
from server.core import rounds, speech
from server.core.messages import Subject
from server.core.words import Channel, Template
from server.database import Tx
from server.service import effects, mending
from server.service.house import House
from server.store import alerts, clocks, journal, outbox, people, signals
from server.store.communities import CommunityFacts
from server.tables import to_ms

LANG = "zh"
"""Residents are spoken to in the community's own language."""


CALLS = frozenset[clocks.Lacks](("calls",))


def due(
    conn: Connection, house: House, now: datetime, by: Sequence[clocks.Shared]
) -> bool:
    """Whether calls are to be made now, in any community. `by`: the clocks in use."""
    return next(_due(conn, house, now, by, 1), None) is not None


def _due(
    conn: Connection, house: House, now: datetime, by: Sequence[clocks.Shared], limit: int
) -> Iterator[tuple[rounds.Occurrence, CommunityFacts]]:
    """Up to `limit` rounds whose calls are to be made now, each with its community."""
    if not house.ways.calls:
        return
    for each in by:
        for current in rounds.running(each.clock.plans, each.clock.zone, now):
            if current.call_at is None or not current.call_at <= now < current.due_at:
                continue
            for community in clocks.lacking(conn, each, current.due_at, CALLS, limit):
                yield current, community
                limit -= 1


def ring(tx: Tx, house: House, limit: int) -> int:
    """Queue one call to each resident who is still awaited and has a telephone, in up to `limit`
    communities; returns in how many."""
    found = list(_due(tx.conn, house, tx.now, clocks.shared(tx.conn), limit))
    return sum(_ring_in(tx, community, current) for current, community in found)


def _ring_in(tx: Tx, community: CommunityFacts, current: rounds.Occurrence) -> int:
    if not signals.claim_calls(tx.conn, community.id, current.due_at, tx.now):
        return 0
    body = speech.call(Template.ARE_YOU_WELL, Subject(building=0), LANG)
    waiting = signals.awaited_phones(tx.conn, community.id, current.deadline)
    for resident_id, phone in waiting:
        outbox.enqueue(
            tx.conn, resident_id=resident_id, role="", channel=Channel.VOICE.value,
            template=Template.ARE_YOU_WELL.value, attempt=int(current.deadline.timestamp()),
            step=0, lane=effects.ROUND_LANE, phone=phone, body=body, due_at=tx.now,
            created_at=tx.now,
        )  # fmt: skip
    journal.note(tx, "round_rung", round=current.name, residents=len(waiting))
    tx.queued(effects.ROUND_LANE)
    return 1


def is_well(tx: Tx, house: House, resident_id: int) -> None:
    """They pressed 1: a sign of life, now."""
    resident = people.resident(tx.conn, resident_id)
    assert resident is not None
    community = effects.community(tx, resident["building_id"])
    assert community is not None
    next_due = resident["next_due_at"]
    if next_due is not None:
        plans = community.plans_of(resident["risk_class"])
        next_due = rounds.after_sign_of_life(plans, community.zone, next_due, tx.now)
    next_ms = to_ms(next_due) if next_due is not None else None
    signals.mark_signs(tx.conn, [(resident_id, next_ms, to_ms(tx.now))])
    journal.note(
        tx, "checked_in_by_phone", building_id=resident["building_id"],
        flat_id=resident["flat_id"],
    )  # fmt: skip
    for alert_id, _ in alerts.open_items(tx.conn, [resident_id]):
        event = core.CheckedIn([resident_id])
        mending.happens(tx, house, alert_id, event, resident_ids=[resident_id])
