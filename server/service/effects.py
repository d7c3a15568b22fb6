"""Saves a decision together with everything that follows from it: the one door to the outbox."""

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping

from server.core import alerts as core
from server.core import houses, speech
from server.core.emergency import told_to
from server.core.houses import sign
from server.core.ladder import Person, Roster
from server.core.messages import Subject, compose, language
from server.core.risk import age_on
from server.core.texts import WORDS
from server.core.words import Channel, Delivery, Kind, Outcome, Role, Template
from server.database import Tx
from server.pinyin import spelt
from server.service import measuring
from server.service.house import PLACEHOLDER, House, digest_of
from server.store import (
    addresses,
    alerts,
    commands,
    communities,
    journal,
    outbox,
    people,
    places,
    rosters,
    signals,
)
from server.tables import to_ms

log = logging.getLogger(__name__)
LINK_LIFE = timedelta(hours=12)
HELP_TEXT_LIFE = timedelta(minutes=10)
"""After this, "help is coming" would be a stale promise on a terminal that was off the air."""
SOS_LANE, ROUND_LANE = 0, 1
DESK_WORDS = {Role.OPERATOR: "operator", Role.DUTY: "operator", Role.STREET: "street",
              Role.DISTRICT: "district", Role.REHEARSAL: "operator"}  # fmt: skip


def roster_of(tx: Tx, row: Mapping[Any, Any]) -> Roster:
    """Who stands behind each target for this alert's door, now. Where there is no door, as of a
    terminal that nobody was given, the desks; of a fault that has none, nobody."""
    if row.get("building_id") is None and row.get("kind") == Kind.FAULT:
        return Roster()
    key = (row.get("building_id"), row.get("resident_id"))
    return rosters.rosters(tx.conn, [key], tx.now)[key]


def situation(tx: Tx, stored: alerts.Stored) -> core.Situation:
    """The facts `core.alerts.decide` judges by."""
    told = outbox.told(tx.conn, [stored.id])[stored.id]
    roster = roster_of(tx, stored.row)
    return core.Situation(stored.alert, roster, told.best, told.tried, told.waiting)


def subject_of(tx: Tx, stored: alerts.Stored, link: str = "") -> Subject:
    """What messages about this alert may say, and the `link` they may have."""
    row = stored.row
    waited = int((tx.now - row["opened_at"]).total_seconds() // 60)
    # A worklist speaks of the building and its flats, also when it is one resident's own.
    if row["resident_id"] is not None and row["kind"] != Kind.MISSED:
        resident = _resident(tx, row["resident_id"])
        assert resident is not None
        ended, born = resident["state"] == "ended", resident["birth_date"]
        return Subject(
            building=sign(resident["building_number"]),
            floor=resident["floor"],
            label=resident["label"],
            # Of a terminal left behind after an end nobody knows who presses it.
            age=age_on(born, tx.now.date()) if born and not ended else None,
            lives_alone=resident["living"] == "alone" and not ended,
            code=row["code"],
            waited_min=waited,
            test=row["test"],
            late=row["late"],
            link=link,
        )
    if row["building_id"] is None:
        door = _door_behind(tx, row["terminal_id"])
        return Subject(
            building=sign(door["building_number"]) if door else 0,
            floor=door["floor"] if door else None,
            label=door["label"] if door else None,
            terminal="" if door else row["terminal_id"],
            code=row["code"], waited_min=waited, test=row["test"], late=row["late"],
        )
    labels = tuple(dict.fromkeys(i.label for i in stored.alert.items if i.outcome is None))
    well = dict.fromkeys(
        i.label for i in stored.alert.items if i.outcome is Outcome.CHECKED_IN
    )
    return Subject(
        building=sign(_number(tx, row["building_id"])),
        code=row["code"],
        labels=labels,
        waited_min=waited,
        test=row["test"],
        well=tuple(label for label in well if label not in labels),  # of two, one is still awaited
        link=link,
    )


def community(
    tx: Tx, building_id: int | None, community_id: int | None = None
) -> communities.CommunityFacts | None:
    """The community of a building (of None, the first), read once a transaction; None while the
    register is empty. `community_id`: where the caller knows it, one of many houses is no look at
    each of them."""
    of_house = ("community of", building_id)
    if of_house not in tx.memo:
        if community_id is None:
            tx.memo[of_house] = communities.of_building(tx.conn, building_id)
        else:
            itself = ("community", community_id)
            if itself not in tx.memo:
                tx.memo[itself] = communities.by_id(tx.conn, community_id)
            tx.memo[of_house] = tx.memo[itself]
    found: communities.CommunityFacts | None = tx.memo[of_house]
    return found


def _door_behind(tx: Tx, terminal_id: str) -> RowMapping | None:
    """Where a terminal stands whose press could not be read; of one that nobody has, nowhere."""
    known = signals.terminals(tx.conn, [terminal_id]).get(terminal_id)
    if known is None or known.resident_id is None:
        return None
    return _resident(tx, known.resident_id)


def _flat(tx: Tx, resident_id: int | None) -> int | None:
    if resident_id is None:
        return None
    if (known := tx.memo.get(flat_of(resident_id))) is not None:
        return int(known)
    resident = _resident(tx, resident_id)
    return resident["flat_id"] if resident else None


def flat_of(resident_id: int) -> tuple[str, int]:
    """Under this a transaction's memo has a resident's flat, where the caller knows it: one of many
    residents is no look at each of them."""
    return "flat of", resident_id


def _resident(tx: Tx, resident_id: int) -> RowMapping | None:
    """Door, age and living situation: read once a transaction, as nothing here changes them."""
    key = ("resident", resident_id)
    if key not in tx.memo:
        try:
            tx.memo[key] = people.resident(tx.conn, resident_id)
        except alerts.CORRUPT:
            log.exception("of resident %s only the door can be read", resident_id)
            tx.memo[key] = people.door_of(tx.conn, resident_id)
        else:
            _noted(tx, tx.memo[key])
    found: RowMapping | None = tx.memo[key]
    return found


def _noted(tx: Tx, resident: RowMapping | None) -> None:
    """What a resident's row says of the house as well."""
    if resident is not None:
        tx.memo["building", resident["building_id"]] = resident["building_number"]
        tx.memo["communities"] = resident["communities"]


def _number(tx: Tx, building_id: int) -> int:
    key = ("building", building_id)
    if key not in tx.memo:
        tx.memo[key], tx.memo["communities"] = people.number_beside(tx.conn, building_id)
    return int(tx.memo[key])


def _names(tx: Tx) -> dict[int, str]:
    """Series → name of every community; empty where there is one, and then nothing is asked."""
    if "names" not in tx.memo:
        alone = tx.memo.get("communities") == 1
        tx.memo["names"] = {} if alone else places.names(tx.conn)
    found: dict[int, str] = tx.memo["names"]
    return found


def of_several(tx: Tx, building_id: int | None, person_ids: Collection[int]) -> frozenset[int]:
    """Whoever of these people answers for houses or desks of more than one community: in front of
    a house they read the name of its community. Of no house there is none to read."""
    if building_id is None:
        return frozenset()
    _number(tx, building_id)
    return places.of_several(tx.conn, person_ids) if _names(tx) else frozenset()


def community_name(tx: Tx, building_id: int, lang: str) -> str:
    """What stands in front of this house for whoever has to be told in which community it is; empty
    where there is one community."""
    name = houses.of(_names(tx), _number(tx, building_id))
    return spelt(name) if name and language(lang) == "en" else name


def named(tx: Tx, subject: Subject, building_id: int | None, person: Mapping[Any, Any]) -> Subject:
    """The subject as this person reads it: with the community's name, if they answer for several.
    `person`: a row of `person`."""
    if building_id is None or not of_several(tx, building_id, [person["id"]]):
        return subject
    return replace(subject, community=community_name(tx, building_id, person["lang"]))


def commit(
    tx: Tx, house: House, stored: alerts.Stored, decision: core.Decision, **why: Any
) -> alerts.Stored:
    """Save the decision and its effects; `why` goes into the journal (who, which outcome …)."""
    if decision.alert == stored.alert and not decision.effects:
        return stored
    saved = alerts.save(tx.conn, stored, decision.alert)
    measuring.decided(tx, stored, decision.alert)
    entry_(tx, saved, decision.reason.value, **why)
    enact(tx, house, saved, decision.effects)
    return saved


def entry_(tx: Tx, stored: alerts.Stored, kind: str, **data: Any) -> None:
    """Note one journal entry about an alert."""
    journal.append(tx, [entry_of(tx, stored, kind, **data)])


def entry_of(tx: Tx, stored: alerts.Stored, kind: str, **data: Any) -> dict[str, Any]:
    """One journal entry about an alert, of what is not None."""
    row = stored.row
    said = {"alert_kind": row["kind"], "state": stored.alert.state.value}
    for name, value in data.items():
        if value is not None:
            said[name] = value
    return {
        "kind": kind, "alert_id": row["id"], "building_id": row["building_id"],
        "flat_id": _flat(tx, row["resident_id"]), "data": said,
    }  # fmt: skip


def enact(
    tx: Tx, house: House, stored: alerts.Stored, effects: tuple[core.Effect, ...]
) -> None:
    """Queue what follows from a decision, in this transaction."""
    for effect in effects:
        match effect:
            case core.Tell():
                pass  # below, all at once
            case core.HelpComing(responder):
                _command(tx, stored, _help_coming(stored, responder, tx.now), HELP_TEXT_LIFE)
            case core.TellTerminalResolved():
                _command(tx, stored, {"cmd": "resolved"}, HELP_TEXT_LIFE)
            case core.CancelQueued():
                outbox.cancel_queued(tx.conn, stored.id, tx.now, outbox.MOOT)
            case core.WithdrawNews():
                outbox.cancel_queued(tx.conn, stored.id, tx.now, [Template.FEWER])
    tell(tx, house, tells_of(tx, house, stored, effects))


def tells_of(
    tx: Tx, house: House, stored: alerts.Stored, effects: tuple[core.Effect, ...]
) -> list[tuple[alerts.Stored, core.Tell, Subject]]:
    """The messages that follow from a decision, each with what it may say."""
    told = [e for e in effects if isinstance(e, core.Tell)]
    if not told:
        return []
    # The page behind the link is about a door.
    has_page = house.ways.two_way and stored.row["building_id"] is not None
    subject = subject_of(tx, stored, house.link() if has_page else "")
    return [(stored, _as_told(tx, stored, effect), subject) for effect in told]


def _as_told(tx: Tx, stored: alerts.Stored, effect: core.Tell) -> core.Tell:
    test = stored.row["test"]
    template = told_to(effect.template, effect.person.role, stored.alert, tx.now, test=test)
    return effect if template is effect.template else replace(effect, template=template)


def tell(
    tx: Tx, house: House, tells: Sequence[tuple[alerts.Stored, core.Tell, Subject]]
) -> None:
    """Queue messages about alerts, each in the recipient's language, with their own link. Where no
    call can be placed, a call is an SMS instead (and the unique key makes two of them one)."""
    links, rows, lanes = [], [], set()
    ended = _ended_links(tx, house, tells)
    several = _several(tx, tells)
    calls = house.ways.calls
    bodies: dict[tuple[object, ...], str] = {}
    for stored, effect, subject in tells:
        person, alert_id = effect.person, stored.id
        channel = effect.channel if calls else Channel.SMS
        # Two stewards with one language read the same words; only the link's token is their own.
        city = _city(tx, stored, person.role, effect.template)
        linked = (alert_id, person.id) not in ended
        near = _near(tx, stored, person, several)
        wording = (alert_id, channel, effect.template, person.lang, effect.about, city is None,
                   near, linked)  # fmt: skip
        if wording not in bodies:
            said = replace(subject, community=near) if near else subject
            bodies[wording] = _body(house, effect, channel, said, city, linked=linked)
        body = bodies[wording]
        if PLACEHOLDER in body:
            digest = digest_of(house.token(alert_id, person.id))
            links.append((digest, alert_id, person.id, person.role.value, tx.now + LINK_LIFE))
        lane = SOS_LANE if stored.alert.kind is Kind.SOS else ROUND_LANE
        lanes.add(lane)
        due_at = effect.not_before or tx.now
        rows.append({
            "alert_id": alert_id,
            "person_id": person.id,
            "role": person.role.value,
            "step": effect.step,
            "attempt": effect.attempt,
            "channel": channel.value,
            "template": effect.template.value,
            "lane": lane,
            "phone": person.phone,
            "body": body,
            "due_at": due_at,
            "created_at": due_at,  # one that is to wait is not stuck
        })  # fmt: skip
    alerts.add_links(tx.conn, links)
    queued = outbox.enqueue_many(tx.conn, rows)
    entries = [
        entry_of(
            tx, stored, "message_queued", message_id=message_id, template=row["template"],
            role=row["role"], step=row["step"], delivery=Delivery.QUEUED.value,
            channel=row["channel"],
        )
        for (stored, _, _), row, message_id in zip(tells, rows, queued, strict=True)
        if message_id is not None
    ]  # fmt: skip
    if entries:
        journal.append(tx, entries)
        tx.queued(*lanes)


def _ended_links(
    tx: Tx, house: House, tells: Sequence[tuple[alerts.Stored, core.Tell, Subject]]
) -> set[tuple[int, int]]:
    """Alerts and persons whose link has ended. None is renewed, so that no SMS may lead to it any
    more. Nothing is asked while no link of these alerts can be so old."""
    old = {
        digest_of(house.token(stored.id, effect.person.id)): (stored.id, effect.person.id)
        for stored, effect, _ in tells if stored.alert.opened_at + LINK_LIFE < tx.now
    }  # fmt: skip
    return {old[digest] for digest in alerts.ended_links(tx.conn, list(old), tx.now)}


def _several(
    tx: Tx, tells: Sequence[tuple[alerts.Stored, core.Tell, Subject]]
) -> frozenset[int]:
    """Whom to tell the community's name, of all of these in one look."""
    people_ = {e.person.id for s, e, _ in tells if s.row["building_id"] is not None}
    return places.of_several(tx.conn, people_) if people_ and _names(tx) else frozenset()


def _near(tx: Tx, stored: alerts.Stored, person: Person, several: Collection[int]) -> str:
    """The name of the community for those who need it: who answers for several, and the offices
    above, to whom a house without an address in the city would be any house of that number."""
    building_id = stored.row["building_id"]
    far = person.role in (Role.STREET, Role.DISTRICT)
    if building_id is None or not (far or person.id in several):
        return ""
    return community_name(tx, building_id, person.lang)


def _city(
    tx: Tx, stored: alerts.Stored, role: Role, template: Template
) -> dict[str, str] | None:
    """The address in the city, for whom "building 11" says nothing: the offices above the
    community, and the emergency service that the care centre is to call."""
    far = role in (Role.STREET, Role.DISTRICT) or template is Template.CALL_120
    if not far or stored.row["building_id"] is None:
        return None
    return addresses.building(tx.conn, stored.row["building_id"])


def _body(
    house: House, effect: core.Tell, channel: Channel, subject: Subject,
    city: dict[str, str] | None, *, linked: bool,
) -> str:
    if channel is Channel.VOICE:
        return speech.call(effect.template, subject, effect.person.lang, city)
    lang = effect.person.lang
    if city:
        subject = replace(subject, city=city[language(lang)])
    if subject.link and not linked:
        subject = replace(subject, link="")
    return compose(effect.template, subject, lang, effect.about, house.ways)


def answer(
    tx: Tx, house: House, person: RowMapping, template: Template, subject: Subject,
    alert_id: int | None = None, about: str = "", lane: int = SOS_LANE,
) -> None:
    """Queue a plain answer to a person's SMS (which code? too late, not understood …), unless
    they have asked us not to write. `lane`: another one where it has nothing to do with an alert.
    """
    if person["opted_out_at"] is not None:
        return
    outbox.enqueue(
        tx.conn,
        alert_id=alert_id,
        person_id=person["id"],
        role="",
        step=-1,
        attempt=to_ms(tx.now),
        template=template.value,
        lane=lane,
        phone=person["phone"],
        body=compose(template, subject, person["lang"], about, house.ways),
        due_at=tx.now,
        created_at=tx.now,
    )
    tx.queued(lane)


def _help_coming(
    stored: alerts.Stored, responder: core.Responder, now: datetime
) -> dict[str, Any]:
    alert = stored.alert
    words = WORDS["zh"]
    # A neighbour is announced by name; of an office the resident knows the desk.
    desk = DESK_WORDS.get(responder.role)
    who = words[desk] if desk else responder.name
    left = (alert.lease_until - now) if alert.lease_until else timedelta(0)
    return {
        "cmd": "help_coming",
        "who": who,
        "eta_min": max(1, math.ceil(left.total_seconds() / 60)),
        "text": words["coming"].format(name=who),
    }


def _command(tx: Tx, stored: alerts.Stored, payload: dict[str, Any], life: timedelta) -> None:
    row = stored.row
    if row["terminal_id"] is None or row["boot"] is None or stored.alert.kind is not Kind.SOS:
        return  # only an event of a terminal has something to answer
    expires_at = tx.now + life
    commands.add(
        tx.conn,
        terminal_id=row["terminal_id"],
        alert_id=stored.id,
        payload={
            **payload, "exp": to_ms(expires_at), "ref": {"boot": row["boot"], "seq": row["seq"]},
        },
        created_at=tx.now,
        expires_at=expires_at,
        due_at=tx.now,
    )  # fmt: skip
    tx.wake("commands")


def person_of(roster: Roster, person_id: int) -> Person | None:
    """The roster's person with this id."""
    return next((p for p in roster.everyone() if p.id == person_id), None)
