"""Claims about the handover of a shift and the week under each house, over the real server."""

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from town import GRANNY, GZ, MARCH_14, PASSWORD, Town, a_town

ALL_OF_IT = timedelta(minutes=10)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A watched town on the morning of 14 March."""
    async with a_town(tmp_path) as running:
        yield running


@pytest.fixture
async def desk(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    """The operator's browser, logged in."""
    async with httpx.AsyncClient(base_url=town.url, headers={"accept": "text/html"}) as client:
        form = {"username": "operator", "password": PASSWORD}
        assert (await client.post("/login", data=form)).status_code == 303
        yield client


async def hand_over(desk: httpx.AsyncClient, outgoing: str, incoming: str, last: int = 0,
                    note: str = "") -> httpx.Response:  # fmt: skip
    """What the form sends."""
    form = {"outgoing": outgoing, "incoming": incoming, "last_id": str(last), "note": note}
    return await desk.post("/handover", data=form)


async def test_the_sheet_tells_what_is_open_noted_and_away(
    town: Town, desk: httpx.AsyncClient
) -> None:
    """An open SOS, a note on a closed one, an absence with its end; no resident's name."""
    await town.press()
    first = await town.sos()
    await town.act(first["id"], "resolve", outcome="helped", note="扶起来了,没受伤")
    await town.watch(60)
    await town.press()
    residents = (await town.api.get("/api/v1/residents", params={"building": 12})).json()
    away = next(r for r in residents["residents"] if r["state"] == "active")
    until = (MARCH_14 + timedelta(days=3)).isoformat()
    body = {"until": until, "reason": "住女儿家"}
    answer = await town.api.post(f"/api/v1/residents/{away['id']}/absence", json=body)
    assert answer.status_code < 300, answer.text
    page = (await desk.get("/handover")).raise_for_status().text
    assert "11栋3楼301" in page
    assert "扶起来了,没受伤" in page
    assert f"{away['flat']}" in page
    assert "03-17 06:10" in page
    names = {r["name"] for r in residents["residents"]}
    assert not any(name in page for name in names)


async def test_a_handover_keeps_what_it_told(town: Town, desk: httpx.AsyncClient) -> None:
    """The sheet of then stays as it was; the next one begins where it ended, with the one who took
    the duty; the journal knows both names."""
    await town.press()
    answer = await hand_over(desk, "周明", "李文静", note="11栋有人在路上")
    assert answer.status_code == 303
    written = answer.headers["location"]
    await town.act((await town.sos())["id"], "resolve", outcome="safe")
    await town.watch(600)
    page = (await desk.get(written)).raise_for_status().text
    assert "无人认领" in page
    assert "周明 → 李文静" in page
    assert "11栋有人在路上" in page
    now = (await desk.get("/handover")).raise_for_status().text
    assert "11栋3楼301" not in now
    assert re.search(r'id="outgoing"[^>]*value="李文静"', now)
    assert "03-14 06:10 – 03-14 06:20" in now
    (entry,) = [e for e in await town.journal() if e["kind"] == "handed_over"]
    told = {k: entry["data"][k] for k in ("outgoing", "incoming", "by", "open")}
    assert told == {"outgoing": "周明", "incoming": "李文静", "by": "operator", "open": 1}


async def test_every_wall_hears_when_the_shift_began(town: Town, desk: httpx.AsyncClient) -> None:
    """By the heartbeat, whoever wrote the handover and wherever: the sound is tested anew."""
    feed = town.runtime.feed
    assert (await feed.heartbeat()).data["handed_over_ms"] is None
    first = await hand_over(desk, "周明", "李文静")
    then = int(town.hand.at_s * 1000)
    assert (await feed.heartbeat()).data["handed_over_ms"] == then
    await town.watch(600)
    last = int(first.headers["location"].rpartition("/")[2])
    await hand_over(desk, "李文静", "陈海", last)
    assert (await feed.heartbeat()).data["handed_over_ms"] == then + 600_000


async def test_a_double_tap_is_one_handover_and_a_stale_sheet_is_none(
    town: Town, desk: httpx.AsyncClient
) -> None:
    """The same again leads to the same sheet; another pair that read an old sheet is told who was
    first."""
    first = await hand_over(desk, "周明", "李文静")
    again = await hand_over(desk, "周明", "李文静")
    assert (again.status_code, again.headers["location"]) == (303, first.headers["location"])
    late = await hand_over(desk, "周明", "陈海")
    assert late.status_code == 409
    assert "周明刚刚已交给李文静" in late.text
    assert 'value="陈海"' in late.text, "what was written is not lost"
    assert len([e for e in await town.journal() if e["kind"] == "handed_over"]) == 1


@pytest.mark.parametrize(
    ("outgoing", "incoming", "lang", "words"),
    [
        ("", "李文静", "zh", "请写交班人的名字"),
        ("周明", " ", "en", "who takes over"),
        ("周明", "周明", "zh", "两个名字不能一样"),
    ],
)
async def test_one_person_cannot_hand_over_alone(
    town: Town, desk: httpx.AsyncClient, outgoing: str, incoming: str, lang: str, words: str
) -> None:
    """Refused in the page's language, and nothing is written."""
    desk.cookies.set("lang", lang)
    answer = await hand_over(desk, outgoing, incoming)
    assert answer.status_code == 409
    assert words in answer.text
    assert not [e for e in await town.journal() if e["kind"] == "handed_over"]


async def test_blind_times_stand_on_the_sheet(town: Town, desk: httpx.AsyncClient) -> None:
    """For ten minutes no gateway was heard: the next shift reads from when to when."""
    await town.gateway_lives()
    await town.pass_unheard(ALL_OF_IT.total_seconds())
    assert "现在还没有恢复" in (await desk.get("/handover")).text
    await town.move(30)
    page = (await desk.get("/handover")).text
    assert "收不到终端信号" in page
    assert "现在还没有恢复" not in page


async def test_strangers_see_no_sheet(town: Town) -> None:
    """Without a login: the login page, and a POST writes nothing."""
    async with httpx.AsyncClient(base_url=town.url, headers={"accept": "text/html"}) as stranger:
        assert (await stranger.get("/handover")).headers["location"] == "/login?next=/handover"
        assert (await hand_over(stranger, "周明", "李文静")).status_code == 401
        assert (await stranger.get("/handover/1")).status_code == 303


async def test_a_week_of_rounds_stands_under_each_house(town: Town) -> None:
    """Before our time, all in, missed, blind: one letter each, the newest last."""

    async def week(building: int) -> str:
        found = (await town.api.get("/api/v1/snapshot")).json()["buildings"]
        return str(next(b["rounds"] for b in found if b["number"] == building))

    assert await week(11) == "-" * 14
    terminals = [r.terminal_id for _, _, r in town.community.flats_with_residents()]
    evening = datetime(2026, 3, 14, 18, 0, tzinfo=GZ)
    await town.watch_until(evening)
    await town.signals(*[town.event("checkin", t) for t in terminals if t != GRANNY])
    await town.watch_until(evening.replace(hour=19, minute=10))
    assert await week(11) == "-" * 13 + "m"
    assert await week(12) == "-" * 13 + "o"
    dawn = datetime(2026, 3, 15, 5, 50, tzinfo=GZ)
    await town.watch_until(dawn)
    await town.signals(*[town.event("checkin", t) for t in terminals])
    await town.pass_unheard(3600)
    assert await week(12) == "-" * 12 + "ob"


async def test_a_refusal_has_words_in_both_languages(town: Town) -> None:
    """So that a wall in any language can say why nothing happened."""
    await town.press()
    sos = (await town.sos())["id"]
    head = (await town.sos())["told"][0]["person_id"]
    await town.act(sos, "resolve", outcome="safe", as_person_id=head)
    answer = await town.act(sos, "accept")
    assert answer.status_code == 409
    body = answer.json()
    assert body["words"]["en"] == body["detail"]
    assert "了结(平安)" in body["words"]["zh"]
