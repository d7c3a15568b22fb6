"""Who saw and did what is written down once, whole, and apart from what machines say."""

from typing import Any

import pytest
from sqlalchemy import delete, text, update
from staff_kit import login, make_account
from town import HEAD, Town

from server.core import chain
from server.service import auditing
from server.store import audit


async def entries(town: Town) -> list[dict[str, Any]]:
    """All of it, oldest first."""
    found = await town.sql(lambda c: audit.newest(c, 1000))
    return [dict(row) for row in reversed(found)]


async def seal(town: Town) -> chain.Checkpoint:
    """Seal what is new, as the job does."""
    key = auditing.key_of(town.runtime.locks.key)
    await town.runtime.database.write(lambda tx: auditing.seal(tx, key))
    return await town.sql(auditing.checkpoint)


async def verify(town: Town, known: chain.Checkpoint | None = None) -> Any:
    """What `xunlou audit verify` finds."""
    key = auditing.key_of(town.runtime.locks.key)
    return await town.sql(lambda c: auditing.verify(c, key, known))


async def test_looks_and_acts_of_people_are_in_it_and_machines_are_not(town: Town) -> None:
    """A press and its texts are not; the steward who goes is, and that the way in is opened to
    them, and so is every look of a curious coordinator, with the reason for the way in."""
    await town.press()
    assert [e["what"] for e in await entries(town)] == []
    await town.reply(HEAD, "1")
    went = [(e["who"], e["what"]) for e in await entries(town)]
    assert went == [("邝彩霞", "accepted"), ("邝彩霞", "access_opened")]
    sos = await town.sos()
    number = sos["resident_id"]
    await make_account(town, "li", "coordinator")
    async with await login(town, "li") as li:
        await li.get(f"/residents/{number}")
        await li.post("/residents", data={"words": "11-301"})
        await li.post(f"/residents/{number}/access", data={"reason": "水漫到楼下"})
        await li.get("/reports.csv")
        await li.get("/buildings/11/sheet")
        await li.get("/api/v1/residents?building=11")
        await town.runtime.settle()
    seen = {e["what"]: e for e in await entries(town) if e["who"] == "li"}
    assert {"logged_in", "resident_looked_at", "residents_searched", "access_looked_at",
            "report_exported", "sheet_looked_at", "residents_listed"} <= set(seen)  # fmt: skip
    assert seen["resident_looked_at"]["about"]["resident_id"] == number
    assert seen["access_looked_at"]["about"]["why"] == "水漫到楼下"
    assert "11-301" not in str(seen["residents_searched"]["about"]), "a search may be a name"
    journal = (await town.api.get("/api/v1/journal")).json()["entries"]
    (look,) = [e for e in journal if e["kind"] == "access_looked_at"]
    assert look["flat_id"] is not None
    kept = await entries(town)
    assert not any("flat_id" in e["about"] for e in kept), "a door outlives an erasure"


@pytest.mark.parametrize("harm", ["changed", "removed", "reordered", "cut off"])
async def test_what_somebody_did_to_it_is_found(town: Town, harm: str) -> None:
    """Whoever can write the database can't hide that they did."""
    await make_account(town, "li", "coordinator")
    for _ in range(3):
        await (await login(town, "li")).aclose()
    known = await seal(town)
    assert known.position >= 4
    assert await verify(town, known) == known
    table = audit.AUDIT
    match harm:
        case "changed":
            await town.sql(lambda c: c.execute(
                update(table).where(table.c.position == 2).values(who="wang")))  # fmt: skip
        case "removed":
            await town.sql(lambda c: c.execute(delete(table).where(table.c.position == 2)))
        case "cut off":
            await town.sql(lambda c: c.execute(delete(table).where(table.c.position > 2)))
        case _:
            for old, new in ((2, 99), (3, 2), (99, 3)):
                await town.sql(lambda c: c.execute(
                    text(f"UPDATE audit SET position = {new} WHERE position = {old}")))  # noqa: B023
    assert isinstance(await verify(town, known), chain.Broken)


async def test_sealing_goes_on_where_it_stood(town: Town) -> None:
    """Entries that come later are chained to those before them; sealing twice does nothing."""
    await make_account(town, "li", "coordinator")
    first = await seal(town)
    assert await seal(town) == first
    await (await login(town, "li")).aclose()
    second = await seal(town)
    assert second.position == first.position + 1
    assert await verify(town, first) == second
