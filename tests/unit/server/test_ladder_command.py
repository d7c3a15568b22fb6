"""`xunlou ladder` as a person at a terminal uses it."""

import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from server import migrate
from server import tables as t
from server.clock import Clock
from server.database import Database, Tx
from server.ladders.keeping import DEFAULT_FILE
from server.service import absences
from server.service.house import House
from xunlou.cli import main
from xunlou.sample import guangdan
from xunlou.seed import load

NOW = datetime(2026, 3, 13, 22, 10, tzinfo=UTC)
HEAD = "+8610011000101"


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample's first buildings; the head of building 11 is away for a day, until 06:10."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    monkeypatch.setenv("XUNLOU_DATABASE_URL", url)
    monkeypatch.setenv("XUNLOU_CLOCK", f"0,{NOW.timestamp()},0.000001")
    migrate.upgrade(url)
    database = Database(url, Clock(source=NOW.timestamp))

    def fill(tx: Tx) -> None:
        load(tx.conn, guangdan(buildings=12), tx.now)
        person = t.table(t.Person)
        head = tx.conn.execute(select(person.c.id).where(person.c.phone == HEAD)).scalar_one()
        until, house = NOW + timedelta(days=1), House("https://x.example", b"")
        absences.person_away(tx, house, head, until, who="test", why="leave")

    database.transact(fill)
    database.close()


def test_check_says_that_a_file_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    """Its edition, and each ladder in one line."""
    assert main(["ladder", "check", str(DEFAULT_FILE)]) == 0
    out = capsys.readouterr().out
    assert "ok, edition 1-" in out
    assert (
        "sos: stewards by sms (120 s) → substitutes+key_holders+befrienders+stewards by sms+voice"
    ) in out
    assert "duty+street by sms+voice (120 s)" in out


def test_check_says_all_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every error behind the file's own path and line; the exit code stops a script."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(DEFAULT_FILE.read_text(encoding="utf-8").replace("[duty]", "[dutty]"))
    assert main(["ladder", "check", str(bad)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith(f"{bad}:") and "write duty" in line for line in lines)


def test_check_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that isn't there is an error in one line."""
    assert main(["ladder", "check", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml can't be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("zh", ["11栋 301", "A类", "求助", "立即", "2分钟", "外出至03-15 06:10", "替补",
                "钥匙保管人"]),
        ("en", ["Building 11 flat 301", "class A", "SOS", "at once", "2 min",
                "away until 03-15 06:10", "substitute", "key holder"]),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("register")
def test_explain_in_both_languages(
    lang: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Who, when, how, and who is passed over and why, in columns that stand under each other; a
    telephone number is never shown whole."""
    at = ["--at", "2026-03-14T06:10"]  # without a zone: the community's
    assert main(["ladder", "explain", "--resident", "gd-11-301", "--lang", lang, *at]) == 0
    out = capsys.readouterr().out
    assert [w for w in words if w not in out] == []
    assert HEAD not in out
    lines = out.splitlines()
    starts = {
        sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line[: line.index(name)])
        for line in lines
        for name in ("罗少芬", "苏佩琼")
        if name in line
    }
    assert len(starts) == 1


@pytest.mark.usefixtures("register")
def test_explain_says_when_nobody_would_be_missed(capsys: pytest.CaptureFixture[str]) -> None:
    """A resident who is away misses no round, and the answer says so; the ladder is shown still."""
    words = ["--kind", "missed", "--lang", "en", "--at", "2026-03-14T06:05+08:00"]
    assert main(["ladder", "explain", "--resident", "gd-12-603", *words]) == 0
    assert "no round is missed" in capsys.readouterr().out


@pytest.mark.usefixtures("register")
def test_explain_of_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown terminal, and a time that is none, are errors in one line."""
    assert main(["ladder", "explain", "--resident", "gd-99-999"]) == 2
    assert "no resident or terminal 'gd-99-999'" in capsys.readouterr().err
    assert main(["ladder", "explain", "--resident", "gd-11-301", "--at", "soon"]) == 2
    assert "soon" in capsys.readouterr().err


def test_explain_needs_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a schema the answer is what to run."""
    monkeypatch.setenv("XUNLOU_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    assert main(["ladder", "explain", "--resident", "1"]) == 2
    assert "xunlou db upgrade" in capsys.readouterr().err
