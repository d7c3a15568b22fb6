"""`xunlou db copy`: an embedded community moves into the network edition and back, row by row; and
what can't be moved is refused before anything is written."""

from collections.abc import Callable
from pathlib import Path

import postgres
import pytest
from sqlalchemy import create_engine, func, insert, select, text, update
from town import GRANNY, HEAD, Hand, a_town

from server import migrate, moving
from server import tables as t
from server.clock import Clock
from server.database import Database
from server.store import journal
from tests import neighbour
from xunlou import cli

JOURNAL = t.table(t.Journal)


@pytest.fixture
def elsewhere(tmp_path: Path, database: str) -> Callable[[], str]:
    """Makes the URL of an empty database of the *other* kind."""

    def make() -> str:
        if database == "postgres":
            return f"sqlite:///{tmp_path / 'moved' / 'xunlou.db'}"
        url = postgres.cluster().url(postgres.cluster().create())
        made.append(url)
        return url

    made: list[str] = []
    yield make  # type: ignore[misc]
    for url in made:
        postgres.cluster().drop(postgres.name_of(url))


async def lived_in(tmp_path: Path) -> tuple[str, Hand]:
    """A town of two communities that has lived: presses, an accepted and a resolved alert, a
    missed round, texts in two scripts, a quarantined message with bytes that are no text. Its
    database."""
    async with a_town(tmp_path) as town:
        await neighbour.move_in(town)
        await town.press()
        await town.reply(HEAD, "1")
        await town.act((await town.sos())["id"], "resolve", outcome="safe", note="摔倒,没事 ☂")
        devices = (await town.api.get("/api/v1/terminals")).json()["terminals"]
        await town.press("sos", next(d["id"] for d in devices if d["id"] != GRANNY))
        await town.signals(town.event("checkin"), rejects=[
            {"topic": "xunlou/v1/t/x/evt/sos", "payload_b64": "AP8B", "reason": "malformed"}
        ])  # fmt: skip
        await town.move(3 * 3600)
        await town.settled()
        url = str(town.runtime.settings.database_url)
        return url, town.hand


async def test_a_lived_in_community_moves_and_lives_on(
    tmp_path: Path, elsewhere: Callable[[], str]
) -> None:
    """Every table has the same rows there, checked by count and hash; numbers go on where they
    were, so the next entry collides with none."""
    source, hand = await lived_in(tmp_path)
    target, said = elsewhere(), []
    found = moving.copy(source, target, said.append)
    assert found == moving.sums(source)
    assert found["message"].rows > 3
    assert found["community"].rows == 2
    assert found["quarantine"].rows == 1
    assert any(line.startswith("journal:") for line in said)
    assert moving.check(target)[1] == []
    db = Database(target, Clock(source=hand))
    try:
        last = select(func.max(JOURNAL.c.seq))
        newest = db.transact(lambda tx: tx.conn.execute(last).scalar_one())[0]
        db.transact(lambda tx: journal.note(tx, "test"))
        with db.reader.begin() as conn:
            assert journal.settled(conn) == newest + 1
    finally:
        db.close()


async def test_there_and_back_is_the_same(tmp_path: Path, elsewhere: Callable[[], str]) -> None:
    """Into the other edition and out again: not a row differs from the first."""
    source, _ = await lived_in(tmp_path)
    there = elsewhere()
    moving.copy(source, there, lambda _: None)
    back = f"sqlite:///{tmp_path / 'back.db'}"
    moving.copy(there, back, lambda _: None)
    assert moving.sums(back) == moving.sums(source)


async def test_a_difference_is_found(tmp_path: Path, elsewhere: Callable[[], str]) -> None:
    """One letter in one row of one table is enough: the comparison can fail."""
    source, _ = await lived_in(tmp_path)
    target = elsewhere()
    moving.copy(source, target, lambda _: None)
    engine = create_engine(target)
    resident = t.table(t.Resident)
    with engine.begin() as conn:
        conn.execute(update(resident).where(resident.c.id == 1).values(name="x"))
    engine.dispose()
    before, after = moving.sums(source), moving.sums(target)
    assert [name for name in before if before[name] != after[name]] == ["resident"]


async def test_what_is_not_empty_is_left_alone(
    tmp_path: Path, elsewhere: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A target with a single row is refused in words, and still has just that row."""
    source, _ = await lived_in(tmp_path)
    target = elsewhere()
    migrate.upgrade(target)
    engine = create_engine(target)
    person = t.table(t.Person)
    with engine.begin() as conn:
        conn.execute(insert(person).values(name="某人", phone="+8610099999999", lang="zh"))
    before = moving.sums(target)
    assert cli.main(["db", "copy", "--from", source, "--to", target]) == 2
    assert "is not empty (person (1)): nothing was changed" in capsys.readouterr().err
    assert moving.sums(target) == before
    engine.dispose()


def test_nothing_to_move_from(
    tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped source is said to be none, and no empty file is left in its place."""
    typo = tmp_path / "typo.db"
    args = ["db", "copy", "--from", f"sqlite:///{typo}", "--to", f"sqlite:///{tmp_path / 'x.db'}"]
    assert cli.main(args) == 2
    assert "there is no Xunlou database at" in capsys.readouterr().err
    assert not typo.exists()


async def test_check_finds_what_is_wrong(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A healthy database has nothing wrong; one whose numbers stand too low (PostgreSQL), or that
    points to what is not there (SQLite), is told of."""
    source, _ = await lived_in(tmp_path)
    monkeypatch.setenv("XUNLOU_DATABASE_URL", source)
    assert cli.main(["db", "check"]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    engine = create_engine(source)
    with engine.begin() as conn:
        if database == "postgres":
            conn.execute(text("SELECT setval('alert_id_seq', 1)"))
        else:
            conn.execute(text("DELETE FROM building WHERE id = 11"))
    engine.dispose()
    assert cli.main(["db", "check"]) == 1
    said = "alert: its numbers stand at 1" if database == "postgres" else "row of building"
    assert said in capsys.readouterr().err
