"""What is past its time goes, in small chunks; what anything open needs stays."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select
from town import GRANNY, HEAD, Town, a_town

from server import retention
from server import tables as t

SIGNAL, JOURNAL, MESSAGE = t.table(t.Signal), t.table(t.Journal), t.table(t.Message)
DAY_S = 86_400


async def count(town: Town, table: Any) -> int:
    """How many rows there are."""
    query = select(func.count()).select_from(table)
    return int(await town.runtime.database.read(lambda c: c.execute(query).scalar_one()))


async def cleared(town: Town) -> dict[str, int]:
    """One day's clearing."""
    job = retention.Retention(town.runtime.database, town.runtime.settings)
    return await job.clear(asyncio.Event())


async def test_nothing_young_goes(tmp_path: Path) -> None:
    """The morning after an alert everything is still there."""
    async with a_town(tmp_path) as town:
        await town.press()
        await town.settled()
        town.hand.at_s += DAY_S
        assert await cleared(town) == {}


async def test_the_closed_goes_and_the_open_stays(tmp_path: Path) -> None:
    """Three years on: a closed alert's messages and journal are gone, an open one's are all there;
    the journal's newest number stays, so that no follower is thrown back."""
    async with a_town(tmp_path) as town:
        devices = (await town.api.get("/api/v1/terminals")).json()["terminals"]
        other = next(d["id"] for d in devices if d["id"] != GRANNY)
        await town.press()
        await town.press("sos", other)
        await town.expect_sms(HEAD, "求助")
        await town.settled()
        first, second = await town.alerts(kind="sos")
        await town.act(first["id"], "resolve", outcome="safe")
        newest = (await town.journal())[-1]["seq"]
        town.hand.at_s += 3 * 365 * DAY_S
        gone = await cleared(town)
        assert gone["signal"] == 2
        left = {m["alert_id"] for m in (await town.api.get("/api/v1/messages")).json()["messages"]}
        assert left == {second["id"]}
        entries = await town.journal()
        about = {e["alert_id"] for e in entries if e["seq"] != newest}
        assert about == {second["id"]}
        assert entries[-1]["seq"] >= newest
        assert (await town.alerts(kind="sos"))[0]["id"] == first["id"], "alerts themselves stay"


async def test_many_rows_go_in_chunks_and_a_press_goes_first(tmp_path: Path) -> None:
    """Thousands of old events: no transaction takes more than a chunk of them, and a press that
    comes meanwhile is stored before the clearing is done."""
    async with a_town(tmp_path) as town:
        old = town.runtime.clock.now() - timedelta(days=400)
        rows = [
            {"terminal_id": GRANNY, "boot": 0, "seq": n, "type": "checkin", "received_at": old,
             "late": False, "test": False}
            for n in range(4 * retention.CHUNK + 7)
        ]  # fmt: skip
        for start in range(0, len(rows), 1000):
            some = rows[start : start + 1000]
            await town.sql(lambda c, some=some: c.execute(insert(SIGNAL), some))
        clearing = asyncio.create_task(cleared(town))
        while await count(town, SIGNAL) == len(rows):
            await asyncio.sleep(0.005)
        await town.press()
        assert not clearing.done(), "the press did not wait for the end"
        assert (await clearing)["signal"] == len(rows)
        assert await count(town, SIGNAL) == 1


async def test_services_go_after_their_end_and_the_hours_stay(tmp_path: Path) -> None:
    """What waits stays, however old; what is closed goes; no line of the ledger ever does."""
    async with a_town(tmp_path) as town:
        her = (await town.residents(11))["301"]["id"]

        async def post(path: str, **body: Any) -> dict[str, Any]:
            answer = await town.api.post(f"/api/v1/{path}", json=body)
            return dict(answer.raise_for_status().json())

        asked = {"resident_id": her, "kind": "repair", "words": "灯坏了"}
        waiting, done = await post("requests", **asked), await post("requests", **asked)
        helper = await town.person(HEAD)
        await post(f"requests/{done['id']}/take", as_person_id=helper)
        await post(f"requests/{done['id']}/done", ending="solved", minutes=30)
        owed = await post("visits", resident_id=her, cause="hardship")
        paid = await post("visits", resident_id=her, cause="illness")
        await post(f"visits/{paid['id']}/done")
        await post(f"residents/{her}/greeting", outcome="well")
        town.hand.at_s += 3 * 365 * DAY_S
        gone = await cleared(town)
        assert {k: gone[k] for k in ("help_request", "visit", "greeting")} == {
            "help_request": 1, "visit": 1, "greeting": 1,
        }  # fmt: skip
        left = (await town.api.get("/api/v1/requests?which=all")).json()["requests"]
        assert [r["id"] for r in left] == [waiting["id"]]
        assert [v["id"] for v in (await town.api.get("/api/v1/visits")).json()["owed"]] == [
            owed["id"]
        ]
        assert (await town.api.get("/api/v1/hours")).json()["given"] == 30
