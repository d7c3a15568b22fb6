"""What a missed round raises: a worklist for each building, an alarm for who is looked for alone.

A city's round is tens of thousands of them: they are raised in parts, and a press waits for one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from server.core import alerts as core
from server.core.ladder import Policy
from server.core.words import Kind
from server.database import Stale, Tx
from server.service import effects, measuring
from server.service.house import House
from server.store import alerts, journal, opening, rosters, signals

PART = 150
"""Worklists that are raised together. A press waits for one part at most."""


class Missed(NamedTuple):
    """A resident who is told of for the first time: the deadline that they let pass, which after a
    long stop may be an earlier one than their house's list is for, and the next one that they owe.
    """

    resident_id: int
    flat_id: int
    absent_until: datetime | None
    due_at: datetime
    next_due_at: datetime


@dataclass(frozen=True, slots=True)
class Worklist:
    """What is to be raised for one door or building that missed a round."""

    about: str
    items: tuple[core.Item, ...]
    policy: Policy
    building_id: int
    building_number: int
    due_at: datetime
    missed: tuple[Missed, ...]
    resident_id: int | None = None
    beside: bool = False
    """Whether the resident is on the building's worklist as well."""


def of_building(
    building_id: int, number: int, due_at: datetime, items: Sequence[core.Item],
    missed: Sequence[Missed],
) -> Worklist:
    """One building's: new, or flats for the one that is open."""
    about = f"missed:{building_id}:{int(due_at.timestamp())}"
    return Worklist(
        about, tuple(items), Policy.MISSED, building_id, number, due_at, tuple(missed)
    )


def of_resident(
    building_id: int, number: int, due_at: datetime, item: core.Item, missed: Missed, *,
    beside: bool,
) -> Worklist:
    """One resident's of class A, with the fast ladder and the key holders. `beside`: on the
    building's worklist as well, by which the stewards hear of it."""
    about = f"missed:resident:{item.resident_id}:{int(due_at.timestamp())}"
    return Worklist(
        about, (item,), Policy.MISSED_HIGH_RISK, building_id, number, due_at, (missed,),
        item.resident_id, beside,
    )  # fmt: skip


def raise_all(tx: Tx, house: House, lists: Sequence[Worklist]) -> int:
    """Raise them, and give their residents the next deadline; returns of how many residents. A
    press that waits for this transaction ends it after the part at hand: what was done stands, and
    the others stay due."""
    open_now = alerts.open_by_subject(tx.conn, [w.about for w in lists])
    fresh = [w for w in lists if w.about not in open_now]
    done, noted = 0, len(tx.entries)
    for part in _parts(fresh):
        if done and tx.overtaken():
            return done
        decided = _decided(tx, house, part)
        if done and tx.overtaken():
            return done
        tx.give_way()  # of the first part nothing is written yet
        _raise(tx, house, part, decided)
        journal.flush(tx, noted)
        done += sum(len(w.missed) for w in part)
    for w in lists:
        if (stored := open_now.get(w.about)) is not None:
            _join(tx, house, w, stored)
            done += len(w.missed)
    return done


def _parts(fresh: Sequence[Worklist]) -> list[Sequence[Worklist]]:
    """About PART at a time, and always whole buildings: how many missed there at once decides how
    they are looked for, and a press may end the transaction after any part."""
    parts, begin = [], 0
    for at, (one, following) in enumerate(pairwise(fresh), 1):
        if at - begin >= PART and one.building_id != following.building_id:
            parts.append(fresh[begin:at])
            begin = at
    return [*parts, fresh[begin:]] if fresh else []


def _decided(
    tx: Tx, house: House, part: Sequence[Worklist]
) -> list[tuple[core.Decision, bool]]:
    """The first step of each, and whether it is a rehearsal's."""
    behind = rosters.rosters(tx.conn, [(w.building_id, w.resident_id) for w in part], tx.now)
    ladders = house.ladders  # looked up once: it asks for the file's time
    decided = []
    for w in part:
        alert = core.Alert(
            kind=Kind.MISSED, ladder=ladders[w.policy], opened_at=tx.now, items=w.items
        )
        begin = core.open_beside if w.beside else core.open_alert
        roster = behind[w.building_id, w.resident_id]
        decided.append((begin(alert, roster, tx.now), roster.rehearsal))
    return decided


def _raise(
    tx: Tx, house: House, part: Sequence[Worklist], decided: Sequence[tuple[core.Decision, bool]]
) -> None:
    """In a handful of statements for all of them."""
    due: defaultdict[datetime, list[int]] = defaultdict(list)
    for w in part:
        for m in w.missed:
            due[m.next_due_at].append(m.resident_id)
    for at, residents in due.items():
        signals.set_next_due(tx.conn, residents, at)
    wanted = [
        (decision.alert, {
            "subject": w.about, "building_id": w.building_id, "round_due_at": w.due_at,
            "resident_id": w.resident_id, "test": rehearsal,
        })
        for w, (decision, rehearsal) in zip(part, decided, strict=True)
    ]  # fmt: skip
    opened, tells, missed = [], [], []
    raised = opening.create_many(tx.conn, wanted, tx.now)
    measuring.opened(tx, Kind.MISSED, len(raised))
    for w, (decision, _), stored in zip(part, decided, raised, strict=True):
        if stored is None:
            raise Stale(f"{w.about} was opened by another writer since we looked")
        tx.memo["building", w.building_id] = w.building_number
        if w.resident_id is not None:
            tx.memo[effects.flat_of(w.resident_id)] = w.items[0].flat_id
        flats = [i.flat_id for i in w.items]
        opened += [
            effects.entry_of(tx, stored, "alert_opened", flats=flats, policy=w.policy.value),
            effects.entry_of(tx, stored, decision.reason.value),
        ]
        tells += effects.tells_of(tx, house, stored, decision.effects)
        missed += _entries(stored.id, w)
    journal.append(tx, opened)
    effects.tell(tx, house, tells)
    journal.append(tx, missed)


def _join(tx: Tx, house: House, w: Worklist, stored: alerts.Stored) -> None:
    """Add doors to a worklist that is open."""
    added = core.decide(effects.situation(tx, stored), core.AddItems(w.items), tx.now)
    joined = effects.commit(tx, house, stored, added)
    journal.append(tx, _entries(joined.id, w))
    for m in w.missed:
        signals.set_next_due(tx.conn, [m.resident_id], m.next_due_at)


def _entries(alert_id: int, w: Worklist) -> list[dict[str, Any]]:
    return [
        {
            "kind": "missed", "building_id": w.building_id, "flat_id": m.flat_id,
            "alert_id": alert_id,
            "data": {
                "due": m.due_at.isoformat(),
                **({"after_absence_until": m.absent_until.isoformat()} if m.absent_until else {}),
            },
        }
        for m in w.missed
    ]  # fmt: skip
