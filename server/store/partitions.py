"""The event table's partitions on PostgreSQL (docs/adr/0035). SQLite has one table.

Each has an index of its own, in which an event is there once. That it is once in all of them rests
on two things: what is not surely new is looked for in all (events.py), and two transactions
that write to different ones never run side by side (`hold`, `move_on`).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from server import tables as t
from server.locks import EVENTS_SPACE

BLOCK = 100_000_000
"""Room for so many ids in a partition. It fills only where the job fails for long: then the next
begins by counting, and for that instant `hold` holds nothing."""
DEFAULT = "signal_default"
"""Takes what has no other place: no press is refused because a partition could not be made."""
STORING, KEEPING = 1, 2
"""Second keys of advisory locks: one that whoever stores events shares, one for whoever keeps the
partitions, of whom there may be one at each server."""
PATIENCE = "100ms"
"""So long may a press wait for us where we wait for a lock."""
IDENTITY = "(terminal_id, boot, seq)"

_SHARE = text("SELECT pg_advisory_xact_lock_shared(:space, :key)")
_ALONE = text("SELECT pg_advisory_xact_lock(:space, :key)")
_PARTS = text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = CAST('signal' AS regclass)"
)
_LACKING = text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = CAST('signal' AS regclass) AND NOT EXISTS ("
    "  SELECT 1 FROM pg_constraint u WHERE u.conrelid = c.oid AND u.contype = 'u'"
    "  AND u.conkey = ARRAY(SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = c.oid"
    "   AND a.attname IN ('terminal_id', 'boot', 'seq') ORDER BY a.attnum)"
    " ) ORDER BY 1"
)


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One of them. `number`: which block of ids it ends with."""

    number: int

    @property
    def name(self) -> str:
        """Its table's name."""
        return f"signal_{self.number}"


def hold(conn: Connection) -> None:
    """Let nobody go over to the next partition until this transaction ends. Before anything is
    read by which an event is taken for new."""
    if conn.dialect.name != "sqlite":
        conn.execute(_SHARE, {"space": EVENTS_SPACE, "key": STORING})


def names(conn: Connection) -> set[str]:
    """The tables that are partitions and thus no tables by themselves; of any table."""
    if conn.dialect.name == "sqlite":
        return set()
    query = text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
    return set(conn.execute(query).scalars())


def lacking(conn: Connection) -> list[str]:
    """Partitions without the index in which an event is there once."""
    return [] if conn.dialect.name == "sqlite" else list(conn.execute(_LACKING).scalars())


def there(conn: Connection) -> list[Partition]:
    """All of ours but the default one, the oldest first."""
    numbers = (name.removeprefix("signal_") for name in conn.execute(_PARTS).scalars())
    return sorted(Partition(int(number)) for number in numbers if number.isdecimal())


def last(conn: Connection) -> int:
    """The number of the last one; -1: there is none."""
    return max((part.number for part in there(conn)), default=-1)


def newest_id(conn: Connection) -> int:
    """The last id that was drawn; 0: none."""
    drawn = text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM signal_id_seq")
    return int(conn.execute(drawn).scalar_one())


def keep(conn: Connection) -> None:
    """What follows in this transaction changes partitions. It gives up a lock that takes long, as
    behind us in its queue wait those who store presses; and of two servers one goes first."""
    conn.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
    conn.execute(_ALONE, {"space": EVENTS_SPACE, "key": KEEPING})


def make(conn: Connection, number: int) -> None:
    """Make the partition of a block of ids, unless it or a later one is there. (Not PARTITION OF,
    which locks the whole table.)"""
    part, first = Partition(number), number * BLOCK
    if number <= last(conn):
        return
    for words in (
        f"CREATE TABLE {part.name} (LIKE signal INCLUDING DEFAULTS)",
        f"ALTER TABLE {part.name} ADD UNIQUE {IDENTITY}",
        f"ALTER TABLE signal ATTACH PARTITION {part.name}"
        f" FOR VALUES FROM ({first}) TO ({first + BLOCK})",
    ):
        conn.execute(text(words))


def make_up_to(conn: Connection, newest: int) -> None:
    """Where rows are to be copied in, ids and all: room for those up to `newest`."""
    for number in range(last(conn) + 1, newest // BLOCK + 1):
        make(conn, number)


def move_on(conn: Connection, number: int) -> None:
    """Go on in a partition that is there: what is stored from now on stands in it. Waits until
    nobody stores events, who then wait for our commit. A transaction of its own: it must hold
    nothing that they need."""
    conn.execute(_ALONE, {"space": EVENTS_SPACE, "key": STORING})
    if newest_id(conn) < number * BLOCK:
        conn.execute(text("SELECT setval('signal_id_seq', :id)"), {"id": number * BLOCK})


def drop_past(conn: Connection, part: Partition, before: datetime) -> datetime | None:
    """Drop it if all of its events came before `before`. Else: when the last of them came."""
    if part not in there(conn):
        return None
    query = text(f"SELECT received_at FROM {part.name} ORDER BY id DESC LIMIT 1")  # noqa: S608
    ms = conn.execute(query).scalar()
    ended = None if ms is None else t.from_ms(int(ms))
    if ended is not None and ended >= before:
        return ended
    conn.execute(text(f"DROP TABLE {part.name}"))
    return None
