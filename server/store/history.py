"""What is known of the past of a few residents and contacts. The one place that reads the last
rounds' facts: worklists, signals and the journal. Bounded by the residents asked for."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, func, select, text

from server import tables as t
from server.core.words import SIGNS_OF_LIFE, Delivery, Kind
from server.store.reports import seen_at

ALERT, ITEM, MESSAGE = t.table(t.Alert), t.table(t.AlertItem), t.table(t.Message)
SIGNAL, TERMINAL = t.table(t.Signal), t.table(t.Terminal)
JOURNAL, INBOUND = t.table(t.Journal), t.table(t.Inbound)
MOST_ENTRIES = 500
SEEN_ALERTS = 200
NOT_A_SIGNAL = text("kind <> 'signal'")
"""Written out, not bound: the partial index of the journal is chosen by these very words."""


def signs(
    conn: Connection, terminal_ids: Collection[str], since: datetime
) -> dict[str, list[datetime]]:
    """Terminal → when a hand was on it since `since`, oldest first."""
    found: defaultdict[str, list[datetime]] = defaultdict(list)
    query = select(
        SIGNAL.c.terminal_id, SIGNAL.c.received_at, SIGNAL.c.occurred_at, SIGNAL.c.late
    ).where(
        SIGNAL.c.terminal_id.in_(terminal_ids),
        SIGNAL.c.received_at >= since,
        SIGNAL.c.type.in_([s.value for s in SIGNS_OF_LIFE]),
    )
    for row in conn.execute(query):
        found[row.terminal_id].append(seen_at(row.received_at, row.occurred_at, row.late))
    return {terminal: sorted(at) for terminal, at in found.items()}


def missed(
    conn: Connection, resident_ids: Collection[int], since: datetime
) -> dict[int, dict[datetime, str | None]]:
    """Resident → deadline of each round missed since `since` → how it was settled, or None."""
    found: defaultdict[int, dict[datetime, str | None]] = defaultdict(dict)
    query = (
        select(ITEM.c.resident_id, ALERT.c.round_due_at, ITEM.c.outcome)
        .join(ALERT, ALERT.c.id == ITEM.c.alert_id)
        .where(ITEM.c.resident_id.in_(resident_ids), ALERT.c.round_due_at >= since)
    )
    for resident_id, due_at, outcome in conn.execute(query):
        found[resident_id][due_at] = outcome
    return found


def missed_in(
    conn: Connection, deadlines: Collection[datetime], building_id: int | None = None
) -> dict[tuple[int, datetime], int]:
    """(building, deadline) → how many residents were missed there in the rounds of these deadlines,
    looked after since or not."""
    if not deadlines:
        return {}
    around = min(deadlines) - timedelta(days=1)  # for the index: no worklist is that early
    query = (
        select(ALERT.c.building_id, ALERT.c.round_due_at, func.count(ITEM.c.resident_id.distinct()))
        .join(ITEM, ITEM.c.alert_id == ALERT.c.id)
        .where(ALERT.c.opened_at > around, ALERT.c.round_due_at.in_(deadlines))
        .where(ALERT.c.kind == Kind.MISSED)
        .group_by(ALERT.c.building_id, ALERT.c.round_due_at)
    )
    if building_id is not None:
        query = query.where(ALERT.c.building_id == building_id)
    return {(row[0], row[1]): row[2] for row in conn.execute(query)}


def entries(
    conn: Connection, flat_ids: Collection[int], kinds: Collection[str], limit: int = MOST_ENTRIES
) -> Sequence[RowMapping]:
    """The newest journal entries of these kinds about these flats, newest first."""
    query = (
        select(JOURNAL)
        .where(JOURNAL.c.flat_id.in_(flat_ids), NOT_A_SIGNAL, JOURNAL.c.kind.in_(kinds))
        .order_by(JOURNAL.c.seq.desc())
        .limit(limit)
    )
    return conn.execute(query).mappings().all()


def alerts_about(conn: Connection, resident_id: int, limit: int) -> Sequence[RowMapping]:
    """A resident's alerts, and the worklists they stood on (`item_outcome`), newest first."""
    own = select(ALERT.c.id).where(ALERT.c.resident_id == resident_id)
    listed = select(ITEM.c.alert_id).where(ITEM.c.resident_id == resident_id)
    query = (
        select(ALERT, ITEM.c.outcome.label("item_outcome"))
        .outerjoin(ITEM, (ITEM.c.alert_id == ALERT.c.id) & (ITEM.c.resident_id == resident_id))
        .where(ALERT.c.id.in_(own.union(listed)))
        .order_by(ALERT.c.id.desc())
        .limit(limit)
    )
    return conn.execute(query).mappings().all()


def last_delivered(conn: Connection, person_ids: Collection[int]) -> dict[int, datetime]:
    """Person → when the provider last confirmed a delivery to them."""
    query = (
        select(MESSAGE.c.person_id, func.max(MESSAGE.c.updated_at))
        .where(MESSAGE.c.person_id.in_(person_ids), MESSAGE.c.state == Delivery.DELIVERED)
        .group_by(MESSAGE.c.person_id)
    )
    return {r[0]: r[1] for r in conn.execute(query)}


def last_replied(conn: Connection, person_ids: Collection[int]) -> dict[int, datetime]:
    """Person → when their last SMS to us came."""
    query = (
        select(INBOUND.c.person_id, func.max(INBOUND.c.received_at))
        .where(INBOUND.c.person_id.in_(person_ids))
        .group_by(INBOUND.c.person_id)
    )
    return {r[0]: r[1] for r in conn.execute(query)}


def last_accepted(conn: Connection, building_id: int) -> dict[int, datetime]:
    """Person → when they last went to one of the building's newest alerts."""
    query = (
        select(ALERT.c.responders)
        .where(ALERT.c.building_id == building_id)
        .order_by(ALERT.c.id.desc())
        .limit(SEEN_ALERTS)
    )
    last: dict[int, datetime] = {}
    for responders in conn.execute(query).scalars():
        for r in responders:
            if r["person_id"] is not None:
                at = t.from_ms(r["accepted_ms"])
                last[r["person_id"]] = max(at, last.get(r["person_id"], at))
    return last
