"""The rota of a house over the server: who is told of an SOS, and who may set the shifts."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update
from staff_kit import login, make_account
from town import GRANNY, GZ, HEAD, SECOND, Town, a_town

from server import tables as t
from server.core.words import Role
from server.database import Tx
from server.store import assigning, rosters

ALL_DAYS = [1, 2, 3, 4, 5, 6, 7]
DAY = {"days": ALL_DAYS, "starts": "06:00", "ends": "18:00"}
NIGHT = {"days": ALL_DAYS, "starts": "18:00", "ends": "06:00"}


async def shifts(town: Town, number: str, *turns: dict[str, Any]) -> dict[str, Any]:
    """Give somebody these shifts; the answer."""
    body = {"shifts": list(turns), "reason": "新排班"}
    path = f"/api/v1/people/{await town.person(number)}/shifts"
    answer = await town.api.put(path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def substitute(town: Town) -> str:
    """The telephone of building 11's substitute."""
    person, place, house = t.table(t.Person), t.table(t.Assignment), t.table(t.Building)
    query = (
        select(person.c.phone)
        .join(place, place.c.person_id == person.c.id)
        .join(house, house.c.id == place.c.building_id)
        .where(place.c.role == Role.SUBSTITUTE, house.c.number == 11)
    )
    return str(await town.sql(lambda c: c.execute(query).scalars().first()))


async def explained(town: Town, at: datetime) -> dict[str, Any]:
    """The first step of an SOS at that time: who is told, who is passed over and why."""
    asked = {"resident": GRANNY, "at": at.isoformat()}
    answer = await town.api.get("/api/v1/ladder/explain", params=asked)
    first = answer.raise_for_status().json()["steps"][0]
    return {
        "told": [p["person_id"] for p in first["told"]],
        "over": {p["person_id"]: p["why"] for p in first["passed_over"]},
    }


async def test_who_is_off_shift_sleeps_and_the_substitute_is_told(town: Town) -> None:
    """An SOS at 06:10: the head has the day, the second the night, and the substitute goes with the
    head. What is explained is what happens."""
    await shifts(town, HEAD, DAY)
    answer = await shifts(town, SECOND, NIGHT)
    assert (answer["on_shift"], answer["name"]) == (False, answer["name"])
    ids = [await town.person(n) for n in (HEAD, SECOND)]
    third = await substitute(town)
    now = town.runtime.clock.now()
    found = await explained(town, now)
    assert found == {"told": [ids[0], await town.person(third)], "over": {ids[1]: "off_shift"}}
    evening = await explained(town, now + timedelta(hours=13))
    assert evening["over"] == {ids[0]: "off_shift"}
    await town.press()
    await town.expect_sms(HEAD, "求助")
    await town.expect_sms(third, "求助")
    await town.no_more_sms()


async def test_a_rota_never_silences_a_call_for_help(town: Town) -> None:
    """All of the house are off shift at 06:10: everybody is told as if there were no rota."""
    for number in (HEAD, SECOND, await substitute(town)):
        await shifts(town, number, NIGHT)
    await town.press()
    await town.expect_sms(HEAD, "求助")
    await town.expect_sms(SECOND, "SOS")


async def test_who_is_on_shift_cannot_go_and_the_other_one_is_asked(town: Town) -> None:
    """The only one on shift says that they can't: those who are off are asked after all."""
    await shifts(town, HEAD, DAY)
    for number in (SECOND, await substitute(town)):
        await shifts(town, number, NIGHT)
    await town.press()
    await town.expect_sms(HEAD, "求助")
    await town.no_more_sms()
    await town.reply(HEAD, "0")
    await town.watch(130)
    told = await town.sql(
        lambda c: set(c.execute(select(t.table(t.Message).c.phone)).scalars())
    )
    assert SECOND in told


async def test_the_night_that_has_an_hour_twice(tmp_path: Path) -> None:
    """In Berlin the clocks go back at 03:00 on 25 October: one turn ends where the other begins,
    and in the hour that comes twice exactly one of the two is on shift."""
    night = datetime(2026, 10, 25, 1, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    async with a_town(tmp_path, night) as town:
        community = t.table(t.Community)

        def move(tx: Tx) -> None:
            tx.conn.execute(update(community).values(tz="Europe/Berlin"))

        await town.runtime.database.write(move)
        await shifts(town, HEAD, {"days": ALL_DAYS, "starts": "22:00", "ends": "02:30"})
        await shifts(town, SECOND, {"days": ALL_DAYS, "starts": "02:30", "ends": "22:00"})
        ids = [await town.person(n) for n in (HEAD, SECOND)]
        turns = []
        for minutes in range(0, 181, 15):
            found = await explained(town, town.runtime.clock.now() + timedelta(minutes=minutes))
            (off,) = [n for n in ids if n in found["over"]]
            turns.append(ids.index(off))
        assert turns == sorted(turns, reverse=True), "handed over once, not back and forth"
        assert set(turns) == {0, 1}


async def test_the_desks_shifts_do_not_bind_a_steward_at_home(town: Town) -> None:
    """Who has the duty as well has the desk's shifts; their neighbours can call them at any time.
    Whoever comes to the desk begins without shifts, and leaves it without any."""
    await shifts(town, HEAD, NIGHT)
    head = await town.person(HEAD)
    body = {"role": "duty", "person_id": head, "reason": "new at the desk"}
    place = (await town.api.post("/api/v1/assignments", json=body)).raise_for_status().json()
    assert await town.sql(lambda c: rosters.shifts(c, [head])) == {}
    await shifts(town, HEAD, NIGHT)
    assert head in (await explained(town, town.runtime.clock.now()))["told"]
    reason = {"reason": "left the desk"}
    answer = await town.api.post(f"/api/v1/assignments/{place['id']}/remove", json=reason)
    assert answer.status_code == 204, answer.text
    assert await town.sql(lambda c: rosters.shifts(c, [head])) == {}


async def test_shifts_end_with_the_last_place(town: Town) -> None:
    """A steward who is replaced, and a substitute who is taken off, have no shifts any more: who
    comes back must not be passed over by a rota that nobody remembers. Who stands elsewhere still
    keeps them."""
    extra = "+8610011009998"
    body = {"role": "substitute", "building": 11, "name": "新替补", "phone": extra, "reason": "new"}
    (await town.api.post("/api/v1/assignments", json=body)).raise_for_status()
    neighbour = await substitute(town)  # a steward of the house beside this one
    numbers = (SECOND, extra, neighbour)
    ids = [await town.person(n) for n in numbers]
    for number in numbers:
        await shifts(town, number, NIGHT)
    steward = {"role": "steward", "building": 11, "position": 2, "name": "新楼管",
               "phone": "+8610011009999", "reason": "moved away"}  # fmt: skip
    (await town.api.post("/api/v1/assignments", json=steward)).raise_for_status()
    found = (await town.api.get("/api/v1/assignments", params={"building": 11})).json()
    for row in found["assignments"]:
        if row["role"] == "substitute" and row["person_id"] in ids:
            path = f"/api/v1/assignments/{row['id']}/remove"
            assert (await town.api.post(path, json={"reason": "left"})).status_code == 204
    assert await town.sql(lambda c: set(rosters.shifts(c, ids))) == {ids[2]}


async def test_the_house_is_short_while_a_steward_is_off(town: Town) -> None:
    """As for an absence; and not where the rota holds no longer, because then both are told."""
    now = town.runtime.clock.now()

    async def short(at: datetime) -> int | None:
        return (await town.sql(lambda c: assigning.short_of_stewards(c, at))).get(11)

    assert await short(now) is None
    await shifts(town, SECOND, NIGHT)
    assert await short(now) == 1
    assert await short(now + timedelta(hours=13)) is None
    await shifts(town, HEAD, NIGHT)
    assert await short(now) == 0, "the substitute is on shift, neither of the two is"
    await shifts(town, await substitute(town), NIGHT)
    assert await short(now) is None, "nobody is on shift: both are told"


async def test_no_hole_in_the_desks_rota_comes_of_a_houses(town: Town) -> None:
    """The desk without shifts is always on duty, whatever a steward's shifts are."""
    for person in town.community.duty:
        await shifts(town, person.phone)
    await shifts(town, HEAD, NIGHT)
    rota = (await town.api.get("/api/v1/rota")).json()
    assert rota["gaps"] == []
    assert all(p["on_shift"] for p in rota["duty"])


async def test_who_may_set_them(town: Town) -> None:
    """Whoever answers for the house sets its stewards' shifts, on the page and by the API; not
    those of another house, nor the desk's, and nobody those of a key holder."""
    await make_account(town, "of-eleven", "coordinator", "building", "11")
    await make_account(town, "of-twelve", "coordinator", "building", "12")
    own, head = await town.person(SECOND), await town.person(HEAD)  # the head stands in at 12
    body = {"shifts": [DAY], "reason": "新排班"}
    form = {"days:0": ["1", "7"], "starts:0": "06:00", "ends:0": "18:00", "reason": "新排班"}
    twelve = await login(town, "of-twelve")
    eleven = await login(town, "of-eleven")
    try:
        assert (await twelve.get(f"/people/{own}/shifts")).status_code == 404
        assert (await twelve.put(f"/api/v1/people/{own}/shifts", json=body)).status_code == 404
        for account in (twelve, eleven):
            answer = await account.put(f"/api/v1/people/{head}/shifts", json=body)
            assert answer.status_code == 403, answer.text
            answer = await account.post(f"/people/{head}/shifts", data={**form, "seen": "0"})
            assert answer.status_code == 422, answer.text
            assert "您不能改动" in answer.text
        answer = await eleven.put(f"/api/v1/people/{own}/shifts", json=body)
        assert answer.status_code == 200, answer.text
        assert "duty" not in answer.json(), "of the desk, an account of one house hears nothing"
        duty = await town.person(town.community.duty[0].phone)
        answer = await eleven.put(f"/api/v1/people/{duty}/shifts", json=body)
        assert answer.status_code in (403, 404), answer.text
        page = await eleven.get(f"/people/{own}/shifts")
        assert page.status_code == 200, page.text
        assert 'value="18:00"' in page.text
        assert f"/people/{own}/shifts" in (await eleven.get(f"/people/{own}")).text
        seen = page.text.split('name="seen" value="')[1].split('"')[0]
        answer = await eleven.post(f"/people/{own}/shifts", data={**form, "seen": seen})
        assert answer.status_code == 303, answer.text
        assert (await eleven.get(f"/people/{duty}/shifts")).status_code in (403, 404)
    finally:
        await twelve.aclose()
        await eleven.aclose()
    (turn,) = (await town.sql(lambda c: rosters.shifts(c, [own])))[own]
    assert turn.days == {1, 7}
    place = t.table(t.Assignment)
    holder = select(place.c.person_id).where(place.c.role == Role.KEY_HOLDER)
    number = await town.sql(lambda c: c.execute(holder).scalars().first())
    answer = await town.api.put(f"/api/v1/people/{number}/shifts", json=body)
    assert answer.status_code == 409, answer.text


@pytest.fixture
async def evening(tmp_path: Path) -> AsyncIterator[Town]:
    """The town five minutes before the night's turn begins."""
    async with a_town(tmp_path, datetime(2026, 3, 14, 17, 55, tzinfo=GZ)) as town:
        await town.gateway_lives()
        yield town


async def test_a_turn_that_ends_while_a_call_is_open(evening: Town) -> None:
    """Told in their turn, they may still answer after it: an answer is never refused for a rota."""
    await shifts(evening, HEAD, DAY)
    await shifts(evening, SECOND, NIGHT)
    await evening.press()
    await evening.expect_sms(HEAD, "求助")
    await evening.forget_sms()
    await evening.watch(400)
    await evening.forget_sms()
    await evening.reply(HEAD, "1")
    assert (await evening.sos())["state"] == "accepted"
