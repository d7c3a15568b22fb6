"""Claims about the hall's screen: without login and without names, and nobody is pointed at."""

import re

import pytest
from dashboards_fake import FakeReader, flat_id
from fastapi.testclient import TestClient
from register_fake import KIOSK_COOKIE, KIOSK_TOKEN

from dashboards.kiosk import ALERT, COOKIE, gauge, nameless


def opened(client: TestClient, query: str = "") -> str:
    """The screen as the hall sees it."""
    client.cookies.set(COOKIE, KIOSK_COOKIE)
    answer = client.get(f"/kiosk{query}")
    assert answer.status_code == 200
    return answer.text


@pytest.fixture(autouse=True)
def nobody_is_logged_in(reader: FakeReader) -> None:
    """The hall has no account."""
    reader.user = None


def test_the_token_does_not_stay_in_the_address(client: TestClient) -> None:
    """It becomes a cookie for this screen alone, which scripts can't read, and a redirect."""
    answer = client.get(f"/kiosk/{KIOSK_TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/kiosk")
    cookie = answer.headers["set-cookie"].lower()
    assert KIOSK_TOKEN not in cookie
    assert "httponly" in cookie
    assert "path=/kiosk" in cookie
    assert "samesite=lax" in cookie
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/kiosk/wrong-token-of-a-guess", "/kiosk/%E5%90%8D"])
def test_a_wrong_token_opens_nothing(client: TestClient, path: str) -> None:
    """404, and no cookie."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers


def test_a_screen_that_was_not_opened_is_told_how(client: TestClient) -> None:
    """403 in words; also with a cookie of another time."""
    assert "没有开通" in client.get("/kiosk").text
    client.cookies.set(COOKIE, "of-an-old-token")
    assert client.get("/kiosk").status_code == 403


def test_without_a_token_in_the_settings_there_is_no_such_screen(
    client: TestClient, reader: FakeReader
) -> None:
    """Off means off, whatever one brings."""
    reader.kiosk = None
    client.cookies.set(COOKIE, KIOSK_COOKIE)
    assert client.get("/kiosk").status_code == 404
    assert client.get(f"/kiosk/{KIOSK_TOKEN}").status_code == 404


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_no_name_no_flat_and_no_house_in_trouble(client: TestClient, lang: str) -> None:
    """An SOS in building 11, missed check-ins in 20: the screen says how many, never where."""
    page = opened(client, f"?lang={lang}")
    for secret in ("何婉仪", "梁玉珍", "301", "/residents", "/alerts", "/buildings"):
        assert secret not in page
    states = set(re.findall(r'data-state="(\w+)"', page))
    assert states == {"checked", "waiting"}
    assert 'data-mood="looking"' in page


def test_a_gauge_fills_from_the_ground_whoever_it_was() -> None:
    """Two houses with as many check-ins look the same."""

    def house(*states: str) -> dict[str, object]:
        return {"number": 1, "flats": [{"state": s} for s in states]}

    one = gauge(house("sos", "checked", "checked", "late", "away", "none"), is_open=True)
    two = gauge(house("checked", "waiting", "offline", "checked"), is_open=True)
    assert one == two
    assert one.storeys == [[True, True, False, False]]
    assert one.shown
    assert not gauge(house("checked", "waiting", "away"), is_open=True).shown


def test_between_rounds_every_window_is_lit(client: TestClient, reader: FakeReader) -> None:
    """A dark one would be somebody who pressed for help."""
    reader.data["round"]["state"] = "waiting"
    page = opened(client)
    assert set(re.findall(r'data-state="(\w+)"', page)) == {"checked"}
    assert not re.search(r'class="g-n">\d', page)


@pytest.mark.parametrize(
    ("change", "mood", "words"),
    [
        ("calm", "awaited", "还等"),
        ("all in", "well", "大家都平安"),
        ("between", "well", "大家都平安"),
        ("no round", "well", "大家都平安"),
        ("sos", "helping", "正在处理 1 处求助"),
        ("missed", "looking", "正在看望 2 位"),
        ("blind", "blind", "正在检修"),
    ],
)
def test_all_well_is_only_said_while_it_is_true(
    client: TestClient, reader: FakeReader, change: str, mood: str, words: str
) -> None:
    """Not while we are blind, somebody calls, is looked for, or is still awaited."""
    data = reader.data
    alerts, data["alerts"] = data["alerts"], []
    data["counts"] = {"sos": 0, "claimed": 0, "missed": 0, "faults": 0}
    if change != "calm":
        data["round"]["checked"] = data["round"]["expected"]
    if change == "between":
        data["round"] |= {"state": "waiting", "checked": 0}
    elif change == "no round":
        data["round"] = None
    elif change == "sos":
        data["alerts"] = [a for a in alerts if a["kind"] == "sos"][:1]
    elif change == "missed":
        data["alerts"] = [a for a in alerts if a["kind"] == "missed"]
    elif change == "blind":
        data["alerts"] = [{**alerts[-1], "fault": "blind"}]
        data["counts"]["sos"] = 1
    page = opened(client)
    assert f'data-mood="{mood}"' in page
    assert words in page


@pytest.mark.parametrize("mark", ["test", "rehearsal"])
@pytest.mark.parametrize("kind", ["sos", "missed", "fault"])
def test_nobody_worries_because_of_a_rehearsal(
    client: TestClient, reader: FakeReader, kind: str, mark: str
) -> None:
    """Neither a test's alerts nor a rehearsal's change what the hall reads, and the rehearsal's
    house, in which nobody lives, is not among the gauges."""
    data = reader.data
    data["round"]["checked"] = data["round"]["expected"]
    data["alerts"] = [{**a, mark: True, "fault": a["fault"] and "blind"}
                      for a in data["alerts"] if a["kind"] == kind]  # fmt: skip
    assert data["alerts"]
    data["counts"]["sos"] = 1
    house = max(data["buildings"], key=lambda b: b["number"])
    assert f"{house['number']}栋" in opened(client)
    house["rehearsal"] = True
    page = opened(client)
    assert 'data-mood="well"' in page
    assert f"{house['number']}栋" not in page


def test_the_wall_without_names(client: TestClient, reader: FakeReader) -> None:
    """The windows in their places and what is open, worst first; nothing to press, no sound, no
    link, no data for a script, and of all that the server knows only what has no name in it."""
    client.cookies.set(COOKIE, KIOSK_COOKIE)
    page = client.get("/kiosk/wall").text
    assert set(re.findall(r'class="w" data-state="(\w+)"', page)) >= {"sos", "late", "checked"}
    assert "11栋3楼301" in page
    for piece in ("<button", "<form", "<a ", "sound", "application/json", "何婉仪", "梁玉珍"):
        assert piece not in page
    reader.data["alerts"] = [dict.fromkeys(reader.data["alerts"][0], "何桂芳") | {
        "kind": "sos", "state": "open", "fault": None, "opened_ms": 0, "fall": False,
        "address": "11栋", "address_en": None}]  # fmt: skip
    assert "何桂芳" not in client.get("/kiosk/wall").text
    assert set(nameless(reader.data)["alerts"][0]) == set(ALERT)


def test_the_wall_without_names_is_off_until_it_is_set(
    client: TestClient, reader: FakeReader
) -> None:
    """The hall's own token shows strangers no window in its true place; a wrong one opens nothing
    either way."""
    assert client.get("/kiosk/wall").status_code == 403
    client.cookies.set(COOKIE, KIOSK_COOKIE)
    reader.wall_in_hall = False
    assert client.get("/kiosk/wall").status_code == 404
    assert client.get("/kiosk").status_code == 200


def test_it_says_how_old_it_is_and_whom_to_call(client: TestClient) -> None:
    """Visible age with and without scripts; the centre's number and 120."""
    page = opened(client)
    assert "2026-03-14 06:10 的情况" in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert "100 0000 0101" in page
    assert "120" in page


def test_an_empty_community_has_a_screen(client: TestClient, reader: FakeReader) -> None:
    """Before the register is imported."""
    reader.data |= {"buildings": [], "alerts": [], "round": None, "community": None}
    assert "导入名册" in opened(client)


def test_the_sample_has_a_house_in_trouble() -> None:
    """The fake does contain what the screen must not show."""
    states = {f["id"]: f["state"] for b in FakeReader(busy=True).data["buildings"]
              for f in b["flats"]}  # fmt: skip
    assert states[flat_id(11, 3, 1)] == "sos"


def _two(reader: FakeReader, theirs: dict[str, object]) -> None:
    """The fake's houses as those of two communities; `theirs`: how their round differs."""
    data = reader.data
    ours, second = data["buildings"][:40], data["buildings"][40:]
    for house in second:
        house["number"] += 100_000
    data["communities"] = [
        {"id": n, "name": name, "tz": tz, "round": {**data["round"], **more},
         "building_ids": [b["id"] for b in houses]}
        for n, name, tz, more, houses in (
            (1, "广氮", "Asia/Shanghai", {}, ours), (2, "棠德", "Asia/Shanghai", theirs, second),
        )
    ]  # fmt: skip


def test_a_hall_of_two_communities_has_one_line_for_an_equal_round(
    client: TestClient, reader: FakeReader
) -> None:
    """With everybody in it; the houses say whose they are, by the number on the wall."""
    _two(reader, {})
    page = opened(client)
    assert page.count("<b class=\"count\"") == 1
    assert f"{2 * reader.data['round']['expected']}" in page
    assert "<b>广氮1栋</b>" in page
    assert "<b>棠德41栋</b>" in page
    assert "100041" not in page


def test_a_hall_of_two_communities_has_a_line_for_each_round_that_differs(
    client: TestClient, reader: FakeReader
) -> None:
    """And a gauge only where a round runs."""
    _two(reader, {"state": "waiting", "checked": 0, "opens_at": reader.data["now_ms"] + 60_000})
    page = opened(client)
    assert page.count("<b class=\"count\"") == 2
    assert "广氮 早巡" in page
    assert "棠德 早巡" in page
    assert len(re.findall(r'class="g-n">\d', page)) <= 40
