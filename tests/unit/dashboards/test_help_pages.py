"""Claims about the pages of requests, visits, greetings and hours: quiet, whole, without rank."""

import csv
import io
import re
from pathlib import Path

import pytest
from dashboards_fake import FakeReader
from fastapi.testclient import TestClient

from dashboards.hours_page import COLUMNS, hours
from dashboards.i18n import CATALOGUE
from dashboards.reader import ActionRefused, User
from server.core.greetings import GreetingOutcome, Standing
from server.core.help_requests import Ending, Source, Stage, Want
from server.core.hours import EntryKind
from server.core.visits import Cause, VisitState

PAGES = ("/requests", "/requests?which=closed", "/requests/5", "/requests/6", "/visits",
         "/greetings", "/greetings/sheet", "/hours", "/hours/101")  # fmt: skip
SAME = {"sec-fetch-site": "same-origin"}
REFUSED = ActionRefused({"zh": "只存有10分钟", "en": "10 minutes are saved"})


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_opens_full_and_empty(
    client: TestClient, reader: FakeReader, path: str, lang: str
) -> None:
    """In both languages; an empty one says so in words."""
    assert client.get(path, params={"lang": lang} if "?" not in path else None).status_code == 200
    reader.empty = True
    assert client.get(path).status_code == 200


def test_an_empty_list_says_that_it_is_empty(client: TestClient, reader: FakeReader) -> None:
    """Never a page with nothing on it."""
    reader.empty = True
    words = CATALOGUE["zh"]
    for path, key in (
        ("/requests", "hs.none.waiting"), ("/requests?which=closed", "hs.none.closed"),
        ("/visits", "hs.none.visits"), ("/greetings", "hs.none.greetings"),
        ("/greetings/sheet", "hs.none.greetings"), ("/hours", "hs.none.hours"),
        ("/hours/101", "hs.none.entries"), ("/residents/990", "hs.none.here"),
    ):  # fmt: skip
        assert words[key] in client.get(path).text, path


@pytest.mark.parametrize("path", ["/requests/100", "/requests/x", "/hours/1000", "/hours/x"])
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    """In words, as everywhere."""
    assert client.get(path).status_code == 404


def test_forms_lead_back_to_the_page(client: TestClient, reader: FakeReader) -> None:
    """Each act once, with what was typed; the answer to a POST is never a page to load anew."""
    for path, form, where in (
        ("/requests", {"place": "11-301", "kind": "repair", "words": "灯"}, "/requests/5"),
        ("/requests/5/done", {"ending": "solved", "minutes": "30"}, "/requests/5"),
        ("/visits", {"resident_id": "901", "next": "/residents/901"}, "/residents/901"),
        ("/visits", {"resident_id": "901", "next": "//evil.example"}, "/visits"),
        ("/visits/1/done", {"visitor": "吴秀兰"}, "/visits"),
        ("/greetings/901", {"outcome": "well", "turn": "1"}, "/greetings"),
    ):  # fmt: skip
        answer = client.post(path, data=form, headers=SAME)
        assert (answer.status_code, answer.headers["location"]) == (303, where), path
    assert [a[0] for a in reader.help_acts] == ["ask", "done", "owe", "owe", "done", "greet"]


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/requests", "两盏灯"), ("/requests/5/done", ""), ("/visits", ""), ("/visits/1/drop", ""),
     ("/greetings/901", ""), ("/hours/101/counter", "")],
)  # fmt: skip
def test_a_refusal_is_said_on_the_page(
    client: TestClient, reader: FakeReader, path: str, kept: str
) -> None:
    """409 with the reason in the reader's language, and what was typed is still there."""
    reader.refuse_help = REFUSED
    every = frozenset({"look", "act", "access", "report", "register"})
    reader.user = User("李文静", "coordinator", rights=every)
    form = {"words": kept, "place": "11-301", "entry": "2", "why": "x"}
    answer = client.post(path, data=form, headers=SAME)
    assert answer.status_code == 409
    assert "只存有10分钟" in answer.text
    assert kept in answer.text


def test_no_other_act_than_those_of_the_procedure(client: TestClient) -> None:
    """An address nobody offers is not found."""
    for path in ("/requests/5/delete", "/visits/1/delete"):
        assert client.post(path, headers=SAME).status_code == 404


def test_who_may_not_act_sees_no_form(client: TestClient, reader: FakeReader) -> None:
    """An auditor reads; and the ledger is put right by those who keep the register alone."""
    reader.user = User("审计", "auditor", may_act=False, rights=frozenset({"look", "report"}))
    for path in ("/requests", "/requests/5", "/visits", "/greetings", "/hours/101"):
        main = client.get(path).text.partition('<main id="main">')[2]
        assert "<form" not in main, path
    assert client.post("/requests", headers=SAME).status_code == 403
    assert client.post("/hours/101/counter", headers=SAME).status_code == 403


def test_the_ledger_of_the_community_is_not_for_one_house(
    client: TestClient, reader: FakeReader
) -> None:
    """Its balance, and putting it right, are common to all houses."""
    rights = frozenset({"look", "act", "report", "register"})
    reader.user = User("楼", "coordinator", rights=rights, wide=False, common=False)
    assert client.get("/hours").status_code == 403
    assert "/hours" not in client.get("/requests").text
    answer = client.post("/hours/101/counter", data={"entry": "1", "why": "x"}, headers=SAME)
    assert answer.status_code == 403


def test_volunteers_are_never_ranked(client: TestClient) -> None:
    """The list of statements has names and no hours."""
    page = client.get("/hours").text
    names = page.partition(CATALOGUE["zh"]["hs.volunteers.how"])[2]
    assert "梁玉珍" in names
    assert not re.search(r">\s*\d+:\d\d", names)


def test_the_statement_as_a_table(client: TestClient) -> None:
    """One line an entry, no formula, with a mark that spreadsheets need; figures in minutes."""
    answer = client.get("/hours/101/statement.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(answer.text[1:])))
    assert tuple(rows[0]) == COLUMNS
    assert [row[5] for row in rows[1:]] == ["-30", "-15", "30", "60"]
    assert rows[1][-1] == "'=记错了人"
    assert client.get("/hours/1000/statement.csv").status_code == 404


@pytest.mark.parametrize(
    ("minutes", "shown"), [(0, "0:00"), (45, "0:45"), (90, "1:30"), (-30, "−0:30")]
)
def test_minutes_as_people_read_them(minutes: int, shown: str) -> None:
    """Hours and minutes."""
    assert hours(minutes) == shown


def test_telephones_stay_off_the_list_of_who_may_not_see_them(client: TestClient) -> None:
    """The fake has one person with a number and one without: a link only where there is one."""
    page = client.get("/greetings").text
    assert page.count('class="call" href="tel:') == 2
    sheet = client.get("/greetings/sheet").text
    assert "何婉仪" not in sheet, "on paper the family name alone"
    assert CATALOGUE["zh"]["hs.sheet.keep"] in sheet


def test_every_word_of_the_services_has_words() -> None:
    """No kind, stage or outcome that the server may send is shown as a bare code."""
    keys = [f"hs.kind.{v}" for v in Want] + [f"hs.within.{v}" for v in Want]
    keys += [f"hs.source.{v}" for v in Source] + [f"hs.ending.{v}" for v in Ending]
    keys += [f"hs.stage.{v}" for v in Stage if v is not Stage.DONE]  # shown by its ending
    keys += [f"hs.cause.{v}" for v in Cause] + [f"hs.standing.{v}" for v in Standing]
    keys += [f"hs.visit.{v}" for v in VisitState if v is not VisitState.OWED]
    keys += [f"hs.greet.{v}" for v in GreetingOutcome] + [f"hs.entry.{v}" for v in EntryKind]
    assert [k for k in keys if k not in CATALOGUE["zh"]] == []


def test_nothing_here_has_the_colour_or_the_movement_of_an_alarm() -> None:
    """The style sheet of the services names none of the alarm's colours, and moves nothing."""
    folder = Path(__file__).parents[3] / "dashboards"
    style = (folder / "static" / "help.css").read_text("utf-8")
    assert not re.search(r"--(sos|late|red|amber|cyan)|animation|transition|@keyframes", style)
    names = ["requests", "request", "visits", "greetings", "hours", "_help_nav", "_resident_help"]
    for name in names:
        page = (folder / "templates" / f"{name}.html").read_text("utf-8")
        assert not re.search(r"worry|warn-text|data-state|sound", page), name
