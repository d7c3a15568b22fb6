"""A battery is foreseen to be flat, and a new one ends the warning."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update
from town import GRANNY, GZ, Town, a_town

from server import tables as t

TEN = datetime(2026, 3, 14, 10, 0, tzinfo=GZ)
SAMPLE = t.table(t.BatteryDay)
OTHER = "gd-11-303"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """The town at half past nine in the morning."""
    async with a_town(tmp_path, TEN - timedelta(minutes=30)) as running:
        await running.gateway_lives()
        # Nobody is awaited in a round: this is about batteries.
        away = update(t.table(t.Resident)).values(state="paused", absent_until=None)
        await running.sql(lambda c: c.execute(away))
        yield running


async def day(town: Town, at: datetime, **levels: int) -> None:
    """A day on which these terminals say so much of their batteries, and it has become ten."""
    await town.watch_until(at - timedelta(minutes=10))
    beats = [
        {"t": name.replace("_", "-"), "boot": 1, "bat": level, "mains": False}
        for name, level in levels.items()
    ]
    for _ in range(3):  # a heartbeat more or less is no more rows
        await town.signals(heartbeats=beats)
    await town.watch_until(at)


async def rows(town: Town) -> int:
    """How many readings are kept."""
    query = select(func.count()).select_from(SAMPLE)
    return int(await town.sql(lambda c: c.execute(query).scalar_one()))


async def test_a_battery_is_foreseen_and_its_replacement_ends_the_warning(town: Town) -> None:
    """Two percent a day: nothing for a week, then a warning with the days left, long before it is
    flat; nobody is texted; two days with a new battery close it. One row a terminal and day."""
    level, at, told = 50, TEN, 0
    for n in range(20):
        await day(town, at, gd_11_301=level, gd_11_303=90)
        assert await rows(town) == 2 * (n + 1)
        if await town.faults():
            told = level
            break
        at, level = at + timedelta(days=1), level - 2
    assert told >= 34
    (fault,) = await town.alerts(kind="fault", state="unresolved")
    assert (fault["fault"], fault["terminal_id"]) == ("battery_soon", GRANNY)
    days_left = int(fault["detail"].split(", ")[1].removesuffix(" d"))
    assert 12 <= days_left <= 14
    for level in (100, 99):
        assert await town.faults() == ["battery_soon"]
        at += timedelta(days=1)
        await day(town, at, gd_11_301=level, gd_11_303=90)
    assert await town.faults() == []


async def test_a_silent_terminal_has_no_reading(town: Town) -> None:
    """What a terminal said two days ago is not its battery of today."""
    await day(town, TEN, gd_11_301=50)
    await day(town, TEN + timedelta(days=1))
    await day(town, TEN + timedelta(days=2))
    assert await rows(town) == 1


async def test_readings_are_forgotten(town: Town) -> None:
    """Sixty days are kept, whatever there was before; a day once read is not read again."""
    today = TEN.toordinal() - datetime(1970, 1, 1, tzinfo=GZ).toordinal()
    old = [{"terminal_id": GRANNY, "day": today - n, "level": 90} for n in range(1, 100)]
    await town.sql(lambda c: c.execute(insert(SAMPLE), old))
    await day(town, TEN, gd_11_301=90)
    assert await rows(town) == 61
    await town.signals(heartbeats=[{"t": OTHER, "boot": 1, "bat": 70}])
    await town.watch(3600)
    assert await rows(town) == 61


async def test_a_flat_battery_is_found_even_if_the_terminal_said_nothing(town: Town) -> None:
    """Three days at the bottom without a word of it: a low battery, as if it had told."""
    for n in range(3):
        await day(town, TEN + timedelta(days=n), gd_11_301=8)
    assert await town.faults() == ["battery_low"]
