"""A reader without a server: a community of 51 buildings and a steward's alert, all in memory.

Fictional persons; the phone numbers cannot exist. Shared by the unit and the browser tests.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from account_fake import AccountFake
from forms_fake import FormsFake
from help_fake import HelpFake
from register_fake import STREET, RegisterFake
from starlette.requests import Request
from terminals_fake import TerminalsFake

from dashboards.reader import ActionRefused, Begun, Login, LoginError, User

NOW_MS = 1_773_439_800_000  # 2026-03-14 06:10 in Shanghai
TOKEN = "k3Jx0pQ-8sVwYb2N_d7LrA"
SESSION = "session-of-the-operator"

READ_OUT = {
    "zh": f"{STREET['zh']},11栋3楼301,84岁独居",
    "en": f"{STREET['en']}, building 11, floor 3, flat 301, aged 84, alone",
}

FLOORS = (7, 7, 6, 7, 5, 7, 7, 6, 7)


def flat_id(building: int, floor: int, place: int) -> int:
    """A stable id, readable in a failing test: building 11, floor 3, place 1 is 110301."""
    return building * 10_000 + floor * 100 + place


def building(number: int) -> dict[str, Any]:
    """A walk-up of two stairwells; most residents have checked in."""
    flats = []
    places = 5 if number % 4 == 0 else 4 if number % 7 else 6
    for floor in range(1, FLOORS[number % len(FLOORS)] + 1):
        for place in range(1, places + 1):
            chance = (number * 31 + floor * 17 + place * 7) % 29
            state = "none" if chance in (3, 9, 14) else "away" if chance == 11 else "checked"
            flats.append(
                {
                    "id": flat_id(number, floor, place),
                    "label": f"{floor}{place:02}",
                    "floor": floor,
                    "stairwell": "A" if place <= (places + 1) // 2 else "B",
                    "state": state,
                    "terminal": state != "none",
                }
            )
    week = ["o"] * 14
    if number % 5 == 0:
        week[(number * 7) % 14] = "m"
    week[4] = "b"
    return {
        "id": number,
        "number": number,
        "name": f"{number}栋",
        "name_en": f"Bldg {number}",
        "rounds": "".join(week),
        "worst": "ok", "rehearsal": False,
        "stairwells": ["A", "B"],
        "flats": flats,
    }


def told(name: str, role: str, state: str, person_id: int) -> dict[str, Any]:
    """One recipient of an alert."""
    return {
        "name": name,
        "role": role,
        "person_id": person_id,
        "phone_masked": "+86100****0101",
        "channel": "sms",
        "state": state,
        "at_ms": NOW_MS - 60_000,
    }


def responder(
    name: str, role: str, person_id: int | None, on_scene_ms: int | None = None
) -> dict[str, Any]:
    """One who goes. `person_id`: None for a member of staff."""
    return {
        "name": name,
        "role": role,
        "person_id": person_id,
        "accepted_ms": NOW_MS - 250_000,
        "on_scene_ms": on_scene_ms,
    }


def alert(number: int, **changes: Any) -> dict[str, Any]:
    """An SOS from building 11, flat 301, open for 74 seconds, unless told otherwise."""
    base: dict[str, Any] = {
        "id": number,
        "kind": "sos",
        "state": "open",
        "building_id": 11,
        "building": "11栋",
        "building_en": "Bldg 11",
        "flat_ids": [flat_id(11, 3, 1)],
        "address": "11栋3楼301",
        "address_en": "Bldg 11 floor 3 flat 301",
        "title": "求助 11栋3楼301",
        "resident": "何婉仪",
        "age": 84,
        "lives_alone": True,
        "code": "4031",
        "test": False,
        "late": False,
        "opened_ms": NOW_MS - 74_000,
        "responder": None,
        "responders": [],
        "accepted_ms": None,
        "on_scene_ms": None,
        "lease_until_ms": None,
        "next_step": {"at_ms": NOW_MS + 46_000, "text": "冯志强"},
        "exhausted": False,
        "presses": 2,
        "outcome": None,
        "cancelled_by_resident": False,
        "emergency": {"prompt": False, "read_out": READ_OUT, "no_street": False},
        "told": [
            told("梁玉珍", "steward", "delivered", 21),
            told("陈国栋", "steward", "undelivered", 22),
        ],
        "items": [],
        "fault": None,
        "actions": ["accept", "escalate", "resolve"],
        "version": 1,
    }
    return base | changes


def busy_alerts() -> list[dict[str, Any]]:
    """One of each kind: an SOS waiting, one claimed, two worklists, two faults, a test."""
    missed = {
        "kind": "missed",
        "emergency": None,
        "age": None,
        "resident": None,
        "told": [told("黄丽芳", "steward", "delivered", 31)],
        "actions": ["accept", "resolve"],
        "code": "5180",
        "presses": 1,
    }
    fault = {
        "kind": "fault",
        "age": None,
        "resident": None,
        "told": [],
        "presses": 1,
        "emergency": None,
        "next_step": None,
        "actions": ["accept", "resolve"],
        "code": None,
    }
    return [
        alert(5),
        alert(
            6,
            state="accepted",
            building_id=32,
            building="32栋",
            building_en="Bldg 32",
            flat_ids=[flat_id(32, 5, 2)],
            address="32栋5楼502",
            address_en="Bldg 32 floor 5 flat 502",
            opened_ms=NOW_MS - 312_000,
            responder={"name": "吴秀兰", "role": "steward"},
            responders=[responder("吴秀兰", "steward", 41)],
            accepted_ms=NOW_MS - 250_000,
            lease_until_ms=NOW_MS + 230_000,
            next_step=None,
            code="7719",
            age=79,
            lives_alone=False,
            presses=1,
            told=[
                told("吴秀兰", "steward", "delivered", 41),
                told("罗建华", "steward", "sent", 42),
            ],
            actions=["on_scene", "resolve", "escalate"],
        ),
        alert(
            7,
            **missed,
            building_id=20,
            building="20栋",
            building_en="Bldg 20",
            address="20栋",
            address_en="Bldg 20",
            flat_ids=[flat_id(20, 2, 1), flat_id(20, 4, 4)],
            opened_ms=NOW_MS - 600_000,
            items=[
                {"resident_id": 901, "flat_id": flat_id(20, 2, 1), "label": "201", "state": "open"},
                {"resident_id": 902, "flat_id": flat_id(20, 4, 4), "label": "404", "state": "open"},
                {"resident_id": 903, "flat_id": flat_id(20, 6, 2), "label": "602", "state": "safe"},
            ],
            next_step={"at_ms": NOW_MS + 720_000, "text": "李文静"},
        ),
        alert(
            8,
            **fault,
            building_id=44,
            building="44栋",
            building_en="Bldg 44",
            flat_ids=[flat_id(44, 1, 3)],
            address="44栋1楼103",
            address_en="Bldg 44 floor 1 flat 103",
            fault="offline",
            opened_ms=NOW_MS - 5_400_000,
        ),
        alert(
            9,
            **fault,
            building_id=3,
            building="3栋",
            building_en="Bldg 3",
            flat_ids=[],
            address="3栋",
            address_en="Bldg 3",
            fault="steward_unreachable",
            opened_ms=NOW_MS - 66_000,
        ),
    ]


def detail(card: dict[str, Any]) -> dict[str, Any]:
    """An alert as its own page gets it."""
    steps = [
        (["stewards"], "taken", None),
        (["substitutes", "key_holders"], "next", NOW_MS + 46_000),
        (["duty"], "later", None),
    ]
    return {
        "version": 1,
        "seq": 100,
        "note": "",
        "resolved_by": None,
        "resolved_ms": None,
        "resident_id": 9 if card["kind"] == "sos" else None,
        "detail": "",
        "fall": False,
        "now_ms": NOW_MS,
        "timeline": [
            {"seq": 1, "at_ms": NOW_MS - 74_000, "kind": "alert_opened", "data": {}},
            {"seq": 2, "at_ms": NOW_MS - 73_000, "kind": "message_queued", "data": {}},
            {"seq": 3, "at_ms": NOW_MS - 60_000, "kind": "declined", "data": {"by": "陈国栋"}},
            {"seq": 4, "at_ms": NOW_MS - 60_000, "kind": "something_new", "data": {}},
        ],
        "ladder": None
        if card["kind"] == "fault"
        else {
            "steps": [
                {
                    "targets": targets,
                    "people": [
                        {
                            "name": "冯志强",
                            "role": "substitute",
                            "phone": "+8610011000199",
                            "phone_masked": "+86100****0199",
                        }
                    ],
                    "wait_s": 120,
                    "state": state,
                    "at_ms": at_ms,
                }
                for targets, state, at_ms in steps
            ],
            "lease_s": 480,
            "on_scene_s": 1200,
        },
    } | card


def snapshot(*, busy: bool = False, count: int = 51) -> dict[str, Any]:
    """The whole community; `busy` with one of everything that can be wrong."""
    buildings = [building(n) for n in range(1, count + 1)]
    states: dict[int, str] = {}
    if busy:
        states = {
            flat_id(11, 3, 1): "sos",
            flat_id(32, 5, 2): "claimed",
            flat_id(20, 2, 1): "late",
            flat_id(20, 4, 4): "late",
            flat_id(44, 1, 3): "offline",
            flat_id(26, 2, 2): "waiting",
            flat_id(26, 3, 1): "waiting",
        }
        worst = {11: "sos", 32: "claimed", 20: "late", 44: "offline", 26: "waiting"}
        for house in buildings:
            house["worst"] = worst.get(house["id"], "ok")
            for flat in house["flats"]:
                flat["state"] = states.get(flat["id"], flat["state"])
    expected = sum(f["state"] not in {"none", "away"} for b in buildings for f in b["flats"])
    checked = sum(f["state"] == "checked" for b in buildings for f in b["flats"])
    return {
        "now": "2026-03-14T06:10:00+08:00",
        "now_ms": NOW_MS,
        "speed": 1.0,
        "seq": 100,
        "community": {"name": "广氮", "tz": "Asia/Shanghai"},
        "round": {
            "name": "morning",
            "opens_at": NOW_MS - 6_000_000,
            "prompt_at": NOW_MS - 1_500_000,
            "due_at": NOW_MS + 754_000,
            "state": "open",
            "expected": expected,
            "checked": checked,
        },
        "counts": {"sos": 1, "claimed": 1, "missed": 2, "faults": 2}
        if busy
        else {"sos": 0, "claimed": 0, "missed": 0, "faults": 0},
        "buildings": buildings,
        "alerts": busy_alerts() if busy else [],
    }


STEWARD_ACTIONS: dict[str | None, list[str]] = {
    None: ["accept", "decline"],
    "accepted": ["on_scene", "no_answer", "decline", "resolve:safe"],
    "on_scene": ["resolve:safe", "resolve:ambulance", "resolve:false_alarm", "no_answer"],
}
"""What the server offers, by how far the person has come (a test holds the two equal)."""


def steward_view(
    state: str = "open", *, mine: bool = False, kind: str = "sos", my_state: str | None = None
) -> dict[str, Any]:
    """What the steward's link shows while the alert is in `state`, as the server gives it.
    `my_state`: how far a second helper has come where the alert is further on."""
    mine = mine or my_state is not None
    own = (my_state or (state if state != "resolved" else "on_scene")) if mine else None
    told_more = mine and state in {"accepted", "on_scene"}
    actions = STEWARD_ACTIONS[own] if state in {"open", "accepted", "on_scene"} else []
    view: dict[str, Any] = {
        "state": state,
        "kind": kind,
        "address": "11栋3楼301",
        "address_en": "Bldg 11 floor 3 flat 301",
        "title": "求助 11栋3楼301",
        "emergency": {"read_out": READ_OUT} if kind == "sos" and state != "resolved" else None,
        "opened_ms": NOW_MS - 190_000,
        "now_ms": NOW_MS,
        "age": 84,
        "lives_alone": True,
        "others": [{"name": "陈国栋", "state": "told"}],
        "mine": mine,
        "my_state": own,
        "resident": "何婉仪" if told_more else None,
        "access": [
            {"label": "大门", "text": "铁门,密码向门卫要。门卫室在小区东门。"},
            {"label": "备用", "text": "二楼天井平台可到三楼阳台。"},
        ]
        if told_more
        else None,
        "key_holders": [{"name": "邓美玲", "phone": "+8610000110302", "where": "11栋302 对门"}]
        if told_more
        else None,
        "risks": "用助行器;门后有小凳。" if told_more else None,
        "phone": "+8610000110301" if told_more else None,
        "actions": list(actions),
        "code": "4031",
        "items": [],
    }
    if kind == "missed":
        view |= {
            "address": "20栋",
            "address_en": "Bldg 20",
            "title": "早巡未报 20栋",
            "resident": None,
            "items": [
                {"resident_id": 901, "label": "201", "name": "郑伯", "state": "open"},
                {"resident_id": 902, "label": "404", "state": "open"},
                {"resident_id": 903, "label": "602", "state": "safe"},
            ],
        }
        if told_more:
            for item, age, alone, hours, back in ((0, 91, True, 26, None), (1, 78, False, 75, 8)):
                view["items"][item] |= {
                    "age": age, "lives_alone": alone, "heard_ms": NOW_MS - hours * 3_600_000,
                    "back_ms": back and NOW_MS - back * 3_600_000,
                }  # fmt: skip
    return view


def sheet(*, busy: bool = False) -> dict[str, Any]:
    """What the ending shift has to tell; `busy` with one line of everything."""
    picture: dict[str, Any] = {
        "since_ms": NOW_MS - 36_000_000,
        "until_ms": NOW_MS,
        "counts": {"sos": 2, "missed": 3} if busy else {"sos": 0, "missed": 0},
        "open": [],
        "blind": [],
        "homes_away": [],
        "people_away": [],
        "notes": [],
    }
    before = [
        {"id": 1, "at_ms": NOW_MS - 36_000_000, "since_ms": NOW_MS - 64_800_000,
         "outgoing": "周明", "incoming": "李文静", "note": "电梯停用"}
    ]  # fmt: skip
    if busy:
        picture |= {
            "open": [
                {"id": a["id"], "kind": a["kind"], "state": a["state"], "test": a["test"],
                 "place": a["address"], "place_en": a["address_en"],
                 "fault": a["fault"], "opened_ms": a["opened_ms"],
                 "who": a["responder"]["name"] if a["responder"] else None}
                for a in busy_alerts()
            ],
            "blind": [
                {"from_ms": NOW_MS - 9_000_000, "to_ms": NOW_MS - 8_700_000},
                {"from_ms": NOW_MS - 120_000, "to_ms": None},
            ],
            "homes_away": [{"place": "9栋2楼201", "place_en": "Bldg 9 floor 2 flat 201",
                            "until_ms": NOW_MS + 200_000_000}],
            "people_away": [
                {"name": "罗建华", "role": "steward", "building": 32,
                 "until_ms": NOW_MS + 86_400_000}
            ],
            "notes": [
                {"place": "6栋4楼402", "place_en": "Bldg 6 floor 4 flat 402", "kind": "sos",
                 "outcome": "helped", "note": "扶起来了",
                 "by": "吴秀兰", "at_ms": NOW_MS - 20_000_000}
            ],
        }  # fmt: skip
    return {
        "now_ms": NOW_MS,
        "last_id": 1 if busy else 0,
        "on_duty": "李文静" if busy else None,
        "picture": picture,
        "before": before if busy else [],
    }


class FakeReader(RegisterFake, AccountFake, FormsFake, HelpFake, TerminalsFake):
    """Implements `dashboards.reader.Reader`; records what was done through it."""

    def __init__(self, *, busy: bool = False, logged_in: bool = True) -> None:
        super().__init__()
        HelpFake.__init__(self)
        TerminalsFake.__init__(self)
        self.data = snapshot(busy=busy)
        self.user: User | None = User("李文静", "operator") if logged_in else None
        self.views: dict[str, dict[str, Any]] = {TOKEN: steward_view()}
        self.acts: list[tuple[str, str, dict[str, list[str]]]] = []
        self.refuse: str | dict[str, str] | None = None
        self.sheet = sheet(busy=busy)
        self.handovers: list[tuple[str, str, str, str, int]] = []
        self.login_error: LoginError | None = None
        self.logouts = 0
        self.alert_acts: list[tuple[str, int, str, dict[str, str]]] = []
        self.looks: list[tuple[str, int, str]] = []
        self.answered_for: list[dict[str, Any]] = [
            {"id": 1, "name": "广氮", "tz": "Asia/Shanghai"}
        ]

    async def snapshot(self, user: User | None = None) -> Mapping[str, Any]:  # noqa: ARG002
        return self.data

    async def community(self) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self.data["community"]
        return found

    async def desks(self, user: User) -> Sequence[Mapping[str, Any]]:  # noqa: ARG002
        return self.answered_for

    async def handover(self, community: int | None) -> Mapping[str, Any]:  # noqa: ARG002
        return self.sheet

    async def handover_written(self, handover_id: int) -> Mapping[str, Any] | None:
        if not 0 < handover_id <= len(self.sheet["before"]):
            return None
        before = self.sheet["before"][0]
        return before | {"by": "李文静", "picture": self.sheet["picture"], "community": 1}

    async def hand_over(
        self, user: User, outgoing: str, incoming: str, note: str, last_id: int,
        community: int | None,  # noqa: ARG002
    ) -> int:
        if self.refuse:
            raise ActionRefused(self.refuse)
        self.handovers.append((user.name, outgoing, incoming, note, last_id))
        return 1

    async def current_user(self, request: Request) -> User | None:  # noqa: ARG002
        return self.user

    async def login(
        self,
        username: str,  # noqa: ARG002
        password: str,
        code: str,  # noqa: ARG002
        request: Request,  # noqa: ARG002
    ) -> Login | LoginError:
        if self.login_error:
            return self.login_error
        return Login(SESSION, "1.a.b") if password == "right" else LoginError("wrong")

    elsewhere = ""

    async def begin_elsewhere(self, following: str) -> Begun | LoginError:  # noqa: ARG002
        return LoginError("provider_down")

    async def finish_elsewhere(
        self, note: str, request: Request  # noqa: ARG002
    ) -> tuple[Login, str] | LoginError:
        return LoginError("unproven")

    async def logout(self, request: Request) -> None:  # noqa: ARG002
        self.logouts += 1

    async def alert_detail(
        self, user: User, alert_id: int  # noqa: ARG002
    ) -> Mapping[str, Any] | None:
        found = [a for a in self.data["alerts"] if a["id"] == alert_id]
        return detail(found[0]) if found else None

    async def alert_act(
        self, user: User, alert_id: int, action: str, fields: Mapping[str, str]
    ) -> None:
        if self.refuse:
            raise ActionRefused(self.refuse)
        self.alert_acts.append((user.name, alert_id, action, dict(fields)))

    async def alert_access(
        self, user: User, alert_id: int, reason: str
    ) -> Mapping[str, Any] | None:
        self.looks.append((user.name, alert_id, reason))
        return {
            "access_notes": "铁门,密码向门卫要。",
            "risks": "用助行器",
            "phone": "+8610000110301",
            "key_holders": [{"name": "邓美玲", "phone": "+8610000110302", "where": "302 对门"}],
        }

    async def steward_view(self, token: str) -> Mapping[str, Any] | None:
        return self.views.get(token)

    async def steward_act(
        self, token: str, action: str, fields: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Any]:
        if self.refuse:
            raise ActionRefused(self.refuse)
        self.acts.append((token, action, {k: list(v) for k, v in fields.items()}))
        if action == "accept":
            self.views[token] = steward_view("accepted", mine=True)
        elif action == "on_scene":
            self.views[token] = steward_view("on_scene", mine=True)
        elif action.startswith("resolve:"):
            self.views[token] = steward_view("resolved", mine=True)
        return self.views[token]
