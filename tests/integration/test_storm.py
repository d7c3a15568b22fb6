"""Many terminals in trouble at once: one fault of their building or area, nobody flooded, and an
SOS in the middle of it first of all."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from town import GRANNY, GZ, HEAD, SECOND, Hand, Town, a_town, lay_out

from server import tables as t
from server.channels.base import Refused, Sent
from server.channels.twilio import TwilioSms
from server.channels.twilio_account import Account, Credentials
from xunlou.sample import guangdan

NIGHT = datetime(2026, 3, 14, 4, 0, tzinfo=GZ)
DARK_AT = datetime(2026, 3, 14, 5, 0, tzinfo=GZ)
JUDGED = datetime(2026, 3, 14, 6, 5, tzinfo=GZ)
FLATS_EACH, BUILDINGS = 25, 20
HEARTBEAT_S = 900
TERMINAL = t.table(t.Terminal)


async def terminals(town: Town, building: int) -> list[str]:
    """The terminals of a building, by id."""
    found = await town.residents(building)
    return sorted(r["terminal_id"] for r in found.values() if r["terminal_id"])


async def say(town: Town, ids: Sequence[str], kind: str = "", **status: Any) -> None:
    """Many terminals speak: an event each, a status each, or (neither given) a heartbeat each."""
    for start in range(0, len(ids), 100):
        some = ids[start : start + 100]
        if kind:
            events = [town.event(kind, i) for i in some]
            assert set(await town.signals(*events)) == {"stored"}
        elif status:
            await town.signals(statuses=[{"t": i, **status} for i in some])
        else:
            await town.signals(heartbeats=[{"t": i, "boot": 1} for i in some])


async def named_faults(town: Town) -> dict[str, int]:
    """How many open faults of each kind."""
    found: dict[str, int] = {}
    for name in await town.faults():
        found[name] = found.get(name, 0) + 1
    return found


async def let_pass(town: Town, seconds: float, alive: Sequence[str] = ()) -> None:
    """Time passes as it does: gateway heard, `alive` terminals' heartbeats at their interval."""
    left = seconds
    while left > 0:
        step = min(left, HEARTBEAT_S / 2)
        left -= step
        if alive:
            await say(town, alive)
        await town.watch(step)


async def test_one_building_without_power_is_one_fault(tmp_path: Path) -> None:
    """All terminals of building 11 lose their mains within a minute, in several batches: one
    fault. Two flats of building 12 are two. It is mended when most are back; the flat whose mains
    stays away becomes a fault of its own, also when the server was started anew meanwhile."""
    hand = Hand(NIGHT)
    async with a_town(tmp_path, hand=hand) as town:
        eleven, twelve = await terminals(town, 11), await terminals(town, 12)
        await say(town, [*eleven, *twelve], s="online", boot=1, hb_s=HEARTBEAT_S)
        await say(town, eleven[:4], "mains_lost")
        town.hand.at_s += 30
        await say(town, [*eleven[4:], *twelve[:2]], "mains_lost")
        await town.move(29)
        assert await town.faults() == [], "the neighbours may still tell of theirs"
        await town.move(31)
        assert await named_faults(town) == {"building_power": 1, "mains_lost": 2}
        await town.no_more_sms()
    async with a_town(tmp_path, hand=hand) as town:
        await town.gateway_lives()
        await town.ring()
        assert await named_faults(town) == {"building_power": 1, "mains_lost": 2}
        town.seq = 1000
        await say(town, [*eleven[1:], *twelve[:2]], "mains_restored")
        await town.move(1)
        assert await town.faults() == [], "the building is mended"
        await let_pass(town, 601, [*eleven, *twelve])
        (fault,) = await town.alerts(kind="fault", state="unresolved")
        assert (fault["fault"], fault["terminal_id"]) == ("mains_lost", eleven[0])
        await say(town, [eleven[0]], "mains_restored")
        assert await town.faults() == []


async def test_a_building_off_the_network_is_one_fault_and_hides_no_sos(tmp_path: Path) -> None:
    """Building 11's network fails: its terminals fall silent one after the other, as their
    heartbeats had been. Already the first shows the building; no flat is a fault of its own. A
    press that finds its way out is an SOS like any other. After the network one flat stays
    silent: that is its own."""
    async with a_town(tmp_path, NIGHT) as town:
        eleven, twelve = await terminals(town, 11), await terminals(town, 12)
        await say(town, [*eleven, *twelve], s="online", boot=1, hb_s=HEARTBEAT_S)
        for some in (eleven[:4], eleven[4:8], eleven[8:]):  # each with a phase of its own
            await town.watch(250)
            await say(town, some)
        for _ in range(8):
            await let_pass(town, 300, twelve)
        assert await named_faults(town) == {"building_network": 1}
        (fault,) = await town.alerts(kind="fault", state="unresolved")
        assert fault["building"] == "11栋"
        lost = [e for e in await town.journal() if e["kind"] == "device_lost"]
        assert {e["data"]["terminal"] for e in lost} == set(eleven)
        await town.press(terminal=GRANNY)
        await town.expect_sms(HEAD, "求助")
        await town.expect_sms(SECOND, "SOS")
        mute = eleven[-1]
        back = [i for i in eleven if i not in (mute, GRANNY)]
        await say(town, back)
        await town.watch(1)
        assert await town.faults() == []
        for _ in range(3):
            await let_pass(town, 300, [*back, GRANNY, *twelve])
        (own,) = await town.alerts(kind="fault", state="unresolved")
        assert (own["fault"], own["terminal_id"]) == ("offline", mute)


async def test_faults_opened_before_the_building_was_seen_are_taken_over(tmp_path: Path) -> None:
    """Two flats lose their mains, and are two faults; ten minutes later the others of the house
    do: then it is the house, and the two are no matter of their own any more."""
    async with a_town(tmp_path, NIGHT) as town:
        eleven = await terminals(town, 11)
        await say(town, eleven, s="online", boot=1, hb_s=HEARTBEAT_S)
        await say(town, eleven[:2], "mains_lost")
        await town.watch(61)
        assert await named_faults(town) == {"mains_lost": 2}
        await town.watch(600)
        await say(town, eleven[2:], "mains_lost")
        await town.watch(61)
        assert await named_faults(town) == {"building_power": 1}
        closed = [e for e in await town.journal() if e["data"].get("suppressed_by")]
        assert len([e for e in closed if e["kind"] == "resolved"]) == 2


async def test_a_parent_closed_by_hand_forgets_nobody(tmp_path: Path) -> None:
    """Staff close the building's fault while it is still dark. Ten minutes later it is judged
    again, and told again: a click mends no mains."""
    async with a_town(tmp_path, NIGHT) as town:
        eleven = await terminals(town, 11)
        await say(town, eleven, s="online", boot=1, hb_s=HEARTBEAT_S)
        await say(town, eleven, "mains_lost")
        await town.watch(61)
        (fault,) = await town.alerts(kind="fault", state="unresolved")
        assert (await town.act(fault["id"], "resolve", outcome="other")).status_code == 200
        await let_pass(town, 590, eleven)
        assert await town.faults() == []
        await let_pass(town, 20, eleven)
        assert await named_faults(town) == {"building_power": 1}


async def test_a_restart_of_the_broker_is_one_notice(tmp_path: Path) -> None:
    """Every terminal's will arrives at once, and all are back within the grace: no fault at all,
    one line for staff."""
    async with a_town(tmp_path, NIGHT) as town:
        everybody = [i for b in range(1, 13) for i in await terminals(town, b)]
        await say(town, everybody, s="online", boot=1, hb_s=HEARTBEAT_S)
        await say(town, everybody, s="lost", boot=1)
        await town.watch(100)
        assert await town.faults() == []
        await say(town, everybody, s="online", boot=1, hb_s=HEARTBEAT_S)
        await town.watch(100)
        assert await town.faults() == []
        notices = [e for e in await town.journal() if e["kind"] == "many_gone"]
        assert len(notices) == 1
        await town.no_more_sms()


async def test_each_device_has_its_own_interval(tmp_path: Path) -> None:
    """A terminal that promised a word each minute is missed after two and a half; one that
    promised four an hour is not."""
    async with a_town(tmp_path, NIGHT) as town:
        await town.signals(statuses=[
            {"t": GRANNY, "s": "online", "boot": 1, "hb_s": 60},
            {"t": "gd-11-303", "s": "online", "boot": 1, "hb_s": HEARTBEAT_S},
        ])  # fmt: skip
        await town.watch(149)
        assert await town.faults() == []
        await town.watch(2)
        (fault,) = await town.alerts(kind="fault", state="unresolved")
        assert (fault["fault"], fault["terminal_id"]) == ("offline", GRANNY)
        await town.watch(HEARTBEAT_S * 2.5 - 152)
        assert await town.faults() == ["offline"]
        await town.watch(2)
        assert await town.faults() == ["offline", "offline"]


@pytest.mark.parametrize("together", [True, False])
async def test_a_loss_that_comes_after_its_own_end_is_over(tmp_path: Path, together: bool) -> None:
    """Words that had no receipt are sent again, and may come in any order: a house whose mains are
    back is not dark, and its residents of class A are looked for. The next loss is one again, and a
    terminal that was set up anew, and counts its starts from one, is believed a day later."""
    async with a_town(tmp_path, NIGHT) as town:
        eleven = await terminals(town, 11)
        await say(town, eleven, s="online", boot=1, hb_s=HEARTBEAT_S)
        lost = [town.event("mains_lost", i) for i in eleven]
        over = [town.event("mains_restored", i) for i in eleven]
        for batch in [over + lost] if together else [over, lost]:
            assert set(await town.signals(*batch)) == {"stored"}
        await town.watch(61)
        assert await town.faults() == []
        again = [town.event("mains_lost", i) for i in eleven]
        assert set(await town.signals(*again)) == {"stored"}
        await town.watch(61)
        assert await named_faults(town) == {"building_power": 1}
        dark = select(TERMINAL.c.id).where(TERMINAL.c.mains_lost_at.is_not(None))
        for hours, still_dark in ((1, True), (24, False)):
            town.hand.at_s += hours * 3600
            anew = [{**town.event("mains_restored", i), "boot": 0} for i in eleven]
            assert set(await town.signals(*anew)) == {"stored"}
            found = await town.runtime.database.read(lambda c: c.execute(dark).all())
            assert bool(found) == still_dark


class Doorkeeper:
    """The real channel, with a door that the worklists wait behind until the test opens it."""

    def __init__(self) -> None:
        self.inner: TwilioSms | None = None
        self.open = threading.Event()
        self.arrived: list[str] = []

    async def send(self, phone: str, body: str, reference: int) -> Sent | Refused:
        """Worklists wait; all else passes."""
        assert self.inner is not None
        if "未报平安" in body or "without a check-in" in body:
            await asyncio.to_thread(self.open.wait, 60)
        self.arrived.append(body)
        return await self.inner.send(phone, body, reference)

    async def alive(self) -> bool:
        """The provider is well all the while."""
        return True

    async def find(self, phone: str, body: str, since: datetime) -> list[Sent]:
        """As the real one."""
        assert self.inner is not None
        return await self.inner.find(phone, body, since)


def fill(conn: Any) -> None:
    """Residents and terminals until every building has its twenty-five flats."""
    flat, resident = t.table(t.Flat), t.table(t.Resident)
    due = conn.execute(select(resident.c.next_due_at).where(resident.c.state == "active")).first()
    conn.execute(update(resident).values(state="active", next_due_at=due[0], absent_until=None))
    for building_id in conn.execute(select(t.table(t.Building).c.id)).scalars().all():
        have = conn.execute(
            select(resident.c.id).where(resident.c.building_id == building_id)
        ).all()
        for i in range(FLATS_EACH - len(have)):
            door = conn.execute(
                insert(flat).values(
                    building_id=building_id, stairwell="S", floor=20, label=f"20{i:02d}"
                ).returning(flat.c.id)
            ).scalar_one()  # fmt: skip
            who = conn.execute(
                insert(resident).values(
                    flat_id=door, building_id=building_id, name="某某", birth_date=date(1950, 1, 1),
                    sex="f", living="couple", risk_class="C", state="active", phone="",
                    access_notes="", risks="", next_due_at=due[0],
                ).returning(resident.c.id)
            ).scalar_one()  # fmt: skip
            conn.execute(
                insert(TERMINAL).values(
                    id=f"fill-{building_id}-{i}", resident_id=who, state="active",
                    status="unknown", boot=0, firmware="", heartbeat_s=HEARTBEAT_S,
                )
            )  # fmt: skip


async def test_five_hundred_flats_go_dark_and_one_resident_falls(tmp_path: Path) -> None:
    """Twenty buildings lose power, then their network, before the morning's round, and all miss
    it. Staff see one cause; each steward hears of one worklist and of who goes, and of nothing
    else; and the press of the woman who fell in the dark is at the provider before any worklist.
    When the lights return, all that was pressed in the dark comes in within two minutes, and one
    text says that all are well: two SMS a steward, from the dark to the light."""
    door, hand = Doorkeeper(), Hand(NIGHT)
    lay_out(tmp_path, hand, buildings=BUILDINGS)
    async with a_town(tmp_path, hand=hand, channel=door, voice=False) as town:
        s = town.runtime.settings
        assert s.twilio_auth_token is not None
        token = s.twilio_auth_token.get_secret_value()
        door.inner = TwilioSms(Account(Credentials(
            s.twilio_account_sid, token, s.twilio_from_number, s.twilio_api_base_url, s.public_url
        )))  # fmt: skip
        await town.sql(fill)
        ids = select(TERMINAL.c.id)
        everybody = list(await town.sql(lambda c: c.execute(ids).scalars().all()))
        assert len(everybody) == FLATS_EACH * BUILDINGS
        await town.gateway_lives()
        await say(town, everybody, s="online", boot=1, hb_s=HEARTBEAT_S)
        await town.watch_until(DARK_AT)
        await say(town, everybody, "mains_lost")
        await town.watch(61)
        assert await named_faults(town) == {"area_power": 1}
        await say(town, everybody, s="lost", boot=1)
        await town.watch(130)
        assert await named_faults(town) == {"area_power": 1}, "silent for want of power"
        await town.no_more_sms()

        late_s = JUDGED.timestamp() - town.hand.at_s
        judging = asyncio.create_task(town.watch(late_s))  # ends when all messages have left
        async with asyncio.timeout(60):
            while len(await town.alerts(kind="missed")) < BUILDINGS:
                await asyncio.sleep(0.1)
            await town.signals(town.event("sos"))
            while sum("求助" in b or "SOS" in b for b in door.arrived) < 2:
                await asyncio.sleep(0.05)
        assert [b for b in door.arrived if "未报平安" in b or "check-in" in b] == []
        door.open.set()
        await judging
        worklists = await town.alerts(kind="missed")
        assert len(worklists) == BUILDINGS, "one list a building"
        assert await named_faults(town) == {"area_power": 1}

        stewards = stewards_of()
        assert {len(pair) for pair in stewards.values()} == {2}
        by_building = {w["building"]: w["code"] for w in worklists}
        walked = {n: pair for n, pair in stewards.items() if n % 2}
        for number, (first, _second) in walked.items():
            await town.reply(first, f"1 {by_building[f'{number}栋']}")
        counts = {p: len(await town.phone(p)) for pair in stewards.values() for p in pair}
        own, gone = {HEAD, SECOND}, {p for pair in walked.values() for p in pair}
        assert {c for p, c in counts.items() if p in gone - own} == {2}
        assert {c for p, c in counts.items() if p not in gone} == {1}
        # And for the two who are near her: the press. That her flat is off the list by it waits.
        assert all(counts[p] == 3 for p in own), counts
        states = {n: "accepted" if n in walked else "open" for n in stewards}
        for w in worklists:
            now = (await town.api.get(f"/api/v1/alerts/{w['id']}")).json()["state"]
            assert now == states[int(w["building"].removesuffix("栋"))]

        await town.act((await town.sos())["id"], "resolve", outcome="helped")
        await town.watch(600)
        await town.forget_sms()
        await the_lights_return(town, everybody)
        assert await named_faults(town) == {}
        assert await town.alerts(kind="missed", state="unresolved") == []
        for p in counts:
            (last,) = await town.phone(p)  # one text each, whichever of the five batches
            assert "全部已报平安" in last or "all checked in" in last
        await town.watch(1200)
        await town.no_more_sms()


async def the_lights_return(town: Town, everybody: Sequence[str]) -> None:
    """Every terminal is online again within a hundred seconds, and hands in the check-in that was
    pressed in the dark; no batch has a whole building in it."""
    pressed = int(datetime(2026, 3, 14, 5, 30, tzinfo=GZ).timestamp() * 1000)
    kept = {"buffered": True, "ts": pressed, "ts_ok": True, "attempt": 7}
    for some in (everybody[i::5] for i in range(5)):
        await say(town, some, s="online", boot=1, hb_s=HEARTBEAT_S)
        await say(town, some, "mains_restored")
        await town.signals(*(town.event("checkin", i, **kept) for i in some))
        await town.watch(20)


def stewards_of() -> dict[int, list[str]]:
    """Each building's two stewards' phones, the head first."""
    return {
        b.number: [s.person.phone for s in sorted(b.stewards, key=lambda s: s.position)]
        for b in guangdan(buildings=BUILDINGS).buildings
    }
