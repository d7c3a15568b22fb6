"""What a hostile client sends: each gets a short answer, nothing of it is believed.
"""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from staff_kit import account_id, login, make_account
from test_who_may import API, TABLE, VALUES
from town import API_TOKEN, GATEWAY_TOKEN, GRANNY, HEAD, PASSWORD, SECOND, Town, page_in
from twilio.request_validator import RequestValidator

TOKEN_OF_PROVIDER = "a-token-of-the-tests"
JSON = {"Content-Type": "application/json"}
LONGEST_S = 3.0
"""So long we listen to a connection that nobody closes."""
CLOSED_WITHIN_S = 60.0
"""So long, on a machine with nothing to spare, to one that the other end is to close."""


async def spoken(town: Town, said: bytes) -> bytes:
    """Say these bytes on a connection of our own; everything that comes back until it is closed."""
    host, _, port = town.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    heard = b""
    longest_s = CLOSED_WITHIN_S if b"\r\nConnection: close\r\n" in said else LONGEST_S
    try:
        async with asyncio.timeout(longest_s):
            writer.write(said)
            await writer.drain()
            while data := await reader.read(65536):
                heard += data
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return heard


def status_of(heard: bytes) -> int:
    """The status of the first answer; 0 when there is none (the connection was closed on them)."""
    return int(heard.split(b" ", 2)[1]) if heard.startswith(b"HTTP/1.1 ") else 0


async def well(town: Town) -> None:
    """The server answers, and a press calls the steward."""
    assert (await town.api.get("/readyz")).json()["status"] == "ok"


BODIES = {
    "nul": b'{"reason": "tea\\u0000time", "how": "other"}',
    "surrogate": b'{"reason": "\\ud800\\ud800", "how": "other"}',
    "surrogate_key": b'{"reason": "ok", "how": "other", "\\udfff": 1}',
    "nan": b'{"reason": NaN, "how": -Infinity}',
    "infinite": b'{"reason": 1e999, "how": "other"}',
    "long_number": b'{"reason": ' + b"9" * 5000 + b', "how": "other"}',
    "deep_list": b"[" * 20_000,
    "deep_object": b'{"a":' * 20_000,
    "utf16": b"\xff\xfe{\x00}",
    "not_utf8": b"\x80abc",
    "empty": b"",
    "null": b"null",
    "text": b'"text"',
}


async def test_no_json_breaks_anything(town: Town) -> None:
    """A body that no database or no JSON can hold is refused, or stored as far as it can be, and
    the explanation itself can be read. It never repeats what was sent."""
    for name, body in BODIES.items():
        for client, path in (
            (town.api, "/api/v1/residents/3/end"), (town.api, "/api/v1/rounds/report"),
            (town.gateway, "/api/v1/signals"), (town.gateway, "/api/v1/commands/done"),
        ):  # fmt: skip
            answer = await client.post(path, content=body, headers=JSON)
            assert answer.status_code in (200, 400, 404, 409, 422), (name, path, answer.text)
            if answer.status_code == 422:
                for fault in answer.json()["detail"]:
                    assert isinstance(fault, str) or set(fault) == {"loc", "msg", "type"}, name
    await well(town)


DATES = (
    "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z", "1900-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-03-14", "1e400",
    "-1", "253402300800", "2026-03-14T06:00:00+23:59", "2026-03-14T24:00:00Z",
)  # fmt: skip


async def test_no_date_breaks_anything(town: Town) -> None:
    """An instant on the edge of the calendar, in whatever zone, is answered, not stumbled over."""
    for at in DATES:
        asked = await town.api.get("/api/v1/ladder/explain", params={"resident": "1", "at": at})
        assert asked.status_code in (200, 422), (at, asked.text)
        for path in ("/api/v1/residents/1/absence", "/api/v1/people/1/absence"):
            body = {"until": at, "reason": "a long journey"}
            answer = await town.api.post(path, json=body)
            assert answer.status_code in (404, 409, 422), (at, answer.text)
    await well(town)


async def test_a_number_that_is_none_or_too_large_is_no_such_thing(town: Town) -> None:
    """`²` is a digit to Python and no number; a number beyond the database's is nobody's."""
    await make_account(town, "chief", "administrator")
    await make_account(town, "small", "administrator", "building", "11")
    for who in ("chief", "small"):
        async with await login(town, who) as desk:
            for number in ("²", "99999999999", "9" * 40, "1%00"):
                for page in ("/residents/", "/buildings/", "/alerts/", "/handover/",
                             "/api/v1/alerts/", "/api/v1/residents/"):  # fmt: skip
                    more = "/rounds" if page == "/api/v1/residents/" else ""
                    status = (await desk.get(f"{page}{number}{more}")).status_code
                    refused = (403, 404, 422) if page == "/handover/" else (404, 422)
                    assert status in refused, (who, page, number)
                for query in (
                    "/api/v1/residents?building=", "/api/v1/assignments?person_id=",
                    "/reports?building=", "/api/v1/ladder/explain?resident=",
                ):  # fmt: skip
                    status = (await desk.get(f"{query}{number}")).status_code
                    assert status in (200, 400, 403, 404, 422), (who, query, number)
                form = {"username": "new", "name": "n", "role": "operator", "level": "building",
                        "place": number}  # fmt: skip
                assert (await desk.post("/accounts", data=form)).status_code == 409
    taken = {"cmd_ids": ["c-²", "c-" + "9" * 60]}
    done = await town.gateway.post("/api/v1/commands/done", json=taken)
    assert done.status_code == 204
    acks = [{"t": GRANNY, "cmd_id": f"c-{n}", "result": "shown"} for n in ("²", "9" * 17)]
    assert await town.signals(town.event("checkin"), cmd_acks=acks) == ["stored"]
    await town.press()
    link = page_in(await town.expect_sms(SECOND, "SOS"))
    for number in ("²", "9" * 40):
        answer = await town.api.post(f"{link}/accept", data={"resident_id": number})
        assert answer.status_code < 500


POST = b"POST /api/v1/signals HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
BYTES: dict[str, tuple[bytes, set[int]]] = {
    "no_host": (b"GET /healthz HTTP/1.1\r\n\r\n", {400}),
    "two_hosts": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
                  {200, 400}),
    "nul_in_header": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", {400}),
    "many_headers": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 300_000 + b"\r\n",
                     {0, 400, 431}),
    "long_path": (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {0, 400, 414}),
    "negative_length": (POST + b"Content-Length: -5\r\n\r\n", {400}),
    "odd_length": (POST + b"Content-Length: \xb2\r\n\r\n", {400}),
    "two_lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", {400}),
    "length_and_chunks": (
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", {400, 401}),
    "endless_chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
                      {0, 400, 401}),
    "multipart_without_boundary": (
        b"POST /webhooks/twilio/inbound HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: multipart/form-data\r\nContent-Length: 3\r\n\r\nabc", {400, 403}),
    "foreign_address": (
        b"GET http://elsewhere.example/healthz HTTP/1.1\r\nHost: elsewhere.example\r\n"
        b"Connection: close\r\n\r\n", {200, 400, 404}),
    "connect": (b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example\r\n"
                b"Connection: close\r\n\r\n", {400, 404, 405}),
    "trace": (b"TRACE /wall HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\nConnection: close\r\n\r\n",
              {404, 405}),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {0, 400}),
}  # fmt: skip


@pytest.mark.sqlite_only("bytes are refused before anything is asked of the database")
async def test_no_bytes_break_anything(town: Town) -> None:
    """What is no proper request is refused or hung up on, gives nothing back of what was sent, and
    is never taken for two requests."""
    for name, (sent, statuses) in BYTES.items():
        heard = await spoken(town, sent)
        assert status_of(heard) in statuses, (name, heard[:300])
        assert heard.count(b"HTTP/1.1 ") <= 1, name
        assert b"elsewhere.example" not in heard, name
    await well(town)


@pytest.mark.sqlite_only("nothing is asked of the database")
async def test_half_a_request_holds_up_nobody(town: Town) -> None:
    """Fifty clients begin a request and say no more. Meanwhile somebody presses for help."""
    host, _, port = town.url.removeprefix("http://").partition(":")
    opened = []
    for n in range(50):
        _, writer = await asyncio.open_connection(host, int(port))
        begun = b"POST /api/v1/signals HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        writer.write(begun if n % 2 else begun + b"\r\n{")
        await writer.drain()
        opened.append(writer)
    await town.press()
    await town.expect_sms(HEAD, "求助")
    await well(town)
    for writer in opened:
        writer.close()


@pytest.mark.sqlite_only("paths are refused before anything is asked of the database")
async def test_no_path_leads_out_of_the_static_files(town: Town) -> None:
    """However it is spelt, a path under /static gives what lies there and nothing else."""
    for path in (
        "/static/../pages.py", "/static/..%2fpages.py", "/static/%2e%2e/pages.py",
        "/static//etc/passwd",
        "/static/%2fetc/passwd", "/static/..%5c..%5cpages.py", "/static/.%00./pages.py", "/static/",
        "/static/vendor", "/static/feed.js%00.css", "//static/../../etc/passwd",
    ):  # fmt: skip
        heard = await spoken(
            town, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        assert status_of(heard) in (400, 404, 405), path
        assert b"root:" not in heard
        assert b"import" not in heard
    for path in ("/API/v1/alerts", "/api/v1/alerts/", "/api//v1/alerts", "/api/v1/../v1/alerts",
                 "/wall/", "/wall;x", "/wall%2f", "/s/../wall"):  # fmt: skip
        heard = await spoken(
            town, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        assert status_of(heard) in (307, 401, 404, 405), (path, heard[:200])
        assert b"alerts\":" not in heard


@pytest.mark.sqlite_only("the host is nothing that the database knows of")
async def test_a_forged_host_is_in_no_link_and_no_redirect(town: Town) -> None:
    """Whoever sends another Host, or a proxy's word for one, gets redirects within this site only;
    the links in messages lead to XUNLOU_PUBLIC_URL."""
    forged = {"Host": "elsewhere.example", "X-Forwarded-Host": "elsewhere.example",
              "Forwarded": "host=elsewhere.example"}  # fmt: skip
    async with httpx.AsyncClient(base_url=town.url, headers=forged) as stranger:
        for path in ("/", "/wall", "/login?next=//elsewhere.example",
                     "/login?next=/%5Celsewhere.example", "/residents", "/account"):  # fmt: skip
            answer = await stranger.get(path, headers={"Accept": "text/html"})
            assert answer.headers.get("location", "/").startswith("/")
            assert not answer.headers.get("location", "/").startswith("//")
            assert "elsewhere.example" not in answer.text.replace("next=//elsewhere", "")
    await town.press()
    assert f"{town.url}/s/" in await town.expect_sms(SECOND, "SOS")


@pytest.mark.sqlite_only("headers are nothing that the database knows of")
async def test_nothing_that_is_sent_becomes_a_header(town: Town) -> None:
    """A line break in what is sent ends in no header and no second answer."""
    broken = "/wall%0d%0aSet-Cookie:%20xunlou_session=mine"
    async with httpx.AsyncClient(base_url=town.url) as stranger:
        for form in ({"lang": "en", "next": "/wall\r\nSet-Cookie: a=b"},
                     {"lang": "en\r\nSet-Cookie: a=b", "next": "/wall"}):  # fmt: skip
            answer = await stranger.post("/lang", data=form)
            assert "a=b" not in str(answer.headers)
        for path in (broken, f"/login?next={broken}", "/residents/1%0d%0aX:%20y",
                     "/s/x%0d%0aX:%20y"):  # fmt: skip
            answer = await stranger.get(path)
            assert "set-cookie" not in answer.headers
            assert "x" not in answer.headers


@pytest.mark.sqlite_only("a foreign form is refused before anything is asked of the database")
async def test_a_form_from_elsewhere_changes_nothing(town: Town) -> None:
    """Every route that changes something refuses a browser from another site (its origin, `null` of
    a sandboxed frame, a sister domain) that carries the administrator's cookie."""
    await make_account(town, "chief", "administrator")
    elsewhere: list[dict[str, str]] = [
        {"Origin": "https://elsewhere.example"}, {"Origin": "null"},
        {"Origin": town.url.replace("127.0.0.1", "127.0.0.1.elsewhere.example")},
        {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site", "Origin": town.url},
    ]  # fmt: skip
    own = {"gateway", "signature", "token in the address"}
    changing = [r for r, right in TABLE.items() if not r.startswith("GET ") and right not in own]
    assert len(changing) > 30
    before = [e for e in await town.journal() if e["kind"] != "logged_in"]
    async with await login(town, "chief") as chief:
        del chief.headers["Origin"]
        for route in changing:
            method, path = route.split(" ", 1)
            path = path.format(**VALUES, action="accept" if path.startswith("/alerts") else "reset")
            for headers in elsewhere:
                if API in path and "Sec-Fetch-Site" in headers and "Origin" in headers:
                    continue  # the API goes by Origin, which no page can forge
                plain = {**headers, "Content-Type": "text/plain"}
                answer = await chief.request(method, path, headers=plain, content=b"{}")
                assert answer.status_code == 403, (route, headers)
    assert [e for e in await town.journal() if e["kind"] != "logged_in"] == before


@pytest.mark.sqlite_only("whose cookie it is, is asked of either database alike")
async def test_a_cookie_is_worth_nothing_after_its_end(town: Town) -> None:
    """Logged out, the account closed, the password reset, the time over: the cookie that was kept
    opens no page, no data and no act; neither does one that is made up or doubled."""
    await make_account(town, "chief", "administrator")
    ends: list[dict[str, str]] = []
    async with await login(town, "chief") as chief:
        for act in ("logout", "close", "reset", "time"):
            await make_account(town, f"li-{act}", "operator")
            async with await login(town, f"li-{act}") as li:
                kept = {"Cookie": f"xunlou_session={li.cookies['xunlou_session']}"}
                assert (await li.get("/api/v1/snapshot")).status_code == 200
                if act == "logout":
                    await li.post("/logout")
                elif act != "time":
                    number = await account_id(town, f"li-{act}")
                    assert (await chief.post(f"/accounts/{number}/{act}")).status_code < 400
                ends.append(kept)
    town.hand.at_s += timedelta(days=8).total_seconds()
    made_up = ("", "x", "' OR 1=1 --", "a" * 5000, "\xff")
    ends += [{"Cookie": f"xunlou_session={v}"} for v in made_up]
    ends.append({"Cookie": f"{ends[0]['Cookie']}; {ends[1]['Cookie']}"})
    async with httpx.AsyncClient(base_url=town.url) as thief:
        for kept in ends:
            raw = {k: v.encode("latin-1") for k, v in kept.items()}
            for path in ("/wall", "/residents/1", "/account", "/reports.csv"):
                answer = await thief.get(path, headers=raw)
                assert answer.headers.get("location", "").startswith("/login"), (path, kept)
            assert (await thief.get("/api/v1/snapshot", headers=raw)).status_code == 401
            own = {**raw, "X-Requested-With": b"xunlou"}
            act = await thief.post("/api/v1/alerts/1/accept", json={}, headers=own)
            assert act.status_code == 401


@pytest.mark.sqlite_only("a token is refused before anything is asked of the database")
async def test_no_token_but_the_right_one(town: Town) -> None:
    """Nearly right is wrong, whatever it looks like; it may be said with 401 or 403, never 500."""
    headers = (
        "Bearer", "bearer x y", "Basic YXBpOnRva2Vu",
        f"Bearer {API_TOKEN.upper()}", f"Token {API_TOKEN}", "Bearer \xff\xfe",
        "Bearer " + "x" * 9000, f"Bearer {GATEWAY_TOKEN}", "Bearer xl_' OR '1'='1",
    )  # fmt: skip
    async with httpx.AsyncClient(base_url=town.url) as stranger:
        for header in headers:
            for path in ("/api/v1/snapshot", "/api/v1/journal", "/metrics"):
                raw = {"Authorization": header.encode("latin-1")}
                status = (await stranger.get(path, headers=raw)).status_code
                assert status in (401, 403), (header, path)


def signed(
    town: Town, path: str, form: dict[str, str], token: str = TOKEN_OF_PROVIDER
) -> dict[str, str]:
    """The provider's signature over this form at our public address."""
    signature = RequestValidator(token).compute_signature(f"{town.url}{path}", form)
    return {"X-Twilio-Signature": signature}


async def test_nobody_but_the_provider_answers_for_a_steward(town: Town) -> None:
    """An SMS with the steward's number as its sender counts only with the provider's signature over
    this address and these words; every other signature is refused and changes nothing."""
    await town.press()
    await town.expect_sms(HEAD, "求助")
    path = "/webhooks/twilio/inbound"
    form = {"MessageSid": "SM" + "1" * 32, "From": HEAD, "Body": "1"}
    good = signed(town, path, form)
    wrong: list[tuple[str, dict[str, str], dict[str, str]]] = [
        (path, form, {}),
        (path, form, {"X-Twilio-Signature": ""}),
        (path, form, {"X-Twilio-Signature": "\xe9"}),
        (path, form, {"X-Twilio-Signature": good["X-Twilio-Signature"].lower()}),
        (path, form, signed(town, path, form, token="another-token")),
        (path, form, signed(town, path, form, token="")),
        (path, {**form, "Body": "2"}, good),
        (path, {**form, "From": "+8610000000009"}, good),
        (path, {**form, "More": "x"}, good),
        (f"{path}?x=1", form, good),
        ("/webhooks/twilio/status?m=1", form, good),
        (path, form, signed(town, "/webhooks/twilio/status?m=1", form)),
    ]  # fmt: skip
    async with httpx.AsyncClient(base_url=town.url) as stranger:
        for where, fields, headers in wrong:
            raw = {k: v.encode("latin-1") for k, v in headers.items()}
            answer = await stranger.post(where, data=fields, headers=raw)
            assert answer.status_code == 403, (where, fields, headers)
        as_json = await stranger.post(path, content=json.dumps(form), headers={**JSON, **good})
        assert as_json.status_code == 403
        assert (await stranger.get(path, params=form, headers=good)).status_code == 405
        assert (await town.sos())["state"] == "open"
        other_host = {**good, "Host": "elsewhere.example", "X-Forwarded-Host": "elsewhere.example"}
        assert (await stranger.post(path, data=form, headers=other_host)).status_code == 200
        assert (await town.sos())["state"] == "accepted"


async def test_a_recorded_answer_played_again_does_nothing(town: Town) -> None:
    """Who recorded the provider's signed words may play them again, to this alert and to the next:
    they count once."""
    path = "/webhooks/twilio/inbound"
    form = {"MessageSid": "SM" + "2" * 32, "From": HEAD, "Body": "1"}
    await town.press()
    recorded = signed(town, path, form)
    async with httpx.AsyncClient(base_url=town.url) as stranger:
        assert (await stranger.post(path, data=form, headers=recorded)).status_code == 200
        first = await town.sos()
        assert first["state"] == "accepted"
        await town.act(first["id"], "resolve", outcome="safe")
        await town.press()
        for _ in range(3):
            assert (await stranger.post(path, data=form, headers=recorded)).status_code == 200
    newest = max(await town.alerts(kind="sos"), key=lambda a: a["id"])
    assert newest["id"] != first["id"]
    assert newest["state"] == "open", "an old word must not accept a new call for help"


async def test_no_words_of_a_steward_are_lost_to_an_error(town: Town) -> None:
    """Signed, and odd: NUL, right-to-left marks, half a book. It is taken, and nothing breaks."""
    path = "/webhooks/twilio/inbound"
    words = ("\x00", "1\x00", "\U0001f600" * 400, "x" * 50_000, "\r\n1\r\n", "\u202e1", "")
    async with httpx.AsyncClient(base_url=town.url) as provider:
        for n, body in enumerate(words):
            form = {"MessageSid": f"SM{n:032}", "From": HEAD, "Body": body}
            answer = await provider.post(path, data=form, headers=signed(town, path, form))
            assert answer.status_code == 200, (body[:10], answer.text)
    await well(town)


@pytest.mark.sqlite_only("bodies are bounded before anything is asked of the database")
async def test_too_much_is_refused_at_every_door(town: Town) -> None:
    """More than a request may hold is refused by every route that takes a body, before anybody is
    asked who they are; and by the provider's, far less."""
    much = 2 * 1024 * 1024 + 1
    for route in [r for r in TABLE if not r.startswith("GET ")]:
        method, path = route.split(" ", 1)
        if path.startswith(("/register/", f"{API}/register/")):
            continue  # a file of the register may be larger: test_register_files.py
        path = path.format(**VALUES, action="accept")
        head = (f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {much}\r\n\r\n")  # fmt: skip
        assert status_of(await spoken(town, head.encode())) == 413, route
    form: dict[str, Any] = {"MessageSid": "SM1", "From": HEAD, "Body": "x" * 70_000}
    path = "/webhooks/twilio/inbound"
    answer = await town.api.post(path, data=form, headers=signed(town, path, form))
    assert answer.status_code == 413


@pytest.mark.sqlite_only("a method is refused before anything is asked of the database")
async def test_no_method_slips_past(town: Town) -> None:
    """A method that a route does not have, or a header that pretends another, does nothing; HEAD
    and OPTIONS give away no data."""
    await town.press()
    sos = await town.sos()
    async with await login(town, "operator", PASSWORD) as desk:
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "FOO", "GET"):
            answer = await desk.request(method, f"/api/v1/alerts/{sos['id']}/resolve")
            assert answer.status_code == 405, method
        over = {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST",
                "X-Requested-With": "xunlou"}  # fmt: skip
        answer = await desk.get(f"/api/v1/alerts/{sos['id']}?_method=POST", headers=over)
        assert answer.status_code == 200
        for method in ("HEAD", "OPTIONS"):
            answer = await desk.request(method, "/api/v1/residents")
            assert answer.status_code == 405
            assert "access-control-allow-origin" not in answer.headers
    assert (await town.sos())["state"] == "open"
