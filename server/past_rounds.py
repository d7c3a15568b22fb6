"""The last fourteen rounds: of residents, a building, the façades, and as stewards walked them.

Read side; the one place that reads them, from the rounds as they were held, worklists, signals and
the journal. What they mean is decided in core/strip.py.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core import strip
from server.core.rounds import Occurrence, running
from server.core.strip import Mark
from server.store import communities, doors, handovers, history, walks, wall
from server.store.communities import CommunityFacts
from server.tables import to_ms

Json = dict[str, Any]
AWAY, BACK, WELL = "resident_away", "resident_back", "checked_in_by_phone"
SHOWN = strip.SHOWN
MOST_OUTAGES = 200


@dataclass(frozen=True, slots=True)
class Past:
    """The rounds, oldest first, and each resident's mark in each of them."""

    rounds: tuple[Occurrence, ...]
    marks: dict[int, list[Mark]]
    missed: Mapping[int, Mapping[datetime, str | None]] = field(default_factory=dict)
    """Resident → deadline of each missed round → how it was settled, if it is."""

    def of(self, resident_id: int) -> list[Json]:
        """A resident's strip."""
        marks = self.marks[resident_id]
        return [{**_round(o), "mark": m.value} for o, m in zip(self.rounds, marks, strict=True)]

    def together(self) -> list[Json]:
        """Everybody's strip: how many were owed, checked, missed …"""
        rows = []
        for index, round_ in enumerate(self.rounds):
            n = strip.tally([marks[index] for marks in self.marks.values()])
            rows.append(
                {
                    **_round(round_), "owed": n.owed, "checked": n.checked, "late": n.late,
                    "missed": n.missed, "away": n.away, "unknown": n.unknown,
                }
            )  # fmt: skip
        return rows


def _round(o: Occurrence) -> Json:
    return {"name": o.name, "due_ms": to_ms(o.due_at)}


def held(
    conn: Connection, community: CommunityFacts, now: datetime, count: int = SHOWN
) -> tuple[Occurrence, ...]:
    """Which of a community's rounds were the last `count` that are over."""
    written = [
        Occurrence(r["name"], r["opens_at"], r["opens_at"], r["due_at"], r["deadline"],
                   community.classes_of(r["name"]))
        for r in walks.last_rounds(
            conn, now, count + len(community.plans), community_id=community.id
        )
        if r["deadline"] is not None
    ]  # fmt: skip
    return strip.last(community.plans, community.zone, now, count, written)


def of_residents(
    conn: Connection, community: CommunityFacts, residents: Sequence[RowMapping], now: datetime,
    count: int = SHOWN,
) -> Past:
    """The last rounds of these residents (rows of store/doors.py), in a handful of queries."""
    rounds = held(conn, community, now, count)
    if not rounds or not residents:
        return Past((), {r["id"]: [] for r in residents})
    since = rounds[0].opens_at
    signs = history.signs(conn, [r["terminal_id"] for r in residents if r["terminal_id"]], since)
    missed = history.missed(conn, [r["id"] for r in residents], since)
    away, well = _from_the_journal(conn, residents)
    marks = {
        r["id"]: [
            strip.mark(
                o, [*signs.get(r["terminal_id"], ()), *well[r["flat_id"]]],
                missed.get(r["id"], {}), away[r["flat_id"]], r["risk_class"],
            )
            for o in rounds
        ]
        for r in residents
    }  # fmt: skip
    return Past(rounds, marks, missed)


def of_resident(
    conn: Connection, resident_id: int, now: datetime, count: int = SHOWN
) -> list[Json] | None:
    """One resident's last rounds, and the one that runs if they are awaited in it: `outcome` is a
    Mark or `waiting`, `ended` how a missed one was settled. None: there is no such resident."""
    row = doors.resident(conn, resident_id)
    community = communities.of_building(conn, row["building_id"]) if row is not None else None
    if community is None or row is None:
        return None
    past = of_residents(conn, community, [row], now, count)
    settled = past.missed.get(resident_id, {})
    found = [
        {**_round(o), "outcome": mark.value, "ended": settled.get(o.deadline)}
        for o, mark in zip(past.rounds, past.marks[resident_id], strict=True)
    ]
    awaited = row["state"] == "active"
    found += [
        {**_round(o), "outcome": "waiting", "ended": None}
        for o in running(community.plans, community.zone, now)
        if awaited and row["next_due_at"] == o.deadline
    ]
    return found[-count:]


def facades(conn: Connection, now: datetime) -> dict[int, str]:
    """Building id → one letter for each of its community's last 14 rounds, the oldest first."""
    deadlines = {
        c.id: [o.deadline for o in held(conn, c, now)] for c in communities.every(conn)
    }
    known = {d for each in deadlines.values() for d in each}
    if not known:
        return {}
    missed = history.missed_in(conn, known)
    blind = [strip.Span(*b) for b in handovers.blind_since(conn, min(known), MOST_OUTAGES)]
    began = wall.began(conn)
    return {
        b["id"]: "".join(strip.letter(d, missed.get((b["id"], d), 0), blind, began)
                         for d in deadlines[b["community_id"]])
        for b in wall.buildings(conn)
    }  # fmt: skip


def walked(
    conn: Connection, now: datetime, building_id: int | None = None, count: int = SHOWN
) -> list[Json]:
    """The last rounds that opened, of each community so many, oldest first, and for each of its
    buildings (or one): residents owing, checked in, missed, and whether and by whom it was
    reported."""
    theirs = {c.id: c for c in communities.every(conn)}
    found = sorted(
        (r for c in theirs for r in walks.last_rounds(conn, now, count, community_id=c)),
        key=lambda r: (r["due_at"], r["id"]),
    )
    if not found:
        return []
    ids = [r["id"] for r in found]
    owing: defaultdict[int, dict[int, tuple[int, int | None]]] = defaultdict(dict)
    for row in walks.tallies(conn, ids, building_id):
        owing[row["round_id"]][row["building_id"]] = (row["owing"], None)
    for r in found:
        if not r["tallied"]:
            classes = theirs[r["community_id"]].classes_of(r["name"])
            owing[r["id"]].update(walks.owing_now(conn, classes, r["deadline"], building_id))
    houses = {b["id"]: b for b in wall.buildings(conn)}
    missed = history.missed_in(conn, [r["deadline"] for r in found], building_id)
    said: defaultdict[tuple[int, int], list[RowMapping]] = defaultdict(list)
    for row in walks.reports(conn, ids, building_id):
        said[row["round_id"], row["building_id"]].append(row)
    return [
        {
            "round_id": r["id"], "name": r["name"], "due_ms": to_ms(r["due_at"]),
            "deadline_ms": to_ms(r["deadline"]), "over": r["tallied"],
            "buildings": [
                _walk(b, houses[b]["number"], *owing[r["id"]][b],
                      missed.get((b, r["deadline"]), 0), said[r["id"], b])
                for b in sorted(owing[r["id"]], key=lambda b: int(houses[b]["number"]))
                if houses[b]["community_id"] == r["community_id"]
            ],
        }
        for r in found
    ]  # fmt: skip


def _walk(
    building_id: int, number: int, owing: int, checked: int | None, missed: int,
    reports: Sequence[RowMapping],
) -> Json:
    return {
        "building_id": building_id, "building": number, "owing": owing,
        "checked": owing - missed if checked is None else checked, "missed": missed,
        "reported": bool(reports),
        "reports": [
            {"by": s["by"], "via": s["via"], "at_ms": to_ms(s["at"])} for s in reports
        ],
    }  # fmt: skip


def _from_the_journal(
    conn: Connection, residents: Sequence[RowMapping]
) -> tuple[defaultdict[int, tuple[strip.Span, ...]], defaultdict[int, list[datetime]]]:
    """By flat: when they were away, and when they said on the telephone that they are well."""
    flats = {r["flat_id"] for r in residents}
    begun: defaultdict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    ended: defaultdict[int, list[datetime]] = defaultdict(list)
    well: defaultdict[int, list[datetime]] = defaultdict(list)
    for e in history.entries(conn, flats, (AWAY, BACK, WELL)):
        if e["kind"] == AWAY:
            begun[e["flat_id"]].append((e["at"], datetime.fromisoformat(e["data"]["until"])))
        else:
            (ended if e["kind"] == BACK else well)[e["flat_id"]].append(e["at"])
    found: defaultdict[int, tuple[strip.Span, ...]] = defaultdict(tuple)
    for flat_id in flats:
        found[flat_id] = strip.absences(begun[flat_id], ended[flat_id])
    return found, well
