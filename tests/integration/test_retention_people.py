"""Who is watched no more, and who has no role, is forgotten in time: not sooner, and nobody whom a
press could still need."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import insert, select, update
from town import GRANNY, HEAD, SECOND, Town, a_town

from server import retention
from server import tables as t
from server.core.words import Role
from server.settings import Settings
from server.store.erasing import GONE
from tests import neighbour

RESIDENT, PERSON, PLACE = t.table(t.Resident), t.table(t.Person), t.table(t.Assignment)
DAY_S = 86_400
DAYS = 90


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """The town and its neighbour, with 90 days for those who are watched no more."""
    async with a_town(tmp_path) as town:
        await neighbour.move_in(town)
        yield town


async def cleared(town: Town, days: int = DAYS) -> dict[str, int]:
    """One day's clearing; how many people went, and how many notes."""
    settings = town.runtime.settings.model_copy(update={"keep_ended_days": days})
    job = retention.Retention(town.runtime.database, settings)
    gone = await job.clear(asyncio.Event())
    return {k: v for k, v in gone.items() if k in ("notes", "residents", "contacts")}


async def row(town: Town, table: Any, number: int) -> dict[str, Any]:
    """A row by its id."""
    query = select(table).where(table.c.id == number)
    return dict(await town.sql(lambda c: c.execute(query).mappings().one()))


async def end(town: Town, how: str = "died", *, fetched: bool = True) -> int:
    """Granny is watched no more, her terminal is fetched (or not); her id."""
    her = int((await town.residents(11))["301"]["id"])
    body = {"how": how, "reason": "a test"}
    (await town.api.post(f"/api/v1/residents/{her}/end", json=body)).raise_for_status()
    if fetched:
        await fetch(town)
    return her


async def fetch(town: Town) -> None:
    """Her terminal is nobody's."""
    body = {"resident_id": None, "reason": "fetched"}
    answer = await town.api.post(f"/api/v1/terminals/{GRANNY}/assign", json=body)
    answer.raise_for_status()


async def holders(town: Town, her: int) -> list[int]:
    """Contacts who stand by her."""
    query = select(PLACE.c.person_id).where(PLACE.c.resident_id == her).distinct()
    return list(await town.sql(lambda c: c.execute(query).scalars()))


async def test_by_hand_is_by_hand(town: Town) -> None:
    """Without a number nobody goes, however long ago it was."""
    her = await end(town)
    town.hand.at_s += 3000 * DAY_S
    assert await cleared(town, 0) == {}
    assert (await row(town, RESIDENT, her))["name"] != GONE


async def test_when_the_time_is_over_notes_and_names_go(town: Town) -> None:
    """Not a day sooner; the contacts who stood by her alone go with her, others stay."""
    her = await end(town)
    contacts = await holders(town, her)
    assert contacts
    town.hand.at_s += (DAYS - 1) * DAY_S
    assert await cleared(town) == {}
    before = await row(town, RESIDENT, her)
    assert before["access_notes"]
    assert before["name"] != GONE
    town.hand.at_s += 2 * DAY_S
    gone = await cleared(town)
    assert (gone["notes"], gone["residents"]) == (1, 1)
    after = await row(town, RESIDENT, her)
    assert (after["name"], after["access_notes"], after["risks"]) == (GONE, "", "")
    for number in contacts:
        roles = select(PLACE.c.id).where(PLACE.c.person_id == number)
        stays = await town.sql(lambda c, roles=roles: c.execute(roles).first())
        assert ((await row(town, PERSON, number))["name"] == GONE) == (stays is None)
    by = [e["data"]["by"] for e in await town.journal() if e["kind"] == "resident_erased"]
    assert by == ["system"]
    assert "residents" not in await cleared(town), "again is as good as once"


async def test_what_a_press_may_need_stays(town: Town) -> None:
    """A terminal not fetched: of who has died the notes go and the name stays until it is; of who
    still lives there both stay. With an open alert nothing goes."""
    her = await end(town, "other", fetched=False)
    town.hand.at_s += (DAYS + 1) * DAY_S
    assert await cleared(town) == {}
    died = update(RESIDENT).where(RESIDENT.c.id == her).values(ended_how="died")
    await town.sql(lambda c: c.execute(died))
    await town.press()
    (alert,) = await town.alerts(kind="sos")
    assert await cleared(town) == {}, "an alert is open"
    assert (await row(town, RESIDENT, her))["access_notes"]
    await town.act(alert["id"], "resolve", outcome="safe")
    assert await cleared(town) == {"notes": 1}
    assert (await row(town, RESIDENT, her))["name"] != GONE
    await fetch(town)
    assert (await cleared(town))["residents"] == 1


async def test_whoever_is_watched_is_never_touched(town: Town) -> None:
    """Nobody else's notes or names go, after however many years."""
    town.hand.at_s += 3000 * DAY_S
    assert await cleared(town) == {}
    assert await cleared(town) == {}
    names = await town.sql(lambda c: set(c.execute(select(RESIDENT.c.name)).scalars()))
    assert GONE not in names


async def test_a_contact_without_a_role_goes_in_time(town: Town) -> None:
    """A steward who was replaced: their days begin with the first clearing that finds them without
    a role, and a new role ends them."""
    number = await town.person(SECOND)
    taken = {"role": "steward", "building": 11, "position": 2, "reason": "moved"}
    new = {**taken, "name": "新楼管", "phone": "+8610011009999"}
    (await town.api.post("/api/v1/assignments", json=new)).raise_for_status()
    assert await cleared(town) == {}
    town.hand.at_s += (DAYS - 1) * DAY_S
    assert await cleared(town) == {}
    back = {"role": "substitute", "building": 11, "person_id": number, "reason": "back"}
    place = (await town.api.post("/api/v1/assignments", json=back)).raise_for_status().json()
    town.hand.at_s += 2 * DAY_S
    assert await cleared(town) == {}, "they have a role"
    path = f"/api/v1/assignments/{place['id']}/remove"
    assert (await town.api.post(path, json={"reason": "left"})).status_code == 204
    assert await cleared(town) == {}, "and their days begin anew"
    town.hand.at_s += (DAYS + 1) * DAY_S
    assert await cleared(town) == {"contacts": 1}
    assert (await row(town, PERSON, number))["name"] == GONE
    assert await cleared(town) == {}


async def test_saved_hours_and_open_alerts_hold_a_contact(town: Town) -> None:
    """Whoever gave hours may still need the help; whoever was told of an open alert may answer."""
    await town.press()
    await town.forget_sms()
    (alert,) = await town.alerts(kind="sos")
    number = await town.person(SECOND)
    new = {"role": "steward", "building": 11, "position": 2, "reason": "moved",
           "name": "新楼管", "phone": "+8610011009999"}  # fmt: skip
    (await town.api.post("/api/v1/assignments", json=new)).raise_for_status()
    account = t.table(t.HoursAccount)
    saved = insert(account).values(
        name=f"test:{number}", kind="volunteer", person_id=number, balance_min=30
    )
    await town.sql(lambda c: c.execute(saved))
    assert await cleared(town) == {}
    town.hand.at_s += (DAYS + 1) * DAY_S
    assert await cleared(town) == {}
    await town.act(alert["id"], "resolve", outcome="safe")
    assert await cleared(town) == {}, "30 minutes are theirs"
    drawn = update(account).where(account.c.person_id == number).values(balance_min=0)
    await town.sql(lambda c: c.execute(drawn))
    assert await cleared(town) == {"contacts": 1}
    assert (await row(town, PERSON, await town.person(HEAD)))["name"] != GONE
    head = select(PLACE.c.id).where(PLACE.c.role == Role.STEWARD)
    assert await town.sql(lambda c: c.execute(head).first()) is not None


def test_a_week_is_refused() -> None:
    """A slip of the hand must not erase last month's dead: 0, or at least 30."""
    with pytest.raises(ValidationError):
        Settings(keep_ended_days=7)
    assert Settings(keep_ended_days=30).keep_ended_days == timedelta(days=30).days
    assert Settings().keep_ended_days == 0
