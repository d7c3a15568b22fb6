"""Claims about accounts of a street and of a district: what lies within is there on every side,
what lies beyond is nowhere."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import date

import httpx
import pytest
from openpyxl import load_workbook
from sqlalchemy import Connection, insert, select, update
from staff_kit import login, make_account
from town import Town

from server import tables as t
from server.pinyin import sounds

PLACES = {"community": "广氮", "street": "天河区 棠下街道", "district": "天河区"}
SEEN = {"community": {11}, "street": {11, 71}, "district": {11, 71, 72}, "all": {11, 71, 72, 73}}
"""Of the houses that the tests look at: Guangdan's, the next community's in its street, one in
another street of the district, and one in another district, whose street has the same name."""
BEYOND = [(71, "棠德", "棠下街道", "天河区"), (72, "员村", "员村街道", "天河区"),
          (73, "远方", "棠下街道", "白云区")]  # fmt: skip
NAMES = {71: "邓小满", 72: "温如玉", 73: "欧阳远"}


def _more(conn: Connection) -> None:
    """Three more communities with a house and a resident each."""
    community, building, flat = t.table(t.Community), t.table(t.Building), t.table(t.Flat)
    ours = conn.execute(select(community)).mappings().one()
    conn.execute(update(community).values(street="棠下街道", district="天河区"))
    for series, (number, name, street, district) in enumerate(BEYOND, start=1):
        own = {k: v for k, v in ours.items() if k != "id"}
        own |= {"name": name, "street": street, "district": district, "series": series}
        place = conn.execute(insert(community).values(own).returning(community.c.id)).scalar_one()
        house = conn.execute(
            insert(building).values(community_id=place, number=number).returning(building.c.id)
        ).scalar_one()
        door = conn.execute(
            insert(flat).values(building_id=house, stairwell="", floor=1, label="101")
            .returning(flat.c.id)
        ).scalar_one()  # fmt: skip
        conn.execute(insert(t.table(t.Resident)).values(
            flat_id=door, building_id=house, name=NAMES[number], birth_date=date(1940, 1, 1),
            sounds=sounds(NAMES[number]), state="active", living="alone", risk_class="B",
            sex="", phone="", access_notes="", risks="", class_why="",
        ))  # fmt: skip


@pytest.fixture
async def browsers(town: Town) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """A coordinator of each level."""
    await town.sql(_more)
    found = {}
    for level in SEEN:
        await make_account(town, f"of-{level}", "coordinator", level, PLACES.get(level, ""))
        found[level] = await login(town, f"of-{level}")
    yield found
    for browser in found.values():
        await browser.aclose()


async def snapshot(browser: httpx.AsyncClient) -> set[int]:
    """The houses on somebody's wall."""
    found = (await browser.get("/api/v1/snapshot")).raise_for_status().json()
    return {b["number"] for b in found["buildings"]} & SEEN["all"]


@pytest.mark.sqlite_only("the houses of a scope are asked for on both databases below")
async def test_pages_and_api_show_the_houses_of_the_level_and_no_other(
    town: Town, browsers: dict[str, httpx.AsyncClient]
) -> None:
    """Wall, lists, search, pages and their doors."""
    ids = {r["building"]: r["id"] for r in (await town.api.get("/api/v1/residents")).json()[
        "residents"] if r["building"] in NAMES}  # fmt: skip
    for level, houses in SEEN.items():
        browser = browsers[level]
        assert await snapshot(browser) == houses, level
        listed = (await browser.get("/api/v1/residents")).json()["residents"]
        assert {r["building"] for r in listed} & SEEN["all"] == houses, level
        for number, name in NAMES.items():
            seen = number in houses
            for path in (f"/buildings/{number}", f"/buildings/{number}/sheet",
                         f"/residents/{ids[number]}", f"/api/v1/residents/{ids[number]}/rounds",
                         f"/reports?building={number}"):  # fmt: skip
                status = (await browser.get(path)).status_code
                assert (status == 200) == seen, (level, path, status)
                assert seen or status == 404, (level, path, status)
            found = (await browser.post("/residents", data={"words": name[:2]})).text
            assert (f'/residents/{ids[number]}"' in found) == seen, (level, name)
        assert f"/residents/{ids[71]}" not in (
            await browsers["community"].post("/residents", data={"words": "71-101"})
        ).text  # fmt: skip


@pytest.mark.sqlite_only("the houses of a scope are asked for on both databases below")
async def test_the_live_feed_tells_of_no_house_beyond(
    town: Town, browsers: dict[str, httpx.AsyncClient]
) -> None:
    """Something changes in every house, from far to near: each feed tells of its own."""
    rows = (await town.api.get("/api/v1/residents")).json()["residents"]
    ids = {r["building"]: r["id"] for r in rows if r["building"] in SEEN["all"]}
    for number in (73, 72, 71, 11):
        path = f"/api/v1/residents/{ids[number]}/absence"
        away = {"until": "2026-03-20T18:00:00+08:00", "reason": "住院"}
        (await town.api.post(path, json=away)).raise_for_status()
    whole = (await browsers["all"].get("/api/v1/snapshot")).json()["buildings"]
    numbers = {b["id"]: b["number"] for b in whole}
    for level, houses in SEEN.items():
        assert await told_of(browsers[level], numbers) == houses, level


async def told_of(browser: httpx.AsyncClient, numbers: dict[int, int]) -> set[int]:
    """The houses that a live feed tells of, from the beginning to the change in building 11."""
    found: set[int] = set()
    async with asyncio.timeout(20), browser.stream("GET", "/api/v1/stream?after=0") as feed:
        async for line in feed.aiter_lines():
            if line.startswith("data:"):
                told = json.loads(line.removeprefix("data:"))
                found |= {numbers[int(b)] for b in told.get("buildings", {})}
            if 11 in found:
                return found
    raise AssertionError("the feed ended")


async def test_tables_and_exports_hold_the_houses_of_the_level(
    browsers: dict[str, httpx.AsyncClient],
) -> None:
    """The report's CSV, the register's workbook by API and by page, and who is told of what."""
    for level, houses in SEEN.items():
        browser = browsers[level]
        table = (await browser.get("/reports.csv")).raise_for_status().content.decode("utf-8-sig")
        # Behind the community's name, where the account sees several.
        lines = {line.split(",")[2].split(" ")[-1] for line in table.splitlines()[1:]}
        assert {n for n in SEEN["all"] if str(n) in lines} == houses, level
        by_api = (await browser.post("/api/v1/register/export", json={})).raise_for_status().content
        by_page = (await browser.post("/register/export", data={})).raise_for_status().content
        for book in (by_api, by_page):
            sheets = load_workbook(io.BytesIO(book), read_only=True)
            text = {str(cell) for sheet in sheets for row in sheet.iter_rows(values_only=True)
                    for cell in row if cell}  # fmt: skip
            assert {n for n, name in NAMES.items() if name in text} == houses - {11}, level
        # A file may name any community; to whoever does not answer for it there is none.
        file = "社区,楼栋,门牌,姓名\n" + "".join(f"{b[1]},1,101,某人\n" for b in BEYOND)
        answer = await browser.post("/api/v1/register/import", content=file.encode())
        told = answer.raise_for_status().json()["problems"]
        gone = {BEYOND[p["line"] - 2][0] for p in told if p["why"] == "no_such_community"}
        assert gone == SEEN["all"] - houses - {11}, level


COMMON = (
    "GET /handover", "POST /handover", "GET /duty", "GET /duty/history", "GET /duty/add",
    "POST /duty/remove", "GET /hours", "GET /api/v1/hours", "GET /api/v1/rota",
    "PUT /api/v1/rounds/plan", "PUT /api/v1/addresses",
)  # fmt: skip
ANSWERS = {"community": {"广氮"}, "street": {"广氮", "棠德"}, "district": {"广氮", "棠德", "员村"},
           "all": {"广氮", "棠德", "员村", "远方"}, "building": set()}  # fmt: skip


async def test_what_is_common_to_a_community_is_told_to_whoever_answers_for_it(
    town: Town, browsers: dict[str, httpx.AsyncClient]
) -> None:
    """Handover, rota, rounds, address and hours are a community's: an account that has the whole of
    it reads and writes them, whatever lies beside it; nobody else does, and no building's."""
    community = t.table(t.Community)
    query = select(community.c.name, community.c.id)
    ids = {row[0]: row[1] for row in await town.sql(lambda c: c.execute(query).all())}
    await make_account(town, "of-building", "coordinator", "building", "广氮 11")
    async with await login(town, "of-building") as building:
        for level, theirs in ANSWERS.items():
            browser = browsers.get(level, building)
            for route in COMMON:
                method, path = route.split(" ")
                for name, number in ids.items():
                    asked = f"{path}?community={number}"
                    status = (await browser.request(method, asked)).status_code
                    there = status not in (403, 404)
                    # A form without anything in it is there, and refused for that (422).
                    assert there == (name in theirs), (level, route, name, status)
                if not theirs:
                    assert (await browser.request(method, path)).status_code == 403, (level, route)


async def test_a_place_is_the_street_itself_and_not_its_name(
    town: Town, browsers: dict[str, httpx.AsyncClient]
) -> None:
    """A street that gets another name keeps its accounts; a community that leaves it is gone from
    their sight; and what has no name is nobody's street."""
    community = t.table(t.Community)

    async def put(name: str, street: str) -> None:
        change = update(community).where(community.c.name == name).values(street=street)
        await town.sql(lambda c: c.execute(change))

    for name in ("广氮", "棠德"):
        await put(name, "新棠下街道")
    assert await snapshot(browsers["street"]) == {11, 71}
    await put("棠德", "员村街道")
    assert await snapshot(browsers["street"]) == {11}
    await put("广氮", "")
    assert await snapshot(browsers["street"]) == set()
    assert await snapshot(browsers["district"]) == {11, 71, 72}


async def test_a_street_is_named_without_doubt_or_not_at_all(town: Town) -> None:
    """Two districts have a street of that name: nobody guesses which one was meant."""
    await town.sql(_more)
    body = {"username": "wide", "role": "operator", "level": "street"}
    await make_account(town, "keeper", "administrator")
    async with await login(town, "keeper") as keeper:
        for place, status in (("棠下街道", 409), ("没有的街道", 409), ("", 409), ("员村街道", 200)):
            answer = await keeper.post("/accounts", data={**body, "place": place})
            assert answer.status_code == status, place
        page = (await keeper.get("/accounts")).text
        assert "天河区员村街道" in page
