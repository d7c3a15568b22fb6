"""Who may open what: every route of the application against every role, and against nobody.

A new page or endpoint fails here until somebody has decided who may use it and has written it down.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from staff_kit import login, make_account
from starlette.routing import Route
from town import GATEWAY_TOKEN, Town

from server.app import create_app

pytestmark = pytest.mark.sqlite_only("a right is decided before anything is asked of the database")
DESK = {"look", "act", "access", "report", "hall", "own"}
ROLES: dict[str, set[str]] = {
    "operator": DESK,
    "coordinator": DESK | {"register"},
    "administrator": DESK | {"register", "record", "accounts"},
    "auditor": {"look", "report", "record", "hall", "own"},
    "kiosk": {"hall", "own"},
}
API, ALERT, RESIDENT = "/api/v1", "/api/v1/alerts/{alert_id}", "/api/v1/residents/{resident_id}"
PERSON = "/people/{person_id}"
TABLE: dict[str, str] = {
    **dict.fromkeys(
        ["GET /healthz", "GET /readyz", "GET /openapi.json", "GET /", "GET /login", "POST /login",
         "GET /login/elsewhere", "GET /login/elsewhere/back", "POST /logout",
         "POST /lang", "POST /theme", "GET /static/palette.css"], "anybody"),
    "GET /metrics": "metrics",
    **dict.fromkeys(
        [f"GET {API}/{p}" for p in (
            "snapshot", "stream", "sight", "alerts", "residents", "assignments", "rounds",
            "rounds/plan", "rota", "ladder/explain", "terminals", "addresses", "communities")]
        + [f"GET {ALERT}", f"GET {RESIDENT}/rounds", f"GET {RESIDENT}/consents",
           "GET /wall", "GET /alerts/{alert_id}",
           "GET /buildings", "GET /buildings/{number}", "GET /buildings/{number}/sheet",
           "GET /residents", "POST /residents", "GET /residents/{resident_id}",
           "GET /residents/{resident_id}/card", "GET /terminals/labels", "GET /terminals",
           "POST /terminals", "GET /terminals/{terminal_id}",
           "GET /handover", "GET /handover/{handover_id}", "GET /duty", "GET /duty/history",
           "GET /residents/{resident_id}/history", "GET /buildings/{number}/history"]
        + [f"GET {API}/{p}" for p in (
            "requests", "requests/{request_id}", "visits", "greetings", "hours",
            "hours/{person_id}")]
        + ["GET /requests", "GET /requests/{request_id}", "GET /visits", "GET /greetings",
           "GET /greetings/sheet", "GET /hours", "GET /hours/{person_id}"],
        "look"),
    **dict.fromkeys(
        [f"POST {ALERT}/{verb}" for verb in ("accept", "on-scene", "resolve", "escalate")]
        + [f"{m} {RESIDENT}/absence" for m in ("POST", "DELETE")]
        + [f"{m} {API}/people/{{person_id}}/absence" for m in ("POST", "DELETE")]
        + [f"POST {API}/rounds/report", "POST /alerts/{alert_id}/{action}", "POST /handover"]
        + [f"{m} {p}/away" for m in ("GET", "POST") for p in (PERSON, "/residents/{resident_id}")]
        + [f"POST {p}/back" for p in (PERSON, "/residents/{resident_id}")]
        + [f"GET {PERSON}", f"GET {PERSON}/history"]
        + [f"POST {API}/requests", f"PATCH {API}/requests/{{request_id}}", f"POST {API}/visits",
           f"POST {RESIDENT}/greeting", "POST /requests", "POST /requests/{request_id}/{action}",
           "POST /visits", "POST /visits/{visit_id}/{action}", "POST /greetings/{resident_id}"]
        + [f"POST {API}/requests/{{request_id}}/{verb}"
           for verb in ("take", "hand-on", "done", "withdraw")]
        + [f"POST {API}/visits/{{visit_id}}/{verb}" for verb in ("done", "drop")],
        "act"),
    **dict.fromkeys(
        [f"POST {RESIDENT}/access", f"POST {RESIDENT}/export",
         f"POST {API}/people/{{person_id}}/export", "POST /alerts/{alert_id}/access",
         "POST /residents/{resident_id}/access"], "access"),
    **dict.fromkeys(
        [f"POST {RESIDENT}/consents", f"POST {RESIDENT}/consents/{{purpose}}/withdraw",
         f"POST {RESIDENT}/erase", f"POST {API}/people/{{person_id}}/erase",
         f"PATCH {RESIDENT}", f"POST {RESIDENT}/end", f"POST {RESIDENT}/move",
         f"POST {API}/assignments", f"POST {API}/assignments/{{assignment_id}}/remove",
         f"PUT {API}/people/{{person_id}}/shifts", f"PUT {API}/rounds/plan",
         f"POST {API}/communities", f"PATCH {API}/communities/{{community_id}}",
         f"PUT {API}/addresses", f"PUT {API}/addresses/{{building}}",
         f"POST {API}/terminals/{{terminal_id}}/assign", f"POST {API}/register/import",
         f"POST {API}/register/export", "GET /register", "POST /register/import",
         "POST /residents/{resident_id}/consent",
         "POST /residents/{resident_id}/withdraw", "POST /register/apply",
         "POST /register/rejected", "POST /register/export",
         f"POST {API}/terminals/enrol", f"POST {API}/terminals/{{terminal_id}}/state",
         f"POST {API}/terminals/{{terminal_id}}/swap", "POST /terminals/enrol",
         "POST /terminals/{terminal_id}/{action}",
         f"POST {API}/terminals/{{terminal_id}}/key", f"POST {PERSON}",
         f"POST {API}/hours/entries/{{entry_id}}/counter", "POST /hours/{person_id}/counter"]
        + [f"{m} {p}" for m in ("GET", "POST") for p in (
            "/residents/new", "/residents/{resident_id}/edit", "/residents/{resident_id}/move",
            "/residents/{resident_id}/end", "/buildings/new", "/buildings/{number}/edit",
            "/communities/new", "/duty/add", "/duty/remove", "/duty/community",
            "/duty/shifts/{person_id}", "/people/{person_id}/shifts")],
        "register"),
    **dict.fromkeys(["GET /reports", "GET /reports.csv", f"GET {API}/requests/figures",
                     "GET /hours/{person_id}/statement.csv"], "report"),
    **dict.fromkeys([f"GET {API}/{p}" for p in ("journal", "messages", "quarantine")], "record"),
    **dict.fromkeys(["GET /account", "POST /account/{action}"], "own"),
    **dict.fromkeys(
        ["GET /accounts", "POST /accounts", "POST /accounts/{account_id}/{action}",
         "POST /tokens", "POST /tokens/{token_id}/revoke"], "accounts"),
    **dict.fromkeys(["GET /kiosk", "GET /kiosk/wall"], "hall"),
    "GET /kiosk/{token}": "token in the address",
    **dict.fromkeys([f"{m} /s/{{token}}{a}" for m, a in (
        ("GET", ""), ("GET", "/{action}"), ("POST", "/{action}"))], "token in the address"),
    **dict.fromkeys(
        [f"POST {API}/{p}" for p in ("signals", "commands/lease", "commands/done")], "gateway"),
    **dict.fromkeys(
        [f"POST /webhooks/twilio/{p}" for p in (
            "inbound", "status", "voice", "voice/key", "voice/status")], "signature"),
}  # fmt: skip
VALUES = {
    "alert_id": "1", "building": "11", "resident_id": "1", "person_id": "1", "assignment_id": "1",
    "number": "11", "terminal_id": "gd-11-301", "handover_id": "1",
    "purpose": "health", "request_id": "1", "visit_id": "1", "entry_id": "1",
    "community_id": "1",
    "account_id": "999", "token_id": "999", "token": "no-such-token-anywhere",
}  # fmt: skip
ASKED = {f"GET {API}/ladder/explain": "?resident=1"}


def routes(town: Town) -> list[str]:
    """Every "METHOD /path" of the application."""

    def walk(routes: list[Any]) -> Iterator[Route]:
        for route in routes:
            if isinstance(route, Route):
                yield route
            elif included := getattr(route, "original_router", None):
                yield from walk(included.routes)

    found = walk(list(create_app(town.runtime).routes))
    return sorted(
        f"{method} {route.path}" for route in found for method in route.methods or ()
        if method != "HEAD" or "GET" not in (route.methods or ())
    )  # fmt: skip


async def ask(client: httpx.AsyncClient, route: str) -> tuple[int, str]:
    """The status, and where a redirect leads. The request comes from our own page."""
    method, path = route.split(" ", 1)
    action = "password" if path.startswith("/account/") else "reset"
    path = path.format(**VALUES, action="accept" if path.startswith(("/alerts", "/s/")) else action)
    body = {"json": {}} if method in ("POST", "PUT", "PATCH") and API in path else {}
    headers = {"X-Requested-With": "xunlou", "Sec-Fetch-Site": "same-origin"}
    async with client.stream(method, path + ASKED.get(route, ""), headers=headers, **body) as got:
        return got.status_code, got.headers.get("location", "")


@pytest.fixture
async def doors(town: Town) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """A browser for each role, logged in, and one alert to look at."""
    await town.press()
    found = {}
    for role in ROLES:
        await make_account(town, f"the-{role}", role)
        found[role] = await login(town, f"the-{role}")
    yield found
    for client in found.values():
        await client.aclose()


async def test_the_table_names_every_route(town: Town) -> None:
    """A door that nobody has thought about is a failure, and so is one that is gone."""
    assert sorted(TABLE) == routes(town)


async def test_every_role_at_every_door(town: Town, doors: dict[str, httpx.AsyncClient]) -> None:
    """Whoever has the right comes in; whoever has not is refused, and nothing else happens."""
    wrong = []
    for route, right in TABLE.items():
        if right in ("anybody", "metrics", "gateway", "signature", "token in the address"):
            continue
        for role, rights in ROLES.items():
            status, where = await ask(doors[role], route)
            refused = status in (401, 403) or (status == 303 and where.startswith("/login"))
            to_own = role == "kiosk" and where == "/kiosk"
            if (right in rights) == (refused or to_own):
                wrong.append((route, role, status, where))
    assert wrong == []


async def test_nobody_at_every_door(town: Town) -> None:
    """Without a login the way leads to the login, or to a refusal; what is open says so here."""
    wrong = []
    async with httpx.AsyncClient(base_url=town.url) as nobody:
        for route, right in TABLE.items():
            status, where = await ask(nobody, route)
            if right == "anybody":
                off = "elsewhere" in route  # no provider is set
                fine = status in ((404,) if off else (200, 303, 401, 422))
            elif right in ("metrics", "gateway"):
                fine = status in (401, 403)
            elif right in ("signature", "token in the address", "hall"):
                fine = status in (403, 404, 422)
            else:
                fine = status == 401 or (status == 303 and where.startswith("/login"))
            if not fine:
                wrong.append((route, status, where))
    assert wrong == []


async def test_a_gateway_is_no_member_of_staff(town: Town) -> None:
    """The token of a gateway opens nothing but the gateways' endpoints."""
    headers = {"Authorization": f"Bearer {GATEWAY_TOKEN}"}
    async with httpx.AsyncClient(base_url=town.url, headers=headers) as client:
        for route, right in TABLE.items():
            if API in route and right != "gateway":
                assert (await ask(client, route))[0] == 403, route


async def test_no_form_of_another_site_does_anything(
    town: Town, doors: dict[str, httpx.AsyncClient]
) -> None:
    """Whatever changes something refuses a browser that comes from another site, though it carries
    the administrator's cookie. A steward's link needs no cookie, so nobody can misuse one."""
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}
    for route, right in TABLE.items():
        method, path = route.split(" ", 1)
        if method == "GET" or right in ("gateway", "signature", "token in the address"):
            continue
        path = path.format(**VALUES, action="accept" if path.startswith("/alerts") else "reset")
        body = {"json": {}} if API in path else {}
        answer = await doors["administrator"].request(method, path, headers=foreign, **body)
        assert answer.status_code == 403, route


BY_QUERY = (
    f"GET {API}/visits?resident={{resident_id}}", f"GET {API}/alerts?building={{number}}",
    f"GET {API}/residents?building={{number}}", f"GET {API}/requests?building={{number}}",
    f"GET {API}/assignments?building={{number}}", f"GET {API}/assignments?person_id={{person_id}}",
    f"GET {API}/rounds?building={{number}}", f"GET {API}/requests/figures?building={{number}}",
    f"GET {API}/ladder/explain?resident={{resident_id}}",
    "GET /reports?building={number}", "GET /reports.csv?building={number}",
)  # fmt: skip
"""What is asked for by number behind the question mark."""


def odd_forms(number: int) -> list[str]:
    """A number as pydantic reads it, and others do not."""
    plain = str(number)
    return [f"+{plain}", f"%2B{plain}", f"%20{plain}", f"{plain}%20", f"{plain}.0", f"0{plain}",
            plain.zfill(11), f"{plain[0]}_{plain[1:]}" if number > 9 else f"0_{plain}"]  # fmt: skip


async def beyond(town: Town) -> dict[str, int]:
    """An id of each kind that belongs to building 12 and to no other."""
    resident = next(iter((await town.residents(12)).values()))
    await town.press(terminal=resident["terminal_id"])
    api = town.api
    alert = next(iter(await town.alerts(building=12)))
    made: dict[str, int] = {}
    for what, body in (("requests", {"kind": "repair", "words": "灯不亮", "source": "phone"}),
                       ("visits", {"cause": "other", "why": "刚出院"})):  # fmt: skip
        body |= {"resident_id": resident["id"]}
        answer = await api.post(f"{API}/{what}", json=body)
        made[what] = answer.raise_for_status().json()["id"]
    person = {"role": "family", "name": "远亲", "phone": "+8610012345678"}
    body = person | {"resident_id": resident["id"], "reason": "新亲属"}
    answer = await api.post(f"{API}/assignments", json=body)
    family = answer.raise_for_status().json()
    return {
        "alert_id": alert["id"], "resident_id": resident["id"], "number": 12, "building": 12,
        "request_id": made["requests"], "visit_id": made["visits"],
        "assignment_id": family["id"], "person_id": family["person_id"],
    }  # fmt: skip


async def test_no_way_of_writing_a_number_opens_another_house(town: Town) -> None:
    """Whatever names a thing of building 12, however its number is written, is not there for the
    coordinator of building 11."""
    there = await beyond(town)
    await make_account(town, "of-11", "coordinator", "building", "11")
    wrong = []
    async with await login(town, "of-11") as browser:
        for route in [*TABLE, *BY_QUERY]:
            if TABLE.get(route) in ("gateway", "signature", "token in the address"):
                continue
            for kind, number in there.items():
                if f"{{{kind}}}" not in route:
                    continue
                for form in (str(number), *odd_forms(number)):
                    asked = route.replace(f"{{{kind}}}", form)
                    status, where = await ask(browser, asked)
                    if status not in (403, 404):
                        wrong.append((asked, status, where))
    assert wrong == []
