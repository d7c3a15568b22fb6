"""The stewards' rounds, supervised: who reported, and which houses nobody has.

A house that nobody has reported is *one quiet entry a round* for staff, with numbers of buildings
and no names: it asks whether a steward is well and has the time, and must never become a list of
who did badly.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import RowMapping

from server.core import alerts as core
from server.core.houses import sign
from server.core.messages import Subject
from server.core.numbers import spans
from server.core.words import Fault, Kind, Role, State, Template
from server.database import Tx
from server.service import effects, raising
from server.service.house import House
from server.service.refusals import Refused, Unknown
from server.store import alerts, assigning, communities, journal, people, walks
from server.tables import to_ms

Json = dict[str, Any]
REPORT_WITHIN = timedelta(minutes=60)
"""So long after a round's deadline a house may go unreported before staff see it."""
WALKERS = frozenset({Role.STEWARD, Role.SUBSTITUTE})


def report(
    tx: Tx, house: House, building_id: int, *, by: str, via: str, person_id: int | None = None,
    round_: RowMapping | None = None,
) -> None:
    """Somebody says that this building was walked, in the round of its community that opened last
    (or `round_`).
    Twice is as good as once. Raises Refused while no round has ever opened."""
    community = effects.community(tx, building_id)
    assert community is not None, "a house has a community"
    about = round_ or walks.round_at(tx.conn, community.id, tx.now)
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
    """A steward's "巡完": of their own houses, in whichever community, or of `number` where they
    walk that one too. False when they walk none, or the number is on more than one of their houses:
    then it is no report, and a person must read it."""
    walked: dict[int, RowMapping] = {}
    for h in walks.houses_of(tx.conn, person["id"]):
        walked.setdefault(h["id"], h)  # of a house where they are both, as its steward
    mine = list(walked.values())
    if number is not None:
        chosen = [h for h in mine if sign(h["number"]) == number]
        if len(chosen) > 1:
            return False
    else:
        chosen = [h for h in mine if h["role"] == Role.STEWARD] or mine[:1]
    said = [h for h in chosen if _reported(tx, house, h["id"], person)]
    if not said:
        return False
    lang = person["lang"]
    signs = [sign(h["number"]) for h in said]
    labels = tuple(f"{n}栋" if lang != "en" else str(n) for n in signs)
    effects.answer(tx, house, person, Template.ROUND_REPORTED, Subject(building=0, labels=labels))
    return True


def _reported(tx: Tx, house: House, building_id: int, person: RowMapping) -> bool:
    """False while no round of that house's community has ever opened."""
    try:
        report(tx, house, building_id, by=person["name"], via="sms", person_id=person["id"])
    except Refused:
        return False
    return True


def settled(tx: Tx, house: House, stored: alerts.Stored, actor: core.Actor) -> None:
    """A worklist that a steward has walked to its end reports the round as well."""
    if stored.alert.kind is not Kind.MISSED or stored.alert.state is not State.RESOLVED:
        return
    if actor.role not in WALKERS:
        return
    community = effects.community(tx, stored.row["building_id"])
    assert community is not None, "a worklist is a house's"
    round_ = walks.round_of(tx.conn, community.id, stored.row["round_due_at"])
    if round_ is not None:
        report(
            tx, house, stored.row["building_id"], by=actor.name, via="worklist",
            person_id=actor.person_id, round_=round_,
        )  # fmt: skip


def report_for(
    tx: Tx, house: House, number: int, *, who: str, person_id: int | None, why: str
) -> Json:
    """Staff report a building's round, for a steward who told them so or by themselves."""
    building_id = assigning.building_id_of(tx.conn, number)
    if building_id is None:
        raise Unknown(f"there is no building {number}")
    name = who
    if person_id is not None:
        if building_id not in {h["id"] for h in walks.houses_of(tx.conn, person_id)}:
            raise Unknown(f"person {person_id} is no steward of building {number}")
        name = people.person(tx.conn, person_id)["name"]
    report(tx, house, building_id, by=name, via="staff", person_id=person_id)
    journal.note(tx, "round_entered", building_id=building_id, by=who, why=why)
    return {"building": number, "by": name}


def rounds_over(tx: Tx, house: House, limit: int) -> int:
    """Count who owed the rounds whose deadline has come, and look at those whose reports should
    have; returns how many rounds."""
    found = walks.due(tx.conn, tx.now, limit)
    facts = communities.by_ids(tx.conn, {row["community_id"] for row in found}) if found else {}
    for row in found:
        community = facts[row["community_id"]]
        if not row["tallied"]:
            walks.tally(tx.conn, row["id"], community.id, community.classes_of(row["name"]))
            walks.look_at(tx.conn, row["id"], row["deadline"] + REPORT_WITHIN)
        else:
            walks.look_at(tx.conn, row["id"], None)
            _tell_of(tx, house, row)
    return len(found)


def _tell_of(tx: Tx, house: House, round_: RowMapping) -> None:
    """Keep the round's one entry true: opened, shorter with each late report, closed with the
    last."""
    left = [sign(number) for number in walks.unreported(tx.conn, round_["id"])]
    community = communities.by_id(tx.conn, round_["community_id"])
    assert community is not None, "a round has a community"
    about, what = str(to_ms(round_["due_at"])), Fault.ROUND_UNREPORTED
    if community.series:  # two communities may have a round due at the same instant
        about += f":{community.series}"
    if not left:
        raising.fault_over(tx, house, what, [about])
        return
    detail = f"{community.name}: {spans(left)}" if community.series else spans(left)
    subject = raising.subject(what, about)
    is_open = alerts.open_by_subject(tx.conn, [subject]).get(subject)
    if is_open is None:
        raising.fault(tx, house, what, about, detail=detail)
    elif is_open.row["detail"] != detail:
        alerts.set_facts(tx.conn, is_open.id, detail=detail)
        effects.entry_(tx, is_open, "detail_changed", detail=detail)
