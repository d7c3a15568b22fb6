"""Seals what is not sealed under the key in force: notes from before there was a key, and all of
them after the key was changed. A few notes a transaction, with rests: an SOS never waits for it.

It also finds the notes whose key is not here, so that staff hear of it before somebody stands at a
door.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable

from server.database import Database
from server.service import notes
from server.store.notes import SEALED
from server.vault import NoKey, key_of

log = logging.getLogger(__name__)
FIRST_S, EVERY_S, LOOK_S = 3.0, 300.0, 1.0
REST = 4.0
"""Rests so many times as long as a chunk took."""


class Resealing:
    """Goes through all notes at the start, every few minutes, and when the key has changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, stop: asyncio.Event) -> None:
        """Until the stop event; a failure is tried again."""
        loop = asyncio.get_running_loop()
        next_s, keys = loop.time() + FIRST_S, self._database.vault.ids
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_S)
            changed = self._database.vault.ids != keys
            if stop.is_set() or (loop.time() < next_s and not changed):
                continue
            keys = self._database.vault.ids
            try:
                if done := await self.once(stop):
                    log.info("%d notes sealed under the key in force", done)
            except Exception:
                log.exception("notes could not be sealed; trying again")
            next_s = loop.time() + EVERY_S

    async def once(self, stop: asyncio.Event | None = None) -> int:
        """Go through all notes once; how many were sealed anew."""
        vault, loop = self._database.vault, asyncio.get_running_loop()
        key_id = vault.current
        done, lost = 0, Counter[str]()
        for what in SEALED:
            after: int | None = 0
            while after is not None and not (stop is not None and stop.is_set()):
                begun, start = loop.time(), after
                lot, after = await self._database.read(
                    lambda c: notes.next_lot(c, key_id or "", what, start)  # noqa: B023
                )
                if not lot:
                    break
                if key_id is None:
                    lost.update(key_of(s) or "" for _, s in lot)
                    continue
                try:
                    sealed, unreadable = await self._database.write(
                        lambda tx: notes.seal_anew(tx, what, lot)  # noqa: B023
                    )
                except NoKey:  # taken away in this very moment
                    break
                done += sealed
                lost += unreadable
                await asyncio.sleep(REST * (loop.time() - begun))
        lost.pop("", None)  # in the clear, and readable
        vault.lost = dict(lost)
        return done


def everything(database: Database, told: Callable[[int], None] = lambda _: None) -> int:
    """The same from a command, beside running servers or without one; how many were sealed anew.
    `told` hears how many so far. What can't be opened is in the vault's `lost`. Raises NoKey."""
    vault = database.vault
    key_id = vault.current
    if key_id is None:
        raise NoKey("there is no key for notes: set XUNLOU_NOTES_KEYS")
    done, lost = 0, Counter[str]()
    for what in SEALED:
        after: int | None = 0
        while after is not None:
            begun = time.monotonic()
            with database.reader.begin() as conn:
                lot, after = notes.next_lot(conn, key_id, what, after)
            if not lot:
                break
            (sealed, unreadable), _ = database.transact(
                lambda tx: notes.seal_anew(tx, what, lot)  # noqa: B023
            )
            done += sealed
            lost += unreadable
            told(done)
            time.sleep(time.monotonic() - begun)  # a server beside us gets its turns
    vault.lost = dict(lost)
    return done
