"""`xunlou keys` and `xunlou doctor` on an installation of `xunlou up`: a key lost and found."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.settings import Settings
from server.vault import Key, Vault, listed
from xunlou import backup, restore
from xunlou.cli import main
from xunlou.doctor import check_notes
from xunlou.embedded import Place, prepare
from xunlou.keys import Keys
from xunlou.notes_keys import FILE
from xunlou.sample import guangdan

pytestmark = pytest.mark.sqlite_only("the embedded edition's own files")


@dataclass
class Office:
    """One installation's directory."""

    data: Path

    @property
    def file(self) -> Path:
        """Its keys."""
        return self.data / FILE

    def keys(self, *words: str) -> int:
        """`xunlou keys`."""
        return main(["keys", "--data", str(self.data), *words])

    def ids(self) -> list[str]:
        """The ids of the keys in the file."""
        return [Key.parse(word).id for word in listed(self.file.read_text())]

    def note(self) -> tuple[int, str]:
        """Any note, as it is stored."""
        with closing(sqlite3.connect(self.data / "xunlou.db")) as file:
            row: tuple[int, str] = file.execute(
                "SELECT id, access_notes FROM resident WHERE access_notes <> '' ORDER BY id"
            ).fetchone()
        return row

    def read(self) -> str | None:
        """That note, opened with the keys of the file."""
        return Vault(path=self.file).open("resident.access_notes", *self.note())

    def doctor(self) -> tuple[bool, str]:
        """What the doctor says of notes."""
        url = f"sqlite:///{self.data / 'xunlou.db'}"
        found = check_notes(Settings(database_url=url, notes_keys_file=str(self.file)))
        return found.ok, found.found


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """An office after its first start, three buildings big."""
    data = tmp_path / "data"
    prepare(Place(data, 0, 0, Keys.fresh()), guangdan(buildings=3))
    return Office(data)


def test_the_first_start_makes_a_key_and_seals_all(office: Office) -> None:
    """Only its owner reads the file; the database holds sealed notes; a second start changes
    nothing."""
    assert office.file.stat().st_mode & 0o777 == 0o600
    assert office.note()[1].startswith(f"xl1:{office.ids()[0]}:")
    before = office.file.read_text(), office.note()
    prepare(Place(office.data, 0, 0, Keys.fresh()), None)
    assert (office.file.read_text(), office.note()) == before
    assert office.doctor()[0]


def test_a_rotation_leaves_nothing_under_the_old_key(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old key stays for older backups until it is forgotten, which is refused too early."""
    note, (old,) = office.read(), office.ids()
    assert office.keys("forget", old) == 2
    assert office.keys("rotate") == 0
    new = office.ids()[0]
    assert office.ids() == [new, old]
    assert office.note()[1].startswith(f"xl1:{new}:")
    assert office.read() == note
    assert office.keys("forget", old) == 0
    assert office.ids() == [new]
    assert office.read() == note
    assert office.keys("show") == 0
    said = capsys.readouterr()
    assert not any(k in said.out + said.err for k in listed(office.file.read_text()))


def test_a_lost_key_is_named_and_its_return_is_all_it_takes(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    """A start without the file makes another key, as for a new office, and the doctor says which
    one is missing; the old line put back opens all, and a rotation brings all under one."""
    kept, (old,), note = office.file.read_text(), office.ids(), office.read()
    office.file.unlink()
    assert not office.doctor()[0]
    prepare(Place(office.data, 0, 0, Keys.fresh()), None)
    assert office.read() is None
    ok, said = office.doctor()
    assert not ok
    assert "can't be read" in said
    assert office.keys("show") == 1
    assert f"{old}  NOT HERE" in capsys.readouterr().out
    office.file.write_text(office.file.read_text() + kept)
    assert office.read() == note
    assert office.keys("rotate") == 0
    assert office.doctor()[0]


def test_a_backup_needs_the_key_of_its_day(office: Office, tmp_path: Path) -> None:
    """It holds no key, nor a note in the clear; restored, it is read with the key of its day."""
    note, made = office.read(), tmp_path / "one.backup"
    assert note
    backup.make(f"sqlite:///{office.data / 'xunlou.db'}", made)
    inside = made.read_bytes()
    assert note.encode() not in inside
    assert listed(office.file.read_text())[0].encode() not in inside
    assert office.keys("rotate") == 0
    restore.restore(made, f"sqlite:///{office.data / 'xunlou.db'}", force=True)
    assert office.read() == note


def test_a_new_key_is_printed_and_fits(capsys: pytest.CaptureFixture[str]) -> None:
    """For XUNLOU_NOTES_KEYS."""
    assert main(["keys", "new"]) == 0
    assert Key.parse(capsys.readouterr().out).id
