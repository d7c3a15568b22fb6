"""What may be forgotten: rows past their time that nothing open needs. Found by key, so that no
table needs an index for this alone; deleted by key, so that a deletion touches what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, delete, exists, func, select, true

from server import tables as t
from server.core.words import State

ALERT, JOURNAL, MESSAGE = t.table(t.Alert), t.table(t.Journal), t.table(t.Message)
SIGNAL, QUARANTINE, COMMAND = t.table(t.Signal), t.table(t.Quarantine), t.table(t.Command)
REQUEST, VISIT, GREETING = t.table(t.HelpRequest), t.table(t.Visit), t.table(t.Greeting)
INBOUND, SESSION, LINK = t.table(t.Inbound), t.table(t.Session), t.table(t.StewardLink)


def _settled(alert_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """The alert is closed, or there is none: nobody decides by this row any more."""
    still = select(ALERT.c.id).where(ALERT.c.id == alert_id, ALERT.c.state != State.RESOLVED)
    return ~exists(still)


@dataclass(frozen=True, slots=True)
class Kept:
    """A table whose rows are kept for a time: its key, the row's instant, and what else must hold.

    `by_age`: keys grow with the instants, so the first row that is too young ends the search.
    """

    key: Column[Any]
    at: Column[Any]
    if_: ColumnElement[bool]
    by_age: bool = True

    @property
    def name(self) -> str:
        """The table's name."""
        return str(self.key.table.name)


SIGNALS = Kept(SIGNAL.c.id, SIGNAL.c.received_at, true())
COMMANDS = Kept(COMMAND.c.id, COMMAND.c.created_at, COMMAND.c.due_at.is_(None))
ENTRIES = Kept(
    JOURNAL.c.seq, JOURNAL.c.at,
    # The newest stays: followers of the feed count on numbers that never begin anew.
    _settled(JOURNAL.c.alert_id)
    & (JOURNAL.c.seq < select(func.max(JOURNAL.c.seq)).correlate(None).scalar_subquery()),
)  # fmt: skip
MESSAGES = Kept(
    MESSAGE.c.id, MESSAGE.c.created_at, MESSAGE.c.due_at.is_(None) & _settled(MESSAGE.c.alert_id)
)
REPLIES = Kept(INBOUND.c.provider_id, INBOUND.c.received_at, true(), by_age=False)
QUARANTINED = Kept(QUARANTINE.c.id, QUARANTINE.c.last_at, true(), by_age=False)
GREETINGS = Kept(GREETING.c.id, GREETING.c.at, true())
# Whatever waits stays, however old. Closed in another order than asked for.
VISITS = Kept(VISIT.c.id, VISIT.c.closed_at, VISIT.c.closed_at.is_not(None), by_age=False)
REQUESTS = Kept(
    REQUEST.c.id, REQUEST.c.closed_at, REQUEST.c.closed_at.is_not(None), by_age=False
)
SESSIONS = Kept(SESSION.c.digest, SESSION.c.expires_at, true(), by_age=False)
LINKS = Kept(LINK.c.digest, LINK.c.expires_at, true(), by_age=False)


def look(
    conn: Connection, kept: Kept, before: datetime, after: Any, limit: int
) -> tuple[Sequence[Any], Any]:
    """Of the next `limit` rows after key `after`: the keys that may go, and the key to go on from
    (None: nothing is left to look at)."""
    query = select(kept.key, kept.at, kept.if_.label("free")).order_by(kept.key).limit(limit)
    if after is not None:
        query = query.where(kept.key > after)
    rows = conn.execute(query).all()
    old = [row[0] for row in rows if row[2] and row[1] < before]
    end = len(rows) < limit or (kept.by_age and rows[-1][1] >= before)
    return old, None if end else rows[-1][0]


def forget(conn: Connection, kept: Kept, before: datetime, keys: Sequence[Any]) -> int:
    """Delete these rows if it still holds that they may go; returns how many went."""
    table: Any = kept.key.table
    gone = conn.execute(delete(table).where(kept.key.in_(keys), kept.at < before, kept.if_))
    return int(gone.rowcount)
