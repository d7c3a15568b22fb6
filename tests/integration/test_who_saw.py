"""Who saw: every route of the staff that shows a person leaves an entry with who looked.

A new page or endpoint fails here until somebody has decided whether it shows anybody.
"""

import asyncio
import threading
from typing import Any

import httpx
import pytest
from staff_kit import login, make_account
from test_audit import entries
from test_who_may import ALERT, API, ASKED, PERSON, RESIDENT, TABLE, VALUES
from town import HEAD, Town

from server.database import Tx

pytestmark = pytest.mark.sqlite_only("who saw is written down before the database is chosen")
SAW: dict[str, str] = {
    f"GET {API}/snapshot": "wall_opened", "GET /wall": "wall_opened",
    f"GET {API}/stream": "feed_opened",
    f"GET {API}/alerts": "alerts_listed", f"GET {ALERT}": "alert_looked_at",
    "GET /alerts/{alert_id}": "alert_looked_at",
    f"GET {API}/residents": "residents_listed", "POST /residents": "residents_searched",
    "GET /residents/{resident_id}": "resident_looked_at",
    "GET /residents/{resident_id}/card": "card_looked_at",
    "GET /residents/{resident_id}/history": "history_looked_at",
    f"GET {RESIDENT}/rounds": "rounds_looked_at", f"GET {RESIDENT}/consents": "consents_looked_at",
    "GET /buildings/{number}": "building_looked_at",
    "GET /buildings/{number}/sheet": "sheet_looked_at",
    "GET /buildings/{number}/history": "history_looked_at",
    f"GET {API}/assignments": "assignments_listed", f"GET {API}/rota": "duty_looked_at",
    f"GET {API}/rounds": "rounds_listed", f"GET {API}/ladder/explain": "ladder_explained",
    f"GET {API}/terminals": "terminals_listed", "GET /terminals": "terminals_listed",
    "POST /terminals": "terminals_listed", "GET /terminals/{terminal_id}": "terminal_looked_at",
    "GET /handover": "handover_looked_at", "GET /handover/{handover_id}": "handover_looked_at",
    "GET /duty": "duty_looked_at", "GET /duty/history": "history_looked_at",
    f"GET {API}/requests": "requests_listed", "GET /requests": "requests_listed",
    f"GET {API}/requests/{{request_id}}": "request_looked_at",
    "GET /requests/{request_id}": "request_looked_at",
    f"GET {API}/visits": "visits_listed", "GET /visits": "visits_listed",
    f"GET {API}/greetings": "greetings_listed", "GET /greetings": "greetings_listed",
    "GET /greetings/sheet": "greetings_printed",
    "GET /hours": "volunteers_listed", f"GET {API}/hours/{{person_id}}": "hours_looked_at",
    "GET /hours/{person_id}": "hours_looked_at",
    "GET /hours/{person_id}/statement.csv": "hours_exported",
    "GET /reports.csv": "report_exported",
    **dict.fromkeys(
        [f"GET {p}" for p in (
            PERSON, f"{PERSON}/away", f"{PERSON}/shifts", "/residents/{resident_id}/away",
            "/residents/{resident_id}/edit", "/residents/{resident_id}/move",
            "/residents/{resident_id}/end", "/buildings/{number}/edit", "/duty/remove",
            "/duty/shifts/{person_id}", "/residents/new", "/buildings/new", "/duty/add",
            "/duty/community", "/communities/new")],
        "form_looked_at"),
    f"GET {PERSON}/history": "history_looked_at",
    f"GET {API}/journal": "journal_listed", f"GET {API}/messages": "messages_listed",
    f"GET {API}/quarantine": "quarantine_listed", "GET /accounts": "accounts_listed",
}  # fmt: skip
NOBODY = {
    f"GET {API}/sight", f"GET {API}/rounds/plan", f"GET {API}/addresses", f"GET {API}/hours",
    f"GET {API}/communities",
    f"GET {API}/requests/figures", "GET /buildings", "GET /residents", "GET /terminals/labels",
    "GET /reports", "GET /register", "GET /kiosk", "GET /kiosk/wall",
}  # fmt: skip
"""Figures, doors and empty forms: no person is in them."""
OWN = {"GET /account"}


async def lived(town: Town) -> dict[str, str]:
    """A community in which there is somebody to see on every page: the ids of its things."""
    await town.press()
    resident = (await town.residents(11))["301"]["id"]
    made = {}
    for what, body in (("requests", {"kind": "repair", "words": "灯不亮", "source": "phone"}),
                       ("visits", {"cause": "other", "why": "刚出院"})):  # fmt: skip
        answer = await town.api.post(f"{API}/{what}", json={**body, "resident_id": resident})
        made[what] = answer.raise_for_status().json()["id"]
    everybody = (await town.api.get(f"{API}/assignments")).json()["assignments"]
    on_duty = next(a["person_id"] for a in everybody if a["role"] == "duty")
    return {
        **VALUES, "alert_id": str((await town.sos())["id"]), "resident_id": str(resident),
        "person_id": str(await town.person(HEAD)), "request_id": str(made["requests"]),
        "visit_id": str(made["visits"]), "duty": str(on_duty),
    }  # fmt: skip


async def open_(browser: httpx.AsyncClient, route: str, ids: dict[str, str]) -> int:
    """Look, as a browser does; only the beginning of what never ends."""
    method, path = route.split(" ", 1)
    if "/duty/shifts/" in path:
        ids = {**ids, "person_id": ids["duty"]}
    address = path.format(**ids) + ASKED.get(route, "")
    form: dict[str, Any] = {"data": {"words": "11-301"}} if method == "POST" else {}
    headers = {"X-Requested-With": "xunlou"}
    async with browser.stream(method, address, headers=headers, **form) as answer:
        if route.endswith("/stream"):
            await anext(answer.aiter_lines())
        else:
            await answer.aread()
        return answer.status_code


def test_every_route_that_reads_is_judged() -> None:
    """Either it shows somebody, and says so, or nobody."""
    read = {
        route for route, right in TABLE.items()
        if route.startswith("GET") and right not in ("anybody", "metrics", "token in the address")
    } | {"POST /residents", "POST /terminals"}  # fmt: skip
    assert read == SAW.keys() | NOBODY | OWN


async def test_whoever_sees_somebody_leaves_an_entry(town: Town) -> None:
    """Each by itself, in the name of who looked."""
    town.runtime.settings.kiosk_wall = True
    ids = await lived(town)
    await make_account(town, "chief", "administrator")
    form = {"outgoing": "周明", "incoming": "李静", "note": "", "last_id": "0"}
    async with await login(town, "chief") as browser:
        assert (await browser.post("/handover", data=form)).status_code == 303
        before, wrong = len(await entries(town)), []
        for route in [*SAW, *NOBODY]:
            town.runtime.looks = type(town.runtime.looks)()
            status = await open_(browser, route, ids)
            await town.runtime.settle()
            new = (await entries(town))[before:]
            before += len(new)
            left = [(e["who"], e["what"]) for e in new]
            told = [("chief", SAW[route])] if route in SAW else []
            if status != 200 or left != told:
                wrong.append((route, status, left))
    assert wrong == []


async def test_a_page_that_stands_open_is_one_look(town: Town) -> None:
    """A wall and an alert, which fetch themselves anew for hours, are each in the audit once; two
    people are two."""
    ids = await lived(town)
    pages = ("GET /wall", f"GET {API}/snapshot", f"GET {API}/stream", "GET /alerts/{alert_id}",
             f"GET {ALERT}", "GET /buildings/{number}")  # fmt: skip
    for name in ("li", "wang"):
        await make_account(town, name, "operator")
        async with await login(town, name) as browser:
            for _ in range(4):
                for route in pages:
                    assert await open_(browser, route, ids) == 200
    await town.runtime.settle()
    for name in ("li", "wang"):
        looks = {SAW[route] for route in pages}
        seen = [e["what"] for e in await entries(town) if e["who"] == name and e["what"] in looks]
        assert sorted(seen) == sorted(looks)


async def test_an_alert_is_shown_while_nothing_can_be_written(town: Town) -> None:
    """Somebody holds the database's one writer: the page of the SOS is there all the same, and the
    entry follows when there is room. One that was lost is written at the next look."""
    ids = await lived(town)
    await make_account(town, "li", "operator")
    held, free = threading.Event(), threading.Event()

    def hold(_tx: Tx) -> None:
        held.set()
        free.wait(30)

    async with await login(town, "li") as browser:
        await town.runtime.settle()
        holding = asyncio.create_task(town.runtime.database.write(hold))
        await asyncio.to_thread(held.wait, 10)
        try:
            for path in ("GET /alerts/{alert_id}", "GET /wall", f"GET {ALERT}"):
                assert await open_(browser, path, ids) == 200
            assert not free.is_set()
        finally:
            free.set()
        await holding
        await town.runtime.settle()
        assert [e["what"] for e in await entries(town) if e["who"] == "li"].count(
            "alert_looked_at"
        ) == 1  # fmt: skip
