"""One resident or one building changed by hand: a form is read as one line of a file would be, so
that both take the same words and refuse the same mistakes."""

import re
from collections.abc import Collection, Mapping

from server import tables as t
from server.core import cells
from server.core.access import EVERYWHERE, Scope
from server.core.cells import Bad, Why
from server.core.columns import COLUMNS, Sheet, column_of, heading, number_of
from server.core.houses import distinct, numbered, sign
from server.core.numbers import number_in
from server.core.risk import RiskClass
from server.core.words import Role
from server.database import Tx
from server.service import addressing, assigning, classing, history, moving, shared, terminals
from server.service.house import House
from server.service.refusals import Beyond, Refused, Unknown
from server.service.register import picture as pictures
from server.service.register import places
from server.service.register.forms import Cells, Form, Misfit, Said, misfit, unchanged_since
from server.service.register.planning import ADDED, CHANGED, Planner
from server.service.register.rows import Row, understand
from server.service.register.saving import save
from server.service.register.words import reason
from server.sheets.reading import Table
from server.store import doors, people
from server.store import register as store

RULE, PLACE = "rule", "place:"
CLASSES: Mapping[str, RiskClass] = {"A": "A", "B": "B", "C": "C"}
KEY = re.compile(r"[a-z_]+(:[2-9])?")
"""How a column is named in a form; what else stands in it is for others to read."""
CLEARED = cells.CLEARED[0]
EMPTIES = ("phone", "stairwell")
"""Fields that are shown as they are, so that an empty one was emptied. What leads into a home is
not shown: empty there means that nothing is to change."""
_PERSON = (
    "floor", "stairwell", "name", "sex", "birth_date", "living", "phone", "terminal",
    "access_notes", "risks", "befriender", "befriender_phone",
    *(f"{key}{tail}" for tail in ("", ":2") for key in (
        "key_holder", "key_holder_phone", "key_place", "family", "family_phone")),
)  # fmt: skip
_STEWARDS = (
    "head", "head_phone", "second", "second_phone",
    *(f"substitute{what}{tail}" for tail in ("", ":2") for what in ("", "_phone")),
)  # fmt: skip
SHOWN: Mapping[str, frozenset[str]] = {
    "resident.add": frozenset({"building", "flat", "risk_class", *_PERSON}),
    "resident.change": frozenset({"risk_class", *_PERSON}),
    "building.add": frozenset({"building", "community", "street", "district", *_STEWARDS}),
    "building.change": frozenset(_STEWARDS),
}
"""The columns that each form shows, and so the only ones it may change: a file has columns (the
district, the street, another resident's number) that are not for whoever may open one form. What
else is sent is not read. Held against the pages by tests/integration/test_register_by_hand.py."""
OF_FIRST = frozenset({"street", "district"})
"""Columns that a new building's form shows only while there is no community yet."""
COMMUNITY = "community_id"
"""The field that says which community is meant, where there are several."""
SPOKEN = frozenset({"head", "second", "substitute", "substitute:2"})
"""Those of a building's form whose language is chosen beside them."""


def _row(sheet: Sheet, given: Cells) -> tuple[Row, dict[str, str]]:
    """A form as a line of a file, and the key of each of its headings."""
    columns = {c.key for c in COLUMNS[sheet]}
    names = {
        heading(column_of(sheet, key), "zh", number_of(key)[1]): key
        for key in given
        if KEY.fullmatch(key) and key.partition(":")[0] in columns
    }
    cells_ = tuple(given[key] for key in names.values())
    (rows,) = understand([Table("", tuple(names), ((1, cells_),))])
    return rows.rows[0], names


def _shown(form: Form, act: str) -> dict[str, str]:
    """What a form says, and nothing else that was sent with it."""
    return {
        key: words for key, words in form.cells.items()
        if key in SHOWN[act] or key.startswith(PLACE)
    }  # fmt: skip


def _plan(
    tx: Tx, sheet: Sheet, given: Cells, said: Said, scope: Scope, meant: int | None = None,
    *, founds: bool = False,
) -> tuple[Planner, str, Row]:
    """The draft of a form, and whether it adds, changes or leaves. `meant`: the community's id;
    `founds`: it may register one. Raises Misfit."""
    row, names = _row(sheet, given)
    row.meant = meant
    picture = pictures.load(tx.conn, [row], tx.now, scope)
    picture.communities.founds = founds
    planner = Planner(picture, tx.vault.open, said.who, said.why)
    outcome = planner.plan(row)
    if row.problems:
        found: dict[str, Mapping[str, str]] = {}
        for problem in row.problems:
            words = {lang: reason(problem, lang) for lang in ("zh", "en")}
            found.setdefault(names.get(problem.column, ""), words)
        raise Misfit(found)
    return planner, outcome, row


def _save(tx: Tx, planner: Planner, said: Said) -> None:
    save(tx, planner.picture, planner.draft, who=said.who, why=said.why, via=said.via)


def _meant(tx: Tx, given: Cells, scope: Scope) -> int | None:
    """The community that a form says, of those that the asker may see; None: the only one (or
    none is registered yet). Raises Misfit where there are several and none of them is said."""
    known = places.load(tx.conn, scope)
    words = given.get(COMMUNITY, "").strip()
    if not words and len(known.seen) < 2:
        return known.seen[0].id if known.seen else None
    number = number_in(words)
    if number not in {c.id for c in known.seen}:
        names = [c.named for c in known.seen]
        listed = "、".join(distinct(n, names) for n in names)
        raise misfit(COMMUNITY, Why.NO_SUCH_COMMUNITY if words else Why.WHICH_COMMUNITY, listed)
    return number


def add_resident(tx: Tx, form: Form, scope: Scope = EVERYWHERE) -> int:
    """Register somebody new; returns their id. The same form again (a double tap) finds them.
    Raises Misfit."""
    said = form.said.checked()
    meant = _meant(tx, form.cells, scope)
    planner, outcome, row = _plan(
        tx, Sheet.RESIDENTS, _shown(form, "resident.add"), said, scope, meant
    )
    if outcome == CHANGED or (outcome == ADDED and not planner.draft.residents):
        raise Misfit({"name": {"zh": "此人已登记在这一户,请到住户页修改",
                               "en": "is registered behind this door; change it on their page"}})
    assert row.number is not None, "it was planned"
    here = pictures.door(row.number, row.get("flat"))
    own = (planner.draft.residents[0][0] if planner.draft.residents
           else next(r for r in planner.picture.residents.values() if r.row is not None
                     and (r.door, cells.name(r.name)) == (here, row.get("name"))))  # fmt: skip
    _save(tx, planner, said)
    if own.row is not None:
        return own.place
    return store.newest_resident(tx.conn, own.door[0], own.name)


def change_resident(
    tx: Tx, house: House, resident_id: int, form: Form, scope: Scope = EVERYWHERE
) -> None:
    """Change what is registered of a resident. Their door and whether they are watched are other
    acts (service/moving.py). Raises Unknown, Refused, Misfit or Stale."""
    said = form.said.checked()
    row = people.resident(tx.conn, resident_id)
    if row is None:
        raise Unknown(f"there is no resident {resident_id}")
    unchanged_since(tx, "resident", resident_id, form.seen, f"flat:{row['flat_id']}")
    if row["state"] == "ended":
        raise Refused(f"resident {resident_id} is ended; nothing is changed any more",
                      zh="这位住户已停止守护,不再修改。")  # fmt: skip
    given = {
        **_shown(form, "resident.change"), "id": str(resident_id),
        "building": str(sign(row["building_number"])), "flat": row["label"],
    }  # fmt: skip
    wanted_class = given.pop("risk_class", None)
    for key in EMPTIES:
        if key in given and not given[key].strip():
            given[key] = CLEARED
    _hand_over_terminal(tx, house, resident_id, given, said, scope)
    _take_off(tx, form.removed, "resident_id", resident_id, said)
    given = _with_places(tx, resident_id, given)
    meant = doors.community_id(tx.conn, row["building_id"])
    planner, _, _ = _plan(tx, Sheet.RESIDENTS, given, said, scope, meant)
    _save(tx, planner, said)
    if wanted_class is not None:
        _class(tx, resident_id, wanted_class, said)


def move_resident(
    tx: Tx, resident_id: int, form: Form, scope: Scope = EVERYWHERE
) -> None:
    """A resident lives behind another door now, which is registered with the move where it is
    new. Raises Unknown, Refused, Misfit or Stale."""
    said = form.said.checked()
    row = people.resident(tx.conn, resident_id)
    if row is None:
        raise Unknown(f"there is no resident {resident_id}")
    unchanged_since(tx, "resident", resident_id, form.seen, f"flat:{row['flat_id']}")
    found = {key: _cell(key, form.cells) for key in ("building", "flat", "floor", "stairwell")}
    label = str(found["flat"])
    known, meant = places.load(tx.conn, scope), _meant(tx, form.cells, scope)
    community = known.by_id.get(meant or 0)
    number = numbered(community.series if community else 0, int(str(found["building"])))
    house = doors.building(tx.conn, number)
    if house is None or not scope.shows(house["id"]):
        raise misfit("building", Why.NO_BUILDING, known.house(number))
    if people.flat_at(tx.conn, number, label) is None:
        try:
            floor = found["floor"] if found["floor"] is not None else cells.floor_of(label)
        except Bad as bad:
            raise misfit("floor", bad.why, bad.detail) from bad
        store.add(tx.conn, t.Flat, [
            {"building_id": house["id"], "label": label, "floor": floor,
             "stairwell": found["stairwell"] or ""}
        ])  # fmt: skip
    moving.move(tx, resident_id, number, label, who=said.who, why=said.why, via=said.via)


def _with_places(tx: Tx, resident_id: int, given: Cells) -> dict[str, str]:
    """A form's `place:<assignment>` as cells of the key holder who stands there already."""
    found = {k: v for k, v in given.items() if not k.startswith(PLACE)}
    numbers = list(range(9, 2, -1))
    for a in store.behind_residents(tx.conn, [resident_id]):
        place = given.get(f"{PLACE}{a['id']}", "")
        if place.strip() and a["role"] == Role.KEY_HOLDER and numbers:
            n = numbers.pop(0)
            found |= {f"key_holder:{n}": a["name"], f"key_holder_phone:{n}": a["phone"],
                      f"key_place:{n}": place}  # fmt: skip
    return found


def _cell(key: str, given: Cells) -> object:
    """A field by itself. Raises Misfit; also where one is empty that must not be."""
    try:
        found = cells.value(key, given.get(key, ""))
    except Bad as bad:
        raise misfit(key, bad.why, bad.detail) from bad
    if found is None and key in ("building", "flat"):
        raise misfit(key, Why.EMPTY)
    return found


def _hand_over_terminal(
    tx: Tx, house: House, resident_id: int, given: dict[str, str], said: Said, scope: Scope
) -> None:
    """Take the terminal off that they have, where the form names another or none. One that is in
    no stock yet is enrolled on the way, but not by the account of one building."""
    if "terminal" not in given:
        return
    try:
        wanted = cells.value("terminal", given["terminal"])
    except Bad as bad:
        raise misfit("terminal", bad.why, bad.detail) from bad
    own = people.terminals_of(tx.conn, resident_id)
    if wanted in own:
        given.pop("terminal")
        return
    for terminal in own:
        moving.assign_terminal(tx, house, terminal, None, who=said.who, why=said.why, via=said.via)
    if isinstance(wanted, str) and wanted:
        known = people.terminal(tx.conn, wanted)
        if known is None and not scope.wide:
            return  # refused with the other fields
        if known is None:
            terminals.enrol(tx, [wanted], who=said.who, why=said.why)
        elif known["resident_id"] is not None:
            return  # the same, with whose it is
        moving.assign_terminal(
            tx, house, wanted, resident_id, who=said.who, why=said.why, via=said.via
        )
        given.pop("terminal")


def _class(tx: Tx, resident_id: int, wanted: str, said: Said) -> None:
    row = people.resident(tx.conn, resident_id)
    assert row is not None, "changed a moment ago"
    if wanted == (RULE if row["class_by"] is None else row["risk_class"]):
        return
    chosen = CLASSES.get(wanted)
    if chosen is None and wanted != RULE:
        raise misfit("risk_class", Why.NOT_A_WORD, "A、B、C")
    classing.set_class(tx, resident_id, chosen, who=said.who, why=said.why, via=said.via)


def _take_off(tx: Tx, removed: Collection[int], column: str, own: int, said: Said) -> None:
    behind = (store.behind_residents if column == "resident_id" else store.behind_buildings)(
        tx.conn, [own]
    )
    for assignment_id in sorted({a["id"] for a in behind} & set(removed)):
        assigning.remove(tx, assignment_id, who=said.who, why=said.why, via=said.via)


def add_building(tx: Tx, form: Form, scope: Scope = EVERYWHERE) -> int:
    """Register a building with its two stewards; returns its number in the installation. Raises
    Misfit or Refused."""
    said = form.said.checked()
    given, meant = _shown(form, "building.add"), None
    first = store.community(tx.conn) is None
    if not first:
        # A community's name stays: none is registered or renamed by the way.
        given = {key: words for key, words in given.items() if key not in OF_FIRST}
        if not given.get("community"):
            meant = _meant(tx, form.cells, scope)
    planner, outcome, row = _plan(
        tx, Sheet.BUILDINGS, given, said, scope, meant, founds=first
    )
    number = row.number
    assert number is not None, "it was planned"
    called = planner.picture.communities.house(number)
    if outcome == CHANGED or (outcome == ADDED and not planner.draft.buildings):
        raise Misfit({"building": {"zh": f"{called}栋已登记,请到楼栋页修改",
                                   "en": f"building {called} is registered; change its page"}})
    _save(tx, planner, said)
    _of_building(tx, number, form, said, scope)
    return number


def change_building(tx: Tx, number: int, form: Form, scope: Scope = EVERYWHERE) -> None:
    """Change a building's stewards, substitutes and address. A steward is replaced, never just
    taken off. Raises Unknown, Misfit or Stale."""
    said = form.said.checked()
    row = doors.building(tx.conn, number)
    if row is None:
        raise Unknown(f"there is no building {number}")
    unchanged_since(tx, "building", row["id"], form.seen)
    _take_off(tx, form.removed, "building_id", row["id"], said)
    given = {**_shown(form, "building.change"), "building": str(sign(number))}
    planner, _, _ = _plan(tx, Sheet.BUILDINGS, given, said, scope, row["community_id"])
    _save(tx, planner, said)
    _of_building(tx, number, form, said, scope)


def _of_building(tx: Tx, number: int, form: Form, said: Said, scope: Scope) -> None:
    row = doors.building(tx.conn, number)
    assert row is not None, "registered a moment ago"
    if form.address is not None and dict(form.address) != {
        "zh": row["address"], "en": row["address_en"]
    }:
        addressing.set_building(
            tx, number, form.address, who=said.who, why=said.why, via=said.via
        )
    for key, lang in form.langs.items():
        if key not in SPOKEN:
            continue
        phone = cells.value(f"{number_of(key)[0]}_phone", form.cells.get(_phone_of(key), ""))
        person = people.person_by_phone(tx.conn, str(phone)) if phone else None
        if person is not None and lang in ("zh", "en") and lang != person["lang"]:
            try:
                shared.demand_whole(tx.conn, scope, person["id"])
            except Beyond as refused:
                raise Misfit({f"lang:{key}": refused.words}) from refused
            people.set_person(tx.conn, person["id"], lang=lang)
            history.of_person(
                tx, person["id"], {"lang": (f"{person['name']}: {person['lang']}",
                                            f"{person['name']}: {lang}")},
                who=said.who, why=said.why, via=said.via,
            )  # fmt: skip


def _phone_of(key: str) -> str:
    base, number = number_of(key)
    return f"{base}_phone" + (f":{number}" if number > 1 else "")
