"""The stewards' rounds, supervised: who reported, and which houses nobody has.

A house that nobody has reported is *one quiet entry a round* for staff, with numbers of buildings
and no names: it asks whether a steward is well and has the time, and must never become a list of
who did badly.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core import alerts as core
from server.core import rounds
from server.core.messages import Subject
from server.core.words import Fault, Kind, Role, State, Template
from server.database import Tx
from server.service import effects, raising
from server.service.house import House
from server.service.refusals import Refused, Unknown
from server.store import alerts, journal, people, walks
from server.tables import to_ms

Json = dict[str, Any]
REPORT_WITHIN = timedelta(minutes=60)
"""So long after a round's deadline a house may go unreported before staff see it."""
SHOWN = 14
"""Rounds in a strip: a week of two a day."""
WALKERS = frozenset({Role.STEWARD, Role.SUBSTITUTE})


def report(
    tx: Tx, house: House, building_id: int, *, by: str, via: str, person_id: int | None = None,
    round_: RowMapping | None = None,
) -> None:
    """Somebody says that this building was walked, in the round that opened last (or `round_`).
    Twice is as good as once. Raises Refused while no round has ever opened."""
    about = round_ or walks.round_at(tx.conn, tx.now)
    if about is None:
        raise Refused("no round has opened yet; report it once it has",
                      zh="还没有开始过巡楼,开始以后再报。")  # fmt: skip
    new = walks.report(
        tx.conn, round_id=about["id"], building_id=building_id, person_id=person_id, by=by,
        via=via, at=tx.now,
    )  # fmt: skip
    if new:
        journal.note(
            tx, "round_reported", building_id=building_id, round=about["name"],
            due=about["due_at"].isoformat(), by=by, via=via,
        )  # fmt: skip
        if about["tallied"] and about["next_at"] is None:
            _tell_of(tx, house, about)


def report_by_sms(tx: Tx, house: House, person: RowMapping, number: int | None) -> bool:
    """A steward's "巡完": of their own house, or of `number` where they walk that one too. False
    when they walk none: then it is no report, and a person must read it."""
    mine = walks.houses_of(tx.conn, person["id"])
    if number is not None:
        chosen = [h for h in mine if h["number"] == number]
    else:
        chosen = [h for h in mine if h["role"] == Role.STEWARD] or list(mine[:1])
    if not chosen:
        return False
    chosen = list({h["id"]: h for h in chosen}.values())
    for h in chosen:
        try:
            report(tx, house, h["id"], by=person["name"], via="sms", person_id=person["id"])
        except Refused:
            return False
    lang = person["lang"]
    labels = tuple(f"{h['number']}栋" if lang != "en" else str(h["number"]) for h in chosen)
    effects.answer(tx, house, person, Template.ROUND_REPORTED, Subject(building=0, labels=labels))
    return True


def settled(tx: Tx, house: House, stored: alerts.Stored, actor: core.Actor) -> None:
    """A worklist that a steward has walked to its end reports the round as well."""
    if stored.alert.kind is not Kind.MISSED or stored.alert.state is not State.RESOLVED:
        return
    if actor.role not in WALKERS:
        return
    round_ = walks.round_of(tx.conn, stored.row["round_due_at"])
    if round_ is not None:
        report(
            tx, house, stored.row["building_id"], by=actor.name, via="worklist",
            person_id=actor.person_id, round_=round_,
        )  # fmt: skip


def report_for(
    tx: Tx, house: House, number: int, *, who: str, person_id: int | None, why: str
) -> Json:
    """Staff report a building's round, for a steward who told them so or by themselves."""
    building = next((b for b in people.buildings(tx.conn) if b["number"] == number), None)
    if building is None:
        raise Unknown(f"there is no building {number}")
    name = who
    if person_id is not None:
        if building["id"] not in {h["id"] for h in walks.houses_of(tx.conn, person_id)}:
            raise Unknown(f"person {person_id} is no steward of building {number}")
        name = people.person(tx.conn, person_id)["name"]
    report(tx, house, building["id"], by=name, via="staff", person_id=person_id)
    journal.note(tx, "round_entered", building_id=building["id"], by=who, why=why)
    return {"building": number, "by": name}


def rounds_over(tx: Tx, house: House, limit: int) -> int:
    """Count who owed the rounds whose deadline has come, and look at those whose reports should
    have; returns how many rounds."""
    community = people.community(tx.conn)
    found = walks.due(tx.conn, tx.now, limit)
    for row in found:
        assert community is not None, "a round has a community"
        if not row["tallied"]:
            walks.tally(tx.conn, row["id"], _classes(community, row["name"]))
            walks.look_at(tx.conn, row["id"], row["deadline"] + REPORT_WITHIN)
        else:
            walks.look_at(tx.conn, row["id"], None)
            _tell_of(tx, house, row)
    return len(found)


def _classes(community: people.CommunityFacts, name: str) -> frozenset[str]:
    """The classes that owe the round of this name; all, where it is no longer in the plan."""
    return next((p.classes for p in community.plans if p.name == name), rounds.CLASSES)


def _tell_of(tx: Tx, house: House, round_: RowMapping) -> None:
    """Keep the round's one entry true: opened, shorter with each late report, closed with the
    last."""
    left = walks.unreported(tx.conn, round_["id"])
    about, what = str(to_ms(round_["due_at"])), Fault.ROUND_UNREPORTED
    if not left:
        raising.fault_over(tx, house, what, [about])
        return
    detail = "、".join(str(number) for number in left)  # numbers: read in either language
    subject = raising.subject(what, about)
    is_open = alerts.open_by_subject(tx.conn, [subject]).get(subject)
    if is_open is None:
        raising.fault(tx, house, what, about, detail=detail)
    elif is_open.row["detail"] != detail:
        alerts.set_facts(tx.conn, is_open.id, detail=detail)
        effects.entry_(tx, is_open, "detail_changed", detail=detail)


def strip(
    conn: Connection, now: datetime, building_id: int | None = None, limit: int = SHOWN
) -> list[Json]:
    """The last rounds, oldest first, and for each building (or one): residents owing, checked in,
    missed, and whether and by whom it was reported. A handful of queries, whatever the size."""
    community = people.community(conn)
    found = walks.last_rounds(conn, now, limit)
    if community is None or not found:
        return []
    ids = [r["id"] for r in found]
    owing: defaultdict[int, dict[int, tuple[int, int | None]]] = defaultdict(dict)
    for row in walks.tallies(conn, ids, building_id):
        owing[row["round_id"]][row["building_id"]] = (row["owing"], None)
    for r in found:
        if not r["tallied"]:
            live = walks.owing_now(conn, _classes(community, r["name"]), r["deadline"], building_id)
            owing[r["id"]].update(live)
    missed = walks.missed(conn, [r["deadline"] for r in found], building_id)
    said: defaultdict[tuple[int, int], list[RowMapping]] = defaultdict(list)
    for row in walks.reports(conn, ids, building_id):
        said[row["round_id"], row["building_id"]].append(row)
    numbers = {b["id"]: b["number"] for b in people.buildings(conn)}
    return [
        {
            "round_id": r["id"], "name": r["name"], "due_ms": to_ms(r["due_at"]),
            "deadline_ms": to_ms(r["deadline"]), "over": r["tallied"],
            "buildings": [
                {
                    "building_id": b, "building": numbers[b], "owing": owes,
                    "checked": owes - missed.get((r["deadline"], b), 0) if checked is None
                               else checked,
                    "missed": missed.get((r["deadline"], b), 0),
                    "reported": bool(said[r["id"], b]),
                    "reports": [
                        {"by": s["by"], "via": s["via"], "at_ms": to_ms(s["at"])}
                        for s in said[r["id"], b]
                    ],
                }
                for b, (owes, checked) in sorted(
                    owing[r["id"]].items(), key=lambda o: numbers[o[0]]
                )
            ],
        }
        for r in found
    ]  # fmt: skip


def of_resident(
    conn: Connection, resident_id: int, now: datetime, limit: int = SHOWN
) -> list[Json]:
    """What became of a resident's last rounds, oldest first: `checked`, `missed` (with `ended`,
    how), `waiting` (it still runs), `not_owed` (by today's class), or `unknown` (away, or we were
    blind). Raises Unknown."""
    row = people.resident(conn, resident_id)
    community = people.community(conn)
    if row is None or community is None:
        raise Unknown(f"there is no resident {resident_id}")
    found = walks.last_rounds(conn, now, limit)
    if not found:
        return []
    missed = walks.missed_by(conn, resident_id, [r["deadline"] for r in found])
    signs = walks.signs_of(conn, resident_id, found[0]["opens_at"])

    def outcome(r: RowMapping) -> str:
        if r["deadline"] in missed:
            return "missed"
        span = (r["opens_at"], r["deadline"])
        if any(span[0] <= at < span[1] for pair in signs for at in pair if at is not None):
            return "checked"
        if row["risk_class"] not in _classes(community, r["name"]):
            return "not_owed"
        awaited = row["state"] == "active" and row["next_due_at"] == r["deadline"]
        return "waiting" if awaited else "unknown"

    return [
        {
            "round_id": r["id"], "name": r["name"], "due_ms": to_ms(r["due_at"]),
            "outcome": outcome(r), "ended": missed.get(r["deadline"]),
        }
        for r in found
    ]
