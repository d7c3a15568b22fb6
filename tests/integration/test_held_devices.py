"""A device whose word is just coming in, at another server, is not called silent (PostgreSQL)."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import postgres
import psycopg
import pytest
from town import GRANNY, a_town

pytestmark = pytest.mark.sqlite_only(reason="chosen below: SQLite has one writer at a time")


@pytest.fixture(autouse=True)
def on_postgres() -> Iterator[None]:
    """Two transactions at work on one row need PostgreSQL."""
    with postgres.for_this_test():
        yield


@pytest.mark.parametrize(
    ("overdue", "its_word"),
    [
        ("heartbeat_due_at = 1, status = 'online'", "heartbeat_due_at = 4e15, status = 'online'"),
        ("mains_due_at = 1", "mains_due_at = 4e15"),
    ],
    ids=["heartbeat", "mains"],
)
async def test_its_word_is_coming_in(tmp_path: Path, overdue: str, its_word: str) -> None:
    """Her terminal and her neighbour's are overdue; hers speaks in a transaction that has not
    ended. The sweep finds the neighbour's, waits for nobody, and hers is as it said."""
    async with a_town(tmp_path) as town:
        await town.gateway_lives()
        await town.watch(120)  # we see well, and have for a while
        dsn = postgres.dsn_of(town.runtime.settings.database_url)
        with psycopg.connect(dsn, autocommit=True) as tool:
            found = tool.execute("SELECT min(id) FROM terminal WHERE id > %s", (GRANNY,)).fetchone()
            assert found is not None
            other = found[0]
            tool.execute(f"UPDATE terminal SET {overdue} WHERE id IN (%s, %s)", (GRANNY, other))
        with psycopg.connect(dsn) as word:
            word.execute(f"UPDATE terminal SET {its_word} WHERE id = %s", (GRANNY,))
            async with asyncio.timeout(20):  # less than a statement may wait for a row
                await town.ring()
            word.commit()
            left = word.execute(
                "SELECT id, status, heartbeat_due_at, mains_due_at FROM terminal"
                " WHERE id IN (%s, %s) ORDER BY id = %s", (GRANNY, other, GRANNY)
            ).fetchall()  # fmt: skip
        judged, hers = left
        assert (judged[1], judged[3]) == ("lost" if "status" in overdue else "unknown", None)
        assert hers[1] == ("online" if "status" in overdue else "unknown")
        assert 4e15 in hers[2:]
        assert [f for f in await town.alerts(kind="fault") if f.get("terminal_id") == GRANNY] == []
