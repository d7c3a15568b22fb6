"""Claims about the staff's pages: each state has its words, and nothing foreign can run in them."""

import json
import re
from html import unescape

import pytest
from dashboards_fake import SESSION, TOKEN, FakeReader, steward_view
from fastapi.testclient import TestClient

from dashboards.forms import local_path
from dashboards.headers import CONTENT_SECURITY_POLICY
from dashboards.reader import LoginError, Reader


def test_the_fake_is_a_reader(reader: FakeReader) -> None:
    """mypy holds the fake to the protocol here."""
    typed: Reader = reader
    assert typed is reader


def test_the_wall_asks_for_a_login_first(client: TestClient, reader: FakeReader) -> None:
    """Nobody sees the wall without an account, and comes back to it after the login."""
    reader.user = None
    answer = client.get("/wall")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/wall")


@pytest.mark.parametrize(("lang", "words"), [("zh", "登录已过期"), ("en", "Your login has ended")])
def test_a_session_that_has_ended_is_said_and_leads_back(
    client: TestClient, reader: FakeReader, lang: str, words: str
) -> None:
    """A bare form would look like an error of ours; the way back keeps the page and its period."""
    user, reader.user = reader.user, None
    client.cookies.set("xunlou_session", SESSION)
    answer = client.get("/reports?from=2026-03-01")
    where = answer.headers["location"]
    assert (answer.status_code, where.endswith("&failed=ended")) == (303, True)
    form = client.get(f"{where}&lang={lang}")
    assert words in form.text
    following = re.search(r'name="next" value="([^"]+)"', form.text)
    assert following is not None
    assert unescape(following[1]) == "/reports?from=2026-03-01"
    client.cookies.clear()
    assert words not in client.get(f"/login?lang={lang}").text
    reader.user = user
    fields = {"username": "li", "password": "right", "next": unescape(following[1])}
    assert client.post("/login", data=fields).headers["location"] == "/reports?from=2026-03-01"


def test_the_front_door_leads_to_the_wall(client: TestClient) -> None:
    """/ is not a dead end."""
    assert client.get("/").headers["location"] == "/wall"


def test_login_gives_a_guarded_cookie_and_leads_back(
    client: TestClient, reader: FakeReader
) -> None:
    """The session cookie is out of reach of scripts and of other sites' forms."""
    reader.user = None
    form = {"username": "li", "password": "right", "next": "/wall"}
    answer = client.post("/login", data=form)
    cookie = answer.headers["set-cookie"]
    assert (answer.status_code, answer.headers["location"]) == (303, "/wall")
    assert f"xunlou_session={SESSION}" in cookie
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()


@pytest.mark.parametrize(
    ("reason", "status", "words"),
    [("wrong", 401, "不对"), ("locked", 429, "等几分钟"), ("unavailable", 503, "稍后再试")],
)
def test_a_refused_login_says_why_and_keeps_the_name(
    client: TestClient, reader: FakeReader, reason: str, status: int, words: str
) -> None:
    """The three refusals read differently; the password is never sent back."""
    reader.user = None
    reader.login_error = LoginError(reason)  # type: ignore[arg-type]
    answer = client.post("/login", data={"username": "li", "password": "hunter2"})
    assert answer.status_code == status
    assert words in answer.text
    assert 'value="li"' in answer.text
    assert "hunter2" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "wish",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/wall\r\nX: 1",
        "javascript:alert(1)",
        "",
        None,
        "/a\\b",
    ],
)
def test_no_redirect_leads_to_another_site(wish: str | None) -> None:
    """`next` is a path of ours or it is ignored."""
    assert local_path(wish) == "/wall"


def test_a_local_next_is_kept() -> None:
    """The rule above does not refuse what is good."""
    assert local_path("/s/abc?lang=en") == "/s/abc?lang=en"


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}]
)
def test_a_form_from_another_site_is_refused(
    client: TestClient, reader: FakeReader, path: str, headers: dict[str, str]
) -> None:
    """Another site can neither log staff out nor log them in as somebody else."""
    answer = client.post(path, data={"username": "li", "password": "right"}, headers=headers)
    assert answer.status_code == 403
    assert reader.logouts == 0


def test_logout_ends_the_session_and_takes_the_cookie(
    client: TestClient, reader: FakeReader
) -> None:
    """The server is told, and the browser forgets."""
    answer = client.post("/logout", headers={"origin": "http://wall.test"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert reader.logouts == 1
    assert 'xunlou_session=""' in answer.headers["set-cookie"]


def test_the_language_is_remembered_and_a_query_wins(client: TestClient) -> None:
    """Chinese first; the cookie keeps a choice; ?lang= overrides it for one page."""
    assert '<html lang="zh-CN"' in client.get("/wall").text
    answer = client.post("/lang", data={"lang": "en", "next": "/wall"})
    assert answer.headers["location"] == "/wall"
    assert '<html lang="en"' in client.get("/wall").text
    assert '<html lang="zh-CN"' in client.get("/wall?lang=zh").text
    client.post("/lang", data={"lang": "<script>"})
    assert '<html lang="en"' in client.get("/wall").text


def test_the_wall_doubts_after_twelve_seconds_and_is_blind_after_thirty(
    client: TestClient,
) -> None:
    """What the page gives its scripts where no test shortens it."""
    page = client.get("/wall").text
    assert 'data-late-ms="12000"' in page
    assert 'data-blind-ms="30000"' in page


def test_the_wall_is_dark_until_somebody_chooses(client: TestClient) -> None:
    """A wall at night must not light the room because a browser prefers light."""
    assert 'data-theme="dark"' in client.get("/wall").text
    client.post("/theme", data={"theme": "light"})
    assert 'data-theme="light"' in client.get("/wall").text


def test_the_wall_draws_every_window_with_its_state(client: TestClient, reader: FakeReader) -> None:
    """The server's page carries all windows, so the wall is right before a script has run."""
    page = client.get("/wall").text
    drawn = dict(re.findall(r'data-flat="(\d+)" data-state="(\w+)"', page))
    flats = [flat for house in reader.data["buildings"] for flat in house["flats"]]
    assert drawn == {str(flat["id"]): flat["state"] for flat in flats}


def test_no_name_stands_on_the_wall_outside_the_embedded_facts(client: TestClient) -> None:
    """Façades carry building, flat state and counts; a resident's name is not in the markup."""
    page = client.get("/wall").text
    markup = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.S)
    assert len(markup) < len(page), "the embedded facts were found and taken out"
    assert "何婉仪" not in markup


def test_facts_cannot_break_out_of_the_page(client: TestClient, reader: FakeReader) -> None:
    """A name that is markup stays a name, in the page and in the embedded JSON."""
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    reader.data["community"]["name"] = nasty
    page = client.get("/wall").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    match = re.search(r'id="snapshot">(.*?)</script>', page, re.S)
    assert match is not None
    assert json.loads(match[1])["community"]["name"] == nasty


def test_an_empty_community_says_so(client: TestClient, reader: FakeReader) -> None:
    """Before the first import the wall has words instead of a void."""
    reader.data |= {"buildings": [], "alerts": [], "community": None, "round": None}
    answer = client.get("/wall")
    assert answer.status_code == 200
    assert "还没有录入楼栋" in answer.text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/gone-login", 401, "请先登录"),
        ("/forbidden", 403, "没有权限"),
        ("/nowhere", 404, "没有这一页"),
        ("/crash", 500, "系统出了问题"),
        ("/refused/400", 400, "没有看懂"),
        ("/refused/405", 405, "没有这一页"),
        ("/refused/409", 409, "现在不能这样做"),
        ("/refused/413", 413, "内容太大"),
        ("/refused/418", 418, "没有看懂"),
        ("/refused/422", 422, "填得不对"),
        ("/refused/429", 429, "等一会儿再试"),
        ("/refused/503", 503, "系统出了问题"),
        ("/handover/x", 404, "没有这一页"),
        ("/handover/0", 404, "没有这一页"),
    ],
)
def test_an_error_is_explained_to_people(
    client: TestClient, path: str, status: int, words: str
) -> None:
    """Words, what to do next, and 120; no word of the inside."""
    answer = client.get(path)
    assert answer.status_code == status
    assert words in answer.text
    assert "tel:120" in answer.text
    assert "secret" not in answer.text
    assert (status == 403) is ("没有权限" in answer.text), "only what is about rights says so"
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/login", {"username": "x" * 201}),
        ("/lang", {"lang": "en", "next": "/" + "x" * 500}),
        ("/handover", {"note": "长" * 2001}),
        ("/handover", {"last_id": "x"}),
    ],
)
def test_a_form_that_is_not_understood_is_explained_to_people(
    client: TestClient, path: str, form: dict[str, str]
) -> None:
    """A field too long or of the wrong form: words and the way on, never a program's JSON."""
    answer = client.post(path, data=form, headers={"origin": "http://wall.test"})
    assert answer.status_code == 422
    assert "有些内容填得不对" in answer.text
    assert "tel:120" in answer.text
    english = client.post(f"{path}?lang=en", data=form, headers={"origin": "http://wall.test"})
    assert "Something entered is not right" in english.text


def nexts(html: str) -> set[str]:
    """Where the switches of language and theme lead back to."""
    return {unescape(n) for n in re.findall(r'name="next" value="([^"]*)"', html)}


@pytest.mark.parametrize(
    ("path", "form", "again"),
    [
        ("/residents/901/access", {"reason": "漏水进门"}, "/residents/901"),
        ("/residents", {"words": "何"}, "/residents"),
        ("/alerts/5/access", {"reason": "邻居来电"}, "/alerts/5"),
        ("/alerts/5/resolve", {}, "/alerts/5"),
    ],
)
def test_after_a_form_the_page_leads_to_what_can_be_looked_at(
    client: TestClient, path: str, form: dict[str, str], again: str
) -> None:
    """Looking again, language and theme lead to a page that a GET shows, not to the form."""
    answer = client.post(path, data=form, headers={"origin": "http://wall.test"})
    assert nexts(answer.text) == {again}
    assert path == again or f'href="{path}"' not in answer.text
    assert client.get(again).status_code == 200


def test_language_theme_and_login_keep_the_question(
    client: TestClient, reader: FakeReader
) -> None:
    """A report keeps its period and its building; only `lang` goes, which would outvote the choice,
    and a question that is too long for a form."""
    asked = "/reports?from=2026-03-01&to=2026-03-07&building=11"
    assert nexts(client.get(f"{asked}&lang=en").text) == {asked}
    assert nexts(client.get(f"/reports?from={'x' * 600}").text) == {"/reports"}
    reader.user = None
    led = client.get(asked).headers["location"]
    login = client.get(led)
    assert asked in nexts(login.text)
    form = {"username": "x", "password": "right", "next": asked}
    answer = client.post("/login", data=form, headers={"origin": "http://wall.test"})
    assert (answer.status_code, answer.headers["location"]) == (303, asked)


def test_programs_get_json_errors(client: TestClient) -> None:
    """The API keeps its `detail`, even for a browser's fetch that accepts everything."""
    answer = client.get("/api/v1/forbidden")
    assert (answer.status_code, answer.json()) == (403, {"detail": "not yours"})
    other = client.get("/nowhere", headers={"accept": "application/json"})
    assert other.json() == {"detail": "Not Found"}
    faults = client.post("/api/v1/counted?n=x").json()["detail"]
    assert [fault["loc"] for fault in faults] == [["query", "n"]]
    word = client.get("/alerts/x", headers={"accept": "application/json"})
    assert (word.status_code, word.json()["detail"][0]["loc"]) == (422, ["path", "alert_id"])


def all_pages(client: TestClient, reader: FakeReader) -> dict[str, str]:
    """Every page there is, in both languages."""
    pages = {}
    states = [("open", False), ("accepted", True), ("on_scene", True), ("resolved", True)]
    for lang in ("zh", "en"):
        alerts = ("/alerts/5", "/alerts/7", "/alerts/8")
        for path in ("/wall", *alerts, "/nowhere", "/crash", f"/s/{'x' * 22}"):
            pages[f"{path} {lang}"] = client.get(f"{path}?lang={lang}").text
        for kind in ("sos", "missed"):
            for state, mine in states:
                reader.views[TOKEN] = steward_view(state, mine=mine, kind=kind)
                name = f"{kind} {state} {lang}"
                pages[name] = client.get(f"/s/{TOKEN}?lang={lang}").text
    user, reader.user = reader.user, None
    pages["login"] = client.get("/login").text
    reader.user = user
    return pages


def test_every_page_keeps_the_content_policy(client: TestClient, reader: FakeReader) -> None:
    """No inline script, style or handler, nothing from another host, on any page in any state."""
    for name, html in all_pages(client, reader).items():
        assert not re.search(r"<script(?![^>]*(src=|application/json))", html), name
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", html), name
        outside = re.findall(r'(?:src|href|action)="(?!/|tel:|#)([^"]*)"', html)
        assert outside == [], name
        assert "//" not in "".join(re.findall(r'(?:src|href)="([^"]*)"', html)), name


def test_every_file_a_page_names_exists(client: TestClient, reader: FakeReader) -> None:
    """No page asks for a style sheet or a script that isn't there, nor does a script."""
    named = set(
        re.findall(r'(?:src|href)="(/static/[^"]+)"', "".join(all_pages(client, reader).values()))
    )
    assert any("wall.js" in name for name in named)
    for name in named:
        answer = client.get(name)
        assert answer.status_code == 200, name
        assert answer.headers["cache-control"] == "no-cache"
        for module in re.findall(r'from "\./([^"]+)"', answer.text):
            assert client.get(f"/static/{module}").status_code == 200, module


def test_html_is_never_stored_nor_framed(client: TestClient) -> None:
    """A page from a cache is a wall from the past."""
    headers = client.get("/wall").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    ["/wall", "/alerts/5", "/alerts/7", "/alerts/8", "/handover", "/handover/1", "/buildings",
     "/buildings/11", "/buildings/11/sheet", "/residents", "/residents/901", "/residents/901/card",
     "/reports", f"/s/{TOKEN}"],
)  # fmt: skip
def test_an_english_page_names_places_in_english(client: TestClient, path: str) -> None:
    """Names of people stay as they are; a house and a floor are words, and are translated."""
    answer = client.get(path, params={"lang": "en"})
    assert answer.status_code == 200
    unseen = r"<script.*?</script>|<option.*?</option>|lang=\"zh-CN\">.*?</"
    seen = re.sub(unseen, "", answer.text, flags=re.DOTALL)
    assert re.findall(r".{0,30}\d+(?:栋|楼).{0,10}", seen) == []


def test_the_address_for_120_stands_where_somebody_may_call(client: TestClient) -> None:
    """On the alert, the steward's page, the card on the door and the sheet of the round; where
    none is registered, staff are told."""
    street = "广东省广州市天河区榕影路188号"
    for path in ("/alerts/5", f"/s/{TOKEN}", "/residents/901/card", "/buildings/11/sheet",
                 "/buildings/11"):  # fmt: skip
        assert street in client.get(path).text, path
    assert "还没有登记" in client.get("/residents/990/card").text
