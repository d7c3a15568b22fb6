"""/readyz tells the truth: to who sends us traffic, and to who watches what lies behind."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
from sqlalchemy import make_url, update
from town import Town, a_town

from server import tables as t


async def ready(town: Town) -> tuple[int, dict[str, object]]:
    """Ask, without the few seconds for which an answer is kept."""
    town.runtime.probe.good_for_s = 0.0
    answer = await town.api.get("/readyz")
    return answer.status_code, answer.json()


async def test_all_is_well(town: Town) -> None:
    """A gateway is heard, nothing is overdue."""
    await town.gateway_lives()
    code, body = await ready(town)
    assert (code, body["status"], body["database"], body["overdue"]) == (200, "ok", "ok", [])


@contextlib.contextmanager
def unwritable(town: Town) -> Iterator[None]:
    """Somebody else holds what every write needs."""
    url = town.runtime.settings.database_url
    if town.runtime.database.sqlite:
        tool = sqlite3.connect(str(make_url(url).database), isolation_level=None)
        tool.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            tool.execute("ROLLBACK")
            tool.close()
        return
    import postgres

    with psycopg.connect(postgres.dsn_of(url)) as conn:
        conn.execute("LOCK TABLE alembic_version IN EXCLUSIVE MODE")
        yield
        conn.rollback()


async def test_a_database_that_takes_no_write_is_not_ready(town: Town) -> None:
    """It still reads well, and a press would not be stored: 503, and well again afterwards."""
    town.runtime.probe.patience_s = 0.2
    with unwritable(town):
        for _ in range(3):  # and asking again piles nothing up
            code, body = await ready(town)
            assert code == 503
            assert "can't be written" in str(body["database"])
    town.runtime.probe.patience_s = 10
    assert (await ready(town))[0] == 200


async def test_a_sweep_that_stands_still_is_told(town: Town) -> None:
    """Steps that were due more than a minute ago: degraded, by name, and not out of service."""
    await town.press()
    await town.forget_sms()
    town.hand.at_s += 120 + 61  # nobody rings the bell
    code, body = await ready(town)
    assert (code, body["status"], body["overdue"]) == (200, "degraded", ["steps"])
    await town.move(1)
    assert (await ready(town))[1]["status"] == "ok"


async def test_an_outbox_that_stands_still_is_told(town: Town) -> None:
    """A message that should have left long ago, because its worker is gone."""
    await town.press()
    await town.forget_sms()
    message = t.table(t.Message)
    longer_ago = town.runtime.clock.now().replace(year=2025)
    await town.sql(lambda c: c.execute(update(message).values(lane=99, due_at=longer_ago)))
    code, body = await ready(town)
    assert (code, body["status"], body["overdue"]) == (200, "degraded", ["messages"])


async def test_a_stranger_can_not_make_us_write(tmp_path: Path) -> None:
    """However often the question is asked, one write in five seconds answers it."""
    async with a_town(tmp_path) as town:
        await town.api.get("/readyz")
        asked = town.runtime.probe.asked_at_s
        for _ in range(20):
            await town.api.get("/readyz")
        assert town.runtime.probe.asked_at_s == asked
