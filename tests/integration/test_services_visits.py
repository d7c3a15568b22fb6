"""Visits owed and greeting calls over the API, on both databases."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from staff_kit import login, make_account
from test_services_requests import granny, post
from town import GRANNY, GZ, Town

from server import tables as t
from server.tables import from_ms


async def owed(town: Town, **query: Any) -> list[dict[str, Any]]:
    """The visits that are owed."""
    answer = await town.api.get("/api/v1/visits", params=query)
    found: list[dict[str, Any]] = answer.raise_for_status().json()["owed"]
    return found


async def test_a_visit_is_owed_and_paid(town: Town) -> None:
    """With a date by its cause, whose it is, overdue after it, and paid by a person with a note;
    not on a day that is still to come."""
    her = await granny(town)
    made = await post(town, "visits", 201, resident_id=her, cause="hardship", why="低保停了")
    assert from_ms(made["due_ms"]) == datetime(2026, 3, 22, tzinfo=GZ)
    (visit,) = await owed(town, resident=her)
    assert len(visit["goes"]) >= 1
    await town.watch(timedelta(days=9).total_seconds())
    assert [v["overdue"] for v in await owed(town)] == [True]
    await post(town, f"visits/{made['id']}/done", 409, on="2026-04-01")
    paid = await post(town, f"visits/{made['id']}/done", name="吴秀兰", on="2026-03-20",
                      note="补助下周到账")  # fmt: skip
    assert (paid["state"], paid["visitor"], paid["visited_on"]) == ("paid", "吴秀兰", "2026-03-20")
    assert await owed(town) == []
    await post(town, f"visits/{made['id']}/drop", 409, reason="too late")


async def test_who_comes_back_from_hospital_is_owed_a_visit(town: Town) -> None:
    """When the absence ends, by itself or early; whoever was only on a journey is not."""
    houses = await town.residents(11)
    ill = houses["301"]["id"]
    away = next(r["id"] for r in houses.values() if r["id"] != ill and r["state"] == "active")
    until = datetime(2026, 3, 20, 12, 0, tzinfo=GZ)
    for resident, why in ((ill, "住院"), (away, "回乡")):
        await post(town, f"residents/{resident}/absence", until=until.isoformat(), reason=why)
    assert await owed(town) == []
    await town.watch_until(until + timedelta(minutes=1))
    (visit,) = await owed(town)
    assert (visit["resident_id"], visit["cause"]) == (ill, "illness")
    assert from_ms(visit["due_ms"]) == datetime(2026, 3, 24, tzinfo=GZ)
    await post(town, f"residents/{ill}/absence",
               until=(until + timedelta(days=5)).isoformat(), reason="住院复查")  # fmt: skip
    await town.api.delete(f"/api/v1/residents/{ill}/absence")
    assert len(await owed(town)) == 1, "back the same day: the visit is owed once"


async def test_who_moves_in_is_owed_a_visit(town: Town) -> None:
    """Somebody new in a file of the register, and somebody who moves house; the file that first
    filled the register owed nobody anything."""
    assert await owed(town) == []
    her = await granny(town)
    await post(town, f"residents/{her}/move", building=12, flat="101", reason="搬到一楼")
    (moved,) = await owed(town)
    assert (moved["resident_id"], moved["cause"], moved["building"]) == (her, "move_in", 12)
    table = "楼栋,门牌,姓名,出生日期,居住\n11,501,新住户,1950-01-01,独居\n"
    answer = await town.api.post(
        "/api/v1/register/import?dry_run=false&lang=zh", content=table.encode(),
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert answer.json()["problems"] == []
    names = {v["resident"]: v["cause"] for v in await owed(town)}
    assert names["新住户"] == "move_in"


async def people(town: Town) -> dict[int, dict[str, Any]]:
    """Today's list by resident."""
    answer = await town.api.get("/api/v1/greetings")
    return {p["id"]: p for p in answer.raise_for_status().json()["people"]}


async def test_the_list_of_greetings_is_of_those_who_live_alone(town: Town) -> None:
    """Alone and here today; greeted once somebody answered; the next day all anew."""
    table = t.table(t.Resident)
    her = await granny(town)
    listed = await people(town)
    assert her in listed
    assert listed[her]["standing"] == "to_call"
    await post(town, f"residents/{her}/greeting", 201, outcome="no_answer")
    assert (await people(town))[her]["standing"] == "no_answer"
    await post(town, f"residents/{her}/greeting", 201, outcome="well", turn=2)
    await post(town, f"residents/{her}/greeting", 201, outcome="well", turn=2)
    after = (await people(town))[her]
    assert (after["standing"], len(after["calls"])) == ("greeted", 2)
    await post(town, f"residents/{her}/greeting", 409, outcome="no_answer", turn=2)
    assert list(await people(town))[-1] == her, "whoever was greeted stands last"
    await town.sql(lambda c: c.execute(update(table).where(table.c.id == her).values(
        living="with_spouse")))  # fmt: skip
    assert her not in await people(town)
    await post(town, f"residents/{her}/greeting", 409, outcome="well")


async def test_a_greeting_is_no_sign_of_life_and_no_alarm(town: Town) -> None:
    """Nobody's answer, nor their silence, touches a deadline or an alert."""
    her = await granny(town)
    before = (await town.residents(11))["301"]
    await post(town, f"residents/{her}/greeting", 201, outcome="no_answer")
    await post(town, f"residents/{her}/greeting", 201, outcome="well")
    after = (await town.residents(11))["301"]
    assert (after["last_sign_ms"], after["next_due_ms"]) == (
        before["last_sign_ms"], before["next_due_ms"],
    )  # fmt: skip
    assert await town.alerts() == []
    await town.no_more_sms()


async def test_who_wants_something_gets_a_request(town: Town) -> None:
    """In the one register, named as from a greeting; without a word of what, it is refused."""
    her = await granny(town)
    await post(town, f"residents/{her}/greeting", 409, outcome="wants")
    body = {"outcome": "wants", "note": "想理发", "kind": "haircut", "turn": 1}
    made = await post(town, f"residents/{her}/greeting", 201, **body)
    again = await post(town, f"residents/{her}/greeting", 201, **body)
    assert made["request_id"] == again["request_id"]
    answer = (await town.api.get(f"/api/v1/requests/{made['request_id']}")).json()
    assert (answer["source"], answer["kind"], answer["words"]) == ("greeting", "haircut", "想理发")


async def test_telephones_are_for_those_who_may_see_the_way_in(town: Town) -> None:
    """An auditor reads the list and no number."""
    table = t.table(t.Resident)
    her = await granny(town)
    await town.sql(lambda c: c.execute(
        update(table).where(table.c.id == her).values(phone="+8610000110301")))  # fmt: skip
    assert (await people(town))[her]["phone"] == "+8610000110301"
    await make_account(town, "the-auditor", "auditor")
    browser = await login(town, "the-auditor")
    try:
        answer = await browser.get("/api/v1/greetings")
        assert "+8610000110301" not in answer.raise_for_status().text
    finally:
        await browser.aclose()


async def test_nothing_is_left_to_do_for_who_is_watched_no_more(town: Town) -> None:
    """Requests are withdrawn and visits dropped with the end; erasing takes the words away, of the
    resident and of a helper who is erased too, and leaves what the figures count."""
    her = await granny(town)
    asked = {"resident_id": her, "kind": "repair", "words": "厨房的灯坏了"}
    first = await post(town, "requests", 201, **asked)
    waiting = await post(town, "requests", 201, **asked)
    await post(town, f"requests/{first['id']}/take", name="苏伟")
    await post(town, f"requests/{first['id']}/done", ending="solved", note="换了灯管")
    await post(town, "visits", 201, resident_id=her, cause="hardship", why="低保停了")
    await post(town, f"residents/{her}/greeting", 201, outcome="well")
    await post(town, f"residents/{her}/end", how="moved_away", reason="住到儿子家")
    assert await owed(town) == []
    one = (await town.api.get(f"/api/v1/requests/{waiting['id']}")).json()
    assert one["stage"] == "withdrawn"
    given = await post(town, f"residents/{her}/export", reason="她要看")
    assert len(given["requests"]) == 2
    assert [len(given[k]) for k in ("visits", "greetings", "hours_drawn")] == [1, 1, 0]
    await post(town, f"terminals/{GRANNY}/assign", resident_id=None, reason="收回")
    await post(town, f"residents/{her}/erase", reason="她要求")
    listed = (await town.api.get("/api/v1/requests?which=closed")).text
    for word in ("厨房", "灯管", "低保"):
        assert word not in listed
    figures = (await town.api.get("/api/v1/requests/figures")).json()["kinds"]
    assert next(k for k in figures if k["kind"] == "repair")["asked"] == 2
