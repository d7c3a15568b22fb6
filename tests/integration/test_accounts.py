"""Logging in as people do: one-time passwords, the second factor, lock-outs, ends of sessions, and
what an account of one building sees."""

import asyncio
import contextvars
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from staff_kit import OWN_PASSWORD, account_id, building_id, login, make_account
from town import PASSWORD, Town, a_town

from dashboards.guesses import AT_ONCE
from dashboards.limiter import FREE_GUESSES
from server.core import totp
from server.core.access import Scope
from server.database import Database, Tx
from server.service import account_keeping as keeping
from server.service.refusals import Refused
from server.store import accounts

NEW = "a kettle of rain water"


async def guess(town: Town, username: str, times: int, client: httpx.AsyncClient) -> list[int]:
    """Wrong passwords, and how each was answered."""
    form = {"username": username, "password": "not this one"}
    return [(await client.post("/login", data=form)).status_code for _ in range(times)]


async def test_a_one_time_password_opens_only_its_own_change(town: Town) -> None:
    """The first administrator comes in, can do nothing but choose a password, and then everything;
    the one-time password is worth nothing any more."""
    locks = town.runtime.locks

    def first(tx: Tx) -> str | None:
        return keeping.first_administrator(tx, locks)

    told = await town.runtime.database.write(first)
    assert told is not None
    assert await town.runtime.database.write(first) is None
    username, once = told.split("  /  ")
    async with await login(town, username, once) as admin:
        for path in ("/wall", "/accounts", "/reports"):
            assert (await admin.get(path)).headers["location"] == "/account"
        assert (await admin.get("/api/v1/snapshot")).status_code == 403
        assert (await admin.post("/account/totp")).status_code == 403
        for new, status in (("short", 409), (once, 409), (NEW, 303)):
            form = {"old": once, "new": new}
            assert (await admin.post("/account/password", data=form)).status_code == status
        assert (await admin.get("/accounts")).status_code == 200
    async with httpx.AsyncClient(base_url=town.url) as thief:
        form = {"username": username, "password": once}
        assert (await thief.post("/login", data=form)).status_code == 401


async def test_servers_that_start_side_by_side_make_one_administrator(town: Town) -> None:
    """Four first starts in one moment: one tells a password, and none of the others ends."""
    locks = town.runtime.locks
    starts = (
        town.runtime.database.write(lambda tx: keeping.first_administrator(tx, locks))
        for _ in range(4)
    )
    told = await asyncio.gather(*starts)
    assert len([words for words in told if words is not None]) == 1
    assert await town.runtime.database.read(accounts.active_administrators)


async def test_a_one_time_password_that_lay_about_is_void(town: Town) -> None:
    """After a week it opens nothing, and says so to whoever has it."""
    once = await make_account(town, "late", "operator", password="")
    town.hand.at_s += timedelta(days=7, minutes=1).total_seconds()
    async with httpx.AsyncClient(base_url=town.url) as client:
        answer = await client.post("/login", data={"username": "late", "password": once})
        assert answer.status_code == 401
        assert "已过期" in answer.text


async def test_the_second_factor(town: Town) -> None:
    """Switched on with the password and a first code, by no session alone; from then on a password
    alone is as wrong as a wrong one; a code counts once, and so does a recovery code. The database
    holds neither secret nor codes."""
    await make_account(town, "li", "operator")
    async with await login(town, "li") as li:
        for wrong in ({}, {"password": "not this one at all"}):
            refused = await li.post("/account/totp", data=wrong)
            assert (refused.status_code, "<code>" in refused.text) == (409, False)
        assert (await li.post("/account/totp_confirm", data={"code": "000000"})).status_code == 409
        page = (await li.post("/account/totp", data={"password": OWN_PASSWORD})).text
        text = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
        assert text is not None
        number = await account_id(town, "li")
        row = await town.sql(lambda c: accounts.by_id(c, number))
        secret = town.runtime.locks.totp_secret(number, row["totp_nonce"])
        assert totp.as_text(secret) == text[1]
        assert (await li.post("/account/totp_confirm", data={"code": "000000"})).status_code == 409
        first = totp.code(secret, totp.step_at(town.runtime.clock.now()))
        shown = (await li.post("/account/totp_confirm", data={"code": first})).text
        codes = re.findall(r"<li><code>([a-z0-9-]+)</code>", shown)
        assert len(codes) == 8

    async def status(code: str) -> int:
        form = {"username": "li", "password": OWN_PASSWORD, "code": code}
        async with httpx.AsyncClient(base_url=town.url) as client:
            return (await client.post("/login", data=form)).status_code

    assert await status("") == 401
    assert await status(first) == 401, "the code that switched it on has been used"
    town.hand.at_s += 60
    second = totp.code(secret, totp.step_at(town.runtime.clock.now()))
    assert await status(second) == 303
    assert await status(second) == 401
    assert await status(codes[3].upper()) == 303
    assert await status(codes[3]) == 401
    everything = str(await town.sql(lambda c: [
        list(c.execute(accounts.CODE.select())), list(c.execute(accounts.ACCOUNT.select()))
    ]))  # fmt: skip
    assert not [c for c in codes if c in everything]
    assert secret.hex() not in everything


async def test_a_stranger_locks_nobody_out(town: Town) -> None:
    """Somebody guesses at the desk's account from the desk's own network until they must wait. The
    session that is open goes on, the desk's browser logs in again, and only strangers wait."""
    async with (
        await login(town, "operator", PASSWORD) as desk,
        httpx.AsyncClient(base_url=town.url) as stranger,
    ):
        answers = await guess(town, "operator", 12, stranger)
        assert answers[:5] == [401] * 5
        assert answers[-1] == 429
        right = {"username": "operator", "password": PASSWORD}
        assert (await stranger.post("/login", data=right)).status_code == 429
        await town.press()
        sos = await town.sos()
        assert (await desk.get("/wall")).status_code == 200
        assert (await desk.get(f"/alerts/{sos['id']}")).status_code == 200
        await desk.post("/logout")
        assert (await desk.post("/login", data=right)).status_code == 303
        assert (await desk.post(f"/alerts/{sos['id']}/accept")).status_code == 303
    assert (await town.sos())["state"] == "accepted"


async def test_guesses_that_come_together_are_counted_like_others(town: Town) -> None:
    """Thirty guesses at one moment, on connections of their own: as many are looked at as one by
    one, and no more than are in work when the pause begins."""
    async with httpx.AsyncClient(base_url=town.url, timeout=30.0) as stranger:
        rows = await asyncio.gather(*(guess(town, "operator", 1, stranger) for _ in range(30)))
    answers = [status for row in rows for status in row]
    assert set(answers) == {401, 429}
    assert answers.count(401) <= FREE_GUESSES + AT_ONCE


async def test_the_device_of_one_account_is_a_stranger_to_another(town: Town) -> None:
    """What a browser keeps opens nothing, can't be made up, and counts for its own account."""
    await make_account(town, "li", "operator")
    async with await login(town, "li") as li:
        cookie = li.cookies["xunlou_device"]
        await li.post("/logout")
        assert (await li.get("/api/v1/snapshot")).status_code == 401
        assert (await guess(town, "operator", 8, li))[-1] == 429
    locks = town.runtime.locks
    row = await town.sql(lambda c: accounts.by_username(c, "li"))
    number = row["id"]
    assert locks.knows_device(cookie, number, row["password_at"]) is not None
    assert locks.knows_device(cookie, number + 1, row["password_at"]) is None
    assert locks.knows_device(cookie[:-1] + "x", number, row["password_at"]) is None
    assert locks.knows_device(cookie, number, town.runtime.clock.now() + timedelta(1)) is None


async def test_a_desk_that_many_share_knows_each_of_them(town: Town) -> None:
    """Li's shift, then Wang's in the same browser; a stranger guesses at Li from the desk's own
    network until they must wait. Li comes in at once all the same, and so does Wang. What somebody
    writes into the cookie is no pass, and the browser keeps eight people's, the newest."""
    for name in ("li", "wang"):
        await make_account(town, name, "operator")
    async with (
        httpx.AsyncClient(base_url=town.url, headers={"Origin": town.url}) as desk,
        httpx.AsyncClient(base_url=town.url) as stranger,
    ):
        for name in ("li", "wang", "li", "wang"):
            right = {"username": name, "password": OWN_PASSWORD}
            assert (await desk.post("/login", data=right)).status_code == 303
            await desk.post("/logout")
        assert len(desk.cookies["xunlou_device"].split("~")) == 2
        for name in ("li", "wang"):
            assert (await guess(town, name, 12, stranger))[-1] == 429
            right = {"username": name, "password": OWN_PASSWORD}
            assert (await desk.post("/login", data=right)).status_code == 303, name
            await desk.post("/logout")
        kept = desk.cookies["xunlou_device"]
        ids = [one.partition(".")[0] for one in kept.split("~")]
        others = (f"{900 + n}.a.{'0' * 32}" for n in range(9))
        made_up = "~".join(["<script>", "1.a.b", kept, *others])
        headers = {"Cookie": f"xunlou_device={made_up}"}
        answer = await stranger.post("/login", data=right, headers=headers)
        assert answer.status_code == 303
        found = [one.partition(".")[0] for one in answer.cookies["xunlou_device"].split("~")]
        assert found == [ids[0], ids[1], "900", "901", "902", "903"]


async def test_a_browser_stays_known_over_a_change_of_the_password(town: Town) -> None:
    """Also over the first one, which everybody must make: a stranger's guesses do not keep this
    browser out at its next login."""
    once = await make_account(town, "li", "operator", password="")
    async with (
        await login(town, "li", once) as here, httpx.AsyncClient(base_url=town.url) as stranger,
    ):  # fmt: skip
        town.hand.at_s += 60
        form = {"old": once, "new": NEW}
        assert (await here.post("/account/password", data=form)).status_code == 303
        await here.post("/logout")
        assert (await guess(town, "li", 12, stranger))[-1] == 429
        right = {"username": "li", "password": NEW}
        assert (await here.post("/login", data=right)).status_code == 303


async def test_a_new_password_ends_the_sessions_elsewhere(town: Town) -> None:
    """The one at the keyboard stays; a forgotten browser somewhere else is out."""
    await make_account(town, "li", "operator")
    async with await login(town, "li") as here, await login(town, "li") as elsewhere:
        form = {"old": OWN_PASSWORD, "new": NEW}
        assert (await here.post("/account/password", data=form)).status_code == 303
        assert (await here.get("/api/v1/snapshot")).status_code == 200
        assert (await elsewhere.get("/api/v1/snapshot")).status_code == 401
        async with await login(town, "li", NEW) as again:
            page = (await again.get("/account")).text
            (begins,) = re.findall(r'name="begins" value="(\w+)"', page)
            await again.post("/account/end", data={"begins": begins})
        assert (await here.get("/api/v1/snapshot")).status_code == 401


async def test_no_slow_hash_holds_the_write_lock(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts are made and reset, passwords changed and a second factor given up, and in none of
    these does a press wait for argon2."""
    within, held = contextvars.ContextVar("within", default=False), []
    real = Database.transact

    def transact(self: Database, change: Any, **how: Any) -> Any:
        def watched(tx: Tx) -> Any:
            token = within.set(True)
            try:
                return change(tx)
            finally:
                within.reset(token)

        return real(self, watched, **how)

    locks = town.runtime.locks

    class Watched:
        def __getattr__(self, name: str) -> Any:
            held.append(name) if within.get() else None
            return getattr(locks.hasher, name)

    await make_account(town, "chief", "administrator")
    async with await login(town, "chief") as chief:
        monkeypatch.setattr(Database, "transact", transact)
        monkeypatch.setattr(town.runtime, "locks", replace(locks, hasher=Watched()))
        form = {"username": "mai", "name": "麦", "role": "operator", "level": "all", "place": ""}
        assert (await chief.post("/accounts", data=form)).status_code == 200
        number = await account_id(town, "mai")
        assert (await chief.post(f"/accounts/{number}/reset")).status_code == 200
        form = {"old": OWN_PASSWORD, "new": NEW}
        assert (await chief.post("/account/password", data=form)).status_code == 303
        drop = await chief.post("/account/totp_drop", data={"password": NEW})
        assert drop.status_code == 303
    assert held == []


async def test_a_taken_session_guesses_no_faster_than_a_stranger(town: Town) -> None:
    """The old password is asked for again at its change and when the second factor is given up;
    after as many wrong ones as at the login not even the right one is looked at. Another session
    of the same person is not kept from it."""
    await make_account(town, "li", "operator")
    async with await login(town, "li") as thief, await login(town, "li") as owner:
        for n in range(FREE_GUESSES + 1):
            wrong = f"guess number {n}"
            act, form = (("password", {"old": wrong, "new": NEW}),
                         ("totp_drop", {"password": wrong}))[n % 2]  # fmt: skip
            assert (await thief.post(f"/account/{act}", data=form)).status_code == 409
        form = {"old": OWN_PASSWORD, "new": NEW}
        answer = await thief.post("/account/password", data=form)
        assert answer.status_code == 409
        assert "请过几分钟再试" in answer.text
        assert (await owner.post("/account/password", data=form)).status_code == 303


async def test_sessions_end_but_not_in_the_middle_of_an_sos(tmp_path: Path) -> None:
    """Unused for an hour: out; an administrator after half an hour. In use it lasts fourteen hours,
    and longer only while somebody's call for help is open."""
    async with a_town(tmp_path, session_idle_min=60, session_hours=14) as town:

        async def after(minutes: float, client: httpx.AsyncClient) -> int:
            town.hand.at_s += minutes * 60
            status = (await client.get("/api/v1/sight")).status_code
            await town.runtime.settle()
            return status

        await make_account(town, "chief", "administrator")
        async with await login(town, "chief") as chief:
            assert await after(29, chief) == 200
            assert await after(31, chief) == 401
        async with await login(town, "operator", PASSWORD) as desk:
            for _ in range(16):
                assert await after(50, desk) == 200
            await town.press()
            assert await after(50, desk) == 200, "somebody is calling for help"
            sos = await town.sos()
            await town.act(sos["id"], "resolve", outcome="safe")
            assert await after(0, desk) == 401
        async with await login(town, "operator", PASSWORD) as desk:
            assert await after(61, desk) == 401


async def test_an_account_of_building_11_sees_nothing_of_building_12(town: Town) -> None:
    """Not in pages, API, table or live feed: neither the alert nor its resident, nor a count."""
    await town.press()
    await town.press(terminal="gd-12-302")
    eleven, twelve = sorted(await town.alerts(kind="sos"), key=lambda a: a["building_id"])
    there = twelve["resident_id"]
    await make_account(town, "eleven", "coordinator", "building", "11")
    async with await login(town, "eleven") as client:

        async def json_of(path: str) -> dict[str, Any]:
            found: dict[str, Any] = (await client.get(path)).raise_for_status().json()
            return found

        snapshot = await json_of("/api/v1/snapshot")
        assert [b["number"] for b in snapshot["buildings"]] == [11]
        assert [a["id"] for a in snapshot["alerts"]] == [eleven["id"]]
        assert snapshot["counts"]["sos"] == 1
        assert 0 < snapshot["round"]["expected"] < 40
        for path, key in (("alerts", "alerts"), ("residents", "residents")):
            numbers = {str(x["building"]) for x in (await json_of(f"/api/v1/{path}"))[key]}
            assert numbers in ({"11"}, {"11栋"}), path
        terminals = (await json_of("/api/v1/terminals"))["terminals"]
        assert {t["id"].split("-")[1] for t in terminals} == {"11"}
        listed = (await json_of("/api/v1/assignments"))["assignments"]
        assert {a["building"] for a in listed} <= {11, None}
        for path in (
            f"/api/v1/alerts/{twelve['id']}", f"/api/v1/residents/{there}/rounds",
            "/api/v1/alerts?building=12",
            "/api/v1/assignments?building=12", "/api/v1/ladder/explain?resident=gd-12-302",
            f"/api/v1/ladder/explain?resident={there}", f"/alerts/{twelve['id']}",
            "/buildings/12", "/buildings/12/sheet", f"/residents/{there}",
            f"/residents/{there}/card", "/reports?building=12", "/reports.csv?building=12",
        ):  # fmt: skip
            assert (await client.get(path)).status_code == 404, path
        for path, body in (
            (f"/api/v1/alerts/{twelve['id']}/accept", {}),
            (f"/api/v1/residents/{there}/access", {"reason": "checking"}),
            (f"/api/v1/residents/{there}/end", {"how": "died", "reason": "no"}),
            ("/api/v1/terminals/gd-12-302/assign", {"resident_id": None, "reason": "no"}),
            ("/api/v1/terminals/gd-11-301/assign", {"resident_id": there, "reason": "no"}),
            (f"/api/v1/residents/{eleven['resident_id']}/move",
             {"building": 12, "flat": "101", "reason": "no"}),
            ("/api/v1/rounds/report", {"building": 12, "reason": "no"}),
            ("/api/v1/assignments", {"role": "substitute", "name": "x", "phone": "+8610011990000",
                                     "building": 12, "reason": "no"}),
        ):  # fmt: skip
            assert (await client.post(path, json=body)).status_code == 404, path
        for path in ("/api/v1/rota", "/handover"):
            assert (await client.get(path)).status_code == 403, path
        found = (await client.post("/residents", data={"words": "12-302"})).text
        assert f"/residents/{there}" not in found
        table = (await client.get("/reports.csv")).text
        assert re.findall(r"(?m)^(\d+),", table.replace("\ufeff", "")) in ([], ["11"])
        assert "/buildings/12" not in (await client.get("/buildings")).text
        assert (await client.get(f"/alerts/{eleven['id']}")).status_code == 200
        assert (await town.alerts(building=12))[0]["state"] == "open"
        await _feed_shows_only(town, client, eleven["id"], twelve["id"])


async def _feed_shows_only(
    town: Town, client: httpx.AsyncClient, mine: int, other: int
) -> None:
    house = await building_id(town, 11)
    async with client.stream("GET", "/api/v1/stream?after=0") as stream:
        lines = stream.aiter_lines()
        await town.act(other, "accept")
        await town.act(mine, "accept")
        seen: set[int] = set()
        async with asyncio.timeout(10):
            async for line in lines:
                if not line.startswith("data:"):
                    continue
                data = json.loads(line[5:])
                seen |= {a["id"] for a in data.get("alerts", [])}
                assert set(data.get("buildings", {})) <= {str(house)}
                assert {e["building_id"] for e in data.get("entries", [])} <= {house, None}
                if (mine, "accepted") in {(a["id"], a["state"]) for a in data.get("alerts", [])}:
                    break
        assert seen == {mine}


async def test_the_feed_of_a_closed_account_ends(town: Town) -> None:
    """An account that is closed loses its open wall with the next heartbeat, not next week."""
    await make_account(town, "li", "operator")
    number = await account_id(town, "li")
    async with await login(town, "li") as li, li.stream("GET", "/api/v1/stream") as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        keeper = keeping.Keeper("test")
        await town.runtime.database.write(lambda tx: keeping.switch(tx, keeper, number, on=False))
        async with asyncio.timeout(15):
            async for _ in lines:
                pass
        assert (await li.get("/wall")).headers["location"].startswith("/login")


async def test_the_feed_of_a_revoked_token_ends(town: Town) -> None:
    """A token that is revoked loses the stream that it opened, as a closed account does."""
    keeper = keeping.Keeper("test")
    token = await town.runtime.database.write(
        lambda tx: keeping.make_token(tx, keeper, name="street", rights=["look"])
    )
    number = await town.sql(lambda c: c.execute(select(accounts.TOKEN.c.id)).scalar_one())
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=town.url, headers=headers, timeout=30.0) as program,
        program.stream("GET", "/api/v1/stream") as stream,
    ):
        lines, beats = stream.aiter_lines(), 0
        async with asyncio.timeout(30):
            async for line in lines:
                beats += line == "event: heartbeat"
                if beats == 2:  # it goes on while the token counts
                    break
            await town.runtime.database.write(lambda tx: keeping.revoke_token(tx, keeper, number))
            async for _ in lines:
                pass


async def test_tokens_of_programs(town: Town) -> None:
    """Made once and shown once; may what was ticked, for its houses; dead when revoked."""
    await make_account(town, "chief", "administrator")
    async with await login(town, "chief") as chief:
        form = {"name": "street report", "rights": ["look"], "level": "building", "place": "11"}
        page = (await chief.post("/tokens", data=form)).text
        (token,) = re.findall(r"<code>(xl_\S+)</code>", page)
        assert token not in (await chief.get("/accounts")).text
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=town.url, headers=headers) as program:
            found = (await program.get("/api/v1/residents")).json()["residents"]
            assert {r["building"] for r in found} == {11}
            assert (await program.get("/api/v1/journal")).status_code == 403
            assert (await program.post("/api/v1/alerts/1/accept", json={})).status_code == 403
            await town.runtime.settle()
            listed = (await chief.get("/accounts")).text
            assert "最近使用" in listed
            (number,) = re.findall(r"/tokens/(\d+)/revoke", listed)
            assert (await chief.post(f"/tokens/{number}/revoke")).status_code == 303
            assert (await program.get("/api/v1/residents")).status_code == 403
        empty = {"name": "x", "rights": [], "level": "all"}
        assert (await chief.post("/tokens", data=empty)).status_code == 409
    rows = str(await town.sql(lambda c: list(c.execute(accounts.TOKEN.select()))))
    assert token not in rows


async def test_keeping_accounts(town: Town) -> None:
    """Made, regraded, reset and closed by an administrator; the last administrator can't be; and
    one of a building gives nobody more than that building."""
    await make_account(town, "chief", "administrator")
    async with await login(town, "chief") as chief:
        form = {"username": "Mai", "name": "麦", "role": "operator", "level": "building",
                "place": "11"}  # fmt: skip
        page = (await chief.post("/accounts", data=form)).text
        once = re.findall(r"<code>(\S+)</code>", page)[0]
        assert (await chief.post("/accounts", data=form)).status_code == 409
        assert (await chief.post("/accounts", data={**form, "username": "b", "place": "999"})
                ).status_code == 409  # fmt: skip
        number, own = await account_id(town, "mai"), await account_id(town, "chief")
        async with await login(town, "mai", once) as mai:
            await mai.post("/account/password", data={"old": once, "new": NEW})
            assert len((await mai.get("/api/v1/snapshot")).json()["buildings"]) == 1
            change = {"role": "operator", "level": "community", "place": ""}
            await chief.post(f"/accounts/{number}/regrade", data=change)
            assert len((await mai.get("/api/v1/snapshot")).json()["buildings"]) == 12
            await chief.post(f"/accounts/{number}/close")
            assert (await mai.get("/api/v1/snapshot")).status_code == 401
        await chief.post(f"/accounts/{number}/open")
        again = (await chief.post(f"/accounts/{number}/reset")).text
        assert re.findall(r"<code>(\S+)</code>", again)[0] != once
        for act, more in (("close", {}), ("regrade", {"role": "operator", "level": "all"})):
            assert (await chief.post(f"/accounts/{own}/{act}", data=more)).status_code == 409

    def grab(tx: Tx) -> None:
        mine = keeping.Keeper("small", Scope(buildings=frozenset({1})))
        once = keeping.one_time(town.runtime.locks)
        keeping.make(tx, once, mine, username="big", name="", role="administrator")

    with pytest.raises(Refused):
        await town.runtime.database.write(grab)
    told = [e for e in await town.journal() if e["kind"].startswith(("account_", "token_"))]
    assert {e["kind"] for e in told} == {
        "account_made", "account_regraded", "account_closed", "account_opened", "account_reset"
    }  # fmt: skip
    assert once not in str(told)


async def test_the_hall_has_an_account_of_its_own(town: Town) -> None:
    """A kiosk's account opens the hall's screen, and its wall is that screen."""
    await make_account(town, "hall", "kiosk")
    async with await login(town, "hall") as hall:
        assert (await hall.get("/wall")).headers["location"] == "/kiosk"
        assert (await hall.get("/kiosk")).status_code == 200
        assert (await hall.get("/api/v1/snapshot")).status_code == 403


async def test_every_answer_is_guarded(town: Town) -> None:
    """Pages take no foreign script or frame and nothing inline; data is kept by nobody; a proxy
    that speaks HTTPS makes cookies secure."""
    async with await login(town, "operator", PASSWORD) as desk:
        page = await desk.get("/wall")
        policy = page.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        data = await desk.get("/api/v1/residents")
        assert data.headers["cache-control"] == "no-store"
        assert data.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in data.headers["content-security-policy"]
        right = {"username": "operator", "password": PASSWORD}
        tls = {"X-Forwarded-Proto": "https"}
        answer = await desk.post("/login", data=right, headers=tls)
        cookies = answer.headers.get_list("set-cookie")
        assert len(cookies) == 2
        for cookie in cookies:
            assert {"httponly", "secure", "samesite=lax"} <= set(cookie.lower().split("; "))
        assert "strict-transport-security" in answer.headers
