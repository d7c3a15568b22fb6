"""The last fourteen rounds, of residents and of a building. Read side; the one place that derives
them, from worklists, signals and the journal of absences."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core import strip
from server.core.rounds import Occurrence
from server.core.strip import Mark
from server.store import history
from server.store.people import CommunityFacts
from server.tables import to_ms

Json = dict[str, Any]
AWAY, BACK = "resident_away", "resident_back"


@dataclass(frozen=True, slots=True)
class Past:
    """The rounds, oldest first, and each resident's mark in each of them."""

    rounds: tuple[Occurrence, ...]
    marks: dict[int, list[Mark]]

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


def of_residents(
    conn: Connection, community: CommunityFacts, residents: Sequence[RowMapping], now: datetime
) -> Past:
    """The last rounds of these residents (rows of store/doors.py), in four queries."""
    rounds = strip.last(community.plans, community.zone, now)
    if not rounds or not residents:
        return Past((), {r["id"]: [] for r in residents})
    since = rounds[0].opens_at
    signs = history.signs(conn, [r["terminal_id"] for r in residents if r["terminal_id"]], since)
    missed = history.missed(conn, [r["id"] for r in residents], since)
    away = _absences(conn, residents)
    marks = {
        r["id"]: [
            strip.mark(
                o, signs.get(r["terminal_id"], ()), missed.get(r["id"], {}), away[r["flat_id"]],
                r["risk_class"],
            )
            for o in rounds
        ]
        for r in residents
    }
    return Past(rounds, marks)


def _absences(
    conn: Connection, residents: Sequence[RowMapping]
) -> defaultdict[int, tuple[strip.Span, ...]]:
    flats = {r["flat_id"] for r in residents}
    begun: defaultdict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    ended: defaultdict[int, list[datetime]] = defaultdict(list)
    for e in history.entries(conn, flats, (AWAY, BACK)):
        if e["kind"] == AWAY:
            begun[e["flat_id"]].append((e["at"], datetime.fromisoformat(e["data"]["until"])))
        else:
            ended[e["flat_id"]].append(e["at"])
    found: defaultdict[int, tuple[strip.Span, ...]] = defaultdict(tuple)
    for flat_id in flats:
        found[flat_id] = strip.absences(begun[flat_id], ended[flat_id])
    return found
