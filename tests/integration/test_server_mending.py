"""An alert's row that can't be read any more: whoever pressed still waits at the door. It is made
readable again, climbs, and is taken on and closed like any other; staff see which one it was."""

from typing import Any

import pytest
from sqlalchemy import text
from town import GRANNY, HEAD, SECOND, Town, page_in

HEADS_NAME = "邝彩霞"
NO_LADDER = {"ladder": {"steps": "gone"}}
NOBODY = {"responders": [{"nobody": 1}]}


async def spoilt(town: Town, **columns: Any) -> int:
    """Her open SOS, of which something can't be read; its texts have been looked at."""
    await town.press()
    alert_id = int((await town.sos())["id"])
    await town.forget_sms()
    if columns:
        await town.spoil(alert_id, **columns)
    return alert_id


async def what_happened(town: Town, alert_id: int) -> list[str]:
    """The kinds of the journal's entries about an alert."""
    return [e["kind"] for e in await town.journal() if e["alert_id"] == alert_id]


@pytest.mark.parametrize(
    "columns", [NO_LADDER, NOBODY, {**NO_LADDER, **NOBODY}, {"state": "nonsense"}]
)
async def test_it_climbs_on(town: Town, columns: dict[str, Any]) -> None:
    """Nobody answers: the next people are told, as if nothing had been."""
    alert_id = await spoilt(town, **columns)
    for _ in range(3):  # where more was lost than the ladder, it begins with its first step
        await town.watch(180)
    assert (await town.sos())["next_step"] is not None
    happened = await what_happened(town, alert_id)
    assert "climbed" in happened[happened.index("alert_mended"):]
    assert await town.faults() == ["broken_alert"]
    assert await town.phone(HEAD) + await town.phone(SECOND)


@pytest.mark.parametrize(
    "columns", [NOBODY, {**NO_LADDER, **NOBODY}, {"step": -5}, {"repeats": -5, **NO_LADDER}]
)
async def test_one_that_is_long_open_does_not_fall_silent(
    town: Town, columns: dict[str, Any]
) -> None:
    """Nobody has answered for a quarter of an hour and the care centre is called every two minutes
    when its row is spoilt: at each of the next steps somebody is told, as before."""
    alert_id = await spoilt(town)
    for _ in range(8):
        await town.watch(121)
    await town.forget_sms()
    await town.spoil(alert_id, **columns)
    for _ in range(4):
        await town.watch(121)
        told = [sms for p in town.community.duty for sms in await town.phone(p.phone)]
        told += await town.phone(HEAD) + await town.phone(SECOND)
        assert any("301" in sms for sms in told), told
    assert (await town.sos())["state"] == "open"
    assert "alert_mended" in await what_happened(town, alert_id)


NO_INSTANT = 9_000_000_000_000_000_000


@pytest.mark.parametrize("column", ["lease_until", "opened_at", "next_step_at", "again_at"])
async def test_an_instant_that_is_none_holds_up_no_other_alert(town: Town, column: str) -> None:
    """An instant of her alert can't be read: her neighbour's ladder climbs as ever, and
    at her next press hers does too."""
    alert_id = await spoilt(town)
    await town.press(terminal="gd-11-303")
    await town.forget_sms()
    await town.sql(lambda c: c.execute(text(
        f"UPDATE alert SET {column} = -{NO_INSTANT} WHERE id = {alert_id}"
    )))  # fmt: skip
    await town.watch(121)
    await town.watch(121)
    told = [sms for p in town.community.duty for sms in await town.phone(p.phone)]
    assert any("303" in sms for sms in told), told
    await town.press()
    await town.watch(121)
    told = [sms for p in town.community.duty for sms in await town.phone(p.phone)]
    assert any("301" in sms for sms in told), told


@pytest.mark.parametrize("columns", [NO_LADDER, NOBODY])
async def test_a_steward_takes_it_on_by_sms_and_staff_close_it(
    town: Town, columns: dict[str, Any]
) -> None:
    """1 is "I am going" all the same, her terminal says so; and it is closed with an outcome."""
    alert_id = await spoilt(town, **columns)
    await town.reply(HEAD, "1")
    sos = await town.sos()
    assert (sos["state"], [r["name"] for r in sos["responders"]]) == ("accepted", [HEADS_NAME])
    assert [c["cmd"] for c in await town.commands()] == ["help_coming"]
    answer = await town.act(alert_id, "resolve", outcome="safe")
    assert answer.status_code == 200, answer.text
    assert (await town.alerts(kind="sos"))[0]["state"] == "resolved"


async def test_who_was_going_still_is_where_only_the_ladder_is_lost(town: Town) -> None:
    """The promise to be at the door holds: nobody is called a second time."""
    await town.press()
    alert_id = int((await town.sos())["id"])
    await town.reply(HEAD, "1")
    await town.forget_sms()
    await town.spoil(alert_id, **NO_LADDER)
    assert (await town.act(alert_id, "on-scene")).status_code == 200
    names = [r["name"] for r in (await town.sos())["responders"]]
    assert HEADS_NAME in names
    assert "alert_mended" in await what_happened(town, alert_id)


async def test_its_pages_can_be_opened(town: Town) -> None:
    """The detail shows what can be read of it, the steward's link opens, and a tap on it works."""
    await town.press()
    alert_id = int((await town.sos())["id"])
    link = page_in(await town.expect_sms(SECOND, "SOS"))
    await town.spoil(alert_id, **NO_LADDER)
    detail = await town.api.get(f"/api/v1/alerts/{alert_id}")
    assert (detail.status_code, detail.json()["ladder"]) == (200, None)
    assert (await town.phones.get(f"{town.url}{link}")).status_code == 200
    taken = await town.phones.post(f"{town.url}{link}/accept")
    assert taken.status_code in (200, 303), taken.text
    assert (await town.sos())["state"] == "accepted"


async def test_a_press_on_it_counts(town: Town) -> None:
    """She presses again, and the care centre need not be asked to find out who it was; the
    neighbour's press in the same batch calls her own stewards."""
    alert_id = await spoilt(town, **NO_LADDER)
    results = await town.signals(town.event("sos"), town.event("sos", "gd-11-303"))
    assert results == ["stored", "stored"]
    presses = {a["id"]: a["presses"] for a in await town.alerts(kind="sos")}
    assert presses.pop(alert_id) == 2
    assert list(presses.values()) == [1]
    await town.expect_sms(HEAD, "11栋3楼303求助")
    assert "broken_alert" in await town.faults()


async def test_what_is_closed_stays_closed(town: Town) -> None:
    """Of an alert that has ended nothing is begun anew; who wants to act on it is told so."""
    alert_id = await spoilt(town)
    await town.act(alert_id, "resolve", outcome="safe")
    await town.forget_sms()
    await town.spoil(alert_id, **NO_LADDER)
    answer = await town.act(alert_id, "accept")
    assert answer.status_code == 409, answer.text
    await town.watch(600)
    await town.no_more_sms()
    assert "alert_mended" not in await what_happened(town, alert_id)


async def test_one_that_cannot_be_mended_says_what_to_do(town: Town) -> None:
    """Nothing of it can be read: the wall shows it as a fault, whoever acts on it is told to use
    the telephone, the care centre is called at her next press, and all else goes on."""
    alert_id = await spoilt(town, kind="nonsense")
    for path in ("/api/v1/snapshot", "/api/v1/alerts", f"/api/v1/alerts/{alert_id}"):
        shown = await town.api.get(path)
        assert shown.status_code == 200, path
    assert shown.json()["kind"] == "fault"
    answer = await town.act(alert_id, "accept")
    assert answer.status_code == 409
    assert "by telephone" in answer.text
    assert await town.signals(town.event("sos", GRANNY)) == ["stored"]
    heard = [body for p in town.community.duty for body in await town.phone(p.phone)]
    assert any("11栋3楼301求助" in body for body in heard)
