"""An upgrade keeps what was there before, or changes nothing; and the way back is open."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from town import MARCH_14, Hand, lay_out

from server import migrate, schema
from xunlou.cli import main

pytestmark = pytest.mark.sqlite_only("PostgreSQL's backup is pg_dump's: test_backup.py")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The directory of a house whose database is at the schema before this code's."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    url, _ = lay_out(tmp_path, Hand(MARCH_14))
    (tmp_path / "town.db").rename(folder / "xunlou.db")
    url = f"sqlite:///{folder / 'xunlou.db'}"
    migrate.downgrade(url, "-1")
    assert schema.current(url) != schema.newest()
    return folder


def state(data: Path) -> tuple[str, int]:
    """The schema, and how many residents are in the register."""
    with closing(sqlite3.connect(data / "xunlou.db")) as conn:
        (revision,) = conn.execute("SELECT version_num FROM alembic_version").fetchone()
        (count,) = conn.execute("SELECT count(*) FROM resident").fetchone()
    return revision, count


def test_the_register_of_the_version_before_comes_along_and_can_go_back(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`xunlou upgrade` backs up, migrates and says the way back; going that way brings the old
    schema with everybody in it; a second upgrade has nothing to do."""
    before = state(data)
    assert main(["upgrade", "--data", str(data)]) == 0
    assert state(data) == (schema.newest(), before[1])
    assert before[1] > 0
    (kept,) = (data / "backups").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    said = capsys.readouterr().out
    assert f"xunlou restore --data {data} --force {kept}" in said
    assert main(["upgrade", "--data", str(data)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert len(list((data / "backups").iterdir())) == 1
    assert main(["restore", "--data", str(data), "--force", str(kept)]) == 0
    assert state(data) == before
    assert main(["upgrade", "--data", str(data)]) == 0
    assert state(data) == (schema.newest(), before[1])


def test_nothing_is_changed_without_a_backup(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the backup can't be written, or somebody uses the database, or it is newer than this
    code, the upgrade refuses with what to do."""
    before = state(data)
    (data / "backups").write_text("a file in the way")
    assert main(["upgrade", "--data", str(data)]) == 2
    (data / "backups").unlink()
    with closing(sqlite3.connect(data / "xunlou.db")) as server:
        server.execute("BEGIN IMMEDIATE")
        assert main(["upgrade", "--data", str(data)]) == 2
    assert "stop the server first" in capsys.readouterr().err
    assert state(data) == before
    with closing(sqlite3.connect(data / "xunlou.db")) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
        conn.commit()
    assert main(["upgrade", "--data", str(data)]) == 2
    assert "take the newer code" in capsys.readouterr().err
    assert not (data / "backups").exists() or not list((data / "backups").iterdir())
