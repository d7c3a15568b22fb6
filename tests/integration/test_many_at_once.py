"""What is asked and written otherwise for many at once comes to the same as for few."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, select
from town import Town

from server import tables as t
from server.core.words import Channel, Role, Template
from server.store import outbox, rosters, signals


async def test_rosters_of_many_houses_are_those_of_each(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many houses, what is known of a house is asked by itself and not beside each person."""
    resident, now = t.table(t.Resident), town.runtime.clock.now()
    doors = await town.runtime.database.read(
        lambda c: [(r.building_id, r.id) for r in c.execute(select(resident))]
    )
    houses: list[tuple[int | None, int | None]] = [(b, None) for b in {b for b, _ in doors}]
    wanted = [*houses, *doors]
    assert len(houses) > 2
    monkeypatch.setattr(rosters, "MANY", 2)
    many = await town.runtime.database.read(lambda c: rosters.rosters(c, wanted, now))
    monkeypatch.setattr(rosters, "MANY", 1000)
    few = await town.runtime.database.read(lambda c: rosters.rosters(c, wanted, now))
    assert many == few
    assert all(len(many[house].stewards) == 2 for house in houses)


@pytest.mark.parametrize("count", [outbox.MANY - 1, outbox.MANY + 1])
async def test_messages_that_are_queued_together_have_their_ids_in_order(
    town: Town, count: int
) -> None:
    """One that is in the outbox already has none; the others have theirs, whatever their number."""
    await town.press()
    now = town.runtime.clock.now()
    alert = (await town.sos())["id"]
    person = (await town.runtime.database.read(rosters.desk))[0]
    rows = [
        {
            "alert_id": alert, "person_id": person["id"], "role": Role.DUTY.value, "step": 7,
            "attempt": n, "channel": Channel.SMS.value, "template": Template.DUTY.value,
            "lane": 1, "phone": person["phone"], "body": f"body {n}",
            "due_at": now + timedelta(hours=1), "created_at": now,
        }
        for n in range(count)
    ]  # fmt: skip
    await town.runtime.database.write(lambda tx: outbox.enqueue_many(tx.conn, rows[3:5]))
    made = await town.runtime.database.write(lambda tx: outbox.enqueue_many(tx.conn, rows))
    assert [n for n, message_id in enumerate(made) if message_id is None] == [3, 4]
    bodies = await town.runtime.database.read(
        lambda c: {m["id"]: m["body"] for m in outbox.after(c, 0, 1000)}
    )
    assert {n: bodies[i] for n, i in enumerate(made) if i} == {
        n: f"body {n}" for n in range(count) if n not in (3, 4)
    }


async def test_whether_so_many_are_overdue(town: Town) -> None:
    """Counted are those who are watched and whose deadline has come."""
    resident, now = t.table(t.Resident), town.runtime.clock.now()
    watched = await town.runtime.database.read(lambda c: sorted(c.execute(
        select(resident.c.id).where(resident.c.state == "active")
    ).scalars()))  # fmt: skip
    overdue = resident.update().where(resident.c.id.in_(watched[:5]))
    await town.sql(lambda c: c.execute(overdue.values(next_due_at=now)))

    async def more_than(many: int) -> bool:
        return await town.runtime.database.read(
            lambda c: signals.so_many_overdue(c, now, many)
        )

    assert [await more_than(many) for many in (0, 4, 5, 200)] == [True, True, False, False]


async def test_whoever_stands_behind_a_house_is_found_by_index(
    town: Town, database: str
) -> None:
    """A press of a city must not read every steward there is. (So few as here PostgreSQL would read
    anyhow, so it is told not to where it can do otherwise.)"""
    seen: list[tuple[Connection, str, Any]] = []

    def note(conn: Connection, _cursor: Any, words: str, values: Any, *_rest: Any) -> None:
        seen.append((conn, words, values))

    def plans(conn: Connection) -> str:
        explain = "EXPLAIN QUERY PLAN"
        if database == "postgres":
            explain = "EXPLAIN"
            conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
        now = town.runtime.clock.now()
        rosters.rosters(conn, [(1, 1)], now)  # as a press asks
        rosters.rosters(conn, [(n, None) for n in range(1, rosters.MANY + 5)], now)  # and a round
        asked = [(w, v) for by, w, v in seen if by is conn and "FROM assignment" in w]
        assert len(asked) == 2
        steps = [conn.exec_driver_sql(f"{explain} {words}", values) for words, values in asked]
        return str([tuple(row) for plan in steps for row in plan])

    engine = town.runtime.database.reader
    event.listen(engine, "before_cursor_execute", note)
    found = await town.runtime.database.read(plans)
    event.remove(engine, "before_cursor_execute", note)
    assert not re.search("Seq Scan on assignment|SCAN assignment", found), found
    assert "ix_assignment_office" in found
