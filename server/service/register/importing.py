"""An import: the whole file compared in a dry run, or taken lot by lot, each in a transaction.

Lots are small so that an SOS never waits behind a file. Taking a file again changes nothing, so an
import that was cut off is simply repeated.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from server.core.access import EVERYWHERE, Scope
from server.core.columns import TITLES
from server.database import Tx
from server.service.register import picture as pictures
from server.service.register.picture import Change
from server.service.register.planning import Planner
from server.service.register.rows import Problem, Row, Rows, understand
from server.service.register.saving import save
from server.service.register.words import explained
from server.sheets.reading import Table, tables
from server.sheets.writing import as_xlsx
from server.vault import Opener

LOT = 100
REASONS = ("行", "原因 Reason")
"""The headings that stand beside rejected rows; a file that carries them can be read again."""


@dataclass(slots=True, eq=False)
class Import:
    """A file on its way in. `dry_run` or the `lots`, then the report is complete."""

    file: list[Rows]
    scope: Scope = EVERYWHERE
    """Whoever brings it answers for these houses; no row may be about others."""
    counts: Counter[str] = field(default_factory=Counter)
    """How many rows were, or would be, added, changed, left, rejected."""
    changes: list[Change] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    """What was not taken though its row was."""
    _made: frozenset[int] = frozenset()
    """The communities that it has registered."""

    @staticmethod
    def of(content: bytes, scope: Scope = EVERYWHERE) -> "Import":
        """A file's tables, understood. Raises Unreadable."""
        return Import(understand(tables(content)), scope)

    @property
    def rows(self) -> list[Row]:
        """All rows, in the order in which they are taken."""
        return [row for table in self.file for row in table.rows]

    @property
    def problems(self) -> list[Problem]:
        """Every reason for every row that was not taken, and headings that are not read."""
        whole = [p for table in self.file for p in table.problems]
        return whole + [p for row in self.rows for p in row.problems]

    def lots(self) -> list[list[Row]]:
        """The rows in lots of at most LOT, each of one table: a house stands before its
        residents come. House by house, so that a lot needs only a few houses to be read."""
        found = []
        for table in self.file:
            rows = sorted(table.rows, key=_by_house)
            found += [rows[n : n + LOT] for n in range(0, len(rows), LOT)]
        return found

    def dry_run(self, conn: Connection, now: datetime, opener: Opener) -> None:
        """Compare all rows with what is registered; nothing is written. `opener`: opens notes."""
        self.taken(self._planned(conn, self.rows, now, opener, "", ""))

    def take(self, tx: Tx, lot: Sequence[Row], *, who: str, why: str, via: str) -> Planner:
        """Write one lot; `taken` afterwards adds it to the report, once it is committed."""
        planner = self._planned(tx.conn, lot, tx.now, tx.vault.open, who, why)
        planner.made = save(tx, planner.picture, planner.draft, who=who, why=why, via=via)
        return planner

    def taken(self, planner: Planner) -> None:
        """A lot is committed."""
        if planner.made:  # whoever registers a community answers for it
            self._made |= planner.made
            self.scope = replace(self.scope, communities=self.scope.communities | planner.made)
        self.counts += planner.outcomes
        self.changes += planner.draft.changes
        self.notes += planner.notes

    def rejected(self, lang: str = "zh") -> bytes | None:
        """The rejected rows as a workbook, each with its line and its reasons, ready to be mended
        and taken again; None when there are none."""
        found = []
        for number, table in enumerate(self.file):
            lines = [(n, row) for n, row in enumerate(r for r in table.rows if r.problems)]
            if not lines:
                continue
            width = max(len(table.headings), *(len(row.raw) for _, row in lines))
            blank = [""] * (width - len(table.headings))
            title = TITLES[table.sheet][lang == "en"] if table.sheet else f"{number + 1}"
            rows = tuple(
                (n + 2, (*row.raw, *[""] * (width - len(row.raw)), str(row.line),
                         "; ".join(explained(p, lang) for p in row.problems)))
                for n, row in lines
            )  # fmt: skip
            found.append(Table(title, (*table.headings, *blank, *REASONS), rows))
        return as_xlsx(found) if found else None

    def _planned(
        self, conn: Connection, rows: Sequence[Row], now: datetime, opener: Opener, who: str,
        why: str,
    ) -> Planner:
        picture = pictures.load(conn, rows, now, self.scope, self._made)
        planner = Planner(picture, opener, who, why)
        for row in rows:
            row.problems = list(row.of_file)  # planned anew when another writer was first
            planner.outcomes[planner.plan(row)] += 1
        return planner


def _by_house(row: Row) -> tuple[str, str, str, int, int]:
    named = row.named
    return named.district, named.street, named.name, row.get("building") or 0, row.line
