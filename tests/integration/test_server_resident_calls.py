"""Ringing residents before their round is due: 1 is a sign of life, a machine is none."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from town import GZ, HEAD, Town, a_town

from server import tables as t

OPENS = datetime(2026, 3, 14, 4, 30, tzinfo=GZ)
CALL_AT = datetime(2026, 3, 14, 5, 50, tzinfo=GZ)
JUDGED = datetime(2026, 3, 14, 6, 5, tzinfo=GZ)
GRANDPA, GRANDMA = "+8610011000901", "+8610011000902"
RESIDENT = t.table(t.Resident)


@pytest.fixture
async def dawn(tmp_path: Path) -> AsyncIterator[Town]:
    """Half past four, a plan that staff have made ring at ten to six; the residents of 301 and 303
    have telephones."""
    async with a_town(tmp_path, start=OPENS + timedelta(minutes=1)) as town:
        plan = (await town.api.get("/api/v1/rounds/plan")).json()["rounds"]
        plan = [{**r, "call_at": "05:50"} if r["due"] == "06:00" else r for r in plan]
        body = {"rounds": plan, "reason": "冬天起得晚"}
        after = await town.api.put("/api/v1/rounds/plan", json=body)
        assert after.json()["rounds"] == plan, "what is read can be sent back"
        residents = await town.residents()
        for flat, phone in (("301", GRANDPA), ("303", GRANDMA)):
            change = update(RESIDENT).where(RESIDENT.c.id == residents[flat]["id"])
            change = change.values(phone=phone)
            await town.sql(lambda c, q=change: c.execute(q))
        yield town


async def missed(town: Town) -> set[str]:
    """Flats of building 11 that are looked for."""
    found = await town.alerts(kind="missed", state="unresolved")
    return {i["label"] for a in found for i in a["items"] if a["building"] == "11栋"}


async def test_a_resident_presses_one(dawn: Town) -> None:
    """Rung once at ten to six; hears what it is about; 1 is a sign of life for this round, in the
    journal, and nobody looks for them at six. Who did not pick up is looked for."""
    await dawn.watch_until(CALL_AT - timedelta(minutes=1))
    await dawn.watch_until(CALL_AT)
    assert "请按1" in await dawn.pick_up(GRANDPA)
    assert "平安" in await dawn.key(GRANDPA, "1")
    await dawn.watch_until(CALL_AT + timedelta(minutes=2))
    await dawn.on_call(GRANDMA, "no-answer")
    kinds = [e["kind"] for e in await dawn.journal()]
    assert kinds.count("checked_in_by_phone") == 1
    assert kinds.count("round_rung") == 1
    await dawn.watch_until(JUDGED + timedelta(seconds=20))
    flats = await missed(dawn)
    assert "301" not in flats
    assert "303" in flats
    assert len(await dawn.calls(GRANDPA)) == len(await dawn.calls(GRANDMA)) == 1
    assert await dawn.calls(HEAD) == []


async def test_a_machine_is_no_sign_of_life(dawn: Town) -> None:
    """The mailbox answers for them: missed like anybody who is silent."""
    await dawn.watch_until(CALL_AT)
    await dawn.on_call(GRANDPA, "machine")
    await dawn.watch_until(JUDGED + timedelta(seconds=20))
    assert "301" in await missed(dawn)
    assert "steward_unreachable" not in await dawn.faults()


async def test_who_has_checked_in_is_not_rung(dawn: Town) -> None:
    """The terminal was pressed in time: the telephone stays quiet."""
    await dawn.press("checkin")
    await dawn.watch_until(CALL_AT)
    await dawn.rings(GRANDMA)
    assert await dawn.calls(GRANDPA) == []
