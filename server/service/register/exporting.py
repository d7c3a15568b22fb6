"""The register as tables, just as an import reads them: taken again, they change nothing.

The ways into homes and what concerns health are left out unless somebody gives a reason; either
way the export is in the journal, with who.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core import cells
from server.core.access import EVERYWHERE, Scope
from server.core.columns import COLUMNS, OF_PLACE, TITLES, Column, Sheet, heading
from server.core.houses import called
from server.core.words import Role
from server.database import Tx
from server.service.refusals import Refused
from server.sheets.reading import Table
from server.store import journal
from server.store import register as store

MOST_CONTACTS = 9
LEAST_REASON = 3


def export(
    tx: Tx, *, lang: str, secrets: bool, who: str, why: str, scope: Scope = EVERYWHERE
) -> list[Table]:
    """All three tables of the houses in `scope`, with headings in `lang`. `secrets`: with access
    notes, places of keys and health notes, for a reason. Raises Refused without one."""
    why = " ".join(why.split())[:200]
    if secrets and len(why) < LEAST_REASON:
        raise Refused("access and health notes leave only for a reason; give one",
                      zh="导出进门办法和健康提示要写明理由。")  # fmt: skip
    lost: list[str] = []

    def opened(what: str, row_id: int, stored: str) -> str:
        text = tx.vault.open(what, row_id, stored) if secrets else ""
        if text is None:
            lost.append(what)
        return text or ""

    found = [_table(tx.conn, sheet, lang, secrets, scope, opened) for sheet in
             (Sheet.BUILDINGS, Sheet.OFFICES, Sheet.RESIDENTS)]  # fmt: skip
    if lost:  # an empty cell would say that there is none
        raise Refused(f"{len(lost)} notes can't be read here: put their key back, or export without"
                      " access and health notes",
                      zh=f"有{len(lost)}条进门办法或健康提示读不出来(缺少密钥),"
                      "请先补回密钥,或不导出这些内容。")  # fmt: skip
    journal.note(
        tx, "register_exported", residents=len(found[2].rows), secrets=secrets, by=who, why=why
    )
    return found


Notes = Callable[[str, int, str], str]


def _table(
    conn: Connection, sheet: Sheet, lang: str, secrets: bool, scope: Scope, opened: Notes
) -> Table:
    lines = {
        Sheet.BUILDINGS: _buildings, Sheet.OFFICES: _offices, Sheet.RESIDENTS: _residents
    }[sheet](conn, lang, scope, opened)  # fmt: skip
    columns: list[tuple[str, Column, int]] = []
    # Of the only community nothing needs to be said, but what it is called.
    placed = sheet is Sheet.BUILDINGS or len(store.communities(conn)) > 1
    shown = [c for c in COLUMNS[sheet]
             if (secrets or not c.secret) and (placed or c.key not in OF_PLACE)]  # fmt: skip
    for column in shown:
        if not column.many:
            columns.append((column.key, column, 1))
    # A person's columns stand side by side, so that a sheet can be read: who, number, where.
    for number in range(1, MOST_CONTACTS + 1):
        for column in shown:
            key = column.key if number == 1 else f"{column.key}:{number}"
            base = column.key.removesuffix("_phone").replace("key_place", "key_holder")
            stem = base if number == 1 else f"{base}:{number}"
            if column.many and (number == 1 or any(stem in line for line in lines)):
                columns.append((key, column, number))
    rows = tuple(
        (n, tuple(line.get(key, "") for key, _, _ in columns)) for n, line in enumerate(lines, 2)
    )
    headings = tuple(heading(column, lang, number) for _, column, number in columns)
    return Table(TITLES[sheet][lang == "en"], headings, rows)


def _behind(
    people: Sequence[RowMapping], roles: Mapping[Role, str], opened: Notes
) -> dict[str, str]:
    """Cells of contacts, the first of a role without a number."""
    line: dict[str, str] = {}
    count: defaultdict[str, int] = defaultdict(int)
    for p in people:
        base = roles.get(Role(p["role"]))
        if base is None or count[base] == MOST_CONTACTS:
            continue
        count[base] += 1
        tail = f":{count[base]}" if count[base] > 1 else ""
        line[f"{base}{tail}"] = p["name"]
        line[f"{base}_phone{tail}"] = cells.phone_text(p["phone"])
        if p["role"] == Role.KEY_HOLDER:
            line[f"key_place{tail}"] = opened("assignment.key_place", p["id"], p["key_place"])
    return line


def _places(conn: Connection) -> dict[int, dict[str, str]]:
    """The cells that name each community, by its id."""
    return {
        c["id"]: {"district": c["district"], "street": c["street"], "community": c["name"]}
        for c in store.communities(conn)
    }


def _buildings(
    conn: Connection, _lang: str, scope: Scope, opened: Notes
) -> list[dict[str, str]]:
    communities = _places(conn)
    found = [b for b in store.all_buildings(conn) if scope.shows(b["id"])]
    behind: defaultdict[int, list[RowMapping]] = defaultdict(list)
    for a in store.behind_buildings(conn, [b["id"] for b in found]):
        behind[a["building_id"]].append(a)
    lines = []
    for b in found:
        line = {**communities[b["community_id"]], "building": called(b["number"])}
        for a in behind[b["id"]]:
            if a["role"] == Role.STEWARD:
                place = "head" if a["position"] == 1 else "second"
                line[place] = a["name"]
                line[f"{place}_phone"] = cells.phone_text(a["phone"])
        lines.append(line | _behind(behind[b["id"]], {Role.SUBSTITUTE: "substitute"}, opened))
    return lines


def _offices(
    conn: Connection, lang: str, scope: Scope, _opened: Notes
) -> list[dict[str, str]]:
    theirs = {b["community_id"] for b in store.all_buildings(conn) if scope.shows(b["id"])}
    theirs |= scope.communities
    everywhere, communities = scope.buildings is None, _places(conn)
    return [
        {**communities[a["community_id"]],
         "role": cells.word_for(a["role"], cells.OFFICE, lang), "name": a["name"],
         "phone": cells.phone_text(a["phone"]), "lang": cells.word_for(a["lang"], cells.LANG, lang)}
        for a in store.offices(conn)
        if a["role"] != Role.REHEARSAL and (everywhere or a["community_id"] in theirs)
    ]  # fmt: skip


_OF_RESIDENT = {
    Role.KEY_HOLDER: "key_holder", Role.BEFRIENDER: "befriender", Role.FAMILY: "family",
}  # fmt: skip


def _residents(
    conn: Connection, lang: str, scope: Scope, opened: Notes
) -> list[dict[str, str]]:
    found = [r for r in store.all_residents(conn) if scope.shows(r["building_id"])]
    ids = [r["id"] for r in found]
    behind: defaultdict[int, list[RowMapping]] = defaultdict(list)
    for a in store.behind_residents(conn, ids):
        behind[a["resident_id"]].append(a)
    terminals: dict[int, str] = {}
    for t in store.terminals_of(conn, ids):
        if t["state"] == "active":
            terminals.setdefault(t["resident_id"], t["id"])
    communities = _places(conn)

    def line(r: RowMapping) -> dict[str, Any]:
        return {
            "id": str(r["id"]), **communities[r["community_id"]],
            "building": called(r["number"]), "stairwell": r["stairwell"],
            "floor": str(r["floor"]), "flat": r["label"], "name": r["name"],
            "birth_date": r["birth_date"].isoformat(),
            "sex": cells.word_for(r["sex"], cells.SEX, lang),
            "living": cells.word_for(r["living"], cells.LIVING, lang),
            "risk_class": r["risk_class"], "phone": _phone(r["phone"]),
            "terminal": terminals.get(r["id"], ""),
            "risks": opened("resident.risks", r["id"], r["risks"]),
            "access_notes": opened("resident.access_notes", r["id"], r["access_notes"]),
            **_behind(behind[r["id"]], _OF_RESIDENT, opened),
        }  # fmt: skip

    return [line(r) for r in found]


def _phone(number: str) -> str:
    return cells.phone_text(number) if number else ""
