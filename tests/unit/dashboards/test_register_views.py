"""Claims about the pages of buildings and residents, and their papers: without scripts, with least
names, and in words wherever there is nothing to show."""

import re

import pytest
from dashboards_fake import FakeReader, flat_id
from fastapi.testclient import TestClient

from dashboards.reader import User
from dashboards.render import readable

HOME = {"origin": "http://wall.test"}
PAGES = ["/buildings", "/buildings/11", "/buildings/11/sheet", "/residents", "/residents/901",
         "/residents/901/card", "/residents/990", "/residents/990/card", "/reports"]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_page_asks_for_a_login_and_leads_back(
    client: TestClient, reader: FakeReader, path: str
) -> None:
    """Nothing of people is shown to a stranger."""
    reader.user = None
    answer = client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_is_whole_in_both_languages(client: TestClient, path: str, lang: str) -> None:
    """Rendered by the server, never cached, not indexed."""
    answer = client.get(f"{path}?lang={lang}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.text


@pytest.mark.parametrize(
    "path",
    ["/buildings/52", "/buildings/x", "/buildings/52/sheet", "/buildings/-1", "/residents/1",
     "/residents/x", "/residents/1/card", "/buildings/٣", "/residents/9999999999999999999"],
)  # fmt: skip
def test_what_is_not_there_is_explained(client: TestClient, path: str) -> None:
    """A page in words, never a crash or a bare code."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert "120" in answer.text


def test_buildings_stand_in_their_order_whatever_happens_in_them(client: TestClient) -> None:
    """By number, the one with the SOS at its place among the others."""
    page = client.get("/buildings").text
    numbers = [int(n) for n in re.findall(r'href="/buildings/(\d+)"', page)]
    assert numbers == list(range(1, 52))
    assert "求助无人认领" in page


def test_a_community_without_buildings_is_told_what_to_do(
    client: TestClient, reader: FakeReader
) -> None:
    """An empty register is a state in words."""
    reader.data["buildings"] = []
    assert "导入名册" in client.get("/buildings").text


def test_a_windows_state_is_said_and_leads_to_its_resident(client: TestClient) -> None:
    """Same shapes as the wall, a word for those who do not see them, a link behind each door."""
    page = client.get("/buildings/11").text
    shape = r'<i class="w" data-state="sos"></i>'
    words = r'<span class="flat">301</span><span class="sr"> 求助</span>'
    assert re.search(rf'<a class="window" href="/residents/\d+">{shape}{words}', page)
    assert f'href="#flat-{flat_id(11, 1, 1)}"' in page, "two residents: to the list below"
    assert '<span class="window"><i class="w" data-state="none">' in page


def test_a_stewards_reachability_is_told_with_its_last_proof(client: TestClient) -> None:
    """What was proved, when; and a worry before it, in words."""
    page = " ".join(client.get("/buildings/11").text.split())
    assert "上次应答前往:03-13 06:10" in page
    assert "2026-03-05 起退订了短信" in page
    assert "还从没证实过能联系上" in page
    assert "2026-03-14 起短信送不到" in page
    assert "不在,到 2026-03-15 06:10" in page
    assert 'href="tel:+8610011000101"' in page
    assert "打电话 +86100****0101" in page


def test_a_building_without_stewards_is_an_alarm_to_staff(
    client: TestClient, reader: FakeReader
) -> None:
    """And one without residents or rounds says so."""
    for flat in reader.data["buildings"][0]["flats"]:
        flat["state"] = "none"
    page = client.get("/buildings/1").text
    for words in ("没有巡楼员", "没有登记在看护的住户", "还没有结束过的巡楼", "没有未了结的警报"):
        assert words in page


def test_the_sheet_carries_least_names(client: TestClient) -> None:
    """Family names; who is away and who missed the last round; when it was printed; nothing by
    which a finder learns who lives alone, how old, or how to get in."""
    page = client.get("/buildings/11/sheet").text
    assert "何女士、罗先生" in page
    assert "上次未报" in page
    assert "外出" in page
    assert "2026-03-14 06:10 打印" in page
    assert "100 0000 0101" in page
    for secret in ("何婉仪", "84", "独居", "2026-03-15", "+86"):
        assert secret not in page


def test_the_card_says_whom_to_call_and_nothing_of_the_resident(client: TestClient) -> None:
    """Address, centre, two stewards, round times, 120."""
    page = client.get("/residents/901/card").text
    for words in ("11栋3楼301", "100 0000 0101", "梁玉珍", "陈国栋", "04:30–06:00", "120"):
        assert words in page
    for secret in ("何婉仪", "84 岁", "独居", "铁门", "助行器"):
        assert secret not in page


def test_a_card_without_numbers_is_not_to_be_hung(client: TestClient) -> None:
    """A card that helps nobody says so to whoever prints it."""
    assert "先别贴" in client.get("/residents/990/card").text


def test_a_name_is_looked_for_by_post_and_never_stands_in_an_address(
    client: TestClient, reader: FakeReader
) -> None:
    """The form posts; the words come back in the field; blanks look for nothing."""
    assert '<form class="find" method="post"' in client.get("/residents").text
    answer = client.post("/residents", data={"words": "  何\n婉 "}, headers=HOME)
    assert answer.status_code == 200
    assert reader.searched == ["何 婉"]
    assert "找到 2 位" in answer.text
    client.post("/residents", data={"words": "  "}, headers=HOME)
    assert reader.searched == ["何 婉"]


def test_nobody_found_and_too_many_found_are_told(client: TestClient) -> None:
    """With what to try next."""
    assert "没有找到“没有”" in client.post("/residents", data={"words": "没有"}, headers=HOME).text
    assert "还有更多" in client.post("/residents", data={"words": "何"}, headers=HOME).text


def test_what_is_typed_is_never_markup(client: TestClient) -> None:
    """Escaped in the field and in the answer."""
    page = client.post("/residents", data={"words": "<script>x"}, headers=HOME).text
    assert "<script>x" not in page


def test_a_resident_is_shown_without_the_way_in(client: TestClient) -> None:
    """Contacts masked with a telephone link, class with its reason, rounds, absences, alerts."""
    page = " ".join(client.get("/residents/901").text.split())
    for words in ("结对帮扶人", "家人", "钥匙保管人", "由 李文静 于 2026-03-13 06:10 改定:刚出院",
                  "登记外出,到 2026-03-13 06:10。 原因:回乡", "跌倒", "故障: 离线", "看过 1 次",
                  "过后补报", "77%", "-71 dBm"):  # fmt: skip
        assert words in page, words
    for secret in ("铁门", "助行器", "对门"):
        assert secret not in page


def test_a_resident_of_whom_little_is_known_has_a_page_all_the_same(client: TestClient) -> None:
    """Every section says in words that it is empty."""
    page = client.get("/residents/990").text
    for words in ("没有登记联系人", "没有终端", "还没有结束过的巡楼", "没有外出记录",
                  "以前没有警报"):  # fmt: skip
        assert words in page, words


def test_the_way_in_is_shown_for_a_reason_and_the_look_is_logged(
    client: TestClient, reader: FakeReader
) -> None:
    """By POST, with the name of who looked; blanks are no reason."""
    for blank in ("", "  ", "ab"):
        answer = client.post("/residents/901/access", data={"reason": blank}, headers=HOME)
        assert (answer.status_code, reader.resident_looks) == (422, [])
        assert "铁门" not in answer.text
    answer = client.post("/residents/901/access", data={"reason": " 漏水\n进门 "}, headers=HOME)
    assert answer.status_code == 200
    assert "铁门" in answer.text
    assert reader.resident_looks == [("李文静", 901, "漏水 进门")]


def test_who_may_only_look_cannot_see_the_way_in(client: TestClient, reader: FakeReader) -> None:
    """Neither by the page nor around it."""
    reader.user = User("参观者", "auditor", may_act=False, rights=frozenset({"look"}))
    page = client.get("/residents/901").text
    assert "/residents/901/access" not in page
    assert "您的账号不能看进门办法" in page
    look = client.post("/residents/901/access", data={"reason": "because"}, headers=HOME)
    assert (look.status_code, reader.resident_looks) == (403, [])


@pytest.mark.parametrize("path", ["/residents/901", "/buildings/11", "/duty"])
def test_who_may_only_look_has_no_whole_number_of_a_contact(
    client: TestClient, reader: FakeReader, path: str
) -> None:
    """What is masked for the eye is not in the page's source either."""
    number = re.compile(r"\+86100\d{8}")
    assert number.search(client.get(path).text), "whoever acts can dial"
    reader.user = User("参观者", "auditor", may_act=False, rights=frozenset({"look"}))
    page = client.get(path).text
    assert "****" in page
    assert not number.search(page)


@pytest.mark.parametrize("path", ["/residents", "/residents/901/access"])
def test_a_foreign_form_and_a_lost_login_learn_nothing(
    client: TestClient, reader: FakeReader, path: str
) -> None:
    """403 for another site's form, 401 without a session."""
    form = {"reason": "because", "words": "何"}
    foreign = client.post(path, data=form, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    reader.user = None
    assert client.post(path, data=form, headers=HOME).status_code == 401
    assert reader.searched == reader.resident_looks == []


def test_numbers_are_read_out_in_groups() -> None:
    """A Chinese number as one dials it at home; any other whole."""
    assert readable("+8613800138000") == "138 0013 8000"
    assert readable("+441632960123") == "+441632960123"
