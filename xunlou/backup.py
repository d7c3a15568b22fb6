"""`xunlou backup`: the whole database as it was at one instant, in one file, while the server runs.

The file is a tar archive of `manifest.json` (which kind, which schema, checksum) and the database:
an SQLite file made by its online backup, or pg_dump's custom format, or, where there is no pg_dump,
PostgreSQL's rows in an SQLite file, each read again. It must never leave half a
file under the name asked for, nor one that others can read: it holds the way into people's homes.
"""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from server import as_is, schema

FORMAT = 1
MANIFEST = "manifest.json"
INSIDE = {"sqlite": "xunlou.db", "postgresql": "xunlou.dump"}
TOOL_WITHIN_S = 3600.0


class BackupError(Exception):
    """It was not done, and nothing was changed; the words say what to do."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in a backup. `made_at`: ISO, UTC. `size` in bytes, `sha256` of the database part."""

    format: int
    kind: str
    revision: str
    made_at: str
    size: int
    sha256: str


def make(database_url: str, target: Path) -> Manifest:
    """Back the database up into the new file `target`. Raises BackupError."""
    if target.exists():
        raise BackupError(f"{target} exists; give the name of a new file")
    if not target.resolve().parent.is_dir():
        raise BackupError(f"there is no directory {target.resolve().parent}")
    url = make_url(database_url)
    kind = url.get_backend_name()
    if kind not in INSIDE:
        raise BackupError(f"no way to back up a {kind} database; use its own tools")
    # Beside the target: the same disk, so that the last step is a rename.
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.resolve().parent) as folder:
        if kind == "postgresql" and shutil.which("pg_dump") is None:
            kind = "sqlite"  # row by row, which needs no program
            part = Path(folder) / INSIDE[kind]
            revision = _copy_rows(database_url, part)
        elif kind == "sqlite":
            part = Path(folder) / INSIDE[kind]
            revision = _copy_sqlite(url, part)
        else:
            part = Path(folder) / INSIDE[kind]
            revision = _dump_postgres(url, database_url, part)
        os.chmod(part, 0o600)
        made = Manifest(
            FORMAT, kind, revision, datetime.now(UTC).isoformat(timespec="seconds"),
            part.stat().st_size, digest_of(part),
        )  # fmt: skip
        archive = Path(folder) / "archive"
        _pack(archive, made, part)
        try:
            os.link(archive, target)  # fails rather than replaces, if somebody was quicker
        except FileExistsError:
            raise BackupError(f"{target} exists; give the name of a new file") from None
    return made


def _copy_sqlite(url: URL, part: Path) -> str:
    source = Path(url.database or "")
    if not source.is_file():
        raise BackupError(f"there is no database {source}; check --data or XUNLOU_DATABASE_URL")
    try:
        # The pages are copied under one read lock, which writers (WAL) don't wait for.
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True)) as live,
            closing(sqlite3.connect(part)) as copy,
        ):
            live.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
            check_sqlite(copy)
            return revision_in(copy)
    except sqlite3.Error as error:
        raise BackupError(f"SQLite could not copy {source}: {error}") from error


def _copy_rows(database_url: str, part: Path) -> str:
    if schema.current(database_url) is None:
        raise BackupError("this is no database of Xunlou's: it has no schema revision")
    part.touch(mode=0o600)
    try:
        revision = as_is.snapshot(database_url, f"sqlite:///{part}")
        with closing(sqlite3.connect(part)) as copy:
            check_sqlite(copy)
    except (SQLAlchemyError, sqlite3.Error, as_is.NotTheSame) as error:
        raise BackupError(f"the database could not be copied: {error}") from error
    return revision


def check_sqlite(connection: sqlite3.Connection) -> None:
    """Raises BackupError when the file is damaged."""
    found = connection.execute("PRAGMA integrity_check").fetchall()
    if found != [("ok",)]:
        raise BackupError(f"the database is damaged: {found[0][0]}")


def revision_in(connection: sqlite3.Connection) -> str:
    """The schema's revision. Raises BackupError when it is none of ours."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        row = None
    if row is None:
        raise BackupError("this is no database of Xunlou's: it has no schema revision")
    return str(row[0])


def _dump_postgres(url: URL, database_url: str, part: Path) -> str:
    revision = schema.current(database_url)
    if revision is None:
        raise BackupError("this is no database of Xunlou's: it has no schema revision")
    tool("pg_dump", url, "--format=custom", "--no-owner", "--file", str(part))
    # An upgrade that ran meanwhile would make the manifest a lie.
    if schema.current(database_url) != revision:
        raise BackupError("the schema changed during the backup; make it again")
    return revision


def tool(name: str, url: URL | None, *words: str) -> None:
    """Run one of PostgreSQL's programs on this database; on none where `url` is None. Raises
    BackupError with its own words."""
    program = shutil.which(name)
    if program is None:
        raise BackupError(
            f"{name} is not installed: apt install postgresql-client, of the server's version"
        )
    secret: dict[str, str] = {}
    if url is not None:
        plain = url.set(drivername="postgresql", password=None).render_as_string()
        words = (*words, "--dbname", plain)
        # The password by the environment: arguments are for every user of the machine to read.
        secret = {"PGPASSWORD": str(url.password)} if url.password else {}
    try:
        ran = subprocess.run(
            [program, *words], env={**os.environ, **secret},
            capture_output=True, text=True, timeout=TOOL_WITHIN_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BackupError(f"{name} did not end within {TOOL_WITHIN_S:g} s") from None
    if ran.returncode != 0:
        last = (ran.stderr.strip().splitlines() or ["no words"])[0]
        raise BackupError(f"{name} failed: {last}")


def digest_of(file: Path) -> str:
    """SHA-256 in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _pack(archive: Path, made: Manifest, part: Path) -> None:
    descriptor = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            words = json.dumps(asdict(made), indent=1).encode()
            entry = tarfile.TarInfo(MANIFEST)
            entry.size, entry.mode = len(words), 0o600
            tar.addfile(entry, io.BytesIO(words))
            tar.add(part, arcname=part.name)
        file.flush()
        os.fsync(file.fileno())
