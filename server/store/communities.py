"""What a community goes by: its name, zone and rounds, read so that a spoilt row costs no other."""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, RowMapping, String, bindparam, cast, select, update

from server import tables as t
from server.core import rounds
from server.core.rounds import CLASSES, Plan

ASSIGNMENT = t.table(t.Assignment)
RESIDENT = t.table(t.Resident)
BUILDING = t.table(t.Building)
COMMUNITY = t.table(t.Community)
BUILT_IN_ZONE = "Asia/Shanghai"


def plan_from_json(data: dict[str, Any]) -> Plan:
    """A round's plan as the community's row holds it: times "HH:MM", grace in seconds, and the
    classes that owe it (all, where none are named). Raises ValueError, KeyError or TypeError."""
    return Plan(
        data["name"],
        time.fromisoformat(data["opens"]),
        time.fromisoformat(data["prompt"]),
        time.fromisoformat(data["due"]),
        int(data.get("grace_s", 300)),
        frozenset(data["classes"]) if data.get("classes") is not None else CLASSES,
        time.fromisoformat(data["call_at"]) if data.get("call_at") else None,
    )


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The inverse of `plan_from_json`."""
    return {
        "name": plan.name, "opens": f"{plan.opens:%H:%M}", "prompt": f"{plan.prompt:%H:%M}",
        "due": f"{plan.due:%H:%M}", "grace_s": plan.grace_s, "classes": sorted(plan.classes),
        "call_at": f"{plan.call_at:%H:%M}" if plan.call_at is not None else None,
    }  # fmt: skip


class Clock:
    """A zone and the rounds by it. A round or zone that can't be read is left out and told in
    `problems`; with none left the built-in ones hold: somebody is always watched."""

    def __init__(self, tz: str, written: str) -> None:
        """`written`: the rounds as JSON."""
        self.problems: tuple[str, ...] = ()
        try:
            self.zone = ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.zone = ZoneInfo(BUILT_IN_ZONE)
            self.problems = (f"no zone is called {tz!r}; {BUILT_IN_ZONE} holds",)
        try:
            found = json.loads(written)
        except ValueError:
            found = written  # a round that can't be read, as any other
        self.plans = rounds.covering(self._plans(found) or rounds.BUILT_IN)

    def _plans(self, found: Any) -> tuple[Plan, ...]:
        plans: tuple[Plan, ...] = ()
        for data in found if isinstance(found, list) else [found]:
            try:
                plan = plan_from_json(data)
                problem = rounds.clash(plans, plan)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                problem = f"a round can't be read: {error}"
            if problem is None:
                plans = (*plans, plan)
            else:
                self.problems = (*self.problems, problem)
        return plans

    def classes_of(self, round_name: str) -> frozenset[str]:
        """The classes that owe the round of this name; all, where it is no longer in the plan."""
        return next((p.classes for p in self.plans if p.name == round_name), CLASSES)

    def plans_of(self, risk_class: str) -> tuple[Plan, ...]:
        """The rounds that residents of this class owe."""
        return rounds.owed_by(self.plans, risk_class)


class CommunityFacts(Clock):
    """The community's name, zone and rounds."""

    def __init__(self, row: RowMapping) -> None:
        self.id: int = row["id"]
        self.series: int = row["series"]
        self.name: str = row["name"]
        super().__init__(row["tz"], row["rounds"])


WRITTEN = cast(COMMUNITY.c.rounds, String).label("rounds")
"""The rounds as they stand in the row: read by `Clock`, so that what can't be read in one community
costs no other its own. (PostgreSQL compares no JSON, but this.)"""
FACTS = select(
    COMMUNITY.c.id, COMMUNITY.c.series, COMMUNITY.c.name, COMMUNITY.c.tz, WRITTEN
)
"""What `CommunityFacts` is made of."""
WHOLE = FACTS.add_columns(
    COMMUNITY.c.street, COMMUNITY.c.district, COMMUNITY.c.address, COMMUNITY.c.address_en
).order_by(COMMUNITY.c.series)
"""All there is of a community; its rounds as they stand, so that a row with spoilt ones is read."""
_COMMUNITIES = FACTS.order_by(COMMUNITY.c.series)
_COMMUNITY = _COMMUNITIES.limit(1)
_COMMUNITY_OF = (
    FACTS
    .join(BUILDING, BUILDING.c.community_id == COMMUNITY.c.id)
    .where(BUILDING.c.id == bindparam("building"))
)


def first(conn: Connection) -> CommunityFacts | None:
    """The first community, which in most installations is the only one; None while the register is
    empty. For what belongs to no house: the day on which the installation does its chores. Whatever
    a house is about asks `of_building`."""
    row = conn.execute(_COMMUNITY).mappings().first()
    return CommunityFacts(row) if row else None


def of_building(conn: Connection, building_id: int | None) -> CommunityFacts | None:
    """The community of a building; of None the first. None where there is no such building."""
    if building_id is None:
        return first(conn)
    row = conn.execute(_COMMUNITY_OF, {"building": building_id}).mappings().first()
    return CommunityFacts(row) if row else None


def by_id(conn: Connection, community_id: int) -> CommunityFacts | None:
    """The community with this id."""
    query = FACTS.where(COMMUNITY.c.id == community_id)
    row = conn.execute(query).mappings().first()
    return CommunityFacts(row) if row else None


def every(conn: Connection) -> tuple[CommunityFacts, ...]:
    """Every community, in the order in which they were registered."""
    return tuple(CommunityFacts(row) for row in conn.execute(_COMMUNITIES).mappings())


def by_ids(
    conn: Connection, ids: Collection[int]
) -> dict[int, CommunityFacts]:
    """The communities with these ids, in one statement."""
    query = FACTS.where(COMMUNITY.c.id.in_(ids))
    return {row["id"]: CommunityFacts(row) for row in conn.execute(query).mappings()}


def of_person(conn: Connection, person_id: int) -> CommunityFacts | None:
    """The community of somebody's first place: of a desk, a house or a resident's door; of who has
    none the first."""
    query = (
        select(
            ASSIGNMENT.c.community_id, ASSIGNMENT.c.building_id,
            RESIDENT.c.building_id.label("of_resident"),
        )
        .outerjoin(RESIDENT, RESIDENT.c.id == ASSIGNMENT.c.resident_id)
        .where(ASSIGNMENT.c.person_id == person_id)
        .order_by(ASSIGNMENT.c.id)
        .limit(1)
    )
    row = conn.execute(query).first()
    if row is not None and row[0] is not None:
        return by_id(conn, row[0])
    return of_building(conn, (row[1] or row[2]) if row is not None else None)


def local_day(conn: Connection, now: datetime, building_id: int | None = None) -> date:
    """The date in the community of this building (of None, the first), by which people are a year
    older."""
    facts = of_building(conn, building_id)
    return now.astimezone(facts.zone if facts else UTC).date()


def set_plans(conn: Connection, community_id: int, plans: Sequence[Plan]) -> None:
    """Replace the community's rounds."""
    statement = update(COMMUNITY).where(COMMUNITY.c.id == community_id)
    conn.execute(statement.values(rounds=[plan_to_json(p) for p in plans]))
