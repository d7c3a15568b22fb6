"""Residents by hand: register somebody, change what is known of them, a move, an absence, the end.

What leads into a home and what concerns health can be written here and is not shown: it is read on
the resident's page, for a reason.
"""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter

from dashboards.buildings_by_hand import whose
from dashboards.form_pages import Act, Facts, Field, FormPage, Section, add, add_button
from dashboards.reader import Reader

SEX: Final = (("", "unsaid"), ("女", "sex_f"), ("男", "sex_m"))
LIVING: Final = (("alone", "alone"), ("couple", "couple"),
                 ("family", "family"))  # fmt: skip
CLASSES: Final = (("rule", "rule"), ("A", "A"), ("B", "B"), ("C", "C"))
HOW: Final = (("", "unsaid"), ("died", "died"), ("moved_away", "moved_away"),
              ("other", "other"))  # fmt: skip
LONG: Final = 500
KEY_HOLDERS, FAMILY = 2, 2
"""How many empty places a form offers at once; whoever has more comes back."""


def _contact(role: str, n: int) -> list[Field]:
    tail = f":{n}" if n > 1 else ""
    found = [Field(f"{role}{tail}", f"{role}_name", first=True),
             Field(f"{role}_phone{tail}", "phone", "tel", most=24)]  # fmt: skip
    if role == "key_holder":
        found.append(Field(f"key_place{tail}", "key_place", most=LONG, hint="secret"))
    return found


def _people(standing: Sequence[dict[str, Any]] = ()) -> list[Section]:
    """Who stands by a resident: those who do, to be taken off, and empty places."""
    sections = []
    for role, places in (("key_holder", KEY_HOLDERS), ("befriender", 1), ("family", FAMILY)):
        fields: list[Field] = []
        for c in standing:
            if c["role"] != role:
                continue
            who = f"{c['name']} {c['phone_masked']}"
            if role == "key_holder":
                fields.append(Field(f"place:{c['id']}", "key_place_new", words=f"({c['name']})",
                                    most=LONG, hint="secret_keep"))  # fmt: skip
            fields.append(Field("remove", "remove", "check", str(c["id"]), words=who,
                                href=f"/people/{c['person_id']}"))  # fmt: skip
        for n in range(1, places + 1):
            fields += _contact(role, n)
        sections.append(Section(role, fields, hint=f"s_{role}"))
    return sections


def _of_person(values: dict[str, str], *, new: bool) -> Section:
    def v(key: str) -> str:
        return values.get(key, "")

    sex = {"f": "女", "m": "男"}.get(v("sex"), "")
    return Section("person", (
        Field("name", "name", value=v("name"), needed=True),
        Field("sex", "sex", "select", sex, SEX),
        Field("birth_date", "birth_date", value=v("birth_date"), needed=True, hint="birth_date",
              most=20),
        Field("living", "living", "select", v("living") or "alone", LIVING, needed=True),
        Field("phone", "phone_own", "tel", v("phone"), most=24),
        Field("terminal", "terminal", value=v("terminal"), most=32,
              hint="terminal" if new else "terminal_change"),
        Field("risk_class", "risk_class", "select", v("risk_class") or ("" if new else "rule"),
              (("", "rule"), *CLASSES[1:]) if new else CLASSES, hint="risk_class"),
    ))  # fmt: skip


def _door(
    values: dict[str, str], *, whole: bool, community: Sequence[Field] = ()
) -> Section:
    place = (
        Field("floor", "floor", value=values.get("floor", ""), most=4, hint="floor"),
        Field("stairwell", "stairwell", value=values.get("stairwell", "")),
    )
    if not whole:
        return Section("door", place, hint="door_same")
    return Section("door", (
        *community,
        Field("building", "building", needed=True, most=8),
        Field("flat", "flat", needed=True, most=32, hint="flat"), *place,
    ))  # fmt: skip


def _notes(noted: dict[str, bool] | None) -> Section:
    def hint(key: str) -> str:
        return "secret" if noted is None else "secret_keep" if noted[key] else "secret_none"

    return Section("notes", (
        Field("access_notes", "access_notes", "area", most=LONG, hint=hint("access_notes")),
        Field("risks", "risks", "area", most=LONG, hint=hint("risks")),
    ))  # fmt: skip


def _new(facts: Facts) -> FormPage:
    return FormPage(
        "resident_new", ("/residents", "residents", {}),
        (_door({}, whole=True, community=whose(facts)), _of_person({}, new=True), _notes(None),
         *_people()),
        submit="register",
    )  # fmt: skip


def _back_to(facts: Facts) -> tuple[str, str, dict[str, Any]]:
    about = {"n": facts["building"], "label": facts["flat"], "name": facts["values"]["name"]}
    return f"/residents/{facts['id']}", "resident", about


def _edit(facts: Facts) -> FormPage:
    own = f"/residents/{facts['id']}"
    return FormPage(
        "resident_edit", _back_to(facts),
        (_of_person(facts["values"], new=False), _door(facts["values"], whole=False),
         _notes(facts["noted"]), *_people(facts["contacts"])),
        seen=facts["seen"],
        also=((f"{own}/away", "away"), (f"{own}/move", "move"), (f"{own}/end", "end"),
              (f"{own}/history", "history")),
    )  # fmt: skip


def _move(facts: Facts) -> FormPage:
    return FormPage(
        "move", _back_to(facts), (_door({}, whole=True, community=whose(facts)),),
        seen=facts["seen"], notice="move", submit="move",
    )  # fmt: skip


def _end(facts: Facts) -> FormPage:
    how = Field("how", "how", "select", "", HOW, needed=True)
    return FormPage(
        "end", _back_to(facts), (Section("end", (how,)),), notice="end", submit="end"
    )


def away_section() -> Section:
    """Until when somebody is away."""
    return Section("away", (Field("until", "until", "datetime", needed=True, hint="until",
                                  most=25),))  # fmt: skip


def _away(facts: Facts) -> FormPage:
    paused = facts["absent_until_ms"] is not None
    return FormPage(
        "away", _back_to(facts), (away_section(),), notice="away_now" if paused else "away",
        submit="away", back=f"/residents/{facts['id']}/back" if paused else "",
    )  # fmt: skip


def _page_of(number: int) -> str:
    return f"/residents/{number}"


def router(reader: Reader) -> APIRouter:
    """GET and POST /residents/new, and /edit, /move, /end, /away of a resident; POST /back."""
    routes = APIRouter(include_in_schema=False)
    path, of = "/residents/{resident_id}", "resident_id"
    add(routes, reader,
        Act("/residents/new", "register", "new", "resident.add", _new, _page_of))
    add(routes, reader,
        Act(f"{path}/edit", "register", "resident", "resident.change", _edit, _page_of, of))
    add(routes, reader,
        Act(f"{path}/move", "register", "resident", "resident.move", _move, _page_of, of))
    add(routes, reader,
        Act(f"{path}/end", "register", "resident", "resident.end", _end,
            lambda n: f"/residents/{n}/history", of))
    away = Act(f"{path}/away", "act", "resident", "resident.away", _away, _page_of, of)
    add(routes, reader, away)
    add_button(routes, reader, f"{path}/back", of, "resident.back", _page_of, away)
    return routes  # fmt: skip
