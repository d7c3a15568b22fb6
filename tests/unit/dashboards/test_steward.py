"""Claims about the steward's page: least data first, one next step, harmless twice."""

import re
from datetime import UTC, datetime

import pytest
from dashboards_fake import TOKEN, FakeReader, steward_view
from fastapi.testclient import TestClient

from dashboards.steward import ACTIONS, ago, buttons, silent
from server.core import alerts as core
from server.core.words import Kind, Role, State
from server.service.steward_page import actions

PATH = f"/s/{TOKEN}"
PRIVATE = ("何婉仪", "门卫", "邓美玲", "+8610000110301", "助行器")


def offered(html: str) -> list[str]:
    """The actions a page offers, in order."""
    return re.findall(rf'formaction="/s/{TOKEN}/([a-z_:]+)"', html)


def test_before_accepting_the_page_tells_where_and_since_when_but_not_who(
    client: TestClient,
) -> None:
    """Address, kind, age of the call and who else was told; no name, no way in, no phone."""
    html = client.get(PATH).text
    for shown in ("11栋3楼301", "求助", "3 分钟前", "陈国栋", "还没有人去", "tel:120"):
        assert shown in html
    for private in PRIVATE:
        assert private not in html
    assert offered(html) == ["accept", "decline"]


def test_after_accepting_the_page_tells_the_way_in(client: TestClient, reader: FakeReader) -> None:
    """Name, way in, key holder, phone and risks, and the next step is the door."""
    reader.views[TOKEN] = steward_view("accepted", mine=True)
    html = client.get(PATH).text
    for shown in PRIVATE[:3]:
        assert shown in html
    assert 'href="tel:+8610000110301"' in html
    assert 'href="tel:+8610000110302"' in html
    assert offered(html) == ["on_scene", "decline", "no_answer", "resolve:safe"]


def test_at_the_door_there_are_three_outcomes_and_nobody_answering(
    client: TestClient, reader: FakeReader
) -> None:
    """The outcomes come first; 120 is a call away in every state."""
    reader.views[TOKEN] = steward_view("on_scene", mine=True)
    html = client.get(PATH).text
    assert offered(html) == [
        "resolve:safe",
        "resolve:ambulance",
        "resolve:false_alarm",
        "no_answer",
    ]
    assert "tel:120" in html


def test_a_second_steward_may_go_as_well(client: TestClient, reader: FakeReader) -> None:
    """Somebody else going doesn't take the button away, and doesn't open the private part."""
    view = steward_view("accepted", mine=False)
    view["others"] = [{"name": "陈国栋", "state": "accepted"}]
    reader.views[TOKEN] = view
    html = client.get(PATH).text
    assert offered(html) == ["accept", "decline"]
    assert "已有人前往" in html
    assert "还没有人去" not in html
    assert buttons(view | {"state": "on_scene"}) == (["accept"], ["decline"])


def test_the_second_at_the_door_is_told_of_their_own_way(
    client: TestClient, reader: FakeReader
) -> None:
    """The first has arrived, the second is on the stairs: their page says that they are going, and
    its large button is the door and not 平安, which would close the alert."""
    view = steward_view("on_scene", my_state="accepted")
    view["others"] = [{"name": "陈国栋", "state": "on_scene"}]
    reader.views[TOKEN] = view
    html = client.get(PATH).text
    assert "您正在前往" in html
    assert "您到门口了" not in html
    assert "已到门口" in html
    assert buttons(view)[0] == ["on_scene"]


@pytest.mark.parametrize("own", [None, "accepted", "on_scene"])
@pytest.mark.parametrize("state", ["open", "accepted", "on_scene"])
def test_the_fake_offers_what_the_server_offers(own: str | None, state: str) -> None:
    """What the tests of the page press is what the server lets people press."""
    now = datetime(2026, 3, 14, tzinfo=UTC)
    me = core.Actor(1, "黄丽芳", Role.STEWARD)
    arrived = now if own == "on_scene" else None
    going = core.Responder(me.person_id, me.name, me.role, now, arrived)
    alert = core.Alert(Kind.SOS, None, now, State(state), responders=(going,) if own else ())
    assert steward_view(state, my_state=own)["actions"] == actions(alert, me)
    assert set(actions(alert, me)) <= set(ACTIONS)


def test_a_resolved_alert_offers_nothing_but_thanks(client: TestClient, reader: FakeReader) -> None:
    """Nothing to press by mistake after the end."""
    reader.views[TOKEN] = steward_view("resolved", mine=True)
    html = client.get(PATH).text
    assert offered(html) == []
    assert "已结束" in html


def test_falls_tests_and_cancellations_are_said(client: TestClient, reader: FakeReader) -> None:
    """A cancelled call is still looked after, and a test is called a test."""
    said = {"fall": "跌倒", "test": "测试呼叫", "cancelled_by_resident": "仍请去看看"}
    for fact, words in said.items():
        reader.views[TOKEN] = steward_view() | {fact: True}
        assert words in client.get(PATH).text
        reader.views[TOKEN] = steward_view() | {fact: False}
        assert words not in client.get(PATH).text


def test_looking_changes_nothing(client: TestClient, reader: FakeReader) -> None:
    """Preview robots open links, some with HEAD, some twice."""
    for _ in range(2):
        client.get(PATH)
        client.head(PATH)
        client.get(f"{PATH}/accept")
    assert reader.acts == []


def test_a_double_tap_shows_the_same_page(client: TestClient, reader: FakeReader) -> None:
    """Each tap is answered with a redirect to the state, never with an error."""
    for _ in range(2):
        answer = client.post(f"{PATH}/accept")
        assert (answer.status_code, answer.headers["location"]) == (303, PATH)
    assert "我到门口了" in client.get(PATH).text


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_reaches_the_server_as_named(
    client: TestClient, reader: FakeReader, action: str
) -> None:
    """Outcomes keep their colon through the address."""
    assert client.post(f"{PATH}/{action}").status_code == 303
    assert [done for _, done, _ in reader.acts] == [action]


def test_a_made_up_action_does_nothing(client: TestClient, reader: FakeReader) -> None:
    """Only the known actions are passed on."""
    assert client.post(f"{PATH}/delete_everything").status_code == 404
    assert reader.acts == []


def test_a_refusal_is_shown_in_words_with_the_state_of_now(
    client: TestClient, reader: FakeReader
) -> None:
    """409, the reason, and the page as it is."""
    reader.refuse = "这次求助已经结束,不用去了。"
    answer = client.post(f"{PATH}/accept")
    assert answer.status_code == 409
    assert reader.refuse in answer.text
    assert offered(answer.text) == ["accept", "decline"]


def test_ticked_flats_are_sent_with_the_outcome(client: TestClient, reader: FakeReader) -> None:
    """For a missed round the open flats are a tick list; those done are not offered again."""
    reader.views[TOKEN] = steward_view("on_scene", mine=True, kind="missed")
    html = client.get(PATH).text
    assert re.findall(r'name="resident_id" value="(\d+)"', html) == ["901", "902"]
    client.post(f"{PATH}/resolve:safe", data={"resident_id": ["901", "902"]})
    assert reader.acts == [(TOKEN, "resolve:safe", {"resident_id": ["901", "902"]})]


def test_a_worklist_tells_who_goes_whom_to_expect(client: TestClient, reader: FakeReader) -> None:
    """Age, living alone and since when nothing was heard, for the doors where nobody has been, and
    for whoever said that they go."""
    facts = ("91 岁", "独居", "已 26 小时没有音讯", "已 3 天没有音讯", "外出回来后第一轮")
    reader.views[TOKEN] = steward_view("open", kind="missed")
    assert not [words for words in facts[2:] if words in client.get(PATH).text]
    reader.views[TOKEN] = steward_view("accepted", mine=True, kind="missed")
    html = client.get(PATH).text
    assert [words for words in facts if words not in html] == []
    reader.views[TOKEN]["items"][0]["heard_ms"] = None
    assert "还没有过音讯" in client.get(PATH).text


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(-1, ("s.silent.hours", 0)), (47.9, ("s.silent.hours", 47)), (48, ("s.silent.days", 2))],
)
def test_how_long_nothing_was_heard(hours: float, expected: tuple[str, int]) -> None:
    """Hours for two days, then days."""
    key, figures = silent(0, int(hours * 3_600_000))
    assert (key, figures["n"]) == expected


def test_a_page_that_is_read_again_comes_only_when_it_has_changed(
    client: TestClient, reader: FakeReader
) -> None:
    """The script brings the tag of what it has; the same page is 304 and empty, also where a proxy
    marked the tag as weak; whatever changes is the whole page, as is every page that nobody has."""
    page = client.get(PATH)
    tag = page.headers["etag"]
    for known in (tag, f"W/{tag}"):
        same = client.get(PATH, headers={"If-None-Match": known})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["cache-control"] == "no-store"
    assert client.get(PATH).status_code == 200
    reader.views[TOKEN] = steward_view("accepted")
    changed = client.get(PATH, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert "已有人前往" in changed.text
    reader.views[TOKEN] = steward_view("expired")
    assert client.get(PATH, headers={"If-None-Match": tag}).status_code == 410
    assert reader.acts == []


@pytest.mark.parametrize("gone", [False, True])
def test_the_other_language_is_one_tap_away_and_stays(
    client: TestClient, reader: FakeReader, gone: bool
) -> None:
    """A link, in its own language; the phone keeps the choice over the steward's own language in
    the register, and a tap leads back into it. What is no language is kept nowhere."""
    reader.views[TOKEN] = steward_view("expired" if gone else "open") | {"lang": "zh"}
    html = client.get(PATH).text
    link = f'<a href="{PATH}?lang=en" lang="en" hreflang="en">English</a>'
    assert link in html
    assert "set-cookie" not in client.get(f"{PATH}?lang=xx").headers
    english = client.get(f"{PATH}?lang=en").text
    assert f'<a href="{PATH}?lang=zh" lang="zh-CN" hreflang="zh-CN">中文</a>' in english
    assert '<html lang="en"' in client.get(PATH).text
    if not gone:
        client.post(f"{PATH}/accept")
        reader.views[TOKEN]["lang"] = "zh"
        assert '<html lang="en"' in client.get(PATH).text


@pytest.mark.parametrize(
    "token", ["x" * 22, "short", "a" * 129, "..%2F..%2Fetc", "何婉仪何婉仪何婉仪"]
)
def test_an_unknown_link_says_what_to_do(client: TestClient, token: str) -> None:
    """404 in words, with 120, and nothing about any alert."""
    answer = client.get(f"/s/{token}")
    assert answer.status_code == 404
    assert "tel:120" in answer.text


def test_an_expired_link_shows_nothing_and_accepts_nothing(
    client: TestClient, reader: FakeReader
) -> None:
    """410 for looking and for acting."""
    reader.views[TOKEN] = steward_view("expired")
    for answer in (client.get(PATH), client.post(f"{PATH}/accept")):
        assert answer.status_code == 410
        assert "已经失效" in answer.text
        assert "11栋" not in answer.text
    assert reader.acts == []


@pytest.mark.parametrize("path", [PATH, f"/s/{'x' * 22}"])
def test_the_link_is_not_stored_passed_on_or_listed(client: TestClient, path: str) -> None:
    """The address is the key to a home."""
    for answer in (client.get(path), client.post(f"{path}/accept")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"].startswith("noindex")


def test_a_preview_shows_no_name_and_no_flat(client: TestClient, reader: FakeReader) -> None:
    """The title, which messengers show, is the product's name and nothing else."""
    reader.views[TOKEN] = steward_view("accepted", mine=True)
    html = client.get(PATH).text
    title = re.search(r"<title>(.*?)</title>", html)
    assert title is not None
    assert title[1] == "巡楼"
    assert "og:" not in html


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_page_styles_and_script_stay_under_30_kb(
    client: TestClient, reader: FakeReader, lang: str
) -> None:
    """A steward on a weak line gets everything in 30 KB, also of a house of 40 flats from which
    nobody was heard: each with age, living alone, since when, and an absence that has ended."""
    view = steward_view("on_scene", mine=True, kind="missed")
    opened = view["opened_ms"]
    view["items"] = [
        {"resident_id": 1001 + n, "label": f"{n // 4 + 1}{n % 4 + 1:02}", "state": "open",
         "age": 65 + n, "lives_alone": True, "heard_ms": opened - (n + 20) * 3_600_000,
         "back_ms": opened}
        for n in range(40)
    ]  # fmt: skip
    reader.views[TOKEN] = view
    html = client.get(f"{PATH}?lang={lang}")
    assert html.text.count('name="resident_id"') == html.text.count('class="fact line"') == 40
    size = len(html.content)
    for sheet in re.findall(r'(?:href|src)="(/static/[^"]+)"', html.text):
        size += len(client.get(sheet).content)
    assert size <= 30 * 1024


def test_the_stewards_own_language_is_used_until_they_choose(
    client: TestClient, reader: FakeReader
) -> None:
    """A steward recorded as English-speaking gets English at once; ?lang= still wins."""
    reader.views[TOKEN] = steward_view() | {"lang": "en"}
    assert "I am going" in client.get(PATH).text
    assert '<html lang="zh-CN"' in client.get(f"{PATH}?lang=zh").text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, ("s.ago.now", {})),
        (59, ("s.ago.now", {})),
        (60, ("s.ago.minutes", {"n": 1})),
        (3599, ("s.ago.minutes", {"n": 59})),
        (7380, ("s.ago.hours", {"h": 2, "m": 3})),
    ],
)
def test_how_long_ago(seconds: int, expected: tuple[str, dict[str, int]]) -> None:
    """Whole minutes, and never a time in the future."""
    assert ago(0, seconds * 1000) == expected
