"""Claims about reports on screen and as a table: figures with their meaning, no formula, no
rank."""

import csv
import io
from datetime import date

import pytest
from dashboards_fake import FakeReader
from fastapi.testclient import TestClient

from dashboards.i18n import CATALOGUE
from dashboards.reports import percent, seconds
from dashboards.reports_csv import COLUMNS, as_csv, safe

SPAN = "from=2026-03-01&to=2026-03-10"


def test_each_figure_has_its_meaning_and_its_denominator(client: TestClient) -> None:
    """Beside the number, in the reader's language."""
    page = client.get(f"/reports?{SPAN}").text
    assert "9 / 12" in page
    assert CATALOGUE["zh"]["r.how.door"] in page
    for key in CATALOGUE["zh"]:
        if key.startswith("r.how."):
            assert CATALOGUE["zh"][key].replace('"', "&#34;") in page, key


def test_the_period_and_the_building_are_asked_of_the_server(
    client: TestClient, reader: FakeReader
) -> None:
    """Days as days; without any the server chooses."""
    client.get(f"/reports?{SPAN}&building=11")
    client.get("/reports")
    assert reader.asked == [(date(2026, 3, 1), date(2026, 3, 10), 11), (None, None, None)]


@pytest.mark.parametrize("why", ["backwards", "too_long", "future", "too_much"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_bad_period_is_explained_and_the_form_stays(
    client: TestClient, reader: FakeReader, why: str, lang: str
) -> None:
    """422, in words, with what was asked still in the fields; the table leads to the same page."""
    reader.refused = why
    answer = client.get(f"/reports?{SPAN}&lang={lang}")
    assert answer.status_code == 422
    assert CATALOGUE[lang][f"r.bad.{why}"] in answer.text  # type: ignore[index]
    assert 'value="2026-03-01"' in answer.text
    table = client.get(f"/reports.csv?{SPAN}")
    assert (table.status_code, table.headers["location"]) == (303, f"/reports?{SPAN}")


def test_a_day_that_is_none_is_explained(client: TestClient, reader: FakeReader) -> None:
    """The server is not asked."""
    assert client.get("/reports?from=14.3.2026").status_code == 422
    assert reader.asked == []


@pytest.mark.parametrize("path", ["/reports", "/reports.csv"])
def test_an_unknown_building_is_not_found(client: TestClient, path: str) -> None:
    """As everywhere."""
    assert client.get(f"{path}?building=99").status_code == 404
    assert client.get(f"{path}?building=x").status_code == 404


def test_a_period_in_which_nothing_happened_says_so(
    client: TestClient, reader: FakeReader
) -> None:
    """In words, and not as zero percent."""
    reader.nothing = True
    page = client.get("/reports").text
    for key in ("calls", "rounds", "sms", "terminals"):
        assert CATALOGUE["zh"][f"r.none.{key}"] in page


def test_the_table_opens_in_a_spreadsheet(client: TestClient) -> None:
    """UTF-8 with a mark, one line for the community and one for each building, every column."""
    answer = client.get(f"/reports.csv?{SPAN}")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert tuple(rows[0]) == COLUMNS
    assert [r["scope"] for r in rows] == ["广氮", *(str(n) for n in range(1, 52))]
    whole = rows[0]
    assert (whole["door_n"], whole["door_of"], whole["door_p95_s"]) == ("9", "12", "1045.0")
    assert (whole["from"], whole["safe"], whole["ambulance"]) == ("2026-03-01", "4", "0")
    assert rows[3]["told_p50_s"] == "", "nothing happened there: no time, and not zero"


def test_one_buildings_table_has_one_line(client: TestClient) -> None:
    """The community's line would be another's figures."""
    text = client.get(f"/reports.csv?{SPAN}&building=11").content.decode("utf-8-sig")
    assert [line.split(",")[2] for line in text.splitlines()] == ["scope", "11"]


@pytest.mark.parametrize("name", ['=HYPERLINK("http://x")', "+1", "-1", "@x", "\tx", "\rx"])
async def test_no_cell_is_a_formula(reader: FakeReader, name: str) -> None:
    """A community may be called anything; figures stay figures."""
    reader.community_name = name
    report = await reader.report(None, None, None, None)
    assert report is not None
    rows = list(csv.DictReader(io.StringIO(as_csv(report).decode("utf-8-sig"), newline="")))
    assert rows[0]["scope"] == f"'{name}"
    assert safe(-3) == -3


def test_nobody_is_ranked(client: TestClient) -> None:
    """No column, no link and no order by which people or houses could be compared by merit."""
    page = client.get("/reports").text
    assert "sort" not in page
    assert not [c for c in COLUMNS if "person" in c or "steward" in c or "rank" in c]


def test_times_and_shares_as_people_read_them() -> None:
    """A dash where there is none; a hundred percent only when it is."""
    assert [seconds(s) for s in (None, 0.0, 59.4, 60.0, 185.0, 3_725.0)] == [
        "–", "0 s", "59 s", "1:00", "3:05", "1:02:05",
    ]  # fmt: skip
    assert [percent(*p) for p in ((0, 0), (1, 3), (3, 3), (9_999, 10_000), (0, 4))] == [
        "–", "33.3%", "100%", "99.9%", "0%",
    ]  # fmt: skip
