"""`xunlou upgrade`: the database brought up to this code, with a backup first.

A migration that went wrong, or a new version that does not please, must cost nobody their register:
the way back is written down, and printed, before anything is changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import make_url

from server import migrate, schema
from xunlou import backup
from xunlou.backup import BackupError
from xunlou.restore import alone_with


@dataclass(frozen=True, slots=True)
class Upgraded:
    """From which schema to which; `kept`: the backup made before, None when there was nothing to
    keep, or nothing to do."""

    before: str | None
    after: str
    kept: Path | None


def upgrade(url: str, folder: Path, now: datetime, say: Callable[[str], None]) -> Upgraded:
    """Back the database up into `folder` and migrate it. Raises BackupError, with nothing changed,
    when somebody uses the (SQLite) database, no backup can be made, or it is of a newer version
    than this code."""
    have, need = schema.current(url), schema.newest()
    if have == need:
        return Upgraded(have, need, None)
    kept = None
    if have is not None:
        if have not in migrate.known():
            raise BackupError(
                f"the database has the schema {have}, and this code knows up to {need}: take the "
                "newer code again, or restore a backup that was made before it"
            )
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            alone_with(Path(str(parsed.database)))
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise BackupError(f"no backup can be made in {folder}: {error.strerror}; name another "
                              "directory with --backups") from None  # fmt: skip
        kept = folder / f"before-{need}-{now:%Y-%m-%dT%H%M%S.%fZ}.backup"
        made = backup.make(url, kept)
        say(f"backup: {kept}, schema {made.revision}, {made.size} bytes")
    migrate.upgrade(url)
    say(f"database: {have or 'empty'} → {need}")
    return Upgraded(have, need, kept)
