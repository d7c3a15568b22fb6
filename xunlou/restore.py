"""`xunlou restore`: a backup becomes the database again.

It must never touch a database that somebody is using, nor lose the one that was there: SQLite's is
moved aside, PostgreSQL's is replaced in one transaction, and both only with `--force`.
"""

import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, create_engine, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from server import as_is, migrate, schema
from xunlou.backup import (
    FORMAT,
    INSIDE,
    MANIFEST,
    BackupError,
    Manifest,
    check_sqlite,
    digest_of,
    revision_in,
    tool,
)  # fmt: skip

RECORDS = ("community", "resident", "alert", "journal")
"""Tables of which one with a row in it makes a database one that was in use."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What is in place now; `kept`: where the former SQLite database lies."""

    revision: str
    made_at: str
    kept: Path | None = None


def restore(source: Path, database_url: str, *, force: bool) -> Restored:
    """Put the backup `source` in place. Raises BackupError, and then nothing has changed."""
    url = make_url(database_url)
    kind = url.get_backend_name()
    beside = Path(url.database).resolve().parent if kind == "sqlite" and url.database else None
    if beside is not None:
        beside.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=beside) as folder:
        made, part = unpack(source, Path(folder))
        if made.kind not in (kind, "sqlite"):  # rows fit into either
            raise BackupError(
                f"this is a backup of {made.kind}, the database is {kind}; restore it into "
                f"a {made.kind} database"
            )
        _known(made.revision)
        if kind == "sqlite":
            kept = _place_sqlite(part, Path(url.database or "").resolve(), made, force=force)
            return Restored(made.revision, made.made_at, kept)
        if made.kind == kind:
            _place_postgres(part, url, database_url, force=force)
        else:
            _place_rows(part, database_url, made, force=force)
        return Restored(made.revision, made.made_at)


def unpack(source: Path, folder: Path) -> tuple[Manifest, Path]:
    """The manifest and the database part, its checksum proved. Raises BackupError."""
    try:
        with tarfile.open(source, mode="r:") as tar:
            words = tar.extractfile(MANIFEST)
            if words is None:
                raise BackupError(f"{source} holds no {MANIFEST}; it is no backup of Xunlou's")
            made = Manifest(**json.loads(words.read()))
            if made.format != FORMAT or made.kind not in INSIDE:
                raise BackupError(f"{source} was made by a newer Xunlou; use that one")
            inside = tar.extractfile(INSIDE[made.kind])
            if inside is None:
                raise BackupError(f"{source} holds no database")
            part = folder / INSIDE[made.kind]
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(inside, file)
                file.flush()
                os.fsync(file.fileno())
    except FileNotFoundError:
        raise BackupError(f"there is no file {source}") from None
    except (tarfile.TarError, KeyError, TypeError, ValueError, OSError) as error:
        raise BackupError(f"{source} is no whole backup of Xunlou's: {error}") from error
    if digest_of(part) != made.sha256:
        raise BackupError(f"{source} is damaged: its checksum does not hold; take another backup")
    return made, part


def _known(revision: str) -> None:
    if revision not in migrate.known():
        raise BackupError(
            f"the backup's schema ({revision}) is newer than this code ({schema.newest()}); "
            "take the code that made it"
        )


def _place_sqlite(part: Path, target: Path, made: Manifest, *, force: bool) -> Path | None:
    copy = sqlite3.connect(part)
    try:
        check_sqlite(copy)
        if revision_in(copy) != made.revision:
            raise BackupError("the backup's manifest and database tell of different schemas")
    finally:
        copy.close()
    kept = None
    if target.exists():
        in_use = alone_with(target)
        if in_use and not force:
            raise BackupError(
                f"{target} holds records; --force replaces it (and keeps it beside the new one)"
            )
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        kept = target.with_name(f"{target.name}.before-{stamp}")
        target.rename(kept)
    for rest in ("-wal", "-shm"):
        target.with_name(target.name + rest).unlink(missing_ok=True)
    part.rename(target)
    _sync(target.parent)
    return kept


def alone_with(target: Path) -> bool:
    """Whether the database there was in use; its journal is brought home on the way.

    Raises BackupError while anybody has it open: only its sole user can leave WAL mode.
    """
    try:
        there = sqlite3.connect(target, timeout=0.5)
        try:
            (mode,) = there.execute("PRAGMA journal_mode=DELETE").fetchone()
            if mode != "delete":
                raise BackupError(f"{target} is in use: stop the server first")
            there.execute("BEGIN EXCLUSIVE")  # out of WAL already, it may be written all the same
            there.rollback()
            return any(_has_rows(there, name) for name in RECORDS)
        finally:
            there.close()
    except sqlite3.OperationalError:
        raise BackupError(f"{target} is in use: stop the server first") from None
    except sqlite3.DatabaseError:
        return True  # damaged: whatever it is, only --force may move it


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if there is None:
        return False
    return connection.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchone() is not None  # noqa: S608 (names of ours)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place_postgres(part: Path, url: URL, database_url: str, *, force: bool) -> None:
    _fit(database_url, force=force)
    script = part.with_suffix(".sql")
    tool("pg_restore", None, "--no-owner", "--file", str(script), str(part))
    # Not pg_restore's own --clean: it can't drop a partition's constraints, nor tables that the
    # backup does not know. A file, not a pipe: what ended half-way would be committed.
    tool(
        "psql", url, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction",
        "--command", "SET client_min_messages = warning",
        "--command", "DROP SCHEMA public CASCADE", "--command", "CREATE SCHEMA public",
        "--file", str(script),
    )  # fmt: skip


def _place_rows(part: Path, database_url: str, made: Manifest, *, force: bool) -> None:
    """An SQLite file into PostgreSQL, all or nothing."""
    with closing(sqlite3.connect(part)) as copy:
        check_sqlite(copy)
        if revision_in(copy) != made.revision:
            raise BackupError("the backup's manifest and database tell of different schemas")
    _fit(database_url, force=force)
    engine = create_engine(database_url)
    try:
        with engine.begin() as conn:
            as_is.replace(f"sqlite:///{part}", conn)
    except (SQLAlchemyError, as_is.NotTheSame) as error:
        raise BackupError(f"nothing was changed: {error}") from error
    finally:
        engine.dispose()


def _fit(database_url: str, *, force: bool) -> None:
    """Raises BackupError unless nobody uses this PostgreSQL database and it may be replaced."""
    engine = create_engine(database_url)
    try:
        with engine.connect() as conn:
            others = conn.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
            ).scalar_one()
            tables = set(inspect(conn).get_table_names())
            in_use = any(
                conn.execute(text(f'SELECT 1 FROM "{name}" LIMIT 1')).first() is not None  # noqa: S608
                for name in RECORDS
                if name in tables
            )
    finally:
        engine.dispose()
    if others:
        raise BackupError(f"{others} connection(s) to the database: stop every server first")
    if in_use and not force:
        raise BackupError("the database holds records; --force replaces them")
