"""The register of several communities: files, forms, accounts and commands say which is meant, and
nobody guesses."""

import asyncio
import csv
import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from staff_kit import login, make_account
from test_register_by_hand import hidden, hidden_input, words
from test_register_files import send
from town import GRANNY, Town

from server import migrate
from server import tables as t
from server.clock import Clock
from server.core.houses import numbered
from server.database import Database
from server.service.register import exporting
from server.service.register.importing import Import
from server.settings import Settings
from server.sheets.reading import Table
from server.sheets.writing import as_csv, as_xlsx
from server.store import scopes
from tests import neighbour
from xunlou.cli import main
from xunlou.doctor import check_communities, check_zone

COMMUNITY, BUILDING = t.table(t.Community), t.table(t.Building)
RESIDENT, PERSON, ASSIGNMENT = t.table(t.Resident), t.table(t.Person), t.table(t.Assignment)
HOUSES = """区,街道,社区,楼栋,楼长,楼长电话,第二位巡楼员,第二位巡楼员电话
天河区,棠下街道,棠德,7,邓一,100 5000 0701,邓二,100 5000 0702
天河区,棠下街道,棠德,8,邓三,100 5000 0801,邓四,100 5000 0802
"""
STEWARDS = {"head": "温一", "head_phone": "100 6000 0101", "second": "温二",
            "second_phone": "100 6000 0102", "address": "", "address_en": "",
            "reason": "新楼"}  # fmt: skip
SOMEBODY = {"flat": "301", "name": "罗小满", "birth_date": "1938-05-06", "living": "alone",
            "terminal": "", "reason": "新搬来"}  # fmt: skip


async def named(town: Town) -> list[tuple[int, str, str, str]]:
    """Every community: series, name, street, district."""
    query = select(COMMUNITY.c.series, COMMUNITY.c.name, COMMUNITY.c.street, COMMUNITY.c.district)
    return [tuple(r) for r in await town.sql(
        lambda c: c.execute(query.order_by(COMMUNITY.c.series)).all())]  # fmt: skip


async def numbers(town: Town, series: int) -> list[int]:
    """The numbers on the walls of a community."""
    query = select(BUILDING.c.number).where(
        BUILDING.c.number >= numbered(series, 0), BUILDING.c.number < numbered(series + 1, 0)
    )
    return [n % 100_000 for n in await town.sql(
        lambda c: c.execute(query.order_by(BUILDING.c.number)).scalars().all())]  # fmt: skip


async def whys(town: Town, text: str, **query: Any) -> list[tuple[int, str]]:
    """Line and reason of what a file's rows are refused for."""
    told = await send(town, text.encode(), **query)
    return [(p["line"], p["why"]) for p in told["problems"]]


async def test_a_row_of_a_building_registers_its_community_once(town: Town) -> None:
    """A name that is not registered makes a community beside the first, with the built-in rounds
    and the next series; again it changes nothing. The same name with another street is refused:
    whether it is another or a slip of the pen is for somebody to say."""
    dry = await send(town, HOUSES.encode())
    assert dry["counts"]["added"] == 2
    assert len(await named(town)) == 1, "a dry run writes nothing"
    await send(town, HOUSES.encode(), dry_run="false", reason="二社区")
    assert (await named(town))[1:] == [(1, "棠德", "棠下街道", "天河区")]
    assert await numbers(town, 1) == [7, 8]
    own = await town.sql(lambda c: c.execute(
        select(COMMUNITY).where(COMMUNITY.c.series == 1)).mappings().one())  # fmt: skip
    assert (own["tz"], len(own["rounds"])) == ("Asia/Shanghai", 2)
    again = await send(town, HOUSES.encode(), dry_run="false")
    assert again["counts"] == {"added": 0, "changed": 0, "left": 2, "rejected": 0}
    slip = HOUSES.replace("棠下街道", "石井街道")
    assert await whys(town, slip, dry_run="false") == [(2, "same_name"), (3, "same_name")]
    assert len(await named(town)) == 2
    line = HOUSES.splitlines()[1]
    for column in ("天河区,棠下街道,棠德", ",,棠德", ",棠下街道,棠德"):
        text = HOUSES.splitlines()[0] + "\n" + line.replace("天河区,棠下街道,棠德", column)
        assert (await send(town, text.encode()))["counts"]["left"] == 1, column


async def test_a_row_that_may_mean_several_is_refused_and_says_what_to_write(town: Town) -> None:
    """A resident, somebody of the desk and a building without a community, where two are: no row
    goes to either; each says which there are. With the name it goes where it says."""
    await neighbour.move_in(town)
    table = "社区,楼栋,门牌,姓名,出生日期,居住情况\n{},2,909,罗小满,1938-05-06,独居\n"
    told = await send(town, table.format("").encode())
    assert [p["why"] for p in told["problems"]] == ["which_community"]
    assert "广氮、棠德" in told["problems"][0]["reason"]
    assert await whys(town, table.format("别处")) == [(2, "no_such_community")]
    assert (await send(town, table.format("棠德").encode(), dry_run="false"))["counts"][
        "added"] == 1  # fmt: skip
    query = select(BUILDING.c.number).join(RESIDENT, RESIDENT.c.building_id == BUILDING.c.id)
    where = await town.sql(lambda c: c.execute(
        query.where(RESIDENT.c.name == "罗小满")).scalar_one())  # fmt: skip
    assert where == neighbour.HOUSE
    away = "社区,楼栋,门牌,姓名\n棠德,99,101,罗小满\n"
    told = await send(town, away.encode())
    assert "棠德 99栋还没有登记" in told["problems"][0]["reason"]
    desk = "Community,Role,Name,Phone\n{},duty,Luo,100 5000 0999\n"
    assert await whys(town, desk.format("")) == [(2, "which_community")]
    await send(town, desk.format("棠德").encode(), dry_run="false")
    of = select(COMMUNITY.c.name).join(ASSIGNMENT, ASSIGNMENT.c.community_id == COMMUNITY.c.id)
    of = of.join(PERSON, PERSON.c.id == ASSIGNMENT.c.person_id)
    assert await town.sql(lambda c: c.execute(
        of.where(PERSON.c.phone == "+8610050000999")).scalars().all()) == ["棠德"]  # fmt: skip
    house = HOUSES.splitlines()[0] + "\n,,,9,邓五,100 5000 0901,邓六,100 5000 0902\n"
    assert await whys(town, house) == [(2, "which_community")]


def everything(database: Database) -> list[Table]:
    """The register as files, with the ways in."""
    return database.transact(
        lambda tx: exporting.export(tx, lang="zh", secrets=True, who="t", why="a copy")
    )[0]


def without_ids(tables: Sequence[Table]) -> list[Table]:
    """As a file for another installation: whoever has no number there yet has an empty cell."""
    return [
        Table(table.title, table.headings, tuple(
            (line, tuple("" if h == "编号" else cell
                         for h, cell in zip(table.headings, row, strict=True)))
            for line, row in table.rows))
        for table in tables
    ]  # fmt: skip


def taken(database: Database, content: bytes) -> Import:
    """Take a file as the command does."""
    file = Import.of(content)
    for lot in file.lots():
        planner, _ = database.transact(
            lambda tx, lot=lot: file.take(tx, lot, who="t", why="copy", via="command")  # type: ignore[misc]
        )
        file.taken(planner)
    return file


@pytest.mark.parametrize("second", ["棠德", "广氮"], ids=["two-names", "one-name"])
async def test_what_goes_out_makes_the_same_register_in_an_empty_installation(
    town: Town, tmp_path: Path, second: str
) -> None:
    """Two communities, also of one name in two districts, as a workbook and as three CSV files:
    read into an empty database they make the same tables again."""
    await neighbour.move_in(town)
    places = {0: {"district": "天河区", "street": "棠下街道"},
              1: {"district": "白云区", "street": "石井街道", "name": second}}  # fmt: skip
    for series, values in places.items():
        await town.sql(lambda c, s=series, v=values: c.execute(
            COMMUNITY.update().where(COMMUNITY.c.series == s).values(v)))  # fmt: skip
    out = everything(town.runtime.database)
    assert sum(len(table.rows) for table in out) > 100
    for form in ("xlsx", "csv"):
        url = f"sqlite:///{tmp_path / form}.db"
        migrate.upgrade(url)
        other = Database(url, Clock.parse(town.runtime.settings.clock), town.runtime.database.vault)
        try:
            files = (
                [as_xlsx(without_ids(out))] if form == "xlsx"
                else [as_csv(table.headings, [r for _, r in table.rows])
                      for table in without_ids(out)]
            )  # fmt: skip
            for file in files:
                assert taken(other, file).problems == []
            assert without_ids(everything(other)) == without_ids(out)
            assert taken(other, as_xlsx(everything(other))).changes == []
        finally:
            other.close()


async def test_nobody_of_one_community_writes_into_another(town: Town) -> None:
    """The coordinator of the second community brings a file: its own rows are taken without its
    name, rows of the first and a new community are refused, and say nothing of who lives there.
    One of the street registers a community in their street and in no other."""
    await neighbour.move_in(town)
    await town.sql(lambda c: c.execute(COMMUNITY.update().values(
        street="棠下街道", district="天河区")))  # fmt: skip
    await make_account(town, "of-tangde", "coordinator", "community", "棠德")
    await make_account(town, "of-street", "coordinator", "street", "棠下街道")
    granny = (await town.residents(11))["301"]
    rows = ("编号,社区,楼栋,门牌,姓名,出生日期,居住情况,终端\n"
            ",,2,909,罗小满,1938-05-06,独居,\n"
            ",广氮,11,909,罗大满,1938-05-06,独居,\n"
            f"{granny['id']},棠德,2,301,何桂芳,,,\n"
            f",棠德,2,910,罗中满,1938-05-06,独居,{GRANNY}\n")  # fmt: skip
    async with await login(town, "of-tangde") as browser:
        async def bring(text: str) -> Any:
            answer = await browser.post("/api/v1/register/import", content=text.encode(),
                                        params={"dry_run": "false"})  # fmt: skip
            return answer.raise_for_status().json()

        told = await bring(rows)
        assert told["counts"] == {"added": 1, "changed": 0, "left": 0, "rejected": 3}
        assert [(p["line"], p["why"]) for p in told["problems"]] == [
            (3, "no_such_community"), (4, "no_resident"), (5, "terminal_beyond")]  # fmt: skip
        assert "何桂芳" not in str(told)
        new = HOUSES.replace("棠德", "新村")
        assert {p["why"] for p in (await bring(new))["problems"]} == {"community_beyond"}
        own = HOUSES.replace("天河区,棠下街道,棠德", ",,")
        assert (await bring(own))["counts"]["added"] == 2
        assert await numbers(town, 1) == [1, 2, 3, 7, 8]
        desk = "社区,角色,姓名,电话\n广氮,值班,远方,100 5000 0999\n"
        assert [p["why"] for p in (await bring(desk))["problems"]] == ["no_such_community"]
    async with await login(town, "of-street") as browser:
        async def found(street: str) -> list[str]:
            text = HOUSES.replace("棠德", "新村").replace("棠下街道", street)
            text = text.replace("5000", "7000")
            answer = await browser.post("/api/v1/register/import", content=text.encode(),
                                        params={"dry_run": "false"})  # fmt: skip
            return [p["why"] for p in answer.raise_for_status().json()["problems"]]

        assert await found("石井街道") == ["community_beyond"] * 2
        assert await found("棠下街道") == []
        assert (await named(town))[2:] == [(2, "新村", "棠下街道", "天河区")]
        listed = (await browser.get("/api/v1/communities")).json()["communities"]
        assert [c["name"] for c in listed] == ["广氮", "棠德", "新村"]


async def test_a_community_is_registered_and_named_by_form_and_by_program(
    town: Town, office: httpx.AsyncClient
) -> None:
    """For whoever answers for it: with a reason, once, and the one that is meant."""
    form = {"name": "棠德", "street": "棠下街道", "district": "天河区", "reason": "新社区"}
    assert (await office.post("/communities/new", data=form)).status_code == 303
    assert (await office.post("/communities/new", data=form)).status_code == 422
    assert (await named(town))[1:] == [(1, "棠德", "棠下街道", "天河区")]
    listed = (await town.api.get("/api/v1/communities")).json()["communities"]
    own = listed[1]["id"]
    form_of = "/duty/community?community={}".format
    assert form_of(own) in (await office.get("/register")).text
    page = await office.get(form_of(own))
    assert hidden_input(page, "name") == "棠德"
    new = form | {"name": "棠德苑", "seen": hidden(page)}
    assert (await office.post(form_of(own), data=new)).status_code == 303
    assert [n for _, n, _, _ in await named(town)] == ["广氮", "棠德苑"]
    stale = await office.post(form_of(own), data=new | {"name": "别名"})
    assert stale.status_code == 409
    api, body = town.api, {"name": "新村", "reason": "街道新划"}
    assert (await api.post("/api/v1/communities", json=body)).status_code == 201
    assert (await api.post("/api/v1/communities", json=body)).status_code == 422
    named_so = body | {"street": "石井街道", "district": "白云区"}
    answer = await api.patch("/api/v1/communities/3", json=named_so)
    assert answer.status_code == 200, answer.text
    assert (await named(town))[2] == (2, "新村", "石井街道", "白云区")
    assert (await api.patch("/api/v1/communities/9", json=named_so)).status_code == 404
    await make_account(town, "of-tangde", "coordinator", "community", "棠德苑")
    await make_account(town, "of-11", "coordinator", "building", "广氮 11")
    async with await login(town, "of-tangde") as browser:
        headers = {"X-Requested-With": "xunlou"}
        assert (await browser.post("/api/v1/communities", json=body | {"name": "另村"},
                                   headers=headers)).status_code == 422  # fmt: skip
        assert (await browser.patch("/api/v1/communities/1", json=named_so,
                                    headers=headers)).status_code == 404  # fmt: skip
        assert (await browser.get(form_of(1))).status_code == 404
        # Into a street beside communities beyond: who looks after that street would see theirs.
        beside = named_so | {"name": "棠德苑"}
        assert (await browser.patch(f"/api/v1/communities/{own}", json=beside,
                                    headers=headers)).status_code == 422  # fmt: skip
        page = await browser.get(form_of(own))
        by_form = beside | {"seen": hidden(page), "reason": "街道新划"}
        refused = await browser.post(form_of(own), data=by_form)
        assert (refused.status_code, (await named(town))[1][2]) == (422, "棠下街道")
        alone = {"name": "棠德苑", "street": "新街道", "district": "天河区", "reason": "改名"}
        assert (await browser.patch(f"/api/v1/communities/{own}", json=alone,
                                    headers=headers)).status_code == 200  # fmt: skip
    async with await login(town, "of-11") as browser:
        assert (await browser.get("/communities/new")).status_code == 403
        assert (await browser.post("/api/v1/register/import", content=HOUSES.encode(),
                                   headers=headers)).status_code == 403  # fmt: skip


async def test_a_house_and_its_people_by_hand_in_the_community_that_is_chosen(
    town: Town, office: httpx.AsyncClient
) -> None:
    """Two houses of one number: the form asks which community, and nothing is written without an
    answer. A resident's own form and a move keep to theirs."""
    await neighbour.move_in(town)
    for path in ("/buildings/new", "/residents/new"):
        assert 'name="community_id"' in (await office.get(path)).text, path
    own, first = "2", "1"
    house = {**STEWARDS, "building": "11"}
    refused = await office.post("/buildings/new", data=house)
    assert (refused.status_code, "请写明是哪个" in refused.text) == (422, True)
    answer = await office.post("/buildings/new", data=house | {"community_id": own})
    assert answer.headers["location"] == f"/buildings/{numbered(1, 11)}"
    taken_already = await office.post("/buildings/new", data=house | {"community_id": first})
    assert "广氮 11栋已登记" in taken_already.text
    somebody = {**SOMEBODY, "building": "11"}
    assert (await office.post("/residents/new", data=somebody)).status_code == 422
    answer = await office.post("/residents/new", data=somebody | {"community_id": own})
    assert answer.status_code == 303, words(answer)
    where = answer.headers["location"]
    again = await office.post("/residents/new", data=somebody | {"community_id": own})
    assert again.headers["location"] == where
    page = await office.get(f"{where}/edit")
    change = {"seen": hidden(page), "reason": "核对", "risk_class": "rule", "name": "罗小满",
              "birth_date": "1938-05-06", "floor": "3", "stairwell": "", "living": "alone",
              "phone": "100 1100 0777", "terminal": "td-11-301"}  # fmt: skip
    answer = await office.post(f"{where}/edit", data=change)
    assert answer.status_code == 303, words(answer)
    page = await office.get(f"{where}/move")
    move = {"seen": hidden(page), "reason": "搬家", "building": "2", "flat": "909",
            "community_id": own}  # fmt: skip
    answer = await office.post(f"{where}/move", data=move)
    assert answer.status_code == 303, words(answer)
    query = select(BUILDING.c.number).join(RESIDENT, RESIDENT.c.building_id == BUILDING.c.id)
    assert await town.sql(lambda c: c.execute(
        query.where(RESIDENT.c.id == int(where.rpartition("/")[2]))).scalar_one()
    ) == neighbour.HOUSE  # fmt: skip
    page = await office.get(f"/buildings/{neighbour.HOUSE}/edit")
    assert str(neighbour.HOUSE) not in words(page), "a house is called by the number on its wall"
    form = {k: hidden_input(page, k) for k in ("head", "head_phone", "second", "second_phone")}
    form |= {"seen": hidden(page), "reason": "换人", "address": "", "address_en": "",
             "second": "温三", "second_phone": "100 6000 0103"}  # fmt: skip
    answer = await office.post(f"/buildings/{neighbour.HOUSE}/edit", data=form)
    assert answer.status_code == 303, words(answer)
    await make_account(town, "of-tangde", "coordinator", "community", "棠德")
    async with await login(town, "of-tangde") as browser:
        answer = await browser.post("/buildings/new", data={**STEWARDS, "building": "12"})
        assert answer.headers["location"] == f"/buildings/{numbered(1, 12)}"
        theirs = {**STEWARDS, "building": "13", "community_id": first}
        assert (await browser.post("/buildings/new", data=theirs)).status_code == 422


async def test_an_account_for_a_house_is_named_by_sign_and_community(town: Town) -> None:
    """With one community by the number; with two by the community too, and where both have one
    name by street and district too. What several are called so is none."""
    def at(level: str, name: str) -> Any:
        return town.sql(lambda c: scopes.place_id(c, level, name))

    def called(level: str, place: int) -> Any:
        return town.sql(lambda c: scopes.place_name(c, level, place))

    eleven = await at("building", "11")
    assert await called("building", eleven) == "11"
    assert await at("building", "11栋") == eleven
    await neighbour.move_in(town)
    assert await at("building", "2") is None, "both have one"
    theirs, ours = await at("building", "棠德 2"), await at("building", "广氮2栋")
    assert None not in (theirs, ours)
    assert theirs != ours
    assert await at("building", str(neighbour.HOUSE)) == theirs, "as an address names it"
    assert await called("building", theirs) == "棠德 2"
    for series in (0, 1):
        await town.sql(lambda c, s=series: c.execute(COMMUNITY.update().where(
            COMMUNITY.c.series == s).values(
            name="棠德", district="天河区", street=f"{s}街道")))  # fmt: skip
    for level, name in (
        ("building", "棠德 2"), ("community", "棠德"), ("community", ""), ("building", "99"),
        ("building", "棠德 99"), ("building", "棠德"),
    ):  # fmt: skip
        assert await at(level, name) is None, name
    assert await at("building", "1街道棠德 2") == theirs
    assert await at("building", "天河区0街道棠德 2") == ours
    for level, place in (("building", theirs), ("building", ours), ("community", 1),
                         ("community", 2)):  # fmt: skip
        assert await at(level, await called(level, place)) == place


async def test_somebody_of_the_second_community_is_erased_alone(town: Town) -> None:
    """Her name and door go from every row, as in the first; the same door next door stays."""
    await neighbour.move_in(town)
    query = select(RESIDENT.c.id, RESIDENT.c.name, t.table(t.Terminal).c.id).join(
        BUILDING, BUILDING.c.id == RESIDENT.c.building_id
    ).join(t.table(t.Terminal), t.table(t.Terminal).c.resident_id == RESIDENT.c.id)
    in_second = query.where(BUILDING.c.number >= numbered(1, 0), RESIDENT.c.state == "active")
    her, name, terminal = await town.sql(
        lambda c: c.execute(in_second.order_by(RESIDENT.c.id)).first())  # fmt: skip
    everybody = select(RESIDENT.c.id, RESIDENT.c.name).where(RESIDENT.c.id != her)
    before = await town.sql(lambda c: c.execute(everybody).all())
    own = f"/api/v1/residents/{her}"
    for path, body in ((f"{own}/end", {"how": "died", "reason": "told"}),
                       (f"/api/v1/terminals/{terminal}/assign",
                        {"resident_id": None, "reason": "fetched"}),
                       (f"{own}/erase", {"reason": "her wish"})):  # fmt: skip
        answer = await town.api.post(path, json=body)
        assert answer.status_code == 200, (path, answer.text)
    gone = await town.sql(lambda c: c.execute(
        select(RESIDENT.c.name).where(RESIDENT.c.id == her)).scalar_one())  # fmt: skip
    assert gone not in ("", name)
    assert await town.sql(lambda c: c.execute(everybody).all()) == before
    book = (await town.api.post("/api/v1/register/export", json={"format": "csv"})).content
    assert all(r["编号"] != str(her) for r in csv.DictReader(io.StringIO(book.decode("utf-8-sig"))))


def command(*said: str) -> str:
    """What a command prints; it must succeed."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(list(said)) == 0, said
    return out.getvalue()


@pytest.mark.sqlite_only("the commands are given a file")
async def test_the_commands_say_and_take_a_house_with_its_community(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Account, ladder and doctor: the second community is none of the first's."""
    community = await neighbour.move_in(town)
    url = town.runtime.settings.database_url
    monkeypatch.setenv("XUNLOU_DATABASE_URL", url)
    monkeypatch.setenv("XUNLOU_CLOCK", "")
    command("account", "add", "of-2", "--name", "温", "--scope", "building", "--place", "棠德 2")
    assert "building 棠德 2" in command("account", "list")
    resident = next(f.resident for f in community.buildings[1].flats if f.resident)
    told = command("ladder", "explain", "--resident", resident.terminal_id)
    assert "棠德 2栋" in told or "棠德 2" in told.splitlines()[0]
    settings = Settings(database_url=url)
    assert "Asia/Shanghai, Asia/Urumqi" in check_zone(settings).found
    assert [(f.what, f.ok) for f in check_communities(settings)] == [("广氮", True), ("棠德", True)]
    desk = (ASSIGNMENT.c.role == "duty") & (ASSIGNMENT.c.community_id == 2)
    await town.sql(lambda c: c.execute(ASSIGNMENT.delete().where(desk)))
    stewards = select(BUILDING.c.id).where(BUILDING.c.number == neighbour.HOUSE)
    await town.sql(lambda c: c.execute(ASSIGNMENT.delete().where(
        (ASSIGNMENT.c.role == "steward") & ASSIGNMENT.c.building_id.in_(stewards))))  # fmt: skip
    await town.sql(lambda c: c.execute(COMMUNITY.update().where(COMMUNITY.c.id == 2).values(
        tz="Nowhere/There", rounds=[{"name": "x"}])))  # fmt: skip
    ours, theirs = check_communities(settings)
    assert (ours.ok, theirs.ok) == (True, False)
    for word in ("nobody at its desk", "in building 2", "round can't be read"):
        assert word in theirs.found, word
    assert not check_zone(settings).ok


async def test_two_offices_register_a_community_in_the_same_moment(town: Town) -> None:
    """Each gets a series of its own; neither is told of an error that is none of theirs."""
    names = ["员村", "石牌", "冼村", "猎德"]
    answers = await asyncio.gather(*(
        town.api.post("/api/v1/communities", json={"name": n, "reason": "新社区"}) for n in names
    ))
    assert [a.status_code for a in answers] == [201] * 4, [a.text for a in answers]
    found = (await town.api.get("/api/v1/communities")).json()["communities"]
    assert sorted(c["series"] for c in found) == [0, 1, 2, 3, 4]
    assert {c["name"] for c in found} == {"广氮", *names}
