"""Buildings by hand: their two stewards, substitutes, and the address that is read out to 120.

A steward is replaced here and never just taken off; who is away says so on the contact's page.
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter

from dashboards.form_pages import Act, Facts, Field, FormPage, Section, add
from dashboards.reader import Reader

LANGS: Final = (("zh", "zh"), ("en", "en"))
LONG: Final = 200
NEW_SUBSTITUTES: Final = 2


def whose(facts: Facts) -> list[Field]:
    """The field that says in which community a house is, for whoever answers for several; the
    one that the facts name is chosen already."""
    several = facts.get("communities", ())
    if not several:
        return []
    chosen = str(facts.get("community_id") or "")
    return [Field("community_id", "community", "select", chosen, (("", "unsaid"), *several),
                  needed=True)]  # fmt: skip


def _steward(key: str, standing: Mapping[str, Any] | None) -> Section:
    name, phone, lang = ("", "", "zh")
    if standing is not None:
        name, phone, lang = standing["name"], standing["phone"], standing["lang"]
    return Section(key, (
        Field(key, "name", value=name, needed=True),
        Field(f"{key}_phone", "phone", "tel", phone, needed=True, most=24),
        Field(f"lang:{key}", "lang", "select", lang, LANGS),
    ), hint="steward")  # fmt: skip


def _substitutes(standing: list[Mapping[str, Any]]) -> Section:
    fields = [
        Field("remove", "remove", "check", str(c["id"]), words=f"{c['name']} {c['phone_masked']}",
              href=f"/people/{c['person_id']}")
        for c in standing
    ]  # fmt: skip
    for n in range(1, NEW_SUBSTITUTES + 1):
        tail = f":{n}" if n > 1 else ""
        fields += [
            Field(f"substitute{tail}", "substitute_name", first=True),
            Field(f"substitute_phone{tail}", "phone", "tel", most=24),
            Field(f"lang:substitute{tail}", "lang", "select", "zh", LANGS),
        ]
    return Section("substitutes", fields)


def _address(zh: str, en: str) -> Section:
    return Section("address", (
        Field("address", "address", value=zh, most=LONG, hint="address"),
        Field("address_en", "address_en", value=en, most=LONG),
    ))  # fmt: skip


def _new(facts: Facts) -> FormPage:
    house = [*whose(facts), Field("building", "building", needed=True, most=8)]
    if facts["community"] is None:
        house += [Field("community", "community", needed=True), Field("street", "street"),
                  Field("district", "district")]  # fmt: skip
    return FormPage(
        "building_new", ("/buildings", "buildings", {}),
        (Section("building", house), _steward("head", None), _steward("second", None),
         _substitutes([]), _address("", "")), submit="register",
    )  # fmt: skip


def _edit(facts: Facts) -> FormPage:
    number, stewards = facts["number"], facts["stewards"]
    people = [(f"/people/{stewards[p]['person_id']}", f"steward_{p}") for p in (1, 2)
              if p in stewards]  # fmt: skip
    return FormPage(
        "building_edit", (f"/buildings/{number}", "house", {"n": number}),
        (_steward("head", stewards.get(1)), _steward("second", stewards.get(2)),
         _substitutes(facts["substitutes"]), _address(facts["address"], facts["address_en"])),
        about={"n": number}, seen=facts["seen"],
        also=(*people, (f"/buildings/{number}/history", "history")),
    )  # fmt: skip


def _page_of(number: int) -> str:
    return f"/buildings/{number}"


def router(reader: Reader) -> APIRouter:
    """GET and POST /buildings/new and /buildings/{number}/edit."""
    routes = APIRouter(include_in_schema=False)
    add(routes, reader,
        Act("/buildings/new", "register", "new", "building.add", _new, _page_of, wide=True))
    add(routes, reader,
        Act("/buildings/{number}/edit", "register", "building", "building.change", _edit,
            _page_of, "number"))
    return routes  # fmt: skip
