"""The part of the reader without a server that knows requests, visits, greetings and hours.

Fictional persons; the phone numbers cannot exist.
"""

from collections.abc import Mapping
from typing import Any

from register_fake import DAY_MS, NOW_MS

from dashboards.reader import ActionRefused

COMMON: dict[str, Any] = {"now_ms": NOW_MS, "tz": "Asia/Shanghai", "community": "广氮"}


def help_request(number: int = 5, **more: Any) -> dict[str, Any]:
    """A small repair that somebody has taken, a day late."""
    step = {"at_ms": NOW_MS - 1000, "what": "taken", "by": "李文静", "helper": "梁玉珍", "why": ""}
    return {
        "id": number, "kind": "repair", "source": "phone", "words": "厨房的灯坏了",
        "stage": "taken", "building": 11, "flat": "301", "resident_id": 901, "resident": "何婉仪",
        "asked_ms": NOW_MS - 2 * DAY_MS, "asked_by": "李文静", "due_ms": NOW_MS - DAY_MS,
        "overdue": True, "in_time": False, "helper": "梁玉珍", "helper_id": 101,
        "taken_ms": NOW_MS - DAY_MS, "closed_ms": None, "closed_by": None, "ending": None,
        "why": "", "minutes": 0, "payer_id": None, "steps": [step], **more,
    }  # fmt: skip


def visit(number: int, **more: Any) -> dict[str, Any]:
    """A visit after an illness."""
    return {
        "id": number, "cause": "illness", "state": "owed", "why": "出院", "building": 11,
        "flat": "301", "resident_id": 901, "resident": "何婉仪", "opened_ms": NOW_MS - DAY_MS,
        "opened_by": "system", "due_ms": NOW_MS + DAY_MS, "overdue": False, "goes": ["吴秀兰"],
        "closed_ms": None, "closed_by": None, "visited_on": None, "visitor": None, "note": "",
        **more,
    }  # fmt: skip


def call(outcome: str, **more: Any) -> dict[str, Any]:
    """One greeting call."""
    return {"at_ms": NOW_MS - 60_000, "by": "李文静", "outcome": outcome, "note": "",
            "request_id": None, **more}  # fmt: skip


def alone(number: int, standing: str, *calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Somebody on the list."""
    return {
        "id": number, "name": "何婉仪", "family_name": "何", "sex": "f", "building": 11,
        "flat": f"{number - 600}", "class": "A", "standing": standing, "heard_ms": NOW_MS - 60_000,
        "greeted_ms": NOW_MS - DAY_MS, "turn": len(calls) + 1, "phone": "+8610000110301",
        "phone_masked": "+86100****0301", "calls": list(calls), **more,
    }  # fmt: skip


def entry(number: int, kind: str, minutes: int, after: int, **more: Any) -> dict[str, Any]:
    """One line of a statement."""
    return {"id": number, "kind": kind, "at_ms": NOW_MS, "happened_ms": NOW_MS - DAY_MS,
            "by": "system", "why": "", "building": 11, "minutes": minutes, "after": after,
            "counters": None, "undone_by": None, **more}  # fmt: skip


class HelpFake:
    """Implements dashboards.help_reader.HelpReader."""

    refuse_help: ActionRefused | None = None
    empty: bool = False

    def __init__(self) -> None:
        self.help_acts: list[tuple[Any, ...]] = []

    def _act(self, *what: Any) -> None:
        if self.refuse_help:
            raise self.refuse_help
        self.help_acts.append(what)

    async def help_requests(self, user: Any, which: str) -> Mapping[str, Any]:
        closed = help_request(4, stage="done", ending="solved", overdue=False,
                              closed_ms=NOW_MS, closed_by="李文静", why="换了灯管")  # fmt: skip
        waiting = [help_request(), help_request(6, stage="open", helper=None, overdue=False,
                                                resident_id=None, resident=None, flat=None,
                                                source="steward", steps=[])]  # fmt: skip
        kinds = [{"kind": k, "asked": 2, "done": 1, "in_time": 1, "withdrawn": 0, "waiting": 1,
                  "overdue": 1} for k in ("errand", "repair", "haircut", "wish", "complaint",
                                          "other")]  # fmt: skip
        listed = [closed] if which == "closed" else waiting
        figures = {"first": "2026-02-13", "last": "2026-03-14", "kinds": kinds}
        return {**COMMON, "waiting": 2, "overdue": 1, "requests": [] if self.empty else listed,
                "figures": figures if "report" in user.rights else None}  # fmt: skip

    async def help_request(self, request_id: int) -> Mapping[str, Any] | None:
        if request_id > 99:
            return None
        near = [{"id": 101, "name": "梁玉珍", "role": "steward"}]
        more = {"helpers": near, "payers": [{**near[0], "saved": 90}], **COMMON}
        if request_id == 6:
            return help_request(6, stage="open", helper=None, resident_id=None, resident=None,
                                flat=None, steps=[], **more)  # fmt: skip
        return help_request(request_id, **more)

    async def request_ask(self, user: Any, fields: Mapping[str, str]) -> int:  # noqa: ARG002
        self._act("ask", dict(fields))
        return 5

    async def request_act(
        self, user: Any, request_id: int, action: str, fields: Mapping[str, str]  # noqa: ARG002
    ) -> None:
        self._act(action, request_id, dict(fields))

    async def visits(self, user: Any) -> Mapping[str, Any]:  # noqa: ARG002
        late = visit(2, overdue=True, goes=[], why="")
        paid = visit(3, state="paid", closed_ms=NOW_MS, visited_on="2026-03-13", visitor="吴秀兰",
                     note="能下楼了")  # fmt: skip
        owed = [] if self.empty else [late, visit(1)]
        return {**COMMON, "count": len(owed), "overdue": 1, "owed": owed,
                "closed": [] if self.empty else [paid]}  # fmt: skip

    async def visit_owe(self, user: Any, fields: Mapping[str, str]) -> None:  # noqa: ARG002
        self._act("owe", dict(fields))

    async def visit_act(
        self, user: Any, visit_id: int, action: str, fields: Mapping[str, str]  # noqa: ARG002
    ) -> None:
        self._act(action, visit_id, dict(fields))

    async def greetings(self, user: Any) -> Mapping[str, Any]:  # noqa: ARG002
        people = [
            alone(901, "to_call", heard_ms=None, greeted_ms=None),
            alone(902, "no_answer", call("no_answer"), phone="", phone_masked=""),
            alone(903, "greeted", call("wants", note="想理发", request_id=5)),
        ]
        people = [] if self.empty else people
        return {**COMMON, "day": "2026-03-14", "left": 2, "people": people}

    async def greet(
        self, user: Any, resident_id: int, fields: Mapping[str, str]  # noqa: ARG002
    ) -> None:
        self._act("greet", resident_id, dict(fields))

    async def help_of(self, resident_id: int) -> Mapping[str, Any]:
        if resident_id == 990:
            return {"requests": [], "visits": [], "greetings": []}
        gone = help_request(4, stage="withdrawn", closed_ms=NOW_MS, why="登记重了")
        return {"requests": [help_request(), gone],
                "visits": [visit(1), visit(3, state="paid", closed_ms=NOW_MS, visitor="吴秀兰")],
                "greetings": [call("well")]}  # fmt: skip

    async def hours_balance(self, community: int | None = None) -> Mapping[str, Any]:  # noqa: ARG002
        kinds = [{"kind": k, "entries": 3, "minutes": 90}
                 for k in ("round", "response", "request", "draw", "counter")]  # fmt: skip
        volunteers = [] if self.empty else [{"id": 101, "name": "梁玉珍"}]
        return {**COMMON, "given": 600, "saved": 510, "drawn": 90, "savers": 4, "households": 1,
                "zero": 0, "days": 30, "kinds": kinds, "volunteers": volunteers}  # fmt: skip

    async def hours_statement(
        self, user: Any, person_id: int  # noqa: ARG002
    ) -> Mapping[str, Any] | None:
        if person_id > 999:
            return None
        entries = [
            entry(4, "counter", -30, 45, counters=2, why="=记错了人"),
            entry(3, "draw", -15, 75, by="李文静"),
            entry(2, "round", 30, 90, undone_by=4),
            entry(1, "response", 60, 60),
        ]
        return {**COMMON, "person_id": person_id, "name": "梁玉珍", "saved": 45,
                "entries": [] if self.empty else entries}  # fmt: skip

    async def hours_counter(self, user: Any, entry_id: int, why: str) -> None:  # noqa: ARG002
        self._act("counter", entry_id, why)
