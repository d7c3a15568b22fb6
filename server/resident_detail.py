"""One resident for staff: contacts, terminal, last rounds, absences, class, alerts; and their card.

Read side; changes nothing. The way in and the note on risks are not here: each look at them is
logged (service/acting.py).
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from server import past_rounds, views
from server.building_detail import contact, door
from server.core.access import EVERYWHERE, Scope
from server.core.risk import age_on, risk_class
from server.core.windows import Window
from server.core.words import Role
from server.store import addresses, batteries, communities, consents, doors, history, places
from server.store.communities import CommunityFacts
from server.tables import EPOCH, to_ms

Json = dict[str, Any]
MOST_FOUND = 50
MOST_ALERTS = 30
ACTIVE_DAYS = 14
HISTORY_DAYS = 30
ABSENCE = (past_rounds.AWAY, past_rounds.BACK)
CLASS_SET, LOOKS = "risk_class_set", ("access_looked_at", "access_opened")
ADDRESS = re.compile(r"(?P<building>\d{1,5})\s*(?:栋|幢|号楼|[-–/ ])\s*(?P<label>.*)")
LABEL = re.compile(r"[A-Za-z一二三四五六七八九十东西南北]?[-–]?\d{1,4}[A-Za-z]?")


def search(
    conn: Connection, words: str, now: datetime, scope: Scope = EVERYWHERE
) -> Json:
    """Residents by "11-301", "11栋", "301" or a part of a name; at most MOST_FOUND. The number is
    the one on the wall: of the houses that have it in every community in sight, or of the one
    whose name stands in front ("棠德2-101")."""
    words = " ".join(words.split())
    number, label, name = None, "", ""
    in_sight = places.in_sight(conn, scope)
    named = _named(in_sight, words) if len(in_sight) > 1 else None
    if named is not None:
        words = words[len(named.name):].strip()
    if address := ADDRESS.fullmatch(words):
        number = int(address["building"])
        label = re.sub(r"^\d+楼", "", address["label"]).removesuffix("室").strip()
    elif LABEL.fullmatch(words.removesuffix("室")):
        label = words.removesuffix("室")
    else:
        name = words
    rows: Sequence[RowMapping] = ()
    if number is not None or label or name:
        rows = doors.search(
            conn, sign=number, label=label.upper(), name=name, limit=MOST_FOUND + 1,
            community_id=named.id if named is not None else None, buildings=scope.buildings,
        )
    return {"found": [door(r, now) for r in rows[:MOST_FOUND]], "more": len(rows) > MOST_FOUND}


def _named(in_sight: Sequence[CommunityFacts], words: str) -> CommunityFacts | None:
    """The community whose name these words begin with, the longest where there are two."""
    found = [c for c in in_sight if words.casefold().startswith(c.name.casefold())]
    return max(found, key=lambda c: len(c.name), default=None)


def _alert(row: RowMapping) -> Json:
    return {
        "id": row["id"], "kind": row["kind"], "state": row["state"], "fall": row["fall"],
        "test": row["test"], "fault": row["fault"], "opened_ms": to_ms(row["opened_at"]),
        # On a worklist the resident's own outcome counts, not that of the walk.
        "outcome": row["item_outcome"] if row["kind"] == "missed" else row["outcome"],
    }  # fmt: skip


def _consent(row: RowMapping) -> Json:
    return {
        "purpose": row["purpose"], "given_by": row["given_by"], "how": row["how"],
        "given_ms": to_ms(row["given_at"]), "recorded_by": row["recorded_by"],
        "withdrawn_ms": to_ms(row["withdrawn_at"]) if row["withdrawn_at"] else None,
        "withdrawn_by": row["withdrawn_by"],
    }  # fmt: skip


def _entry(row: RowMapping) -> Json:
    data = row["data"]
    until = data.get("until")
    return {
        "kind": row["kind"], "at_ms": to_ms(row["at"]), "by": data.get("by"),
        "why": data.get("why"), "was": data.get("was"), "now": data.get("now"),
        "until_ms": to_ms(datetime.fromisoformat(until)) if until else None,
    }  # fmt: skip


def _class(row: RowMapping, entries: Sequence[Json], now: datetime) -> Json:
    """The class, what the rule says and why, and who overruled it. That there is a note on risks
    is said; what it says is not."""
    age, alone = age_on(row["birth_date"], now.date()), row["living"] == "alone"
    reasons = [w for w, holds in (("age90", age >= 90), ("age80", 80 <= age < 90),
                                  ("alone", alone), ("noted", row["noted"])) if holds]  # fmt: skip
    rule = risk_class(age, row["living"], row["noted"])
    changed = next((e for e in entries if e["kind"] == CLASS_SET), None)
    overruled = row["risk_class"] != rule
    return {"now": row["risk_class"], "rule": rule, "reasons": reasons or ["none"],
            "overruled": overruled, "changed": changed if overruled else None}  # fmt: skip


def _active_days(
    conn: Connection, community: CommunityFacts, row: RowMapping, now: datetime
) -> list[Json]:
    """How often a hand was on the terminal on each of the last days, the oldest first."""
    today = now.astimezone(community.zone).date()
    days = [today - timedelta(days=n) for n in reversed(range(ACTIVE_DAYS))]
    count: Counter[Any] = Counter()
    if row["terminal_id"] is not None:
        since = now - timedelta(days=ACTIVE_DAYS + 1)
        signs = history.signs(conn, [row["terminal_id"]], since).get(row["terminal_id"], [])
        count.update(at.astimezone(community.zone).date() for at in signs)
    return [{"day": d.isoformat(), "n": count[d]} for d in days]


def _readings(conn: Connection, terminal_id: str, now: datetime) -> list[Json]:
    """Battery and signal of the last HISTORY_DAYS days, as read once a day."""
    today = (now - EPOCH).days
    return [
        {"ago": today - r["day"], "battery": r["level"], "rssi": r["rssi"]}
        for r in batteries.readings(conn, terminal_id, today - HISTORY_DAYS + 1)
    ]


def detail(conn: Connection, resident_id: int, now: datetime) -> Json | None:
    """Everything about a resident that staff may see unasked, by the clock and the rounds of their
    community; None when there is none."""
    row = doors.resident(conn, resident_id)
    community = communities.of_building(conn, row["building_id"]) if row is not None else None
    if community is None or row is None:
        return None
    flat = row["flat_id"]
    noted = history.entries(conn, [flat], (*ABSENCE, CLASS_SET, *LOOKS), 40)
    # A door is a couple's, and was another tenant's; old entries name nothing but the door.
    entries = [_entry(e) for e in noted if e["data"].get("resident_id") in (None, resident_id)]
    about = [_alert(a) for a in history.alerts_about(conn, resident_id, MOST_ALERTS)]
    past = past_rounds.of_residents(conn, community, [row], now)
    state = views.window_states(conn, now, [flat]).get(flat, Window.NONE)
    terminal = None
    if row["terminal_id"] is not None:
        terminal = {
            "id": row["terminal_id"], "status": row["status"], "battery": row["battery"],
            "mains": row["mains"], "rssi": row["rssi"], "firmware": row["firmware"],
            "last_seen_ms": to_ms(row["last_seen_at"]) if row["last_seen_at"] else None,
            "readings": _readings(conn, row["terminal_id"], now),
        }  # fmt: skip
    return {
        **door(row, now),
        "now_ms": to_ms(now), "tz": str(community.zone), "community": community.name,
        "window": state.value, "terminal": terminal,
        "next_due_ms": to_ms(row["next_due_at"]) if row["next_due_at"] else None,
        "class": _class(row, entries, now),
        "contacts": [contact(c, now) for c in doors.behind(conn, row["building_id"], [row["id"]])],
        "marks": past.of(resident_id),
        "days": _active_days(conn, community, row, now),
        "absences": [e for e in entries if e["kind"] in ABSENCE],
        "consents": [_consent(c) for c in consents.of(conn, resident_id)],
        "looks": [e for e in entries if e["kind"] in LOOKS],
        "open": [a for a in about if a["state"] != "resolved"],
        "past": [a for a in about if a["state"] == "resolved"],
    }  # fmt: skip


def card(conn: Connection, resident_id: int, now: datetime) -> Json | None:
    """What hangs on the door or the fridge. It is read by whoever passes: the address, never a
    name of the resident, nothing of health, nothing of the way in."""
    row = doors.resident(conn, resident_id)
    community = communities.of_building(conn, row["building_id"]) if row is not None else None
    if community is None or row is None:
        return None
    stewards = [
        contact(c, now) for c in doors.behind(conn, row["building_id"]) if c["role"] == Role.STEWARD
    ]
    return {
        "id": row["id"], "building": row["building_number"], "floor": row["floor"],
        "label": row["label"], "community": community.name, "now_ms": to_ms(now),
        "street": addresses.building(conn, row["building_id"]),
        "tz": str(community.zone), "stewards": stewards,
        "duty": [contact(c, now) for c in doors.duty(conn, community.id)],
        "rounds": [
            {"name": p.name, "opens": p.opens.strftime("%H:%M"), "due": p.due.strftime("%H:%M")}
            for p in community.plans
        ],
    }  # fmt: skip
