"""Once a day, in the daytime of each community: one reading of each battery is kept, and what it
foretells is told.

A heartbeat costs nothing for it: the reading is what the terminal's row holds anyway, taken in
bulk. Whoever was not heard since the day before has no reading today.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping

from server.core import battery
from server.core.words import Fault
from server.database import Tx
from server.service import raising
from server.service.house import House
from server.store import alerts, clocks
from server.store import batteries as store

AT_HOUR = 10
"""Local time: when there is somebody to order a battery."""
KEPT_DAYS = 60
HEARD_WITHIN = timedelta(hours=24)
EPOCH_DAY = date(1970, 1, 1).toordinal()
START = ""
"""Before every terminal's id."""


class _Reading(NamedTuple):
    """The readings of one zone's communities."""

    name: str
    today: int
    """The day whose reading is due by now, counted from 1970."""
    after: str
    """The last terminal read of that day."""


def _today(zone: ZoneInfo, now: datetime) -> int:
    local = now.astimezone(zone)
    return local.toordinal() - EPOCH_DAY - (1 if local.hour < AT_HOUR else 0)


def _name(zone: ZoneInfo, first: ZoneInfo) -> str:
    return store.NAME if zone.key == first.key else f"{store.NAME}:{zone.key}"


def _unfinished(
    done: Mapping[str, store.Progress], by: Sequence[clocks.Shared], now: datetime
) -> Iterator[_Reading]:
    """The readings that are not finished today, one a zone; the first community's first."""
    zones = {each.clock.zone.key: each.clock.zone for each in by}
    for zone in zones.values():
        name, today = _name(zone, by[0].clock.zone), _today(zone, now)
        day, after = done.get(name, (None, START))
        if day is None or day < today or after is not None:
            begun = day == today and after is not None
            yield _Reading(name, today, after if begun and after is not None else START)


def is_due(
    done: Mapping[str, store.Progress], by: Sequence[clocks.Shared], now: datetime
) -> bool:
    """Whether today's reading is not finished, in any zone. `done`: how far it has come; `by`: the
    clocks in use."""
    return next(_unfinished(done, by, now), None) is not None


def _lot(
    conn: Connection, by: Sequence[clocks.Shared], reading: _Reading, limit: int
) -> list[RowMapping]:
    """The next terminals of a reading: of its zone's communities; of the first zone, those that are
    in no other's."""
    first = by[0].clock.zone
    whose: defaultdict[str, list[int]] = defaultdict(list)
    for each in by:
        name = _name(each.clock.zone, first)
        if name != store.NAME:
            whose[name] += clocks.ids(conn, each)
    if reading.name == store.NAME:
        elsewhere = [i for ids in whose.values() for i in ids]
        return store.some(conn, reading.after, limit, but=elsewhere)
    return store.some(conn, reading.after, limit, only=whose[reading.name])


def some(tx: Tx, house: House, limit: int) -> int:
    """Read up to `limit` batteries of today, in one zone; returns how many, 0 when the day is
    finished in every zone."""
    by = clocks.shared(tx.conn)
    unfinished = list(_unfinished(store.progress(tx.conn), by, tx.now))
    if not unfinished:
        return 0
    reading = unfinished[0]
    today, lot = reading.today, _lot(tx.conn, by, reading, limit)
    ids = [row["id"] for row in lot]
    if ids:
        store.sample(tx.conn, ids, today, tx.now - HEARD_WITHIN)
        store.forget(tx.conn, ids, today - KEPT_DAYS)
        known = store.samples(tx.conn, ids, today - battery.WINDOW_DAYS)
        forecasts = {row["id"]: battery.foresee(known.get(row["id"], []), today) for row in lot}
        warned = _warned(tx.conn)
        over = [i for i, f in forecasts.items() if i in warned and f.clear]
        if over:
            raising.fault_over(tx, house, Fault.BATTERY_SOON, over)
        new = [i for i, f in forecasts.items() if f.replaced]
        if new:
            raising.fault_over(tx, house, Fault.BATTERY_LOW, new)
        for row in lot:
            forecast = forecasts[row["id"]]
            what = Fault.BATTERY_SOON if forecast.soon else Fault.BATTERY_LOW
            if (forecast.soon and row["id"] not in warned) or (
                forecast.outlook is battery.Outlook.FLAT
            ):
                raising.fault(
                    tx, house, what, row["id"], building_id=row["building_id"],
                    resident_id=row["resident_id"], terminal_id=row["id"],
                    detail=f"{forecast.level:.0f} %, {forecast.days_left} d",
                )  # fmt: skip
    finished = len(lot) < limit
    store.set_progress(tx.conn, reading.name, today, None if finished else ids[-1])
    return 0 if finished and len(unfinished) == 1 else max(1, len(lot))


def _warned(conn: Connection) -> set[str]:
    return {r["terminal_id"] for r in alerts.open_faults(conn, [Fault.BATTERY_SOON])}
