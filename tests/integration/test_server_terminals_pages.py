"""Claims about the pages of terminals over the real server: what stands on them, what their forms
do, and for whom."""

import re
from html import unescape
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from staff_kit import login, make_account
from town import GRANNY, HEAD, Town, a_town

from server import tables as t

TERMINAL, CHANGE = t.table(t.Terminal), t.table(t.RegisterChange)


async def state(town: Town, terminal: str) -> tuple[str, int | None]:
    """What the register says of one."""
    query = select(TERMINAL.c.state, TERMINAL.c.resident_id).where(TERMINAL.c.id == terminal)
    row = await town.sql(lambda c: c.execute(query).one())
    return row[0], row[1]


async def post(who: httpx.AsyncClient, path: str, **form: str) -> httpx.Response:
    """A form of ours."""
    return await who.post(f"/terminals{path}", data={"reason": "核对", **form})


def listed(page: httpx.Response) -> set[str]:
    """The terminals of a list."""
    return set(re.findall(r'<th scope="row"><a href="/terminals/([^"]+)"', page.text))


async def test_from_the_carton_to_the_flat_and_back(town: Town, office: httpx.AsyncClient) -> None:
    """Enrolled, given out, swapped, lost and found, revoked: each by a form, with who and why in
    the history, and a press goes to the right door meanwhile."""
    carton = "gd-x-1\ngd-x-2, gd-x-3;gd-x-1"
    done = await post(office, "/enrol", ids=carton)
    assert (done.status_code, done.headers["location"]) == (303, "/terminals?state=stock")
    assert {"gd-x-1", "gd-x-2", "gd-x-3"} <= listed(await office.get("/terminals?state=stock"))
    assert (await post(office, f"/{GRANNY}/free")).status_code == 303
    assert await state(town, GRANNY) == ("active", None)
    her = (await town.residents())["301"]["id"]
    assert (await post(office, "/gd-x-1/assign", place="11-301")).status_code == 303
    swapped = await post(office, "/gd-x-1/swap", new="gd-x-2")
    assert (swapped.status_code, swapped.headers["location"]) == (303, "/terminals/gd-x-2")
    assert await state(town, "gd-x-1") == ("revoked", None)
    assert await state(town, "gd-x-2") == ("active", her)
    assert "何桂芳" in unescape((await office.get("/terminals/gd-x-2")).text)
    await town.press(terminal="gd-x-2")
    await town.expect_sms(HEAD, "11栋")
    open_ = await post(office, "/gd-x-2/lost")
    assert open_.status_code == 409
    assert "请先了结" in open_.text
    await town.act((await town.sos())["id"], "resolve", outcome="safe")
    assert (await post(office, "/gd-x-2/lost")).status_code == 303
    assert await state(town, "gd-x-2") == ("lost", None)
    assert (await post(office, "/gd-x-2/active")).status_code == 303
    rows = await town.sql(lambda c: c.execute(
        select(CHANGE).where(CHANGE.c.subject == f"resident:{her}").order_by(CHANGE.c.id)
    ).mappings().all())  # fmt: skip
    assert {(r["by"], r["why"], r["via"]) for r in rows} == {("mai", "核对", "form")}
    assert [r["fields"]["terminal"] for r in rows] == [
        [GRANNY, None], [None, "gd-x-1"], ["gd-x-1", None], [None, "gd-x-2"], ["gd-x-2", None],
    ]  # fmt: skip


async def test_it_is_found_by_its_id_its_door_and_its_state(
    town: Town, office: httpx.AsyncClient
) -> None:
    """Battery, firmware and when it was last heard stand beside; a wrong word finds nobody."""
    values = {"battery": 17, "firmware": "9.8.7", "status": "online"}
    await town.sql(lambda c: c.execute(
        update(TERMINAL).where(TERMINAL.c.id == GRANNY).values(values)
    ))  # fmt: skip
    for words in (GRANNY, "11-301", "11栋301", "GD-11-301"):
        page = await office.post("/terminals", data={"words": words, "state": ""})
        assert listed(page) == {GRANNY}, words
        assert all(word in unescape(page.text) for word in ("17%", "9.8.7", "何桂芳", "在线"))
    for words in ("zzz", "11-9999", "%", "gd_11", "\x00"):
        page = await office.post("/terminals", data={"words": words, "state": ""})
        assert page.status_code == 200, words
        assert words == "\x00" or listed(page) == set(), words
    assert listed(await office.get("/terminals?state=revoked")) == set()
    assert "没有这样的终端" in (await office.get("/terminals?state=lost")).text
    await post(office, "/enrol", ids=" ".join(f"gd-x-{n}" for n in range(201)))
    whole = await office.get("/terminals?state=unheard-of")
    assert len(listed(whole)) == 200
    assert "还有更多" in whole.text


@pytest.mark.sqlite_only("a form is refused before anything is written")
async def test_what_is_refused_says_why_and_changes_nothing(
    town: Town, office: httpx.AsyncClient
) -> None:
    """Without a reason, for a door without anybody, for somebody who has one, an id that is none,
    and a password that is not ours to make."""
    await post(office, "/enrol", ids="gd-x-1")
    before = await state(town, GRANNY), await state(town, "gd-x-1")
    other = next(flat for flat in await town.residents() if flat != "301")
    for path, form, why in (
        ("/enrol", {"ids": "GD X"}, "不是终端编号"), ("/enrol", {"ids": " "}, "请填写终端编号"),
        ("/enrol", {"ids": "gd-x-9", "reason": " "}, "请写明原因"),
        ("/enrol", {"ids": "gateway"}, "系统自己的账号"),
        ("/gd-x-1/assign", {"place": "11-9999"}, "没有这一户"),
        ("/gd-x-1/assign", {"place": "11-301"}, "已有终端"),
        (f"/{GRANNY}/assign", {"place": f"11-{other}"}, "已登记给住户"),
        ("/gd-x-1/swap", {"new": GRANNY}, "没有登记给住户"),
        (f"/{GRANNY}/swap", {"new": "gd-none"}, ""), (f"/{GRANNY}/swap", {"new": "\x00"}, ""),
        (f"/{GRANNY}/lost", {"reason": ""}, "请写明原因"),
    ):  # fmt: skip
        answer = await post(office, path, **form)
        assert answer.status_code == 409, (path, form)
        assert why in unescape(answer.text), (path, form)
    assert (await office.post(f"/terminals/{GRANNY}/burn", data={})).status_code == 404
    assert (await post(office, "/none/lost")).status_code in (404, 409)
    assert (await state(town, GRANNY), await state(town, "gd-x-1")) == before


async def test_the_account_of_one_building_sees_its_own_and_gives_from_the_stock(
    town: Town, office: httpx.AsyncClient
) -> None:
    """Terminals of building 12 are nowhere for the coordinator of 11; the stock is to be seen and
    given out, and nothing else, also by a form that its page does not show."""
    await post(office, "/enrol", ids="gd-x-1 gd-x-2")
    await make_account(town, "of-11", "coordinator", "building", "11")
    there = next(r["terminal_id"] for r in (await town.residents(12)).values() if r["terminal_id"])
    async with await login(town, "of-11") as one:
        one.headers["accept"] = "text/html"
        seen = listed(await one.get("/terminals"))
        assert GRANNY in seen
        assert "gd-x-1" in seen
        assert there not in seen
        for words in (there, "12-302"):
            found = await one.post("/terminals", data={"words": words})
            assert listed(found) == set(), words
        assert (await one.get(f"/terminals/{there}")).status_code == 404
        for action in ("free", "lost", "revoked", "swap", "key"):
            answer = await post(one, f"/{there}/{action}", new="gd-x-1")
            assert answer.status_code == 404, action
        stolen = await post(one, f"/{GRANNY}/swap", new=there)
        assert stolen.status_code == 409
        outside = await post(one, "/gd-x-1/assign", place="12-302")
        assert outside.status_code == 409
        assert "没有这一户" in outside.text
        for action in ("lost", "revoked", "key"):
            refused = await post(one, "/gd-x-1/" + action)
            assert refused.status_code == 409, action
            assert "全社区的库存" in refused.text
        assert (await post(one, "/enrol", ids="gd-x-7")).status_code == 403
        assert (await post(one, f"/{GRANNY}/swap", new="gd-x-1")).status_code == 303
        assert (await post(one, "/gd-x-1/lost")).status_code == 303
        assert (await post(one, "/gd-x-1/active")).status_code == 409, "it is the office's now"
    assert await state(town, "gd-x-2") == ("active", None)
    assert (await state(town, there))[0] == "active"


async def test_a_password_is_changed_where_they_are_made_here(tmp_path: Path) -> None:
    """Over the air, and the page says that it is on its way; elsewhere nothing is offered, and the
    form is refused."""
    for secret in ("a secret that is long enough", ""):
        folder = tmp_path / (secret[:1] or "none")
        folder.mkdir()
        async with a_town(folder, terminal_secret=SecretStr(secret)) as town:
            await make_account(town, "mai", "coordinator")
            async with await login(town, "mai") as office:
                office.headers["accept"] = "text/html"
                page = (await office.get(f"/terminals/{GRANNY}")).text
                assert (f"/terminals/{GRANNY}/key" in page) is bool(secret)
                done = await post(office, f"/{GRANNY}/key")
                assert done.status_code == (303 if secret else 409), done.text
                page = (await office.get(f"/terminals/{GRANNY}")).text
                assert ("新密码正在下发" in page) is bool(secret)
