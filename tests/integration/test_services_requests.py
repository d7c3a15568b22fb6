"""Help requests over the API, on both databases: one procedure, and nothing of it near an alarm."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from staff_kit import login, make_account
from town import GRANNY, GZ, HEAD, Town

from server import tables as t
from server.database import Tx
from server.service import rehearsing
from server.service.help import by_terminal
from server.store import audit, help_requests
from server.tables import from_ms


async def granny(town: Town) -> int:
    """The woman of 84 in 301."""
    return int((await town.residents(11))["301"]["id"])


async def post(town: Town, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    """An act as a program; its answer."""
    answer = await town.api.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def asked(town: Town, kind: str = "repair", words: str = "厨房的灯坏了", **more: Any) -> int:
    """A request of hers; its id."""
    more = {"resident_id": await granny(town), "kind": kind, "words": words, **more}
    return int((await post(town, "requests", 201, **more))["id"])


async def waiting(town: Town, **query: Any) -> list[int]:
    """Ids of those that wait, in their order."""
    answer = await town.api.get("/api/v1/requests", params=query)
    return [r["id"] for r in answer.raise_for_status().json()["requests"]]


async def test_from_asking_to_done(town: Town) -> None:
    """Asked in the morning, due the same day, taken, handed on with a reason, done; each step has
    its name, and doing one twice is as good as once."""
    number = await asked(town, key="form-0001")
    assert await asked(town, key="form-0001") == number, "the same form twice is one request"
    head = await town.person(HEAD)
    one = await post(town, f"requests/{number}/take", as_person_id=head)
    assert (one["stage"], one["helper_id"]) == ("taken", head)
    assert from_ms(one["due_ms"]) == datetime(2026, 3, 15, tzinfo=GZ)
    refused = await post(town, f"requests/{number}/take", 409, name="苏伟")
    assert one["helper"] in refused["words"]["zh"]
    await post(town, f"requests/{number}/hand-on", name="苏伟", reason="他懂电工")
    one = await post(town, f"requests/{number}/done", ending="solved", note="换了灯管")
    assert (one["stage"], one["in_time"], one["why"]) == ("done", True, "换了灯管")
    assert [s["what"] for s in one["steps"]] == ["taken", "handed_on", "done"]
    again = await post(town, f"requests/{number}/done", ending="solved")
    assert len(again["steps"]) == 3
    await post(town, f"requests/{number}/withdraw", 409, reason="oh no")


async def test_what_is_overdue_stands_first(town: Town) -> None:
    """By due date, whatever was asked for first; the closed ones are another list."""
    wish = await asked(town, "wish", "想看海")
    errand = await asked(town, "errand", "买米")
    repair = await asked(town)
    gone = await asked(town, words="登记重了")
    await post(town, f"requests/{gone}/withdraw", reason="登记重了")
    assert await waiting(town) == [repair, errand, wish]
    await town.watch(timedelta(days=1).total_seconds())
    answer = (await town.api.get("/api/v1/requests")).json()
    assert (answer["waiting"], answer["overdue"]) == (3, 1)
    assert [r["overdue"] for r in answer["requests"]] == [True, False, False]
    assert await waiting(town, which="closed") == [gone]
    assert await waiting(town, building=11) == [repair, errand, wish]
    assert await waiting(town, building=12) == []


async def test_the_figures_of_a_period(town: Town) -> None:
    """Counted by kind, with how many were done by the day that was named; nobody's name in it."""
    done = await asked(town)
    await post(town, f"requests/{done}/take")
    await post(town, f"requests/{done}/done", ending="solved")
    await asked(town)
    answer = (await town.api.get("/api/v1/requests/figures")).raise_for_status().json()
    kinds = {k["kind"]: k for k in answer["kinds"]}
    assert answer["last"] == "2026-03-14"
    assert kinds["repair"] == {"kind": "repair", "asked": 2, "done": 1, "in_time": 1,
                               "withdrawn": 0, "waiting": 1, "overdue": 0}  # fmt: skip
    assert kinds["wish"]["asked"] == 0
    wrong = {"first": "2026-03-14", "last": "2026-03-01"}
    assert (await town.api.get("/api/v1/requests/figures", params=wrong)).status_code == 422


async def test_nothing_of_it_is_an_alarm_or_in_the_feed(town: Town) -> None:
    """No alert, no message, no entry of the journal (which is the wall's feed); the audit knows it
    by ids and without a word of what was said."""
    before = len(await town.journal())
    number = await asked(town, words="换药,膝盖疼")
    await post(town, f"requests/{number}/take")
    assert await town.alerts() == []
    assert len(await town.journal()) == before
    await town.no_more_sms()
    rows = await town.sql(lambda c: list(audit.unsealed(c, 100)))
    told = [r for r in rows if r["what"].startswith("request_")]
    assert [r["what"] for r in told] == ["request_asked", "request_taken"]
    assert "膝盖" not in str([dict(r) for r in told])


async def test_a_kind_and_a_door_can_be_put_right_while_it_waits(town: Town) -> None:
    """The due date follows the kind, counted from when it was asked for."""
    number = await asked(town, "wish", "灯坏了")
    answer = await town.api.patch(f"/api/v1/requests/{number}", json={"kind": "repair"})
    assert from_ms(answer.json()["due_ms"]) == datetime(2026, 3, 15, tzinfo=GZ)
    other = next(r["id"] for f, r in (await town.residents(11)).items() if f != "301")
    answer = await town.api.patch(f"/api/v1/requests/{number}", json={"resident_id": other})
    assert answer.status_code == 409, "whose it is was known: that would be another request"


async def test_another_houses_requests_are_not_there(town: Town) -> None:
    """An account of building 12 finds none of building 11, neither in a list nor by number."""
    number, her = await asked(town), await granny(town)
    await make_account(town, "of-twelve", "operator", "building", "12")
    browser = await login(town, "of-twelve")
    try:
        headers = {"X-Requested-With": "xunlou"}
        assert (await browser.get("/api/v1/requests")).json()["requests"] == []
        assert (await browser.get(f"/api/v1/requests/{number}")).status_code == 404
        acts = [
            (f"requests/{number}/take", {}),
            ("requests", {"resident_id": her, "kind": "repair", "words": "灯"}),
            ("visits", {"resident_id": her, "cause": "hardship"}),
            (f"residents/{her}/greeting", {"outcome": "well"}),
        ]
        for path, body in acts:
            answer = await browser.post(f"/api/v1/{path}", json=body, headers=headers)
            assert answer.status_code == 404, path
    finally:
        await browser.aclose()


async def test_a_steward_asks_by_sms_and_is_thanked_once(town: Town) -> None:
    """For a household of their own house; the provider's repetition is one request. A door nobody
    knows, or of another's house, is left to the desk with the words as they came."""
    await town.reply(HEAD, "帮办 301 厨房的灯坏了")
    await town.expect_sms(HEAD, "已登记", "120")
    (one,) = (await town.api.get("/api/v1/requests")).json()["requests"]
    assert (one["kind"], one["source"], one["flat"]) == ("repair", "steward", "301")
    assert (one["words"], one["resident_id"]) == ("厨房的灯坏了", await granny(town))
    await town.reply(HEAD, "帮办 999 想理发")
    await town.reply(HEAD, "帮办 7-101 想理发")
    await town.forget_sms()
    found = (await town.api.get("/api/v1/requests")).json()["requests"]
    unknown = sorted(r["words"] for r in found if r["resident_id"] is None)
    assert unknown == ["7-101 想理发", "999 想理发"]
    assert {r["building"] for r in found} == {11}
    number = next(r["id"] for r in found if r["words"] == "999 想理发")
    body = {"resident_id": await granny(town)}
    answer = await town.api.patch(f"/api/v1/requests/{number}", json=body)
    assert answer.json()["flat"] == "301"


async def test_with_an_open_alert_an_answer_to_it_always_wins(town: Town) -> None:
    """While somebody waits for help, the same words are no request: they are answered with the
    four digits, and the alert is as open as before; a digit is an answer, as ever."""
    await town.press()
    await town.forget_sms()
    await town.reply(HEAD, "帮办 301 老人摔倒了")
    await town.expect_sms(HEAD, "1=我去")
    assert (await town.api.get("/api/v1/requests")).json()["requests"] == []
    assert (await town.sos())["state"] == "open"
    await town.reply(HEAD, "1")
    assert (await town.sos())["state"] == "accepted"


async def test_who_is_no_steward_asks_nothing_by_sms(town: Town) -> None:
    """The desk's own telephone is none: what it writes is read by a person."""
    duty = town.community.duty[0].phone
    await town.reply(duty, "帮办 11-301 灯坏了")
    assert (await town.api.get("/api/v1/requests")).json()["requests"] == []


async def listed(town: Town) -> list[dict[str, Any]]:
    """The requests that wait."""
    found = (await town.api.get("/api/v1/requests")).raise_for_status().json()["requests"]
    return list(found)


async def said(town: Town) -> list[tuple[str, str]]:
    """What terminals were told to say, as a gateway is given it: the terminal and the words."""
    body = {"gateway": "gw-1", "wait_s": 0}
    answer = await town.gateway.post("/api/v1/commands/lease", json=body)
    commands = answer.raise_for_status().json()["commands"]
    done = {"cmd_ids": [c["cmd_id"] for c in commands]}
    await town.gateway.post("/api/v1/commands/done", json=done)
    return [(c["t"], c["payload"]["text"]) for c in commands if c["payload"]["cmd"] == "say"]


async def test_a_key_of_the_terminal_asks_and_is_answered(town: Town) -> None:
    """One request an identity, due as any of its kind, and the terminal says by when; the same
    event again is a duplicate, and makes neither a second one nor a second answer."""
    event = town.event("help", want="repair")
    assert await town.signals(event) == ["stored"]
    (one,) = await listed(town)
    assert (one["kind"], one["source"], one["flat"]) == ("repair", "terminal", "301")
    assert one["words"] == "终端按键:小修(pressed: repair)"
    assert from_ms(one["due_ms"]) == datetime(2026, 3, 15, tzinfo=GZ)
    assert await said(town) == [(GRANNY, "已登记:小修,最迟3月14日办。急事请按报警键。")]
    assert await town.signals({**event, "attempt": 2}) == ["duplicate"]
    assert (await listed(town), await said(town)) == ([one], [])
    await town.press("help")
    assert [r["kind"] for r in await listed(town)] == ["repair", "other"], "no word: something else"


async def test_a_key_that_is_pressed_again_and_again_is_one_request(town: Town) -> None:
    """Each press is answered, and is a step of the request as long as that waits, up to a bound;
    another kind is another request, and so is the same one once the first is done."""
    for _ in range(23):
        await town.press("help", want="errand")
    (one,) = await listed(town)
    assert [s["what"] for s in one["steps"]] == ["asked_again"] * 20
    assert len(await said(town)) == 23
    await post(town, f"requests/{one['id']}/take")
    await town.press("help", want="haircut")
    await town.press("help", want="errand")
    assert [r["kind"] for r in await listed(town)] == ["errand", "haircut"]
    await post(town, f"requests/{one['id']}/done", ending="solved")
    await town.press("help", want="errand")
    assert {r["id"] for r in await listed(town)} & {one["id"]} == set()
    assert len(await listed(town)) == 2


async def test_the_press_is_a_sign_of_life_and_no_alarm(town: Town) -> None:
    """The round has heard of her; the journal has the press as of any key and nothing of the
    request, and the audit, which is of people, nothing at all."""
    await town.press("checkin", "gd-11-303")
    known = {e["seq"] for e in await town.journal()}
    await town.press("help", want="wish")
    resident = t.table(t.Resident)
    her = await granny(town)
    heard = select(resident.c.last_sign_at).where(resident.c.id == her)
    assert await town.sql(lambda c: c.execute(heard).scalar_one()) is not None
    new = [e for e in await town.journal() if e["seq"] not in known]
    assert [e["kind"] for e in new] == ["signal"]
    assert await town.alerts() == []
    await town.no_more_sms()
    written = {row["what"] for row in await town.sql(lambda c: list(audit.unsealed(c, 1000)))}
    assert {w for w in written if not w.endswith(("_listed", "_looked_at"))} == set()
    assert len(await listed(town)) == 1


async def test_what_asks_for_nothing(town: Town) -> None:
    """A test press, a terminal of a rehearsal, one that is nobody's, and one whose resident is
    watched no more. Each is stored, and nothing is said."""
    people = [rehearsing.Listed("演练", "+8619900000001")]
    (simulated,) = await town.runtime.database.write(
        lambda tx: rehearsing.set_up(
            tx, building=900, flats=1, listed=people, who="test", why="test"
        )
    )
    await town.press("help", test=True, want="repair")
    await town.press("help", simulated, want="repair")
    terminal, resident = t.table(t.Terminal), t.table(t.Resident)

    def change(tx: Tx) -> None:
        nobodys = update(terminal).where(terminal.c.id == "gd-11-303").values(resident_id=None)
        tx.conn.execute(nobodys)
        ended = select(terminal.c.resident_id).where(terminal.c.id == "gd-11-304")
        tx.conn.execute(
            update(resident).where(resident.c.id.in_(ended)).values(state="ended")
        )

    await town.runtime.database.write(change)
    await town.press("help", "gd-11-303", want="repair")
    await town.press("help", "gd-11-304", want="repair")
    assert (await listed(town), await said(town)) == ([], [])


async def test_a_request_that_fails_undoes_no_sign_of_life(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The press is stored and counts, and so do the others of its batch."""

    def broken(*_: Any) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(by_terminal.terminal_request, "answer", broken)
    events = [town.event("help", want="repair"), town.event("checkin", "gd-11-303")]
    assert await town.signals(*events) == ["stored", "stored"]
    assert (await listed(town), await said(town)) == ([], []), "all of it, or nothing"
    resident = t.table(t.Resident)
    her = await granny(town)
    heard = select(resident.c.last_sign_at).where(resident.c.id == her)
    assert await town.sql(lambda c: c.execute(heard).scalar_one()) is not None


async def test_nobody_writes_a_request_down_as_a_terminals(town: Town) -> None:
    """That one has no name in the audit: whoever writes must stand beside what they wrote."""
    body = {"resident_id": await granny(town), "kind": "repair", "words": "灯"}
    await post(town, "requests", 422, **body, source="terminal")
    await make_account(town, "desk", "operator")
    browser = await login(town, "desk")
    try:
        form = {**{k: str(v) for k, v in body.items()}, "source": "terminal"}
        headers = {"Origin": town.url}
        answer = await browser.post("/requests", data=form, headers=headers)
        assert answer.status_code == 409, answer.text
        answer = await browser.post("/requests", data={**form, "source": "steward"},
                                    headers=headers)  # fmt: skip
        assert answer.status_code == 303, answer.text
    finally:
        await browser.aclose()
    assert [r["source"] for r in await listed(town)] == ["steward"]


async def test_two_presses_at_once_are_one_request(town: Town) -> None:
    """Of one terminal by two gateways: the second waits for the first, on either database."""
    events = [town.event("help", want="repair") for _ in range(6)]
    await asyncio.gather(*(town.signals(e) for e in events))
    (one,) = await listed(town)
    assert len(one["steps"]) == 5
    her = await granny(town)
    found = await town.sql(lambda c: help_requests.listed(c, "all", 10, resident_id=her))
    assert len(found) == 1
