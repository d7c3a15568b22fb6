"""The part of the reader without a server that knows buildings, residents and reports.

Fictional persons; the phone numbers cannot exist.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from dashboards.register_reader import Kiosk, ReportRefused

NOW_MS = 1_773_439_800_000  # 2026-03-14 06:10 in Shanghai
DAY_MS = 86_400_000
KIOSK_TOKEN, KIOSK_COOKIE = "hall-screen-of-the-tests", "derived-from-the-token"
DUTY = {"id": 1, "name": "值班室", "role": "duty", "position": 0, "phone": "+8610000000101",
        "phone_masked": "+86100****0101", "opted_out_ms": None, "failing_ms": None,
        "absent_until_ms": None}  # fmt: skip


STREET = {
    "zh": "广东省广州市天河区榕影路188号广氮小区,救护车走东门",
    "en": "Guangdan Estate, 188 Rongying Road, Guangzhou; ambulances take the east gate",
}


def contact(number: int, name: str, role: str, **more: Any) -> dict[str, Any]:
    """A contact with nothing wrong, unless told."""
    phone = f"+8610011000{number:03}"
    return {
        **DUTY, "id": number, "name": name, "role": role, "phone": phone,
        "phone_masked": f"{phone[:6]}****{phone[-4:]}", **more,
    }  # fmt: skip


def stewards() -> list[dict[str, Any]]:
    """Each with another last proof, and each kind of worry."""
    proof = {"delivered_ms": None, "replied_ms": None, "accepted_ms": None}
    return [
        contact(101, "梁玉珍", "steward", **proof | {"accepted_ms": NOW_MS - DAY_MS}, position=1),
        contact(102, "陈国栋", "steward", **proof, position=2, opted_out_ms=NOW_MS - 9 * DAY_MS),
        contact(103, "冯志强", "substitute", **proof | {"delivered_ms": NOW_MS - DAY_MS},
                failing_ms=NOW_MS - 3_600_000),
        contact(104, "李文静", "substitute", **proof | {"replied_ms": NOW_MS - DAY_MS},
                absent_until_ms=NOW_MS + DAY_MS),
    ]  # fmt: skip


def marks(odd: str = "missed") -> list[dict[str, Any]]:
    """Fourteen rounds of a resident, with one of each kind among them."""
    kinds = ["unknown", "away", "checked", odd, "late", *["checked"] * 9]
    return [
        {"name": ("evening", "morning")[n % 2], "due_ms": NOW_MS - (13 - n) * DAY_MS // 2,
         "mark": kind}
        for n, kind in enumerate(kinds)
    ]  # fmt: skip


def resident_row(resident_id: int, flat: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A resident of a flat."""
    return {
        "id": resident_id, "flat_id": flat["id"], "label": flat["label"], "floor": flat["floor"],
        "stairwell": flat["stairwell"], "building": 11, "name": "何婉仪", "family_name": "何",
        "sex": "f", "age": 84, "living": "alone", "state": "active", "absent_until_ms": None,
        "last_sign_ms": NOW_MS - 3_600_000, "terminal_id": f"gd-11-{flat['label']}",
        "marks": marks(), "missed_last": False, **more,
    }  # fmt: skip


def building(house: Mapping[str, Any], alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """A building of the snapshot with its people; one flat has two residents."""
    flats = [f for f in house["flats"] if f["state"] != "none"]
    residents = {f["id"]: [resident_row(900 + n, f)] for n, f in enumerate(flats)}
    if flats:
        first, second = flats[0]["id"], flats[1]["id"]
        residents[first] += [resident_row(990, flats[0], name="罗建华", family_name="罗", sex="m")]
        residents[second][0] |= {"missed_last": True, "last_sign_ms": None}
        residents[flats[2]["id"]][0] |= {"state": "paused", "absent_until_ms": NOW_MS + DAY_MS}
    rounds = [
        {"name": m["name"], "due_ms": m["due_ms"], "owed": 0 if n == 0 else 20, "away": 1,
         "checked": 20 - (n == 3) - (n == 4), "late": int(n == 4), "missed": int(n == 3),
         "unknown": 0}
        for n, m in enumerate(marks())
    ]  # fmt: skip
    return {
        **house, "now_ms": NOW_MS, "tz": "Asia/Shanghai", "community": "广氮",
        "street": STREET,
        "round": {"name": "morning", "due_at": NOW_MS + 754_000, "opens_at": NOW_MS - 6_000_000,
                  "prompt_at": NOW_MS, "state": "open", "expected": 20, "checked": 18},
        "residents": residents, "people": stewards() if flats else [],
        "alerts": [{"fall": False, **a} for a in alerts if a["building_id"] == house["id"]],
        "rounds": rounds if flats else [], "duty": [DUTY],
    }  # fmt: skip


def resident(resident_id: int, flat: Mapping[str, Any]) -> dict[str, Any]:
    """One resident, with something in every section; 990 has nothing in any."""
    bare = resident_id == 990
    entry = {"by": "李文静", "why": "回乡", "was": None, "now": None, "until_ms": None}
    away = {**entry, "kind": "resident_away", "at_ms": NOW_MS - 5 * DAY_MS,
            "until_ms": NOW_MS - DAY_MS}  # fmt: skip
    back = {**entry, "kind": "resident_back", "at_ms": NOW_MS - 2 * DAY_MS, "by": "system",
            "why": None}  # fmt: skip
    changed = {**entry, "kind": "risk_class_set", "at_ms": NOW_MS - DAY_MS, "why": "刚出院"}
    look = {**entry, "kind": "access_looked_at", "at_ms": NOW_MS - 60_000, "why": "邻居来电"}
    alert = {"id": 5, "kind": "sos", "state": "open", "fall": False, "test": False, "fault": None,
             "opened_ms": NOW_MS - 74_000, "outcome": None}  # fmt: skip
    return {
        **resident_row(resident_id, flat, marks=[] if bare else marks()),
        "now_ms": NOW_MS, "tz": "Asia/Shanghai", "community": "广氮",
        "window": "none" if bare else "sos",
        "terminal": None if bare else {
            "id": "gd-11-301", "status": "online", "battery": 77, "mains": None, "rssi": -71,
            "firmware": "1.4.0", "last_seen_ms": NOW_MS - 30_000,
            "readings": [{"ago": n, "battery": 100 - n, "rssi": None if n == 3 else -60 - n}
                         for n in range(29, -1, -1)]},
        "next_due_ms": None if bare else NOW_MS + DAY_MS,
        "class": {"now": "A", "rule": "B", "reasons": ["alone"], "overruled": not bare,
                  "changed": changed},
        "contacts": [] if bare else [*stewards(), contact(302, "邓美玲", "key_holder"),
                                     contact(303, "何志明", "family"),
                                     contact(304, "吴秀兰", "befriender")],
        "days": [{"day": f"2026-03-{n:02}", "n": 0 if bare else n % 4} for n in range(1, 15)],
        "absences": [] if bare else [back, away], "looks": [] if bare else [look],
        "consents": [] if bare else [
            {"purpose": "access", "given_by": "guardian", "how": "written",
             "given_ms": NOW_MS - 9 * DAY_MS, "recorded_by": "李文静",
             "withdrawn_ms": NOW_MS - DAY_MS, "withdrawn_by": "李文静"},
            {"purpose": "watched", "given_by": "resident", "how": "spoken",
             "given_ms": NOW_MS - 9 * DAY_MS, "recorded_by": "李文静", "withdrawn_ms": None,
             "withdrawn_by": None}],
        "open": [] if bare else [alert],
        "past": [] if bare else [
            {**alert, "id": 4, "state": "resolved", "fall": True, "outcome": "helped"},
            {**alert, "id": 3, "state": "resolved", "kind": "fault", "fault": "offline",
             "outcome": "restored"},
            {**alert, "id": 2, "state": "resolved", "kind": "missed", "outcome": "checked_in"}],
    }  # fmt: skip


def figures(scale: int = 1) -> dict[str, Any]:
    """A report's figures; `scale` 0 is a period in which nothing happened."""
    def times(n: int, of: int, p50: float, p95: float) -> dict[str, Any]:
        return {"n": n * scale, "of": of * scale, "p50_s": p50 if scale else None,
                "p95_s": p95 if scale else None}  # fmt: skip

    return {
        "alarms": 12 * scale, "tests": 30 * scale, "told": times(12, 12, 2.4, 9.0),
        "accepted": times(11, 12, 48.0, 185.0), "door": times(9, 12, 312.0, 1045.0),
        "outcomes": {"safe": 4, "helped": 3, "false_alarm": 2, "other": 1} if scale else {},
        "open": 2 * scale, "closed": 10 * scale, "false_alarms": 2 * scale,
        "rounds": {"held": 14 * scale, "owed": 5400 * scale, "checked": 5391 * scale,
                   "late": 5 * scale, "found": 3 * scale, "open": 1 * scale},
        "worklists": times(3, 4, 1_500.0, 5_400.0),
        "sms": {"of": 80 * scale, "delivered": 77 * scale, "failed": 2 * scale,
                "pending": 1 * scale, "p50_s": 3.1 if scale else None,
                "p95_s": 12.0 if scale else None},
        "uptime": {"terminals": 400 * scale, "offline_s": 86_400.0 * scale,
                   "share": 0.99964 if scale else None},
    }  # fmt: skip


class RegisterFake:
    """Implements dashboards.register_reader.RegisterReader over `data`, a snapshot."""

    data: dict[str, Any]
    kiosk: str | None = KIOSK_TOKEN
    wall_in_hall: bool = True
    refused: str | None = None
    nothing: bool = False
    """Whether reports are of a period in which nothing happened."""

    def __init__(self) -> None:
        self.searched: list[str] = []
        self.asked: list[tuple[date | None, date | None, int | None]] = []
        self.resident_looks: list[tuple[str, int, str]] = []
        self.community_name = "广氮"

    async def communities(self, user: Any) -> Mapping[str, Any]:  # noqa: ARG002
        found = [{"id": n, "name": name, "street": "棠下街道", "district": "天河区"}
                 for n, name in enumerate(("广氮", "棠德"), 1)]  # fmt: skip
        return {"found": found, "may_add": True}

    async def terminals_in_stock(self, most: int) -> list[str]:
        return [f"gd-stock-{n}" for n in range(1, 4)][:most]

    async def building(
        self, number: int, scope: Any = None,  # noqa: ARG002
    ) -> Mapping[str, Any] | None:
        found = [b for b in self.data["buildings"] if b["number"] == number]
        return building(found[0], self.data["alerts"]) if found else None

    async def find_residents(self, words: str, scope: Any) -> Mapping[str, Any]:  # noqa: ARG002
        self.searched.append(words)
        flats = self.data["buildings"][10]["flats"]
        found = [resident_row(901, flats[0]), resident_row(902, flats[1], state="paused")]
        return {"found": [] if words == "没有" else found, "more": words == "何"}

    async def resident(self, resident_id: int) -> Mapping[str, Any] | None:
        flat = self.data["buildings"][10]["flats"][8]
        return resident(resident_id, flat) if 900 <= resident_id < 1000 else None

    async def resident_access(
        self, who: str, resident_id: int, reason: str
    ) -> Mapping[str, Any] | None:
        self.resident_looks.append((who, resident_id, reason))
        return {
            "access_notes": "铁门,密码向门卫要。", "risks": "用助行器", "phone": "+8610000110301",
            "key_holders": [{"name": "邓美玲", "phone": "+8610000110302", "where": "302 对门"}],
        }  # fmt: skip

    async def contact_card(self, resident_id: int) -> Mapping[str, Any] | None:
        if not 900 <= resident_id < 1000:
            return None
        bare = resident_id == 990
        return {
            "id": resident_id, "building": 11, "floor": 3, "label": "301", "community": "广氮",
            "street": {"zh": "", "en": ""} if bare else STREET, "now_ms": NOW_MS,
            "tz": "Asia/Shanghai", "stewards": [] if bare else stewards()[:2],
            "duty": [] if bare else [DUTY],
            "rounds": [{"name": "morning", "opens": "04:30", "due": "06:00"},
                       {"name": "evening", "opens": "17:30", "due": "19:00"}],
        }  # fmt: skip

    async def report(
        self, first: date | None, last: date | None, number: int | None, scope: Any,  # noqa: ARG002
        community_id: int | None = None,  # noqa: ARG002
    ) -> Mapping[str, Any] | None:
        self.asked.append((first, last, number))
        if self.refused:
            raise ReportRefused(self.refused)
        numbers = [b["number"] for b in self.data["buildings"]]
        if number is not None and number not in numbers:
            return None
        scale = 0 if self.nothing else 1
        each = [
            {"number": n, "figures": figures(scale if n % 3 else 0)}
            for n in (numbers if number is None else [number])
        ]
        return {
            "community": self.community_name, "tz": "Asia/Shanghai", "number": number,
            "zones_differ": False, "communities": [{"id": 1, "name": self.community_name}],
            "chosen": 1, "numbers": numbers, "first": (first or date(2026, 3, 7)).isoformat(),
            "last": (last or date(2026, 3, 13)).isoformat(), "now_ms": NOW_MS,
            "figures": figures(scale), "buildings": each,
        }  # fmt: skip

    def kiosk_pass(self, token: str) -> str | None:
        return KIOSK_COOKIE if self.kiosk is not None and token == self.kiosk else None

    def kiosk_state(self, cookie: str | None) -> Kiosk:
        if self.kiosk is None:
            return "off"
        return "open" if cookie == KIOSK_COOKIE else "closed"

    def kiosk_wall(self) -> bool:
        return self.wall_in_hall

    async def duty_phones(self) -> list[str]:
        return ["+8610000000101"]
