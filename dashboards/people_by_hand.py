"""Contacts by hand: name, number and language, absences with an end; the care centre and the
offices above, with the rota as a week."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboards.buildings_by_hand import LANGS, LONG
from dashboards.form_pages import Act, Facts, Field, FormPage, Section, add, add_button
from dashboards.reader import Reader
from dashboards.residents_by_hand import away_section
from dashboards.staff import Desk, desk, enter, staff_page

ROLES: Final = tuple((r, r) for r in ("duty", "street", "district"))
DAYS: Final = tuple((str(d), str(d)) for d in range(1, 8))
MORE_SHIFTS: Final = 2
Crumb = tuple[str, str, Mapping[str, Any]]


def _crumb(facts: Facts) -> Crumb:
    """Back to the desk whose form it is."""
    at = facts.get("desk", Desk())
    return f"/duty{at.query}", "duty", {}


def _place_of(facts: Facts) -> Crumb:
    """Where somebody's page leads back to: the first place behind which they stand."""
    for role in facts["roles"]:
        if role["resident_id"] is not None:
            return (f"/residents/{role['resident_id']}", "door",
                    {"n": role["building"], "label": role["flat"]})  # fmt: skip
        if role["building"] is not None:
            return f"/buildings/{role['building']}", "house", {"n": role["building"]}
    at = next((r["community"] for r in facts["roles"] if r.get("community")), None)
    return f"/duty?community={at}" if at is not None else "/duty", "duty", {}


def _person(facts: Facts) -> FormPage:
    v, own = facts["values"], f"/people/{facts['id']}"
    away = facts["absent_until_ms"] is not None
    return FormPage(
        "person", _place_of(facts),
        (Section("contact", (
            Field("name", "name", value=v["name"], needed=True),
            Field("phone", "phone", "tel", v["phone"], needed=True, most=24, hint="phone_new"),
            Field("lang", "lang", "select", v["lang"], LANGS),
        )),),
        seen=facts["seen"], back=f"{own}/back" if away else "",
        notice="person_opted_out" if facts["opted_out"] else "person_is_away" if away else "person",
        also=(
            (f"{own}/away", "away"),
            *([(f"{own}/shifts", "turns")] if _has_turns(facts) else []),
            (f"{own}/history", "history"),
        ),
    )  # fmt: skip


def _has_turns(facts: Facts) -> bool:
    """Whether a rota of the house is for them. Who has the duty has the desk's, at `/duty`."""
    roles = {role["role"] for role in facts["roles"]}
    return bool(roles & {"steward", "substitute"}) and "duty" not in roles


def _away(facts: Facts) -> FormPage:
    own = f"/people/{facts['id']}"
    away = facts["absent_until_ms"] is not None
    return FormPage(
        "away", (own, "person", {"name": facts["values"]["name"]}), (away_section(),),
        notice="person_is_away" if away else "person_away", submit="away",
        back=f"{own}/back" if away else "",
    )  # fmt: skip


def _office_add(facts: Facts) -> FormPage:
    return FormPage("office_add", _crumb(facts), (Section("contact", (
        Field("role", "role", "select", "duty", ROLES, needed=True),
        Field("name", "name", needed=True),
        Field("phone", "phone", "tel", needed=True, most=24),
        Field("lang", "lang", "select", "zh", LANGS),
    )),), submit="register")  # fmt: skip


def _office_remove(facts: Facts) -> FormPage:
    standing = [(str(p["id"]), f"{p['name']} {p['phone_masked']}")
                for people in facts["offices"].values() for p in people]  # fmt: skip
    return FormPage("office_remove", _crumb(facts), (Section("contact", (
        Field("assignment", "who", "select", "", (("", "unsaid"), *standing), needed=True),
    )),), submit="remove")  # fmt: skip


def _community(facts: Facts) -> FormPage:
    named = facts["named"]
    return FormPage("community", _crumb(facts), (
        Section("community", (
            Field("name", "community", value=named["name"], needed=True),
            Field("street", "street", value=named["street"]),
            Field("district", "district", value=named["district"]),
        ), hint="community"),
        Section("address", (
            Field("address", "address", value=facts["address"], most=LONG, hint="address_whole"),
            Field("address_en", "address_en", value=facts["address_en"], most=LONG),
        )),
    ), seen=facts["seen"])  # fmt: skip


def _shifts(facts: Facts) -> FormPage:
    return FormPage(
        "shifts", _crumb(facts), _shift_sections(facts), about={"name": facts["name"]},
        seen=facts["seen"], notice="shifts",
    )  # fmt: skip


def _turns(facts: Facts) -> FormPage:
    about = {"name": facts["name"]}
    return FormPage(
        "shifts", (f"/people/{facts['id']}", "person", about), _shift_sections(facts), about=about,
        seen=facts["seen"], notice="turns",
    )  # fmt: skip


def _shift_sections(facts: Facts) -> list[Section]:
    held = facts["shifts"]
    sections = []
    for n in range(len(held) + MORE_SHIFTS):
        own = held[n] if n < len(held) else {"days": [], "starts": "", "ends": ""}
        sections.append(Section("shift", (
            Field(f"days:{n}", "days", "checks", [str(d) for d in own["days"]], DAYS),
            Field(f"starts:{n}", "starts", "time", own["starts"], most=5),
            Field(f"ends:{n}", "ends", "time", own["ends"], most=5, hint="ends"),
        )))  # fmt: skip
    return sections


def _spans_by_day(week: Facts, zone: ZoneInfo) -> list[dict[str, Any]]:
    """Each day of the table with the hours at which nobody has the duty."""
    by_day: defaultdict[str, list[str]] = defaultdict(list)
    days = [date.fromisoformat(day) for day in week["days"]]
    for day in days:
        start = datetime.combine(day, datetime.min.time(), zone)
        end = datetime.combine(day + timedelta(days=1), datetime.min.time(), zone)
        for gap in week["gaps"]:
            since = _at(gap["from_ms"], zone) or start
            until = _at(gap["to_ms"], zone) or end
            if since < end and start < until:
                last = "24:00" if until >= end else f"{until:%H:%M}"
                by_day[day.isoformat()].append(f"{max(since, start):%H:%M}–{last}")
    return [
        {"date": d.isoformat(), "weekday": str(d.isoweekday()), "gaps": by_day[d.isoformat()]}
        for d in days
    ]


def _at(ms: int | None, zone: ZoneInfo) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)


def router(reader: Reader) -> APIRouter:
    """GET and POST /people/{person_id} and its /away; POST /back; GET /duty and its forms."""
    routes = APIRouter(include_in_schema=False)
    path, of = "/people/{person_id}", "person_id"

    def page_of(number: int) -> str:
        return f"/people/{number}"

    def to_duty(_number: int) -> str:
        return "/duty"

    add(routes, reader,
        Act(path, "register", "person", "person.change", _person, page_of, of, look="act"))
    away = Act(f"{path}/away", "act", "person", "person.away", _away, page_of, of)
    add(routes, reader, away)
    add_button(routes, reader, f"{path}/back", of, "person.back", page_of, away)
    add(routes, reader,
        Act(f"{path}/shifts", "register", "turns", "person.shifts", _turns, page_of, of))
    for name, build in (
        ("add", _office_add), ("remove", _office_remove), ("community", _community)
    ):
        add(routes, reader,
            Act(f"/duty/{name}", "register", "duty", f"duty.{name}", build, to_duty, common=True))
    add(routes, reader,
        Act("/duty/shifts/{person_id}", "register", "shifts", "duty.shifts", _shifts, to_duty, of,
            common=True))

    @routes.get("/duty")
    async def duty(request: Request) -> Response:
        user = await enter(reader, request, common=True)
        at = await desk(reader, request, user)
        found = await reader.form_facts(user, "duty", 0, at.id)
        assert found is not None, "the care centre is always there"
        zone = ZoneInfo(found["tz"] or "UTC")
        facts = {"d": found, "days": _spans_by_day(found["week"], zone), "tz": found["tz"],
                 "now_ms": found["now_ms"], "desk": at}
        reader.looked(user, "duty_looked_at")
        return staff_page(request, "duty.html", user, facts)

    return routes  # fmt: skip
