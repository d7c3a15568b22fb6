"""Claims about the pages of buildings, residents and reports over the real server and its past."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from server import tables as t
from server.store.by_time import SLACK, first_id
from tests.lived import START, an_sos_that_ends_well, keep_rounds
from tests.town import GRANNY, GZ, HEAD, PASSWORD, SECOND, Town, a_town, phone_book

NO_WAY_IN = ("铁门", "天井", "易跌倒")


@asynccontextmanager
async def staff(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    """A member of staff with a browser that runs no scripts."""
    async with httpx.AsyncClient(
        base_url=town.url, timeout=20.0, headers={"accept": "text/html"}, follow_redirects=True
    ) as browser:
        form = {"username": "operator", "password": PASSWORD}
        assert (await browser.post("/login", data=form)).status_code == 200
        yield browser


async def read(browser: httpx.AsyncClient, path: str) -> str:
    """A page as text, without markup."""
    page = (await browser.get(path)).raise_for_status().text
    return " ".join(re.sub(r"<(style|script|svg).*?</\1>|<[^>]+>", " ", page, flags=re.S).split())


async def granny(town: Town) -> int:
    """The id of the woman of 84."""
    return int((await town.residents(11))["301"]["id"])


async def test_a_building_shows_its_last_rounds_and_who_can_be_reached(tmp_path: Path) -> None:
    """Three days of rounds, one of them missed by one; the head answered, the other opted out."""
    async with a_town(tmp_path, START) as town:
        await keep_rounds(town, 3)
        await town.reply(SECOND, "STOP")
        await an_sos_that_ends_well(town)
        async with staff(town) as browser:
            page = await read(browser, "/buildings/11")
            assert page.count("8/8 都报了") == 5
            assert page.count("7/8 补报 1") == 1
            # Fourteen rounds are shown; of those before the register was loaded nothing is claimed.
            assert page.count("– 没有记录") >= 8
            assert "上次回短信:" in page
            assert "退订了短信" in page
            assert "巡楼员联系不上" in page, "an open fault of this building"
            for secret in NO_WAY_IN:
                assert secret not in page


async def test_a_resident_shows_rounds_absence_and_alerts_and_costs_a_reason_for_the_way_in(
    tmp_path: Path,
) -> None:
    """The missed round, the SOS, who noted the absence; the look at the way in is journalled."""
    async with a_town(tmp_path, START) as town:
        await keep_rounds(town, 2)
        await an_sos_that_ends_well(town)
        number = await granny(town)
        body = {"until": "2026-03-20T18:00:00+08:00", "reason": "住院"}
        await town.api.post(f"/api/v1/residents/{number}/absence", json=body)
        async with staff(town) as browser:
            page = await read(browser, f"/residents/{number}")
            assert page.count("按时报了") == 3
            assert page.count("过后补报") == 1
            assert "外出到 2026-03-20 18:00" in page
            assert "原因:住院" in page
            assert "求助 平安" in page
            assert "80 岁以上、独居" in page
            for secret in NO_WAY_IN:
                assert secret not in page
            form = {"reason": "水漫到楼下"}
            look = await browser.post(f"/residents/{number}/access", data=form)
            assert "天井" in look.text
            looks = [e["data"] for e in await town.journal() if e["kind"] == "access_looked_at"]
            assert [(e["by"], e["why"]) for e in looks] == [("operator", "水漫到楼下")]
            assert "operator: 水漫到楼下" in await read(browser, f"/residents/{number}")


SEARCHES = [
    ("11-301", ["301"]), ("11栋301", ["301"]), ("11栋3楼301室", ["301"]), ("11 301", ["301"]),
    ("何桂", ["301"]), ("11-999", []), ("%", []), ("_桂", []), ("' OR 1=1 --", []),
]  # fmt: skip


async def test_residents_are_found_by_flat_or_name(tmp_path: Path) -> None:
    """As people write an address; a wildcard is a letter like any other."""
    async with a_town(tmp_path, START) as town, staff(town) as browser:
        for words, found in SEARCHES:
            page = (await browser.post("/residents", data={"words": words})).text
            assert re.findall(r"<b>11栋3楼(\w+)</b>", page) == found, words
        building = (await browser.post("/residents", data={"words": "11栋"})).text
        assert building.count('<a href="/residents/') == 8


async def test_papers_are_made_of_the_register(tmp_path: Path) -> None:
    """The sheet says who missed the last round; the card has the stewards' numbers."""
    async with a_town(tmp_path, START) as town:
        await keep_rounds(town, 1, missed=(1,))
        async with staff(town) as browser:
            sheet = await read(browser, "/buildings/11/sheet")
            assert "301 何女士 上次未报" in sheet
            assert "早巡 2026-03-10 06:00" in sheet
            card = await read(browser, f"/residents/{await granny(town)}/card")
            assert "100 1100 0101" in card
            assert "何" not in card
            for path in ("/buildings/99/sheet", "/residents/99999/card", "/residents/99999"):
                assert (await browser.get(path)).status_code == 404


async def test_a_report_counts_what_was_lived(tmp_path: Path) -> None:
    """Four rounds of eight residents, one missed and made up for; an SOS accepted after a minute
    and attended after five; a test that is in no other figure."""
    async with a_town(tmp_path, START) as town:
        await keep_rounds(town, 2)
        await an_sos_that_ends_well(town)
        await town.press("sos", "gd-11-303", test=True)
        await town.move(1)
        async with staff(town) as browser:
            table = await browser.get("/reports.csv?from=2026-03-09&to=2026-03-10")
            lines = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
            row = {line["scope"]: line for line in lines}
            for scope in ("广氮", "11"):
                of = row[scope]
                assert (of["sos"], of["sos_tests"], of["safe"], of["open"]) == ("1", "1", "1", "0")
                accepted = (of["accepted_n"], of["accepted_of"], of["accepted_p50_s"])
                assert accepted == ("1", "1", "60.0")
                assert (of["door_n"], of["door_p95_s"]) == ("1", "300.0")
                assert (of["told_n"], of["told_p50_s"]) == ("1", "0.0")
                rounds = (of["rounds_held"], of["checkins_owed"], of["checkins_in_time"],
                          of["checkins_late"], of["looked_after"], of["not_settled"])  # fmt: skip
                assert rounds == ("4", "32", "31", "1", "0", "0")
                assert of["worklist_p50_s"] == "3600.0"
                assert int(of["sms_delivered"]) == int(of["sms"]) > 0
            assert row["10"]["sos"] == row["10"]["checkins_owed"] == "0"
            page = await read(browser, "/reports?from=2026-03-09&to=2026-03-10&building=11")
            assert "1:00" in page
            assert "31 / 32" in page


async def test_local_days_are_the_communitys_and_the_day_before_is_another(
    tmp_path: Path,
) -> None:
    """07:30 in Guangzhou is still yesterday in UTC: it belongs to the local day."""
    async with a_town(tmp_path, datetime(2026, 3, 10, 7, 30, tzinfo=GZ)) as town:
        await an_sos_that_ends_well(town)
        async with staff(town) as browser:
            for day, calls in (("2026-03-09", "0"), ("2026-03-10", "1")):
                table = await browser.get(f"/reports.csv?from={day}&to={day}")
                lines = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
                assert lines[0]["sos"] == calls, day


async def test_uptime_counts_the_silence_of_terminals(tmp_path: Path) -> None:
    """One terminal is silent for two hours and comes back; another is silent still."""
    async with a_town(tmp_path, START) as town, staff(town) as browser:
        await town.signals(town.event("test", GRANNY), town.event("test", "gd-11-303"))
        await town.watch(2_250)  # 2.5 heartbeats of 900 s: both are offline from here on
        await town.watch(3_600)
        await town.press("test", GRANNY)
        await town.watch(1_000)
        table = await browser.get("/reports.csv?from=2026-03-09&to=2026-03-09&building=11")
        (line,) = csv.DictReader(io.StringIO(table.content.decode("utf-8-sig")))
        assert float(line["terminal_offline_s"]) == 3_600 + 4_600
        elapsed_s = 3 * 3_600 + 2_250 + 4_600  # from midnight
        share = 1 - 8_200 / (8 * elapsed_s)
        assert float(line["terminal_uptime"]) == pytest.approx(share, abs=1e-5)


async def test_a_bad_period_is_refused_in_words(tmp_path: Path) -> None:
    """Backwards, too long, to come: 422 and what to do."""
    async with a_town(tmp_path, START) as town, staff(town) as browser:
        for query, words in (
            ("from=2026-03-08&to=2026-03-01", "请对调"),
            ("from=2025-01-01&to=2026-03-01", "最长 92 天"),
            ("from=2026-04-01&to=2026-04-02", "还没到"),
        ):
            answer = await browser.get(f"/reports?{query}")
            assert (answer.status_code, words in answer.text) == (422, True), query
        assert (await browser.get("/reports?building=99")).status_code == 404
        assert (await browser.get("/reports")).status_code == 200


async def test_the_halls_screen_needs_its_token_and_forgets_old_ones(tmp_path: Path) -> None:
    """Off without a token; opened by it; a new token closes screens that were opened before."""
    async with a_town(tmp_path, START) as town, httpx.AsyncClient(
        base_url=town.url, headers={"accept": "text/html"}, follow_redirects=True
    ) as hall:
        assert (await hall.get("/kiosk")).status_code == 404
        town.runtime.settings.kiosk_token = SecretStr("a-token-of-the-hall")
        assert (await hall.get("/kiosk")).status_code == 403
        assert (await hall.get("/kiosk/a-token-of-the-hell")).status_code == 404
        opened = await hall.get("/kiosk/a-token-of-the-hall")
        assert (opened.status_code, opened.url.path) == (200, "/kiosk")
        await town.press()
        screen = (await hall.get("/kiosk")).text
        assert 'data-mood="helping"' in screen
        assert "何桂芳" not in screen
        assert "301" not in screen
        assert (await hall.get("/buildings")).url.path == "/login", "it opens nothing else"
        town.runtime.settings.kiosk_token = SecretStr("another-token-of-the-hall")
        assert (await hall.get("/kiosk")).status_code == 403


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_the_wall_of_a_kiosk_has_nobodys_name_or_number(tmp_path: Path, lang: str) -> None:
    """A press, somebody who goes, a worklist and a fault; no name of the whole register is on the
    page, and the cookie opens neither the snapshot nor the stream."""
    async with a_town(
        tmp_path, START, kiosk_token=SecretStr("a-token-of-the-hall"), kiosk_wall=True
    ) as town, httpx.AsyncClient(
        base_url=town.url, headers={"accept": "text/html"}, follow_redirects=True
    ) as hall:
        await hall.get("/kiosk/a-token-of-the-hall")
        await town.press()
        await town.press(terminal="gd-11-303")
        await town.reply(HEAD, f"1 {(await town.alerts(kind='sos'))[0]['code']}")
        await town.move(130)
        book = phone_book(town.community)
        residents = [r for _, _, r in town.community.flats_with_residents()]
        words = {e.name for e in book} | {r.name for r in residents}
        words |= {e.number for e in book} | {e.number[-4:] for e in book}
        assert len(words) > 100
        known = json.dumps((await town.api.get("/api/v1/snapshot")).json(), ensure_ascii=False)
        assert [w for w in words if w in known], "the staff's picture does name people"
        page = (await hall.get(f"/kiosk/wall?lang={lang}")).text
        assert "301" in page
        assert 'data-state="sos"' in page or 'data-state="claimed"' in page
        assert [w for w in words if w in page] == []
        for feed in ("snapshot", "stream"):
            assert (await hall.get(f"/api/v1/{feed}")).status_code == 401


@pytest.mark.sqlite_only(reason="reads SQLite's own words for a plan")
async def test_a_page_costs_few_looks_whatever_the_past(tmp_path: Path) -> None:
    """The history behind a door and a contact's last words are found by an index."""
    async with a_town(tmp_path, START) as town:
        plans = {
            "ix_journal_flat": "SELECT * FROM journal WHERE flat_id IN (1, 2)"
            " AND kind <> 'signal' AND kind IN ('resident_away') ORDER BY seq DESC LIMIT 5",
            "ix_inbound_person": "SELECT person_id, max(received_at) FROM inbound"
            " WHERE person_id IN (1, 2) GROUP BY person_id",
        }
        for index, query in plans.items():
            plan = await town.sql(
                lambda c, q=query: str(c.execute(text(f"EXPLAIN QUERY PLAN {q}")).all())
            )
            assert index in plan, plan


async def test_a_time_is_found_in_a_table_by_its_ids(tmp_path: Path) -> None:
    """Never past the first row of that time, and no more than the slack before it."""
    async with a_town(tmp_path, START) as town:
        message = t.table(t.Message)
        at = START + timedelta(hours=1)
        assert await town.sql(lambda c: first_id(c, message, "created_at", at)) == 0
        await keep_rounds(town, 2, missed=(0, 1, 2, 3))
        rows = await town.sql(
            lambda c: c.execute(message.select().order_by(message.c.id)).mappings().all()
        )
        assert len(rows) > 4
        for at in [START, *(r["created_at"] for r in rows), START + timedelta(days=9)]:
            found = await town.sql(lambda c, a=at: first_id(c, message, "created_at", a))
            before = [r for r in rows if r["id"] < found]
            assert all(r["created_at"] < at - SLACK for r in before)
            later = [r["id"] for r in rows if r["created_at"] >= at - SLACK]
            assert found == min(later, default=rows[-1]["id"] + 1)


