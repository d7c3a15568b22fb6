"""Claims about the register by hand: what a form writes, what it refuses, and what the history
keeps of it, over the real server and without scripts."""

import re
from datetime import datetime
from html import unescape
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from staff_kit import login, make_account
from town import GRANNY, GZ, HEAD, SECOND, Town

from dashboards.server_forms import OWN
from server import tables as t
from server.service.register import by_hand

NEW = {
    "building": "11", "flat": "901", "name": "梁小满", "birth_date": "1938-05-06",
    "living": "alone", "sex": "女", "phone": "100 1100 0777", "terminal": "gd-11-901",
    "access_notes": "备用钥匙在花盆下", "risks": "糖尿病",
    "key_holder": "何建国", "key_holder_phone": "100 1100 0778", "key_place": "在鞋柜里",
    "befriender": "邓秀英", "befriender_phone": "+8610011000779",
    "family": "梁大勇", "family_phone": "100 1100 0780", "reason": "新搬来",
}  # fmt: skip
SECRETS = ("花盆", "糖尿病", "鞋柜")


def words(page: httpx.Response) -> str:
    """A page as text, without markup."""
    plain = re.sub(r"<(style|script|svg).*?</\1>|<[^>]+>", " ", page.text, flags=re.S)
    return unescape(" ".join(plain.split()))


def hidden(page: httpx.Response, name: str = "seen") -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, name
    return found[1]


async def granny(town: Town) -> int:
    """The id of the woman of 84."""
    return int((await town.residents(11))["301"]["id"])


def of_granny(page: httpx.Response, **more: str) -> dict[str, str]:
    """Her form as it was opened, with some fields changed."""
    form = {"seen": hidden(page), "reason": "核对", "risk_class": "rule"}
    for name in ("name", "birth_date", "phone", "terminal", "floor", "stairwell"):
        form[name] = unescape(hidden_input(page, name))
    return {**form, "living": "alone", "sex": "女", **more}


def hidden_input(page: httpx.Response, name: str) -> str:
    """What stands in a field."""
    found = re.search(rf'name="{name}"[^>]*? value="([^"]*)"', page.text)
    assert found is not None, name
    return found[1]


async def stands_by(town: Town, role: str, name: str, phone: str, resident_id: int) -> None:
    """Somebody is registered beside a resident, by a program."""
    body = {"role": role, "name": name, "phone": phone, "resident_id": resident_id,
            "reason": "家属告知"}  # fmt: skip
    (await town.api.post("/api/v1/assignments", json=body)).raise_for_status()


async def history(town: Town, subject: str) -> list[Any]:
    """What is kept of a subject, in order."""
    change = t.table(t.RegisterChange)
    query = select(change).where(change.c.subject == subject).order_by(change.c.id)
    return list(await town.sql(lambda c: c.execute(query).mappings().all()))


async def test_somebody_is_registered_with_a_new_flat_and_all_who_stand_by(
    town: Town, office: httpx.AsyncClient
) -> None:
    """One form; the stewards go to the right door from the first press on; nothing of the way in
    is in the history. The same form again finds her and adds nobody."""
    answer = await office.post("/residents/new", data=NEW)
    assert answer.status_code == 303, answer.text
    where = answer.headers["location"]
    again = await office.post("/residents/new", data=NEW)
    assert (again.status_code, again.headers["location"]) == (303, where)
    page = await office.get(where)
    for word in ("梁小满", "11栋9楼901", "何建国", "邓秀英", "梁大勇"):
        assert word in words(page), word
    assert not any(secret in page.text for secret in SECRETS)
    look = await office.post(f"{where}/access", data={"reason": "核对地址"})
    assert [s for s in SECRETS if s not in look.text] == []
    await town.press("sos", "gd-11-901")
    await town.expect_sms(HEAD, "11栋")
    told = words(await office.get(f"{where}/history"))
    assert "mai" in told
    assert "新搬来" in told
    assert "表单" in told
    assert not any(secret in told for secret in SECRETS)
    rows = await history(town, f"resident:{where.rpartition('/')[2]}")
    assert [(r["what"], r["by"], r["via"]) for r in rows] == [("added", "mai", "form")]


WRONG = [
    ({"flat": ""}, "不能为空"), ({"building": "99"}, "99栋还没有登记"),
    ({"birth_date": "6.5."}, "1941-09-02"), ({"birth_date": "2030-01-01"}, "日期还没到"),
    ({"terminal": GRANNY}, "这台终端登记在 11-301"), ({"reason": " "}, "请写明原因"),
    ({"phone": "12"}, "不是电话号码"), ({"family_phone": ""}, "姓名和电话要一起填"),
    ({"key_holder_phone": HEAD}, "这个号码已登记给"), ({"flat": "地下"}, "请填楼层"),
    ({"flat": "301", "name": "何桂芳", "terminal": ""}, "已登记在这一户"),
]  # fmt: skip


@pytest.mark.sqlite_only("a form is checked before anything is written")
async def test_a_form_that_is_refused_says_where_and_loses_nothing(
    town: Town, office: httpx.AsyncClient
) -> None:
    """Each mistake stands at its field, what was typed stands there still, and nobody is added."""
    before = await town.residents(11)
    for mistake, why in WRONG:
        form = NEW | mistake
        answer = await office.post("/residents/new", data=form)
        assert answer.status_code == 422, (mistake, answer.text)
        page = unescape(answer.text)
        assert why in page, mistake
        for name, value in form.items():
            assert value.strip() in page, (mistake, name)
    assert await town.residents(11) == before
    assert await history(town, "resident:%") == []


async def test_a_change_is_kept_field_by_field_and_an_empty_secret_is_no_change(
    town: Town, office: httpx.AsyncClient
) -> None:
    """Name, telephone, class, terminal and contacts; the way in only says that it changed."""
    number = await granny(town)
    path = f"/residents/{number}/edit"
    opened = await office.get(path)
    assert "何桂芳" in opened.text
    assert "天井" not in opened.text
    notes = select(t.table(t.Resident).c.access_notes).where(t.table(t.Resident).c.id == number)
    way = await town.sql(lambda c: c.execute(notes).scalar_one())
    assert (await office.post(path, data=of_granny(opened))).status_code == 303
    assert await history(town, f"resident:{number}") == [], "nothing was changed"
    form = of_granny(opened, name="何桂芬", risk_class="C", terminal="gd-11-999",
                     family="何小妹", family_phone="100 1100 0790")  # fmt: skip
    assert (await office.post(path, data=form)).status_code == 303
    assert await town.sql(lambda c: c.execute(notes).scalar_one()) == way
    seen = await office.get(path)
    form = of_granny(seen, risk_class="C", access_notes="从二楼平台进")
    assert (await office.post(path, data=form)).status_code == 303
    kept: dict[str, list[Any]] = {}
    for row in await history(town, f"resident:{number}"):
        assert (row["by"], row["why"], row["via"]) == ("mai", "核对", "form")
        for key, change in row["fields"].items():
            kept.setdefault(key, []).append(change)
    assert kept["name"] == [["何桂芳", "何桂芬"]]
    assert kept["terminal"] == [[GRANNY, None], [None, "gd-11-999"]]
    assert kept["risk_class"] == [["A", "C"]]
    assert kept["family"] == [[None, "何小妹 100 1100 0790"]]
    assert kept["access_notes"] == [[None, None]]
    found = (await office.post("/residents", data={"words": "hgf"})).text
    assert "何桂芬" in found, "the search knows the new name by its sound"
    page = words(await office.get(f"/residents/{number}/history"))
    assert "有改动(内容不记)" in page
    assert "平台" not in page


async def test_a_stale_form_is_refused_with_what_changed_and_saved_the_second_time(
    town: Town, office: httpx.AsyncClient
) -> None:
    """Two offices open her form; the second is shown the first one's change, keeps its own words,
    and may save over it knowingly. An API's change counts as well."""
    number = await granny(town)
    path = f"/residents/{number}/edit"
    one, two = await office.get(path), await office.get(path)
    assert (await office.post(path, data=of_granny(one, phone="100 1100 0555"))).status_code == 303
    refused = await office.post(path, data=of_granny(two, name="何桂芬", reason="改名"))
    assert refused.status_code == 409
    page = words(refused)
    assert "别人改过" in page
    assert "100 1100 0555" in page or "+8610011000555" in page
    assert hidden_input(refused, "name") == "何桂芬"
    assert (await town.residents(11))["301"]["name"] == "何桂芳", "nothing was written"
    form = of_granny(two, name="何桂芬", reason="改名", seen=hidden(refused))
    assert (await office.post(path, data=form)).status_code == 303
    assert (await town.residents(11))["301"]["name"] == "何桂芬"
    three = await office.get(path)
    body = {"risk_class": "B", "reason": "by a program"}
    (await town.api.patch(f"/api/v1/residents/{number}", json=body)).raise_for_status()
    assert (await office.post(path, data=of_granny(three))).status_code == 409


async def test_a_move_an_absence_and_an_end_by_form(
    town: Town, office: httpx.AsyncClient
) -> None:
    """To a flat that was not registered yet; away until a day and back before it; ended for good.
    Each is in the history with its reason, and the old way in is gone with the old door."""
    number = await granny(town)
    path = f"/residents/{number}"
    seen = hidden(await office.get(f"{path}/move"))
    move = {"building": "11", "flat": "1002", "reason": "换到高楼层", "seen": seen}
    assert (await office.post(f"{path}/move", data=move)).status_code == 303
    assert (await town.residents(11))["1002"]["floor"] == 10
    bad = await office.post(f"{path}/away", data={"until": "2026-03-01T10:00", "reason": "探亲"})
    assert bad.status_code == 422
    assert "最长 90 天" in bad.text
    away = {"until": "2026-03-20T18:00", "reason": "住院"}
    assert (await office.post(f"{path}/away", data=away)).status_code == 303
    row = (await town.residents(11))["1002"]
    assert (row["state"], row["absent_until_ms"]) == (
        "paused", datetime(2026, 3, 20, 18, tzinfo=GZ).timestamp() * 1000
    )
    assert (await office.post(f"{path}/back", data={})).status_code == 303
    assert (await town.residents(11))["1002"]["state"] == "active"
    end = {"how": "", "reason": "家属告知"}
    assert (await office.post(f"{path}/end", data=end)).status_code == 422
    done = await office.post(f"{path}/end", data=end | {"how": "moved_away"})
    assert (done.status_code, done.headers["location"]) == (303, f"{path}/history")
    page = words(await office.get(f"{path}/history"))
    for told in ("换到高楼层", "11-301 → 11-1002", "2026-03-20 18:00", "住院", "搬走", "家属告知"):
        assert told in page, told
    assert (await office.get(f"{path}/edit")).status_code == 404
    days = await office.get(f"{path}/history?from=2026-03-15&to=2026-03-16")
    assert "没有变更" in words(days)
    assert (await office.get(f"{path}/history?from=yesterday")).status_code == 422


STEWARDS = {
    "head": "黄志强", "head_phone": "100 1100 0601", "lang:head": "zh",
    "second": "罗美玲", "second_phone": "100 1100 0602", "lang:second": "en",
}  # fmt: skip


async def test_a_building_by_form_always_has_two_stewards(
    town: Town, office: httpx.AsyncClient
) -> None:
    """A new house needs both; one of them is replaced and never taken off; the address for 120 and
    the language are written with it; whoever is away is seen by staff until they are back."""
    form = {**STEWARDS, "building": "77", "address": "天河区测试路7号", "address_en": "",
            "reason": "新楼"}  # fmt: skip
    lacking = await office.post("/buildings/new", data=form | {"second": "", "second_phone": ""})
    assert lacking.status_code == 422
    assert (await office.post("/buildings/new", data=form)).status_code == 303
    assert (await office.post("/buildings/new", data=form | {"reason": "again"})).status_code == 303
    assert "天河区测试路7号" in (await office.get("/buildings/77")).text
    opened = await office.get("/buildings/77/edit")
    change = {**STEWARDS, "second": "陈小燕", "second_phone": "100 1100 0603", "reason": "换届",
              "substitute": "温如玉", "substitute_phone": "100 1100 0604", "address": "",
              "address_en": "", "seen": hidden(opened)}  # fmt: skip
    assert (await office.post("/buildings/77/edit", data=change)).status_code == 303
    stale = await office.post("/buildings/77/edit", data=change)
    assert stale.status_code == 409
    assert "换届" in stale.text
    page = words(await office.get("/buildings/77"))
    assert "陈小燕" in page
    assert "罗美玲" not in page
    assert "不足" not in words(await office.get("/buildings"))
    head = await town.person("+8610011000601")
    away = {"until": "2026-03-20T18:00", "reason": "回乡"}
    assert (await office.post(f"/people/{head}/away", data=away)).status_code == 303
    assert "楼管员不足两位" in words(await office.get("/buildings"))
    assert "只有 1 位" in words(await office.get("/buildings/77"))
    assert (await office.post(f"/people/{head}/back", data={})).status_code == 303
    assert "楼管员不足两位" not in words(await office.get("/buildings"))
    told = words(await office.get("/buildings/77/history"))
    for word in ("新楼", "换届", "罗美玲 100 1100 0602 → 陈小燕", "温如玉", "天河区测试路7号",
                 "黄志强 2026-03-20 18:00", "回乡"):  # fmt: skip
        assert word in told, word


async def test_a_contact_is_put_right_wherever_they_stand(
    town: Town, office: httpx.AsyncClient
) -> None:
    """A new number is used at once, and what was known of the old one's reach is forgotten."""
    await town.reply(SECOND, "STOP")
    person = await town.person(SECOND)
    opened = await office.get(f"/people/{person}")
    assert "退订了短信" in opened.text
    name = hidden_input(opened, "name")
    form = {"name": name, "phone": HEAD, "lang": "en", "seen": hidden(opened), "reason": "换号"}
    taken = await office.post(f"/people/{person}", data=form)
    assert taken.status_code == 422
    assert "这个号码已登记给" in taken.text
    form |= {"phone": "+8610011000999"}
    assert (await office.post(f"/people/{person}", data=form)).status_code == 303
    await town.forget_sms()
    await town.press()
    await town.expect_sms("+8610011000999")
    assert "100 1100 0999" in words(await office.get("/buildings/11/history"))


async def test_the_rota_is_a_week_with_its_gaps(town: Town, office: httpx.AsyncClient) -> None:
    """Nobody has shifts: all are on duty. With day shifts alone the nights are shown as holes,
    and the form that was opened before is refused."""
    page = await office.get("/duty")
    assert "随时都有人值班" in words(page)
    people = sorted(set(re.findall(r"/duty/shifts/(\d+)", page.text)))
    for person in people:
        path = f"/duty/shifts/{person}"
        opened = await office.get(path)
        form = {"seen": hidden(opened), "reason": "排班", "days:0": list("1234567"),
                "starts:0": "08:00", "ends:0": "20:00"}  # fmt: skip
        wrong = await office.post(path, data=form | {"ends:0": "8 pm"})
        assert wrong.status_code == 422
        assert "08:00" in wrong.text
        assert (await office.post(path, data=form)).status_code == 303
        assert (await office.post(path, data=form)).status_code == 409
    page = await office.get("/duty")
    told = words(page)
    assert "值班空缺" in told
    assert "08:00–20:00" in told
    assert "00:00–08:00" in told
    assert "20:00–24:00" in told
    new = {"role": "duty", "name": "周小川", "phone": "100 1100 0888", "lang": "zh",
           "reason": "补员"}  # fmt: skip
    assert (await office.post("/duty/add", data=new)).status_code == 303
    assert "随时都有人值班" in words(await office.get("/duty")), "always on duty without shifts"
    leaving = await office.get("/duty/remove")
    chosen = re.search(r'<option value="(\d+)">周小川', leaving.text)
    assert chosen is not None
    gone = {"assignment": chosen[1], "reason": "调走"}
    assert (await office.post("/duty/remove", data=gone)).status_code == 303
    community = await office.get("/duty/community")
    named = {"name": "广氮", "street": "棠下街道", "district": "天河区", "address": "",
             "address_en": "", "seen": hidden(community), "reason": "补街道"}  # fmt: skip
    assert (await office.post("/duty/community", data=named)).status_code == 303
    told = words(await office.get("/duty/history"))
    for word in ("排班", "1234567 08:00–20:00", "补员", "调走", "周小川", "棠下街道"):
        assert word in told, word


async def test_an_account_of_one_building_registers_nobody_elsewhere(
    town: Town, office: httpx.AsyncClient
) -> None:
    """Neither a new resident nor a move leads out of the houses of the account; forms that are
    common to the community are not for it."""
    await make_account(town, "of-11", "coordinator", "building", "11")
    number = await granny(town)
    elsewhere = int(next(iter((await town.residents(12)).values()))["id"])
    async with await login(town, "of-11") as browser:
        there = await browser.post("/residents/new", data=NEW | {"building": "12"})
        assert there.status_code == 422
        assert "12栋还没有登记" in there.text
        seen = hidden(await browser.get(f"/residents/{number}/move"))
        move = {"building": "12", "flat": "901", "reason": "搬", "seen": seen}
        assert (await browser.post(f"/residents/{number}/move", data=move)).status_code == 422
        for path in (f"/residents/{elsewhere}/edit", f"/residents/{elsewhere}/history",
                     "/buildings/12/edit", "/buildings/12/history"):  # fmt: skip
            assert (await browser.get(path)).status_code == 404, path
        for path in ("/duty", "/duty/add", "/duty/community", "/duty/history", "/buildings/new"):
            assert (await browser.get(path)).status_code == 403, path
        assert (await browser.get("/buildings/11/edit")).status_code == 200


async def test_changes_by_the_api_stand_in_the_same_history(
    town: Town, office: httpx.AsyncClient
) -> None:
    """Who, why, by which way; and for a building what became of its stewards and address."""
    number = await granny(town)
    api = town.api
    await api.post(f"/api/v1/residents/{number}/absence",
                   json={"until": "2026-03-20T18:00:00+08:00", "reason": "探亲"})  # fmt: skip
    await api.put("/api/v1/addresses/11", json={"address": "测试路11号", "reason": "路名改了"})
    body = {"role": "steward", "name": "黄志强", "phone": "+8610011000601", "building": 11,
            "position": 2, "reason": "换届"}  # fmt: skip
    (await api.post("/api/v1/assignments", json=body)).raise_for_status()
    hers = words(await office.get(f"/residents/{number}/history"))
    assert "探亲" in hers
    assert "接口" in hers
    assert "api" in hers
    house = words(await office.get("/buildings/11/history"))
    for word in ("路名改了", "测试路11号", "换届", "黄志强"):
        assert word in house, word


@pytest.mark.parametrize("asked", ["11-301", "11栋301", "11栋3楼301室", "何桂芳", "he gui fang",
                                   "heguif", "HGF"])  # fmt: skip
@pytest.mark.sqlite_only("the same statement on both; found in the other tests as well")
async def test_she_is_found_as_people_ask(town: Town, asked: str) -> None:
    """Flat, name, pinyin, initials; and not by an account of another building."""
    await make_account(town, "of-12", "operator", "building", "12")
    await make_account(town, "of-11", "operator", "building", "11")
    number = await granny(town)
    for username, seen in (("of-11", True), ("of-12", False)):
        async with await login(town, username) as browser:
            found = (await browser.post("/residents", data={"words": asked})).text
            assert (f'/residents/{number}"' in found) is seen, username


def names_on(page: httpx.Response) -> set[str]:
    """The names of a form's fields, as a browser would send them."""
    form = page.text.partition('class="by-hand"')[2].partition("</form>")[0]
    return set(re.findall(r'<(?:input|textarea|select)[^>]* name="([^"]+)"', form))


async def test_a_form_changes_the_columns_that_it_shows_and_no_other(
    town: Town, office: httpx.AsyncClient
) -> None:
    """What the server takes from each form is what stands on its page, and nothing of the rest of
    the sheet: neither more, so that nothing is changed unseen, nor less."""
    await stands_by(town, "family", "何大勇", "+8610011000781", await granny(town))
    pages = {"resident.add": "/residents/new", "building.add": "/buildings/new",
             "resident.change": f"/residents/{await granny(town)}/edit",
             "building.change": "/buildings/11/edit"}  # fmt: skip
    for act, path in pages.items():
        there = {n for n in names_on(await office.get(path))
                 if not n.startswith(("lang:", "place:"))}  # fmt: skip
        shown = set(by_hand.SHOWN[act])
        if act == "building.add":  # there is a community, so its place is not asked for
            shown -= {"community", *by_hand.OF_FIRST}
        assert there - set(OWN) == shown, act
    spoken = {n.removeprefix("lang:") for n in names_on(await office.get("/buildings/11/edit"))
              if n.startswith("lang:")}  # fmt: skip
    assert spoken == by_hand.SPOKEN


HOSTILE = {
    "district": "白云区", "street": "别处街道", "community": "广氮", "building": "12", "id": "1",
    "role": "duty", "stranger": "x", "substitute:9": "远方", "substitute_phone:9": "10011000991",
}  # fmt: skip


async def test_a_crafted_post_of_one_building_leaves_the_community_alone(
    town: Town, office: httpx.AsyncClient
) -> None:
    """The coordinator of one building sends the other columns of the sheet along: what the
    community is called and where it lies stays, no other house and nobody's language is touched."""
    await make_account(town, "of-11", "coordinator", "building", "11")
    community = select(t.table(t.Community))
    before = await town.sql(lambda c: c.execute(community).mappings().one())
    elsewhere = await town.sql(lambda c: c.execute(
        select(t.table(t.Person)).where(t.table(t.Person).c.id.in_(
            select(t.table(t.Assignment).c.person_id).where(t.table(t.Assignment).c.role == "duty")
        )).limit(1)).mappings().one())  # fmt: skip
    path = "/buildings/11/edit"
    async with await login(town, "of-11") as browser:
        browser.headers["accept"] = "text/html"
        opened = await browser.get(path)
        form = {name: hidden_input(opened, name)
                for name in ("head", "head_phone", "second", "second_phone")}  # fmt: skip
        form |= {**HOSTILE, "lang:head": "zh", "lang:second": "zh", "address": "", "address_en": "",
                 "seen": hidden(opened), "reason": "换牌",
                 "lang:stranger": "en", "stranger_phone": elsewhere["phone"],
                 "lang:head:2": "en", "head_phone:2": elsewhere["phone"]}  # fmt: skip
        answer = await browser.post(path, data=form)
        assert answer.status_code == 303, words(answer)
        number = await granny(town)
        opened = await browser.get(f"/residents/{number}/edit")
        more = {**HOSTILE, "flat": "302", "state": "ended"}
        answer = await browser.post(f"/residents/{number}/edit", data=of_granny(opened, **more))
        assert answer.status_code == 303, words(answer)
    assert await town.sql(lambda c: c.execute(community).mappings().one()) == before
    assert await granny(town) == number, "she lives where she lived"
    again = select(t.table(t.Person)).where(t.table(t.Person).c.id == elsewhere["id"])
    assert await town.sql(lambda c: c.execute(again).mappings().one()) == elsewhere
    gone = "远方" not in words(await office.get("/buildings/11"))
    assert gone, "a substitute that the form has no place for"


@pytest.mark.sqlite_only("the columns of a form are chosen before anything is written")
async def test_a_new_building_renames_no_community(town: Town, office: httpx.AsyncClient) -> None:
    """The first building of an empty register names its community; a later one does not."""
    community = select(t.table(t.Community))
    before = await town.sql(lambda c: c.execute(community).mappings().one())
    form = {**STEWARDS, "building": "77", "address": "", "address_en": "", "reason": "新楼",
            "district": "白云区", "street": "别处街道"}  # fmt: skip
    assert (await office.post("/buildings/new", data=form)).status_code == 303
    assert await town.sql(lambda c: c.execute(community).mappings().one()) == before
    other = form | {"building": "78", "community": "别处"}
    assert (await office.post("/buildings/new", data=other)).status_code == 422


async def test_who_looks_after_one_house_changes_nobody_of_two(
    town: Town, office: httpx.AsyncClient
) -> None:
    """A key holder in buildings 11 and 12: the coordinator of 11 sees them, and is told, on the
    same page, who can change them; nothing is written. Somebody of 11 alone is theirs to change."""
    there = int(next(iter((await town.residents(12)).values()))["id"])
    phone, number = "+8610011000782", await granny(town)
    for resident_id in (number, there):
        await stands_by(town, "key_holder", "何大勇", phone, resident_id)
    await stands_by(town, "family", "何小妹", "+8610011000785", number)
    shared, own = await town.person(phone), await town.person("+8610011000785")
    await make_account(town, "of-11", "coordinator", "building", "11")
    person = select(t.table(t.Person)).where(t.table(t.Person).c.id == shared)
    before = await town.sql(lambda c: c.execute(person).mappings().one())
    away = {"until": "2026-03-20T18:00", "reason": "回乡"}
    async with await login(town, "of-11") as browser:
        browser.headers["accept"] = "text/html"
        opened = await browser.get(f"/people/{shared}")
        assert opened.status_code == 200
        form = {"name": "别人", "phone": phone, "lang": "en", "seen": hidden(opened),
                "reason": "换号"}  # fmt: skip
        for path, data in ((f"/people/{shared}", form), (f"/people/{shared}/away", away),
                           (f"/people/{shared}/back", {})):  # fmt: skip
            refused = await browser.post(path, data=data)
            assert refused.status_code == 422, path
            assert "请让管辖其全部楼栋的账号" in words(refused), path
        assert 'action="/people/' in refused.text
        assert f'action="/people/{shared}/away" class="by-hand"' in refused.text
        house = await browser.get("/buildings/11/edit")
        stewards = {name: hidden_input(house, name)
                    for name in ("head", "head_phone", "second", "second_phone")}  # fmt: skip
        stewards |= {"substitute": "何大勇", "substitute_phone": phone, "lang:substitute": "en",
                     "address": "", "address_en": "", "seen": hidden(house),
                     "reason": "添人"}  # fmt: skip
        refused = await browser.post("/buildings/11/edit", data=stewards)
        assert refused.status_code == 422
        assert "请让管辖其全部楼栋的账号" in words(refused)
        assert (await browser.post(f"/people/{own}/away", data=away)).status_code == 303
    assert await town.sql(lambda c: c.execute(person).mappings().one()) == before
    assert (await office.post(f"/people/{shared}/away", data=away)).status_code == 303
