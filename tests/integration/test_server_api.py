"""Who may ask what, and what they get: every endpoint, every door."""

from typing import Any

import httpx
import pytest
from sqlalchemy import delete
from town import API_TOKEN, GATEWAY_TOKEN, GRANNY, HEAD, PASSWORD, Town

from server import tables as t

STAFF_GETS = (
    "/api/v1/snapshot", "/api/v1/alerts", "/api/v1/alerts/1", "/api/v1/residents",
    "/api/v1/terminals", "/api/v1/journal",
    "/api/v1/messages", "/api/v1/quarantine", "/api/v1/stream",
)  # fmt: skip
STAFF_POSTS = (
    *(f"/api/v1/alerts/1/{verb}" for verb in ("accept", "on-scene", "resolve", "escalate")),
    "/api/v1/residents/1/access", "/api/v1/register/export",
)  # fmt: skip
GATEWAY_POSTS = ("/api/v1/signals", "/api/v1/commands/lease", "/api/v1/commands/done")
OPEN = ("/healthz", "/readyz", "/openapi.json")
HEADER = {"X-Requested-With": "xunlou"}


async def anonymous(town: Town, method: str, path: str, token: str = "") -> int:
    """The status that a caller with this token gets."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx.AsyncClient(base_url=town.url, headers=headers) as client,
        client.stream(method, path, json={} if method == "POST" else None) as answer,
    ):
        return answer.status_code


async def logged_in(town: Town, client: httpx.AsyncClient) -> None:
    """Log the operator in, as the page does."""
    form = {"username": "operator", "password": PASSWORD}
    answer = await client.post("/login", data=form)
    assert answer.status_code == 303, answer.text


async def test_every_staff_endpoint_asks_who_is_there(town: Town) -> None:
    """Without credentials 401; with a wrong token, or a gateway's, 403; and no endpoint of the
    published schema is open that is not meant to be."""
    staff = [("GET", p) for p in STAFF_GETS] + [("POST", p) for p in STAFF_POSTS]
    for method, path in staff:
        assert await anonymous(town, method, path) == 401, path
        assert await anonymous(town, method, path, "wrong") == 403, path
        assert await anonymous(town, method, path, GATEWAY_TOKEN) == 403, path
    for path in GATEWAY_POSTS:
        assert await anonymous(town, "POST", path) == 401, path
        assert await anonymous(town, "POST", path, API_TOKEN) == 403, path
    for path in OPEN:
        assert await anonymous(town, "GET", path) == 200, path


async def test_the_schema_has_no_forgotten_door(town: Town) -> None:
    """Whatever is added to the API asks for credentials: all but health, and the webhooks, which
    ask for a signature."""
    schema = (await town.api.get("/openapi.json")).json()
    for path, methods in schema["paths"].items():
        real = path
        for part in ("{alert_id}", "{resident_id}", "{absence_id}", "{terminal_id}"):
            real = real.replace(part, "1")
        for method in methods:
            status = await anonymous(town, method.upper(), real)
            if path in OPEN:
                assert status == 200, path
            elif path.startswith("/webhooks/"):
                assert status in (403, 422), path
            else:
                assert status in (401, 403), path


async def test_a_persons_session(town: Town) -> None:
    """A person who has logged in may look; to act, their request must come from our own page; once
    they have logged out the cookie opens nothing."""
    await town.press()
    alert = await town.sos()
    path = f"/api/v1/alerts/{alert['id']}/accept"
    async with httpx.AsyncClient(base_url=town.url) as client:
        await logged_in(town, client)
        assert (await client.get("/api/v1/snapshot")).status_code == 200
        assert (await client.post(path, json={})).status_code == 403
        foreign = {"Origin": "https://elsewhere.example"}
        assert (await client.post(path, json={}, headers=foreign)).status_code == 403
        assert (await town.sos())["state"] == "open"
        answer = await client.post(path, json={}, headers={"Origin": town.url})
        assert answer.json()["responder"] == {"name": "operator", "role": "operator"}
        assert (await client.post(path, json={}, headers=HEADER)).status_code == 200
        cookie = dict(client.cookies)
        assert (await client.post("/logout", headers={"Origin": town.url})).status_code == 303
    async with httpx.AsyncClient(base_url=town.url, cookies=cookie) as thief:
        assert (await thief.get("/api/v1/snapshot")).status_code == 401


@pytest.mark.parametrize(
    ("username", "password"), [("operator", "wrong"), ("nobody", PASSWORD), ("", ""),
                               ("operator", "")],
)  # fmt: skip
async def test_a_wrong_login(town: Town, username: str, password: str) -> None:
    """A wrong name and a wrong password are answered alike, and open nothing."""
    async with httpx.AsyncClient(base_url=town.url) as client:
        form = {"username": username, "password": password}
        answer = await client.post("/login", data=form)
        assert answer.status_code == 401
        assert "xunlou_session" not in client.cookies
        assert (await client.get("/api/v1/snapshot")).status_code == 401


async def three_alerts(town: Town) -> list[dict[str, Any]]:
    """Two SOS in building 11, one resolved, and one in building 12."""
    for terminal in (GRANNY, "gd-11-303", "gd-12-302"):
        await town.press(terminal=terminal)
    first = (await town.alerts())[0]["id"]
    await town.act(first, "resolve", outcome="false_alarm")
    return await town.alerts()


@pytest.mark.parametrize(
    ("query", "expected"),
    [({}, [0, 1, 2]), ({"state": "open"}, [1, 2]), ({"state": "resolved"}, [0]),
     ({"state": "unresolved", "building": 11}, [1]), ({"building": 12}, [2]),
     ({"building": 77}, []), ({"kind": "fault"}, []), ({"kind": "sos", "limit": 1}, [0]),
     ({"state": "accepted"}, [])],
)  # fmt: skip
async def test_filters_of_alerts(
    town: Town, query: dict[str, Any], expected: list[int]
) -> None:
    """State, kind and building narrow the list; together they narrow it further."""
    ids = [a["id"] for a in await three_alerts(town)]
    assert [a["id"] for a in await town.alerts(**query)] == [ids[i] for i in expected]


async def test_paging(town: Town) -> None:
    """Alerts, journal and messages can be read page by page, nothing twice and nothing left out."""
    await three_alerts(town)
    for what, key, number in (("alerts", "alerts", "id"), ("journal", "entries", "seq"),
                              ("messages", "messages", "id")):  # fmt: skip
        whole = (await town.api.get(f"/api/v1/{what}", params={"limit": 1000})).json()[key]
        pages: list[Any] = []
        after = 0
        while page := (
            await town.api.get(f"/api/v1/{what}", params={"after": after, "limit": 2})
        ).json()[key]:
            assert len(page) <= 2
            pages += page
            after = page[-1][number]
        assert [r[number] for r in pages] == [r[number] for r in whole]
        assert len(whole) >= 3


async def test_who_is_on_the_way_stays_who_they_are(town: Town) -> None:
    """The register changes while a steward is on the way: at the door is still this steward, in
    the role in which they went, and not a stranger to the alert."""
    await town.press()
    alert_id = (await town.sos())["id"]
    head = await town.person(HEAD)
    await town.act(alert_id, "accept", as_person_id=head)
    duty = t.table(t.Assignment)
    await town.sql(lambda c: c.execute(delete(duty).where(duty.c.person_id == head)))
    answer = await town.act(alert_id, "on-scene", as_person_id=head)
    assert answer.status_code == 200, answer.text
    (going,) = answer.json()["responders"]
    assert (going["person_id"], going["role"]) == (head, "steward")


async def test_staff_act_for_a_steward_on_the_telephone(town: Town) -> None:
    """A steward phones the desk: the desk accepts in their name and the terminal names them. Twice
    is as good as once; after the end 409 says who ended it; what is no outcome is refused."""
    await town.press()
    alert_id = (await town.sos())["id"]
    head = await town.person(HEAD)
    for _ in range(2):
        answer = await town.act(alert_id, "accept", as_person_id=head)
        assert answer.json()["responder"] == {"name": "邝彩霞", "role": "steward"}
    version = answer.json()["version"]
    assert (await town.act(alert_id, "accept", as_person_id=head)).json()["version"] == version
    assert [c["who"] for c in await town.commands()] == ["邝彩霞"]
    assert (await town.act(alert_id, "on-scene", as_person_id=head)).json()["state"] == "on_scene"
    for wrong in ({}, {"outcome": "fine"}, {"outcome": "checked_in"}):
        refused = await town.act(alert_id, "resolve", **wrong)
        assert refused.status_code == 409
        assert "outcome must be one of" in refused.json()["detail"]
    for _ in range(2):
        answer = await town.act(alert_id, "resolve", outcome="helped", as_person_id=head)
        assert (answer.status_code, answer.json()["outcome"]) == (200, "helped")
    for verb in ("accept", "on-scene", "escalate"):
        late = await town.act(alert_id, verb)
        assert late.status_code == 409
        assert "邝彩霞" in late.json()["detail"]
    other = await town.act(alert_id, "resolve", outcome="safe")
    assert other.status_code == 409, "another's outcome does not overwrite the first"


async def test_escalating_by_hand(town: Town) -> None:
    """The desk may call the next people now; a fault has nobody to call and says so."""
    await town.press()
    await town.forget_sms()
    answer = await town.act((await town.sos())["id"], "escalate")
    assert answer.json()["next_step"]["targets"] == ["duty"]
    await town.expect_sms("+8610011000200", "求助")
    await town.press("tamper")
    (fault,) = await town.alerts(kind="fault")
    assert (await town.act(fault["id"], "escalate")).status_code == 409
    assert (await town.act(fault["id"], "resolve", outcome="other")).json()["state"] == "resolved"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/alerts/999", None, 404),
        ("GET", "/api/v1/alerts/0", None, 422),
        ("GET", "/api/v1/alerts/99999999999999999999", None, 422),
        ("GET", "/api/v1/alerts?state=lost", None, 422),
        ("POST", "/api/v1/residents/9999/access", {"reason": "checking"}, 404),
        ("GET", "/api/v1/nothing", None, 404),
        ("POST", "/api/v1/alerts/999/accept", {}, 404),
        ("POST", "/api/v1/alerts/999/resolve", {"outcome": "safe"}, 404),
        ("POST", "/api/v1/alerts/1/accept", {"as_person_id": 9999}, 404),
        ("POST", "/api/v1/alerts/1/accept", {"colour": "red"}, 422),
        ("DELETE", "/api/v1/alerts/1", None, 405),
    ],
)
async def test_what_is_not_there(
    town: Town, method: str, path: str, body: Any, status: int
) -> None:
    """What does not exist is 404, what makes no sense is 422; both say so in words, as JSON."""
    await town.press()
    answer = await town.api.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]


async def test_the_register(town: Town) -> None:
    """Residents by building with door, age and terminal, and no way in; terminals as they last
    spoke."""
    answer = await town.api.get("/api/v1/residents", params={"building": 11})
    granny = next(r for r in answer.json()["residents"] if r["flat"] == "301")
    assert (granny["name"], granny["age"], granny["terminal_id"]) == ("何桂芳", 84, GRANNY)
    assert "铁门" not in answer.text
    await town.signals(heartbeats=[{"t": GRANNY, "boot": 4, "bat": 55, "mains": False}])
    devices = {d["id"]: d for d in (await town.api.get("/api/v1/terminals")).json()["terminals"]}
    assert (devices[GRANNY]["battery"], devices[GRANNY]["mains"]) == (55, False)
    assert devices[GRANNY]["status"] == "online"
    assert devices["gd-11-303"]["status"] == "unknown"


async def test_the_way_in_needs_a_reason_and_is_on_record(town: Town) -> None:
    """Who looks at how to get into a home says why; who, whose door and why are in the journal,
    and what they saw is not."""
    granny = (await town.residents())["301"]
    path = f"/api/v1/residents/{granny['id']}/access"
    for body in ({}, {"reason": ""}):
        assert (await town.api.post(path, json=body)).status_code == 422
    in_address = await town.api.post(path, params={"reason": "locksmith asks"})
    assert in_address.status_code == 422, "an address ends up in logs"
    answer = await town.api.post(path, json={"reason": "locksmith asks"})
    assert "铁门" in answer.json()["access_notes"]
    assert answer.json()["key_holders"][0]["name"] == "黎美珠"
    (look,) = (e for e in await town.journal() if e["kind"] == "access_looked_at")
    assert look["flat_id"] == granny["flat_id"]
    assert (look["data"]["by"], look["data"]["why"]) == ("api", "locksmith asks")
    assert "铁门" not in str(await town.journal())


async def test_messages_show_no_key_to_a_page(town: Town) -> None:
    """Who may read the outbox still can't open a steward's page with it."""
    await town.press()
    await town.reply(HEAD, "1")
    rows = (await town.api.get("/api/v1/messages")).json()["messages"]
    links = [m["body"] for m in rows if "/s/" in m["body"]]
    assert links
    assert all(body.split("/s/")[1].startswith("*" * 22) for body in links)


async def test_health(town: Town) -> None:
    """We live; whether the register, the SMS account and a gateway are there is said in words."""
    assert (await town.api.get("/healthz")).json() == {"status": "ok"}
    ready = (await town.api.get("/readyz")).json()
    assert (ready["status"], ready["register"], ready["sms"]) == ("ok", "ok", "ok")
    assert ready["gateway_heard_s"] is None
    await town.gateway_lives()
    town.hand.at_s += 7
    assert (await town.api.get("/readyz")).json()["gateway_heard_s"] == 7
