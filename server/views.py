"""The read side: the same picture for the wall, the live feed and programs. Changes nothing.

Instants are epoch milliseconds on the server's clock. Phones are masked; no name stands on a
façade, and a resident's name only on an SOS that staff handle.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from server import past_rounds
from server.core import houses, rounds, windows
from server.core.access import EVERYWHERE, Scope
from server.core.emergency import emergency, read_out
from server.core.houses import sign
from server.core.ladder import Roster
from server.core.messages import Subject, place
from server.core.risk import age_on
from server.core.texts import WORDS
from server.core.windows import Window
from server.core.words import Kind, State
from server.service.answering import masked
from server.service.sight import canary_age_s
from server.store import (
    addresses,
    alerts,
    communities,
    journal,
    outbox,
    people,
    places,
    rosters,
    signals,
    wall,
)
from server.store import sight as sight_store
from server.store.communities import CommunityFacts
from server.tables import to_ms

Json = dict[str, Any]
MOST_ALERTS = 1000
NOWHERE = {"zh": "", "en": ""}
WHOLE = ("round_opened", "rounds_set")
"""Entries that change every window at once."""
URGENCY = {
    (Kind.SOS, State.OPEN): 0, (Kind.SOS, State.ACCEPTED): 1, (Kind.SOS, State.ON_SCENE): 2,
    (Kind.MISSED, State.OPEN): 3, (Kind.MISSED, State.ACCEPTED): 4,
    (Kind.MISSED, State.ON_SCENE): 5,
}  # fmt: skip


def _ms(at: datetime | None) -> int | None:
    return to_ms(at) if at is not None else None


def window_states(
    conn: Connection, now: datetime, flat_ids: Collection[int] | None = None
) -> dict[int, Window]:
    """Flat id → what its window shows now, by the rounds of its house's community."""
    current = {  # each resident is awaited by the rounds of their own class
        (community.id, risk_class):
            rounds.current(community.plans_of(risk_class), community.zone, now)
        for community in communities.every(conn)
        for risk_class in rounds.CLASSES
    }
    sos, missed = wall.sos_states(conn), wall.missed_residents(conn)
    by_flat: defaultdict[int, list[Window]] = defaultdict(list)
    for r in wall.residents(conn, flat_ids):
        facts = windows.Facts(
            watched=r["state"] == "active",
            has_terminal=r["terminal_id"] is not None,
            next_due_at=r["next_due_at"],
            missed=r["id"] in missed,
            sos_open=sos.get(r["id"]) is State.OPEN,
            sos_claimed=sos.get(r["id"]) in (State.ACCEPTED, State.ON_SCENE),
            device_lost=r["status"] == "lost",
        )
        round_ = current[r["community_id"], r["risk_class"]]
        by_flat[r["flat_id"]].append(windows.window(facts, round_, now))
    return {flat_id: windows.worst(states) for flat_id, states in by_flat.items()}


def building_worst(states: Sequence[Window]) -> str:
    """The worst state of a building, "ok" when nothing needs anybody."""
    worst = windows.worst(list(states))
    if worst is Window.LATE_OFFLINE:
        return Window.LATE.value  # for a house, late is late
    return "ok" if worst in (Window.NONE, Window.AWAY, Window.CHECKED) else worst.value


def round_view(
    conn: Connection, now: datetime, community: CommunityFacts, houses_: Collection[int] | None
) -> Json:
    """A community's running or next round with its progress in these of its houses (None: in all
    that there are, where it is alone)."""
    current = rounds.current(community.plans, community.zone, now)
    expected, checked = wall.round_progress(conn, current.deadline, current.classes, houses_)
    return {
        "name": current.name,
        "opens_at": to_ms(current.opens_at),
        "prompt_at": to_ms(current.prompt_at),
        "due_at": to_ms(current.due_at),
        "state": "open" if current.opens_at <= now else "waiting",
        "expected": expected,
        "checked": checked,
        "classes": sorted(current.classes),
    }


def rounds_view(
    conn: Connection, now: datetime, scope: Scope = EVERYWHERE,
    seen: Sequence[CommunityFacts] | None = None,
) -> Json:
    """`round`: the running or next round of the community in sight, or of the first of several;
    where they are several also `communities`, each with its zone, its round and the ids of its
    houses that are in sight. `seen`: the communities in sight, where the caller knows them."""
    in_sight = places.in_sight(conn, scope) if seen is None else seen
    if not in_sight:
        return {"round": None}
    if len(in_sight) == 1:
        # Where it is alone in the installation too, no list of houses is needed.
        return {"round": round_view(conn, now, in_sight[0], scope.buildings)}
    theirs: dict[int, list[int]] = {c.id: [] for c in in_sight}
    for house in wall.standing(conn):
        if scope.shows(house["id"]):
            theirs[house["community_id"]].append(house["id"])
    each = [
        {"id": c.id, "name": c.name, "tz": str(c.zone),
         "round": round_view(conn, now, c, theirs[c.id]), "building_ids": theirs[c.id]}
        for c in in_sight
    ]
    return {"round": each[0]["round"], "communities": each}


def counts(conn: Connection, scope: Scope = EVERYWHERE) -> Json:
    """What needs a person, by kind: alerts; of missed rounds the homes nobody has seen to."""
    found = wall.open_counts(conn, scope.buildings)
    claimed = (State.ACCEPTED, State.ON_SCENE)
    return {
        "sos": found.get((Kind.SOS, State.OPEN), 0),
        "claimed": sum(found.get((Kind.SOS, s), 0) for s in claimed),
        "missed": wall.homes_missed(conn, scope.buildings),
        "faults": sum(n for (kind, _), n in found.items() if kind == Kind.FAULT),
    }


def alarms_10min(conn: Connection, now: datetime, scope: Scope = EVERYWHERE) -> int:
    """How many alarms came up in the last ten minutes (EEMUA 191's measure of a desk's load)."""
    return wall.opened_since(conn, now - timedelta(minutes=10), scope.buildings)


REHEARSAL = {"zh": "演练 ", "en": "REHEARSAL "}
"""In front of each address of a rehearsal, on every screen."""


def house_name(number: int, community: str, lang: str) -> str:
    """A house as people call it, behind its community's name where that has to be said."""
    return houses.beside(community, WORDS[lang]["building"].format(number=sign(number)), lang)


class Cards:
    """Alerts as the queue shows them; loads what all of them need in a few queries."""

    def __init__(
        self, conn: Connection, stored: Sequence[alerts.Stored], now: datetime,
        scope: Scope = EVERYWHERE,
    ) -> None:
        """`scope`: of whoever reads them. To a reader of several communities each house is shown
        with its community's name."""
        self._now = now
        every = communities.every(conn)
        self._communities = {c.series: c.name for c in every}
        self._streets = addresses.buildings(conn)
        ids = [s.id for s in stored]
        buildings = wall.buildings(conn)
        self._names = places.beside(places.seen(every, buildings, scope))
        self._numbers = {b["id"]: b["number"] for b in buildings}
        self._rehearsing = {b["id"] for b in buildings if b["rehearsal"]}
        residents = {s.row["resident_id"] for s in stored if s.row["resident_id"]}
        self._residents = {r: people.resident(conn, r) for r in residents}
        self._messages: defaultdict[int, list[RowMapping]] = defaultdict(list)
        for message in outbox.for_alerts(conn, ids):
            self._messages[message["alert_id"]].append(message)
        climbing = [s for s in stored if s.alert.ladder is not None]
        self._rosters = rosters.rosters(
            conn, {(s.row["building_id"], s.row["resident_id"]) for s in climbing}, now
        )
        self.cards = [
            self._card(s)
            for s in sorted(stored, key=lambda s: (URGENCY.get((s.alert.kind, s.alert.state), 9),
                                                   s.id))
        ]  # fmt: skip

    def _card(self, stored: alerts.Stored) -> Json:
        row, alert = stored.row, stored.alert
        resident = self._residents.get(row["resident_id"])
        number = self._numbers.get(row["building_id"])
        # Of a terminal left behind after an end nobody knows who presses it.
        living = resident if resident and resident["state"] != "ended" else None
        community = houses.of(self._names, number) if number else ""
        subject = Subject(
            building=sign(number or 0),
            community=community,
            floor=resident["floor"] if resident else None,
            label=resident["label"] if resident else None,
            age=age_on(living["birth_date"], self._now.date()) if living else None,
            lives_alone=living is not None and living["living"] == "alone",
        )
        address = place(subject, "zh") if number else (row["terminal_id"] or "")
        address_en = place(subject, "en") if number else (row["terminal_id"] or "")
        house = {lang: house_name(number, community, lang) if number else None
                 for lang in ("zh", "en")}  # fmt: skip
        rehearsal = row["building_id"] in self._rehearsing
        if rehearsal:
            address, address_en = REHEARSAL["zh"] + address, REHEARSAL["en"] + address_en
            house = {lang: f"{REHEARSAL[lang]}{name}" for lang, name in house.items()}
        lead = alert.responders[0] if alert.responders else None
        is_sos = alert.kind is Kind.SOS
        return {
            "id": stored.id, "kind": alert.kind.value, "state": alert.state.value,
            "version": row["version"], "code": row["code"], "fall": alert.fall,
            "building_id": row["building_id"],
            "building": house["zh"], "building_en": house["en"],
            "flat_ids": [resident["flat_id"]] if resident else
                        [i.flat_id for i in alert.items if i.outcome is None],
            "address": address, "address_en": address_en,
            "title": f"{_title(row, alert.fall)} {address}".strip(),
            "resident": resident["name"] if resident and is_sos else None,
            "resident_id": row["resident_id"],
            "resident_state": resident["state"] if resident else None,
            "age": subject.age,
            "lives_alone": subject.lives_alone if living else None,
            "test": row["test"], "rehearsal": rehearsal, "late": row["late"],
            "opened_ms": to_ms(alert.opened_at),
            "responder": {"name": lead.name, "role": lead.role.value} if lead else None,
            "responders": [
                {"name": r.name, "role": r.role.value, "person_id": r.person_id,
                 "accepted_ms": to_ms(r.accepted_at), "on_scene_ms": _ms(r.on_scene_at)}
                for r in alert.responders
            ],
            "accepted_ms": to_ms(lead.accepted_at) if lead else None,
            "on_scene_ms": min(
                (to_ms(r.on_scene_at) for r in alert.responders if r.on_scene_at), default=None
            ),
            "lease_until_ms": _ms(alert.lease_until),
            "next_step": self._next_step(stored), "exhausted": alert.exhausted,
            "ladder_version": alert.ladder.version if alert.ladder else None,
            "presses": alert.presses, "outcome": alert.outcome.value if alert.outcome else None,
            "note": alert.note, "resolved_ms": _ms(alert.resolved_at),
            "resolved_by": alert.resolved_by,
            "cancelled_by_resident": alert.cancelled_by_resident,
            "told": [
                {"name": m["name"], "role": m["role"], "phone_masked": masked(m["phone"]),
                 "person_id": m["person_id"], "channel": m["channel"], "state": m["state"],
                 "template": m["template"], "step": m["step"], "error": m["error"],
                 "at_ms": to_ms(m["updated_at"] or m["created_at"])}
                for m in self._messages[stored.id]
            ],
            "items": [
                {"resident_id": i.resident_id, "flat_id": i.flat_id, "label": i.label,
                 "state": "open" if i.outcome is None else
                          "cleared" if i.outcome.value == "checked_in" else i.outcome.value,
                 "after_absence_ms": _ms(i.after_absence)}
                for i in alert.items
            ],
            "emergency": self._emergency(stored, subject),
            "fault": row["fault"], "detail": row["detail"], "terminal_id": row["terminal_id"],
            "actions": _actions(alert.kind, alert.state),
        }  # fmt: skip

    def _emergency(self, stored: alerts.Stored, subject: Subject) -> Json | None:
        """When the desk is to call 120, and the words to read out; None for what is no SOS or is
        closed. `begins_ms` stands while the SOS is as it is: whoever comes to the door stops it."""
        alert = stored.alert
        if alert.kind is not Kind.SOS or alert.state is State.RESOLVED:
            return None
        clock = emergency(alert, self._now, test=stored.row["test"])
        prompt = clock.prompts(self._now)
        return {
            "prompt": prompt,
            "since_ms": _ms(clock.begins_at) if prompt else None,
            "begins_ms": _ms(clock.begins_at),
            "read_out": self._read_out(stored, subject) if subject.label else None,
            "no_street": not any(self._streets.get(stored.row["building_id"], NOWHERE).values()),
        }

    def _read_out(self, stored: alerts.Stored, subject: Subject) -> dict[str, str]:
        address = self._streets.get(stored.row["building_id"], NOWHERE)
        number = self._numbers[stored.row["building_id"]]
        community = houses.of(self._communities, number)
        return read_out(subject, community, address, fall=stored.alert.fall)

    def _next_step(self, stored: alerts.Stored) -> Json | None:
        alert = stored.alert
        if alert.next_step_at is None or alert.ladder is None:
            return None
        index = min(alert.step, len(alert.ladder.steps) - 1)
        key = (stored.row["building_id"], stored.row["resident_id"])
        roster = self._rosters.get(key, Roster())
        names = [p.name for p in roster.people(alert.ladder.steps[index].targets)]
        return {
            "at_ms": to_ms(alert.next_step_at),
            "step": index,
            "targets": [t.value for t in alert.ladder.steps[index].targets],
            "text": "、".join(names),
        }


def _title(row: Mapping[Any, Any], fall: bool) -> str:
    if row["kind"] == Kind.SOS:
        return "跌倒" if fall else "求助"
    return "未报平安" if row["kind"] == Kind.MISSED else "故障"


def _actions(kind: Kind, state: State) -> list[str]:
    if state is State.RESOLVED:
        return []
    if kind is Kind.FAULT:
        return ["resolve"]
    some = {
        State.OPEN: ["accept", "escalate"],
        State.ACCEPTED: ["on_scene", "escalate"],
        State.ON_SCENE: [],
    }[state]
    return [*some, "resolve"]


def unresolved(conn: Connection, now: datetime, scope: Scope = EVERYWHERE) -> list[Json]:
    """Every alert that still needs somebody, worst first."""
    found = alerts.search(
        conn, state="unresolved", building_ids=scope.buildings, common=True, limit=MOST_ALERTS
    )
    return Cards(conn, found, now, scope).cards


def snapshot(
    conn: Connection, now: datetime, speed: float, seq: int, scope: Scope = EVERYWHERE
) -> Json:
    """The whole picture at one instant, of the houses in `scope`; `seq`, settled before, is where
    the feed goes on. What was committed since may be in the picture too, and comes again
    harmlessly."""
    in_sight = places.in_sight(conn, scope)
    community = in_sight[0] if in_sight else None
    names = places.beside(in_sight)
    states = window_states(conn, now)
    watched = {r["flat_id"] for r in wall.residents(conn) if r["terminal_id"] is not None}
    doors: defaultdict[int, list[RowMapping]] = defaultdict(list)
    for flat in wall.flats(conn):
        doors[flat["building_id"]].append(flat)
    zone = community.zone if community else None
    weeks = past_rounds.facades(conn, now)
    return {
        "now": now.astimezone(zone).isoformat(timespec="seconds"),
        "now_ms": to_ms(now),
        "speed": speed,
        "seq": seq,
        "community": {"name": community.name, "tz": str(community.zone)} if community else None,
        **rounds_view(conn, now, scope, in_sight),
        "counts": counts(conn, scope),
        "alarms_10min": alarms_10min(conn, now, scope),
        "buildings": [
            {
                "id": b["id"], "number": b["number"], "rehearsal": b["rehearsal"],
                "name": (REHEARSAL["zh"] if b["rehearsal"] else "")
                        + house_name(b["number"], houses.of(names, b["number"]), "zh"),
                "name_en": (REHEARSAL["en"] if b["rehearsal"] else "")
                           + house_name(b["number"], houses.of(names, b["number"]), "en"),
                "worst": building_worst([states.get(f["id"], Window.NONE) for f in doors[b["id"]]]),
                "rounds": weeks.get(b["id"], ""),
                "stairwells": sorted({f["stairwell"] for f in doors[b["id"]]}),
                "flats": [
                    {"id": f["id"], "label": f["label"], "floor": f["floor"],
                     "stairwell": f["stairwell"], "terminal": f["id"] in watched,
                     "state": states.get(f["id"], Window.NONE).value}
                    for f in doors[b["id"]]
                ],
            }
            for b in wall.standing(conn)
            if scope.shows(b["id"])
        ],
        "alerts": unresolved(conn, now, scope),
    }  # fmt: skip


def entry(row: RowMapping) -> Json:
    """One journal entry."""
    return {
        "seq": row["seq"], "at_ms": to_ms(row["at"]), "kind": row["kind"],
        "building_id": row["building_id"], "flat_id": row["flat_id"],
        "alert_id": row["alert_id"], "data": row["data"],
    }  # fmt: skip


def _concerns(entry_: RowMapping, scope: Scope) -> bool:
    """Whether a journal entry is for those who answer for these houses. What names no house is
    for them when it is an alert of no house, or the common round; who logged in is not."""
    if scope.buildings is None or entry_["building_id"] is not None:
        return scope.shows(entry_["building_id"])
    return entry_["alert_id"] is not None or entry_["kind"] in WHOLE


def changes(
    conn: Connection, now: datetime, after: int, limit: int, upto: int,
    scope: Scope = EVERYWHERE,
) -> Json | None:
    """What changed since journal number `after`, up to `upto`: the entries, and the *current*
    state of every window, building and alert they touch, so that applying a change twice is
    harmless.

    An opened round, or another plan, changes every window at once. None when nothing changed;
    without `entries` when nothing did among the houses in `scope`.
    """
    found = journal.after(conn, after, limit, upto)
    if not found:
        return None
    seq = found[-1]["seq"]
    entries = [e for e in found if _concerns(e, scope)]
    if not entries:
        return {"seq": seq, "entries": []}
    whole = any(e["kind"] in WHOLE for e in entries)
    over = whole or any(e["data"].get("alert_kind") == Kind.MISSED for e in entries)
    alert_ids = {e["alert_id"] for e in entries if e["alert_id"] is not None}
    touched = [
        s for s in alerts.load_many(conn, alert_ids) if scope.shows(s.row["building_id"])
    ]  # fmt: skip
    shown_ids = {s.id for s in touched}
    entries = [e for e in entries if e["alert_id"] is None or e["alert_id"] in shown_ids]
    flat_ids = {e["flat_id"] for e in entries if e["flat_id"] is not None}
    flat_ids |= {i.flat_id for s in touched for i in s.alert.items}
    buildings = {f["building_id"] for f in wall.flats(conn, flat_ids)} if flat_ids else set()
    near = None if whole else wall.flats_of_buildings(conn, buildings)
    doors = wall.flats(conn, near) if near or whole else []
    doors = [f for f in doors if scope.shows(f["building_id"])]
    states = window_states(conn, now, near) if near or whole else {}
    if scope.buildings is not None:
        states = {f["id"]: states[f["id"]] for f in doors if f["id"] in states}
    by_building: defaultdict[int, list[Window]] = defaultdict(list)
    for flat in doors:
        by_building[flat["building_id"]].append(states.get(flat["id"], Window.NONE))
    shown = states if whole else {f: states[f] for f in flat_ids if f in states}
    return {
        "seq": seq,
        "entries": [entry(e) for e in entries],
        "flats": {str(f): s.value for f, s in shown.items()},
        "buildings": {str(b): building_worst(s) for b, s in by_building.items()},
        "alerts": Cards(conn, touched, now, scope).cards,
        "counts": counts(conn, scope),
        **rounds_view(conn, now, scope),
        "rounds": {
            b: week for b, week in past_rounds.facades(conn, now).items() if scope.shows(b)
        } if over else {},
    }  # fmt: skip


def sight(conn: Connection, now: datetime, speed: float) -> Json:
    """What the heartbeat tells of our own sight: the age of the newest canary that came through
    (real seconds), and since when we are blind, if we are."""
    row = sight_store.current(conn)
    blind = row if row is not None and row["ended_at"] is None else None
    age_s = canary_age_s(conn, now, timedelta(seconds=1) * speed)
    return {
        "canary_age_s": None if age_s is None else round(age_s, 1),
        "blind_since": to_ms(blind["started_at"]) if blind is not None else None,
        "blind_part": blind["parts"][-1] if blind is not None else None,
    }


def blind_interval(row: RowMapping) -> Json:
    """One outage. `drained_ms`: from then on people were judged again."""
    return {
        "id": row["id"], "from_ms": to_ms(row["started_at"]), "to_ms": _ms(row["ended_at"]),
        "drained_ms": _ms(row["drained_at"]), "parts": row["parts"],
        "told_ms": _ms(row["told_at"]),
    }  # fmt: skip


def ingest_lag_ms(conn: Connection, now: datetime) -> int | None:
    """How long ago any gateway was last heard, in the clock's milliseconds; None when never."""
    heard = [g["last_heard_at"] for g in signals.gateways(conn)]
    return int((now - max(heard)).total_seconds() * 1000) if heard else None
