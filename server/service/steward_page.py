"""What a steward sees and does on the page in their SMS.

Before accepting: where, what, since when, who else. After: name, way in, key holder; on a worklist
whom to expect behind each door. Looking writes nothing: robots open links, and what one has opened
is no look of the person whose link it is. That the way in is open to somebody is journalled when
they accept (acting.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping

from server.core import alerts as core
from server.core.emergency import read_out
from server.core.messages import Subject, place
from server.core.risk import age_on
from server.core.words import UNREACHED, Kind, Outcome, Role, State
from server.database import Tx
from server.service import acting, effects
from server.service.house import House, digest_of
from server.store import addresses, alerts, journal, outbox, people
from server.tables import to_ms

AFTER_THE_END = timedelta(hours=2)
OUTCOMES = {
    "resolve:safe": Outcome.SAFE,
    "resolve:ambulance": Outcome.AMBULANCE,
    "resolve:false_alarm": Outcome.FALSE_ALARM,
}


@dataclass(frozen=True, slots=True)
class Page:
    """A link's alert and person."""

    stored: alerts.Stored
    actor: core.Actor
    lang: str
    expired: bool


def open_page(tx: Tx, token: str) -> Page:
    """What a token opens. Raises acting.Unknown when it opens nothing."""
    link = alerts.link(tx.conn, digest_of(token))
    stored = alerts.shown(tx.conn, link["alert_id"]) if link else None
    if link is None or stored is None:
        raise acting.Unknown("this link opens nothing")
    ended = stored.alert.resolved_at
    expired = tx.now > link["expires_at"] or (
        ended is not None and tx.now > ended + AFTER_THE_END
    )
    person = people.person(tx.conn, link["person_id"])
    actor = core.Actor(person["id"], person["name"], Role(link["role"]))
    return Page(stored, actor, person["lang"], expired)


def view(tx: Tx, token: str) -> dict[str, Any]:
    """The page's content; nothing is written. Raises acting.Unknown."""
    return _content(tx, open_page(tx, token))


def _running(page: Page) -> bool:
    return not page.expired and page.stored.alert.state is not State.RESOLVED


def _mine(page: Page) -> core.Responder | None:
    return next((r for r in page.stored.alert.responders if r.is_(page.actor)), None)


def _shows_way_in(page: Page) -> bool:
    """Whoever goes to one resident."""
    return _mine(page) is not None and _running(page) and acting.opens_a_home(page.stored)


def _content(tx: Tx, page: Page) -> dict[str, Any]:
    stored, alert = page.stored, page.stored.alert
    me, running = _mine(page), _running(page)
    mine = me is not None
    subject = effects.subject_of(tx, stored)
    here = {lang: place(s, lang) for lang, s in _as_read(tx, page, subject).items()}
    shown: dict[str, Any] = {
        "state": "expired" if page.expired else alert.state.value, "lang": page.lang,
        "kind": alert.kind.value, "fall": alert.fall, "test": stored.row["test"],
        "address": here["zh"], "address_en": here["en"], "title": here["zh"], "emergency": None,
        "opened_ms": to_ms(alert.opened_at), "now_ms": to_ms(tx.now), "code": stored.row["code"],
        "age": subject.age, "lives_alone": subject.lives_alone,
        "mine": mine, "my_state": _state_of(me) if me else None,
        "cancelled_by_resident": alert.cancelled_by_resident,
        "others": _others(tx, page),
        "outcome": alert.outcome.value if alert.outcome else None,
        "resident": None, "access": None, "key_holders": None, "risks": None, "phone": None,
        "items": _items(tx, page, known=mine and running),
        "actions": [] if page.expired else actions(alert, page.actor),
    }  # fmt: skip
    if running and alert.kind is Kind.SOS and subject.label is not None:
        shown["emergency"] = {"read_out": _read_out(tx, stored, subject)}
    if _shows_way_in(page):
        shown.update(_way_in(tx, page))
    return shown


def _as_read(tx: Tx, page: Page, subject: Subject) -> dict[str, Subject]:
    """The subject in each language, with the community's name for whoever answers for several."""
    building_id = page.stored.row["building_id"]
    return {
        lang: effects.named(tx, subject, building_id, {"id": page.actor.person_id, "lang": lang})
        for lang in ("zh", "en")
    }


def _state_of(responder: core.Responder) -> str:
    """How far somebody who goes has come, in the words of an alert's state."""
    return (State.ON_SCENE if responder.on_scene_at else State.ACCEPTED).value


def _items(tx: Tx, page: Page, *, known: bool) -> list[dict[str, Any]]:
    """The doors of a worklist. `known`: with whom to expect behind those where nobody has been. A
    list of who is old, alone and silent is for those who go; and neither name, way in nor
    telephone is on it: these open in an alert of one resident's own."""
    items = page.stored.alert.items
    waiting = [i.resident_id for i in items if i.outcome is None] if known else []
    people_ = people.behind_doors(tx.conn, waiting)
    return [
        {"resident_id": i.resident_id, "label": i.label,
         "state": "open" if i.outcome is None else i.outcome.value,
         **_expected(people_.get(i.resident_id), i, tx.now)}
        for i in items
    ]  # fmt: skip


def _expected(row: RowMapping | None, item: core.Item, now: datetime) -> dict[str, Any]:
    """Whom to expect behind a door, and since when nothing was heard of them."""
    if row is None:
        return {"age": None, "lives_alone": None, "heard_ms": None, "back_ms": None}
    heard, back = row["last_sign_at"], item.after_absence
    return {
        "age": age_on(row["birth_date"], now.date()),
        "lives_alone": row["living"] == "alone",
        "heard_ms": to_ms(heard) if heard else None,
        "back_ms": to_ms(back) if back else None,
    }


def _read_out(tx: Tx, stored: alerts.Stored, subject: Subject) -> dict[str, str]:
    """What this steward reads out if they call 120 themselves."""
    community = effects.community(tx, stored.row["building_id"])
    street = addresses.building(tx.conn, stored.row["building_id"])
    return read_out(
        subject, community.name if community else "", street, fall=stored.alert.fall
    )


def _others(tx: Tx, page: Page) -> list[dict[str, str]]:
    """Everybody else: first who goes, then who was asked and what is known of that.

    Names only, as the two stewards of a house know each other; no phone, no resident.
    """
    alert = page.stored.alert
    going = [r for r in alert.responders if not r.is_(page.actor)]
    others = [{"name": r.name, "state": _state_of(r)} for r in going]
    answered = {page.actor.person_id, *(r.person_id for r in alert.responders)}
    if alert.state is State.RESOLVED:
        return others
    asked: dict[int, RowMapping] = {}
    for message in outbox.for_alerts(tx.conn, [page.stored.id]):
        if message["person_id"] not in answered and message["template"] in outbox.CALLS:
            asked[message["person_id"]] = message
    declined = _declined(tx, page.stored.id)
    for message in asked.values():
        failed = message["state"] in UNREACHED
        said_no = message["person_id"] in declined
        state = "declined" if said_no else "unreachable" if failed else "told"
        others.append({"name": message["name"], "state": state})
    return others


def _declined(tx: Tx, alert_id: int) -> set[int | None]:
    """Who said that they can't go. Two may have one name."""
    return {
        e["data"].get("person_id")
        for e in journal.for_alert(tx.conn, alert_id)
        if e["kind"] == core.Reason.DECLINED.value
    }


def _way_in(tx: Tx, page: Page) -> dict[str, Any]:
    resident, holders = acting.way_in(tx, page.stored.row["resident_id"])
    return {
        "resident": resident["name"],
        "access": [{"label": "", "text": resident["access_notes"]}]
                  if resident["access_notes"] else [],
        "key_holders": [_holder(h) for h in holders],
        "risks": resident["risks"] or None,
        "phone": resident["phone"] or None,
    }  # fmt: skip


def _holder(row: Mapping[str, Any]) -> dict[str, str]:
    return {"name": row["name"], "phone": row["phone"], "where": row["key_place"]}


def actions(alert: core.Alert, actor: core.Actor) -> list[str]:
    """What the page offers this person, by how far they have come themselves."""
    mine = next((r for r in alert.responders if r.is_(actor)), None)
    if alert.state is State.RESOLVED:
        return []
    if mine is None:
        return ["accept", "decline"]
    if mine.on_scene_at is None:
        return ["on_scene", "no_answer", "decline", "resolve:safe"]
    return ["resolve:safe", "resolve:ambulance", "resolve:false_alarm", "no_answer"]


def act(
    tx: Tx, house: House, token: str, action: str, resident_id: int | None = None
) -> dict[str, Any]:
    """Do what a button says; twice is as good as once. `resident_id`: the ticked flat of a
    worklist, which an outcome needs as long as a flat is open. Raises acting.Unknown or
    acting.Refused."""
    page = open_page(tx, token)
    if page.expired:
        raise acting.Refused(
            "this link has expired; in an emergency call 120, or ring the care centre",
            zh="这个链接已过期。急事请打120,或打给值班室。",
        )
    actor = page.actor
    event: core.Event
    if action == "accept":
        event = core.Accept(actor)
    elif action == "decline":
        event = core.Decline(actor)
    elif action == "on_scene":
        event = core.Arrive(actor)
    elif action == "no_answer":
        # Nobody opens: at the door, and the next people are called at once.
        acting.act(tx, house, page.stored.id, core.Arrive(actor), actor)
        event = core.Escalate(actor)
    elif action in OUTCOMES and resident_id is not None:
        event = core.SettleItem(resident_id, OUTCOMES[action], actor)
    elif action in OUTCOMES and any(i.outcome is None for i in page.stored.alert.items):
        # One tap must not call doors safe at which nobody has been.
        raise acting.Refused(
            "tick the flats that this is true of, then tap again; nothing was closed",
            zh="请先勾选去过的住户,再点一次。还没有了结任何一户。",
        )
    elif action in OUTCOMES:
        event = core.Resolve(actor, OUTCOMES[action])
    else:
        raise acting.Refused(f"unknown action {action!r}", zh="没有这个操作,请刷新页面。")
    acting.act(tx, house, page.stored.id, event, actor)
    return view(tx, token)
