"""A week in the sample community, and a morning on which something of everything happens."""

import random
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from server import tables
from server.core import hours as core
from server.service.effects import LINK_LIFE
from server.service.help import hours
from server.service.house import digest_of
from server.store import alerts
from server.tables import EPOCH
from tests.town import GZ, HEAD, Town

START = datetime(2026, 3, 8, 4, 0, tzinfo=GZ)
THE_DAY = datetime(2026, 3, 14, 5, 48, tzinfo=GZ)
BATCH = 200


def terminals(town: Town) -> list[str]:
    """Every terminal of the community."""
    return [r.terminal_id for _, _, r in town.community.flats_with_residents()]


async def check_in(town: Town, whose: list[str]) -> None:
    """These people press the green key."""
    for start in range(0, len(whose), BATCH):
        events = [town.event("checkin", t) for t in whose[start : start + BATCH]]
        await town.signals(*events)


async def a_week(town: Town) -> None:
    """Six days of rounds: most are all in; now and then somebody is late, and found safe."""
    dice = random.Random(14)
    everybody = terminals(town)
    day = START
    while day.date() < THE_DAY.date():
        for hour, over in ((5, 6), (18, 19)):
            await town.watch_until(day.replace(hour=hour, minute=30))
            late = [t for t in everybody if dice.random() < 0.004]
            await check_in(town, [t for t in everybody if t not in late])
            await town.watch_until(day.replace(hour=over, minute=30))
            await check_in(town, late)
            for alert in await town.alerts(kind="missed", state="unresolved"):
                await town.act(alert["id"], "resolve", outcome="safe", note="")
            await walked(town)
        day += timedelta(days=1)
    await town.forget_sms()


async def walked(town: Town) -> None:
    """The stewards of every building have said that the round was walked."""
    for building in town.community.buildings:
        answer = await town.api.post(
            "/api/v1/rounds/report", json={"building": building.number, "reason": "电话里说的"}
        )
        assert answer.status_code == 200, answer.text


async def a_calm_morning(town: Town) -> list[str]:
    """Twelve minutes before six on the 14th: the round runs. Returns who has not pressed yet."""
    await town.watch_until(THE_DAY)
    everybody = terminals(town)
    dice = random.Random(6)
    asleep = ["gd-11-301", *dice.sample([t for t in everybody if t != "gd-11-301"], 24)]
    await check_in(town, [t for t in everybody if t not in asleep])
    return asleep


async def a_battery(town: Town) -> None:
    """A month of readings of one terminal, as its heartbeats would have left them."""
    table, today = tables.table(tables.BatteryDay), (town.runtime.clock.now() - EPOCH).days
    dice = random.Random(30)
    rows = [
        {"terminal_id": "gd-11-301", "day": today - n, "level": 62 + n, "mains": True,
         "rssi": -68 - dice.randrange(9)}
        for n in range(30) if n != 11
    ]  # fmt: skip
    terminal = tables.table(tables.Terminal)
    told = update(terminal).where(terminal.c.id == "gd-11-301").values(
        battery=rows[0]["level"], mains=True, rssi=rows[0]["rssi"],
        last_seen_at=town.runtime.clock.now(),
    )  # fmt: skip
    await town.sql(lambda c: c.execute(insert(table), rows))
    await town.sql(lambda c: c.execute(told))


async def a_press(town: Town, asleep: list[str]) -> str:
    """The round ends with four missing. Somebody in building 32 presses, and a steward goes; then
    the woman of 84 in building 11 falls. Returns the path of the head steward's page."""
    await check_in(town, [t for t in asleep if t not in asleep[1:5]])
    await town.watch_until(THE_DAY.replace(hour=6, minute=6))
    await town.press("sos", next(t for t in terminals(town) if t.startswith("gd-32-")))
    await town.settled()
    other = (await town.alerts(kind="sos"))[0]
    await town.act(other["id"], "accept", as_person_id=other["told"][0]["person_id"])
    await town.watch(95)
    await town.press("fall", "gd-11-301")
    await town.settled()
    await town.watch(38)
    return await page_of(town, HEAD)


async def page_of(town: Town, number: str) -> str:
    """The page of this steward. Our own address is too long for the first SMS in Chinese: the link
    is registered here as it is where XUNLOU_LINK_URL is short."""
    (alert,) = await town.alerts(kind="sos", building=11)
    return await _link(town, alert, await town.person(number))


async def a_worklist(town: Town) -> str:
    """A steward goes to look at the flats of a missed round. Returns the path of their page."""
    alert = (await town.alerts(kind="missed", state="unresolved"))[0]
    person = alert["told"][0]["person_id"]
    await town.act(alert["id"], "accept", as_person_id=person)
    return await _link(town, alert, person)


async def an_hour_in_the_office(town: Town) -> None:
    """Three want help, one of them is seen to; a visit is owed; one call came to nothing; rounds
    have been credited; twelve terminals wait for their people."""
    doors, head = await town.residents(11), await town.person(HEAD)
    people = [resident["id"] for resident in doors.values()]
    wishes = (("repair", "厨房的灯坏了,晚上看不见"), ("haircut", "想理发"), ("errand", "买米十斤"))
    for who, (kind, words) in zip(people, wishes, strict=False):
        await _post(town, "requests", resident_id=who, kind=kind, words=words)
    first = (await town.api.get("/api/v1/requests")).json()["requests"][0]["id"]
    await _post(town, f"requests/{first}/take", as_person_id=head)
    await _post(town, f"requests/{first}/hand-on", name="苏伟", reason="他懂电工")
    await _post(town, "visits", resident_id=people[1], cause="illness", why="出院第三天")
    await _post(town, f"residents/{doors['301']['id']}/greeting", outcome="no_answer")
    for n, minutes in enumerate((30, 30, 45)):
        entry = core.gift(f"round:{n}:1:1", core.EntryKind.ROUND, 1, head, minutes)
        await town.runtime.database.write(lambda tx, e=entry: hours.post(tx, e, by="周明"))
    await town.press("battery_low", doors["303"]["terminal_id"], bat=9, mains=False)
    stock = [{"id": f"gd-new-{n:02}", "boot": 0, "simulated": False, "key_v": 0}
             for n in range(1, 13)]  # fmt: skip
    await town.sql(lambda c: c.execute(insert(tables.table(tables.Terminal)), stock))
    await town.watch(60)


async def full_houses(town: Town) -> None:
    """Somebody checked in behind each of forty doors of every house."""
    await town.sql(_fill)


def _fill(conn: Connection) -> None:
    flat, resident, terminal = (
        tables.table(t) for t in (tables.Flat, tables.Resident, tables.Terminal)
    )
    due = conn.execute(
        select(resident.c.next_due_at).where(resident.c.state == "active")
        .order_by(resident.c.next_due_at.desc())
    ).scalars().first()  # fmt: skip
    lived_in = select(resident.c.flat_id).where(resident.c.flat_id.is_not(None))
    for house in conn.execute(select(tables.table(tables.Building).c.id)).scalars().all():
        doors = conn.execute(
            select(flat).where(flat.c.building_id == house).order_by(flat.c.floor, flat.c.id)
        ).mappings().all()  # fmt: skip
        wells = sorted({d["stairwell"] for d in doors})
        top = max(d["floor"] for d in doors)
        more = [
            {"building_id": house, "stairwell": wells[n % len(wells)], "floor": 1 + n % top,
             "label": f"E{n:02}"}
            for n in range(40 - len(doors))
        ]  # fmt: skip
        if more:
            conn.execute(insert(flat), more)
        empty = select(flat.c.id).where(flat.c.building_id == house, flat.c.id.not_in(lived_in))
        for n, door in enumerate(conn.execute(empty).scalars().all()):
            who = conn.execute(
                insert(resident).values(
                    flat_id=door, building_id=house, name="某某", birth_date=date(1950, 1, 1),
                    sex="f", living="couple", risk_class="C", state="active", phone="",
                    access_notes="", risks="", next_due_at=due,
                ).returning(resident.c.id)
            ).scalar_one()  # fmt: skip
            conn.execute(
                insert(terminal).values(id=f"full-{house}-{n}", resident_id=who, state="active",
                                        status="online", boot=0, firmware="", heartbeat_s=900)
            )  # fmt: skip


async def _post(town: Town, path: str, **body: Any) -> None:
    answer = await town.api.post(f"/api/v1/{path}", json=body)
    assert answer.is_success, answer.text


async def _link(town: Town, alert: dict[str, Any], person: int) -> str:
    token = town.runtime.house.token(alert["id"], person)
    ends = town.runtime.clock.now() + LINK_LIFE
    await town.sql(
        lambda c: alerts.add_links(
            c, [(digest_of(token), alert["id"], person, "steward", ends)]
        )
    )
    return f"/s/{token}"
