"""A round: who is awaited, who is reminded, whom the stewards look in on, and who is left alone."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from test_server_stream import listening, seq
from town import GRANNY, GZ, HEAD, SECOND, Town, a_town

from server import tables as t

NIGHT = datetime(2026, 3, 14, 4, 0, tzinfo=GZ)
OPENS, PROMPT, DUE, JUDGED = (
    datetime(2026, 3, 14, h, m, tzinfo=GZ) for h, m in ((4, 30), (5, 45), (6, 0), (6, 5))
)
SILENT = ("303", "602")
"""Two doors of building 11 that nobody hears from in these tests (neither is of class A: those
would be looked for by themselves)."""
PAUSED = "gd-12-603"
DUTY = ("+8610000000101", "+8610000000102")


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Town]:
    """The town at four in the morning, with a gateway connected."""
    async with a_town(tmp_path, NIGHT) as town:
        await town.gateway_lives()
        yield town


async def check_in(town: Town, *but: str, buildings: range = range(1, 13)) -> None:
    """Everybody who is watched checks in, except the flats of building 11 named."""
    events = [
        town.event("checkin", r["terminal_id"])
        for building in buildings
        for flat, r in (await town.residents(building)).items()
        if r["state"] == "active" and not (building == 11 and flat in but)
    ]
    assert set(await town.signals(*events)) == {"stored"}


async def morning(town: Town) -> dict[str, object]:
    """A morning on which two residents of building 11 stay silent; their worklist, unread."""
    await town.watch_until(OPENS)
    await check_in(town, *SILENT)
    await town.watch_until(JUDGED)
    (worklist,) = await town.alerts(kind="missed")
    return worklist


def labels(worklist: dict[str, object], state: str = "open") -> list[str]:
    """The flats of a worklist that are in this state."""
    items = worklist["items"]
    assert isinstance(items, list)
    return [i["label"] for i in items if i["state"] == state]


async def windows(town: Town, building: int = 11) -> dict[str, str]:
    """What the windows of a building show, where somebody lives who is watched."""
    snapshot = (await town.api.get("/api/v1/snapshot")).json()
    (house,) = (b for b in snapshot["buildings"] if b["number"] == building)
    return {f["label"]: f["state"] for f in house["flats"] if f["terminal"]}


async def test_a_morning_from_the_first_window_to_the_last_door(night: Town) -> None:
    """Windows wait from half past four; at a quarter to six only terminals still awaited chime; at
    five past six each steward of the one house with silent doors gets one SMS that names them."""
    assert set((await windows(night)).values()) == {"checked"}, "nobody is awaited by night"
    await night.watch_until(OPENS)
    assert set((await windows(night)).values()) == {"waiting"}
    await check_in(night, *SILENT)
    seen = await windows(night)
    assert {f for f, state in seen.items() if state == "waiting"} == set(SILENT)
    assert await night.commands() == []
    await night.watch_until(PROMPT)
    chimes = await night.commands()
    assert {(c["t"], c["cmd"]) for c in chimes} == {
        (f"gd-11-{flat}", "prompt") for flat in SILENT
    }
    await night.watch_until(JUDGED - timedelta(seconds=1))
    assert await night.alerts(kind="missed") == [], "the grace is part of the round"
    await night.watch_until(JUDGED)
    await night.expect_sms(HEAD, "11栋", "未报平安2户", "303", "602")
    await night.expect_sms(SECOND, "Bldg 11", "2 without a check-in", "303", "602")
    await night.no_more_sms()
    (worklist,) = await night.alerts(kind="missed")
    assert labels(worklist) == list(SILENT)
    seen = await windows(night)
    assert {f for f, state in seen.items() if state == "late"} == set(SILENT)
    assert await night.commands() == [], "the chime rings once"


async def test_missed_are_homes_and_not_worklists(night: Town) -> None:
    """Two doors of one house, behind one of them a couple: two homes for the wall, on the snapshot
    and on the stream. One is seen to: one home. A rehearsal's count as nothing."""
    door, house = t.table(t.Resident), t.table(t.Building)
    doors = await night.residents()
    hers, his = (doors[flat]["id"] for flat in SILENT)

    def marry(conn: Any) -> None:
        row = dict(conn.execute(select(door).where(door.c.id == hers)).mappings().one())
        own = {k: v for k, v in row.items() if k != "id"} | {"name": "老伴"}
        conn.execute(insert(door).values(own))

    async def counted() -> int:
        return int((await night.api.get("/api/v1/snapshot")).json()["counts"]["missed"])

    await night.sql(marry)
    await night.watch_until(OPENS)
    await check_in(night, *SILENT)
    async with listening(night, await seq(night)) as stream:
        await night.watch_until(JUDGED)
        event = await stream.change_with("alert_opened")
        (worklist,) = await night.alerts(kind="missed")
        assert sorted(labels(worklist)) == [SILENT[0], *SILENT]
        assert (event.data["counts"]["missed"], await counted()) == (2, 2)
        await night.act(worklist["id"], "resolve", outcome="safe", item_resident_id=his)
        while event.data["counts"]["missed"] == 2:
            event = await stream.until("change")
        assert (event.data["counts"]["missed"], await counted()) == (1, 1)
    rehearsing = update(house).where(house.c.number == 11).values(rehearsal=True)
    await night.sql(lambda c: c.execute(rehearsing))
    assert await counted() == 0


async def test_a_late_check_in_is_told_and_clears_its_door(night: Town) -> None:
    """A resident who checks in late spares a steward the stairs: those who were told are told,
    that door is off the list, and the last one closes it. Then all is quiet."""
    await morning(night)
    await night.forget_sms()
    await night.press("checkin", "gd-11-303")
    await night.expect_sms(HEAD, "303", "已报平安")
    await night.expect_sms(SECOND, "303", "checked in")
    (worklist,) = await night.alerts(kind="missed")
    assert (worklist["state"], labels(worklist)) == ("open", ["602"])
    await night.press("checkin", "gd-11-602")
    (worklist,) = await night.alerts(kind="missed")
    assert (worklist["state"], worklist["outcome"]) == ("resolved", "checked_in")
    await night.expect_sms(HEAD, "已报平安")
    await night.expect_sms(SECOND, "checked in")
    await night.watch_until(JUDGED + timedelta(hours=2))
    await night.no_more_sms()
    assert set((await windows(night)).values()) == {"checked"}


async def test_last_nights_press_handed_in_late_clears_no_door(night: Town) -> None:
    """The terminal of 303 was off the network all night: its check-in of the evening comes in after
    the morning was judged. Nobody reads "no need to go"; one of this morning clears the door."""
    await morning(night)
    await night.forget_sms()
    evening = int((JUDGED - timedelta(hours=11, minutes=15)).timestamp() * 1000)
    await night.press(
        "checkin", "gd-11-303", ts=evening, ts_ok=True, buffered=True, attempt=9
    )
    await night.no_more_sms()
    (worklist,) = await night.alerts(kind="missed")
    assert labels(worklist) == list(SILENT)
    today = int((JUDGED - timedelta(minutes=20)).timestamp() * 1000)
    await night.press("checkin", "gd-11-303", ts=today, ts_ok=True, buffered=True, attempt=4)
    await night.expect_sms(HEAD, "303", "已报平安")
    (worklist,) = await night.alerts(kind="missed")
    assert labels(worklist) == ["602"]


async def test_a_steward_walks_the_list(night: Town) -> None:
    """A steward takes the list, the other one knows; `3` says that all of it is well, and the
    twenty minutes of silence that would have called others never come."""
    await morning(night)
    await night.forget_sms()
    await night.reply(HEAD, "1")
    await night.expect_sms(HEAD, "已记您", "11栋")
    await night.expect_sms(SECOND, "going")
    await night.watch_until(JUDGED + timedelta(minutes=50))
    await night.no_more_sms()
    await night.reply(HEAD, "3")
    (worklist,) = await night.alerts(kind="missed")
    assert (worklist["state"], labels(worklist, "safe")) == ("resolved", list(SILENT))
    await night.expect_sms(SECOND, "closed")
    await night.watch_until(JUDGED + timedelta(hours=3))
    await night.no_more_sms()


async def test_each_door_has_its_own_end(night: Town) -> None:
    """One flat of the list is safe, for the other an ambulance was called: each keeps its own
    outcome, and the list closes with the last."""
    worklist = await morning(night)
    who = await night.residents()
    for flat, outcome, state in (("303", "safe", "open"), ("602", "ambulance", "resolved")):
        answer = await night.act(
            int(str(worklist["id"])), "resolve", item_resident_id=who[flat]["id"], outcome=outcome
        )
        assert answer.json()["state"] == state
    assert [(i["label"], i["state"]) for i in answer.json()["items"]] == [
        ("303", "safe"), ("602", "ambulance"),
    ]  # fmt: skip


async def test_silence_on_a_worklist_climbs(night: Town) -> None:
    """Nobody takes the list for twenty minutes: substitute and stewards; for forty: the centre."""
    await morning(night)
    await night.forget_sms()
    await night.watch_until(JUDGED + timedelta(minutes=20))
    for number in (HEAD, "+8610012000101"):
        await night.expect_sms(number, "未报平安2户")
    await night.expect_sms(SECOND, "without a check-in")
    await night.no_more_sms()
    await night.watch_until(JUDGED + timedelta(minutes=40))
    for number in ("+8610000000101", "+8610000000102"):
        await night.expect_sms(number, "11栋")
    await night.no_more_sms()


async def test_the_evening_is_a_round_of_its_own(night: Town) -> None:
    """A morning's press says nothing about the evening: from half past five all are awaited again,
    and who is silent then is told as this evening's."""
    await night.watch_until(OPENS)
    await check_in(night)
    await night.watch_until(datetime(2026, 3, 14, 10, 0, tzinfo=GZ))
    await check_in(night)
    await night.watch_until(datetime(2026, 3, 14, 17, 30, tzinfo=GZ))
    assert set((await windows(night)).values()) == {"waiting"}
    await check_in(night, "304")
    await night.watch_until(datetime(2026, 3, 14, 19, 5, tzinfo=GZ))
    await night.expect_sms(HEAD, "未报平安1户", "304")
    await night.expect_sms(SECOND, "304")
    await night.no_more_sms()


async def test_only_a_hand_on_the_terminal_is_a_sign_of_life(night: Town) -> None:
    """A heartbeat, a word of the device about itself, and a press before the window say nothing
    about the person this morning; a test press and an SOS do."""
    await night.press("checkin", "gd-11-303")  # four in the morning: the window is not open
    await night.watch_until(OPENS)
    await check_in(night, "303", "304", "602", "503", "504")
    await night.press("test", "gd-11-602")
    await night.press("sos", "gd-11-503")
    await night.press("mains_lost", "gd-11-504")
    await night.watch_until(JUDGED - timedelta(seconds=10))
    for flat in ("303", "304"):
        await night.signals(heartbeats=[{"t": f"gd-11-{flat}", "boot": 1, "bat": 90}])
    await night.watch_until(JUDGED)
    (worklist,) = await night.alerts(kind="missed")
    assert labels(worklist) == ["303", "304", "504"]


async def test_who_is_away_is_never_missed(night: Town) -> None:
    """A resident who is away is on no list and hears no chime, however long they are silent."""
    await night.watch_until(PROMPT)
    assert PAUSED not in {c["t"] for c in await night.commands()}
    await night.watch_until(JUDGED)
    away = (await night.residents(12))["603"]
    found = {i["resident_id"] for w in await night.alerts(kind="missed") for i in w["items"]}
    assert away["state"] == "paused"
    assert found
    assert away["id"] not in found


async def test_while_we_are_blind_nobody_is_judged(night: Town) -> None:
    """No gateway was heard over the deadline: that is our silence, not the residents'. Staff see
    that we are blind, nobody is alarmed. When sight returns, what was queued comes in first; only
    after fifteen seconds are those judged who really were silent."""
    await night.watch_until(OPENS)
    await check_in(night, *SILENT, "304", "601")
    await night.watch_until(PROMPT + timedelta(minutes=14))
    await night.forget_sms()
    await night.pass_unheard(60)
    assert await night.faults() == []
    await night.pass_unheard(1)
    assert await night.faults() == ["blind"]
    await night.pass_unheard(238)
    await night.no_more_sms()
    await night.pass_unheard(1)
    for desk in DUTY:  # five minutes: whoever is away from the screen hears of it, once
        await night.expect_sms(desk, "5分钟收不到终端信号", "网关没有回音")
    await night.pass_unheard(361)
    assert await night.alerts(kind="missed") == []
    await night.no_more_sms()
    at_ms = int(DUE.timestamp() * 1000)
    queued = [
        night.event("checkin", f"gd-11-{flat}", buffered=True, ts=at_ms, ts_ok=True)
        for flat in ("304", "601")
    ]
    assert await night.signals(*queued) == ["stored", "stored"]
    await night.ring()
    assert await night.faults() == [], "we see again"
    assert await night.alerts(kind="missed") == [], "the queue may still be draining"
    await night.move(14)
    assert await night.alerts(kind="missed") == []
    await night.move(1)
    (worklist,) = await night.alerts(kind="missed")
    assert labels(worklist) == list(SILENT)
    regained = [e for e in await night.journal() if e["kind"] == "sight_regained"]
    assert len(regained) == 1
    assert {"blind_from", "blind_to"} <= set(regained[0]["data"])


async def test_a_clock_that_jumps_days_ahead_alarms_nobody(night: Town) -> None:
    """The clock jumps three days ahead while no gateway speaks: everybody would be overdue, and
    nobody is judged; an SOS that is open still climbs."""
    await night.press(terminal=GRANNY)
    await night.forget_sms()
    await night.pass_unheard(3 * 86_400)
    assert await night.faults() == ["blind"]
    assert await night.alerts(kind="missed") == []
    assert (await night.sos())["next_step"] is not None
    await night.expect_sms("+8610012000101", "求助")


async def test_a_spoilt_worklist_costs_no_check_in(night: Town) -> None:
    """The house's worklist can't be read: a late check-in is stored and counts all the same, and so
    does everybody's who is in the same batch; staff see which alert it is."""
    worklist = await morning(night)
    await night.spoil(int(str(worklist["id"])), responders=[{"nobody": 1}])
    late = [night.event("checkin", f"gd-11-{flat}") for flat in SILENT]
    assert set(await night.signals(*late, night.event("checkin", GRANNY))) == {"stored"}
    assert "broken_alert" in await night.faults()
    assert (await night.api.get("/api/v1/snapshot")).status_code == 200


async def late_again(night: Town, terminal: str) -> None:
    """One more resident turns out to be overdue, after the round was judged."""
    resident, table = t.table(t.Resident), t.table(t.Terminal)
    whose = select(table.c.resident_id).where(table.c.id == terminal).scalar_subquery()
    overdue = night.runtime.clock.now() - timedelta(minutes=1)
    late = update(resident).where(resident.c.id == whose).values(next_due_at=overdue)
    await night.sql(lambda c: c.execute(late))
    await night.watch(1)


async def test_a_spoilt_worklist_takes_whoever_is_missed_later(night: Town) -> None:
    """The house's worklist can't be read when one more of its doors turns out to be silent: it is
    mended and has that door too, and the round is judged for everybody."""
    worklist = await morning(night)
    await night.spoil(int(str(worklist["id"])), ladder={"steps": "gone"})
    await late_again(night, "gd-11-304")
    (found,) = await night.alerts(kind="missed", building=11, state="unresolved")
    assert found["id"] == worklist["id"]
    assert set(labels(found)) == {*SILENT, "304"}
    assert "alert_mended" in [e["kind"] for e in await night.journal()]


async def test_beside_a_worklist_that_cannot_be_mended_there_is_a_second(night: Town) -> None:
    """Nothing of the house's worklist can be read: whoever is missed later is on one of their own,
    and their stewards are told."""
    worklist = await morning(night)
    await night.forget_sms()
    await night.spoil(int(str(worklist["id"])), kind="nonsense")
    await late_again(night, "gd-11-304")
    (found,) = await night.alerts(kind="missed", building=11, state="unresolved")
    assert found["id"] != worklist["id"]
    assert labels(found) == ["304"]
    await night.expect_sms(HEAD, "304")
