"""A rehearsal beside life: its messages reach its list alone, and life's never do."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from server import tables as t
from server.core.words import Role
from server.database import Tx
from server.service import assigning, rehearsing
from server.service.refusals import Refused
from tests.town import GRANNY, Town

TESTER = "+8619900000001"
SECOND = "+8619900000002"
SIMULATED = "sim-900-101"


async def rehearsal(town: Town, flats: int = 3) -> list[str]:
    """A rehearsal in building 900 with two people on its list."""
    listed = [rehearsing.Listed("演练一", TESTER), rehearsing.Listed("演练二", SECOND, "en")]
    return await town.runtime.database.write(
        lambda tx: rehearsing.set_up(
            tx, building=900, flats=flats, listed=listed, who="test", why="test"
        )
    )


async def messages(town: Town) -> list[dict[str, Any]]:
    """Every message that was ever queued."""
    message = t.table(t.Message)
    rows = await town.runtime.database.read(
        lambda c: c.execute(message.select().order_by(message.c.id)).mappings().all()
    )
    return [dict(row) for row in rows]


async def alerts(town: Town, kind: str) -> list[dict[str, Any]]:
    """The alerts of a kind, as the API tells them."""
    found: list[dict[str, Any]] = (
        await town.api.get("/api/v1/alerts", params={"kind": kind})
    ).json()["alerts"]
    return found


async def test_a_simulated_press_climbs_the_whole_ladder_among_the_list(town: Town) -> None:
    """Stewards, substitutes, duty, street: in a rehearsal all of them are the list; the text says
    that it is a test, and the wall that it is a rehearsal."""
    assert await rehearsal(town) == ["sim-900-101", "sim-900-102", "sim-900-103"]
    await town.press(terminal=SIMULATED)
    for _ in range(6):
        await town.move(150)
    sent = await messages(town)
    assert {m["phone"] for m in sent} == {TESTER, SECOND}
    assert {m["role"] for m in sent} == {Role.REHEARSAL.value}
    assert len({m["step"] for m in sent}) >= 4, "it climbed"
    first = next(m["body"] for m in sent if m["phone"] == TESTER)
    assert first.startswith("测试!")
    (alert,) = await alerts(town, "sos")
    assert (alert["rehearsal"], alert["test"]) == (True, True)
    assert alert["address"].startswith("演练 900栋")
    assert alert["emergency"] is None or not alert["emergency"].get("prompt")
    snapshot = (await town.api.get("/api/v1/snapshot")).json()
    marked = [b for b in snapshot["buildings"] if b["rehearsal"]]
    assert [b["name"] for b in marked] == ["演练 900栋"]


async def test_a_rehearsals_house_is_marked_on_the_pages_of_buildings(
    town: Town, office: httpx.AsyncClient
) -> None:
    """Among all houses and on its own page; no other one is."""
    await rehearsal(town)
    houses = (await office.get("/buildings")).text
    assert re.findall(r'class="house-name">演练 (\d+)栋', houses) == ["900"]
    assert houses.count('data-rehearsal="yes"') == 1
    assert "演练 900栋" in (await office.get("/buildings/900")).text
    assert "演练" not in (await office.get("/buildings/11")).text


async def test_a_real_press_never_reaches_the_list(town: Town) -> None:
    """Not at the first step and not when the ladder is exhausted."""
    await rehearsal(town)
    await town.press(terminal=GRANNY)
    for _ in range(6):
        await town.move(150)
    sent = await messages(town)
    assert len({m["step"] for m in sent}) >= 4
    assert not {m["phone"] for m in sent} & {TESTER, SECOND}
    assert Role.REHEARSAL.value not in {m["role"] for m in sent}
    (alert,) = await alerts(town, "sos")
    assert (alert["rehearsal"], alert["test"]) == (False, False)


async def test_both_at_once_stay_apart(town: Town) -> None:
    """Real and simulated side by side: each alert tells its own people."""
    await rehearsal(town)
    await town.press(terminal=GRANNY)
    await town.press(terminal=SIMULATED)
    await town.press(terminal=GRANNY)
    await town.move(150)
    by_alert = {a["id"]: a["rehearsal"] for a in await alerts(town, "sos")}
    assert sorted(by_alert.values()) == [False, True]
    for message in await messages(town):
        assert (message["phone"] in {TESTER, SECOND}) is by_alert[message["alert_id"]]


async def test_a_missed_round_of_both_stays_apart(town: Town) -> None:
    """Nobody checks in anywhere: the rehearsal's worklist goes to its list, every other one to
    stewards."""
    await rehearsal(town)
    resident = t.table(t.Resident)
    due_at = await town.runtime.database.read(
        lambda c: c.execute(
            resident.select().where(resident.c.name == "演练101")
        ).mappings().one()["next_due_at"]
    )
    await town.move_to(due_at + timedelta(seconds=30))
    await town.move(60)
    by_alert = {a["id"]: a for a in await alerts(town, "missed")}
    sent = [m for m in await messages(town) if m["alert_id"] in by_alert]
    assert {by_alert[m["alert_id"]]["rehearsal"] for m in sent} == {True, False}
    for message in sent:
        of_the_list = message["phone"] in {TESTER, SECOND}
        assert of_the_list is by_alert[message["alert_id"]]["rehearsal"], message["body"]
        assert of_the_list is by_alert[message["alert_id"]]["test"]


async def test_a_simulated_terminal_with_a_real_resident_is_unknown(town: Town) -> None:
    """Somebody gives a simulated terminal to a real resident, past every form: its press is shown
    to staff, tells no steward, and is no sign of life of hers."""
    await rehearsal(town)
    terminal, resident = t.table(t.Terminal), t.table(t.Resident)

    def mistake(tx: Tx) -> int:
        hers = tx.conn.execute(
            terminal.select().where(terminal.c.id == GRANNY)
        ).mappings().one()["resident_id"]
        tx.conn.execute(
            update(terminal).where(terminal.c.id == SIMULATED).values(resident_id=hers)
        )
        return int(hers)

    hers = await town.runtime.database.write(mistake)
    assert await town.signals(town.event("sos", SIMULATED), town.event("checkin", SIMULATED)) == [
        "quarantined", "quarantined",
    ]  # fmt: skip
    await town.move(600)
    assert await messages(town) == []
    assert await alerts(town, "sos") == []
    row = await town.runtime.database.read(
        lambda c: c.execute(resident.select().where(resident.c.id == hers)).mappings().one()
    )
    assert row["last_sign_at"] is None


async def test_a_real_terminal_in_a_rehearsal_is_shown_to_staff(town: Town) -> None:
    """Somebody puts a real terminal into the rehearsal's house: a real press is no test there; the
    care centre hears of a terminal that nobody was given, and the list hears nothing."""
    await rehearsal(town)
    terminal = t.table(t.Terminal)

    def mistake(tx: Tx) -> None:
        there = tx.conn.execute(
            terminal.select().where(terminal.c.id == SIMULATED)
        ).mappings().one()["resident_id"]
        tx.conn.execute(
            update(terminal).where(terminal.c.id == GRANNY).values(resident_id=there)
        )

    await town.runtime.database.write(mistake)
    await town.press(terminal=GRANNY)
    await town.move(600)
    (alert,) = await alerts(town, "sos")
    assert (alert["rehearsal"], alert["test"], alert["state"]) == (False, False, "open")
    told = await messages(town)
    assert {m["role"] for m in told} == {"duty"}


async def test_nobody_is_on_the_list_and_something_else(town: Town) -> None:
    """A steward is not put on the list, and nobody of the list becomes a steward."""
    await rehearsal(town)
    assignment = t.table(t.Assignment)
    by_role = {
        row["role"]: row["person_id"]
        for row in await town.runtime.database.read(
            lambda c: c.execute(assignment.select()).mappings().all()
        )
    }
    for role, whose, where in (
        (Role.REHEARSAL, "steward", {}),
        (Role.DUTY, "rehearsal", {}),
        (Role.SUBSTITUTE, "rehearsal", {"building": 11}),
    ):
        wanted = assigning.Wanted(role, person_id=by_role[whose], **where)  # type: ignore[arg-type]
        with pytest.raises(Refused, match="rehearsal list"):
            await town.runtime.database.write(
                lambda tx, wanted=wanted: assigning.assign(tx, wanted, who="t", why="t")
            )


async def test_a_rehearsal_needs_a_list_and_a_number_of_its_own(town: Town) -> None:
    """A house in the street, a taken number, an empty list: refused, and nothing is left of it."""
    for building, listed in (
        (11, [rehearsing.Listed("演练一", TESTER)]),
        (900, []),
    ):
        with pytest.raises(Refused):
            await town.runtime.database.write(
                lambda tx, b=building, people=listed: rehearsing.set_up(
                    tx, building=b, flats=1, listed=people, who="t", why="t"
                )
            )
    await rehearsal(town)
    with pytest.raises(Refused, match="already"):
        await rehearsal(town, 1)
