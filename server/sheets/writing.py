"""Tables as CSV and XLSX files that a spreadsheet opens without running anything in them.

CSV: UTF-8 with a byte order mark, because Excel reads Chinese only then; a cell that begins like a
formula has an apostrophe before it. XLSX: every cell is text, and marked as text that is quoted, so
that it stays text when somebody edits it.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from server.core.cells import FORMULA, safe
from server.sheets.reading import Table

WIDTH = 16


def as_csv(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """One table."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    for row in (headings, *rows):
        writer.writerow([safe(cell) for cell in row])
    return out.getvalue().encode("utf-8-sig")


def as_xlsx(tables: Sequence[Table]) -> bytes:
    """A sheet for each table, its first line frozen."""
    # Loaded with the first workbook, as in reading.py.
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook(write_only=True)
    bold = Font(bold=True)
    for table in tables:
        sheet: Any = book.create_sheet(table.title)
        sheet.freeze_panes = "A2"
        for n in range(len(table.headings)):
            sheet.column_dimensions[get_column_letter(n + 1)].width = WIDTH

        def cell(text: str, sheet: Any = sheet) -> Any:
            made: Any = WriteOnlyCell(sheet, value=text)
            if text:
                made.data_type = "s"  # openpyxl would make a formula of "=1+1"
            if text.startswith(FORMULA):
                made.quotePrefix = True
            return made

        heads = [cell(text) for text in table.headings]
        for head in heads:
            head.font = bold
        sheet.append(heads)
        for _, row in table.rows:
            sheet.append([cell(text) for text in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
