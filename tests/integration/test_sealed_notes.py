"""Notes on ways in and health are sealed in the database, and a lost key stops no SOS."""

import asyncio
import io
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from sqlalchemy import select, update
from town import GRANNY, HEAD, NOTES_KEY, Town, a_town, page_in

from server import resealing
from server import tables as t
from server.resealing import Resealing
from server.service import notes
from server.vault import Key, Vault, fresh, key_of
from xunlou.sample import guangdan

STORY = guangdan(buildings=12)
ACCESS = next(r.access_notes for b, _, r in STORY.flats_with_residents()
              if r.terminal_id == GRANNY)  # fmt: skip
UNREADABLE = notes.UNREADABLE["en"]


@pytest.fixture(autouse=True)
def _sealing_left_to_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own pass waits: each test says when notes are sealed."""
    monkeypatch.setattr(resealing, "LOOK_S", 86_400.0)


def _stored(conn: Any) -> list[tuple[str, int, str]]:
    return list(notes.every(conn))


async def granny(town: Town) -> int:
    """The row of the resident of the story."""
    return int((await town.residents())["301"]["id"])


async def access(town: Town, resident_id: int) -> dict[str, Any]:
    """The way in as staff see it."""
    answer = await town.api.post(
        f"/api/v1/residents/{resident_id}/access", json={"reason": "a test looks"}
    )
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


async def put_back_in_the_clear(town: Town) -> None:
    """As a database was before there was a key."""
    def change(conn: Any) -> None:
        vault = Vault(NOTES_KEY)
        for what, row_id, stored in _stored(conn):
            text = vault.open(what, row_id, stored)
            assert text is not None
            assert notes.store.put(conn, what, row_id, text, stored)

    await town.sql(change)


async def test_no_note_stands_in_the_database_and_whoever_may_reads_it(tmp_path: Path) -> None:
    """Every note is sealed; staff with a reason and the steward who goes read the words."""
    async with a_town(tmp_path) as town:
        found = await town.runtime.database.read(_stored)
        assert len(found) > 100
        assert all(key_of(stored) == Key.parse(NOTES_KEY).id for _, _, stored in found)
        told = await access(town, await granny(town))
        assert told["access_notes"] == ACCESS
        await town.press()
        await town.expect_sms(HEAD, "11")
        await town.reply(HEAD, "1")
        page = page_in(await town.expect_sms(HEAD, "已记您"))
        assert ACCESS in (await town.api.get(page)).text


async def test_notes_from_before_there_was_a_key_are_sealed_while_it_runs(tmp_path: Path) -> None:
    """In the clear they are read; one pass seals all; a second finds nothing to do."""
    async with a_town(tmp_path) as town:
        await put_back_in_the_clear(town)
        who = await granny(town)
        assert (await access(town, who))["access_notes"] == ACCESS
        work = Resealing(town.runtime.database)
        total = len(await town.runtime.database.read(_stored))
        assert await work.once() == total
        assert await work.once() == 0
        assert (await access(town, who))["access_notes"] == ACCESS
        assert all(key_of(s) for _, _, s in await town.runtime.database.read(_stored))


@pytest.mark.sqlite_only("looks into the file itself")
async def test_the_files_of_the_database_hold_no_note(tmp_path: Path) -> None:
    """Also not in what SQLite freed when the notes were sealed."""
    async with a_town(tmp_path) as town:
        await put_back_in_the_clear(town)
        assert ACCESS.encode() in b"".join(f.read_bytes() for f in tmp_path.glob("town.db*"))
        await Resealing(town.runtime.database).once()
    with closing(sqlite3.connect(tmp_path / "town.db")) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert ACCESS.encode() not in b"".join(f.read_bytes() for f in tmp_path.glob("town.db*"))


async def test_a_lost_key_stops_no_sos_and_is_said_honestly(tmp_path: Path) -> None:
    """The alert goes out; the page says that the note can't be read; staff have a fault, which
    ends when the key is back."""
    keys = tmp_path / "other.keys"
    keys.write_text(fresh())
    async with a_town(tmp_path, notes_keys="", notes_keys_file=str(keys)) as town:
        await town.press()
        await town.expect_sms(HEAD, "11")
        await town.reply(HEAD, "1")
        page = page_in(await town.expect_sms(HEAD, "已记您"))
        shown = (await town.api.get(page)).text
        assert UNREADABLE.split("(")[1].split(",")[0] in shown
        assert ACCESS not in shown
        assert UNREADABLE in (await access(town, await granny(town)))["access_notes"]
        await Resealing(town.runtime.database).once()
        await town.ring()
        assert "notes_locked" in await town.faults()
        keys.write_text(f"{NOTES_KEY}\n")
        await Resealing(town.runtime.database).once()
        await town.ring()
        assert "notes_locked" not in await town.faults()
        assert ACCESS in (await town.api.get(page)).text


async def test_without_any_key_everything_runs_but_writing_notes(tmp_path: Path) -> None:
    """A note is refused with words; a press is not."""
    async with a_town(tmp_path, notes_keys="") as town:
        await town.ring()
        assert "notes_locked" in await town.faults()
        body = {"role": "key_holder", "resident_id": await granny(town), "name": "邻居",
                "phone": "+8610099999901", "key_place": "on a hook", "reason": "new key"}
        answer = await town.api.post("/api/v1/assignments", json=body)
        assert answer.status_code == 409, answer.text
        assert "密钥" in answer.json()["words"]["zh"]
        export = await town.api.post(
            "/api/v1/register/export", json={"secrets": True, "reason": "a test"}
        )
        assert export.status_code == 409
        await town.press()
        await town.expect_sms(HEAD, "11")


async def test_keys_are_changed_while_notes_are_read_and_written(tmp_path: Path) -> None:
    """Readable before, during and after; what a person writes meanwhile is not overwritten; the
    old key is not needed any more, and a press goes through in between."""
    keys = tmp_path / "town.keys"
    keys.write_text(f"{NOTES_KEY}\n")
    new = fresh()
    async with a_town(tmp_path, notes_keys="", notes_keys_file=str(keys)) as town:
        who, database = await granny(town), town.runtime.database
        lot, _ = await database.read(
            lambda c: notes.next_lot(c, "00000000", "resident.access_notes", 0)
        )
        keys.write_text(f"{new}\n{NOTES_KEY}\n")
        assert (await access(town, who))["access_notes"] == ACCESS
        resident = t.table(t.Resident)
        written = database.vault.seal("resident.access_notes", lot[0][0], "written meanwhile")
        await town.sql(lambda c: c.execute(
            update(resident).where(resident.c.id == lot[0][0]).values(access_notes=written)
        ))  # fmt: skip
        done, lost = await database.write(
            lambda tx: notes.seal_anew(tx, "resident.access_notes", lot)
        )
        assert (done, lost.total()) == (len(lot) - 1, 0)
        rotation = asyncio.create_task(Resealing(database).once())
        await town.press()
        await rotation
        await town.expect_sms(HEAD, "11")
        keys.write_text(f"{new}\n")
        assert (await access(town, who))["access_notes"] == ACCESS
        assert (await access(town, lot[0][0]))["access_notes"] == "written meanwhile"
        assert {key_of(s) for _, _, s in await database.read(_stored)} == {Key.parse(new).id}


async def test_the_register_goes_out_with_words_and_comes_in_again_without_a_change(
    tmp_path: Path,
) -> None:
    """An export with a reason holds the words; taken again it changes nothing; a changed note is
    sealed, and the history only says that it changed."""
    async with a_town(tmp_path) as town:
        given = await town.api.post(
            "/api/v1/register/export", json={"secrets": True, "reason": "a test"}
        )
        book = load_workbook(io.BytesIO(given.content))
        cells = {str(c.value) for sheet in book for row in sheet.iter_rows() for c in row}
        assert ACCESS in cells
        again = await town.api.post("/api/v1/register/import", content=given.content)
        counts = again.raise_for_status().json()["counts"]
        assert (counts["added"], counts["changed"], counts["rejected"]) == (0, 0, 0)
        for sheet in book:
            for row in sheet.iter_rows():
                for cell in row:
                    if cell.value == ACCESS:
                        cell.value = "后窗没锁 the back window"
        out = io.BytesIO()
        book.save(out)
        taken = await town.api.post("/api/v1/register/import", content=out.getvalue(),
                                    params={"dry_run": False},
                                    headers={"X-Reason": "a%20test"})  # fmt: skip
        assert taken.raise_for_status().json()["counts"]["changed"] == 1
        assert "back window" not in taken.text
        told = await access(town, await granny(town))
        assert told["access_notes"] == "后窗没锁 the back window"
        change = t.table(t.RegisterChange)
        kept = await town.sql(lambda c: c.execute(select(change.c.fields)).scalars().all())
        assert "back window" not in str(kept)


async def test_a_new_key_holders_place_is_sealed(tmp_path: Path) -> None:
    """What staff enter on the page is sealed like what a file brings."""
    async with a_town(tmp_path) as town:
        who = await granny(town)
        body = {"role": "key_holder", "resident_id": who, "name": "邻居",
                "phone": "+8610099999902", "key_place": "on the brass hook", "reason": "new key"}
        (await town.api.post("/api/v1/assignments", json=body)).raise_for_status()
        holders = (await access(town, who))["key_holders"]
        assert "on the brass hook" in [h["where"] for h in holders]
        assert "brass hook" not in str(await town.runtime.database.read(_stored))


