"""The ladder as staff edit it, and absences: who is told instead, and who is watched again."""

import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from town import GRANNY, GZ, HEAD, SECOND, Town, a_town

from server import tables as t
from server.ladders.keeping import DEFAULT_FILE

NIGHT = datetime(2026, 3, 14, 4, 0, tzinfo=GZ)
OPENS = datetime(2026, 3, 14, 4, 30, tzinfo=GZ)
JUDGED = datetime(2026, 3, 14, 6, 5, tzinfo=GZ)
SUBSTITUTE, KEY_HOLDER = "+8610012000101", "+8610011000200"
DUTY = ("+8610000000101", "+8610000000102")
EVERY_SHIFT = tuple(f"+861000000010{n}" for n in range(1, 7))
BEFRIENDER = "+8610011000309"
BUILT_IN = DEFAULT_FILE.read_text(encoding="utf-8")


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ladder file of the town's own, to be edited."""
    path = tmp_path / "ladder.yaml"
    path.write_text(BUILT_IN, encoding="utf-8")
    monkeypatch.setenv("XUNLOU_LADDER_FILE", str(path))
    return path


@pytest.fixture
async def edited_town(tmp_path: Path, policy: Path) -> AsyncIterator[Town]:
    """The town of 14 March, 06:10, with that file."""
    async with a_town(tmp_path) as town:
        await town.gateway_lives()
        yield town


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Town]:
    """The town at four in the morning."""
    async with a_town(tmp_path, NIGHT) as town:
        await town.gateway_lives()
        yield town


def save(path: Path, text: str) -> None:
    """Save as editors do."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)


async def everybody_checks_in(town: Town, *but: str, building: int = 11) -> None:
    """All who are watched check in, except these flats of one building."""
    events = [
        town.event("checkin", r["terminal_id"])
        for number in range(1, 13)
        for flat, r in (await town.residents(number)).items()
        if r["state"] == "active" and not (number == building and flat in but)
    ]
    assert set(await town.signals(*events)) == {"stored"}


async def ladder_faults(town: Town) -> list[str]:
    """What staff read about the ladder."""
    found = await town.alerts(kind="fault", state="unresolved")
    return [f["detail"] for f in found if f["fault"] == "ladder_broken"]


async def test_policy_edited_while_an_alert_runs(edited_town: Town, policy: Path) -> None:
    """The alert keeps the ladder it began with, to the second; the next alert has the new one;
    nobody restarted anything."""
    town = edited_town
    await town.press()
    before = await town.sos()
    await town.forget_sms()
    save(policy, BUILT_IN.replace("wait: 2 min", "wait: 30 s").replace("version: 1", "version: 2"))
    await town.move(119)
    await town.no_more_sms()
    await town.move(1)
    await town.expect_sms(SUBSTITUTE, "求助")
    await town.forget_sms()
    await town.press(terminal="gd-11-303")
    (first, second) = await town.alerts(kind="sos")
    assert first["ladder_version"] == before["ladder_version"]
    assert (first["ladder_version"][:2], second["ladder_version"][:2]) == ("1-", "2-")
    assert second["next_step"]["at_ms"] - second["opened_ms"] == 30_000
    assert await ladder_faults(town) == []


async def test_a_broken_edit_harms_nobody(edited_town: Town, policy: Path) -> None:
    """A file that can't be used stops no SOS and changes no wait; staff see its first error with
    the line, then the next one, and nothing any more once it is mended."""
    town = edited_town
    save(policy, BUILT_IN.replace("tell: [duty]", "tell: [dutty]"))
    line = BUILT_IN[: BUILT_IN.index("tell: [duty]")].count("\n") + 1
    await town.press()
    for number in (HEAD, SECOND):
        await town.expect_sms(number, "301")
    await town.move(1)
    assert await ladder_faults(town) == [
        f"ladder.yaml:{line}: nobody is called 'dutty'; write duty"
    ]
    await town.move(119)
    await town.expect_sms(SUBSTITUTE, "求助")
    save(policy, "version: 1\n")
    await town.move(1)
    assert await ladder_faults(town) == ["ladder.yaml:1: the file has no ladders; add it"]
    save(policy, BUILT_IN)
    await town.move(1)
    assert await ladder_faults(town) == []


async def test_a_ladder_without_a_human_at_its_end_is_a_fault(edited_town: Town) -> None:
    """With nobody on duty staff hear of it before anybody needs them; an absence of all counts."""
    town = edited_town
    await town.move(1)
    assert await ladder_faults(town) == []
    until = town.runtime.clock.now() + timedelta(hours=1)
    for number in EVERY_SHIFT:
        person = await town.person(number)
        body = {"until": until.isoformat(), "reason": "exercise"}
        answer = await town.api.post(f"/api/v1/people/{person}/absence", json=body)
        assert answer.status_code == 200, answer.text
    await town.move(1)
    (said,) = await ladder_faults(town)
    assert "nobody stands on duty" in said
    await town.move(3600)
    assert await ladder_faults(town) == [], "they are back"
    table = t.table(t.Assignment)
    await town.sql(lambda c: c.execute(delete(table).where(table.c.role == "duty")))
    await town.move(1)
    assert len(await ladder_faults(town)) == 1


async def test_a_resident_of_class_a_climbs_alone(night: Town) -> None:
    """One of class A and two others are silent: she is told by herself and climbs in minutes, to
    her key holder too; the others stay one SMS a steward, at the pace of a walk. Each ends by
    itself."""
    await night.watch_until(OPENS)
    await everybody_checks_in(night, "301", "303", "304")
    await night.watch_until(JUDGED)
    for number, words in ((HEAD, "未报平安"), (SECOND, "without a check-in")):
        alone, rest = sorted(await night.phone(number), key=len)
        assert words in alone
        assert [f in alone for f in ("301", "303", "304")] == [True, False, False]
        assert [f in rest for f in ("301", "303", "304")] == [False, True, True]
    await night.no_more_sms()
    hers, others = await night.alerts(kind="missed")
    assert [i["label"] for i in hers["items"]] == ["301"]
    assert [i["label"] for i in others["items"]] == ["303", "304"]
    await night.watch_until(JUDGED + timedelta(minutes=5))
    for number in (HEAD, SECOND, SUBSTITUTE, KEY_HOLDER, BEFRIENDER):
        await night.expect_sms(number, "301")
    await night.watch_until(JUDGED + timedelta(minutes=10))
    for number in DUTY:
        await night.expect_sms(number, "301")
    await night.no_more_sms()
    await night.press("checkin", GRANNY)
    states = {a["id"]: a["state"] for a in await night.alerts(kind="missed")}
    assert states == {hers["id"]: "resolved", others["id"]: "open"}


async def all_of_class_a(town: Town, *flats: str) -> None:
    """Staff have put these residents of building 11 into class A."""
    who = await town.residents(11)
    for flat in flats:
        body = {"risk_class": "A", "reason": "frail since the winter"}
        answer = await town.api.patch(f"/api/v1/residents/{who[flat]['id']}", json=body)
        assert answer.status_code == 200


async def test_many_of_class_a_climb_alone_and_the_stewards_have_one_text(night: Town) -> None:
    """Nobody in the house checks in, five of them of class A, and nothing explains it. One SMS a
    steward names the house's doors; each of the five climbs by herself, to those with her key and
    to the care centre. What is found behind a door is true of both."""
    five = ("301", "303", "304", "602", "503")
    await all_of_class_a(night, *five)
    await night.watch_until(OPENS)
    flats = list(await night.residents(11))
    await everybody_checks_in(night, *flats)
    await night.watch_until(JUDGED)
    for number, words in ((HEAD, "未报平安8户"), (SECOND, "8 without")):
        await night.expect_sms(number, words)
    await night.no_more_sms()
    found = await night.alerts(kind="missed")
    (house,) = (a for a in found if len(a["items"]) == len(flats))
    alone = {a["items"][0]["label"]: a for a in found if a is not house}
    assert set(alone) >= set(five)
    rows = [e["flat_id"] for e in await night.journal() if e["kind"] == "missed"]
    assert len(rows) == len(set(rows)) == 8, "each of them is missed once"
    await night.watch_until(JUDGED + timedelta(minutes=5))
    for number in (KEY_HOLDER, BEFRIENDER):
        await night.expect_sms(number, "301")
    for number in (HEAD, SECOND, SUBSTITUTE):
        assert await night.phone(number) == []
    await night.watch_until(JUDGED + timedelta(minutes=10))
    assert any("301" in body for body in await night.phone(DUTY[0]))
    who = await night.residents(11)
    await night.act(
        house["id"], "resolve", item_resident_id=who["301"]["id"], outcome="ambulance"
    )
    await night.act(alone["303"]["id"], "resolve", outcome="helped")
    await night.press("checkin", who["304"]["terminal_id"])
    states = {a["id"]: (a["state"], a["outcome"]) for a in await night.alerts(kind="missed")}
    assert states[alone["301"]["id"]] == ("resolved", "ambulance")
    assert states[alone["304"]["id"]] == ("resolved", "checked_in")
    assert states[house["id"]][0] == "open"
    house = (await night.api.get(f"/api/v1/alerts/{house['id']}")).json()
    ends = {i["label"]: i["state"] for i in house["items"] if i["state"] != "open"}
    assert ends == {"301": "ambulance", "303": "helped", "304": "cleared"}


async def test_a_house_without_power_is_one_walk(night: Town) -> None:
    """The house has lost its power and nobody in it checks in, class A or not. One worklist, one
    SMS a steward, at the pace of a walk; and that is what asking beforehand says."""
    await night.watch_until(OPENS)
    flats = await night.residents(11)
    dark = [r["terminal_id"] for r in flats.values() if r["terminal_id"]]
    await night.signals(statuses=[{"t": i, "s": "online", "boot": 1} for i in dark])
    await everybody_checks_in(night, *flats)
    missed = {"resident": GRANNY, "kind": "missed"}
    asked = await night.api.get("/api/v1/ladder/explain", params=missed)
    assert asked.json()["policy"] == "missed_high_risk"
    await night.signals(*(night.event("mains_lost", i) for i in dark))
    await night.watch(61)
    assert await night.faults() == ["building_power"]
    asked = await night.api.get("/api/v1/ladder/explain", params=missed)
    assert asked.json()["policy"] == "missed"
    await night.watch_until(JUDGED)
    (worklist,) = await night.alerts(kind="missed")
    assert len(worklist["items"]) == len(flats) == 8
    await night.expect_sms(HEAD, "未报平安8户")
    await night.expect_sms(SECOND, "8 without")
    await night.no_more_sms()
    assert worklist["next_step"]["at_ms"] - worklist["opened_ms"] == 20 * 60_000


async def test_a_round_that_fell_into_our_own_blindness_is_one_walk(night: Town) -> None:
    """No gateway was heard when the round was due; afterwards those who are still silent, class A
    too, are on the house's list."""
    await night.watch_until(OPENS)
    await everybody_checks_in(night, "301", "303")
    await night.watch_until(JUDGED - timedelta(minutes=5))
    await night.pass_unheard(600)
    await night.forget_sms()
    await night.signals()
    await night.ring()
    await night.move(15)
    (worklist,) = await night.alerts(kind="missed")
    assert [i["label"] for i in worklist["items"]] == ["301", "303"]
    await night.expect_sms(HEAD, "未报平安2户")


async def test_staff_overrule_the_class(night: Town) -> None:
    """Staff see what the rule says, set another class with a reason, and go back to the rule."""
    who = (await night.residents())["303"]
    assert (who["risk_class"], who["risk_class_by_rule"]) == ("C", "C")
    path = f"/api/v1/residents/{who['id']}"
    assert (await night.api.patch(path, json={"risk_class": "A"})).status_code == 422
    answer = await night.api.patch(path, json={"risk_class": "A", "reason": "fell last week"})
    assert (answer.json()["risk_class"], answer.json()["risk_class_by_rule"]) == ("A", "C")
    (entry,) = [e for e in await night.journal() if e["kind"] == "risk_class_set"]
    assert entry["data"] == {
        "was": "C", "now": "A", "rule": "C", "by": "api", "why": "fell last week",
    }  # fmt: skip
    answer = await night.api.patch(path, json={"risk_class": None, "reason": "well again"})
    assert answer.json()["risk_class"] == "C"
    wrong = {"risk_class": "A", "reason": "nobody"}
    assert (await night.api.patch("/api/v1/residents/9999", json=wrong)).status_code == 404


async def test_an_absent_steward_is_passed_over_and_the_substitute_told(town: Town) -> None:
    """The head of the house is away: the substitute stands with the second steward from the first
    minute on, nothing goes to the head; back before the time, the head is asked again."""
    person = await town.person(HEAD)
    until = town.runtime.clock.now() + timedelta(days=3)
    body = {"until": until.isoformat(), "reason": "visiting family"}
    answer = await town.api.post(f"/api/v1/people/{person}/absence", json=body)
    assert "steward" in answer.json()["roles"]
    await town.press()
    await town.expect_sms(SUBSTITUTE, "求助")
    await town.expect_sms(SECOND, "SOS")
    await town.no_more_sms()
    await town.api.delete(f"/api/v1/people/{person}/absence")
    await town.move(120)
    await town.expect_sms(HEAD, "求助")


async def test_who_goes_away_while_the_text_waits_is_not_told(town: Town) -> None:
    """The provider is overloaded, and before the text can leave staff enter that the head is away:
    nothing goes to the head any more. When the other steward goes too, nobody waits two minutes
    for them: the substitute and the care centre hear at once."""
    for number in (HEAD, SECOND):
        await town.fault("503", number, count=1)
    await town.press()
    until = town.runtime.clock.now() + timedelta(days=1)
    for number in (HEAD, SECOND):
        assert await town.phone(number) == []
        body = {"until": until.isoformat(), "reason": "taken ill"}
        person = await town.person(number)
        (await town.api.post(f"/api/v1/people/{person}/absence", json=body)).raise_for_status()
        if number == HEAD:
            await town.no_more_sms()
    for number in (SUBSTITUTE, KEY_HOLDER, BEFRIENDER):
        await town.expect_sms(number, "求助")
    for number in DUTY:
        await town.expect_sms(number, "尚未了结")
    await town.move(10)
    await town.no_more_sms()
    told = {m["name"]: (m["state"], m["error"]) for m in (await town.sos())["told"]}
    assert told["邝彩霞"] == ("failed", "away")
    assert await town.faults() == [], "an absence is nobody's fault"


async def test_both_stewards_away_and_the_ladder_is_not_empty(town: Town) -> None:
    """With both away the substitute hears at once; when the absence is over, so do they."""
    until = town.runtime.clock.now() + timedelta(seconds=120)
    for number in (HEAD, SECOND):
        body = {"until": until.isoformat(), "reason": "course"}
        await town.api.post(f"/api/v1/people/{await town.person(number)}/absence", json=body)
    await town.press()
    await town.expect_sms(SUBSTITUTE, "求助")
    await town.no_more_sms()
    await town.move(120)
    await town.expect_sms(HEAD, "求助")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"reason": "hospital"}, "say until when"),
        ({"until": "2026-03-14T03:00:00+08:00", "reason": "hospital"}, "is past"),
        ({"until": "2026-06-13T04:00:00+08:00", "reason": "hospital"}, "at most 90 days"),
        ({"until": "2026-03-15T04:00:00", "reason": "hospital"}, "timezone"),
        ({"until": "2026-03-15T04:00:00+08:00"}, "reason"),
    ],
)
async def test_an_absence_without_an_end_is_refused(
    night: Town, body: dict[str, str], words: str
) -> None:
    """No end, an end that is past, over 90 days, without a zone, without a reason: refused with
    words, and the resident (or steward) stays watched (or asked)."""
    who = (await night.residents())["303"]["id"]
    for path in (f"residents/{who}", f"people/{await night.person(HEAD)}"):
        answer = await night.api.post(f"/api/v1/{path}/absence", json=body)
        assert answer.status_code == 422
        assert words in answer.text
    assert (await night.residents())["303"]["state"] == "active"


async def test_absences_of_nobody(night: Town) -> None:
    """Unknown people and residents are 404; one whom we no longer watch can't be away: 409."""
    body = {"until": "2026-03-15T04:00:00+08:00", "reason": "hospital"}
    assert (await night.api.post("/api/v1/people/9999/absence", json=body)).status_code == 404
    assert (await night.api.post("/api/v1/residents/9999/absence", json=body)).status_code == 404
    assert (await night.api.delete("/api/v1/residents/9999/absence")).status_code == 404
    who = (await night.residents())["303"]["id"]
    table = t.table(t.Resident)
    ended = update(table).where(table.c.id == who).values(state="ended")
    await night.sql(lambda c: c.execute(ended))
    assert (await night.api.post(f"/api/v1/residents/{who}/absence", json=body)).status_code == 409


async def test_who_was_away_is_watched_again(night: Town) -> None:
    """Away over the morning: not missed, and a press while away is shown and ends nothing. At noon
    the absence ends by itself; silent in the evening, they are on the list, and it says that this
    is the first round after their absence. The next miss is an ordinary one."""
    who = (await night.residents())["303"]
    path = f"/api/v1/residents/{who['id']}/absence"
    noon = datetime(2026, 3, 14, 12, 0, tzinfo=GZ)
    answer = await night.api.post(path, json={"until": noon.isoformat(), "reason": "hospital"})
    assert (answer.json()["state"], answer.json()["next_due_ms"]) == ("paused", None)
    await night.watch_until(OPENS)
    await everybody_checks_in(night, "303")
    await night.press("checkin", "gd-11-303")
    shown = [e for e in await night.journal() if e["data"].get("away")]
    assert [e["data"]["terminal"] for e in shown] == ["gd-11-303"]
    await night.watch_until(JUDGED)
    assert await night.alerts(kind="missed") == []
    assert (await night.residents())["303"]["state"] == "paused"
    await night.watch_until(noon)
    back = (await night.residents())["303"]
    evening = datetime(2026, 3, 14, 19, 5, tzinfo=GZ)
    assert (back["state"], back["next_due_ms"]) == ("active", int(evening.timestamp() * 1000))
    await night.watch_until(evening - timedelta(minutes=30))
    await everybody_checks_in(night, "303")
    await night.watch_until(evening)
    (worklist,) = await night.alerts(kind="missed")
    detail = (await night.api.get(f"/api/v1/alerts/{worklist['id']}")).json()
    (entry,) = [e for e in detail["timeline"] if e["kind"] == "missed"]
    assert entry["data"]["after_absence_until"] == "2026-03-14T04:00:00+00:00"
    await night.watch_until(JUDGED + timedelta(days=1))
    entries = [e for e in await night.journal() if e["kind"] == "missed"
               and e["flat_id"] == who["flat_id"]]  # fmt: skip
    assert ["after_absence_until" in e["data"] for e in entries] == [True, False]


async def test_back_before_the_time_and_heard_of(night: Town) -> None:
    """Staff end an absence early; a check-in after it means that all is as before; an end twice
    changes nothing; an SOS while away is an SOS."""
    who = (await night.residents())["303"]["id"]
    path = f"/api/v1/residents/{who}/absence"
    until = (NIGHT + timedelta(days=5)).isoformat()
    await night.api.post(path, json={"until": until, "reason": "with the son"})
    await night.press(terminal="gd-11-303")
    await night.expect_sms(HEAD, "求助")
    await night.watch_until(OPENS + timedelta(minutes=10))
    first, second = [(await night.api.delete(path)).json() for _ in range(2)]
    assert first["state"] == second["state"] == "active"
    assert first["next_due_ms"] == int(JUDGED.timestamp() * 1000)
    assert first["absent_until_ms"] is not None
    await night.press("checkin", "gd-11-303")
    assert (await night.residents())["303"]["absent_until_ms"] is None
    kinds = [e["kind"] for e in await night.journal()]
    assert kinds.count("resident_back") == 1


async def test_who_would_be_told_is_explained(town: Town) -> None:
    """Step by step: who, when, how, with absences and opt-outs and their reasons; by resident or
    terminal, for an SOS or a missed round; and nobody is told by asking."""
    until = town.runtime.clock.now() + timedelta(minutes=3)
    body = {"until": until.isoformat(), "reason": "market"}
    await town.api.post(f"/api/v1/people/{await town.person(HEAD)}/absence", json=body)
    await town.reply(SECOND, "STOP")
    answer = (await town.api.get("/api/v1/ladder/explain", params={"resident": GRANNY})).json()
    first, second, third, *_ = answer["steps"]
    assert (answer["policy"], answer["awaited"]) == ("sos", True)
    assert [(p["role"], p["channels"]) for p in first["told"]] == [("substitute", ["sms"])]
    assert second["told"][0]["channels"] == ["sms", "voice"]
    assert {p["why"] for p in first["passed_over"]} == {"absent", "opted_out"}
    assert [s["after_s"] for s in (first, second, third)] == [0, 120, 240]
    assert {p["role"] for p in second["told"]} == {"substitute", "key_holder", "befriender"}
    assert {p["role"] for p in third["told"]} == {"duty"}
    who = (await town.residents())["301"]["id"]
    later = {"resident": who, "kind": "missed", "at": (until + timedelta(hours=1)).isoformat()}
    answer = (await town.api.get("/api/v1/ladder/explain", params=later)).json()
    assert answer["policy"] == "missed_high_risk"
    assert [p["role"] for p in answer["steps"][0]["told"]] == ["steward"]
    ordinary = {"resident": "gd-11-303", "kind": "missed"}
    answer = (await town.api.get("/api/v1/ladder/explain", params=ordinary)).json()
    assert answer["policy"] == "missed"
    assert not any(p["role"] == "key_holder" for s in answer["steps"] for p in s["told"])
    unknown = await town.api.get("/api/v1/ladder/explain", params={"resident": "nobody"})
    assert unknown.status_code == 404
    await town.forget_sms()
    assert await town.alerts(kind="sos") == []


ONE_AFTER_THE_OTHER = """version: 7
ladders:
  sos:
    lease: 8 min
    on_scene: 20 min
    steps:
      - tell: [steward_1]
        wait: 1 min
      - tell: [steward_2]
        wait: 1 min
      - tell: [befrienders, family]
        wait: 1 min
      - tell: [stewards, duty, street, district]
        wait: 2 min
"""


async def test_every_target_is_told_in_its_turn_and_in_its_words(
    edited_town: Town, policy: Path
) -> None:
    """An office calls one steward after the other, then those who are close to her, then the desks
    with both stewards: by the minute, a neighbour reading what happened and a desk that nobody has
    come. A daughter two towns away is a person who can say "I am going"."""
    town, daughter = edited_town, "+8610011000999"
    who = (await town.residents())["301"]["id"]
    body = {"role": "family", "name": "何小芳", "phone": daughter, "resident_id": who,
            "reason": "asked to be told"}  # fmt: skip
    (await town.api.post("/api/v1/assignments", json=body)).raise_for_status()
    rest = BUILT_IN[BUILT_IN.index("  missed:") :]
    save(policy, ONE_AFTER_THE_OTHER + rest)
    await town.press()
    await town.expect_sms(HEAD, "求助")
    await town.no_more_sms()
    await town.move(59)
    await town.no_more_sms()
    await town.move(1)
    await town.expect_sms(SECOND, "SOS")
    await town.no_more_sms()
    await town.move(60)
    for number in (BEFRIENDER, daughter):
        await town.expect_sms(number, "求助!")
    await town.no_more_sms()
    await town.move(60)
    await town.expect_sms(HEAD, "求助!")
    await town.expect_sms(SECOND, "Reply 1 = I am going")
    for number in (*DUTY, "+8610000000201", "+8610000000301"):
        await town.expect_sms(number, "求助3分钟,尚未了结")
    await town.no_more_sms()
    await town.reply(daughter, "1")
    await town.expect_sms(daughter, "已记您前往")
    assert (await town.sos())["responder"] == {"name": "何小芳", "role": "family"}
    assert [c["who"] for c in await town.commands()] == ["何小芳"]


async def test_the_street_office_is_announced_as_the_office_it_is(edited_town: Town) -> None:
    """Somebody of the street takes it: the resident hears of the office, not of a name that means
    nothing to them."""
    town = edited_town
    await town.press()
    await town.move(120)
    for _ in range(3):
        await town.move(120)
    await town.reply("+8610000000201", "1")
    (coming,) = await town.commands()
    assert coming["text"] == "街道工作人员正在赶来"
