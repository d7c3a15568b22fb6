"""Keeps the event table's partitions on PostgreSQL (docs/adr/0035): goes on in the next one when
one is full, and drops those whose events are all past their time. Daily, before retention clears.

Where it waits for a lock, presses wait behind it: it gives up after a tenth of a second and tries
again a little later. It must never leave events without a place.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from server.database import Database, Tx
from server.store import partitions as store
from server.store.by_time import SLACK

T = TypeVar("T")
log = logging.getLogger(__name__)
FULL = 30_000_000
"""Ids; ten days of a city. Larger ones are slower to write to, more of them slower to look in."""
WHOLE = timedelta(days=14)
"""A partition that can be dropped so soon is not emptied in chunks before."""
TRIES, REST_S = 30, 2.0
NOT_GRANTED = "55P03"
"""PostgreSQL: the lock was not to be had in time."""


async def begin_next(database: Database, full: int = FULL) -> bool:
    """Go on in the next partition if the present one has `full` ids; whether it was to."""
    if database.sqlite:
        return False
    newest, last = await database.read(lambda c: (store.newest_id(c), store.last(c)))
    number = newest // store.BLOCK
    if number <= last and newest % store.BLOCK < full:
        return False
    # Two transactions: to go over, one must hold nothing that those need who store events.
    await _patiently(database, lambda conn: store.make(conn, number + 1))
    await _patiently(database, lambda conn: store.move_on(conn, number + 1))
    log.info("events go into a new partition now, signal_%d", number + 1)
    return True


async def drop_past(database: Database, before: datetime) -> tuple[int, bool]:
    """Drop the partitions all of whose events came before `before`. Returns how many those were,
    and whether the oldest one left is soon to go as a whole."""
    if database.sqlite:
        return 0, False
    newest, parts = await database.read(lambda c: (store.newest_id(c), store.there(c)))
    dropped = 0
    for part in parts:
        if part.number >= newest // store.BLOCK:
            break
        ended = await _patiently(
            database,
            lambda conn: store.drop_past(conn, part, before - SLACK),  # noqa: B023
        )
        if ended is not None:
            return dropped, ended < before + WHOLE
        log.info("%s is dropped, its events are past their time", part.name)
        dropped += 1
    return dropped, False


async def _patiently(database: Database, change: Callable[[Connection], T]) -> T:
    def once(tx: Tx) -> T:
        store.keep(tx.conn)
        return change(tx.conn)

    for _ in range(TRIES - 1):
        try:
            return await database.write(once)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != NOT_GRANTED:
                raise
        await asyncio.sleep(REST_S)
    return await database.write(once)
