"""Seals the audit's new entries every half minute; a failure is tried again, nobody waits."""

import asyncio
import contextlib
import logging

from server.database import Database
from server.service import auditing
from server.store import audit

log = logging.getLogger(__name__)
EVERY_S = 30.0


async def run(database: Database, key: bytes, stop: asyncio.Event) -> None:
    """Until the stop event."""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY_S)
        try:
            while await database.read(lambda c: bool(audit.unsealed(c, 1))):
                await database.write(lambda tx: auditing.seal(tx, key))
        except Exception:
            log.exception("the audit could not be sealed; trying again")
