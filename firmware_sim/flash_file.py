"""A fleet's flash in a file, so that a run goes on from the one before.

Terminals know nothing of it: what a store is to them stands in `flash`.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path

from firmware_sim.flash import FlashImage, image_from_json


class FileBank:
    """Stores of a fleet in one SQLite file, a row per terminal.

    A killed process loses nothing; a crashed operating system may lose the newest writes, which
    a simulator can afford (`synchronous=OFF`) and a real terminal could not.
    """

    def __init__(self, path: Path, first_boot: int = 0) -> None:
        """`first_boot`: where terminals begin that are not in the file yet, as in `MemoryBank`."""
        self._blank = FlashImage(boot=first_boot)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS flash (t TEXT PRIMARY KEY, image TEXT)")

    def of(self, terminal: str) -> FileFlash:
        """The store of one terminal."""
        return FileFlash(self._db, terminal, self._blank)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


@dataclass(frozen=True, slots=True)
class FileFlash:
    """One row of a FileBank."""

    db: sqlite3.Connection
    terminal: str
    blank: FlashImage

    def load(self) -> FlashImage:
        """The newest image; the blank one for a new terminal."""
        row = self.db.execute("SELECT image FROM flash WHERE t = ?", (self.terminal,)).fetchone()
        return self.blank if row is None else image_from_json(row[0])

    def save(self, image: FlashImage) -> None:
        """Replace the image. Raises OSError when the file can't be written."""
        try:
            self.db.execute(
                "INSERT OR REPLACE INTO flash VALUES (?, ?)",
                (self.terminal, json.dumps(asdict(image), ensure_ascii=False)),
            )
        except sqlite3.Error as error:
            raise OSError(f"flash of {self.terminal}: {error}") from error
