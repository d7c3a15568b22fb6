"""A clock that is set back delays nobody's help."""

from pathlib import Path

import pytest
from town import HEAD, Town, a_town

from server import jobs

HOUR = 3600
pytestmark = pytest.mark.sqlite_only(
    reason="where several servers share a database, no clock is believed alone"
)


async def rung(town: Town, sweeper: jobs.Sweeper) -> None:
    """One ring of a sweeper that remembers the one before."""
    await sweeper.ring()
    town.runtime.database.bell.ring("outbox")
    await town.settled()


async def test_a_step_due_in_two_minutes_stays_due_in_two_minutes(town: Town) -> None:
    """An hour back while she waits: the substitute is called two minutes after the press, not an
    hour later; staff see that the clock was set."""
    monotonic = 0.0
    sweeper = jobs.Sweeper(town.runtime.database, town.runtime.house, lambda: monotonic)
    await town.gateway_lives()
    await town.press()
    await town.forget_sms()
    await rung(town, sweeper)
    town.hand.at_s += 60 - HOUR
    monotonic += 60
    await rung(town, sweeper)
    assert await town.faults() == ["clock_jumped"]
    await town.no_more_sms()
    town.hand.at_s += 61
    monotonic += 61
    await rung(town, sweeper)
    await town.expect_sms("+8610012000101", "求助")


async def test_a_restart_with_an_older_clock_delays_no_message(tmp_path: Path) -> None:
    """The provider is down, the power goes, the machine comes back an hour in the past: the two
    messages leave within seconds, and a gateway heard "in the future" hides no blindness."""
    async with a_town(tmp_path) as town:
        await town.gateway_lives()
        await town.fault("503", count=1000)
        await town.press()
        await town.settled()
        hand = town.hand
    hand.at_s -= HOUR
    async with a_town(tmp_path, hand=hand) as town:
        assert await town.faults() == ["clock_jumped"]
        hand.at_s += 20
        town.runtime.database.bell.ring("outbox")
        await town.expect_sms(HEAD, "求助")
        await town.pass_unheard(70)
        assert "blind" in await town.faults()
