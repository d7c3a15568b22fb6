"""Answers "who would be told, when, how?" for one resident's door. Reads only; changes nothing."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core import risk
from server.core.explain import Rung, foresee
from server.core.ladder import Policy, Roster
from server.core.words import Channel, Kind
from server.service import parents
from server.service.acting import Unknown
from server.service.answering import masked
from server.service.house import House
from server.store import communities, people, rosters
from server.tables import to_ms

Json = dict[str, Any]


def explain(conn: Connection, house: House, resident: str, at: datetime, kind: Kind) -> Json:
    """What would happen if `resident` (id, or terminal) pressed, or missed a round, at `at`.

    The register is read as it is now; only absences are judged by the time of each step. Raises
    Unknown, or ValueError for a kind that has no ladder.
    """
    resident_id = people.resident_id_of(conn, resident)
    row = people.resident(conn, resident_id) if resident_id is not None else None
    if row is None:
        raise Unknown(f"there is no resident or terminal {resident!r}; look in /api/v1/residents")
    policy = _policy(conn, row, kind, at)
    community = communities.of_building(conn, row["building_id"])
    assert community is not None, "a resident has a community"
    ladder = house.ladder_at(policy, at, community.zone)
    # A building's worklist has no key holders; one resident's own matter has.
    key = (row["building_id"], None if policy is Policy.MISSED else row["id"])

    def roster_at(instant: datetime) -> Roster:
        return rosters.rosters(conn, [key], instant)[key]

    return {
        "resident": {
            "id": row["id"], "building": row["building_number"], "flat": row["label"],
            "risk_class": row["risk_class"], "state": row["state"],
            "absent_until_ms": to_ms(row["absent_until"]) if row["absent_until"] else None,
            "owes": [p.name for p in community.plans_of(row["risk_class"])] if community else [],
        },
        "kind": kind.value, "policy": policy.value, "at_ms": to_ms(at),
        "awaited": kind is Kind.SOS or _awaited(row, at),
        "ladder": {
            "version": ladder.version, "lease_s": ladder.lease_s, "on_scene_s": ladder.on_scene_s,
            "problems": list(house.ladder_file.problems),
        },
        "steps": [_step(rung, at, house) for rung in foresee(ladder, roster_at, at, kind=kind)],
        "repeat_s": ladder.steps[-1].wait_s,
    }  # fmt: skip


def _policy(conn: Connection, row: RowMapping, kind: Kind, at: datetime) -> Policy:
    """As the round is judged: of class A by themselves, unless a cause that staff see today is why
    the whole house is silent."""
    match kind:
        case Kind.SOS:
            return Policy.SOS
        case Kind.MISSED:
            explained = parents.causes(conn, at).explain(row["building_id"], at)
            apart = risk.apart(int(row["risk_class"] == "A"), explained=explained)
            return Policy.MISSED_HIGH_RISK if apart else Policy.MISSED
        case Kind.FAULT:
            raise ValueError("a fault has no ladder; ask for sos or missed")


def _awaited(row: RowMapping, at: datetime) -> bool:
    """Whether a round at `at` would miss this resident at all."""
    over = row["absent_until"] is not None and row["absent_until"] <= at
    return row["state"] == "active" or (row["state"] == "paused" and over)


def _step(rung: Rung, opened_at: datetime, house: House) -> Json:
    # Where no call can be placed, a call is an SMS instead (effects.tell).
    channels = dict.fromkeys(
        c.value if house.ways.calls else Channel.SMS.value for c in rung.channels
    )
    return {
        "step": rung.index + 1, "at_ms": to_ms(rung.at),
        "after_s": int((rung.at - opened_at).total_seconds()), "wait_s": rung.wait_s,
        "targets": [t.value for t in rung.targets],
        "told": [
            {"person_id": p.id, "name": p.name, "role": p.role.value, "lang": p.lang,
             "channels": [*channels], "phone_masked": masked(p.phone),
              "shift_until_ms": to_ms(p.shift_changes_at)
                                if p.on_shift and p.shift_changes_at else None}
            for p in rung.told
        ],
        "passed_over": [
            {"person_id": o.person.id, "name": o.person.name, "role": o.person.role.value,
             "why": o.why.value, "until_ms": to_ms(o.until) if o.until else None}
            for o in rung.passed_over
        ],
        "nobody": [t.value for t in rung.nobody],
    }  # fmt: skip
