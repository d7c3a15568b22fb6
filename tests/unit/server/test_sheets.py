"""A file from anybody's mailbox is read as text, in any usual encoding, and can do no harm."""

import io
import zipfile
from datetime import date

import pytest
from openpyxl import Workbook, load_workbook

from server.sheets.reading import Table, Unreadable, tables
from server.sheets.writing import as_csv, as_xlsx

LINES = '楼栋,门牌,姓名\r\n11,301,"何桂芳"\r\n\r\n11,302,"李\n芳"\r\n12,101,王,多一格\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_in_any_usual_encoding(encoding: str) -> None:
    """With and without byte order mark, and as a Chinese Excel saves it; lines are those of the
    file, with an empty one and a cell of two lines between."""
    (table,) = tables(LINES.encode(encoding))
    assert table.headings == ("楼栋", "门牌", "姓名")
    assert table.rows == (
        (2, ("11", "301", "何桂芳")),
        (4, ("11", "302", "李\n芳")),
        (6, ("12", "101", "王", "多一格")),
    )


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(separator: str) -> None:
    """As spreadsheets of other countries write them."""
    (table,) = tables(f"楼栋{separator}门牌\n11{separator}301\n".encode())
    assert table.rows == ((2, ("11", "301")),)


def test_numbers_and_days_of_a_workbook_are_what_a_person_typed() -> None:
    """301 is no 301.0, and a day no serial number."""
    book = Workbook()
    assert book.active is not None
    for row in (["门牌", "出生日期", "电话"], [301.0, date(1941, 9, 2), 13800138000]):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    (table,) = tables(out.getvalue())
    assert table.rows == ((2, ("301", "1941-09-02", "13800138000")),)


NASTY = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=cmd|"/c calc"!A1')


def test_nothing_that_goes_out_is_a_formula() -> None:
    """In CSV an apostrophe stands before it; in a workbook it is text that stays text."""
    rows = [(word,) for word in NASTY]
    out = as_csv(("进门办法",), rows).decode("utf-8-sig")
    assert all(line[0] in "'\"" for line in out.splitlines()[1:])
    body = as_xlsx([Table("住户", ("进门办法",), tuple(enumerate(rows, 2)))])
    sheet = load_workbook(io.BytesIO(body)).worksheets[0]
    cells = [sheet.cell(n, 1) for n in range(2, 2 + len(NASTY))]
    assert {c.data_type for c in cells} == {"s"}
    assert all(c.quotePrefix for c in cells)
    assert [c.value for c in cells] == list(NASTY)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "old .xls"),
        (b"PK\x03\x04 no archive", "can't be opened"),
        (b"\xff\xfe\x00\x01\x02", "no text"),
        (b"a" * (16 * 2**20 + 1), "MiB"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_do(content: bytes, words: str) -> None:
    """Nobody is left with a stack trace."""
    with pytest.raises(Unreadable, match=words):
        tables(content)


def test_a_workbook_that_unfolds_without_end_is_refused() -> None:
    """By what it says of its size, and by a document type that no spreadsheet has."""
    for name, content in (("a.bin", b"0" * (201 * 2**20)), ("a.xml", b"<!DOCTYPE lolz []><a/>")):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(name, content)
        with pytest.raises(Unreadable):
            tables(out.getvalue())
