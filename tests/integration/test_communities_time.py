"""Two communities in one installation: each has its own rounds, its own clock and its own desk, and
nobody of the one is awaited, rung, reported or missed by the other's."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, text, update

from server import migrate
from server import tables as t
from server.clock import Clock
from server.core import rounds
from server.core.houses import numbered
from server.core.words import Outcome, Role
from server.database import Database, Tx
from server.service import absences, classing, desks, moving, planning, rehearsing, sweep
from server.service.house import House
from server.service.refusals import Unknown
from server.store import communities, rehearsals, rosters
from tests import neighbour
from tests.town import GRANNY, GZ, HEAD, Town

RESIDENT, BUILDING, TERMINAL = t.table(t.Resident), t.table(t.Building), t.table(t.Terminal)
COMMUNITY, ROUND, TALLY = t.table(t.Community), t.table(t.Round), t.table(t.RoundTally)
REPORT, ALERT, COMMAND = t.table(t.RoundReport), t.table(t.Alert), t.table(t.Command)
ASSIGNMENT, SHIFT, SAMPLE = t.table(t.Assignment), t.table(t.DutyShift), t.table(t.BatteryDay)
OURS, THEIRS = "广氮", neighbour.NAME
OUR_DESK = "+8610000000101"


def at(hour: int, minute: int = 0, day: int = 14) -> datetime:
    """An instant in Guangzhou; in the second community's zone it is two hours earlier."""
    return datetime(2026, 3, day, hour, minute, tzinfo=GZ)


async def rows(town: Town, query: Any) -> list[tuple[Any, ...]]:
    """What the database holds."""
    return [tuple(row) for row in await town.runtime.database.read(
        lambda c: c.execute(query).all()
    )]  # fmt: skip


def by_community(what: Any, *columns: Any) -> Any:
    """Rows of something with a building, each with the name of its community."""
    table = t.table(what)
    return (
        select(COMMUNITY.c.name, *columns)
        .join(BUILDING, BUILDING.c.community_id == COMMUNITY.c.id)
        .join(table, table.c.building_id == BUILDING.c.id)
    )


async def worklists(town: Town) -> set[tuple[str, datetime]]:
    """Whose houses have been looked for, and for which deadline."""
    query = by_community(t.Alert, ALERT.c.round_due_at).where(ALERT.c.kind == "missed")
    return {(name, due.astimezone(GZ)) for name, due in await rows(town, query)}


async def awaited_until(town: Town) -> set[tuple[str, datetime]]:
    """The deadlines of those who are watched, by community."""
    query = by_community(t.Resident, RESIDENT.c.next_due_at).where(RESIDENT.c.state == "active")
    return {(name, due.astimezone(GZ)) for name, due in await rows(town, query) if due}


async def desk_faults(town: Town) -> dict[str, str]:
    """What staff are shown of desks and rounds now: subject → detail."""
    kinds = ("rota_gap", "ladder_broken", "rounds_broken", "round_unreported")
    query = select(ALERT.c.subject, ALERT.c.detail).where(
        ALERT.c.state != "resolved", ALERT.c.fault.in_(kinds)
    )
    return {subject.removeprefix("fault:"): detail for subject, detail in await rows(town, query)}


async def one_clock(town: Town) -> None:
    """The neighbours live by our clock and our rounds from now on."""
    ours = (
        await rows(town, select(COMMUNITY.c.tz, COMMUNITY.c.rounds).where(COMMUNITY.c.series == 0))
    )[0]
    theirs = select(BUILDING.c.id).where(BUILDING.c.number >= numbered(1, 0))
    due = update(RESIDENT).where(
        RESIDENT.c.building_id.in_(theirs), RESIDENT.c.state == "active"
    ).values(next_due_at=at(19, 5))  # fmt: skip
    await town.sql(lambda c: c.execute(update(COMMUNITY).values(tz=ours[0], rounds=ours[1])))
    await town.sql(lambda c: c.execute(due))


async def test_their_round_comes_at_their_time(town: Town) -> None:
    """Half past nine here is half past seven there: their round opens, chimes and is judged by
    their clock; our stewards sleep through it, and theirs through ours."""
    community = await neighbour.move_in(town)
    await town.watch_until(at(7, 1))
    opened = select(COMMUNITY.c.name, ROUND.c.due_at).join(
        ROUND, ROUND.c.community_id == COMMUNITY.c.id
    )
    assert [(n, d.astimezone(GZ)) for n, d in await rows(town, opened)] == [(THEIRS, at(9, 30))]
    await town.commands()
    await town.watch_until(at(9, 15))
    rung = {c["t"].split("-")[0] for c in await town.commands() if c["cmd"] == "prompt"}
    assert rung == {"td"}
    await town.forget_sms()
    await town.watch_until(at(9, 36))
    assert await worklists(town) == {(THEIRS, at(9, 35))}
    assert await awaited_until(town) == {(THEIRS, at(22, 35)), (OURS, at(19, 5))}
    for house in community.buildings:
        for steward in house.stewards:
            assert await town.phone(steward.person.phone)
    for house in town.community.buildings:
        for steward in house.stewards:
            assert await town.phone(steward.person.phone) == []
    await town.watch_until(at(19, 6))
    assert await worklists(town) == {(THEIRS, at(9, 35)), (OURS, at(19, 5))}
    assert await awaited_until(town) == {(THEIRS, at(22, 35)), (OURS, at(6, 5, 15))}


async def test_after_a_long_stop_each_house_is_judged_by_its_own_clock(town: Town) -> None:
    """Nobody was judged for a day; then all are at once, in one chunk: each for the last round of
    their own community, and awaited again in its next."""
    await neighbour.move_in(town)
    town.delivers = False  # a whole town is texted, and this is not about texts
    await town.gateway_lives()
    await town.watch_until(at(10, 0, 15))
    assert await worklists(town) == {(THEIRS, at(9, 35, 15)), (OURS, at(6, 5, 15))}
    assert await awaited_until(town) == {(THEIRS, at(22, 35, 15)), (OURS, at(19, 5, 15))}


async def test_two_communities_of_one_clock_ring_and_count_their_own(town: Town) -> None:
    """Both have their round at the same minute: each terminal chimes once, each round counts its
    own houses, and what nobody reported are two entries, the neighbours' by their name."""
    await neighbour.move_in(town)
    town.delivers = False  # a whole town is texted, and this is not about texts
    await one_clock(town)
    await town.watch_until(at(17, 31))
    assert await rows(town, select(func.count()).select_from(ROUND)) == [(2,)]
    await town.commands()
    await town.watch_until(at(18, 45))
    prompts = Counter(c["t"] for c in await town.commands() if c["cmd"] == "prompt")
    assert {name.split("-")[0] for name in prompts} == {"gd", "td"}
    assert set(prompts.values()) == {1}
    await town.watch_until(at(19, 6))
    counted = select(ROUND.c.community_id, BUILDING.c.community_id).select_from(
        TALLY.join(ROUND, ROUND.c.id == TALLY.c.round_id)
        .join(BUILDING, BUILDING.c.id == TALLY.c.building_id)
    )  # fmt: skip
    found = await rows(town, counted)
    assert len({mine for mine, _ in found}) == 2
    assert all(mine == houses for mine, houses in found)
    await town.watch_until(at(20, 6))
    due = int(at(19).timestamp() * 1000)
    assert await desk_faults(town) == {
        f"round_unreported:{due}": "1–12", f"round_unreported:{due}:1": f"{THEIRS}: 1–3"
    }  # fmt: skip


async def test_a_steward_reports_the_rounds_of_both_communities(town: Town) -> None:
    """巡完 counts for the round of each house's own community. The answer names the houses as their
    walls do. A number that is on two of their houses is for a person to read."""
    community = await neighbour.move_in(town)
    (theirs,) = await rows(town, select(BUILDING.c.id).where(BUILDING.c.number == neighbour.HOUSE))
    steward = community.buildings[1].stewards[0].person.phone
    await town.watch_until(at(7, 1))
    await town.watch_until(at(9, 40))
    await town.forget_sms()
    await town.reply(steward, "巡完")
    await town.expect_sms(steward, "2栋")

    head = await town.person(HEAD)
    place = insert(ASSIGNMENT).values(
        person_id=head, role="steward", position=2, building_id=theirs[0], key_place=""
    )
    await town.sql(lambda c: c.execute(place))
    await town.reply(HEAD, "巡完")  # ours has had no round yet
    assert "11栋" not in await town.expect_sms(HEAD, "2栋")
    await town.watch_until(at(17, 31))
    await town.forget_sms()
    await town.reply(HEAD, "巡完")
    said = await town.expect_sms(HEAD, "11栋", "2栋")
    assert "100002" not in said
    of = (
        select(COMMUNITY.c.name, BUILDING.c.number, ROUND.c.due_at, REPORT.c.person_id == head)
        .select_from(REPORT.join(ROUND, ROUND.c.id == REPORT.c.round_id)
                     .join(BUILDING, BUILDING.c.id == REPORT.c.building_id)
                     .join(COMMUNITY, COMMUNITY.c.id == ROUND.c.community_id))
        .order_by(REPORT.c.id)
    )  # fmt: skip
    reports = [(n, b, d.astimezone(GZ), bool(h)) for n, b, d, h in await rows(town, of)]
    assert reports == [
        (THEIRS, neighbour.HOUSE, at(9, 30), False),
        (THEIRS, neighbour.HOUSE, at(9, 30), True),
        (OURS, 11, at(19), True),
    ]
    (ours,) = await rows(town, select(BUILDING.c.id).where(BUILDING.c.number == 2))
    also = update(ASSIGNMENT).where(
        ASSIGNMENT.c.person_id == head, ASSIGNMENT.c.building_id != theirs[0]
    ).values(building_id=ours[0])  # fmt: skip
    await town.sql(lambda c: c.execute(also))
    await town.forget_sms()
    await town.reply(HEAD, "巡完 2")
    assert "已记下" not in "".join(await town.phone(HEAD))
    assert len(await rows(town, of)) == len(reports)


async def test_staff_report_the_round_of_the_houses_own_community(town: Town) -> None:
    """Their house 2 is entered by its number in the installation, for their round."""
    from server.service import walks  # beside `server.store.walks`, which has the name here too

    await neighbour.move_in(town)
    await town.watch_until(at(7, 1))
    await town.watch_until(at(17, 31))
    said = await town.runtime.database.write(
        lambda tx: walks.report_for(
            tx, town.runtime.house, neighbour.HOUSE, who="desk", person_id=None, why="rang"
        )
    )
    assert said["building"] == neighbour.HOUSE
    of = select(ROUND.c.due_at).join(REPORT, REPORT.c.round_id == ROUND.c.id)
    assert [due.astimezone(GZ) for (due,) in await rows(town, of)] == [at(9, 30)]


async def test_a_clock_that_jumps_spares_everybody(town: Town) -> None:
    """Our clock gains a day: nobody is silent for that, in neither community, nor who has a class
    that can't be read. Each is awaited in the next round they owe."""
    await neighbour.move_in(town)
    strange = update(RESIDENT).where(RESIDENT.c.id.in_(
        select(func.min(RESIDENT.c.id)).where(RESIDENT.c.state == "active")
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .group_by(BUILDING.c.community_id)
    )).values(risk_class="?")  # fmt: skip
    assert (await town.sql(lambda c: c.execute(strange))).rowcount == 2
    town.hand.at_s = at(10, 0, 15).timestamp()
    await town.runtime.database.write(
        lambda tx: sweep.clock_jumped(tx, town.runtime.house, timedelta(hours=28))
    )
    assert await awaited_until(town) == {(THEIRS, at(22, 35, 15)), (OURS, at(19, 5, 15))}
    await town.gateway_lives()
    await town.ring()
    assert await worklists(town) == set()


async def test_a_hole_in_their_rota_is_theirs_and_ends(town: Town) -> None:
    """Their desk has nobody from tomorrow on: one entry with their name and their time beside
    none of ours. It ends when somebody has the hours; so with nobody on duty at all, and with
    rounds that can't be read."""
    community = await neighbour.move_in(town)
    desk = [await town.person(p.phone) for p in community.duty]
    await town.ring()
    assert await desk_faults(town) == {}
    some = [{"person_id": p, "days": "6", "starts": "00:00", "ends": "20:00"} for p in desk]
    await town.sql(lambda c: c.execute(insert(SHIFT), some))
    await town.ring()
    assert await desk_faults(town) == {"rota_gap:rota:1": f"{THEIRS}: 03-14 20:00 – 03-21 00:00"}
    await town.sql(lambda c: c.execute(SHIFT.delete().where(SHIFT.c.person_id.in_(desk))))
    await town.ring()
    assert await desk_faults(town) == {}

    away = update(ASSIGNMENT).where(ASSIGNMENT.c.person_id.in_(desk))
    away = away.where(ASSIGNMENT.c.role == Role.DUTY)
    await town.sql(lambda c: c.execute(away.values(absent_until=at(12))))
    broken = update(COMMUNITY).where(COMMUNITY.c.series == 1)
    (kept,) = await rows(town, select(COMMUNITY.c.rounds).where(COMMUNITY.c.series == 1))
    await town.sql(lambda c: c.execute(broken.values(rounds=[{"name": "x"}])))
    await town.ring()
    found = await desk_faults(town)
    assert set(found) == {"ladder_broken:duty:1", "rounds_broken:rounds:1"}
    assert all(detail.startswith(f"{THEIRS}: ") for detail in found.values())
    await town.sql(lambda c: c.execute(broken.values(rounds=kept[0])))
    await town.sql(lambda c: c.execute(away.values(absent_until=None)))
    await town.ring()
    assert await desk_faults(town) == {}


async def test_what_is_spoilt_in_their_row_costs_us_nothing(town: Town) -> None:
    """A disk's fault makes their rounds no JSON at all: our press calls whoever is on shift, our
    round opens, theirs goes by the built-in rounds, and staff see it."""
    await neighbour.move_in(town)
    desk = await town.person(OUR_DESK)
    shift = {"person_id": desk, "days": "6", "starts": "00:00", "ends": "23:00"}
    await town.sql(lambda c: c.execute(insert(SHIFT), shift))
    # PostgreSQL keeps no JSON that is none; there it is JSON of something else.
    nonsense = "[{" if town.runtime.database.sqlite else '"[{"'
    spoil = text("UPDATE community SET rounds = :it WHERE series = 1")
    if not town.runtime.database.sqlite:
        spoil = text("UPDATE community SET rounds = CAST(:it AS json) WHERE series = 1")
    await town.sql(lambda c: c.execute(spoil, {"it": nonsense}))
    await town.press()
    await town.expect_sms(HEAD, "11栋")
    await town.watch_until(at(17, 31))
    assert await rows(town, select(func.count()).select_from(ROUND)) == [(1,)]
    assert set(await desk_faults(town)) >= {"rounds_broken:rounds:1"}
    await town.watch_until(at(19, 31))  # half past five there
    assert await rows(town, select(func.count()).select_from(ROUND)) == [(2,)]


async def test_our_desks_faults_keep_their_names(town: Town) -> None:
    """Nobody stands on duty here, and their desk is manned: the entry is as it always was."""
    await neighbour.move_in(town)
    ours = select(COMMUNITY.c.id).where(COMMUNITY.c.series == 0).scalar_subquery()
    away = update(ASSIGNMENT).where(
        ASSIGNMENT.c.community_id == ours, ASSIGNMENT.c.role == Role.DUTY
    )
    await town.sql(lambda c: c.execute(away.values(absent_until=at(12))))
    await town.ring()
    (subject,) = found = await desk_faults(town)
    assert subject == "ladder_broken:duty"
    assert found[subject].startswith("nobody stands on duty")


async def test_what_is_about_no_house_is_told_at_every_desk_once(town: Town) -> None:
    """A blind installation tells whoever is on shift at each desk; a desk at which nobody is, all
    of it, though the other is manned. Whoever stands at both is told once."""
    community = await neighbour.move_in(town)
    theirs = [await town.person(p.phone) for p in community.duty]
    off = [{"person_id": p, "days": "7", "starts": "00:00", "ends": "01:00"} for p in theirs]
    await town.sql(lambda c: c.execute(insert(SHIFT), off))
    now = town.runtime.clock.now()

    async def told() -> list[str]:
        return await town.runtime.database.read(lambda c: rosters.phones_on_duty(c, now))

    before = await told()
    assert {p.phone for p in community.duty} <= set(before)
    assert OUR_DESK in before
    both = insert(ASSIGNMENT).values(
        person_id=await town.person(OUR_DESK), role="duty", position=0, key_place="",
        community_id=select(COMMUNITY.c.id).where(COMMUNITY.c.series == 1).scalar_subquery(),
    )  # fmt: skip
    await town.sql(lambda c: c.execute(both))
    assert (await told()).count(OUR_DESK) == 1
    everybody = await town.runtime.database.read(rosters.duty_phones)
    assert everybody.count(OUR_DESK) == 1


async def test_who_moves_to_them_is_watched_by_their_rounds(town: Town) -> None:
    """She moves at ten past six and is awaited by half past seven of their time; back here she is
    awaited in the evening again. Who comes back from an absence there is awaited there."""
    await neighbour.move_in(town)
    ((granny, home),) = await rows(
        town,
        select(RESIDENT.c.id, BUILDING.c.number)
        .join(TERMINAL, TERMINAL.c.resident_id == RESIDENT.c.id)
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .where(TERMINAL.c.id == GRANNY),
    )

    async def due() -> datetime:
        query = select(RESIDENT.c.next_due_at).where(RESIDENT.c.id == granny)
        found: datetime = (await rows(town, query))[0][0]
        return found.astimezone(GZ)

    async def move(building: int) -> None:
        await town.runtime.database.write(
            lambda tx: moving.move(tx, granny, building, "301", who="mai", why="son")
        )

    assert await due() == at(19, 5)
    await move(neighbour.HOUSE)
    assert await due() == at(9, 35)
    until = at(18)
    await town.runtime.database.write(
        lambda tx: absences.begin(tx, granny, until, who="mai", why="hospital")
    )
    await town.watch_until(at(18, 1))
    assert await due() == at(22, 35)
    await move(home)
    assert await due() == at(19, 5)
    changes = t.table(t.RegisterChange)
    kept = select(changes.c.fields).where(changes.c.subject == f"resident:{granny}")
    doors = [f["flat"] for (f,) in await rows(town, kept.order_by(changes.c.id)) if "flat" in f]
    assert doors[0] == [f"{OURS}11-301", f"{THEIRS}2-301"]


async def test_their_batteries_are_read_in_their_daytime(town: Town) -> None:
    """At ten past ten here it is ten past eight there: ours are read, theirs two hours later."""
    await neighbour.move_in(town)

    async def read_on(hour: int) -> set[str]:
        await town.watch_until(at(hour, 10))
        heard = update(TERMINAL).values(battery=80, last_seen_at=town.runtime.clock.now())
        await town.sql(lambda c: c.execute(heard))
        await town.ring()
        today = (at(0).date() - date(1970, 1, 1)).days
        found = await rows(town, select(SAMPLE.c.terminal_id).where(SAMPLE.c.day == today))
        return {name.split("-")[0] for (name,) in found}

    all_ = (await town.runtime.database.read(lambda c: c.execute(
        select(func.count()).select_from(TERMINAL)).scalar_one()))  # fmt: skip
    heard = update(TERMINAL).values(battery=80, last_seen_at=town.runtime.clock.now())
    await town.sql(lambda c: c.execute(heard))
    assert await read_on(10) == {"gd"}
    assert await read_on(12) == {"gd", "td"}
    ((count,),) = await rows(town, select(func.count(SAMPLE.c.terminal_id.distinct())))
    assert count == all_


async def test_their_residents_are_rung_for_their_round_only(town: Town) -> None:
    """Both communities of one clock ring before their rounds: each resident's telephone once."""
    community = await neighbour.move_in(town)
    await one_clock(town)
    (plans,) = (await rows(town, select(COMMUNITY.c.rounds).where(COMMUNITY.c.series == 0)))[0]
    ringing = [{**plan, "call_at": "18:50"} if plan["due"] == "19:00" else plan for plan in plans]
    await town.sql(lambda c: c.execute(update(COMMUNITY).values(rounds=ringing)))
    theirs = next(f.resident for f in community.buildings[1].flats if f.resident)
    phones = {GRANNY: "+8610011000901", theirs.terminal_id: "+8610042000901"}
    for terminal, phone in phones.items():
        owner = select(TERMINAL.c.resident_id).where(TERMINAL.c.id == terminal).scalar_subquery()
        given = update(RESIDENT).where(RESIDENT.c.id == owner).values(phone=phone)
        await town.sql(lambda c, q=given: c.execute(q))
    await town.watch_until(at(17, 31))
    await town.watch_until(at(18, 51))
    rung = [e["data"]["residents"] for e in await town.journal() if e["kind"] == "round_rung"]
    assert rung == [1, 1]
    assert [len(await town.calls(phone)) for phone in phones.values()] == [1, 1]


async def test_new_rounds_are_theirs_alone(town: Town) -> None:
    """Their desk moves the morning to eight: everybody there is awaited then, nobody here; and
    there is no community 99."""
    await neighbour.move_in(town)
    ((theirs,),) = await rows(town, select(COMMUNITY.c.id).where(COMMUNITY.c.series == 1))
    plans = (rounds.Plan("morning", time(5), time(7, 45), time(8)),)
    await town.runtime.database.write(
        lambda tx: planning.set_rounds(tx, plans, who="x", why="x", community_id=theirs)
    )
    assert await awaited_until(town) == {(THEIRS, at(10, 5)), (OURS, at(19, 5))}
    with pytest.raises(Unknown):
        await town.runtime.database.write(
            lambda tx: planning.set_rounds(tx, plans, who="x", why="x", community_id=99)
        )


async def test_they_grow_older_by_their_own_calendar(town: Town) -> None:
    """Half past midnight here is half past ten of the evening before there: whoever has a birthday
    has it here already, and there not yet."""
    await neighbour.move_in(town)
    young = select(func.min(RESIDENT.c.id)).join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
    young = young.where(RESIDENT.c.state == "active").group_by(BUILDING.c.community_id)
    born = update(RESIDENT).where(RESIDENT.c.id.in_(young)).values(
        birth_date=date(1946, 3, 15), living="couple", risk_class="C", risks="", class_by=None
    )  # fmt: skip
    await town.sql(lambda c: c.execute(born))
    town.hand.at_s = at(0, 30, 15).timestamp()

    def birthdays(tx: Tx) -> None:
        for facts in communities.every(tx.conn):
            classing.birthdays(tx, facts)

    await town.runtime.database.write(birthdays)
    of = by_community(t.Resident, RESIDENT.c.risk_class)
    found = await rows(town, of.where(RESIDENT.c.birth_date == date(1946, 3, 15)))
    assert sorted(found) == sorted([(OURS, "B"), (THEIRS, "C")])


async def test_a_spoilt_deadline_is_found_by_their_round(town: Town) -> None:
    """Her deadline can't be read: she is awaited from their next round on, not by one of ours, and
    the entry for staff stands until their rounds find it mended."""
    await neighbour.move_in(town)
    town.delivers = False  # a whole town is texted, and this is not about texts
    await town.watch_until(at(10))
    ((spoilt, _),) = await rows(
        town, select(func.min(RESIDENT.c.id), func.count())
        .join(BUILDING, BUILDING.c.id == RESIDENT.c.building_id)
        .where(BUILDING.c.number == neighbour.HOUSE, RESIDENT.c.state == "active")
    )  # fmt: skip
    lost = text("UPDATE resident SET next_due_at = 9000000000000000000 WHERE id = :id")
    await town.sql(lambda c: c.execute(lost, {"id": spoilt}))

    async def shown() -> tuple[Any, bool]:
        due = (await rows(town, select(RESIDENT.c.next_due_at).where(RESIDENT.c.id == spoilt)))[0]
        return due[0] and due[0].astimezone(GZ), "register_broken" in await town.faults()

    await town.watch_until(at(17, 31))
    assert await shown() == (None, False)
    await town.watch_until(at(20, 1))
    assert await shown() == (at(22, 35), True)
    await town.watch_until(at(4, 31, 15))
    assert (await shown())[1] is True
    await town.watch_until(at(7, 1, 15))
    assert (await shown())[1] is False


async def test_a_rehearsal_is_its_communitys(town: Town) -> None:
    """Set up for the neighbours: their number, their next deadline, their list, which goes with
    their last rehearsal and not with ours."""
    await neighbour.move_in(town)

    async def begin(community: str) -> list[str]:
        listed = [rehearsing.Listed("演练", f"+86100990001{len(community):02d}")]
        return await town.runtime.database.write(
            lambda tx: rehearsing.set_up(
                tx, building=None, flats=2, listed=listed, who="x", why="x", community=community
            )
        )

    assert (await begin(""))[0] == "sim-900-101"
    assert (await begin(THEIRS))[0] == "sim-100900-101"
    due = select(BUILDING.c.number, RESIDENT.c.next_due_at).join(
        RESIDENT, RESIDENT.c.building_id == BUILDING.c.id
    ).where(BUILDING.c.rehearsal)  # fmt: skip
    assert {(n, d.astimezone(GZ)) for n, d in await rows(town, due)} == {
        (900, at(19, 5)), (100900, at(9, 35))
    }  # fmt: skip
    await town.runtime.database.write(
        lambda tx: rehearsing.end(
            tx, town.runtime.house, building=100900, outcome=Outcome.OTHER, who="x", why="x"
        )
    )
    communities = await rows(town, select(COMMUNITY.c.id).order_by(COMMUNITY.c.series))
    left = [
        len(await town.runtime.database.read(lambda c, i=i: rehearsals.listed(c, i)))
        for (i,) in communities
    ]
    assert left == [1, 0]


MANY = 400
ROUNDS_OF_MANY = [
    {"name": "morning", "opens": "06:00", "prompt": "07:00", "due": "07:30", "grace_s": 300},
    {"name": "evening", "opens": "18:30", "prompt": "19:30", "due": "20:00", "grace_s": 300},
]


class City:
    """Communities with one desk each, in a database of their own."""

    def __init__(self, folder: Path, communities: int, now: datetime) -> None:
        url = f"sqlite:///{folder / f'{communities}.db'}"
        migrate.upgrade(url)
        self.database = Database(url, Clock(source=now.timestamp))
        self.house, self.now = House("http://127.0.0.1", b"k" * 32), now
        self.database.transact(lambda tx: self._fill(tx.conn, communities))

    @staticmethod
    def _fill(conn: Any, communities: int) -> None:
        person = conn.execute(
            insert(t.table(t.Person)).values(name="值班", phone="+8610000000101", lang="zh")
            .returning(t.table(t.Person).c.id)
        ).scalar_one()  # fmt: skip
        for n in range(communities):
            community = conn.execute(
                insert(COMMUNITY)
                .values(name=f"第{n}社区", series=n, tz="Asia/Shanghai", rounds=ROUNDS_OF_MANY)
                .returning(COMMUNITY.c.id)
            ).scalar_one()
            conn.execute(insert(ASSIGNMENT).values(
                person_id=person, role="duty", position=0, community_id=community, key_place=""
            ))  # fmt: skip

    def ring(self) -> tuple[set[str], int]:
        """What is due, and in how many statements that was asked."""
        asked: list[str] = []

        def note(_c: Any, _cur: Any, statement: str, *_more: Any) -> None:
            asked.append(statement)

        event.listen(self.database.reader, "before_cursor_execute", note)
        with self.database.reader.connect() as conn:
            due = sweep.what_is_due(conn, self.now, timedelta(seconds=1), self.house)
        event.remove(self.database.reader, "before_cursor_execute", note)
        return due, len(asked)

    def do(self, work: sweep.Work) -> int:
        """One chunk of a work."""
        return self.database.transact(lambda tx: work(tx, self.house))[0]


def test_four_hundred_communities_are_asked_about_in_as_many_statements_as_one(
    tmp_path: Path,
) -> None:
    """An idle ring costs no more statements, in the middle of a round as between two; their rounds
    are opened chunk by chunk, and each once."""
    for now in (at(12), at(7, 10)):
        (folder := tmp_path / f"{now:%H}").mkdir()
        one, many = (City(folder, count, now) for count in (1, MANY))
        for city, several in ((one, 1), (many, MANY)):
            city.do(sweep.battery_day)
            while city.do(sweep.round_bells):
                pass
            with city.database.reader.connect() as conn:
                opened = conn.execute(select(func.count()).select_from(ROUND)).scalar_one()
            assert opened == (several if now == at(7, 10) else 0)
        (due_one, cost_one), (due_many, _) = one.ring(), many.ring()
        assert due_one == due_many == set()
        costs = [many.ring()[1] for _ in range(desks.RINGS)]
        assert max(costs) <= cost_one
        one.database.close()
        many.database.close()


def test_every_one_of_four_hundred_desks_is_looked_at_within_two_minutes(tmp_path: Path) -> None:
    """The last community's only person on duty opts out of its desk: within two minutes of rings
    staff are shown it, with its name, and within as many it ends."""
    city = City(tmp_path, MANY, at(12))
    city.do(sweep.battery_day)
    last = select(func.max(COMMUNITY.c.id)).scalar_subquery()
    away = update(ASSIGNMENT).where(ASSIGNMENT.c.community_id == last)

    def until_shown() -> dict[str, str]:
        for _ in range(120):
            if sweep.ladder_file.__name__ in city.ring()[0]:
                city.do(sweep.ladder_file)
        with city.database.reader.connect() as conn:
            found = conn.execute(
                select(ALERT.c.subject, ALERT.c.detail).where(ALERT.c.state != "resolved")
            )
            return {row.subject: row.detail for row in found}

    city.database.transact(lambda tx: tx.conn.execute(away.values(absent_until=at(13))))
    (subject,) = found = until_shown()
    assert subject == f"fault:ladder_broken:duty:{MANY - 1}"
    assert found[subject].startswith(f"第{MANY - 1}社区: nobody stands on duty")
    city.database.transact(lambda tx: tx.conn.execute(away.values(absent_until=None)))
    assert until_shown() == {}
    city.database.close()
