"""Residents as life has it: they die, move, are in hospital; classes and rounds change."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from town import GRANNY, GZ, HEAD, SECOND, Town, a_town

from server import tables as t

NIGHT = datetime(2026, 3, 14, 4, 0, tzinfo=GZ)


def at(hour: int, minute: int = 0, day: int = 14) -> datetime:
    """An instant of these days in Guangzhou."""
    return datetime(2026, 3, day, hour, minute, tzinfo=GZ)


MORNING = {"name": "morning", "opens": "04:30", "prompt": "05:45", "due": "06:00"}
EVENING = {"name": "evening", "opens": "17:30", "prompt": "18:45", "due": "19:00"}
REASON = {"reason": "the office said so"}


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Town]:
    """The town at four in the morning, with a gateway connected."""
    async with a_town(tmp_path, NIGHT) as town:
        await town.gateway_lives()
        yield town


async def one_round_for_c(town: Town) -> None:
    """Class C owes the morning alone."""
    body = {"rounds": [MORNING, {**EVENING, "classes": ["A", "B"]}], **REASON}
    (await town.api.put("/api/v1/rounds/plan", json=body)).raise_for_status()


async def check_in(town: Town, *but: str) -> None:
    """Everybody checks in, except the flats of building 11 named."""
    events = [
        town.event("checkin", r["terminal_id"])
        for building in range(1, 13)
        for flat, r in (await town.residents(building)).items()
        if r["state"] == "active" and not (building == 11 and flat in but)
    ]
    await town.signals(*events)


async def windows(town: Town) -> dict[str, str]:
    """What the windows of building 11 show."""
    snapshot = (await town.api.get("/api/v1/snapshot")).json()
    (house,) = (b for b in snapshot["buildings"] if b["number"] == 11)
    return {f["label"]: f["state"] for f in house["flats"] if f["terminal"]}


async def missed(town: Town) -> list[str]:
    """The doors of building 11 on open worklists."""
    found = await town.alerts(kind="missed", state="unresolved", building=11)
    return sorted(i["label"] for a in found for i in a["items"] if i["state"] == "open")


async def resident(town: Town, flat: str) -> int:
    """The id of whoever lives in this flat of building 11."""
    return int((await town.residents())[flat]["id"])


async def test_class_c_owes_one_round_a_day(night: Town) -> None:
    """303 and 504 are of class C. In the evening their windows stay calm, their terminals do not
    chime, nobody misses them; next morning they are awaited as everybody is."""
    await one_round_for_c(night)
    await night.watch_until(at(4, 30))
    assert set((await windows(night)).values()) == {"waiting"}
    await check_in(night)
    await night.watch_until(at(17, 30))
    await night.commands()
    seen = await windows(night)
    assert {f for f, state in seen.items() if state == "checked"} == {"303", "504"}
    assert {state for f, state in seen.items() if f not in ("303", "504")} == {"waiting"}
    snapshot = (await night.api.get("/api/v1/snapshot")).json()
    assert snapshot["round"]["classes"] == ["A", "B"]
    everybody = [r for n in range(1, 13) for r in (await night.residents(n)).values()]
    owing = [r for r in everybody if r["state"] == "active" and r["risk_class"] != "C"]
    assert snapshot["round"]["expected"] == len(owing)
    await night.watch_until(at(18, 45))
    chimed = {c["t"] for c in await night.commands() if c["cmd"] == "prompt"}
    assert chimed == {r["terminal_id"] for r in owing}
    await check_in(night, "301", "303", "304", "501", "503", "504", "601")
    await night.watch_until(at(19, 5))
    assert await missed(night) == ["301", "304", "501", "503", "601"]
    await check_in(night)
    await night.watch_until(at(4, 30, day=15))
    assert (await windows(night))["303"] == "waiting"
    await check_in(night, "303")
    await night.watch_until(at(6, 5, day=15))
    assert "303" in await missed(night)


async def test_a_class_that_changes_changes_what_is_owed(night: Town) -> None:
    """303 falls at noon and is made class A: the evening is hers to owe. Made C again on the next
    day she owes the following morning. Who said so and why is to be read, until the rule holds."""
    await one_round_for_c(night)
    await night.watch_until(at(4, 30))
    await check_in(night)
    await night.watch_until(at(12))
    path = f"/api/v1/residents/{await resident(night, '303')}"
    evening, morning = (int(x.timestamp() * 1000) for x in (at(19, 5), at(6, 5, day=15)))
    assert (await night.residents())["303"]["next_due_ms"] == morning
    answer = await night.api.patch(path, json={"risk_class": "A", "reason": "fell at noon"})
    assert answer.json()["next_due_ms"] == evening
    overruled = answer.json()["risk_class_overruled"]
    assert (overruled["by"], overruled["why"]) == ("api", "fell at noon")
    assert answer.json()["risk_class_reasons"] == []
    answer = await night.api.patch(path, json={"risk_class": None, "reason": "well again"})
    assert (answer.json()["next_due_ms"], answer.json()["risk_class_overruled"]) == (morning, None)
    assert (await night.residents())["301"]["risk_class_reasons"] == ["age_80", "alone", "frail"]


async def test_an_eightieth_birthday_is_noticed(night: Town) -> None:
    """303 is 79 and of class C; on the day she is 80 the rule makes her B before the round, by
    nobody's doing. Where staff decided otherwise, their word stands."""
    table = t.table(t.Resident)
    for flat in ("303", "504"):
        who, born = await resident(night, flat), at(0).date().replace(year=1946)
        change = update(table).where(table.c.id == who).values(birth_date=born)
        await night.sql(lambda c, change=change: c.execute(change))
    path = f"/api/v1/residents/{await resident(night, '504')}"
    await night.api.patch(path, json={"risk_class": "C", "reason": "lives with two nurses"})
    await night.watch_until(at(4, 30))
    found = await night.residents()
    assert (found["303"]["risk_class"], found["504"]["risk_class"]) == ("B", "C")
    noted = [e["data"] for e in await night.journal() if e["kind"] == "risk_class_set"]
    assert [(n["by"], n["why"]) for n in noted][-1] == ("rule", "birthday")


@pytest.mark.parametrize(
    ("rounds", "status"),
    [
        ([{**MORNING, "classes": ["A"]}, {**EVENING, "classes": ["B"]}], 409),
        ([MORNING, {**EVENING, "name": "morning"}], 409),
        ([MORNING, {**MORNING, "name": "dawn"}], 409),
        ([{**MORNING, "due": "05:00"}], 422),
        ([{**MORNING, "due": "31 February"}], 422),
        ([], 422),
    ],
    ids=["C is forgotten", "two of one name", "two at one hour", "due before the chime",
         "no time of day", "no round"],
)  # fmt: skip
async def test_a_plan_that_would_forget_somebody_is_refused(
    night: Town, rounds: list[dict[str, Any]], status: int
) -> None:
    """And the one in force holds."""
    before = (await night.api.get("/api/v1/rounds/plan")).json()
    answer = await night.api.put("/api/v1/rounds/plan", json={"rounds": rounds, **REASON})
    assert answer.status_code == status, answer.text
    assert (await night.api.get("/api/v1/rounds/plan")).json() == before


async def test_one_corrupt_round_stops_no_other(night: Town) -> None:
    """Somebody wrote a 31st of February into the evening: the morning is watched as ever, staff
    see what is wrong, and it closes when it is mended."""
    table = t.table(t.Community)
    broken = update(table).values(rounds=[MORNING, {**EVENING, "due": "31 February"}])
    await night.sql(lambda c: c.execute(broken))
    await night.watch_until(at(4, 30))
    assert await night.faults() == ["rounds_broken"]
    await check_in(night, "303")
    await night.watch_until(at(6, 5))
    assert await missed(night) == ["303"]
    await night.press(terminal="gd-11-304")
    mended = update(table).values(rounds=[MORNING, EVENING])
    await night.sql(lambda c: c.execute(mended))
    await night.ring()
    assert "rounds_broken" not in await night.faults()


async def test_a_death_is_entered(night: Town) -> None:
    """A missed round finds her dead. Staff enter it: her door is off the worklist with their name,
    she is awaited no more, and who and why is on record. A second entry changes nothing."""
    await night.watch_until(at(4, 30))
    await check_in(night, "303", "602")
    await night.watch_until(at(6, 5))
    who = await resident(night, "303")
    body = {"how": "died", "reason": "found on the round"}
    for _ in range(2):
        answer = await night.api.post(f"/api/v1/residents/{who}/end", json=body)
        assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["ended_how"]) == ("ended", "died")
    assert answer.json()["next_due_ms"] is None
    (worklist,) = await night.alerts(kind="missed")
    assert [(i["label"], i["state"]) for i in worklist["items"]] == [
        ("303", "other"), ("602", "open"),
    ]  # fmt: skip
    ended = [e["data"] for e in await night.journal() if e["kind"] == "resident_ended"]
    assert [(e["how"], e["by"], e["why"]) for e in ended] == [
        ("died", "api", "found on the round")
    ]
    assert ended[0]["terminals"] == ["gd-11-303"]
    body["how"] = "moved_away"
    assert (await night.api.post(f"/api/v1/residents/{who}/end", json=body)).status_code == 409
    until = (at(12) + timedelta(days=2)).isoformat()
    away = {"until": until, "reason": "hospital"}
    assert (await night.api.post(f"/api/v1/residents/{who}/absence", json=away)).status_code == 409
    wanted = {"risk_class": "A", "reason": "no more"}
    assert (await night.api.patch(f"/api/v1/residents/{who}", json=wanted)).status_code == 409
    await check_in(night)
    await night.watch_until(at(17, 30))
    await check_in(night)  # everybody who is watched: she is not, and nobody misses her
    await night.watch_until(at(19, 5))
    assert await missed(night) == []


async def test_a_terminal_left_behind_still_brings_people(night: Town) -> None:
    """She died, the terminal still hangs there. That it speaks is a fault for staff, and a press on
    it calls both stewards to that door: whoever presses needs somebody. They are not told an age
    that is nobody's. Given to the next tenant it is watched again, and all of that is on record."""
    who = await resident(night, "303")
    body = {"how": "died", "reason": "in hospital"}
    (await night.api.post(f"/api/v1/residents/{who}/end", json=body)).raise_for_status()
    await night.signals(heartbeats=[{"t": "gd-11-303", "boot": 1, "bat": 90}])
    await night.signals(heartbeats=[{"t": "gd-11-303", "boot": 1, "bat": 90}])
    assert await night.faults() == ["terminal_left_behind"]
    await night.press(terminal="gd-11-303")
    zh = await night.expect_sms(HEAD, "11栋3楼303", "求助")
    await night.expect_sms(SECOND, "floor 3 flat 303")
    assert "岁" not in zh
    sos = await night.sos()
    assert (sos["resident_state"], sos["age"]) == ("ended", None)
    read_out = "广东省广州市天河区榕影路188号广氮小区,救护车走东门,11栋3楼303"
    assert sos["emergency"]["read_out"]["zh"] == read_out
    heir = await resident(night, "304")
    give = {"resident_id": heir, "reason": "to 304"}
    path = "/api/v1/terminals/gd-11-303/assign"
    assert (await night.api.post(path, json=give)).status_code == 409, "its SOS is open"
    await night.act(sos["id"], "resolve", outcome="false_alarm")
    assert (await night.api.post(path, json=give)).status_code == 409, "304 has one"
    free = {"resident_id": None, "reason": "broken"}
    (await night.api.post("/api/v1/terminals/gd-11-304/assign", json=free)).raise_for_status()
    (await night.api.post(path, json=give)).raise_for_status()
    assert await night.faults() == []
    noted = [e["data"] for e in await night.journal() if e["kind"] == "terminal_assigned"]
    assert {(n["terminal"], n["was"], n["now"], n["why"]) for n in noted} == {
        ("gd-11-304", heir, None, "broken"), ("gd-11-303", who, heir, "to 304"),
    }  # fmt: skip
    dead = {"resident_id": who, "reason": "a slip"}
    spare = "/api/v1/terminals/gd-11-304/assign"
    assert (await night.api.post(spare, json=dead)).status_code == 409
    assert (await night.api.post("/api/v1/terminals/none/assign", json=give)).status_code == 404


async def test_a_move_takes_the_terminal_and_leaves_the_old_keys_behind(town: Town) -> None:
    """From 301 to 302 of the same house, not while an SOS is open. Afterwards a press names the
    new door, and the old way in and its key holder are gone from the record."""
    who = await resident(town, "301")
    move = {"building": 11, "flat": "302", "reason": "a flat without the iron door"}
    path = f"/api/v1/residents/{who}/move"
    await town.press()
    assert (await town.api.post(path, json=move)).status_code == 409
    await town.act((await town.sos())["id"], "resolve", outcome="safe")
    answer = await town.api.post(path, json=move)
    assert (answer.json()["flat"], answer.json()["key_holders_removed"]) == ("302", 1)
    assert answer.json()["access_notes_emptied"] is True
    nowhere = {**move, "flat": "9999"}
    assert (await town.api.post(path, json=nowhere)).status_code == 404
    look = await town.api.post(f"/api/v1/residents/{who}/access", json={"reason": "check"})
    assert (look.json()["access_notes"], look.json()["key_holders"]) == ("", [])
    kinds = [e["kind"] for e in await town.journal()]
    assert {"resident_moved_out", "resident_moved_in"} <= set(kinds)
    await town.forget_sms()
    await town.press()
    await town.expect_sms(HEAD, "11栋3楼302", "求助")


async def test_a_hospital_stay_ends_and_the_first_missed_round_says_so(night: Town) -> None:
    """In hospital until noon: not missed in the morning. In the evening she is silent, and the list
    says that this is the first round after the stay."""
    who = await resident(night, "303")
    path = f"/api/v1/residents/{who}/absence"
    refused = await night.api.post(path, json={"reason": "hospital"})
    assert refused.status_code == 422
    assert "until" in refused.text
    stay = {"until": at(12).isoformat(), "reason": "hospital"}
    (await night.api.post(path, json=stay)).raise_for_status()
    await night.watch_until(at(4, 30))
    await check_in(night, "303")
    await night.watch_until(at(6, 5))
    assert await missed(night) == []
    await night.watch_until(at(17, 30))
    await check_in(night, "303", "304")
    await night.watch_until(at(19, 5))
    (worklist,) = await night.alerts(kind="missed", building=11)
    told = {i["label"]: i["after_absence_ms"] for i in worklist["items"]}
    assert told == {"303": int(at(12).timestamp() * 1000), "304": None}


async def test_who_stands_where_is_changed_and_two_stewards_stay(town: Town) -> None:
    """A daughter is added to those who are told, a befriender taken off; a steward is replaced and
    never just taken off; nor is the last one on duty. Each with who and why."""
    who = await resident(town, "301")
    daughter = {
        "role": "family", "name": "何小芳", "phone": "+8610011000999", "resident_id": who, **REASON
    }
    added = await town.api.post("/api/v1/assignments", json=daughter)
    assert added.json()["phone_masked"] == "+86100****0999"
    assert (await town.api.post("/api/v1/assignments", json=daughter)).status_code == 409
    listed = (await town.api.get("/api/v1/assignments", params={"building": 11})).json()
    by_role: dict[str, list[dict[str, Any]]] = {}
    for a in listed["assignments"]:
        by_role.setdefault(a["role"], []).append(a)
    assert len(by_role["steward"]) == 2
    new_head = {
        "role": "steward", "name": "新楼长", "phone": "+8610011000998", "building": 11,
        "position": 1, **REASON,
    }  # fmt: skip
    (await town.api.post("/api/v1/assignments", json=new_head)).raise_for_status()
    for steward in by_role["steward"]:
        path = f"/api/v1/assignments/{steward['id']}/remove"
        assert (await town.api.post(path, json=REASON)).status_code == 409
    path = f"/api/v1/assignments/{by_role['befriender'][0]['id']}/remove"
    assert (await town.api.post(path, json=REASON)).status_code == 204
    assert (await town.api.post(path, json=REASON)).status_code == 404
    await town.press()
    await town.expect_sms("+8610011000998", "求助")
    await town.expect_sms(SECOND, "SOS")
    assert await town.phone(HEAD) == [], "no longer the head of this house"
    noted = [e["data"] for e in await town.journal() if e["kind"] in ("assigned", "unassigned")]
    assert [(n["role"], n["by"]) for n in noted] == [
        ("family", "api"), ("steward", "api"), ("befriender", "api"),
    ]  # fmt: skip
    assert noted[1]["was"] == await town.person(HEAD)
    every = (await town.api.get("/api/v1/assignments")).json()["assignments"]
    duty = [a["id"] for a in every if a["role"] == "duty"]
    answers = [
        (await town.api.post(f"/api/v1/assignments/{i}/remove", json=REASON)).status_code
        for i in duty
    ]
    assert answers == [204] * 5 + [409]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"role": "steward", "building": 11}, 409), ({"role": "steward", "position": 1}, 409),
        ({"role": "substitute", "building": 99}, 404), ({"role": "key_holder"}, 409),
        ({"role": "family", "resident_id": 99999}, 404),
        ({"role": "family", "resident_id": 1, "building": 11}, 409),
        ({"role": "duty", "building": 11}, 409), ({"role": "duty", "resident_id": 1}, 409),
        ({"role": "operator"}, 422), ({"role": "street", "person_id": 99999}, 404),
        ({"role": "street", "phone": ""}, 409), ({"role": "street", "phone": "12345"}, 422),
        ({"role": "street", "phone": HEAD}, 409),
    ],
)  # fmt: skip
async def test_an_assignment_that_can_not_be(
    town: Town, wrong: dict[str, Any], status: int
) -> None:
    """Refused with what to send instead, and nothing is changed."""
    before = (await town.api.get("/api/v1/assignments")).json()
    body = {"name": "某人", "phone": "+8610011000997", **wrong, **REASON}
    answer = await town.api.post("/api/v1/assignments", json=body)
    assert answer.status_code == status, answer.text
    assert (await town.api.get("/api/v1/assignments")).json() == before


async def test_an_absence_counts_in_a_role_taken_up_meanwhile(town: Town) -> None:
    """A neighbour's steward is on a journey when he is named befriender: he is passed over as that
    too, until he is back."""
    person = await town.person("+8610012000101")
    until = town.runtime.clock.now() + timedelta(hours=5)
    away = {"until": until.isoformat(), "reason": "a journey"}
    (await town.api.post(f"/api/v1/people/{person}/absence", json=away)).raise_for_status()
    body = {"role": "befriender", "person_id": person, **REASON,
            "resident_id": await resident(town, "301")}  # fmt: skip
    answer = await town.api.post("/api/v1/assignments", json=body)
    assert answer.json()["absent_until_ms"] == int(until.timestamp() * 1000)
    await town.press()
    await town.move(120)
    assert await town.phone("+8610012000101") == []


async def test_a_refusal_reads_in_both_languages(town: Town) -> None:
    """What can't be done is told on a page in the reader's language."""
    from dashboards.reader import ActionRefused, User
    from dashboards.server_reader import ServerReader

    await town.press()
    sos = await town.sos()
    await town.act(sos["id"], "resolve", outcome="safe")
    reader = ServerReader(town.runtime)
    with pytest.raises(ActionRefused) as refused:
        await reader.alert_act(User("desk", "operator"), sos["id"], "accept", {})
    assert "已由api了结(平安)" in refused.value.message("zh")
    assert "was closed by api" in refused.value.message("en")
    assert GRANNY
