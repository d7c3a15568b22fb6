"""The fake's side of the register by hand: one of each form, with everything on it.

Fictional persons; the phone numbers cannot exist.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from dashboards.forms_reader import Fields, FormRefused, Kind

NOW_MS = 1_773_439_800_000  # 2026-03-14 06:10 in Shanghai
DAY_MS = 86_400_000
FRAME = {"now_ms": NOW_MS, "tz": "Asia/Shanghai", "community": "广氮"}


def standing(number: int, name: str, role: str, position: int = 0) -> dict[str, Any]:
    """Somebody behind a target."""
    return {
        "id": number, "person_id": number, "name": name, "role": role, "position": position,
        "phone": f"+8610011000{number}", "phone_masked": f"+86100****0{number}", "lang": "zh",
        "absent_until_ms": None,
    }  # fmt: skip


CHANGES = [
    {"at_ms": NOW_MS - DAY_MS, "by": "li", "why": "换号", "via": "form", "what": "changed",
     "fields": [{"key": "phone", "was": None, "now": "100 1100 0555"},
                {"key": "living", "was": "alone", "now": "family"},
                {"key": "access_notes", "was": None, "now": None}]},
    {"at_ms": NOW_MS - 9 * DAY_MS, "by": "api", "why": "", "via": "api", "what": "added",
     "fields": []},
]  # fmt: skip
RESIDENT = {
    **FRAME, "id": 901, "building": 11, "flat": "301", "state": "paused", "seen": 7,
    "absent_until_ms": NOW_MS + DAY_MS,
    "values": {"name": "何桂芳", "birth_date": "1941-09-02", "sex": "f", "living": "alone",
               "phone": "100 1100 0300", "floor": "3", "stairwell": "A",
               "terminal": "gd-11-301", "risk_class": "rule"},
    "noted": {"risks": False, "access_notes": True},
    "contacts": [standing(301, "何建国", "key_holder"), standing(302, "邓秀英", "befriender"),
                 standing(303, "何小妹", "family")],
}  # fmt: skip
HOUSE = {
    **FRAME, "id": 11, "number": 11, "address": "天河区测试路11号", "address_en": "", "seen": 3,
    "street": {"zh": "天河区测试路11号", "en": ""},
    "stewards": {1: standing(101, "梁玉珍", "steward", 1),
                 2: standing(102, "陈国栋", "steward", 2)},
    "substitutes": [standing(103, "冯志强", "substitute")],
}  # fmt: skip
PERSON = {
    **FRAME, "id": 101, "phone_masked": "+86100****0101", "absent_until_ms": NOW_MS + DAY_MS,
    "opted_out": False, "seen": 0,
    "roles": [{"role": "steward", "position": 1, "building": 11, "resident_id": None,
               "flat": None}],
    "values": {"name": "梁玉珍", "phone": "100 1100 0101", "lang": "zh"},
}  # fmt: skip
WEEK = {
    "days": [f"2026-03-{day}" for day in range(14, 21)],
    "people": [
        {"person_id": 201, "name": "周明", "absent_until_ms": NOW_MS + DAY_MS, "opted_out": False,
         "turns": [["08:00–20:00"], [], ["08:00–12:00", "14:00–20:00"], [], [], [], []]},
        {"person_id": 202, "name": "李文静", "absent_until_ms": None, "opted_out": True,
         "turns": [["20:00–08:00"]] * 7},
        {"person_id": 203, "name": "值班电话", "absent_until_ms": None, "opted_out": False,
         "turns": None},
    ],
    "gaps": [{"from_ms": NOW_MS + 6 * 3_600_000, "to_ms": NOW_MS + DAY_MS},
             {"from_ms": NOW_MS + 5 * DAY_MS, "to_ms": None}],
}  # fmt: skip
DUTY = {
    **FRAME, "named": {"name": "广氮", "street": "棠下街道", "district": "天河区"},
    "address": "天河区测试路188号", "address_en": "188 Test Road", "seen": 5, "week": WEEK,
    "offices": {"duty": [standing(201, "周明", "duty")], "street": [], "district": []},
}  # fmt: skip
SHIFTS = {**DUTY, **standing(201, "周明", "duty"),
          "shifts": [{"days": [1, 2, 3], "starts": "08:00", "ends": "20:00"}]}  # fmt: skip
TURNS = {**FRAME, "id": 101, "name": "梁玉珍", "seen": 4, "on_shift": True,
         "shifts": [{"days": [6, 7], "starts": "20:00", "ends": "08:00"}]}  # fmt: skip


class FormsFake:
    """Implements dashboards.forms_reader.FormReader; it refuses every form, in every way."""

    short: Mapping[int, int] = {}
    """Buildings without two stewards to tell."""

    async def form_facts(
        self, _user: Any, kind: Kind, number: int, community: int | None = None  # noqa: ARG002
    ) -> Mapping[str, Any] | None:
        known = {"resident": RESIDENT, "building": HOUSE, "person": PERSON,
                 "duty": DUTY, "shifts": SHIFTS, "turns": TURNS,
                 "new": {**FRAME, "community": None}}[kind]  # fmt: skip
        wanted = {"resident": (901,), "building": (11,), "person": (101,),
                  "shifts": (201,), "turns": (101,)}  # fmt: skip
        return known if number in wanted.get(kind, (0,)) else None

    async def form_act(
        self, user: Any, act: str, number: int, fields: Fields,  # noqa: ARG002
        community: int | None = None,  # noqa: ARG002
    ) -> int:
        words = {"zh": "请写明原因", "en": "say why"}
        wrong = dict.fromkeys(("reason", "name", "until", "building", "elsewhere"), words)
        raise FormRefused(wrong, CHANGES, 9)

    async def changes_of(
        self, kind: str, number: int, first: date | None, last: date | None  # noqa: ARG002
    ) -> Mapping[str, Any] | None:
        title = {"building": 11, "label": "301", "name": "何桂芳"}
        found = CHANGES if first is None else []
        return {**FRAME, "title": title, "entries": found, "more": False}

    async def short_of_stewards(self) -> Mapping[int, int]:
        return self.short
