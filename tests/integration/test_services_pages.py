"""The pages of the services over the real server, with a browser that runs no scripts."""

import re

import pytest
from staff_kit import login, make_account
from test_services_requests import granny
from town import HEAD, Town

from server.core import hours as core
from server.core.hours import EntryKind
from server.service.help import hours

pytestmark = pytest.mark.sqlite_only("the use-cases behind run on both databases elsewhere")


async def test_a_day_at_the_desk(town: Town) -> None:
    """Written down on the resident's page, taken by a steward, done and paid from a neighbour's
    savings; a visit promised and paid; a greeting; a statement that is put right."""
    her, head = await granny(town), await town.person(HEAD)
    gift = core.gift("round:1:1:1", EntryKind.ROUND, 1, head, 90)
    await town.runtime.database.write(lambda tx: hours.post(tx, gift, by="test"))
    await make_account(town, "mai", "coordinator")
    desk = await login(town, "mai")

    async def send(path: str, **form: str) -> str:
        answer = await desk.post(path, data=form)
        assert answer.status_code == 303, (path, answer.status_code, answer.text[-600:])
        return str(answer.headers["location"])

    async def read(path: str) -> str:
        return (await desk.get(path)).raise_for_status().text

    try:
        form = await read(f"/residents/{her}")
        key = re.search(r'name="key" value="([^"]+)"', form)
        assert key is not None
        wish = {"resident_id": str(her), "key": key[1], "kind": "errand", "words": "买米",
                "source": "phone"}  # fmt: skip
        where = await send("/requests", **wish)
        assert await send("/requests", **wish) == where, "a double tap is one request"
        assert "买米" in await read("/requests")
        await send(f"{where}/take", name="王师傅")
        page = await read(where)
        assert f'value="{head}"' in page, "who has savings can pay"
        await send(f"{where}/done", ending="solved", minutes="45", payer=str(head), why="送到家")
        assert "0:45" in await read(f"/hours/{head}")
        assert "买米" not in await read("/requests")
        assert "买米" in await read("/requests?which=closed")

        back = await send("/visits", resident_id=str(her), cause="hardship", why="低保停了",
                          next=f"/residents/{her}")  # fmt: skip
        assert back == f"/residents/{her}"
        assert "低保停了" in await read("/visits")
        visit = re.search(r'action="(/visits/\d+)/done"', await read("/visits"))
        assert visit is not None
        wrong = await desk.post(f"{visit[1]}/done", data={"on": "2026-03-32"})
        assert (wrong.status_code, "日期写法不对" in wrong.text) == (409, True)
        await send(f"{visit[1]}/done", visitor="吴秀兰", on="2026-03-14", note="已补办")
        assert "已补办" in await read(f"/residents/{her}")

        await send(f"/greetings/{her}", outcome="wants", note="想理发", kind="haircut", turn="1")
        assert "想理发" in await read("/requests")
        assert "想理发" in await read("/greetings")
        assert (await desk.get("/greetings/sheet")).status_code == 200

        entry = re.search(r'name="entry" value="(\d+)"', await read(f"/hours/{head}"))
        assert entry is not None
        await send(f"/hours/{head}/counter", entry=entry[1], why="没有送到")
        assert "没有送到" in await read(f"/hours/{head}")
        table = (await desk.get(f"/hours/{head}/statement.csv")).raise_for_status()
        assert table.text.count("\n") == 4
        assert "1:30" in await read("/hours")
    finally:
        await desk.aclose()


async def test_a_door_is_found_or_the_desk_is_told(town: Town) -> None:
    """By "11-301"; what is not there, or not of this account's houses, is said in words."""
    await make_account(town, "of-six", "operator", "building", "6")
    await make_account(town, "mai", "coordinator")
    form = {"place": "11-301", "kind": "repair", "words": "灯", "source": "desk"}
    for who, status in (("mai", 303), ("of-six", 409)):
        desk = await login(town, who)
        try:
            answer = await desk.post("/requests", data=form)
            assert answer.status_code == status, who
            if status == 409:
                assert "没有这一户" in answer.text
                assert "灯</textarea>" in answer.text, "what was typed is still there"
                her = str(await granny(town))
                answer = await desk.post("/visits", data={"resident_id": her, "cause": "other"})
                assert answer.status_code == 409
                assert "低保" not in answer.text
            wrong = await desk.post("/requests", data={**form, "kind": "nonsense"})
            assert wrong.status_code == 409
        finally:
            await desk.aclose()
