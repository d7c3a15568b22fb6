"""The ledger of hours on both databases: credited once, balanced, and never overdrawn by two at
once."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select, update
from staff_kit import building_id, login, make_account
from test_services_requests import asked, granny, post
from town import GZ, HEAD, SECOND, Town

from server import bookkeeping
from server import tables as t
from server.core import hours as core
from server.core.hours import EntryKind
from server.database import Tx
from server.service.help import hours
from server.service.refusals import Refused

EVENING = datetime(2026, 3, 14, 17, 40, tzinfo=GZ)
"""The evening's round has opened."""


async def book(town: Town) -> dict[str, Any]:
    """The community's balance."""
    answer = await town.api.get("/api/v1/hours")
    found: dict[str, Any] = answer.raise_for_status().json()
    assert found["zero"] == 0
    assert found["given"] == found["saved"] + found["drawn"]
    return found


async def statement(town: Town, person: int) -> dict[str, Any]:
    """One volunteer's."""
    answer = await town.api.get(f"/api/v1/hours/{person}")
    return dict(answer.raise_for_status().json())


async def credit(town: Town) -> int:
    """What the chore does when it comes."""
    return await bookkeeping.post_all(town.runtime.database, asyncio.Event())


async def give(town: Town, person: int, minutes: int, key: str = "round:1:1:1") -> None:
    """Minutes that somebody gave."""
    entry = core.gift(key, EntryKind.ROUND, 1, person, minutes)
    await town.runtime.database.write(lambda tx: hours.post(tx, entry, by="test"))


async def test_rounds_and_responses_are_credited_once(town: Town) -> None:
    """A steward's round is half an hour and their response what it took; not before some minutes
    have passed, and never twice, however often the chore runs."""
    head, second = await town.person(HEAD), await town.person(SECOND)
    await town.watch_until(EVENING)
    await town.reply(HEAD, "巡完")
    await town.reply(HEAD, "巡完")
    await town.press()
    await town.reply(SECOND, "1")
    await town.reply(SECOND, "2")
    await town.watch(20 * 60)
    await town.reply(SECOND, "3")
    await town.watch(5 * 60)
    await credit(town)
    assert (await book(town))["given"] == 30, "the round is old enough, the response is not"
    await town.watch(10 * 60)
    await credit(town)
    assert (await book(town))["given"] == 60
    assert await credit(town) == 0
    (round_,) = (await statement(town, head))["entries"]
    assert (round_["kind"], round_["minutes"], round_["building"]) == ("round", 30, 11)
    (response,) = (await statement(town, second))["entries"]
    assert (response["kind"], response["minutes"]) == ("response", 30)


async def test_tests_and_rehearsals_count_nothing(town: Town) -> None:
    """No hours for what was only tried."""
    await town.watch_until(EVENING)
    await town.press("test")
    await town.press()
    await town.reply(HEAD, "1")
    await town.reply(HEAD, "3")
    house, number = t.table(t.Building), await building_id(town, 11)
    await town.sql(lambda c: c.execute(
        update(house).where(house.c.id == number).values(rehearsal=True)))  # fmt: skip
    body = {"building": 11, "reason": "told the desk", "as_person_id": await town.person(HEAD)}
    await post(town, "rounds/report", **body)
    await town.watch(15 * 60)
    await credit(town)
    assert (await book(town))["given"] == 0


async def test_help_is_drawn_from_savings(town: Town) -> None:
    """A request that a volunteer sees to is saved by them and drawn from the savings of the one
    named; whoever has saved too little is told how much, and nothing of it happens."""
    head, second = await town.person(HEAD), await town.person(SECOND)
    await give(town, second, 60)
    number = await asked(town)
    await post(town, f"requests/{number}/take", as_person_id=head)
    much = {"ending": "solved", "minutes": 90, "payer_id": second}
    refused = await post(town, f"requests/{number}/done", 409, **much)
    assert "60" in refused["words"]["zh"]
    answer = await town.api.get(f"/api/v1/requests/{number}")
    assert answer.json()["stage"] == "taken"
    assert (await book(town))["given"] == 60
    await post(town, f"requests/{number}/done", ending="solved", minutes=40, payer_id=second)
    found = await book(town)
    assert (found["given"], found["saved"], found["drawn"]) == (105, 60, 45)
    assert (await statement(town, head))["saved"] == 45
    assert [e["minutes"] for e in (await statement(town, second))["entries"]] == [-45, 60]


async def test_nobody_pays_for_what_they_do_themselves(town: Town) -> None:
    """Nor without a household or minutes."""
    head = await town.person(HEAD)
    await give(town, head, 60)
    number = await asked(town)
    await post(town, f"requests/{number}/take", as_person_id=head)
    await post(town, f"requests/{number}/done", 409, ending="solved", minutes=30, payer_id=head)
    other = await town.person(SECOND)
    await post(town, f"requests/{number}/done", 409, ending="solved", payer_id=other)
    await post(town, f"requests/{number}/done", ending="not_possible", note="没有零件", minutes=30)
    assert (await book(town))["given"] == 60, "what was not solved moves no hours"


async def test_a_mistake_is_put_right_by_its_opposite(town: Town) -> None:
    """With a reason, once, by name; not while the minutes are drawn already; nothing is deleted."""
    head, second = await town.person(HEAD), await town.person(SECOND)
    await give(town, second, 30)
    number = await asked(town)
    await post(town, f"requests/{number}/take", as_person_id=head)
    await post(town, f"requests/{number}/done", ending="solved", minutes=30, payer_id=second)
    draw, gift = (await statement(town, second))["entries"]
    wrong = await post(town, f"hours/entries/{gift['id']}/counter", 409, reason="记错了人")
    assert "冲回" in wrong["words"]["zh"]
    await post(town, f"hours/entries/{draw['id']}/counter", reason="没有去")
    for _ in range(2):
        await post(town, f"hours/entries/{gift['id']}/counter", reason="记错了人")
    found = await statement(town, second)
    assert (found["saved"], len(found["entries"])) == (0, 4)
    newest = found["entries"][0]
    assert (newest["kind"], newest["counters"]) == ("counter", gift["id"])
    assert newest["why"] == "记错了人"
    assert (await book(town))["drawn"] == 0
    await post(town, "hours/entries/999/counter", 404, reason="nothing")


async def test_two_who_draw_at_once_never_overdraw(town: Town) -> None:
    """Twelve desks draw half an hour each from two hours, all at the same moment: four succeed,
    and the book balances."""
    second, her = await town.person(SECOND), await granny(town)
    await give(town, second, 120)

    def draw(number: int) -> Any:
        entry = core.draw(f"draw:{number}", second, her, 30)
        return town.runtime.database.write(lambda tx: hours.post(tx, entry, by="test"))

    done = await asyncio.gather(*(draw(n) for n in range(12)), return_exceptions=True)
    refused = [d for d in done if isinstance(d, BaseException)]
    assert len(refused) == 8
    assert all(isinstance(d, Refused) for d in refused)
    found = await book(town)
    assert (found["saved"], found["drawn"]) == (0, 120)


async def test_the_same_fact_told_by_many_at_once_is_one_entry(town: Town) -> None:
    """One key, eight tellers."""
    second = await town.person(SECOND)
    await asyncio.gather(*(give(town, second, 30) for _ in range(8)))
    assert (await book(town))["given"] == 30


@pytest.mark.sqlite_only("what is allowed is decided before the database is asked")
async def test_whose_statement_is_whose(town: Town) -> None:
    """An account of one house opens its own stewards' statements and no other's, and no balance."""
    await make_account(town, "of-six", "coordinator", "building", "6")
    own = t.table(t.Assignment)
    six = await building_id(town, 6)
    query = select(own.c.person_id).where(own.c.building_id == six, own.c.role == "steward")
    steward = await town.sql(lambda c: c.execute(query.limit(1)).scalar_one())
    other = await town.person(HEAD)
    await give(town, other, 30)
    entry = (await statement(town, other))["entries"][0]["id"]
    browser = await login(town, "of-six")
    try:
        assert (await browser.get(f"/api/v1/hours/{steward}")).status_code == 200
        assert (await browser.get(f"/api/v1/hours/{other}")).status_code == 404
        assert (await browser.get("/api/v1/hours")).status_code == 403
        headers = {"X-Requested-With": "xunlou"}
        body = {"reason": "not mine"}
        path = f"/api/v1/hours/entries/{entry}/counter"
        assert (await browser.post(path, json=body, headers=headers)).status_code == 403
    finally:
        await browser.aclose()


async def test_the_book_refuses_what_the_rules_did_not_see(town: Town) -> None:
    """Whoever comes past the rules meets the database: no balance below zero, no fact twice."""
    from server.database import Stale
    from server.store import hours as store

    second, her = await town.person(SECOND), await granny(town)
    await give(town, second, 30)
    facts = {"by": "test", "why": "", "at": town.runtime.clock.now(),
             "happened_at": town.runtime.clock.now()}  # fmt: skip

    def over(tx: Tx) -> None:
        with pytest.raises(Stale), tx.attempt():
            store.post(tx.conn, core.draw("draw:1", second, her, 31), **facts)
        with pytest.raises(Stale), tx.attempt():
            store.post(tx.conn, core.gift("round:1:1:1", EntryKind.ROUND, 1, second, 30), **facts)

    await town.runtime.database.write(over)
    assert (await book(town))["saved"] == 30
