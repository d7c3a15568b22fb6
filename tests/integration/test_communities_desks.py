"""Claims about what a community has in common, where there are two: each has its own, and whoever
answers for it as a whole reads and writes it, and nobody else."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update
from staff_kit import login, make_account
from test_register_by_hand import hidden, words
from town import GZ, HEAD, MARCH_14, Town

from server import bookkeeping, handover_view
from server import tables as t
from server.core import help_requests, visits
from server.core.words import Role
from server.database import Tx
from server.store import rosters, scopes
from tests import neighbour
from xunlou.community import Community

API = "/api/v1"
OURS, THEIRS = "+8610000000101", neighbour.theirs("+8610000000101")
"""The first of each desk."""
STREET, DISTRICT = "棠下街道", "天河区"
PLACES = {
    "a": ("community", "广氮"), "b": ("community", "棠德"), "street": ("street", STREET),
    "house": ("building", "广氮 11"), "their-house": ("building", str(neighbour.HOUSE)),
    "all": ("all", ""),
}  # fmt: skip
WHOLE = {"a": ("A",), "b": ("B",), "street": ("A", "B"), "house": (), "their-house": (),
         "all": ("A", "B")}  # fmt: skip
"""For which communities each answers as a whole."""
PAGES = ("/duty", "/duty/history", "/duty/add", "/duty/remove", "/duty/community", "/handover",
         "/hours")  # fmt: skip
ENDPOINTS = ("/api/v1/rota", "/api/v1/hours")


@dataclass
class Both:
    """The town with two communities, and somebody for each."""

    town: Town
    theirs: Community
    ids: dict[str, int]
    at: dict[str, httpx.AsyncClient]

    async def resident(self, house: int = 2) -> tuple[int, int]:
        """Somebody of a house of theirs, and that house: ids."""
        building = next(b for b in self.theirs.buildings if b.number == house)
        terminal = next(f.resident.terminal_id for f in building.flats if f.resident)
        table, row = t.table(t.Terminal), t.table(t.Resident)
        query = (
            select(row.c.id, row.c.building_id)
            .join(table, table.c.resident_id == row.c.id)
            .where(table.c.id == terminal)
        )
        found = await self.town.sql(lambda c: c.execute(query).one())
        return int(found[0]), int(found[1])


@pytest.fixture
async def both(town: Town) -> AsyncIterator[Both]:
    """Both lie in one street; a coordinator of each, of the street, of a building of each, and an
    administrator."""
    theirs = await neighbour.move_in(town)
    community = t.table(t.Community)
    await town.sql(lambda c: c.execute(
        update(community).values(street=STREET, district=DISTRICT)
    ))  # fmt: skip
    rows = await town.sql(
        lambda c: c.execute(select(community.c.id).order_by(community.c.series)).scalars().all()
    )
    at = {}
    for name, (level, place) in PLACES.items():
        await make_account(
            town, f"of-{name}", "administrator" if name == "all" else "coordinator", level, place
        )
        at[name] = await login(town, f"of-{name}")
        at[name].headers["accept"] = "text/html"
    yield Both(town, theirs, dict(zip("AB", rows, strict=True)), at)
    for browser in at.values():
        await browser.aclose()


def on(path: str, community: int) -> str:
    """The same address, of this community."""
    return f"{path}?community={community}"


@pytest.mark.sqlite_only("whose a community is, is asked for on both databases below")
async def test_every_common_door_for_every_account(both: Both) -> None:
    """Named, a community is there for whoever answers for it, and for nobody else. Left out, it is
    the only one there is for the asker; where there are several a page takes the first and the API
    asks which. An account of one building is refused in every way."""
    wrong = []
    for name, browser in both.at.items():
        for path in (*PAGES, *ENDPOINTS):
            for which, community in both.ids.items():
                status = (await browser.get(on(path, community))).status_code
                if (status == 200) != (which in WHOLE[name]) or status not in (200, 403, 404):
                    wrong.append((name, path, which, status))
            status = (await browser.get(path)).status_code
            several = len(WHOLE[name]) > 1 and path in ENDPOINTS
            expected = 403 if not WHOLE[name] else 422 if several else 200
            if status != expected:
                wrong.append((name, path, status))
            # Only whoever has no beyond may write a number as pydantic reads it.
            for odd in ("999", "abc", "1_0") if name == "all" else ("999", "abc", "1_0", "+1"):
                status = (await browser.get(f"{path}?community={odd}")).status_code
                if status not in (403, 404, 422):
                    wrong.append((name, path, odd, status))
    assert wrong == []
    asked = await both.at["street"].get(f"{API}/rota")
    for which, name in (("A", "广氮"), ("B", "棠德")):
        assert f"{both.ids[which]} ({name})" in asked.json()["detail"]


@pytest.mark.sqlite_only("whose a community is, is asked for on both databases below")
async def test_every_common_change_for_every_account(both: Both) -> None:
    """What changes the common things of a community is refused to whoever does not answer for it,
    and where several could be meant and none was named, nothing is written."""
    plan = {"rounds": [{"name": "noon", "opens": "10:00", "prompt": "11:00", "due": "12:00"}],
            "reason": "试一试"}  # fmt: skip
    address = {"address": "广州市天河区某路1号", "reason": "更正"}
    man = {"role": "street", "name": "某人", "phone": "+8610099000001", "reason": "新来的"}
    sheet = {"outgoing": "甲", "incoming": "乙"}
    named = {"name": "新名", "reason": "改名", "seen": "0"}
    wrong = []
    for name, browser in both.at.items():
        for which, community in (*both.ids.items(), ("", 0)):
            if which in WHOLE[name] or (not which and len(WHOLE[name]) == 1):
                continue  # these may, and do below
            query = f"?community={community}" if community else ""
            body = man | ({"community": community} if community else {})
            for method, path, sent in (
                ("PUT", f"{API}/rounds/plan{query}", {"json": plan}),
                ("PUT", f"{API}/addresses{query}", {"json": address}),
                ("POST", f"{API}/assignments", {"json": body}),
                ("POST", f"/handover{query}", {"data": sheet}),
                ("POST", "/handover", {"data": sheet | {"community": str(community or "")}}),
                ("POST", f"/duty/community{query}", {"data": named}),
                ("POST", f"/duty/add{query}", {"data": man}),
            ):
                status = (await browser.request(method, path, **sent)).status_code
                expected = (422,) if not which and len(WHOLE[name]) > 1 else (403, 404)
                if status not in expected:
                    wrong.append((name, method, path, status))
    assert wrong == []
    table = t.table(t.Community)
    rows = await both.town.sql(lambda c: c.execute(select(table)).mappings().all())
    assert {row["name"] for row in rows} == {"广氮", "棠德"}
    assert all(row["address"] != address["address"] for row in rows)
    assert await both.town.sql(lambda c: c.execute(select(t.table(t.Handover))).first()) is None


async def test_the_rota_is_one_desks(both: Both) -> None:
    """Its own people, by its own clock; a hole in it is no hole in the other's. Who has the duty at
    two desks is on both, and is changed by whoever answers for both."""
    at, town = both.at, both.town
    theirs = await town.person(THEIRS)
    ours = await town.person(OURS)
    for other in both.theirs.duty[1:]:
        person = await town.person(other.phone)
        night = {"shifts": [{"days": [6], "starts": "20:00", "ends": "22:00"}], "reason": "夜班"}
        answer = await at["b"].put(f"{API}/people/{person}/shifts", json=night)
        assert answer.status_code == 200, answer.text
        assert answer.json()["tz"] == "Asia/Urumqi"
    answer = await at["b"].put(f"{API}/people/{theirs}/shifts", json={
        "shifts": [{"days": [6], "starts": "04:00", "ends": "05:00"}], "reason": "早班"
    })  # fmt: skip
    # 06:10 in Guangzhou is 04:10 there.
    assert answer.json()["on_shift"] is True
    rota = {which: (await at["street"].get(on(f"{API}/rota", community))).json()
            for which, community in both.ids.items()}  # fmt: skip
    assert (rota["A"]["tz"], rota["B"]["tz"]) == ("Asia/Shanghai", "Asia/Urumqi")
    assert len(rota["B"]["duty"]) == len(both.theirs.duty)
    assert theirs not in {p["person_id"] for p in rota["A"]["duty"]}
    assert rota["B"]["gaps"] != []
    assert rota["A"]["gaps"] == []
    refused = await at["a"].put(f"{API}/people/{theirs}/shifts", json={
        "shifts": [], "reason": "不行"
    })  # fmt: skip
    assert refused.status_code == 404

    mine = next(p["shifts"] for p in rota["A"]["duty"] if p["person_id"] == ours)
    assert mine != []
    also = {"role": "duty", "person_id": ours, "community": both.ids["B"], "reason": "两边值班"}
    (await at["street"].post(f"{API}/assignments", json=also)).raise_for_status()
    for which, name in (("A", "a"), ("B", "b")):
        listed = (await at[name].get(f"{API}/rota")).json()["duty"]
        assert ours in {p["person_id"] for p in listed}, which
        assert f'href="/people/{ours}"' in (await at[name].get("/duty")).text
    assigned = (await at["b"].get(f"{API}/assignments?person_id={ours}")).json()["assignments"]
    gone = f"{API}/assignments/{assigned[0]['id']}/remove"
    assert len(assigned) == 1
    assert (await at["a"].post(gone, json={"reason": "走了"})).status_code == 404
    assert (await at["b"].post(gone, json={"reason": "走了"})).status_code == 204
    # Neither coming to the second desk nor leaving it touches the shifts of the first.
    listed = (await at["a"].get(f"{API}/rota")).json()["duty"]
    assert next(p["shifts"] for p in listed if p["person_id"] == ours) == mine
    (await at["street"].post(f"{API}/assignments", json=also)).raise_for_status()
    one = {"shifts": [], "reason": "全天"}
    for name, status in (("a", 403), ("b", 403), ("street", 200), ("all", 200)):
        path = f"{API}/people/{ours}/shifts"
        assert (await at[name].put(path, json=one)).status_code == status, name
        refused = await at[name].post(on(f"/duty/shifts/{ours}", both.ids[WHOLE[name][0]]), data={
            "days:0": "1", "starts:0": "08:00", "ends:0": "20:00", "reason": "白班", "seen": "99999"
        })  # fmt: skip
        assert refused.status_code == (303 if status == 200 else 422), name


async def test_the_people_of_another_desk_are_beyond(both: Both) -> None:
    """Neither list, page, form nor assignment shows them to whoever answers for the other community
    alone; a building's account sees nobody of a desk."""
    ours, theirs = await both.town.person(OURS), await both.town.person(THEIRS)
    seen = {"a": {ours}, "b": {theirs}, "street": {ours, theirs}, "house": set(),
            "their-house": set(), "all": {ours, theirs}}  # fmt: skip
    for name, known in seen.items():
        browser = both.at[name]
        listed = (await browser.get(f"{API}/assignments")).json()["assignments"]
        assert {a["person_id"] for a in listed} & {ours, theirs} == known, name
        for person in (ours, theirs):
            for path in (f"/people/{person}", f"/people/{person}/history",
                         f"{API}/assignments?person_id={person}"):  # fmt: skip
                status = (await browser.get(path)).status_code
                assert (status == 200) == (person in known), (name, path, status)
    everything = (await both.at["all"].get(f"{API}/assignments")).json()["assignments"]
    their = next(a["id"] for a in everything if a["person_id"] == theirs)
    gone = f"{API}/assignments/{their}/remove"
    for name, status in (("a", 404), ("house", 404), ("b", 204)):
        answer = await both.at[name].post(gone, json={"reason": "走了"})
        assert answer.status_code == status, name


async def hand_over(
    browser: httpx.AsyncClient, outgoing: str, incoming: str, last: int, community: int
) -> httpx.Response:
    """What a desk's form sends."""
    form = {"outgoing": outgoing, "incoming": incoming, "last_id": str(last), "note": ""}
    return await browser.post(on("/handover", community), data=form)


async def test_a_handover_is_one_desks(both: Both) -> None:
    """Each sheet tells of its own houses and people, and of what is about all. A double tap is one
    handover, somebody else's is refused, and both only at the same desk. What was written before
    there were several is the first one's."""
    at, ids, town = both.at, both.ids, both.town
    old = {"at": town.runtime.clock.now() - timedelta(hours=8), "outgoing": "从前", "by": "x",
           "since": town.runtime.clock.now() - timedelta(hours=16), "incoming": "旧人",
           "note": "", "picture": {}}  # fmt: skip
    handover = t.table(t.Handover)
    await town.sql(lambda c: c.execute(insert(handover).values(old)))
    assert "旧人" in (await at["a"].get("/handover")).text
    assert "旧人" not in (await at["b"].get("/handover")).text

    resident, _ = await both.resident()
    until = (MARCH_14 + timedelta(days=3)).isoformat()
    away = {"until": until, "reason": "住院"}
    api = town.api
    (await api.post(f"{API}/residents/{resident}/absence", json=away)).raise_for_status()
    steward = await town.person(both.theirs.buildings[1].stewards[0].person.phone)
    (await api.post(f"{API}/people/{steward}/absence", json=away)).raise_for_status()
    other = next(f.resident for f in both.theirs.buildings[2].flats if f.resident)
    await town.press(terminal=other.terminal_id)
    (alert,) = await town.alerts(kind="sos")
    await town.act(alert["id"], "resolve", outcome="helped", note="在他家")
    await town.press(terminal=other.terminal_id)
    await town.press()
    sheets = {}
    for name in ("a", "b"):
        page = (await at[name].get("/handover")).raise_for_status()
        sheets[name] = words(page)
    mine = both.theirs.buildings[1].stewards[0].person.name
    assert "11栋3楼301" in sheets["a"]
    assert "11栋3楼301" not in sheets["b"]
    assert "3栋" in sheets["b"]
    assert mine in sheets["b"]
    assert ("在他家" in sheets["b"], "在他家" in sheets["a"]) == (True, False)
    told = await town.sql(lambda c: [
        handover_view.current(c, town.runtime.clock.now(), ids[which])["picture"]["counts"]["sos"]
        for which in "AB"
    ])  # fmt: skip
    assert told == [1, 2]
    # 06:10 in three days is 04:10 by their clock.
    assert sheets["b"].count("03-17 04:10") == 2
    assert "03-17 06:10" not in sheets["a"]

    first = await hand_over(at["street"], "甲", "乙", 0, ids["B"])
    assert first.status_code == 303, words(first)
    written = int(first.headers["location"].rsplit("/", 1)[1])
    assert (await hand_over(at["b"], "甲", "乙", 0, ids["B"])).headers["location"] == (
        f"/handover/{written}"
    )
    stale = await hand_over(at["b"], "丙", "丁", 0, ids["B"])
    assert (stale.status_code, "甲刚刚已交给乙" in words(stale)) == (409, True)
    # At the other desk nothing happened meanwhile: the old one is its newest.
    before = await town.sql(
        lambda c: c.execute(select(handover.c.id).order_by(handover.c.id)).scalars().first()
    )
    ours = await hand_over(at["a"], "旧人", "新人", before, ids["A"])
    assert ours.status_code == 303, words(ours)
    rows = await town.sql(
        lambda c: c.execute(select(handover.c.id, handover.c.community_id)).all()
    )
    assert {tuple(r) for r in rows} == {
        (before, None), (written, ids["B"]),
        (int(ours.headers["location"].rsplit("/", 1)[1]), ids["A"]),
    }  # fmt: skip
    for name, statuses in (("a", (200, 404)), ("b", (404, 200)), ("street", (200, 200)),
                           ("house", (403, 403)), ("all", (200, 200))):  # fmt: skip
        for number, status in zip((ours.headers["location"], f"/handover/{written}"), statuses,
                                  strict=True):  # fmt: skip
            assert (await at[name].get(number)).status_code == status, (name, number)
    for name, other in (("a", "甲 → 乙"), ("b", "旧人 → 新人")):
        assert other not in words(await at[name].get("/handover")), name
    assert "甲 → 乙" in words(await at["b"].get("/handover"))


async def test_hours_are_of_the_community_where_they_were_given(both: Both) -> None:
    """Credited to its pool, told in its balance, listed with its volunteers, and put right by those
    who answer for it."""
    at, ids, town = both.at, both.ids, both.town
    theirs = both.theirs.buildings[1].stewards[0].person
    await town.watch_until(datetime(2026, 3, 14, 17, 40, tzinfo=GZ))
    await town.reply(HEAD, "巡完")
    await town.watch_until(datetime(2026, 3, 14, 20, 40, tzinfo=GZ))
    await town.reply(theirs.phone, "巡完")
    await town.watch(900)
    await bookkeeping.post_all(town.runtime.database, asyncio.Event())
    account = t.table(t.HoursAccount)
    query = select(account.c.name, account.c.balance_min).where(account.c.kind == "given")
    pools = {r[0]: r[1] for r in await town.sql(lambda c: c.execute(query).all())}
    assert pools == {f"given:{ids['A']}": 30, f"given:{ids['B']}": 30}
    for name, which in (("a", "A"), ("b", "B")):
        found = (await at[name].get(f"{API}/hours")).json()
        assert (found["given"], found["saved"], found["drawn"], found["savers"]) == (30, 30, 0, 1)
        assert found["community"] == {"A": "广氮", "B": "棠德"}[which]
    head, steward = await town.person(HEAD), await town.person(theirs.phone)
    page = (await at["street"].get(on("/hours", ids["B"]))).text
    assert f'href="/hours/{steward}"' in page
    assert f'href="/hours/{head}"' not in page

    entry, building = t.table(t.HoursEntry), t.table(t.Building)
    query = select(entry.c.id, building.c.community_id).join(
        building, building.c.id == entry.c.building_id
    )
    of = {r[1]: r[0] for r in await town.sql(lambda c: c.execute(query).all())}
    path = f"{API}/hours/entries/{of[ids['B']]}/counter"
    for name, status in (("a", 404), ("house", 403), ("their-house", 403), ("b", 200)):
        answer = await at[name].post(path, json={"reason": "记错了"})
        assert answer.status_code == status, (name, answer.text)
    assert answer.json()["given"] == 0
    assert (await at["a"].get(f"{API}/hours")).json()["given"] == 30
    form = {"entry": str(of[ids["A"]]), "why": "记错了"}
    for name in ("b", "house"):
        answer = await at[name].post(f"/hours/{head}/counter", data=form)
        assert answer.status_code in (403, 404, 409), name
    assert (await at["a"].get(f"{API}/hours")).json()["given"] == 30
    assert (await at["a"].post(f"/hours/{head}/counter", data=form)).status_code == 303
    assert (await at["a"].get(f"{API}/hours")).json()["given"] == 0


async def test_plan_and_address_are_changed_for_one_community(both: Both) -> None:
    """By its own coordinator without a word which, by the street's with it; the other's stay. They
    are read by whoever sees a house of it."""
    at, ids = both.at, both.ids
    plan = {"rounds": [{"name": "noon", "opens": "10:00", "prompt": "11:00", "due": "12:00"}],
            "reason": "试一试"}  # fmt: skip
    changed = (await at["b"].put(f"{API}/rounds/plan", json=plan)).raise_for_status().json()
    assert (changed["tz"], [r["name"] for r in changed["rounds"]]) == ("Asia/Urumqi", ["noon"])
    for name, which, rounds in (
        ("a", None, 2), ("house", None, 2), ("b", None, 1), ("their-house", None, 1),
        ("street", "A", 2), ("street", "B", 1), ("all", "B", 1),
    ):  # fmt: skip
        path = f"{API}/rounds/plan"
        answer = await at[name].get(on(path, ids[which]) if which else path)
        assert len(answer.raise_for_status().json()["rounds"]) == rounds, (name, which)
    for name, which, status in (("a", "B", 404), ("house", "B", 404), ("their-house", "A", 404),
                                ("street", None, 422), ("all", None, 422)):  # fmt: skip
        for path in (f"{API}/rounds/plan", f"{API}/addresses"):
            answer = await at[name].get(on(path, ids[which]) if which else path)
            assert answer.status_code == status, (name, path, which)
    address = {"address": "广州市天河区棠德路66号", "reason": "更正"}
    path = on(f"{API}/addresses", ids["B"])
    (await at["street"].put(path, json=address)).raise_for_status()
    own = {"address": "广州市天河区棠德路68号", "reason": "更正"}
    house = f"{API}/addresses/{neighbour.HOUSE}"
    assert (await at["a"].put(house, json=own)).status_code == 404
    told = (await at["their-house"].put(house, json=own)).raise_for_status().json()
    assert told["community"]["address"] == address["address"]
    assert [b["number"] for b in told["buildings"]] == [neighbour.HOUSE]
    ours = (await at["a"].get(f"{API}/addresses")).json()
    assert ours["community"]["name"] == "广氮"
    assert address["address"] not in str(ours)
    assert own["address"] not in str(ours)


@pytest.mark.sqlite_only("forms are taken by use-cases that both databases are asked with above")
async def test_the_forms_of_a_desk_are_of_the_chosen_community(both: Both) -> None:
    """Its page has a quiet row with the other, every form leads on with it and back to it, and what
    is written is the chosen one's."""
    at, ids, street = both.at, both.ids, both.at["street"]
    alone = (await at["b"].get("/duty")).text
    assert "?community=" not in alone
    assert THEIRS in alone
    page = (await street.get(on("/duty", ids["B"]))).text
    assert f'href="/duty?community={ids["A"]}"' in page
    assert (THEIRS in page, OURS in page) == (True, False)
    assert OURS in (await street.get("/duty")).text
    for form in ("add", "remove", "community", "history"):
        assert f'href="/duty/{form}?community={ids["B"]}"' in page
    path = on("/duty/add", ids["B"])
    opened = (await street.get(path)).text
    assert f'action="{path}"' in opened
    assert f'href="/duty?community={ids["B"]}"' in opened
    new = {"role": "street", "name": "新人", "phone": "+8610099000002", "lang": "zh",
           "reason": "新来的"}  # fmt: skip
    done = await street.post(path, data=new)
    assert (done.status_code, done.headers["location"]) == (303, on("/duty", ids["B"]))
    assignment = t.table(t.Assignment)
    person = await both.town.person(new["phone"])
    query = select(assignment.c.id, assignment.c.community_id).where(
        assignment.c.person_id == person
    )
    ((standing, where),) = await both.town.sql(lambda c: c.execute(query).all())
    assert where == ids["B"]
    assert "新人" in words(await at["b"].get("/duty/history"))
    assert "新人" not in words(await at["a"].get("/duty/history"))
    gone = {"assignment": str(standing), "reason": "走了"}
    assert (await street.post(on("/duty/remove", ids["A"]), data=gone)).status_code == 404
    assert (await at["a"].post("/duty/remove", data=gone)).status_code == 404
    assert (await at["b"].post("/duty/remove", data=gone)).status_code == 303
    form = await at["b"].get("/duty/community")
    named = {"name": "棠德新村", "street": STREET, "district": DISTRICT, "reason": "改名",
             "seen": hidden(form)}  # fmt: skip
    assert (await at["b"].post("/duty/community", data=named)).status_code == 303
    table = t.table(t.Community)
    names = await both.town.sql(
        lambda c: c.execute(select(table.c.name).order_by(table.c.series)).scalars().all()
    )
    assert names == ["广氮", "棠德新村"]
    theirs = await both.town.person(THEIRS)
    assert (await street.get(on(f"/duty/shifts/{theirs}", ids["A"]))).status_code == 404
    assert (await street.get(on(f"/duty/shifts/{theirs}", ids["B"]))).status_code == 200
    both_names = (await street.get("/buildings/new")).text
    assert re.search(rf'<option value="{ids["B"]}"[^>]*>棠德新村', both_names)
    assert 'name="community_id"' not in (await at["b"].get("/buildings/new")).text


async def test_services_keep_the_time_of_the_house(both: Both) -> None:
    """A request, a visit and a greeting of theirs are due by their clock, and ours by ours."""
    resident, _ = await both.resident()
    ours = int((await both.town.residents(11))["301"]["id"])
    now = both.town.runtime.clock.now()
    for person, zone in ((resident, neighbour.ZONE), (ours, GZ)):
        body: dict[str, Any] = {"resident_id": person, "kind": "repair", "words": "灯不亮"}
        asked = (await both.town.api.post(f"{API}/requests", json=body)).raise_for_status().json()
        want = help_requests.Want.REPAIR
        due = help_requests.due_at(want, now, zone)
        assert asked["due_ms"] == t.to_ms(due), zone
        other = {"kind": "errand"}
        changed = await both.town.api.patch(f"{API}/requests/{asked['id']}", json=other)
        due = help_requests.due_at(help_requests.Want.ERRAND, now, zone)
        assert changed.json()["due_ms"] == t.to_ms(due), zone
        owed = {"resident_id": person, "cause": "other", "why": "刚出院"}
        visit = (await both.town.api.post(f"{API}/visits", json=owed)).raise_for_status().json()
        assert visit["due_ms"] == t.to_ms(visits.due_at(visits.Cause.OTHER, now, zone)), zone
    # At half past midnight of the 15th here it is still the 14th there.
    await both.town.watch_until(datetime(2026, 3, 15, 0, 30, tzinfo=GZ))
    owed["resident_id"] = resident
    visit = (await both.town.api.post(f"{API}/visits", json=owed)).json()
    path = f"{API}/visits/{visit['id']}/done"
    early = await both.town.api.post(path, json={"name": "某人", "on": "2026-03-15"})
    assert early.status_code == 409
    paid = await both.town.api.post(path, json={"name": "某人"})
    assert paid.json()["visited_on"] == "2026-03-14"


async def test_the_communities_that_an_account_has_to_do_with(both: Both) -> None:
    """Those of which it sees a house, and whether it answers for the whole of them."""
    seen = {"a": {"广氮": True}, "b": {"棠德": True}, "street": {"广氮": True, "棠德": True},
            "house": {"广氮": False}, "their-house": {"棠德": False},
            "all": {"广氮": True, "棠德": True}}  # fmt: skip
    for name, expected in seen.items():
        found = (await both.at[name].get(f"{API}/communities")).raise_for_status().json()
        listed = found["communities"]
        assert {c["name"]: c["whole"] for c in listed} == expected, name
    assert listed[1] == {
        "id": both.ids["B"], "series": 1, "name": "棠德", "street": STREET, "district": DISTRICT,
        "zone": "Asia/Urumqi", "whole": True,
    }  # fmt: skip


async def test_a_community_without_a_house_is_somebodys_too(both: Both) -> None:
    """A third one of the street with a desk and no house yet: the street's account answers for it,
    and the two others' do not; nobody but the whole installation's has everything."""
    community, assignment = t.table(t.Community), t.table(t.Assignment)
    ours = await both.town.person(OURS)

    def third(tx: Tx) -> int:
        row = dict(tx.conn.execute(select(community)).mappings().first() or {})
        row |= {"name": "车陂", "series": 2, "district": "白云区"}
        made = tx.conn.execute(
            insert(community).values({k: v for k, v in row.items() if k != "id"})
            .returning(community.c.id)
        ).scalar_one()  # fmt: skip
        tx.conn.execute(insert(assignment).values(
            person_id=ours, role=Role.DUTY.value, community_id=made, position=0, key_place=""
        ))  # fmt: skip
        return int(made)

    made = await both.town.runtime.database.write(third)
    for name, status in (("a", 404), ("b", 404), ("street", 404), ("house", 403), ("all", 200)):
        answer = await both.at[name].get(on(f"{API}/rota", made))
        assert answer.status_code == status, name

    def has_all(place: str) -> Any:
        return lambda c: scopes.scope(c, "district", scopes.place_id(c, "district", place)).common

    assert await both.town.sql(has_all(DISTRICT)) is False
    assert len(await both.town.sql(rosters.duty)) > len(both.theirs.duty)
