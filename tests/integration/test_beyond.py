"""Claims about people beyond the houses of an account: neither a page nor a refusal tells of them,
and nobody falls into sight by losing their place."""

from collections.abc import AsyncIterator

import httpx
import pytest
from staff_kit import login, make_account
from test_register_by_hand import NEW, granny, hidden, hidden_input, of_granny, stands_by, words
from town import Town

pytestmark = pytest.mark.sqlite_only("what is beyond is asked for on both databases in test_scopes")
PHONE, NAME = "+8610011000791", "欧阳远山"


@pytest.fixture
async def of_11(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    """The coordinator of building 11."""
    await make_account(town, "of-11", "coordinator", "building", "11")
    async with await login(town, "of-11") as browser:
        browser.headers["accept"] = "text/html"
        yield browser


async def of_12(town: Town) -> int:
    """Somebody of building 12."""
    return int(next(iter((await town.residents(12)).values()))["id"])


async def test_who_lost_their_last_place_is_in_nobodys_sight(
    town: Town, of_11: httpx.AsyncClient
) -> None:
    """Family of building 12, taken off: the coordinator of 11 finds neither page nor history, and
    can bring them nowhere by their row number. The whole community's staff still can."""
    await stands_by(town, "family", NAME, PHONE, await of_12(town))
    person, api = await town.person(PHONE), "/api/v1"
    listed = (await town.api.get(f"{api}/assignments?person_id={person}")).json()["assignments"]
    gone = f"{api}/assignments/{listed[0]['id']}/remove"
    (await town.api.post(gone, json={"reason": "搬走"})).raise_for_status()
    resident = await granny(town)
    body = {"resident_id": resident, "kind": "repair", "words": "灯不亮", "source": "phone"}
    request = (await of_11.post(f"{api}/requests", json=body)).raise_for_status().json()["id"]
    owed = {"resident_id": resident, "cause": "other", "why": "刚出院"}
    visit = (await of_11.post(f"{api}/visits", json=owed)).raise_for_status().json()["id"]
    for path in (f"/people/{person}", f"/people/{person}/history", f"/people/{person}/away",
                 f"{api}/assignments?person_id={person}"):  # fmt: skip
        assert (await of_11.get(path)).status_code == 404, path
    steward = {"role": "family", "person_id": person, "resident_id": resident, "reason": "新亲属"}
    for path, said in (
        (f"{api}/assignments", steward),
        (f"{api}/requests/{request}/take", {"as_person_id": person}),
        (f"{api}/visits/{visit}/done", {"as_person_id": person}),
        (f"{api}/people/{person}/export", {"reason": "看看"}),
    ):  # fmt: skip
        answer = await of_11.post(path, json=said)
        assert answer.status_code == 404, (path, answer.text)
        assert NAME not in answer.text
    told = await town.api.post(f"{api}/requests/{request}/take", json={"as_person_id": person})
    assert told.json()["helper"] == NAME


async def test_a_refusal_names_nobody_beyond(town: Town, of_11: httpx.AsyncClient) -> None:
    """A number and a terminal of building 12 in every form of an account of building 11, and by
    the API: refused, with who can do it, and without whose they are. Staff of all houses are told
    whose."""
    there = await of_12(town)
    terminal = (await town.residents(12)).values()
    taken = next(r["terminal_id"] for r in terminal if r["id"] == there)
    await stands_by(town, "family", NAME, PHONE, there)
    await stands_by(town, "family", "何小妹", "+8610011000785", await granny(town))
    own, stranger = await town.person("+8610011000785"), await town.person(PHONE)
    number = await granny(town)
    beyond = "已登记给您范围外的人,请让管辖全部楼栋的账号来办"
    new, device = NEW | {"family": "别人", "family_phone": PHONE}, NEW | {"terminal": taken}
    refused = await of_11.post("/residents/new", data=new)
    changed = await of_11.get(f"/residents/{number}/edit")
    form = of_granny(changed, family="别人", family_phone=PHONE)
    edited = await of_11.post(f"/residents/{number}/edit", data=form)
    given = of_granny(changed, terminal=taken)
    for path, data in (("/residents/new", device), (f"/residents/{number}/edit", given)):
        answer = await of_11.post(path, data=data)
        told = words(answer)
        assert (answer.status_code, "范围外的住户" in told, "12-" in told) == (422, True, False)
    house = await of_11.get("/buildings/11/edit")
    fields = {name: hidden_input(house, name)
              for name in ("head", "head_phone", "second", "second_phone")}  # fmt: skip
    fields |= {"substitute": "别人", "substitute_phone": PHONE, "seen": hidden(house),
               "reason": "添人"}  # fmt: skip
    of_house = await of_11.post("/buildings/11/edit", data=fields)
    person = await of_11.get(f"/people/{own}")
    contact = {"name": "何小妹", "phone": PHONE, "lang": "zh", "seen": hidden(person),
               "reason": "换号"}  # fmt: skip
    corrected = await of_11.post(f"/people/{own}", data=contact)
    body = {"role": "family", "name": "别人", "phone": PHONE, "resident_id": number,
            "reason": "新亲属"}  # fmt: skip
    by_api = await of_11.post("/api/v1/assignments", json=body)
    for answer, status in ((refused, 422), (edited, 422), (of_house, 422), (corrected, 422),
                           (by_api, 409)):  # fmt: skip
        assert answer.status_code == status, answer.text
        told = words(answer)
        assert beyond in told
        assert NAME not in told
        assert "12-" not in told
        assert f"person {stranger}" not in told
    await make_account(town, "all", "coordinator")
    async with await login(town, "all") as everywhere:
        told = words(await everywhere.post("/residents/new", data=new))
        assert f"这个号码已登记给 {NAME}" in told
        told = words(await everywhere.post("/residents/new", data=device))
        assert "这台终端登记在 12-" in told


async def test_a_persons_page_tells_of_the_houses_of_the_account_alone(
    town: Town, of_11: httpx.AsyncClient
) -> None:
    """Key holder in 12 and, later, in 11: whoever has 11 reads of 11, and comes back there."""
    number, there = await granny(town), await of_12(town)
    for resident_id in (there, number):
        await stands_by(town, "key_holder", NAME, PHONE, resident_id)
    page = await of_11.get(f"/people/{await town.person(PHONE)}")
    assert page.status_code == 200
    assert f"/residents/{there}" not in page.text
    assert f"/residents/{number}" in page.text


async def test_one_building_takes_terminals_from_the_stock_and_enrols_none(
    town: Town, of_11: httpx.AsyncClient
) -> None:
    """A terminal that nobody has registered is refused in both forms; one of the stock is given."""
    refused = await of_11.post("/residents/new", data=NEW)
    assert (refused.status_code, "还没有入库" in words(refused)) == (422, True)
    number = await granny(town)
    opened = await of_11.get(f"/residents/{number}/edit")
    edited = await of_11.post(
        f"/residents/{number}/edit", data=of_granny(opened, terminal="gd-99-101")
    )
    assert (edited.status_code, "还没有入库" in words(edited)) == (422, True)
    assert (await town.residents(11))["301"]["terminal_id"] == "gd-11-301"
    stock = {"ids": [NEW["terminal"]], "reason": "到货"}
    (await town.api.post("/api/v1/terminals/enrol", json=stock)).raise_for_status()
    assert (await of_11.post("/residents/new", data=NEW)).status_code == 303


async def test_a_number_that_somebody_may_not_change_is_not_on_the_page(town: Town) -> None:
    """An operator opens the page of a contact to note an absence: no number is needed for it."""
    await stands_by(town, "family", NAME, PHONE, await granny(town))
    for role, whole in (("operator", False), ("coordinator", True)):
        await make_account(town, f"the-{role}", role)
        async with await login(town, f"the-{role}") as browser:
            page = await browser.get(f"/people/{await town.person(PHONE)}")
        assert page.status_code == 200
        assert ("10011000791" in page.text.replace(" ", "")) is whole, role
