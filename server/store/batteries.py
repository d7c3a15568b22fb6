"""Battery readings, one a terminal and day, and how far today's reading has come in each zone."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, Select, delete, literal, select

from server import tables as t
from server.core.battery import Sample
from server.store.signals import insert

TERMINAL, RESIDENT = t.table(t.Terminal), t.table(t.Resident)
SAMPLE, CHORE = t.table(t.BatteryDay), t.table(t.Chore)
BUILDING = t.table(t.Building)
NAME = "batteries"
"""The reading of the first community's zone; another zone's has it in its name."""
_PROGRESS = select(CHORE.c.name, CHORE.c.day, CHORE.c.after).where(CHORE.c.name.startswith(NAME))
Progress = tuple[int, str | None]
"""The day last begun, and the last terminal read (None: that day is finished)."""


def progress(conn: Connection) -> dict[str, Progress]:
    """How far each reading has come, by its name; one that never began is not in it."""
    return {row[0]: (row[1], row[2]) for row in conn.execute(_PROGRESS)}


def set_progress(conn: Connection, name: str, day: int, after: str | None) -> None:
    """Note how far this day's reading has come."""
    values = {"day": day, "after": after}
    statement = insert(conn, CHORE).values(name=name, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def some(
    conn: Connection, after: str, limit: int, *, only: Collection[int] | None = None,
    but: Collection[int] = (),
) -> list[RowMapping]:
    """The next terminals in service by id, with their door: only those in houses of some
    communities, or all `but` those of others."""
    query = (
        select(TERMINAL.c.id, TERMINAL.c.resident_id, RESIDENT.c.building_id)
        .outerjoin(RESIDENT, RESIDENT.c.id == TERMINAL.c.resident_id)
        .where(TERMINAL.c.id > after, TERMINAL.c.state == "active")
        .order_by(TERMINAL.c.id)
        .limit(limit)
    )
    if only is not None:
        query = query.where(RESIDENT.c.building_id.in_(_houses(only)))
    elif but:  # who has no resident is in no house, and of the first zone
        elsewhere = RESIDENT.c.building_id.in_(_houses(but))
        query = query.where(RESIDENT.c.id.is_(None) | ~elsewhere)
    return list(conn.execute(query).mappings())


def _houses(community_ids: Collection[int]) -> Select[tuple[int]]:
    return select(BUILDING.c.id).where(BUILDING.c.community_id.in_(community_ids))


def sample(conn: Connection, ids: Collection[str], day: int, heard_since: datetime) -> None:
    """Keep the day's reading of those that have spoken since then: an old word is no reading."""
    readings = select(
        TERMINAL.c.id, literal(day), TERMINAL.c.battery, TERMINAL.c.mains, TERMINAL.c.rssi
    ).where(
        TERMINAL.c.id.in_(ids), TERMINAL.c.battery.is_not(None),
        TERMINAL.c.last_seen_at >= heard_since,
    )  # fmt: skip
    statement = insert(conn, SAMPLE).from_select(
        ["terminal_id", "day", "level", "mains", "rssi"], readings
    )
    conn.execute(statement.on_conflict_do_nothing())


def samples(conn: Connection, ids: Collection[str], since: int) -> dict[str, list[Sample]]:
    """The readings of these terminals since a day, by terminal."""
    found: defaultdict[str, list[Sample]] = defaultdict(list)
    query = select(SAMPLE).where(SAMPLE.c.terminal_id.in_(ids), SAMPLE.c.day >= since)
    for row in conn.execute(query).mappings():
        found[row["terminal_id"]].append(Sample(row["day"], row["level"], row["mains"]))
    return found


def readings(conn: Connection, terminal_id: str, since: int) -> Sequence[RowMapping]:
    """One terminal's readings since a day, the oldest first."""
    query = (
        select(SAMPLE.c.day, SAMPLE.c.level, SAMPLE.c.rssi)
        .where(SAMPLE.c.terminal_id == terminal_id, SAMPLE.c.day >= since)
        .order_by(SAMPLE.c.day)
    )
    return conn.execute(query).mappings().all()


def forget(conn: Connection, ids: Collection[str], before: int) -> None:
    """Drop the readings of these terminals from before a day."""
    conn.execute(delete(SAMPLE).where(SAMPLE.c.terminal_id.in_(ids), SAMPLE.c.day < before))
