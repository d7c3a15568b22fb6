"""Claims about the page of one alert: complete, without scripts, the way in only for a reason."""

import re
from zoneinfo import ZoneInfo

import pytest
from dashboards_fake import NOW_MS, FakeReader, responder
from fastapi.testclient import TestClient

from dashboards.alert_page import clock, span
from dashboards.reader import User

HOME = {"origin": "http://wall.test"}


def test_it_asks_for_a_login_and_leads_back(client: TestClient, reader: FakeReader) -> None:
    """A link to an alert survives the login."""
    reader.user = None
    answer = client.get("/alerts/5")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/alerts/5")


@pytest.mark.parametrize("path", ["/alerts/4711", "/alerts/0", "/alerts/x"])
def test_an_unknown_alert_is_explained(client: TestClient, path: str) -> None:
    """No such alert: the page says so in words, instead of a crash or a program's JSON."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert "没有这一页" in answer.text
    assert "There is no such page" in client.get(f"{path}?lang=en").text


@pytest.mark.parametrize("number", [5, 6, 7, 8, 9])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_kind_of_alert_has_its_page(client: TestClient, number: int, lang: str) -> None:
    """SOS waiting and claimed, worklist, faults: all drawn in both languages."""
    answer = client.get(f"/alerts/{number}?lang={lang}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


def test_it_shows_who_was_told_what_comes_next_and_what_happened(client: TestClient) -> None:
    """Recipients with their fate, the ladder with its countdown, the timeline in words."""
    page = client.get("/alerts/5").text
    assert "短信 未送达" in page
    assert "+86100****0101" in page
    assert f'data-until="{NOW_MS + 46_000}">00:46' in page
    assert "去不了" in page
    assert "message_queued" not in page, "the table of messages tells that"
    assert "something_new" in page, "an unknown event is shown as it is, never hidden"


def test_the_resident_is_named_here_and_the_way_in_is_not(client: TestClient) -> None:
    """Staff see whom it concerns; how to get in needs a reason first."""
    page = client.get("/alerts/5").text
    assert "何婉仪" in page
    assert "铁门" not in page
    assert "+8610000110302" not in page


def test_the_way_in_is_shown_for_a_reason_and_the_look_is_logged(
    client: TestClient, reader: FakeReader
) -> None:
    """The reason reaches the log in one line, with the name of who looked."""
    answer = client.post("/alerts/5/access", data={"reason": " 邻居\n来电 "}, headers=HOME)
    assert answer.status_code == 200
    assert "铁门" in answer.text
    assert 'href="tel:+8610000110302"' in answer.text
    assert reader.looks == [("李文静", 5, "邻居 来电")]


@pytest.mark.parametrize("reason", ["", "  ", "ab"])
def test_without_a_reason_nothing_is_shown(
    client: TestClient, reader: FakeReader, reason: str
) -> None:
    """Blanks are no reason."""
    answer = client.post("/alerts/5/access", data={"reason": reason}, headers=HOME)
    assert answer.status_code == 422
    assert "铁门" not in answer.text
    assert reader.looks == []


@pytest.mark.parametrize(
    ("action", "form", "fields"),
    [
        ("accept", {"as_person_id": ""}, {}),
        ("accept", {"as_person_id": "21"}, {"as_person_id": "21"}),
        ("escalate", {"surprise": "1"}, {}),
        ("resolve", {"outcome": "safe", "note": "好"}, {"outcome": "safe", "note": "好"}),
        (
            "resolve",
            {"outcome": "safe", "as_person_id": "21"},
            {"outcome": "safe", "as_person_id": "21"},
        ),
    ],
)
def test_buttons_act_and_lead_back(
    client: TestClient,
    reader: FakeReader,
    action: str,
    form: dict[str, str],
    fields: dict[str, str],
) -> None:
    """A POST answers with a redirect, so that a reload repeats nothing; unknown fields are cut."""
    answer = client.post(f"/alerts/5/{action}", data=form, headers=HOME)
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts/5")
    assert reader.alert_acts == [("李文静", 5, action, fields)]


@pytest.mark.parametrize("outcome", ["", "checked_in", "<b>"])
def test_nothing_is_resolved_without_an_outcome(
    client: TestClient, reader: FakeReader, outcome: str
) -> None:
    """Required here as well as in the browser, and only what a person may say."""
    answer = client.post("/alerts/5/resolve", data={"outcome": outcome}, headers=HOME)
    assert answer.status_code == 422
    assert "请先选择结果" in answer.text
    assert reader.alert_acts == []


def test_who_says_so_may_be_who_goes_or_was_told(client: TestClient, reader: FakeReader) -> None:
    """Each form that ends something asks for a person: whoever is logged in, who goes, who was
    told; somebody who went without being told is among them, once."""
    reader.data["alerts"][0]["responders"] = [responder("冯志强", "substitute", 23)]
    says = re.search(r'<select id="says".*?</select>', client.get("/alerts/5").text, re.DOTALL)
    assert says is not None
    people = re.findall(r'<option value="(\d*)">(.*?)</option>', says[0])
    assert people == [("", "李文静"), ("23", "冯志强"), ("21", "梁玉珍"), ("22", "陈国栋")]
    assert 'id="says-901"' in client.get("/alerts/7").text


def test_a_refusal_is_told_in_words(client: TestClient, reader: FakeReader) -> None:
    """409 with the reason on the page."""
    reader.refuse = "已由别人结束"
    answer = client.post("/alerts/5/accept", headers=HOME)
    assert answer.status_code == 409
    assert "没有办成:已由别人结束" in answer.text


def test_who_may_only_look_gets_no_buttons_and_cannot_act(
    client: TestClient, reader: FakeReader
) -> None:
    """Neither by the page nor around it."""
    reader.user = User("参观者", "auditor", may_act=False, rights=frozenset({"look"}))
    assert "/alerts/5/accept" not in client.get("/alerts/5").text
    assert client.post("/alerts/5/accept", headers=HOME).status_code == 403
    look = client.post("/alerts/5/access", data={"reason": "because"}, headers=HOME)
    assert (look.status_code, reader.looks) == (403, [])
    assert reader.alert_acts == []


@pytest.mark.parametrize("path", ["/alerts/5/accept", "/alerts/5/access"])
def test_a_foreign_form_and_a_lost_login_change_nothing(
    client: TestClient, reader: FakeReader, path: str
) -> None:
    """403 for another site's form, 401 without a session."""
    form = {"reason": "because", "outcome": "safe"}
    foreign = client.post(path, data=form, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    reader.user = None
    assert client.post(path, data=form, headers=HOME).status_code == 401
    assert reader.alert_acts == reader.looks == []


def test_unknown_actions_are_not_found(client: TestClient) -> None:
    """There is no action by a guessed name."""
    assert client.post("/alerts/5/delete", headers=HOME).status_code == 404


def test_times_are_the_communitys() -> None:
    """Time of day in the community's zone; stretches never negative."""
    assert clock(NOW_MS, ZoneInfo("Asia/Shanghai")) == "06:10:00"
    assert [span(s) for s in (-5, 0, 61.9, 3_600)] == ["00:00", "00:00", "01:01", "1:00:00"]


def test_it_says_what_to_read_out_to_120(client: TestClient, reader: FakeReader) -> None:
    """Where the server gives the words, they stand on top, with a link that dials."""
    words = {"zh": "广氮社区11栋3楼301,老人84岁", "en": "Building 11, flat 301"}
    reader.data["alerts"][0]["emergency"] = {"prompt": True, "read_out": words}
    page = client.get("/alerts/5").text
    assert "广氮社区11栋3楼301,老人84岁" in page
    assert 'href="tel:120"' in page
    assert "Building 11, flat 301" in client.get("/alerts/5?lang=en").text


def test_those_who_are_told_can_be_called(client: TestClient) -> None:
    """Each person on the ladder is a link that dials."""
    assert 'href="tel:+8610011000199"' in client.get("/alerts/5").text
