"""CSV and XLSX files as plain tables of text.

Bytes in, text out; nothing is understood here. It must never run a formula, fetch a link, or be
brought down by a file that unpacks to more than it says: a file comes from anybody's mailbox.
"""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

MOST_BYTES = 16 * 1024 * 1024
MOST_UNPACKED_BYTES = 200 * 1024 * 1024
MOST_ROWS = 100_000
MOST_COLUMNS = 100
ENCODINGS = ("utf-8-sig", "gb18030")
"""Tried in this order: text in GB18030 is hardly ever valid UTF-8. A byte order mark is dropped."""


class Unreadable(Exception):
    """The file as a whole can't be read; the words say what to do, in both languages."""

    def __init__(self, en: str, *, zh: str) -> None:
        super().__init__(en)
        self.words = {"zh": zh, "en": en}


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its headings, and its rows with the line at which each stands (from 1)."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def tables(content: bytes) -> list[Table]:
    """All tables of a file that have a heading. Raises Unreadable."""
    if len(content) > MOST_BYTES:
        raise Unreadable(
            f"the file has over {MOST_BYTES // 2**20} MiB; split it",
            zh=f"文件超过{MOST_BYTES // 2**20} MiB,请分成几份。",
        )
    if content[:4] == b"PK\x03\x04":
        found = list(_workbook(content))
    elif content[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise Unreadable("this is an old .xls file, or one with a password: save it as .xlsx",
                         zh="这是旧的 .xls 或加了密码的文件,请另存为 .xlsx。")  # fmt: skip
    else:
        found = [_csv(content)]
    return [table for table in found if table.headings]


def _decoded(content: bytes) -> str:
    for encoding in ENCODINGS:
        try:
            words = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in words:
            return words
    raise Unreadable("this is no text in UTF-8 or GB18030; save it as CSV UTF-8, or as .xlsx",
                     zh="不是 UTF-8 或 GB18030 的文本,请另存为“CSV UTF-8”或 .xlsx。")  # fmt: skip


def _csv(content: bytes) -> Table:
    words = _decoded(content)
    first = words.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    csv.field_size_limit(1_000_000)
    reader = csv.reader(io.StringIO(words, newline=""), delimiter=separator)

    def lines() -> Iterator[tuple[int, Sequence[str]]]:
        begins = 1
        for row in reader:
            yield begins, row
            begins = reader.line_num + 1  # a cell may hold line breaks

    try:
        return _table("", lines())
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num} is no CSV: {error}",
                         zh=f"第{reader.line_num}行不是 CSV。") from error  # fmt: skip


def _workbook(content: bytes) -> Iterator[Table]:
    # Loaded with the first workbook: most servers never see one, and it weighs six MiB.
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    broken = Unreadable("this .xlsx can't be opened; open it in a spreadsheet and save it anew",
                        zh="这个 .xlsx 打不开,请用表格软件打开后重新保存。")  # fmt: skip
    try:
        _refuse_a_bomb(content)
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError,
            SyntaxError) as error:  # fmt: skip
        raise broken from error
    try:
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # what the file claims of its own size is not believed
            rows = enumerate(sheet.iter_rows(values_only=True), 1)
            yield _table(sheet.title, ((line, [_text(v) for v in row]) for line, row in rows))
    except (KeyError, ValueError, TypeError, SyntaxError, zipfile.BadZipFile) as error:
        raise broken from error
    finally:
        book.close()


def _refuse_a_bomb(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        if sum(p.file_size for p in parts) > MOST_UNPACKED_BYTES:
            raise Unreadable("this .xlsx unpacks to too much; split it",
                             zh="这个 .xlsx 解开后太大,请分成几份。")  # fmt: skip
        for part in parts:
            if not part.filename.endswith((".xml", ".rels")):
                continue
            with archive.open(part) as file:
                # No spreadsheet declares a document type; only one that unfolds without end does.
                if b"<!DOCTYPE" in file.read(65536):
                    raise ValueError("a document type in a spreadsheet")


def _text(value: Any) -> str:
    """A cell's value as a person would have typed it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _table(title: str, lines: Iterator[tuple[int, Sequence[str]]]) -> Table:
    """The first line that is not empty is the heading."""
    headings: tuple[str, ...] = ()
    rows: list[tuple[int, tuple[str, ...]]] = []
    for line, cells in lines:
        if not any(c.strip() for c in cells):
            continue
        if not headings:
            headings = tuple(_cut(cells))
            if len(headings) > MOST_COLUMNS:
                raise Unreadable(f"more than {MOST_COLUMNS} columns", zh="列太多。")
            continue
        if len(rows) == MOST_ROWS:
            raise Unreadable(f"more than {MOST_ROWS} rows; split the file",
                             zh="行太多,请分成几份。")  # fmt: skip
        last = max(n for n, c in enumerate(cells) if c.strip())
        full = [*cells[: last + 1], *[""] * (len(headings) - last - 1)]
        rows.append((line, tuple(full[: max(last + 1, len(headings))])))
    return Table(title, headings, tuple(rows))


def _cut(cells: Sequence[str]) -> list[str]:
    last = max((n for n, c in enumerate(cells) if c.strip()), default=-1)
    return [c.strip() for c in cells[: last + 1]]
