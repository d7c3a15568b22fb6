"""A backup made in the middle of an emergency is whole, and a restore never makes things worse."""

import asyncio
import io
import json
import sqlite3
import tarfile
from pathlib import Path

import pytest
from sqlalchemy import make_url
from town import HEAD, a_town

from server import migrate, schema
from tests import neighbour
from xunlou import backup
from xunlou.backup import BackupError
from xunlou.restore import restore

FILE = pytest.mark.sqlite_only(reason="PostgreSQL has pg_dump; the file is ours to copy")


def counted(file: Path, table: str) -> int:
    """Rows of a table in a database nobody is using."""
    connection = sqlite3.connect(file)
    try:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    finally:
        connection.close()
    return int(count)


@pytest.fixture
def empty(tmp_path: Path) -> str:
    """The URL of a migrated database without a record."""
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    migrate.upgrade(url)
    return url


@FILE
async def test_a_backup_while_signals_flow_holds_every_receipt_given_before_it(
    tmp_path: Path,
) -> None:
    """Check-ins pour in all the while; nobody waits for the backup; what had its receipt when the
    backup began is in it, and the restored house goes on: the open SOS is told to nobody twice."""
    (tmp_path / "town").mkdir()
    async with a_town(tmp_path / "town") as t:
        await neighbour.move_in(t)
        await t.press()
        await t.forget_sms()
        stop, stored = asyncio.Event(), 0

        async def flow() -> None:
            nonlocal stored
            while not stop.is_set():
                events = [t.event("checkin") for _ in range(20)]
                assert await t.signals(*events) == ["stored"] * 20
                stored += 20

        flowing = asyncio.create_task(flow())
        while stored < 100:
            await asyncio.sleep(0.005)
        before = stored
        file = tmp_path / "xunlou.backup"
        made = await asyncio.to_thread(backup.make, t.runtime.settings.database_url, file)
        after = stored
        stop.set()
        await flowing
        hand = t.hand
    assert made.revision == schema.newest()
    assert file.stat().st_mode & 0o077 == 0
    target = tmp_path / "again" / "town.db"
    restore(file, f"sqlite:///{target}", force=False)
    assert before + 1 <= counted(target, "signal") <= after + 21
    assert counted(target, "community") == 2
    async with a_town(tmp_path / "again", hand=hand) as t:
        assert (await t.sos())["state"] == "open"
        await t.move(1)
        await t.no_more_sms()
        await t.move(119)
        await t.expect_sms(HEAD, "求助")


@FILE
async def test_a_running_server_is_never_restored_over(tmp_path: Path, empty: str) -> None:
    """Not even with --force, and the database is untouched."""
    file = tmp_path / "empty.backup"
    backup.make(empty, file)
    (tmp_path / "town").mkdir()
    async with a_town(tmp_path / "town") as town:
        await town.press()
        for force in (False, True):
            with pytest.raises(BackupError, match="stop the server first"):
                await asyncio.to_thread(
                    restore, file, town.runtime.settings.database_url, force=force
                )
        await town.press()
        assert (await town.sos())["presses"] == 2


@FILE
async def test_records_are_replaced_only_by_force_and_kept_beside(
    tmp_path: Path, empty: str
) -> None:
    """Without --force a database with records stays; with it the old one lies beside the new."""
    file = tmp_path / "empty.backup"
    backup.make(empty, file)
    (tmp_path / "town").mkdir()
    async with a_town(tmp_path / "town") as town:
        await town.press()
        url = town.runtime.settings.database_url
    target = Path(make_url(url).database or "")
    with pytest.raises(BackupError, match="--force"):
        restore(file, url, force=False)
    assert counted(target, "signal") == 1
    done = restore(file, url, force=True)
    assert counted(target, "signal") == 0
    assert done.kept is not None
    assert counted(done.kept, "signal") == 1


def rewritten(file: Path, **changes: object) -> None:
    """The same backup with another manifest."""
    with tarfile.open(file) as tar:
        parts = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]
    manifest = json.loads(parts["manifest.json"]) | changes
    parts["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(file, "w") as tar:
        for name, words in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(words)
            tar.addfile(entry, io.BytesIO(words))


def test_a_newer_schema_is_refused(tmp_path: Path, empty: str) -> None:
    """Old code on a newer database would lose what it doesn't know."""
    file = tmp_path / "newer.backup"
    backup.make(empty, file)
    rewritten(file, revision="9999")
    with pytest.raises(BackupError, match="newer than this code"):
        restore(file, f"sqlite:///{tmp_path / 'new.db'}", force=False)
    assert not (tmp_path / "new.db").exists()


def test_an_older_schema_is_restored_and_then_upgraded(tmp_path: Path) -> None:
    """Backup first, migrate, verify: the way back from an upgrade, and forward again."""
    old = f"sqlite:///{tmp_path / 'old.db'}"
    migrate.upgrade(old, "0001")
    file = tmp_path / "old.backup"
    assert backup.make(old, file).revision == "0001"
    new = f"sqlite:///{tmp_path / 'new.db'}"
    assert restore(file, new, force=False).revision == "0001"
    migrate.upgrade(new)
    assert schema.current(new) == schema.newest()


@pytest.mark.parametrize("at", [0.3, 0.6, 0.95])
def test_a_damaged_backup_is_noticed_and_nothing_is_touched(
    tmp_path: Path, empty: str, at: float
) -> None:
    """One flipped byte anywhere in the database, and half a file as well."""
    file = tmp_path / "damaged.backup"
    made = backup.make(empty, file)
    whole = bytearray(file.read_bytes())
    whole[int(2048 + at * made.size)] ^= 0x40
    file.write_bytes(whole)
    with pytest.raises(BackupError, match=r"damaged|no whole backup"):
        restore(file, f"sqlite:///{tmp_path / 'new.db'}", force=False)
    file.write_bytes(whole[: int(len(whole) * at)])
    with pytest.raises(BackupError, match=r"damaged|no whole backup"):
        restore(file, f"sqlite:///{tmp_path / 'new.db'}", force=False)
    assert not (tmp_path / "new.db").exists()


def test_no_backup_replaces_another_or_leaves_half_a_file(tmp_path: Path, empty: str) -> None:
    """A name in use is refused; a database that isn't ours leaves nothing behind."""
    file = tmp_path / "a.backup"
    backup.make(empty, file)
    with pytest.raises(BackupError, match="exists"):
        backup.make(empty, file)
    foreign = tmp_path / "foreign.db"
    sqlite3.connect(foreign).close()
    foreign.write_bytes(b"")
    with pytest.raises(BackupError, match="no database of Xunlou"):
        backup.make(f"sqlite:///{foreign}", tmp_path / "b.backup")
    assert sorted(p.name for p in tmp_path.iterdir() if "backup" in p.name) == ["a.backup"]


def test_without_pg_dump_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL is backed up by its own program, or not at all."""
    monkeypatch.setenv("PATH", str(tmp_path))
    url = make_url("postgresql+psycopg://xunlou:secret@127.0.0.1:1/xunlou")
    with pytest.raises(BackupError, match="postgresql-client") as refused:
        backup.tool("pg_dump", url)
    assert "secret" not in str(refused.value)
