"""Once a day, in the daytime: one reading of each battery is kept, and what it foretells is told.

A heartbeat costs nothing for it: the reading is what the terminal's row holds anyway, taken in
bulk. Whoever was not heard since the day before has no reading today.
"""

from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from server.core import battery
from server.core.words import Fault
from server.database import Tx
from server.service import raising
from server.service.house import House
from server.store import alerts, people
from server.store import batteries as store
from server.store.people import CommunityFacts

AT_HOUR = 10
"""Local time: when there is somebody to order a battery."""
KEPT_DAYS = 60
HEARD_WITHIN = timedelta(hours=24)
EPOCH_DAY = date(1970, 1, 1).toordinal()
START = ""
"""Before every terminal's id."""


def _today(community: CommunityFacts, now: datetime) -> int:
    """The day whose reading is due by `now`, counted from 1970."""
    local = now.astimezone(community.zone)
    return local.toordinal() - EPOCH_DAY - (1 if local.hour < AT_HOUR else 0)


def is_due(
    community: CommunityFacts, done: tuple[int, str | None] | None, now: datetime
) -> bool:
    """Whether today's reading is not finished. `done`: how far it has come."""
    return done is None or done[0] < _today(community, now) or done[1] is not None


def some(tx: Tx, house: House, limit: int) -> int:
    """Read up to `limit` batteries of today; returns how many, 0 when the day is finished."""
    community, done = people.community(tx.conn), store.progress(tx.conn)
    if community is None:
        return 0
    today = _today(community, tx.now)
    if done is not None and done[0] >= today and done[1] is None:
        return 0
    after = done[1] if done is not None and done[0] == today and done[1] is not None else START
    lot = store.some(tx.conn, after, limit)
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
    store.set_progress(tx.conn, today, None if finished else ids[-1])
    return 0 if finished else len(lot)


def _warned(conn: Connection) -> set[str]:
    return {r["terminal_id"] for r in alerts.open_faults(conn, [Fault.BATTERY_SOON])}
