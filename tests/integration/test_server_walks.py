"""The stewards' rounds, supervised without a list of who did badly."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from town import GZ, HEAD, SECOND, Town, a_town

NIGHT = datetime(2026, 3, 14, 4, 0, tzinfo=GZ)
SUBSTITUTE = "+8610012000101"


def at(hour: int, minute: int = 0, day: int = 14) -> datetime:
    """An instant of these days in Guangzhou."""
    return datetime(2026, 3, day, hour, minute, tzinfo=GZ)


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Town]:
    """The town at four in the morning, with a gateway connected."""
    async with a_town(tmp_path, NIGHT) as town:
        await town.gateway_lives()
        yield town


async def morning(town: Town, *silent: str) -> None:
    """A morning on which all check in but these flats of building 11."""
    await town.watch_until(at(4, 30))
    events = [
        town.event("checkin", r["terminal_id"])
        for building in range(1, 13)
        for flat, r in (await town.residents(building)).items()
        if r["state"] == "active" and not (building == 11 and flat in silent)
    ]
    await town.signals(*events)
    await town.watch_until(at(6, 5))


async def unreported(town: Town) -> list[dict[str, Any]]:
    """The entries for staff, open or closed."""
    return [a for a in await town.alerts(kind="fault") if a["fault"] == "round_unreported"]


async def report_all_but(town: Town, *numbers: int) -> None:
    """Staff enter the round of all houses but these."""
    for building in range(1, 13):
        if building not in numbers:
            body = {"building": building, "reason": "rang the desk"}
            (await town.api.post("/api/v1/rounds/report", json=body)).raise_for_status()


async def house(town: Town, number: int = 11) -> dict[str, Any]:
    """The newest round of one house."""
    query = {"building": number}
    rounds = (await town.api.get("/api/v1/rounds", params=query)).json()["rounds"]
    (found,) = rounds[-1]["buildings"]
    return dict(found)


async def test_a_round_is_reported_in_one_word_and_thanked(night: Town) -> None:
    """巡完: noted for the steward's own house, thanked in one SMS in their language, twice as good
    as once; "巡完 11" by who stands in there. An open alert is not touched by it."""
    await morning(night)
    await night.press()
    await night.forget_sms()
    await night.reply(SECOND, "round")
    await night.expect_sms(SECOND, "building 11", "Thank you")
    await night.reply(HEAD, "巡完")
    await night.expect_sms(HEAD, "11栋巡楼已记下")
    await night.reply(HEAD, "巡完。")
    await night.expect_sms(HEAD, "11栋巡楼已记下")
    await night.reply(SUBSTITUTE, "巡完")
    await night.expect_sms(SUBSTITUTE, "12栋")
    await night.reply(SUBSTITUTE, "11栋巡完")
    await night.expect_sms(SUBSTITUTE, "11栋")
    await night.no_more_sms()
    assert [(r["via"]) for r in (await house(night))["reports"]] == ["sms"] * 3
    assert (await house(night, 12))["reported"] is True
    assert (await night.sos())["state"] == "open"
    await night.reply(HEAD, "巡完 3")
    await night.expect_sms(HEAD, "没看懂")
    assert (await house(night, 3))["reported"] is False


async def test_houses_nobody_reported_are_one_quiet_entry(night: Town) -> None:
    """An hour after the round two houses are unreported: one entry for staff with their numbers
    and no name, nobody is texted, no ladder climbs. Each late report shortens it, the last one
    closes it."""
    await morning(night)
    await report_all_but(night, 7, 11)
    await night.watch_until(at(7, 4))
    assert await unreported(night) == []
    await night.watch_until(at(7, 5))
    (entry,) = await unreported(night)
    assert (entry["detail"], entry["building_id"], entry["told"]) == ("7、11", None, [])
    assert entry["next_step"] is None
    names = [s.person.name for b in night.community.buildings for s in b.stewards]
    assert not any(name in str(entry) for name in names)
    await night.watch_until(at(9))
    assert len(await unreported(night)) == 1
    await night.no_more_sms()
    await night.reply(HEAD, "巡完")
    (entry,) = await unreported(night)
    assert (entry["detail"], entry["state"]) == ("7", "open")
    await report_all_but(night, *(n for n in range(1, 13) if n != 7))
    (entry,) = await unreported(night)
    assert (entry["state"], entry["outcome"]) == ("resolved", "restored")


async def test_a_list_walked_to_its_end_is_a_report(night: Town) -> None:
    """The steward who settles the worklist need not say so again; a list that closes because all
    checked in late, or by the desk, says nothing of a walk."""
    await morning(night, "303")
    assert (await house(night))["missed"] == 1
    await night.reply(HEAD, "1")
    await night.reply(HEAD, "3")
    found = await house(night)
    assert [(r["by"], r["via"]) for r in found["reports"]] == [("邝彩霞", "worklist")]
    assert (found["owing"], found["checked"], found["missed"]) == (8, 7, 1)


async def test_a_list_that_closes_by_itself_is_no_report(night: Town) -> None:
    """Everybody checked in late: nobody has walked."""
    await morning(night, "303")
    await night.press("checkin", "gd-11-303")
    assert [a["state"] for a in await night.alerts(kind="missed")] == ["resolved"]
    assert (await house(night))["reported"] is False


async def test_the_last_rounds_of_a_resident(night: Town) -> None:
    """Checked in, missed and how it ended, still waiting: what staff and a visitor want to know."""
    await morning(night, "303")
    ids = {flat: r["id"] for flat, r in (await night.residents()).items()}
    await night.press("checkin", "gd-11-303")
    await night.watch_until(at(17, 30))

    async def rounds(flat: str) -> list[tuple[str, str | None]]:
        answer = await night.api.get(f"/api/v1/residents/{ids[flat]}/rounds")
        found = [(r["outcome"], r["ended"]) for r in answer.json()["rounds"]]
        assert set(found[:-2]) == {("unknown", None)}, "before our time"
        return found[-2:]

    assert await rounds("303") == [("late", "checked_in"), ("waiting", None)]
    assert await rounds("304") == [("checked", None), ("waiting", None)]
    assert (await night.api.get("/api/v1/residents/99999/rounds")).status_code == 404
    found = await house(night)
    assert (found["owing"], found["checked"], found["missed"]) == (8, 0, 0)
    assert (await night.api.get("/api/v1/rounds", params={"building": 77})).status_code == 404


async def test_a_report_for_a_house_one_does_not_walk(night: Town) -> None:
    """Refused, and it says why; so is a report before any round has opened."""
    body = {"building": 11, "reason": "rang the desk"}
    assert (await night.api.post("/api/v1/rounds/report", json=body)).status_code == 409
    await morning(night)
    head = await night.person(HEAD)
    wrong = {**body, "building": 3, "as_person_id": head}
    assert (await night.api.post("/api/v1/rounds/report", json=wrong)).status_code == 404
    nowhere = {**body, "building": 77}
    assert (await night.api.post("/api/v1/rounds/report", json=nowhere)).status_code == 404
    mine = {**body, "as_person_id": head}
    answer = await night.api.post("/api/v1/rounds/report", json=mine)
    assert answer.json() == {"building": 11, "by": "邝彩霞"}
