"""A row of the register that can't be read any more: it costs nobody else anything, whoever it is
about is called and watched all the same, and staff see which one it is."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from town import GZ, HEAD, SECOND, Town, a_town

from server.service import sweep
from server.store import rosters

DUTY = tuple(f"+861000000010{n}" for n in range(1, 7))
EARLY, SLEEPER = DUTY[:2], DUTY[4]
NO_INSTANT = 9_000_000_000_000_000_000
"""Milliseconds that are in no year we know."""
NIGHT = datetime(2026, 3, 14, 4, 0, tzinfo=GZ)
HERS = "id = (SELECT resident_id FROM terminal WHERE id = 'gd-11-301')"
SHIFT = "person_id = (SELECT id FROM person WHERE phone = '+8610000000105')"


async def spoil(town: Town, table: str, what: str, where: str) -> None:
    """A disk's fault, or a hand in the database."""

    def change(conn: Connection) -> None:
        assert conn.execute(text(f"UPDATE {table} SET {what} WHERE {where}")).rowcount

    await town.sql(change)


@pytest.mark.parametrize(
    ("table", "what", "called"),
    [
        ("duty_shift", "starts = '25:00'", (*EARLY, SLEEPER)),
        ("duty_shift", "days = ''", (*EARLY, SLEEPER)),
        ("duty_shift", "ends = 'noon'", (*EARLY, SLEEPER)),
        ("assignment", f"absent_until = {NO_INSTANT}", EARLY),
        ("assignment", f"absent_until = -{NO_INSTANT}", EARLY),
    ],
)
async def test_a_spoilt_rota_costs_no_press(
    town: Town, table: str, what: str, called: tuple[str, ...]
) -> None:
    """One of the night's people has a shift or an absence that can't be read. She presses: her
    stewards are told, the ladder climbs to the care centre, and whose shift it may be is called as
    well. Staff see it, and it closes when it is entered anew."""
    await spoil(town, table, what, SHIFT)
    await town.press()
    await town.expect_sms(HEAD, "求助")
    await town.expect_sms(SECOND, "SOS")
    await town.watch(120)
    await town.forget_sms()
    await town.watch(120)
    for number in called:
        await town.expect_sms(number, "求助4分钟")
    await town.no_more_sms()
    assert await town.faults() == ["register_broken"]
    who = await town.person(SLEEPER)
    night = {"days": [1, 2, 3, 4, 5, 6, 7], "starts": "21:30", "ends": "05:30"}
    path, reason = f"/api/v1/people/{who}", {"reason": "entered anew"}
    assert (await town.api.get("/api/v1/rota")).status_code == 200
    (await town.api.put(f"{path}/shifts", json={"shifts": [night], **reason})).raise_for_status()
    until = (town.runtime.clock.now() + timedelta(hours=1)).isoformat()
    (await town.api.post(f"{path}/absence", json={"until": until, **reason})).raise_for_status()
    await town.watch(1)
    assert await town.faults() == []


async def test_a_role_that_is_none_stands_on_no_step(town: Town) -> None:
    """And all others on the ladder are told."""
    await spoil(town, "assignment", "role = 'stewart'", "role = 'steward' AND person_id ="
                f" (SELECT id FROM person WHERE phone = '{SECOND}')")  # fmt: skip
    await town.press()
    await town.expect_sms(HEAD, "求助")
    await town.no_more_sms()


async def test_where_nobody_can_be_looked_up_all_of_the_desk_is_texted(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stands behind a ladder can't be told at all: her press is stored, everybody who ever has
    the duty reads her door, the neighbour's check-in in the same batch counts; pressed again they
    read it again a minute later. When it can be told again, the ladder climbs by itself."""

    def broken(*_: object) -> None:
        raise LookupError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr(rosters, "rosters", broken)
        batch = [town.event("checkin", "gd-11-303"), town.event("sos")]
        assert await town.signals(*batch) == ["stored", "stored"]
        for number in DUTY:
            await town.expect_sms(number, "11栋3楼301求助")
        await town.press()
        await town.no_more_sms()
        town.hand.at_s += 61
        await town.press()
        for number in DUTY:
            await town.expect_sms(number, "11栋3楼301求助")
    assert await town.faults() == ["broken_alert"]
    town.hand.at_s += 61
    await town.watch(1)
    assert (await town.sos())["next_step"] is not None
    climbed = [e["kind"] for e in await town.journal() if e["kind"] in ("climbed", "repeated")]
    assert climbed


async def test_the_ladders_climb_though_nobody_can_tell_what_is_due(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question that fails must not stop those who wait for the next step."""

    def broken(*_: object) -> None:
        raise ValueError("a row that can't be read")

    await town.press()
    await town.forget_sms()
    monkeypatch.setattr(sweep, "what_is_due", broken)
    await town.watch(121)
    await town.expect_sms(HEAD, "求助")


def at(hour: int, minute: int = 0) -> datetime:
    """An instant of that day in Guangzhou."""
    return NIGHT.replace(hour=hour, minute=minute)


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Town]:
    """The town at four in the morning, with a gateway connected."""
    async with a_town(tmp_path, NIGHT) as town:
        await town.gateway_lives()
        yield town


async def check_ins(town: Town, *but: str) -> list[dict[str, Any]]:
    """Everybody's, without those of these terminals."""
    found = [r["terminal_id"] for b in range(1, 13) for r in (await town.residents(b)).values()]
    return [town.event("checkin", terminal) for terminal in found if terminal not in but]


async def missed(town: Town) -> list[str]:
    """The doors of building 11 that are looked for."""
    found = await town.alerts(kind="missed", state="unresolved", building=11)
    return sorted(i["label"] for a in found for i in a["items"] if i["state"] == "open")


SPOILT = [
    "risk_class = 'Z'", f"next_due_at = {NO_INSTANT}", f"next_due_at = -{NO_INSTANT}",
    f"last_sign_at = {NO_INSTANT}", f"absent_until = {NO_INSTANT}",
]  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
async def test_her_spoilt_row_costs_neither_her_press_nor_a_check_in(
    night: Town, what: str
) -> None:
    """She presses while all but one of the town check in: her stewards are called to her door, and
    that one is missed, nobody else. Staff see whose row it is until it is mended."""
    await spoil(night, "resident", what, HERS)
    batch = [*await check_ins(night, "gd-11-303"), night.event("sos")]
    await night.watch_until(at(4, 30))
    assert await night.faults() == ["register_broken"]
    assert set(await night.signals(*batch)) == {"stored"}
    await night.expect_sms(HEAD, "11栋3楼301求助")
    await night.watch_until(at(6, 5))
    assert await missed(night) == ["303"]
    assert "register_broken" in await night.faults()
    await spoil(night, "resident", "risk_class = 'B', last_sign_at = 0, absent_until = NULL", HERS)
    await night.watch_until(at(17, 30))
    assert "register_broken" not in await night.faults()


@pytest.mark.parametrize("what", SPOILT)
async def test_whoever_is_silent_is_missed_with_a_spoilt_row_too(night: Town, what: str) -> None:
    """She says nothing, and one of her neighbours neither: both are looked for."""
    await spoil(night, "resident", what, HERS)
    batch = await check_ins(night, "gd-11-301", "gd-11-303")
    await night.watch_until(at(4, 30))
    await night.signals(*batch)
    await night.watch_until(at(6, 5))
    assert await missed(night) == ["301", "303"]


async def test_a_birthday_that_can_not_be_read_costs_no_press(night: Town) -> None:
    """The call names her door all the same; how old she is, nobody needs to know."""
    if night.runtime.database.sqlite:  # PostgreSQL would not take it
        await spoil(night, "resident", "birth_date = '31 February'", HERS)
    await night.press()
    await night.expect_sms(HEAD, "11栋3楼301求助")


async def test_one_who_can_not_be_judged_costs_nobody_else_their_judgement(
    night: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours about one flat: her neighbour and the next house are looked for at once,
    staff see which flat it is, and it is tried again every minute."""
    item = sweep._item

    def broken(row: Any) -> Any:
        assert row.label != "303", "a mistake of ours"
        return item(row)

    batch = await check_ins(night, "gd-11-301", "gd-11-303", "gd-12-302")
    await night.watch_until(at(4, 30))
    await night.signals(*batch)
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "_item", broken)
        await night.watch_until(at(6, 5))
        assert await missed(night) == ["301"]
        assert len(await night.alerts(kind="missed", building=12)) == 1
        assert await night.faults() == ["register_broken"]
    await night.watch(61)
    assert await missed(night) == ["301", "303"]
