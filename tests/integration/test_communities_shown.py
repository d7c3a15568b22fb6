"""What people see and read where one installation watches two communities: the number on the wall
and the community's name in front of it, and each house by its own clock and rounds."""

import csv
import io
import re

import httpx
import pytest
from sqlalchemy import Connection, insert, select
from staff_kit import login, make_account

from server import tables as t
from server.core.messages import segments
from server.core.words import Role
from tests import neighbour
from tests.neighbour import HOUSE, NAME
from tests.town import GRANNY, HEAD, Town

LONG = re.compile(r"(?<!\d)1\d{5}(?!\d)")
"""A number that no wall has on it."""
LINKS = re.compile(r'(?:href|action|value|src|data-[a-z-]+|id|for)="[^"]*"')
PAGES = (
    "/wall", "/buildings", f"/buildings/{HOUSE}", f"/buildings/{HOUSE}/sheet", "/residents",
    "/requests", "/visits", "/greetings", "/greetings/sheet", "/reports", "/terminals",
)  # fmt: skip


@pytest.fixture
async def two(town: Town) -> Town:
    """A town with a neighbour."""
    await neighbour.move_in(town)
    return town


def _their_terminal() -> str:
    """Of somebody in their house 2."""
    house = neighbour.tangde().buildings[1]
    return next(f.resident.terminal_id for f in house.flats if f.resident)


async def _desk(town: Town, name: str = "of-all", level: str = "all", place: str = ""
                ) -> httpx.AsyncClient:
    await make_account(town, name, "coordinator", level, place)
    return await login(town, name)


async def _told_of_both(town: Town) -> None:
    """The head steward of our building 11 is a substitute of their house 2 as well."""
    person, assignment, building = t.table(t.Person), t.table(t.Assignment), t.table(t.Building)

    def stands(conn: Connection) -> None:
        who = conn.execute(select(person.c.id).where(person.c.phone == HEAD)).scalar_one()
        house = conn.execute(select(building.c.id).where(building.c.number == HOUSE)).scalar_one()
        conn.execute(insert(assignment).values(
            person_id=who, building_id=house, role=Role.STEWARD, position=1, key_place="",
        ))  # fmt: skip

    await town.sql(stands)


async def test_nobody_reads_a_long_number(two: Town) -> None:
    """Addresses and forms carry it; what people read never does, on no page."""
    desk = await _desk(two)
    await two.press(terminal=_their_terminal())
    for path in PAGES:
        page = await desk.get(path)
        assert page.status_code == 200, path
        seen = re.sub(r"<script.*?</script>", "", page.text, flags=re.DOTALL)
        assert not LONG.findall(LINKS.sub("", seen)), path
    house = await desk.get(f"/buildings/{HOUSE}")
    assert f"{NAME}2栋" in house.text
    english = await desk.get(f"/buildings/{HOUSE}?lang=en")
    assert f"{NAME} Building 2" in english.text


async def test_whoever_sees_one_community_reads_no_name(two: Town) -> None:
    """To them there is one house 2."""
    desk = await _desk(two, "of-tangde", "community", NAME)
    snapshot = (await desk.get("/api/v1/snapshot")).json()
    assert snapshot["community"] == {"name": NAME, "tz": neighbour.ZONE.key}
    assert "communities" not in snapshot
    assert [b["name"] for b in snapshot["buildings"]] == ["1栋", "2栋", "3栋"]
    assert f"{NAME}2栋" not in (await desk.get(f"/buildings/{HOUSE}")).text


async def test_the_wall_has_each_community_with_its_round_and_the_alert_at_the_right_house(
    two: Town,
) -> None:
    """The snapshot, and the same alert in the feed, name the community; windows and rounds are its
    own."""
    desk = await _desk(two)
    await two.press(terminal=_their_terminal())
    await two.settled()
    snapshot = (await desk.get("/api/v1/snapshot")).json()
    ours, theirs = snapshot["communities"]
    assert (ours["name"], theirs["name"], theirs["tz"]) == ("广氮", NAME, neighbour.ZONE.key)
    assert snapshot["round"] == ours["round"] != theirs["round"]
    house = next(b for b in snapshot["buildings"] if b["number"] == HOUSE)
    assert house["id"] in theirs["building_ids"]
    assert (house["name"], house["name_en"]) == (f"{NAME}2栋", f"{NAME} Bldg 2")
    assert house["worst"] == "sos"
    (alert,) = [a for a in snapshot["alerts"] if a["kind"] == "sos"]
    assert alert["address"].startswith(f"{NAME}2栋")
    assert alert["building_id"] == house["id"]
    assert alert["emergency"]["read_out"]["zh"].startswith("广东省广州市天河区棠德路6号棠德小区")
    page = await desk.get(f"/alerts/{alert['id']}")
    local = two.runtime.clock.now().astimezone(neighbour.ZONE)
    assert f"{local:%H:%M}" in page.text


async def test_a_window_is_judged_by_the_rounds_of_its_own_house(two: Town) -> None:
    """While their morning is open and ours is not, their windows wait and ours don't."""
    at = two.runtime.clock.now().astimezone(neighbour.ZONE)
    # 07:00 there is 09:00 here: our morning is over, theirs runs until 07:30.
    await two.move_to(at.replace(hour=7, minute=0, second=0, microsecond=0))
    assert two.runtime.clock.now() > at
    desk = await _desk(two)
    snapshot = (await desk.get("/api/v1/snapshot")).json()
    ours, theirs = snapshot["communities"]
    assert theirs["round"]["state"] == "open"
    assert ours["round"]["name"] == "evening"
    states = {
        b["number"]: {f["state"] for f in b["flats"] if f["terminal"]}
        for b in snapshot["buildings"]
    }
    assert "waiting" in states[HOUSE]
    assert "waiting" not in states[11]


async def test_a_number_is_found_in_every_community_in_sight(two: Town) -> None:
    """"2-101" is a door of both; the community's name in front says which."""
    every, one = await _desk(two), await _desk(two, "of-tangde", "community", NAME)
    house = neighbour.tangde().buildings[1]
    door = next(f.label for f in house.flats if f.resident)

    async def found(desk: httpx.AsyncClient, words: str) -> list[str]:
        page = await desk.post("/residents", data={"words": words}, headers={"Origin": two.url})
        return re.findall(r"<b>([^<]*2栋\d+楼\w+)</b>", page.text)

    both = await found(every, f"2-{door}")
    assert any(p.startswith(f"{NAME}2栋") for p in both)
    assert all(p.startswith((f"{NAME}2栋", "广氮2栋")) for p in both)
    assert await found(every, f"{NAME}2-{door}")
    assert all(p.startswith(NAME) for p in await found(every, f"{NAME}2-{door}"))
    assert all(p.startswith("2栋") for p in await found(one, f"2-{door}"))


async def test_who_stands_in_both_reads_which_in_one_segment(two: Town) -> None:
    """A steward of two communities reads the name; the others, as ever, do not. So on the page."""
    await _told_of_both(two)
    await two.press(terminal=_their_terminal())
    await two.settled()
    (text,) = await two.phone(HEAD)
    assert f"{NAME}2栋" in text
    assert segments(text) == 1
    other = neighbour.tangde().buildings[1].stewards[1].person
    (plain,) = await two.phone(other.phone)
    assert NAME not in plain
    await two.press(terminal=GRANNY)
    await two.settled()
    assert any("广氮11栋" in words for words in await two.phone(HEAD))


async def test_a_request_that_may_be_of_two_communities_is_not_guessed(two: Town) -> None:
    """A number that both have is answered with the four digits; with the name it is taken."""
    await _told_of_both(two)
    await two.reply(HEAD, "帮办 2-101 灯坏了")
    await two.settled()
    (thanks,) = await two.phone(HEAD)
    assert f"{NAME}2栋" in thanks, "2 is theirs alone: nobody else's errand"
    await two.forget_sms()
    await two.reply(HEAD, "帮办 灯坏了")
    await two.settled()
    (answer,) = await two.phone(HEAD)
    assert "没看懂" in answer
    await two.forget_sms()
    await two.reply(HEAD, "帮办 广氮11-301 灯坏了")
    await two.settled()
    (thanks,) = await two.phone(HEAD)
    assert "广氮11栋" in thanks


async def test_a_report_is_of_one_community_by_its_days_or_of_all(two: Town) -> None:
    """The chooser is there where there are several; the table says signs behind names."""
    desk = await _desk(two)
    ids = {c["name"]: c["id"] for c in (await desk.get("/api/v1/snapshot")).json()["communities"]}
    theirs = (await desk.get(f"/reports?community={ids[NAME]}")).text
    assert neighbour.ZONE.key in theirs
    every = (await desk.get("/reports")).text
    assert "日期按第一个社区的当地时间" in every
    table = (await desk.get(f"/reports.csv?community={ids[NAME]}")).content.decode("utf-8-sig")
    scopes = [row["scope"] for row in csv.DictReader(io.StringIO(table))]
    assert scopes == [NAME, f"{NAME} 1", f"{NAME} 2", f"{NAME} 3"]
    alone = await _desk(two, "of-tangde", "community", NAME)
    mine = (await alone.get("/reports")).text
    assert 'name="community"' not in mine
    assert neighbour.ZONE.key in mine
    assert (await alone.get(f"/reports?community={ids['广氮']}")).status_code == 404


async def test_paper_says_whose_it_is(two: Town) -> None:
    """The card on a door has its own community's rounds, stewards and desk."""
    desk = await _desk(two)
    page = (await desk.get(f"/buildings/{HOUSE}")).text
    resident = re.search(r'href="(/residents/\d+)"', page)
    assert resident is not None
    card = (await desk.get(f"{resident[1]}/card")).text
    assert "07:30" in card
    assert NAME in card
    desk_phone = neighbour.tangde().duty[0].phone.removeprefix("+86")
    assert desk_phone in re.sub(r"\D", "", card)
