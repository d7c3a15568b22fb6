"""The network edition is upgraded with a backup first, made of rows: its image has no pg_dump."""

import itertools
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import postgres
import pytest
from sqlalchemy import create_engine, text
from town import MARCH_14, Hand, Town, a_town, lay_out

from server import as_is, migrate, moving, schema, tables
from server.clock import Clock
from server.database import Database
from xunlou import upgrading
from xunlou.backup import BackupError
from xunlou.cli import main
from xunlou.restore import restore

assert tables
pytestmark = pytest.mark.sqlite_only("it opens PostgreSQL by itself")
NOW = datetime(2026, 3, 14, tzinfo=UTC)


@pytest.fixture(autouse=True)
def without_pg_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image."""
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda n: None if n == "pg_dump" else found(n))


@pytest.fixture
def url() -> Iterator[str]:
    """A PostgreSQL of this test's own."""
    with postgres.for_this_test():
        yield ""


async def lived_in(tmp_path: Path) -> str:
    """A community in which a day has passed: its database, and nobody on it."""
    async with a_town(tmp_path, MARCH_14) as town:
        await some_life(town)
        database_url = town.runtime.settings.database_url
    return database_url


async def some_life(town: Town) -> None:
    """Rows in many tables, JSON with and without, Chinese, notes that are sealed."""
    await town.press()
    await town.signals(town.event("tamper"), heartbeats=[{"t": "gd-11-303", "boot": 1, "bat": 7}])
    alert = await town.sos()
    await town.act(alert["id"], "accept", as_person_id=1)
    await town.move(600)


def everything(url: str) -> dict[str, moving.Sum]:
    """What each table holds, as it is."""
    with moving.connected(url) as conn:
        return as_is.sums(conn)


async def test_a_backup_of_rows_is_made_before_the_migration_and_is_the_way_back(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`xunlou upgrade` of an older schema: backed up, migrated, the way back printed. Going it
    brings the old schema with every row as it was, and the numbers go on; nothing is backed up
    where there is nothing to migrate."""
    database_url = await lived_in(tmp_path)
    monkeypatch.setenv("XUNLOU_DATABASE_URL", database_url)
    migrate.downgrade(database_url, "-1")
    old, before = schema.current(database_url), everything(database_url)
    assert sum(s.rows for s in before.values()) > 500
    folder = tmp_path / "backups"
    assert main(["upgrade", "--backups", str(folder)]) == 0
    assert schema.current(database_url) == schema.newest()
    (kept,) = folder.iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    assert f"xunlou restore --force {kept}" in capsys.readouterr().out
    assert main(["upgrade", "--backups", str(folder)]) == 0
    assert len(list(folder.iterdir())) == 1, "nothing to do, nothing to keep"
    with pytest.raises(BackupError, match="--force"):
        restore(kept, database_url, force=False)
    restore(kept, database_url, force=True)
    assert (schema.current(database_url), everything(database_url)) == (old, before)
    migrate.upgrade(database_url)
    assert migrate.drift(database_url) == []
    counts, wrong = moving.check(database_url)
    assert wrong == []
    assert counts["resident"] > 0


async def test_nothing_is_migrated_without_a_backup_unless_somebody_says_so(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room for it, or it does not hold: the schema stays. With --without-backup it is said that
    there is no way back."""
    database_url, _ = lay_out(tmp_path, Hand(MARCH_14))
    monkeypatch.setenv("XUNLOU_DATABASE_URL", database_url)
    migrate.downgrade(database_url, "-1")
    old = schema.current(database_url)
    (tmp_path / "backups").write_text("a file in the way")
    assert main(["upgrade", "--backups", str(tmp_path / "backups")]) == 2
    assert "--without-backup migrates all the same" in capsys.readouterr().err
    with monkeypatch.context() as m:
        others = itertools.count()  # what is read again is never the same
        m.setattr(as_is, "digest_row", lambda _row: next(others))
        assert main(["upgrade", "--backups", str(tmp_path / "other")]) == 2
    assert "is not what was there" in capsys.readouterr().err
    assert schema.current(database_url) == old
    assert list((tmp_path / "other").iterdir()) == []
    words = ["upgrade", "--without-backup", "--backups", str(tmp_path / "other")]
    assert main(words) == 0
    assert f"no way back to the schema {old}" in capsys.readouterr().out
    assert schema.current(database_url) == schema.newest()


async def test_no_server_is_migrated_under(tmp_path: Path, url: str) -> None:
    """An older server that still runs is left alone until somebody stops it: what it takes in would
    be in no backup."""
    async with a_town(tmp_path, MARCH_14) as town:
        engine = create_engine(town.runtime.settings.database_url)
        with engine.begin() as conn:
            before = conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            known = migrate.in_order()[-2]
            conn.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": known})
        with pytest.raises(BackupError, match="stop them first"):
            upgrading.upgrade(
                town.runtime.settings.database_url, tmp_path / "b", NOW, lambda _line: None
            )
        with engine.begin() as conn:
            conn.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": before})
        engine.dispose()


async def test_a_backup_while_it_runs_is_of_one_instant(tmp_path: Path, url: str) -> None:
    """What is written while the rows are read is not in it, by half or whole."""
    async with a_town(tmp_path, MARCH_14) as town:
        await some_life(town)
        source = town.runtime.settings.database_url
        target = f"sqlite:///{tmp_path / 'copy.db'}"
        before = everything(source)
        with moving.connected(source) as reading:
            as_is.revision_in(reading)
            writer = Database(source, Clock())
            writer.transact(lambda tx: tx.conn.execute(text("UPDATE resident SET name = 'new'")))
            writer.close()
            assert as_is.sums(reading) == before, "one view"
        as_is.snapshot(source, target)
        assert everything(target) == everything(source) != before
