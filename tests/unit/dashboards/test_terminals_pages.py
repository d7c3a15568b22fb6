"""Claims about the pages of terminals: the list, one of each kind, and what each kind offers."""

import re

import pytest
from dashboards_fake import FakeReader
from fastapi.testclient import TestClient

from dashboards.i18n import CATALOGUE
from dashboards.reader import ActionRefused, User
from dashboards.terminals_page import ACTIONS, KINDS
from server.core.device_key import KeyState
from server.store.terminals import Which

SAME = {"sec-fetch-site": "same-origin"}
KEEPER = frozenset({"look", "act", "register"})
OFFERED = {
    "gd-stock-1": {"assign", "lost", "revoked", "key"},
    "gd-11-301": {"swap", "free", "lost", "revoked", "key"},
    "gd-lost-1": {"active", "revoked"}, "gd-old-1": {"active"},
}  # fmt: skip


def offered(page: str, terminal: str) -> set[str]:
    """The forms of a page."""
    return set(re.findall(rf'action="/terminals/{terminal}/(\w+)"', page))


@pytest.mark.parametrize("path", ["/terminals", *(f"/terminals?state={k}" for k in KINDS),
                                  *(f"/terminals/{t}" for t in OFFERED)])  # fmt: skip
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_opens_in_both_languages(
    client: TestClient, reader: FakeReader, path: str, lang: str
) -> None:
    """For somebody who may only look there is nothing to be sent but the search."""
    client.cookies.set("lang", lang)
    page = client.get(path)
    assert page.status_code == 200
    assert "/enrol" not in page.text
    assert all(offered(page.text, t) == set() for t in OFFERED)
    assert 'href="/terminals" aria-current="page"' in page.text


@pytest.mark.parametrize("terminal", OFFERED)
def test_each_kind_offers_what_can_be_done_with_it(
    client: TestClient, reader: FakeReader, terminal: str
) -> None:
    """And to the account of one building of the stock only that it is given out: the rest is
    explained. No password is offered where none is ours to change."""
    reader.user = User("mai", "coordinator", rights=KEEPER)
    assert offered(client.get(f"/terminals/{terminal}").text, terminal) == OFFERED[terminal]
    reader.user = User("of-11", "coordinator", rights=KEEPER, wide=False)
    page = client.get(f"/terminals/{terminal}").text
    whose = terminal == "gd-11-301"
    expected = OFFERED[terminal] if whose else OFFERED[terminal] & {"assign"}
    assert offered(page, terminal) == expected
    assert (CATALOGUE["zh"]["tm.limited"] in page) is not whose
    assert "/terminals/enrol" not in client.get("/terminals").text
    refused = client.post("/terminals/enrol", data={"ids": "x", "reason": "箱"}, headers=SAME)
    assert refused.status_code == 403
    assert reader.terminal_acts == []


def test_forms_lead_on_and_refusals_keep_what_was_typed(
    client: TestClient, reader: FakeReader
) -> None:
    """A swap leads to the new one; what is refused stands there again, with the words."""
    reader.user = User("mai", "coordinator", rights=KEEPER)
    for path, form, where in (
        ("/terminals/enrol", {"ids": "gd-1 gd-2", "reason": "一箱"}, "/terminals?state=stock"),
        ("/terminals/gd-stock-1/assign", {"place": "11-302", "reason": "安装"},
         "/terminals/gd-stock-1"),
        ("/terminals/gd-11-301/swap", {"new": "gd-stock-1", "reason": "电池鼓包"},
         "/terminals/gd-stock-1"),
        ("/terminals/gd-11-301/key", {"reason": "名单丢了"}, "/terminals/gd-11-301"),
    ):  # fmt: skip
        answer = client.post(path, data=form, headers=SAME, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, where)
    assert [a[0] for a in reader.terminal_acts] == ["enrol", "assign", "swap", "key"]
    reader.refuse_terminal = ActionRefused({"zh": "请先了结求助7", "en": "resolve SOS 7 first"})
    for path, form in (
        ("/terminals/enrol", {"ids": "gd-3", "reason": "第二箱"}),
        ("/terminals/gd-11-301/swap", {"new": "gd-stock-9", "reason": "电池鼓包"}),
    ):  # fmt: skip
        page = client.post(path, data=form, headers=SAME)
        assert page.status_code == 409
        for words in ("请先了结求助7", *form.values()):
            assert words in page.text, words


def test_what_is_looked_for_stands_in_no_address(client: TestClient, reader: FakeReader) -> None:
    """By POST, as residents are; an empty list says so, and one that is cut off too."""
    page = client.post("/terminals", data={"words": "stock", "state": ""}, headers=SAME)
    assert "gd-stock-1" in page.text
    assert "gd-lost-1" not in page.text
    none = client.post("/terminals", data={"words": "zzz"}, headers=SAME).text
    assert CATALOGUE["zh"]["tm.none"] in none
    cut = client.post("/terminals", data={"words": "gd"}, headers=SAME).text
    assert CATALOGUE["zh"]["tm.more"] in cut
    assert reader.terminal_words == [("", "stock"), ("", "zzz"), ("", "gd")]


@pytest.mark.parametrize("path", ["/terminals/none", "/terminals/%00", "/terminals/GD"])
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    """In words, as everywhere."""
    assert client.get(path).status_code == 404


def test_every_kind_act_and_state_has_words() -> None:
    """A new one is missed here, and not by whoever stands before the page."""
    keys = CATALOGUE["zh"]
    assert set(KINDS) == set(Which)
    assert {f"tm.act.{a}" for a in ACTIONS} == {k for k in keys if k.startswith("tm.act.")}
    assert {f"tm.how.{a}" for a in ACTIONS} == {k for k in keys if k.startswith("tm.how.")}
    assert all(f"tm.key.{s}" in keys for s in KeyState)
