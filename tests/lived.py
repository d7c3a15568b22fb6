"""A town with a past, for the pages that show one: rounds that were kept and missed, an SOS that
ended well, an absence, a terminal that fell silent. Everything goes the real way in."""

from datetime import datetime, timedelta

from tests.town import GRANNY, GZ, HEAD, Town

START = datetime(2026, 3, 9, 3, 0, tzinfo=GZ)
FORGETFUL = "gd-11-301"
"""The woman of 14 March also sleeps through a round."""


def rounds(days: int) -> list[tuple[datetime, datetime]]:
    """(when people press, when the round is over) of each round of so many days from START."""
    midnight = START.replace(hour=0)
    found = []
    for day in range(days):
        for press, over in ((5.5, 6.2), (18.5, 19.2)):
            at = midnight + timedelta(days=day)
            found.append((at + timedelta(hours=press), at + timedelta(hours=over)))
    return found


async def keep_rounds(
    town: Town, days: int, *, building: int = 11, missed: tuple[int, ...] = (3,)
) -> None:
    """The building's residents check in to every round; FORGETFUL not in the rounds numbered in
    `missed`, and presses an hour after them. The rest of the town is away: its silence would fill
    the lists."""
    here = await town.residents(building)
    terminals = [r["terminal_id"] for r in here.values() if r["state"] == "active"]
    await _others_away(town, building)
    for number, (press, over) in enumerate(rounds(days)):
        await town.watch_until(press)
        kept = [x for x in terminals if x != FORGETFUL or number not in missed]
        await town.signals(*(town.event("checkin", x, bat=90 - number) for x in kept))
        await town.watch_until(over)
        if number in missed:
            await town.watch_until(over + timedelta(hours=1))
            await town.press("checkin", FORGETFUL)
            await town.settled()
    await town.settled()


async def _others_away(town: Town, building: int) -> None:
    everybody = (await town.api.get("/api/v1/residents")).json()["residents"]
    until = (START + timedelta(days=60)).isoformat()
    for r in everybody:
        if r["building"] != building and r["state"] == "active":
            answer = await town.api.post(
                f"/api/v1/residents/{r['id']}/absence", json={"until": until, "reason": "测试"}
            )
            assert answer.status_code == 200, answer.text


async def an_sos_that_ends_well(town: Town) -> int:
    """Pressed; accepted after a minute by the head, who is there four minutes later; safe."""
    await town.press("sos", GRANNY)
    await town.settled()
    town.hand.at_s += 60
    await town.reply(HEAD, "1")
    town.hand.at_s += 240
    await town.reply(HEAD, "2")
    town.hand.at_s += 60
    await town.reply(HEAD, "3")
    alert = await town.sos()
    assert (alert["state"], alert["outcome"]) == ("resolved", "safe")
    return int(alert["id"])
