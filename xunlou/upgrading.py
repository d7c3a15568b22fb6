"""`xunlou upgrade`: the database brought up to this code, with a backup first.

A migration that went wrong, or a new version that does not please, must cost nobody their register:
the way back is written down, and printed, before anything is changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import make_url

from server import migrate, schema, wakeups
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


def upgrade(
    url: str, folder: Path, now: datetime, say: Callable[[str], None], *, keep: bool = True
) -> Upgraded:
    """Back the database up into `folder` and migrate it; without `keep`, migrate only. Raises
    BackupError, with nothing changed, when somebody uses the database (SQLite) or servers work on
    it (PostgreSQL), no backup can be made, or it is of a newer version than this code."""
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
        else:
            _no_servers(url)
        if keep:
            kept = folder / f"before-{need}-{now:%Y-%m-%dT%H%M%S.%fZ}.backup"
            try:
                made = _kept(url, kept)
            except BackupError as error:
                raise BackupError(
                    f"{error}. Nothing was changed. --without-backup migrates all the same: then "
                    f"there is no way back to the schema {have}"
                ) from error
            say(f"backup: {kept}, schema {made.revision}, {made.size} bytes")
        else:
            say(f"no backup is made, as you asked: there is no way back to the schema {have}")
    migrate.upgrade(url)
    say(f"database: {have or 'empty'} → {need}")
    return Upgraded(have, need, kept)


def _kept(url: str, kept: Path) -> backup.Manifest:
    try:
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return backup.make(url, kept)
    except OSError as error:
        raise BackupError(f"no backup can be made in {kept.parent}: {error.strerror}; name another "
                          "directory with --backups") from None  # fmt: skip


def _no_servers(url: str) -> None:
    """What an older server writes meanwhile would be in no backup, and it does not know the new
    tables."""
    with schema.connected(url) as conn:
        servers = wakeups.alive(conn)
    if servers:
        raise BackupError(f"{len(servers)} server(s) work on the database: stop them first (docker "
                          "compose stop server server2); they run on until then")  # fmt: skip
