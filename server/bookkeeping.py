"""Posts the hours that volunteers have given, every ten minutes; a failure is tried again.

Off every path of an alert: each lot is a short transaction of its own, and it rests in between.
"""

import asyncio
import contextlib
import logging

from server.database import Database
from server.service.help import crediting

log = logging.getLogger(__name__)
EVERY_S = 600.0
REST_S = 0.2
MOST_LOTS = 1000


async def run(database: Database, stop: asyncio.Event) -> None:
    """Until the stop event."""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY_S)
            return
        try:
            await post_all(database, stop)
        except Exception:
            log.exception("hours could not be posted; trying again")


async def post_all(database: Database, stop: asyncio.Event) -> int:
    """Post all that is known and not credited yet; returns how many facts were looked at."""
    seen = 0
    for _ in range(MOST_LOTS):
        lot = await database.write(crediting.credit)
        seen += lot
        if lot == 0 or stop.is_set():
            break
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), REST_S)
    return seen
