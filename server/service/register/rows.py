"""A file's tables as rows of values, each with the line it stands on and what is wrong with it.

A bad cell spoils its row and nothing else; a heading that is missing spoils its table. No row is
ever dropped: it is taken, or it is listed with its reasons.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.core.cells import Bad, Why, value
from server.core.columns import Header, Sheet, column_of, number_of, read_header, which
from server.core.houses import Named, may_be_one
from server.core.words import Role
from server.sheets.reading import Table


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was not taken: where it stands, a named reason, what it clashes with."""

    line: int
    column: str
    why: Why
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """A person who shall stand behind a target, as a row names them."""

    role: Role
    name: str
    phone: str
    column: str
    key_place: str | None = None


@dataclass(slots=True, eq=False)
class Row:
    """One row: its cells as they stand in the file, and as values by the columns' keys."""

    sheet: Sheet
    line: int
    raw: tuple[str, ...]
    values: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    """Key → the file's own heading."""
    contacts: list[Contact] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    of_file: tuple[Problem, ...] = ()
    """The problems that the file has by itself, whatever is registered."""
    meant: int | None = None
    """The community's id, where a form has said it; a file names it."""
    number: int | None = None
    """The building's number in the installation, once it is planned."""

    @property
    def named(self) -> Named:
        """The community as the row names it."""
        return Named(*(self.get(key) or "" for key in ("community", "street", "district")))

    def refuse(self, key: str, why: Why, detail: str = "") -> None:
        """The row is not taken, because of this column."""
        self.problems.append(Problem(self.line, self.columns.get(key, ""), why, detail))

    def get(self, key: str) -> Any:
        """A value; None where the cell is empty."""
        return self.values.get(key)


@dataclass(slots=True, eq=False)
class Rows:
    """One table, understood."""

    sheet: Sheet | None
    title: str
    headings: tuple[str, ...]
    rows: list[Row]
    problems: list[Problem]
    """Of the table as a whole; headings that are not read are among them."""


CONTACTS = {
    "key_holder": Role.KEY_HOLDER, "befriender": Role.BEFRIENDER, "family": Role.FAMILY,
    "substitute": Role.SUBSTITUTE,
}  # fmt: skip


def understand(tables: Iterable[Table]) -> list[Rows]:
    """The register's tables among those of a file, each row checked by itself and against the
    others of the file."""
    found = [_table(table) for table in tables]
    order = [Sheet.BUILDINGS, Sheet.OFFICES, Sheet.RESIDENTS]
    found.sort(key=lambda r: order.index(r.sheet) if r.sheet is not None else len(order))
    every = [row for rows in found for row in rows.rows]
    _refuse_doubles(every)
    for row in every:
        row.of_file = tuple(row.problems)
    return found


def _table(table: Table) -> Rows:
    sheet = which(table.headings)
    if sheet is None:
        unknown = Problem(0, "", Why.NO_TABLE, table.title)
        kept = [Row(Sheet.RESIDENTS, line, raw) for line, raw in table.rows]
        for row in kept:
            row.refuse("", Why.NO_TABLE, table.title)
        return Rows(None, table.title, table.headings, kept, [unknown])
    header = read_header(sheet, table.headings)
    problems = [Problem(1, heading, Why.HEADING_UNKNOWN) for heading in header.strangers]
    spoilt = [(c.zh, Why.HEADING_MISSING) for c in header.missing]
    spoilt += [(column_of(sheet, key).zh, Why.HEADING_TWICE) for key in header.twice]
    problems += [Problem(1, heading, why) for heading, why in spoilt]
    rows = [_row(sheet, header, table.headings, line, raw) for line, raw in table.rows]
    for row in rows:
        row.problems += [Problem(row.line, heading, why) for heading, why in spoilt]
    return Rows(sheet, table.title, table.headings, rows, problems)


def _row(
    sheet: Sheet, header: Header, headings: Sequence[str], line: int, raw: tuple[str, ...]
) -> Row:
    row = Row(sheet, line, raw)
    if len(raw) > len(headings):
        row.refuse("", Why.TOO_MANY_CELLS, str(len(headings)))
    for key, heading, cell in zip(header.keys, headings, raw, strict=False):
        if key is None:
            continue
        base, _ = number_of(key)
        row.columns[key] = heading
        try:
            found = value(base, cell)
        except Bad as bad:
            row.refuse(key, bad.why, bad.detail)
            continue
        if found is not None:
            row.values[key] = found
        elif column_of(sheet, key).needed:
            row.refuse(key, Why.EMPTY)
    _contacts(row)
    return row


def _contacts(row: Row) -> None:
    for key in list(row.columns):
        base, number = number_of(key)
        role = CONTACTS.get(base)
        if role is None:
            continue
        tail = f":{number}" if number > 1 else ""
        phone, place = row.get(f"{base}_phone{tail}"), row.get(f"key_place{tail}")
        place = place if role is Role.KEY_HOLDER else None
        name = row.get(key)
        if name is not None and phone is not None:
            row.contacts.append(Contact(role, name, phone, key, place))
        elif not row.problems and (name or phone or place):
            row.refuse(key, Why.PAIR)
    for key in ("head", "second"):
        if row.sheet is Sheet.BUILDINGS and row.get(key) and row.get(f"{key}_phone"):
            contact = Contact(Role.STEWARD, row.get(key), row.get(f"{key}_phone"), key)
            row.contacts.append(contact)


def _refuse_doubles(rows: Sequence[Row]) -> None:
    """The same resident, terminal or house twice in one file, or one number with two names: the
    first line counts, the later ones are refused and name it."""
    seen: defaultdict[tuple[Any, ...], list[tuple[Named, int]]] = defaultdict(list)
    names: dict[str, tuple[str, int]] = {}
    for row in rows:
        for key, identity in _identities(row):
            before = seen[row.sheet, key, identity]
            anywhere = key in _ONE_FOR_ALL
            first = next((line for named, line in before
                          if anywhere or may_be_one(named, row.named)), None)
            if first is not None:
                row.refuse(key, Why.TWICE_IN_FILE, str(first))
            else:
                before.append((row.named, row.line))
        people = [(c.phone, c.name, f"{number_of(c.column)[0]}_phone") for c in row.contacts]
        if row.sheet is Sheet.OFFICES and row.get("phone") and row.get("name"):
            people.append((row.get("phone"), row.get("name"), "phone"))
        for phone, name, key in people:
            known, line = names.setdefault(phone, (name, row.line))
            if known != name:
                row.refuse(key, Why.NUMBER_OF_ANOTHER, f"{known} ({line})")


_ONE_FOR_ALL = frozenset({"id", "terminal"})
"""What is one in the installation, whatever community the rows name."""


def _identities(row: Row) -> list[tuple[str, Any]]:
    if row.sheet is Sheet.BUILDINGS:
        found = [("building", row.get("building"))]
    elif row.sheet is Sheet.OFFICES:
        found = [("phone", (row.get("role"), row.get("phone")))]
    else:
        door = (row.get("building"), row.get("flat"), row.get("name"))
        whole = door if None not in door else None
        found = [("name", whole), ("id", row.get("id")), ("terminal", row.get("terminal"))]
    return [(key, identity) for key, identity in found if identity is not None]
