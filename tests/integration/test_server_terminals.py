"""Terminals enrolled, swapped, lost and revoked through the real server: nobody is left unheard."""

from typing import Any

import httpx
from staff_kit import login, make_account
from test_register_pages import staff
from town import GRANNY, HEAD, MARCH_14, Town

from server.core.device_key import NO_TERMINALS


async def post(town: Town, path: str, **body: Any) -> Any:
    """A staff change; its answer's status and body."""
    answer = await town.api.post(f"/api/v1/terminals/{path}", json={"reason": "tests", **body})
    return answer.status_code, answer.json()


async def test_a_batch_is_enrolled_once(town: Town) -> None:
    """A carton of terminals; sent twice, the second time only the new one is new. A press on one
    that is nobody's yet is shown to staff."""
    status, told = await post(town, "enrol", ids=["gd-x-1", "gd-x-2", "gd-x-1"])
    assert (status, told) == (200, {"new": ["gd-x-1", "gd-x-2"]})
    assert (await post(town, "enrol", ids=["gd-x-2", "gd-x-3"]))[1] == {"new": ["gd-x-3"]}
    assert (await post(town, "enrol", ids=["gd/#"]))[0] == 422
    for account in sorted(NO_TERMINALS):
        assert (await post(town, "enrol", ids=["gd-x-9", account]))[0] == 409, account
    await town.press(terminal="gd-x-1")
    assert len(await town.alerts(kind="sos")) == 1


async def test_a_terminal_is_swapped_in_one_step(town: Town) -> None:
    """The new one calls her stewards to her door; the old one is kept apart, and a press on it is
    shown to staff, because somebody may have pressed in need."""
    await post(town, "enrol", ids=["gd-spare"])
    number = (await town.residents())["301"]["id"]
    status, told = await post(town, f"{GRANNY}/swap", new="gd-spare")
    assert (status, told["resident_id"], told["revoked"]) == (200, number, GRANNY)
    assert (await town.residents())["301"]["terminal_id"] == "gd-spare"
    assert await town.signals(town.event("sos", GRANNY)) == ["quarantined"]
    assert "unknown_terminal_sos" in await town.faults()
    await town.forget_sms()
    await town.press(terminal="gd-spare")
    assert "301" in (await town.phone(HEAD))[0]
    assert (await post(town, f"{GRANNY}/swap", new="gd-spare"))[0] == 409, "the old is nobody's"


async def test_a_lost_terminal_belongs_to_nobody_until_it_is_found(town: Town) -> None:
    """Its resident stays watched; it can't be given to anybody while it is lost; an open SOS of it
    stands in the way; who said so and why is in the journal."""
    await town.press()
    assert (await post(town, f"{GRANNY}/state", state="lost"))[0] == 409
    await town.act((await town.sos())["id"], "resolve", outcome="safe")
    assert (await post(town, f"{GRANNY}/state", state="lost"))[0] == 200
    her = (await town.residents())["301"]
    assert her["terminal_id"] is None
    assert her["next_due_ms"] is not None, "a round she can't answer brings her stewards"
    assert (await post(town, f"{GRANNY}/assign", resident_id=her["id"]))[0] == 409
    assert (await post(town, f"{GRANNY}/state", state="active"))[0] == 200
    assert (await post(town, f"{GRANNY}/assign", resident_id=her["id"]))[0] == 200
    assert (await post(town, "gd-none/state", state="lost"))[0] == 404
    noted = [e["data"] for e in await town.journal() if e["kind"] == "terminal_state"]
    assert [(n["was"], n["now"], n["why"]) for n in noted] == [
        ("active", "lost", "tests"), ("lost", "active", "tests"),
    ]  # fmt: skip


async def test_the_stock_is_not_for_the_account_of_one_building(town: Town) -> None:
    """Its coordinator may give one from the stock to their residents, and lose or revoke those
    that these have; what is nobody's stays as it is, and the refusal says whom to ask. An account
    of the whole community may."""
    await post(town, "enrol", ids=["gd-stock", "gd-spare"])
    await make_account(town, "of-11", "coordinator", "building", "11")
    await make_account(town, "mai", "coordinator", "community", town.community.name)
    number = (await town.residents())["301"]["id"]

    async def ask(who: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
        return await who.post(f"/api/v1/terminals/{path}", json={"reason": "tests", **body})

    async def states() -> dict[str, str]:
        listed = (await town.api.get("/api/v1/terminals")).json()["terminals"]
        return {t["id"]: t["state"] for t in listed}

    before = await states()
    async with await login(town, "of-11") as one, await login(town, "mai") as mai:
        for path, body in (("gd-stock/state", {"state": "revoked"}), ("gd-stock/key", {}),
                           ("gd-stock/state", {"state": "lost"})):  # fmt: skip
            refused = await ask(one, path, **body)
            assert refused.status_code == 403, (path, refused.text)
            assert "whole community" in refused.json()["detail"]
        assert await states() == before
        assert (await ask(one, f"{GRANNY}/swap", new="gd-spare")).status_code == 200
        assert (await ask(one, "gd-spare/state", state="lost")).status_code == 200
        assert (await ask(one, "gd-spare/state", state="active")).status_code == 403
        assert (await ask(one, "gd-stock/assign", resident_id=number)).status_code == 200
        assert (await ask(one, "gd-stock/assign", resident_id=None)).status_code == 200
        assert (await ask(mai, "gd-stock/state", state="revoked")).status_code == 200
        assert (await ask(mai, "gd-spare/state", state="active")).status_code == 200
        # 409: the town's house makes no passwords, so the right was there.
        assert (await ask(mai, "gd-spare/key")).status_code in (200, 409)


async def test_whoever_gets_a_first_terminal_is_awaited_from_the_next_round_on(
    town: Town,
) -> None:
    """Registered without one, nobody was awaited; from the day of the terminal on somebody is."""
    text = "楼栋,门牌,姓名,出生日期,居住情况\n11,998,新住户,1940-01-01,独居\n".encode()
    answer = await town.api.post(
        "/api/v1/register/import", params={"dry_run": "false"}, content=text
    )
    assert answer.json()["counts"]["added"] == 1
    new = (await town.residents())["998"]
    assert new["next_due_ms"] is None
    await post(town, "enrol", ids=["gd-first"])
    await post(town, "gd-first/assign", resident_id=new["id"])
    due = MARCH_14.replace(hour=19, minute=5).timestamp() * 1000
    assert (await town.residents())["998"]["next_due_ms"] == due


async def test_labels_carry_the_id_and_nothing_else(town: Town) -> None:
    """For those that are nobody's: readable text and a QR code, no address, no resident."""
    await post(town, "enrol", ids=["gd-x-1", "gd-x-2"])
    async with staff(town) as browser:
        page = (await browser.get("/terminals/labels")).raise_for_status().text
        assert page.count('<svg') == 2
        assert "<b>gd-x-1</b>" in page
        assert GRANNY not in page, "hers is installed"
        assert "style=" not in page, "the pages' policy allows no style of an element's own"
